"""Callbacks of every generation, and callbacks that fail (TB 0)."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from thingslink.sandbox import ThingsBoard
from thingslink.tb_device_mqtt import TBDeviceMqttClient
from thingslink.tb_gateway_mqtt import TBGatewayMqttClient

from .conftest import Calls, Maker


def test_attribute_callbacks_of_every_arity(device: TBDeviceMqttClient, server: ThingsBoard, calls: Calls) -> None:
    class Method:
        def both(self, body: Any, exception: Any) -> None:
            calls(body, exception)

    callbacks: list[Callable[..., object]] = [
        lambda body: calls(body),
        lambda body, exception: calls(body, exception),
        lambda client, body, exception: calls(client, body, exception),
        lambda *everything: calls(*everything),
        lambda body, exception=None: calls(body, exception),
        Method().both,
        functools.partial(lambda mark, body, exception: calls(mark, body, exception), "mark"),
    ]
    body = {"a": 1}
    expected = [
        (body,),
        (body, None),
        (device, body, None),
        (body, None),
        (body, None),
        (body, None),
        ("mark", body, None),
    ]
    for callback in callbacks:
        device.subscribe_to_attribute("a", callback)
    server.set_shared("Device 1", body)
    assert [calls.next() for _ in callbacks] == expected


def test_answers_of_every_arity(device: TBDeviceMqttClient, server: ThingsBoard, calls: Calls) -> None:
    server.set_shared("Device 1", {"a": 1})
    server.script("m", 5)
    for callback in (lambda body: calls(body), lambda client, body, exception: calls(client, body, exception)):
        device.request_attributes(shared_keys=["a"], callback=callback)
    device.send_rpc_call("m", {}, lambda client, number, body, exception: calls(client, number, body, exception))
    body = {"shared": {"a": 1}}
    assert [calls.next() for _ in range(3)] == [(body,), (device, body, None), (device, 2, 5, None)]


def test_handlers_of_calls_of_every_arity(
    device: TBDeviceMqttClient, gateway: TBGatewayMqttClient, server: ThingsBoard
) -> None:
    def native(request_id: str, body: Any) -> None:
        device.send_rpc_reply(request_id, ["native", body["method"]])

    def older(client: TBDeviceMqttClient, request_id: str, body: Any) -> None:
        client.send_rpc_reply(request_id, ["older", body["method"]])

    for handler, name in ((native, "native"), (older, "older")):
        device.set_server_side_rpc_request_handler(handler)
        assert server.rpc("Device 1", "m") == [name, "m"]

    def gw_native(client: TBGatewayMqttClient, content: Any) -> None:
        client.gw_send_rpc_reply(content["device"], content["data"]["id"], ["native", content["data"]["method"]])

    def gw_older(client: TBGatewayMqttClient, request_id: int, content: Any) -> None:
        client.gw_send_rpc_reply(content["device"], request_id, ["older", content["data"]["method"]])

    gateway.gw_connect_device("Pump 1").get()
    for gw_handler, name in ((gw_native, "native"), (gw_older, "older")):
        gateway.gw_set_server_side_rpc_request_handler(gw_handler)
        assert gateway.devices_server_side_rpc_request_handler is gw_handler
        assert server.rpc("Pump 1", "m") == [name, "m"]


def test_gateway_subscriptions_of_every_arity(gateway: TBGatewayMqttClient, server: ThingsBoard, calls: Calls) -> None:
    gateway.gw_connect_device("Pump 1").get()
    gateway.gw_subscribe_to_all_attributes(lambda content: calls(content))
    gateway.gw_subscribe_to_all_device_attributes("Pump 1", lambda client, data: calls(client, data))
    server.set_shared("Pump 1", {"a": 1})
    assert calls.next() == ({"device": "Pump 1", "data": {"a": 1}},)
    assert calls.next() == (gateway, {"a": 1})


def test_connect_callbacks_with_and_without_the_client(server: ThingsBoard, connected: Maker, calls: Calls) -> None:
    client = TBDeviceMqttClient(server.host, server.port, "A1_TEST_TOKEN")

    def callback(mqtt: Any, userdata: Any, flags: Any, code: Any, properties: Any, *, tb_client: Any) -> None:
        calls(mqtt, userdata, flags, code, properties, tb_client)

    client.connect(callback)
    mqtt, userdata, flags, code, properties, tb_client = calls.next()
    assert tb_client is client and mqtt is client._client and userdata is properties is None
    assert flags.session_present is False and code == 0 and not code.is_failure
    assert (code.value, code.getName(), str(code), int(code)) == (0, "Success", "Success", 0)
    client.disconnect()
    connected(client)


@pytest.mark.thingslink_allow_callback_exceptions(raises=KeyError)
def test_a_callback_that_fails_stops_nothing(
    device: TBDeviceMqttClient, server: ThingsBoard, calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*arguments: Any) -> None:
        raise KeyError("mine")

    device.subscribe_to_attribute("a", fails)
    device.subscribe_to_attribute("a", calls)
    device.set_server_side_rpc_request_handler(fails)
    server.script("m", 1)
    with caplog.at_level(logging.ERROR, logger="tb_connection"):
        device.send_rpc_call("m", {}, fails)
        device.request_attributes(callback=fails)
        server.set_shared("Device 1", {"a": 1})
        assert calls.next() == ({"a": 1}, None)
    assert "exception in a callback" in caplog.text and "KeyError: 'mine'" in caplog.text
    assert "in fails" in caplog.text
    assert device.send_telemetry({"a": 1}).get() == 0


def test_everything_may_be_called_from_inside_callbacks(
    device: TBDeviceMqttClient, server: ThingsBoard, calls: Calls
) -> None:
    def callback(body: Any, exception: Any) -> None:
        calls(device.send_telemetry({"inside": 1}).get(), device.send_attributes({"a": 1}).get())
        device.subscribe_to_attribute("b", calls)
        calls(device.disconnect())

    device.subscribe_to_attribute("a", callback)
    begun = time.monotonic()
    server.set_shared("Device 1", {"a": 1})
    assert calls.next() == (0, 0) and calls.next() == (0,)
    # The original burned a second in each get().
    assert time.monotonic() - begun < 10
    assert not device.is_connected()


def test_what_has_arrived_is_handled_before_the_end(device: TBDeviceMqttClient, server: ThingsBoard) -> None:
    numbers: list[int] = []
    begun = threading.Event()

    def slow(body: dict[str, int], _exception: Any) -> None:
        begun.set()
        time.sleep(0.01)
        numbers.append(body["n"])
        device.send_telemetry({"handled": body["n"]})

    device.subscribe_to_attribute("n", slow)
    for number in range(20):
        server.set_shared("Device 1", {"n": number})
    # Long before twenty more messages are answered they have all arrived.
    for _ in range(20):
        assert device.send_telemetry({"end": 1}).get() == 0
    assert begun.wait(20)
    device.disconnect()
    assert numbers == list(range(20))
    assert sum("handled" in entry["values"] for entry in server.telemetry_of("Device 1")) == 20


def test_what_is_no_callable_is_refused(device: TBDeviceMqttClient, gateway: TBGatewayMqttClient) -> None:
    takers: tuple[Callable[[Any], object], ...] = (
        device.set_server_side_rpc_request_handler,
        device.subscribe_to_all_attributes,
        device.set_on_firmware_received_callback,
        gateway.gw_subscribe_to_all_attributes,
    )
    for take in takers:
        with pytest.raises(TypeError, match="callable"):
            take(5)
    for wrong in (5, ("a", "b"), (print,)):
        with pytest.raises(TypeError, match="callable"):
            device.request_attributes(["a"], callback=wrong)  # type: ignore[arg-type]


def test_a_connect_callback_with_the_client_in_the_place_of_the_properties(
    server: ThingsBoard, connected: Maker, calls: Calls
) -> None:
    client = TBDeviceMqttClient(server.host, server.port, "A1_TEST_TOKEN")

    def of_first_generation(mqtt: Any, userdata: Any, flags: Any, code: Any, tb_client: Any = None) -> None:
        calls(mqtt, userdata, flags, code, tb_client)

    client.connect(of_first_generation)
    *_, code, tb_client = calls.next()
    assert code == 0 and tb_client is client
    client.disconnect()
    connected(client)


def test_coroutine_functions_in_every_setter(device: TBDeviceMqttClient, server: ThingsBoard, calls: Calls) -> None:
    async def noting(*arguments: Any) -> None:
        await asyncio.sleep(0)
        calls(threading.current_thread().name, *arguments)

    async def answering(client: Any, number: str, body: Any) -> None:
        await asyncio.sleep(0)
        client.send_rpc_reply(number, {"of": body["method"]}, wait_for_publish=True)

    thread = "thingslink-asyncio"
    device.subscribe_to_attribute("a", noting)
    device.set_server_side_rpc_request_handler(answering)
    server.set_shared("Device 1", {"a": 1})
    assert calls.next() == (thread, {"a": 1}, None)
    assert server.rpc("Device 1", "m") == {"of": "m"}
    server.script("m", 1)
    device.send_rpc_call("m", {}, noting)
    assert calls.next()[0] == thread
    device.request_attributes(shared_keys=["a"], callback=noting)
    assert calls.next() == (thread, {"shared": {"a": 1}}, None)
    device.set_on_firmware_received_callback(noting)
    server.offer_firmware("Device 1", "pump-fw", "v2", b"data")
    assert calls.next() == (thread, device, b"data", "v2")


def test_coroutine_functions_in_every_setter_of_a_gateway(
    gateway: TBGatewayMqttClient, server: ThingsBoard, calls: Calls
) -> None:
    async def noting(*arguments: Any) -> None:
        await asyncio.sleep(0)
        calls(threading.current_thread().name, *arguments)

    async def answering(client: Any, content: Any) -> None:
        await asyncio.sleep(0)
        client.gw_send_rpc_reply(content["device"], content["data"]["id"], {"of": content["data"]["method"]})

    thread = "thingslink-asyncio"
    gateway.gw_connect_device("Pump 1").get()
    gateway.gw_set_server_side_rpc_request_handler(answering)
    assert server.rpc("Pump 1", "m") == {"of": "m"}
    gateway.gw_subscribe_to_attribute("Pump 1", "a", noting)
    server.set_shared("Pump 1", {"a": 1})
    assert calls.next() == (thread, {"device": "Pump 1", "data": {"a": 1}})
    gateway.gw_request_shared_attributes("Pump 1", ["a"], noting)
    assert calls.next()[0] == thread


def test_coroutine_functions_in_the_setters_of_software(
    device: TBDeviceMqttClient, server: ThingsBoard, calls: Calls
) -> None:
    def noting(which: str) -> Callable[..., Any]:
        async def callback(*arguments: Any) -> None:
            await asyncio.sleep(0)
            calls(which, threading.current_thread().name, *arguments)

        return callback

    thread = "thingslink-asyncio"
    device.set_on_software_failed_callback(noting("failed"))
    device.set_on_software_url_callback(noting("elsewhere"))
    device.set_on_software_received_callback(noting("received"))
    server.offer_software("Device 1", "app", "1.0", b"data")
    assert calls.next() == ("received", thread, device, b"data", "1.0")
    server.offer_software("Device 1", "app", "1.1", b"data", checksum="00")
    assert calls.next()[:3] == ("failed", thread, device)
    server.set_shared("Device 1", {"sw_title": "app", "sw_version": "1.2", "sw_url": "http://localhost/app"})
    assert calls.next() == ("elsewhere", thread, device, "http://localhost/app", "1.2")


def test_a_connect_callback_that_is_a_coroutine_function(server: ThingsBoard, calls: Calls) -> None:
    client = TBDeviceMqttClient(server.host, server.port, "A1_TEST_TOKEN")

    async def callback(mqtt: Any, userdata: Any, flags: Any, code: Any) -> None:
        # It is inside of a callback, and so waits for none.
        client.disconnect()
        calls(client.is_connected())

    client.connect(callback)
    assert calls.next() == (False,)
    client.disconnect()
