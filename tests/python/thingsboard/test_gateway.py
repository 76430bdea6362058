"""The gateway's side: devices behind it."""

from __future__ import annotations

import logging

import pytest
from faces import gateway_of_both_faces
from thingslink.sandbox import ThingsBoard
from thingslink.tb_gateway_mqtt import TBGatewayMqttClient

from .conftest import Calls, Maker, published


@gateway_of_both_faces
def test_devices_come_and_go(gateway: TBGatewayMqttClient, server: ThingsBoard) -> None:
    follower = server.follow()
    assert gateway.gw_connect_device("Pump 1", "pump").get() == 0
    assert gateway.gw_connect_device("Pump 2").get() == 0
    assert server.connected == ["Gateway 1", "Pump 1", "Pump 2"]
    assert gateway.gw_disconnect_device("Pump 1").get() == 0
    assert gateway.gw_disconnect_device("never seen").get() == 0
    assert server.connected == ["Gateway 1", "Pump 2"]
    messages = published(follower, "v1/gateway/")
    assert next(messages)[:2] == ("v1/gateway/connect", b'{"device":"Pump 1","type":"pump"}')
    assert next(messages)[:2] == ("v1/gateway/connect", b'{"device":"Pump 2","type":"default"}')
    assert next(messages)[:2] == ("v1/gateway/disconnect", b'{"device":"Pump 1"}')
    assert gateway.get_subscriptions_in_progress() is False


def test_attributes_of_devices_are_asked_for(gateway: TBGatewayMqttClient, server: ThingsBoard, calls: Calls) -> None:
    gateway.gw_connect_device("Pump 1").get()
    server.set_shared("Pump 1", {"a": 5, "b": 6})
    gateway.gw_send_attributes("Pump 1", {"model": "X"}).get()
    follower = server.follow()
    gateway.gw_request_shared_attributes("Pump 1", ["a"], calls)
    gateway.gw_request_shared_attributes("Pump 1", ["a", "b"], (calls, "mine"))
    gateway.gw_request_client_attributes("Pump 1", ["model"], calls)
    gateway.gw_request_client_attributes("Pump 1", ["no such"], calls)
    assert calls.next() == ({"id": 1, "device": "Pump 1", "value": 5}, None)
    assert calls.next() == ({"id": 2, "device": "Pump 1", "values": {"a": 5, "b": 6}}, None, "mine")
    assert calls.next() == ({"id": 3, "device": "Pump 1", "value": "X"}, None)
    assert calls.next() == ({"id": 4, "device": "Pump 1"}, None)
    assert next(published(follower, "v1/gateway/attributes/request"))[1] == (
        b'{"keys":["a"],"device":"Pump 1","client":false,"id":1}'
    )
    # One counter with the gateway's own requests.
    gateway.request_attributes(callback=calls)
    assert next(published(follower, "v1/devices/me/attributes/request/"))[0].endswith("/5")


def test_changes_of_attributes_are_told(
    gateway: TBGatewayMqttClient, server: ThingsBoard, caplog: pytest.LogCaptureFixture
) -> None:
    order: list[str] = []
    seen = {name: Calls() for name in ("all", "device", "a", "second")}

    def note(name: str) -> Calls:
        class Note(Calls):
            def __call__(self, *arguments: object) -> None:
                order.append(name)
                seen[name](*arguments)

        return Note()

    with caplog.at_level(logging.ERROR, logger="tb_connection"):
        assert gateway.gw_subscribe_to_attribute("Pump 1", "a", print) is False
    assert "Device Pump 1 is not connected" in caplog.text
    gateway.gw_connect_device("Pump 1").get()
    assert gateway.gw_subscribe_to_attribute("Pump 1", "a", note("a")) == 1
    assert gateway.gw_subscribe_to_all_device_attributes("Pump 1", note("device")) == 2
    assert gateway.gw_subscribe_to_all_attributes(note("all")) == 3
    server.set_shared("Pump 1", {"a": 1, "b": 2})
    for name in ("all", "device", "a"):
        assert seen[name].next() == ({"device": "Pump 1", "data": {"a": 1, "b": 2}},)
    assert order == ["all", "device", "a"]
    # A second one for the same device and attribute takes the place of the first.
    assert gateway.gw_subscribe_to_attribute("Pump 1", "a", note("second")) == 4
    gateway.gw_unsubscribe(2)
    server.set_shared("Pump 1", {"a": 3})
    assert seen["second"].next() and seen["all"].next()
    assert seen["a"].empty and seen["device"].empty
    gateway.gw_unsubscribe("Pump 1")
    server.set_shared("Pump 1", {"a": 4})
    assert seen["all"].next() and seen["second"].empty
    gateway.gw_unsubscribe("*")
    assert gateway.gw_subscribe_to_all_attributes(note("all")) == 5


