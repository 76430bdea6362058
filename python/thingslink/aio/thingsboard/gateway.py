"""`TBGatewayMqttClient`: a gateway with devices behind it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar

from thingslink import _native
from thingslink._arguments import checked
from thingslink._native import Callback
from thingslink.aio._binding import awaited, taking
from thingslink.aio.thingsboard._answering import ALL
from thingslink.aio.thingsboard._changed import changed, fields
from thingslink.aio.thingsboard.device import Hearing, TBDeviceMqttClient
from thingslink.thingsboard import gateway as _gateway

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeAlias

    from thingslink.aio._updates import Updates

    _Keys: TypeAlias = str | Iterable[str] | None

__all__ = ["TBGatewayMqttClient"]

log = logging.getLogger("tb_connection")

F = TypeVar("F", bound="Callable[..., object]")


class _HearingGateway(Hearing, _gateway.TBGatewayMqttClient):
    """The same of a gateway."""


@checked
class TBGatewayMqttClient(TBDeviceMqttClient):
    """A gateway of a ThingsBoard server, with devices behind it, over MQTT, for asyncio.

    A device as well: everything of ``TBDeviceMqttClient`` works for the gateway itself. The arguments are those of
    ``thingslink.tb_gateway_mqtt.TBGatewayMqttClient``. Devices are announced again after a reconnect.
    """

    _core: _HearingGateway
    _view: _native.GatewayClient

    @taking(_gateway.TBGatewayMqttClient)
    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._begin(_HearingGateway(*arguments, **options), _native.GatewayClient)
        self._device_handlers: dict[str, Callable[..., object]] = {}
        self._core.gw_subscribe_to_all_attributes(self._hear_device_attributes)

    def _hear_device_attributes(self, content: Any) -> None:
        self._post.put(self._following.tell, "device attributes", content)

    def _hear_device_call(self, gateway: object, content: Any) -> None:  # noqa: ARG002 - the form says what is wanted
        self._post.put(self._take_device_call, content)

    @property
    def gateway(self) -> Any:
        """Whatever the constructor was given."""
        return self._core.gateway

    gw_connect_device = awaited(_native.GatewayClient.gw_connect_device)
    gw_disconnect_device = awaited(_native.GatewayClient.gw_disconnect_device)
    gw_send_telemetry = awaited(_native.GatewayClient.gw_send_telemetry)
    gw_send_attributes = awaited(_native.GatewayClient.gw_send_attributes)
    gw_send_rpc_reply = awaited(_native.GatewayClient.gw_send_rpc_reply)
    gw_claim = awaited(_native.GatewayClient.gw_claim)

    async def gw_request_shared_attributes(self, device_name: str, keys: _Keys = None) -> dict[str, Any]:
        """Ask for shared attributes of a device; gives the answer."""
        answer: dict[str, Any] = await self._ask("gw_request_shared_attributes", device_name, keys)
        return answer

    async def gw_request_client_attributes(self, device_name: str, keys: _Keys = None) -> dict[str, Any]:
        """Ask for client attributes of a device; gives the answer."""
        answer: dict[str, Any] = await self._ask("gw_request_client_attributes", device_name, keys)
        return answer

    def gw_rpc(self, method: str = ALL) -> Callable[[F], F]:
        """Have calls to devices answered, as ``rpc`` does: ``handler(device, params)``.

        Args:
            method: Name of the method; ``"*"`` for all others, whose handler is ``handler(device, method, params)``.
        """

        def take(handler: F) -> F:
            form = "device, method, params" if method == ALL else "device, params"
            self._device_handlers[method] = Callback("handler", handler, form).function
            self._core.gw_set_server_side_rpc_request_handler(self._hear_device_call)
            return handler

        return take

    def gw_attribute_updates(self, device: str = ALL, *keys: str) -> Updates[dict[str, Any]]:
        """Give a stream of changes of devices' shared attributes, from now on: dicts with ``"device"`` and ``"data"``.

        Args:
            device: Name of the one that counts; ``"*"`` for all.
            keys: Names of the attributes that count; without any all do.
        """
        wanted: frozenset[str] = frozenset() if ALL in keys else frozenset(keys)

        def wants(content: dict[str, Any]) -> bool:
            is_of_it = device in {ALL, content.get("device")}
            return is_of_it and (not wanted or bool(wanted & changed(content.get("data"))))

        return self._open("device attributes", wants)

    def gw_dropped_devices(self) -> Updates[dict[str, Any]]:
        """Give a stream of the devices that the server drops, from now on: dicts with ``"device"`` and ``"reason"``."""
        return self._open("dropped")

    def get_subscriptions_in_progress(self) -> bool:
        """Whether the subscriptions of the connection are still to be answered."""
        return self._core.get_subscriptions_in_progress()

    def _take_dropped(self, content: dict[str, Any]) -> None:
        self._following.tell("dropped", content)

    def _take_device_call(self, content: Any) -> None:
        told = fields(content)
        data = fields(told.get("data"))
        if "id" not in data:
            log.error('passed over a call to a device: expected an object whose "data" has an "id"')
            return
        device, number = told.get("device"), data["id"]
        self._answering.answer(
            self._device_handlers,
            data,
            (device,),
            lambda answer: self._call("gw_send_rpc_reply", device, number, answer),
        )
