"""What programs find under ``ttn.ttnmqtt`` beside the client."""

from __future__ import annotations

from thingslink._native import MQTTClient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["DownlinkMessage", "MQTTClient", "MyEvents"]


class DownlinkMessage:
    """A downlink as a bag of attributes, all of which go into its JSON.

    Args:
        port: LoRaWAN FPort.
        confirmed: Whether the device must acknowledge it.
        schedule: ``"replace"``, ``"first"`` or ``"last"``.
    """

    def __init__(self, port: int, confirmed: bool = False, schedule: str | None = None) -> None:
        self.port = port
        self.confirmed = confirmed
        self.schedule = schedule

    def __setattr__(self, name: str, value: Any) -> None:
        # Declared, so that checkers accept payload_raw and payload_fields, which users set.
        super().__setattr__(name, value)

    def obj2json(self) -> str:
        """Give the attributes as JSON text, in the order in which they were set."""
        import json  # noqa: PLC0415 - few programs come here, all of them import this

        return json.dumps(vars(self))


class MyEvents:
    """The names of the events that the original dispatched. Ours come through the client's ``set_…_callback``."""

    __events__ = ("uplink_msg", "uplink_raw_msg", "downlink_msg", "connect", "close")
