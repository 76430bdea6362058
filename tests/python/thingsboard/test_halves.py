"""The Python half of the clients over the native one: who names whom, and what programs' own classes may do."""

from __future__ import annotations

import inspect
import logging
import weakref
from pathlib import Path
from typing import Any

import pytest
from thingslink._native import DeviceClient, GatewayClient
from thingslink.sandbox import ThingsBoard
from thingslink.tb_device_mqtt import TBDeviceMqttClient
from thingslink.tb_gateway_mqtt import TBGatewayMqttClient

from .conftest import TOKEN, Calls, Eventually, Maker

ROOT = Path(__file__).parent.parent.parent.parent


def test_the_native_half_imports_nothing_of_ours() -> None:
    sources = [*(ROOT / "src/py/thingsboard").rglob("*.rs")]
    assert len(sources) > 10
    assert [path.name for path in sources if 'import("thingslink' in path.read_text(encoding="utf-8")] == []


def test_what_happens_often_is_native_and_not_overridden() -> None:
    often = "send_telemetry send_attributes request_attributes subscribe_to_attribute send_rpc_call send_rpc_reply"
    for name in often.split():
        assert getattr(TBDeviceMqttClient, name) is getattr(TBGatewayMqttClient, name) is getattr(DeviceClient, name)
    for name in ("gw_send_telemetry", "gw_send_attributes", "gw_send_rpc_reply", "gw_request_shared_attributes"):
        assert getattr(TBGatewayMqttClient, name) is getattr(GatewayClient, name)


def test_constructors_show_the_arguments_of_today() -> None:
    device, gateway = (inspect.signature(kind) for kind in (TBDeviceMqttClient, TBGatewayMqttClient))
    shown = {name: parameter.default for name, parameter in device.parameters.items()}
    assert [*shown] == [
        "host",
        "port",
        "username",
        "password",
        "quality_of_service",
        "client_id",
        "chunk_size",
        "messages_rate_limit",
        "telemetry_rate_limit",
        "telemetry_dp_rate_limit",
        "max_payload_size",
        "protocol",
        "on_callback_error",
        "kwargs",
    ]
    assert (shown["port"], shown["max_payload_size"], shown["protocol"]) == (1883, 8196, 5)
    assert [*gateway.parameters][4:6] == ["gateway", "quality_of_service"]
    connect = str(inspect.signature(TBDeviceMqttClient.connect))
    for default in ("= 1,", "= 120,", "= False,", "= 120, *,"):
        assert default in connect


@pytest.mark.parametrize("kind", [TBDeviceMqttClient, TBGatewayMqttClient, type(TBDeviceMqttClient("h")._client)])
def test_everything_public_says_what_it_does(kind: type) -> None:
    for name in dir(kind):
        member = inspect.getattr_static(kind, name)
        if not name.startswith("_") and (callable(getattr(kind, name)) or isinstance(member, property)):
            assert inspect.getdoc(getattr(kind, name)), name


def test_a_class_of_a_program_s_own_may_use_plain_names(server: ThingsBoard, connected: Maker, calls: Calls) -> None:
    class Pump(TBGatewayMqttClient):
        """Names that such classes have; none of them is ours."""

        _connected = _connection = _callback = _settings = _publish = _made = _hooks = 5

        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self._host = self._port = self._mqtt = self._open = None

        def _on_decoded_message(self, _content: Any, _message: Any, **_kwargs: Any) -> None:
            calls(_content, _message.topic)

    pump = connected(Pump(server.host, server.port, "GATEWAY_TEST_TOKEN"))
    assert pump.send_telemetry({"a": 1}).get() == 0
    assert server.push_raw("Gateway 1", "something/else", b'{"a": 1}') == 1
    assert calls.next() == ({"a": 1}, "something/else")


def test_a_class_s_own_connect_handler_is_told_in_the_place_of_ours(server: ThingsBoard, calls: Calls) -> None:
    class Pump(TBDeviceMqttClient):
        def _on_connect(self, *arguments: Any) -> None:
            calls("class", *arguments)
            super()._on_connect(*arguments)

    pump = Pump(server.host, server.port, TOKEN)
    pump.connect(lambda *arguments: calls("given", *arguments))
    (first, mqtt, *_), (second, *_) = calls.next(), calls.next()
    assert (first, second) == ("class", "given") and mqtt is pump._client
    pump.disconnect()


@pytest.mark.thingslink_allow_callback_exceptions(raises=KeyError)
def test_what_a_told_method_raises_is_logged_and_stops_nothing(
    server: ThingsBoard, connected: Maker, caplog: pytest.LogCaptureFixture, calls: Calls
) -> None:
    class Pump(TBDeviceMqttClient):
        def _on_decoded_message(self, _content: Any, _message: Any, **_kwargs: Any) -> None:
            raise KeyError("mine")

    pump = connected(Pump(server.host, server.port, TOKEN))
    pump.subscribe_to_attribute("end", calls)
    with caplog.at_level(logging.ERROR, logger="tb_connection"):
        server.push_raw("Device 1", "something/else", b"{}")
        server.set_shared("Device 1", {"end": 1})
        assert calls.next() == ({"end": 1}, None)
    assert "KeyError: 'mine'" in caplog.text


def test_the_callback_for_limits_is_the_client_s_own_until_another_is_set() -> None:
    client = TBDeviceMqttClient("h")
    assert client.service_configuration_callback == client.on_service_configuration
    client.service_configuration_callback = print
    assert client.service_configuration_callback is print
    client.service_configuration_callback = None
    assert client.service_configuration_callback == client.on_service_configuration


@pytest.mark.parametrize("host", [0, False, b""])
def test_a_host_that_is_no_text_is_refused_even_when_it_counts_as_false(host: Any) -> None:
    with pytest.raises(TypeError, match="host must be str"):
        TBDeviceMqttClient(host)
    assert repr(TBDeviceMqttClient(None)).startswith("<TBDeviceMqttClient :1883")  # type: ignore[arg-type]


def test_what_connect_refuses_changes_nothing(server: ThingsBoard, calls: Calls) -> None:
    client = TBDeviceMqttClient(server.host, server.port, TOKEN)
    client.connect(calls, min_reconnect_delay=0.01)
    assert calls.next()[3] == 0
    with pytest.raises(ValueError, match="keepalive"):
        client.connect(print, keepalive=0.5)
    server.cut()
    # The first callback still holds.
    assert calls.next()[3] == 0
    client.disconnect()


def test_a_client_that_was_never_connected_is_freed_at_once() -> None:
    for kind in (TBDeviceMqttClient, TBGatewayMqttClient):
        client = kind("h")
        assert not client._client.is_connected()
        kept = weakref.ref(client)
        del client
        # No cycle: the garbage collector is not needed.
        assert kept() is None


def test_a_callback_that_counts_as_false_is_called_like_any_other(server: ThingsBoard, eventually: Eventually) -> None:
    class Recorder(list[Any]):
        def __call__(self, *arguments: Any) -> None:
            self.append(arguments)

    reached, limits, firmware = Recorder(), Recorder(), Recorder()
    client = TBDeviceMqttClient(server.host, server.port, TOKEN)
    client._client._on_connect = reached
    client.service_configuration_callback = limits
    client.set_on_firmware_received_callback(firmware)
    client.connect()
    eventually(lambda: reached and limits)
    assert reached[0][3] == 0 and limits[0][0] == 1
    server.offer_firmware("Device 1", "pump-fw", "v2", b"data")
    eventually(lambda: firmware)
    assert firmware[0][1:] == (b"data", "v2")
    client.disconnect()
