"""What behaviours of the first generation get: a client and messages of paho's shape."""

from __future__ import annotations

from thingslink._native import _whole
from thingslink._paho import PahoClient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from thingslink.ttn import MQTTClient, RawMessage

__all__ = ["BehaviorClient"]

_SUCCESS = 0


class BehaviorClient(PahoClient):
    """The part of paho's client that behaviours use, on a client of ours.

    Args:
        client: Ours.
        app_id: Application ID.
        on_message: Called with each message of a topic that a behaviour subscribes to.
    """

    def __init__(self, client: MQTTClient, app_id: str, on_message: Callable[[RawMessage], None]) -> None:
        super().__init__(client)
        self._own = {f"{app_id}/devices/+/up", "+/devices/+/up"}
        self._on_message = on_message
        self._callbacks: dict[str, Callable[..., None]] = {}

    def subscribe(self, topic: str, qos: int = 0) -> tuple[int, int | None]:
        """Subscribe to a topic filter; the application's uplinks are subscribed to in any case."""
        if _whole("qos", qos, 0, 1):
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
