"""What is told to the server of messages whose callback has raised."""

from __future__ import annotations

import queue
import socket
from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE, RawServer, publish
from thingslink.tb_device_mqtt import TBDeviceMqttClient
from thingslink.tb_gateway_mqtt import TBGatewayMqttClient

if TYPE_CHECKING:
    from .conftest import Maker

#: What is sent to a device, and to a device behind a gateway.
CALL = "v1/devices/me/rpc/request/1", b'{"method":"switch","params":1}'
PUSH = "v1/devices/me/attributes", b'{"switch":1}'
GATEWAY_CALL = "v1/gateway/rpc", b'{"device":"Pump","data":{"id":1,"method":"switch","params":1}}'


def acknowledgements(server: RawServer, last: int) -> list[int]:
    """Give the IDs of the messages that are acknowledged, up to this one."""
    found: list[int] = []
    while last not in found:
        packet = server.next()
        if packet[0] == 0x40:
            found.append(int.from_bytes(packet[2:4], "big"))
    return found


class Broken:
    """Callbacks that raise until they are mended."""

    def __init__(self) -> None:
        self.called: queue.Queue[Any] = queue.Queue()
        self.mended = False

    def __call__(self, *arguments: Any) -> None:
        self.called.put(arguments)
        if not self.mended:
            raise OSError("no room on the disk")


@pytest.mark.thingslink_allow_callback_exceptions(raises=OSError)
@pytest.mark.parametrize("message", [CALL, PUSH, GATEWAY_CALL])
def test_what_failed_is_kept_and_taken_when_it_comes_again(
    raw_server: RawServer, connected: Maker, message: tuple[str, bytes]
) -> None:
    host, _, port = raw_server.address.partition(":")
    made = TBGatewayMqttClient if message is GATEWAY_CALL else TBDeviceMqttClient
    client = made(host, int(port), "token", protocol="3.1.1", on_callback_error="keep")
    broken = Broken()
    client.set_server_side_rpc_request_handler(broken)
    client.subscribe_to_attribute("switch", broken)
    if isinstance(client, TBGatewayMqttClient):
        client.gw_set_server_side_rpc_request_handler(broken)
    connected(client)
    raw_server.send(publish(*message, qos=1, mid=1))
    broken.called.get(timeout=PATIENCE)
    # Messages to nobody are acknowledged, and in order.
    raw_server.send(publish("elsewhere", b"{}", qos=1, mid=2))
    assert acknowledgements(raw_server, 2) == [2]
    broken.mended = True
    raw_server.connections[-1].shutdown(socket.SHUT_RDWR)
    while raw_server.next()[0] != 0x82:
        pass
    raw_server.send(publish(*message, qos=1, mid=1))
    broken.called.get(timeout=PATIENCE)
    assert acknowledgements(raw_server, 1) == [1]


@pytest.mark.thingslink_allow_callback_exceptions(raises=OSError)
def test_without_a_wish_it_is_acknowledged(raw_server: RawServer, connected: Maker) -> None:
    host, _, port = raw_server.address.partition(":")
    client = TBDeviceMqttClient(host, int(port), "token", protocol="3.1.1")
    client.set_server_side_rpc_request_handler(Broken())
    connected(client)
    raw_server.send(publish(*CALL, qos=1, mid=1))
    assert acknowledgements(raw_server, 1) == [1]


@pytest.mark.parametrize("made", [TBDeviceMqttClient, TBGatewayMqttClient])
def test_what_cannot_be_is_refused_by_name(made: type[TBDeviceMqttClient]) -> None:
    with pytest.raises(ValueError, match='on_callback_error "drop" is not valid: expected "acknowledge" or "keep"'):
        made("h", on_callback_error="drop")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="on_callback_error must be str, not bool"):
        made("h", on_callback_error=True)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected quality_of_service=1, since at QoS 0"):
        made("h", quality_of_service=0, on_callback_error="keep")
    made("h", quality_of_service=0, on_callback_error="acknowledge")
    # Callbacks get no messages that could be acknowledged one by one.
    with pytest.raises(TypeError, match="unexpected keyword argument 'manual_ack'"):
        made("h", manual_ack=True)  # type: ignore[call-arg]
