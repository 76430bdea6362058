"""What behaviours of the first generation get: a client and messages of paho's shape."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from typing_extensions import Self

    from thingslink.ttn import MQTTClient, RawMessage

__all__ = ["PahoClient", "PublishInfo"]

_SUCCESS = 0


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
    """The part of paho's client that behaviours use, on a client of ours.

    Args:
        client: Ours.
        app_id: Application ID.
        on_message: Called with each message of a topic that a behaviour subscribes to.
    """

    def __init__(self, client: MQTTClient, app_id: str, on_message: Callable[[RawMessage], None]) -> None:
        self._client = client
        self._own = {f"{app_id}/devices/+/up", "+/devices/+/up"}
        self._on_message = on_message
        self._callbacks: dict[str, Callable[..., None]] = {}

    def publish(self, topic: str, payload: Any = None, qos: int = 0, retain: bool = False) -> PublishInfo:
        """Publish to a topic. Like all of The Things Network's clients at QoS 0, not retained.

        Raises:
            ValueError: Another QoS, or a retained message.
            TypeError: A payload that is no text, bytes, number or None.
        """
        if qos or retain:
            raise ValueError(f"qos {qos}, retain {retain} are not valid: expected 0 and False")
        publisher: Any = self._client._MQTTClient__client
        return PublishInfo(publisher.publish(topic, encoded(payload)))

    def subscribe(self, topic: str, qos: int = 0) -> tuple[int, int | None]:
        """Subscribe to a topic filter; the application's uplinks are subscribed to in any case."""
        if qos:
            raise ValueError(f"qos {qos} is not valid: expected 0")
        if topic not in self._own and topic not in self._callbacks:
            self._callbacks[topic] = lambda message, client: self._on_message(message)  # noqa: ARG005
            self._client._set_topic_callback(self._callbacks[topic], topic)
        return _SUCCESS, None

    def unsubscribe(self, topic: str) -> tuple[int, int | None]:
        """Unsubscribe from a topic filter."""
        callback = self._callbacks.pop(topic, None)
        if callback is not None:
            self._client._remove_topic_callback(callback, topic)
        return _SUCCESS, None

    def disconnect(self) -> int:
        """Part with the server."""
        self._client.close()
        return _SUCCESS

    def is_connected(self) -> bool:
        """Whether the client is logged in now."""
        return self._client.is_connected

    def __repr__(self) -> str:
        return f"<PahoClient over {self._client!r}>"


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
