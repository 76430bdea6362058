from os import PathLike
from types import TracebackType
from typing import Any, final

from typing_extensions import Self

@final
class _StreamAdmin:
    """Look after an application's stream of NATS JetStream; for the command line.

    Connects when it is made. ``app_id`` is without a tenant; the other arguments are those of ``Bridge``.

    Raises:
        StreamError: No bridge has made the stream yet.
        LoginRefusedError: The login is refused.
        ConnectionError: The server is not reached.
    """

    def __new__(
        cls,
        app_id: str,
        nats_address: str,
        *,
        nats_user: str | None = None,
        nats_password: str | None = None,
        nats_token: str | None = None,
        nats_nkey: str | None = None,
        nats_credentials: str | PathLike[str] | None = None,
        nats_ca_certs: str | bytes | PathLike[str] | None = None,
    ) -> Self: ...
    def lanes(self, group: str | None) -> list[dict[str, Any]]:
        """Give group, lane (``None`` where there are none), worker, waiting, in_hand, redelivered of each lane."""

    def backlog(self) -> dict[str, Any]:
        """Give stored, bytes, downlinks, and of each of the groups what waits for it; ``oldest_ns`` since 1970."""

    def stored(
        self, *, since_ns: int | None = None, until_ns: int | None = None, dev_id: str | None = None
    ) -> _StoredMessages:
        """Read what is stored of a time (nanoseconds since 1970) and a device, or all."""

    def dead_letters(self, *, group: str | None = None, dev_id: str | None = None) -> _StoredMessages:
        """Read the dead letters of a group and a device, or all."""

    def dead_letter(self, number: int) -> dict[str, Any] | None:
        """Give one, or ``None``."""

    def retry(self, number: int) -> bool:
        """Hand one to its group again, and delete it; tell whether there was one."""

    def drop(self, number: int) -> bool:
        """Delete one; tell whether there was one."""

    def close(self) -> None:
        """Part with the server."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...

@final
class _StoredMessages:
    """Messages of a stream, up to the one that was the last when this was made."""

    def next(self) -> list[dict[str, Any]]:
        """Give the next ones; none at the end."""

    def hand_to(self, group: str) -> int | None:
        """Store the next ones once more, for this group alone; give how many, ``None`` at the end."""
