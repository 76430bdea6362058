"""Packages over the air, firmware and software (TB 1.5, 3.8): what the client makes of what it hears of them."""

# ruff: noqa: SLF001

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thingslink._native import TBPublishInfo, _replace_file

from .checksum import verify_checksum
from .constants import ATTRIBUTES_TOPIC_REQUEST, TBFirmwareState
from .package import FIRMWARE, KINDS, Download, Kind, package_of, size_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .package_client import PackageClient

log = logging.getLogger("tb_connection")

#: Seconds that a piece is waited for, beside those that it takes at the slowest pace.
PATIENCE = 20.0
#: Bytes in a second below which no connection is expected to work.
SLOWEST_PACE = 1000
#: How often one piece is asked for, and how often a connect callback may begin a package that has failed.
TRIES = 5
#: A clock that shows less (2020-01-01) was never set: its time would hide the states behind older ones.
CLOCK_IS_SET_MS = 1_577_836_800_000

_NOT_SENT = (TBPublishInfo.TB_ERR_NO_CONN, TBPublishInfo.TB_ERR_AUTH, TBPublishInfo.TB_ERR_QUEUE_SIZE)


class Packages:
    """The packages of one client, of which at most one is downloaded at a time: refusals do not say what they refuse.

    All but what programs call is called from the thread that serves the client, and waits for nothing but a rate limit,
    and for that a few seconds: what cannot be sent now is sent after the next login.
    """

    def __init__(self) -> None:
        self._last_number = 0
        self._running: Download | None = None
        self._next: dict[Kind, dict[str, Any]] = {}
        #: What was asked for by a call, and whether a connect callback made it.
        self._called: dict[Kind, bool] = {}
        #: Questions for the attributes of packages that are not answered, by the numbers of the requests.
        self._asked: dict[Kind, int] = {}
        #: The last package of a kind that came to an end, and how often it has failed.
        self._ended: dict[Kind, tuple[tuple[Any, ...], int]] = {}
        #: Packages that are told by their addresses.
        self._elsewhere: dict[Kind, tuple[Any, ...]] = {}
        self._wanted = {FIRMWARE}
        #: Telemetry about packages that waits to be sent.
        self.untold: deque[dict[str, Any]] = deque(maxlen=100)
        self._last_ms = 0
        self._lock = threading.Lock()
        self._serving: int | None = None

    # Called by the program.

    def want(self, kind: Kind) -> None:
        """Fetch packages of this kind from now on; firmware is fetched in any case, as in the original."""
        self._wanted.add(kind)

    def get(self, client: PackageClient, kind: Kind) -> None:
        """Tell the server what is installed, and ask for what should be."""
        self.begin(client, kind)
        self.note(client, kind)
        self._send_untold(client)
        self._ask(client, kind)

    def tell(self, client: PackageClient, kind: Kind, **changes: Any) -> None:
        """Change what is told about what is installed, as `note` does, and send it."""
        self.note(client, kind, **changes)
        self._send_untold(client)

    # The parts of these that wait for nothing, for those who send in another way.

    def begin(self, client: PackageClient, kind: Kind) -> None:
        """Listen to what the server tells of packages of this kind, for a call of the program's."""
        self.want(kind)
        self._called[kind] = client._is_connect_callback_running
        self._subscribe(client, kind)

    def note(
        self,
        client: PackageClient,
        kind: Kind,
        *,
        title: str | None = None,
        version: str | None = None,
        state: Any = None,
        error: str | None = None,
    ) -> None:
        """Change what is told about what is installed; telemetry that waits to be sent."""
        with self._lock:
            info = kind.current(client)
            if title is not None:
                info["current_" + kind.key("title")] = title
            if version is not None:
                info["current_" + kind.key("version")] = version
            if state is not None:
                info[kind.key("state")] = getattr(state, "value", state)
            failed = info.get(kind.key("state")) == TBFirmwareState.FAILED.value
            info[kind.key("error")] = error if failed and error is not None else ""
            self.untold.append(self._stamped(info))

    def question(self, client: PackageClient, kind: Kind) -> tuple[dict[str, Any], str, None, float] | None:
        """Wait for the attributes of packages of this kind.

        Gives what is to be published for it, as `_publish_data` takes it: nothing as long as there is no connection.
        """

        def answered(_content: Any, exception: Exception | None) -> None:
            # What it says is heard like every other attribute.
            if self._asked.get(kind) == number:
                del self._asked[kind]
                if exception is not None:
                    log.error("the server does not tell the attributes of the %s package", kind.name)

        number = client._add_attr_request_callback(answered)
        self._asked[kind] = number
        if not client.is_connected():
            return None
        client.add_attrs_request_timeout(number, time.monotonic() + PATIENCE)
        keys = [kind.key(part) for part in ("checksum", "checksum_algorithm", "size", "title", "version", "url")]
        return {"sharedKeys": ",".join(keys)}, f"{ATTRIBUTES_TOPIC_REQUEST}{number}", None, PATIENCE

    # Heard from the server.

    def hear_connected(self, client: PackageClient) -> None:
        """Go on with what the loss of the connection has left."""
        with self._served():
            self._send_untold(client)
            for kind in [*self._asked]:
                self._ask(client, kind)
            if self._running is None:
                return
            comes_again, self._running.comes_again = self._running.comes_again, False
            if comes_again or self._running.is_asked_for:
                self._await(client, self._running)
            else:
                self._ask_for_piece(client, self._running, "the connection was lost")

    def hear_disconnected(self) -> None:
        """Remember what the session sends again by itself, and may have done when it tells of the next login."""
        with self._served():
            if self._running is not None:
                self._running.comes_again |= self._running.is_asked_for

    def hear_attributes(self, client: PackageClient, prefix: str, attributes: dict[str, Any], *, pushed: bool) -> None:
        """Begin a download if the attributes name another package than the one that is installed."""
        kind = KINDS[prefix]
        if kind not in self._wanted:
            return
        if not pushed:
            self._asked.pop(kind, None)
        with self._served():
            if self._is_installed(client, kind, attributes):
                return
            if size_of(kind, attributes) > 0:
                self._announced(client, kind, attributes, pushed=pushed)
            elif attributes.get(kind.key("url")) is not None:
                self._lies_elsewhere(client, kind, attributes)
            elif pushed:
                # A push tells what has changed alone: ask for the rest.
                self._ask(client, kind)
            else:
                log.error("a %s package is announced without its size: it cannot be downloaded", kind.name)

    def hear_piece(self, client: PackageClient, prefix: str, request: int, piece: int, data: bytes) -> None:
        """Take a piece of the package; another one than the awaited is passed over."""
        download = self._running
        if download is None or (download.kind.prefix, download.number, download.piece) != (prefix, request, piece):
            log.debug("passed over piece %d of request %d", piece, request)
            return
        with self._served():
            download.data += data
            download.piece += 1
            download.tries = 0
            download.request = None
            if not data:
                self._fail(client, download, f"The server sent an empty piece {piece}")
            elif len(download.data) > download.bytes:
                self._fail(client, download, f"{len(download.data)} bytes came, {download.bytes} were announced")
            elif len(download.data) < download.bytes:
                self._ask_for_piece(client, download, "")
            else:
                self._finish(client, download)

    def hear_refused(self, client: PackageClient, reason: object, request: int | None) -> None:
        """A request for a piece was refused by the server, or given up on its way."""
        if self._running is None or request not in (None, self._running.number):
            log.warning("a request for a package that is not awaited was refused: %s", reason)
            return
        with self._served():
            self._fail(client, self._running, str(reason))

    def hear_missing(self, client: PackageClient) -> None:
        """A piece has not come in time: ask again. Without a connection that is done after the next login."""
        if self._running is not None and client.is_connected():
            with self._served():
                self._ask_for_piece(client, self._running, "it did not come")

    # What becomes of a download.

    def _announced(self, client: PackageClient, kind: Kind, attributes: dict[str, Any], *, pushed: bool) -> None:
        package = package_of(kind, attributes)
        if self._running is not None and self._running.package == package:
            return
        by_callback = self._called.pop(kind, None)
        ended, failures = self._ended.get(kind, (None, 0))
        if ended == package and not pushed:
            if by_callback is None:
                return
            if by_callback and failures >= TRIES:
                # The server hangs up over what it refuses: a connect callback would go on for ever.
                log.error("%s has failed %d times: a connect callback fetches it no more", kind.name, failures)
                return
        if ended != package or pushed:
            self._ended.pop(kind, None)
        if self._running is not None and self._running.kind != kind:
            self._next[kind] = attributes
        else:
            self._begin(client, kind, attributes)

    def _lies_elsewhere(self, client: PackageClient, kind: Kind, attributes: dict[str, Any]) -> None:
        """Tell of a package that the server does not keep itself, once."""
        title, version, url = package = tuple(attributes.get(kind.key(part)) for part in ("title", "version", "url"))
        if self._elsewhere.get(kind) == package:
            return
        self._elsewhere[kind] = package
        # Without what follows the path, which may be a secret.
        shown = str(url).partition("?")[0]
        log.warning("%s %s %s lies at %s: it is not downloaded", kind.name, title, version, shown)
        callback = getattr(client, f"_on_{kind.name}_url")
        if callback is not None:
            client._native_claim_thread()
            callback(client, url, version)

    def _begin(self, client: PackageClient, kind: Kind, attributes: dict[str, Any]) -> None:
        self._last_number += 1
        piece_bytes, most = client._chunk_size, client._most_bytes_told
        if most:
            piece_bytes = min(piece_bytes, most)
        self._running = download = Download(kind, self._last_number, attributes, piece_bytes)
        setattr(client, f"{kind.name}_info", attributes)
        self._subscribe(client, kind)
        self._state(client, kind, TBFirmwareState.DOWNLOADING)
        self._ask_for_piece(client, download, "")

    def _ask_for_piece(self, client: PackageClient, download: Download, why_again: str) -> None:
        if download.tries >= TRIES:
            reason = f"Piece {download.piece} was asked for {download.tries} times: {why_again}"
            self._fail(client, download, reason)
            return
        download.tries += 1
        self._await(client, download)
        # What is not acknowledged is sent again by the session itself.
        if client.is_connected() and not download.is_asked_for:
            topic = f"v2/{download.kind.prefix}/request/{download.number}/chunk/{download.piece}"
            download.request = client._client.publish(topic, str(download.piece_bytes or ""), qos=1)

    @staticmethod
    def _await(client: PackageClient, download: Download) -> None:
        expected = download.bytes - len(download.data)
        if download.piece_bytes:
            expected = min(expected, download.piece_bytes)
        client._native_await_piece(PATIENCE + expected / SLOWEST_PACE)

    def _finish(self, client: PackageClient, download: Download) -> None:
        kind, info = download.kind, download.info
        self._state(client, kind, TBFirmwareState.DOWNLOADED)
        data = bytes(download.data)
        algorithm, expected = info.get(kind.key("checksum_algorithm")), info.get(kind.key("checksum"))
        if not verify_checksum(data, algorithm, expected):
            self._fail(client, download, "Checksum verification failed!")
            return
        self._state(client, kind, TBFirmwareState.VERIFIED)
        self._end(download, failures=0)
        setattr(client, f"{kind.name}_data", data)
        setattr(client, f"{kind.name}_received", True)
        try:
            callback = getattr(client, f"_on_{kind.name}_received")
            version = info.get(kind.key("version"))
            if callback is None:
                self._store(client, kind, info, data)
            else:
                client._native_claim_thread()
                callback(client, data, version)
        finally:
            setattr(client, f"{kind.name}_received", False)
            self._go_on(client)

    def _store(self, client: PackageClient, kind: Kind, info: dict[str, Any], data: bytes) -> None:
        """Write the package to a file named after its title, as long as nobody has said what to do with it."""
        title = str(info.get(kind.key("title")) or kind.name)
        self._state(client, kind, TBFirmwareState.UPDATING)
        # The name alone: a title from the network chooses no folder.
        path = Path(Path(title).name or kind.name)
        try:
            _replace_file(path, data, mode=0o666)
        except OSError as error:
            log.exception("the %s is not stored", kind.name)
            self._failed(client, kind, info, f"It cannot be stored: {error.strerror}")
            return
        hint = f"call set_on_{kind.name}_received_callback to install it"
        log.warning("the %s is stored as %r: %s", kind.name, path.name, hint)
        version = info.get(kind.key("version"))
        self._state(client, kind, TBFirmwareState.UPDATED, title=title, version=version)

    def _fail(self, client: PackageClient, download: Download, reason: str) -> None:
        log.error("%s: %s", download, reason)
        package, failures = self._ended.get(download.kind, (None, 0))
        self._end(download, failures=failures + 1 if package == download.package else 1)
        try:
            self._failed(client, download.kind, download.info, reason)
        finally:
            self._go_on(client)

    def _failed(self, client: PackageClient, kind: Kind, info: dict[str, Any], reason: str) -> None:
        """Tell the server and the program."""
        self._state(client, kind, TBFirmwareState.FAILED, error=reason)
        callback = getattr(client, f"_on_{kind.name}_failed")
        if callback is not None:
            client._native_claim_thread()
            callback(client, reason, info.get(kind.key("version")))

    def _end(self, download: Download, *, failures: int) -> None:
        self._running = None
        self._ended[download.kind] = (download.package, failures)

    def _go_on(self, client: PackageClient) -> None:
        """Begin what had to wait for the other kind."""
        if self._running is None and self._next:
            self._begin(client, *self._next.popitem())

    # What is sent.

    @staticmethod
    def _state(client: PackageClient, kind: Kind, state: TBFirmwareState, **more: Any) -> None:
        # By the public method, which a program may have overridden to hear of it.
        getattr(client, f"update_{kind.name}_info")(state=state, **more)

    @staticmethod
    def _is_installed(client: PackageClient, kind: Kind, attributes: dict[str, Any]) -> bool:
        current = kind.current(client)
        told = (
            (attributes.get(key), current.get("current_" + key)) for key in (kind.key("title"), kind.key("version"))
        )
        return all(announced in (None, installed) for announced, installed in told)

    @staticmethod
    def _subscribe(client: PackageClient, kind: Kind) -> None:
        client._subscribe_to_topic(f"v2/{kind.prefix}/response/+/chunk/+", 1)
        # Software is refused there, too.
        client._subscribe_to_topic("v2/fw/error", 1)

    def _ask(self, client: PackageClient, kind: Kind) -> None:
        question = self.question(client, kind)
        if question is not None:
            client._publish_data(*question)

    def _stamped(self, values: dict[str, Any]) -> dict[str, Any]:
        """Give values a time of their own: those of one millisecond overwrite one another at the server."""
        now_ms = time.time_ns() // 1_000_000
        if now_ms < CLOCK_IS_SET_MS:
            return dict(values)
        self._last_ms = max(now_ms, self._last_ms + 1)
        return {"ts": self._last_ms, "values": dict(values)}

    def _send_untold(self, client: PackageClient) -> None:
        """Send the states that wait; only the program's own threads wait for the connection, as for all they send."""
        patient = self._serving != threading.get_ident()
        while self.untold and (patient or client.is_connected()):
            entry = self.untold.popleft()
            if client.send_telemetry(entry, timeout=None if patient else PATIENCE).rc() in _NOT_SENT:
                self.untold.appendleft(entry)
                return

    @contextmanager
    def _served(self) -> Iterator[None]:
        before, self._serving = self._serving, threading.get_ident()
        try:
            yield
        finally:
            self._serving = before
