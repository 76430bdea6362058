"""The gateway's client: a device with devices behind it."""

# ruff: noqa: PLR0917 - the parameters are the original's

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thingslink._native import Callback, GatewayClient

from . import constructor
from .constants import GATEWAY_ATTRIBUTES_RESPONSE_TOPIC, GATEWAY_ATTRIBUTES_TOPIC, GATEWAY_RPC_TOPIC
from .constructor import MESSAGES, POINTS, TELEMETRY
from .device import TBDeviceMqttClient
from .mqtt import given, taken

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from typing_extensions import Self, Unpack

    from thingslink._native.thingsboard import _OfDevices
    from thingslink.typing import CallbackFailure, Level

    _Callback: TypeAlias = Callable[..., object]


class TBGatewayMqttClient(TBDeviceMqttClient, GatewayClient):
    """A gateway of a ThingsBoard server, with devices behind it, over MQTT.

    A device as well: everything of ``TBDeviceMqttClient`` works for the gateway itself. Devices are announced again
    after a reconnect.

    Args:
        host: As in ``TBDeviceMqttClient``, like everything that is not told here.
        gateway: Kept as the attribute ``gateway``; of no other use.
        device_messages_rate_limit: Limit of messages of the devices that are no telemetry.
        device_telemetry_rate_limit: Limit of their telemetry and attributes.
        device_telemetry_dp_rate_limit: Limit of the values in them.
    """

    __module__ = "thingslink.tb_gateway_mqtt"

    gateway: Any
    """Whatever the constructor was given."""
    __dropped_callback: Callback | None = None

    @constructor.of_every_generation("username", "port", "gateway", "quality_of_service")
    def __init__(
        self,
        host: str,
        port: int | str = 1883,
        username: str | int | None = None,
        password: Any = None,
        gateway: Any = None,
        quality_of_service: Level = 1,
        client_id: str = "",
        messages_rate_limit: str = MESSAGES,
        telemetry_rate_limit: str = TELEMETRY,
        telemetry_dp_rate_limit: str = POINTS,
        device_messages_rate_limit: str = MESSAGES,
        device_telemetry_rate_limit: str = TELEMETRY,
        device_telemetry_dp_rate_limit: str = POINTS,
        *,
        on_callback_error: CallbackFailure = "acknowledge",
        **kwargs: Unpack[constructor.OtherGatewayArguments],
    ) -> None:
        own = {
            "messages_rate_limit": messages_rate_limit,
            "telemetry_rate_limit": telemetry_rate_limit,
            "telemetry_dp_rate_limit": telemetry_dp_rate_limit,
        }
        devices = {
            "device_messages_rate_limit": device_messages_rate_limit,
            "device_telemetry_rate_limit": device_telemetry_rate_limit,
            "device_telemetry_dp_rate_limit": device_telemetry_dp_rate_limit,
        }
        more = {**kwargs, "on_callback_error": on_callback_error}
        self._make_native(host, port, username, password, quality_of_service, client_id, own, devices, more)
        self.gateway = gateway

    def gw_subscribe_to_all_attributes(self, callback: _OfDevices[Self]) -> int:
        """Have ``callback(content)`` called when a shared attribute of any device changes; gives a number."""
        return self.gw_subscribe_to_attribute("*", "*", callback)

    def gw_subscribe_to_all_device_attributes(self, device: str, callback: _OfDevices[Self]) -> int:
        """Have ``callback(content)`` called when any shared attribute of a device changes; gives a number."""
        return self.gw_subscribe_to_attribute(device, "*", callback)

    @property
    def _gw_subscriptions(self) -> dict[int, str]:
        """The subscriptions of the connection that are still to be answered, by their numbers."""
        topics = (GATEWAY_ATTRIBUTES_TOPIC, GATEWAY_ATTRIBUTES_RESPONSE_TOPIC, GATEWAY_RPC_TOPIC)
        return dict(enumerate(topics, 1)) if self.get_subscriptions_in_progress() else {}

    @property
    def device_disconnect_callback(self) -> _Callback | None:
        """What is called, as ``callback(gateway, content)``, when the server drops a device."""
        return given(self.__dropped_callback)

    @device_disconnect_callback.setter
    def device_disconnect_callback(self, callback: _Callback | None) -> None:
        self.__dropped_callback = taken("callback", callback, "gateway, content")

    # Called by the native client, as in `TBDeviceMqttClient`.

    def _hear_device_dropped(self, content: dict[str, Any]) -> None:
        if self.__dropped_callback is not None:
            self.__dropped_callback(self, content)
