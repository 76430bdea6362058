"""What a device over HTTP does on threads of its own: it sends what is queued, and waits for what is new."""

# ruff: noqa: SLF001

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from thingslink._native import QueueFullError, ThingsError, _callback_failed

from .http_answer import LATE, UNAUTHORIZED, TBHTTPAPIException, content
from .http_connection import HttpConnection

if TYPE_CHECKING:
    from .http_device import TBHTTPDevice

#: Telemetry that waits at once.
_MOST_QUEUED = 10_000
#: Seconds before something is tried again: the first time, and at most.
_FIRST_DELAY, _LAST_DELAY = 1.0, 60.0
#: How often telemetry is tried that the server will not have for want of a right token.
_REFUSALS = 5
#: Seconds that an answer of the server's to a waiting request may be late.
_LATENESS = 10.0


class Publisher:
    """Sends queued telemetry, in order. What fails is tried again, except what the server will not have."""

    def __init__(self, device: TBHTTPDevice) -> None:
        self._device = device
        self._waiting: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._stopped = False
        self._thread: threading.Thread | None = None

    def put(self, body: bytes) -> None:
        """Queue a message."""
        with self._changed:
            if len(self._waiting) >= _MOST_QUEUED:
                raise QueueFullError(f"{_MOST_QUEUED} messages wait: is the device connected?")
            self._waiting.append(body)
            self._changed.notify_all()

    def start(self) -> None:
        """Send from now on."""
        with self._changed:
            self._stopped = False
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="thingslink-http-publisher", daemon=True)
                self._thread.start()

    def stop(self, timeout: float) -> None:
        """Try what is queued and end; waits for that at most ``timeout`` seconds."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def _run(self) -> None:
        failures = 0
        while True:
            with self._changed:
                while not self._waiting and not self._stopped:
                    self._changed.wait()
                if not self._waiting:
                    return
                body = self._waiting[0]
            if self._is_settled(body, failures):
                failures = 0
                with self._changed:
                    self._waiting.popleft()
                continue
            failures += 1
            with self._changed:
                if self._changed.wait_for(lambda: self._stopped, _delay(failures)):
                    return

    def _is_settled(self, body: bytes, failures: int) -> bool:
        """Send a message; tells whether it is done with."""
        logger = self._device.logger
        try:
            self._device._post("telemetry", body, None)
        except TBHTTPAPIException as error:
            status = error.status or 0
            refused = 400 <= status < 500 and status not in LATE  # noqa: PLR2004
            if refused and (status not in UNAUTHORIZED or failures + 1 >= _REFUSALS):
                logger.error("telemetry is given up: %s", error)  # noqa: TRY400 - said in one line
                return True
            logger.warning("telemetry is sent again later: %s", error)
            return False
        except (OSError, ThingsError) as error:
            logger.warning("telemetry is sent again later: %s", error)
            return False
        return True


class Subscription:
    """Asks an endpoint again and again for what is new."""

    def __init__(self, device: TBHTTPDevice, endpoint: str) -> None:
        self._device = device
        self._endpoint = endpoint
        self._connection = HttpConnection(device._server)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"thingslink-http-{endpoint}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End, without waiting for the server's answer."""
        self._stopped.set()
        self._connection.abort()

    def _run(self) -> None:
        failures = 0
        while not self._stopped.is_set():
            began = time.monotonic()
            try:
                news = self._ask()
            except (TBHTTPAPIException, OSError, ThingsError) as error:
                if self._stopped.is_set():
                    break
                failures += 1
                self._device.logger.warning("subscription to %s: %s", self._endpoint, error)
            else:
                if news is not None:
                    failures = 0
                    self._call(news)
                    continue
                # A server that does not wait would be asked without a pause.
                failures = failures + 1 if time.monotonic() - began < _FIRST_DELAY else 0
            if failures:
                self._stopped.wait(_delay(failures))
        self._connection.close()

    def _ask(self) -> Any:
        """Wait for what is new; ``None`` where nothing is."""
        device, within = self._device, self._device.timeout
        endpoint = "attributes/updates" if self._endpoint == "attributes" else self._endpoint
        path = device._path(endpoint, {"timeout": int(within * 1000)})
        answer = self._connection.request("GET", path, None, what=endpoint, timeout=within + _LATENESS, repeatable=True)
        if answer.status in LATE:
            return None
        return content(answer, endpoint, device._server)

    def _call(self, news: Any) -> None:
        try:
            self._device._callbacks[self._endpoint](news)
        except Exception as error:
            self._device.logger.exception("the callback of the subscription to %s failed", self._endpoint)
            _callback_failed(self._device, error)


def _delay(failures: int) -> float:
    return min(_FIRST_DELAY * float(1 << min(failures - 1, 10)), _LAST_DELAY)
