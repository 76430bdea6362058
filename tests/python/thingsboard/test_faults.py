"""What a server should not send, on every topic that clients listen to."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from thingslink.sandbox import ThingsBoard
from thingslink.tb_device_mqtt import TBDeviceMqttClient
from thingslink.tb_gateway_mqtt import TBGatewayMqttClient

from .conftest import Calls, Maker

TOPICS = (
    "v1/devices/me/attributes",
    "v1/devices/me/attributes/response/1",
    "v1/devices/me/attributes/response/one",
    "v1/devices/me/rpc/request/1",
    "v1/devices/me/rpc/request/",
    "v1/devices/me/rpc/response/7",
    "v1/devices/me/rpc/response/x",
    "v1/gateway/attributes",
    "v1/gateway/attributes/response",
    "v1/gateway/rpc",
    "v1/gateway/disconnect",
    "v2/fw/response/1/chunk/0",
    "v2/fw/error",
    "something/else",
)
PAYLOADS = (
    b"",
    b"{",
    b"\xff\xfe",
    b"null",
    b"[]",
    b"7",
    b'"text"',
    b"{}",
    b'{"device": 5, "data": 6, "id": "x"}',
    b'{"device": "d", "data": [], "id": -1}',
    b'{"data": {"id": null}}',
    b'{"fw_title": 5, "fw_version": [], "fw_size": "x"}',
    b'{"shared": 5}',
    b'{"reason": "x"}',
)


@pytest.mark.parametrize("topic", TOPICS)
def test_malformed_messages_stop_nothing(server: ThingsBoard, connected: Maker, calls: Calls, topic: str) -> None:
    client = connected(TBGatewayMqttClient(server.host, server.port, "GATEWAY_TEST_TOKEN"))
    client.set_server_side_rpc_request_handler(lambda number, body: None)
    client.gw_set_server_side_rpc_request_handler(lambda gateway, number, body: None)
    client.gw_subscribe_to_all_attributes(lambda content: None)
    client.device_disconnect_callback = lambda gateway, content: None
    client.request_attributes(callback=lambda body, exception: None)
    client.subscribe_to_attribute("end", calls)
    for payload in PAYLOADS:
        assert server.push_raw("Gateway 1", topic, payload) == 1
    server.set_shared("Gateway 1", {"end": 1})
    assert calls.next() == ({"end": 1}, None)
    assert client.is_connected() and client.send_telemetry({"a": 1}).get() == 0


def test_what_is_passed_over_is_told(
    device: TBDeviceMqttClient, server: ThingsBoard, calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    device.subscribe_to_attribute("end", calls)
    with caplog.at_level(logging.ERROR, logger="tb_connection"):
        server.push_raw("Device 1", "v1/devices/me/attributes", b"[17]")
        server.set_shared("Device 1", {"end": 1})
        calls.next()
    assert "v1/devices/me/attributes" in caplog.text and "[17]" in caplog.text and "a JSON object" in caplog.text


def test_a_call_that_is_no_json_is_given_as_text(device: TBDeviceMqttClient, server: ThingsBoard, calls: Calls) -> None:
    device.set_server_side_rpc_request_handler(lambda number, body: calls(number, body))
    for payload, expected in ((b"plain \xff text", "plain  text"), (b"", ""), (b"5", 5)):
        server.push_raw("Device 1", "v1/devices/me/rpc/request/any thing", payload)
        assert calls.next() == ("any thing", expected)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(topic=st.sampled_from(TOPICS), payload=st.binary(max_size=200))
def test_random_bytes_stop_nothing(device: TBDeviceMqttClient, server: ThingsBoard, topic: str, payload: bytes) -> None:
    server.push_raw("Device 1", topic, payload)
    assert device.send_telemetry({"a": 1}).get() == 0


@pytest.mark.parametrize("answer", [b"", b"\x00" * 20, b"\x20\x02\x00\x00\xff\xff\xff\xff", b"\x90\x03\x00\x01\x00"])
def test_a_server_that_speaks_nonsense_is_told_and_left(raw_server: Any, calls: Calls, answer: bytes) -> None:
    raw_server.answers = False
    host, port = raw_server.address.split(":")
    client = TBDeviceMqttClient(host, int(port), "t")
    client.connect(calls, min_reconnect_delay=0.01)
    raw_server.next()
    raw_server.send(answer or b"\x30")
    client.disconnect()
    assert not client.is_connected()
