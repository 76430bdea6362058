"""What the original has without documenting it, and programs are known to use."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from thingslink._native import DeviceClient

from .mqtt import MqttClient
from .splitting import count_datapoints, split

if TYPE_CHECKING:
    from datetime import timedelta
    from typing import TypeAlias

    _Seconds: TypeAlias = float | timedelta


class PrivateNames(DeviceClient):
    """The private names of a device's client that need nothing of it but the connection."""

    _lock: Any
    # Double underscores keep this apart from whatever a program's subclass calls its own.
    __mqtt: MqttClient | None = None

    def __init__(self, **how: Any) -> None:
        DeviceClient.__init__(self, **how)
        self.__mqtt = MqttClient(self)
        self._lock = threading.RLock()

    @property
    def _client(self) -> MqttClient:
        """The MQTT client behind this one, as far as programs reach into it."""
        # Without one the constructor was not called, which is told by the attempt to make it.
        return MqttClient(self) if self.__mqtt is None else self.__mqtt

    def _on_decoded_message(self, _content: Any, _message: Any, **_kwargs: Any) -> None:
        """Gets messages on topics that the client does not know; does nothing."""

    def _on_disconnect(
        self,
        client: object,
        userdata: object,
        disconnect_flags: object,
        reason: object = None,
        properties: object = None,
    ) -> None:
        """Told when a connection is lost or closed; does nothing: the client has seen to everything before."""

    @staticmethod
    def _decode(message: Any) -> Any:
        """The body of a message: its JSON value, or its text when it is none."""
        text = message.payload if isinstance(message.payload, str) else message.payload.decode("utf-8", "ignore")
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text

    @staticmethod
    def _split_message(message_pack: Any, datapoints_max_count: int, max_payload_size: int) -> list[dict[str, Any]]:
        """Cut a list of telemetry entries into messages below these limits."""
        return split(message_pack, datapoints_max_count, max_payload_size)

    @staticmethod
    def _count_datapoints_in_message(data: Any, device: str | None = None) -> int:
        """Count the values of a message, and one more for every 1000 characters."""
        if device is None:
            return count_datapoints(data)
        of_device = data.get(device)
        each = of_device if isinstance(of_device, list) else [of_device]
        return sum(map(count_datapoints, each))

    def _subscribe_to_topic(
        self,
        topic: str,
        qos: int | None = None,
        timeout: _Seconds | None = 5,  # noqa: ARG002 - nothing is waited for
    ) -> tuple[int, int | None]:
        """Subscribe to one more topic filter, now and after every connect."""
        return self._native_subscribe(topic, qos)
