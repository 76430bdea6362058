"""What stands for paho's client, which programs over the original reached into: ``client._MQTTClient__client``."""

from __future__ import annotations

import weakref

from thingslink._native import Callback, NotConnectedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from typing_extensions import Self

    from thingslink.ttn import MQTTClient

__all__ = ["PahoClient", "PublishInfo", "encoded"]

_SUCCESS, _NO_CONNECTION = 0, 4
#: paho's level for what it tells `on_log` of single packets.
_LOG_DEBUG = 16


class PublishInfo(tuple[int, int]):
    """What ``publish`` gives: ``(rc, mid)``, and both as attributes."""

    __slots__ = ()

    def __new__(cls, mid: int) -> Self:
        """Make one for a message that was taken."""
        return super().__new__(cls, (_SUCCESS, mid))

    @property
    def rc(self) -> int:
        """0: the message was taken."""
        return self[0]

    @property
    def mid(self) -> int:
        """Its message ID."""
        return self[1]


class PahoClient:
    """The part of paho's client that programs use, on a client of ours.

    Args:
        client: Ours. It is not held.
    """

    def __init__(self, client: MQTTClient) -> None:
        self._ours = weakref.ref(client)
        self._logger: Any = None
        self._on_log: Callback | None = None

    @property
    def _client(self) -> MQTTClient:
        client = self._ours()
        if client is None:
            raise NotConnectedError("the client is gone")
        return client

    def publish(self, topic: str, payload: Any = None, qos: int = 0, retain: bool = False) -> PublishInfo:
        """Publish to a topic. Like all of The Things Network's clients at QoS 0, not retained.

        Raises:
            NotConnectedError: There is no session.
            ValueError: Another QoS, or a retained message.
            TypeError: A payload that is no text, bytes, number or None.
        """
        if qos or retain:
            raise ValueError(f"qos {qos}, retain {retain} are not valid: expected 0 and False")
        return PublishInfo(self._client._publish(topic, encoded(payload)))

    def is_connected(self) -> bool:
        """Whether the client is logged in now."""
        return self._client.is_connected

    def reconnect(self) -> int:
        """Connect anew."""
        self._client.connect()
        return _SUCCESS

    def disconnect(self) -> int:
        """Part with the server."""
        self._client.close()
        return _SUCCESS

    def loop_start(self) -> None:
        """Do nothing: receiving begins with the connection."""

    def loop_stop(self, force: bool = False) -> None:
        """Do nothing: receiving ends with the connection."""

    def loop_forever(self, timeout: float = 1.0, max_packets: int = 1, retry_first_connection: bool = False) -> int:
        """Wait until the client is closed. Ctrl-C ends it."""
        import threading  # noqa: PLC0415 - few programs come here, all of them import this

        from thingslink._blocking import wait_for  # noqa: PLC0415

        over = threading.Event()

        def closed(res: bool) -> None:
            if res:
                over.set()

        client = self._client
        client.set_close_callback(closed)
        try:
            if not client.is_connected:
                return _NO_CONNECTION
            wait_for(over)
        finally:
            client.remove_close_callback(closed)
        return _SUCCESS

    def enable_logger(self, logger: Any = None) -> None:
        """Tell a logger at DEBUG what passes: subscriptions, uplinks, downlinks.

        Args:
            logger: A logger of ``logging``; by default the one of paho's name, ``paho.mqtt.client``.
        """
        if logger is None:
            import logging  # noqa: PLC0415

            logger = self._logger or logging.getLogger("paho.mqtt.client")
        self._logger = logger
        self._watch()

    def disable_logger(self) -> None:
        """Tell no logger but the library's own, ``thingslink.ttn``."""
        self._logger = None
        self._watch()

    @property
    def on_log(self) -> Callable[..., object] | None:
        """Called as ``on_log(client, userdata, level, buf)`` with each line that a logger gets."""
        return None if self._on_log is None else self._on_log.function

    @on_log.setter
    def on_log(self, callback: Callable[..., object] | None) -> None:
        self._on_log = None if callback is None else Callback("on_log", callback, "client, userdata, level, buf")
        self._watch()

    def _watch(self) -> None:
        logger, on_log = self._logger, self._on_log
        if on_log is None:
            self._client._watch(None if logger is None else logger.debug)
            return

        def tell(words: str, *values: object) -> None:
            if logger is not None:
                logger.debug(words, *values)
            on_log(self, None, _LOG_DEBUG, words % values)

        self._client._watch(tell)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} over {self._ours()!r}>"


def encoded(payload: Any) -> str | bytes:
    """Give a payload as paho publishes it."""
    if payload is None:
        return b""
    if isinstance(payload, (str, bytes)):
        return payload
    if isinstance(payload, bytearray):
        return bytes(payload)
    if isinstance(payload, (int, float)):
        return str(payload)
    raise TypeError("payload must be a string, bytearray, int, float or None.")