def test_devices_that_the_server_drops_are_told(
    gateway: TBGatewayMqttClient, server: ThingsBoard, calls: Calls
) -> None:
    gateway.gw_connect_device("Pump 1").get()
    gateway.device_disconnect_callback = calls
    gateway.on_service_configuration(None, {"rateLimits": {}, "gatewayRateLimits": {"messages": "10:60"}})
    server.drop_device("Pump 1", 150)
    assert calls.next() == (gateway, {"device": "Pump 1", "reason": 150})
    limit = gateway._devices_connected_through_gateway_messages_rate_limit
    assert limit.check_limit_reached(1) == (8.0, 60)


def test_devices_are_claimed(gateway: TBGatewayMqttClient, server: ThingsBoard) -> None:
    assert gateway.gw_claim("Pump 1", "s", 60000).get() == 0
    assert server.device("Pump 1")["claim"] == {"secretKey": "s", "durationMs": 60000}  # type: ignore[index]
    gateway.gw_claim("Pump 1", "s", 60000, {"Pump 2": {"secretKey": "t"}}).get()
    assert server.device("Pump 2")["claim"] == {"secretKey": "t"}  # type: ignore[index]


@pytest.mark.parametrize("resp", [{"ok": 1}, "text", [1], None, 5])
def test_answers_of_devices(gateway: TBGatewayMqttClient, server: ThingsBoard, resp: object) -> None:
    def handler(client: TBGatewayMqttClient, content: dict[str, dict[str, int]]) -> None:
        client.gw_send_rpc_reply(str(content["device"]), content["data"]["id"], resp)

    gateway.gw_set_server_side_rpc_request_handler(handler)
    gateway.gw_connect_device("Pump 1").get()
    assert server.rpc("Pump 1", "m") == resp
    assert gateway.gw_send_rpc_reply("Pump 1", 1, {}, quality_of_service=2) is None  # type: ignore[arg-type]


def test_a_device_that_is_no_gateway_is_never_answered(server: ThingsBoard, connected: Maker) -> None:
    client = connected(TBGatewayMqttClient(server.host, server.port, "A1_TEST_TOKEN"))
    info = client.gw_connect_device("Pump 1")
    assert info.get(timeout=0.05) == info.TB_ERR_AGAIN and not info.is_published()
    assert client.send_telemetry({"a": 1}).get() == 0


def test_subscribers_of_one_attribute_are_told_of_its_deletion(
    gateway: TBGatewayMqttClient, server: ThingsBoard
) -> None:
    gateway.gw_connect_device("Pump 1").get()
    told = {name: Calls() for name in ("a", "b")}
    for name, calls in told.items():
        gateway.gw_subscribe_to_attribute("Pump 1", name, calls)
    server.set_shared("Pump 1", {"a": 1, "b": 2})
    for calls in told.values():
        calls.next()
    server.delete_shared("Pump 1", ["a"])
    assert told["a"].next() == ({"device": "Pump 1", "data": {"deleted": ["a"]}},)
    server.set_shared("Pump 1", {"b": 3})
    # Of the other's deletion it was not told.
    assert told["b"].next() == ({"device": "Pump 1", "data": {"b": 3}},)
