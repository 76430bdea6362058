"""Attributes, calls both ways, claims: the device's side."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from faces import device_of_both_faces
from thingslink.sandbox import ThingsBoard
from thingslink.tb_device_mqtt import TBDeviceMqttClient, TBTimeoutException

from .conftest import Calls, published


def test_attributes_are_asked_for(device: TBDeviceMqttClient, server: ThingsBoard, calls: Calls) -> None:
    server.set_shared("Device 1", {"configuration": {"a": [1]}, "limit": 5})
    server.set_client("Device 1", {"model": "X"})
    follower = server.follow()
    device.request_attributes(["model"], ["limit"], callback=calls)
    device.request_attributes(callback=calls)
    device.request_attributes(shared_keys=["limit", "no such"], callback=(calls, "mine"))
    assert calls.next() == ({"client": {"model": "X"}, "shared": {"limit": 5}}, None)
    everything, exception = calls.next()
    assert everything["shared"]["configuration"] == {"a": [1]} and exception is None
    assert calls.next() == ({"shared": {"limit": 5}}, None, "mine")
    requests = published(follower, "v1/devices/me/attributes/request/")
    assert next(requests)[:2] == (
        "v1/devices/me/attributes/request/1",
        b'{"clientKeys":"model","sharedKeys":"limit"}',
    )
    assert next(requests)[:2] == ("v1/devices/me/attributes/request/2", b"{}")
    assert next(requests)[:2] == ("v1/devices/me/attributes/request/3", b'{"sharedKeys":"limit,no such"}')


def test_an_answer_that_does_not_come_is_told(device: TBDeviceMqttClient, calls: Calls) -> None:
    for callback in (calls, (calls, "mine")):
        number = device._add_attr_request_callback(callback)
        device.add_attrs_request_timeout(number, 0.0)
        nothing, exception, *mine = calls.next()
        assert nothing is None and mine == (["mine"] if isinstance(callback, tuple) else [])
        assert isinstance(exception, TBTimeoutException)
        assert str(exception).startswith("Timeout while waiting for a reply")


def test_requests_that_wait_can_be_looked_at(device: TBDeviceMqttClient, calls: Calls) -> None:
    with device._lock:
        numbers = [device._add_attr_request_callback(callback) for callback in (calls, (calls, "mine"))]
        assert device._attr_request_dict == dict(zip(numbers, (calls, (calls, "mine")), strict=True))


def test_changes_of_attributes_are_told(device: TBDeviceMqttClient, server: ThingsBoard, calls: Calls) -> None:
    named: dict[str, Calls] = {name: Calls() for name in ("all", "a", "b")}
    order: list[str] = []

    def note(name: str) -> Any:
        def callback(content: Any, exception: Any) -> None:
            order.append(name)
            named[name](content, exception)

        return callback

    ids = [device.subscribe_to_attribute("a", note("a")), device.subscribe_to_attribute("b", note("b"))]
    ids.append(device.subscribe_to_all_attributes(note("all")))
    assert ids == [1, 2, 3]
    server.set_shared("Device 1", {"a": 1, "b": 2})
    # Every callback gets the whole message.
    for name in named:
        assert named[name].next() == ({"a": 1, "b": 2}, None)
    assert order == ["all", "a", "b"]
    server.delete_shared("Device 1", ["a"])
    for name in ("all", "a"):
        assert named[name].next() == ({"deleted": ["a"]}, None)
    device.unsubscribe_from_attribute(1)
    device.unsubscribe_from_attribute(99)
    server.set_shared("Device 1", {"a": 3})
    assert named["all"].next() == ({"a": 3}, None) and named["a"].empty and named["b"].empty
    device.unsubscribe_from_attribute("*")
    device.subscribe_to_attribute("c", calls)
    server.set_shared("Device 1", {"a": 4, "c": 5})
    assert calls.next() == ({"a": 4, "c": 5}, None) and named["all"].empty
    assert device.firmware_info == {"a": 4, "c": 5}
    device.clean_device_sub_dict()
    assert device.subscribe_to_attribute("c", calls) == 5


@pytest.mark.parametrize("resp", [{"ok": True}, 5, None, True, [1, 2], [{"a": 1}], "text", '{"a": 1}'])
@pytest.mark.parametrize("number", [str, int])
def test_calls_of_the_server_are_answered(
    device: TBDeviceMqttClient, server: ThingsBoard, calls: Calls, resp: Any, number: type
) -> None:
    def handler(request_id: str, body: Any) -> None:
        calls(request_id, body)
        device.send_rpc_reply(number(request_id), resp, wait_for_publish=True)

    device.set_server_side_rpc_request_handler(handler)
    expected = {"a": 1} if resp == '{"a": 1}' else resp
    assert server.rpc("Device 1", "setGpio", {"pin": 7}) == expected
    request_id, body = calls.next()
    assert isinstance(request_id, str) and body == {"method": "setGpio", "params": {"pin": 7}}
    device.set_server_side_rpc_request_handler(None)


def test_calls_to_the_server_are_answered(device: TBDeviceMqttClient, server: ThingsBoard, calls: Calls) -> None:
    server.script("getTime", {"now": 17})
    follower = server.follow()
    device.send_rpc_call("getTime", {"zone": "UTC"}, calls)
    # The first number was the client's own, for the session's limits.
    assert calls.next() == (2, {"now": 17}, None)
    topic, payload, qos = next(published(follower, "v1/devices/me/rpc/request/"))
    assert (topic, json.loads(payload), qos) == (
        "v1/devices/me/rpc/request/2",
        {"method": "getTime", "params": {"zone": "UTC"}},
        1,
    )
    server.script("unheard of", {"error": "no such method"})
    device.send_rpc_call("unheard of", {}, calls)
    assert "error" in calls.next()[1]
    device.send_rpc_call("getTime", {}, None)


@pytest.mark.parametrize("method", [None, 5, ["m"]])
def test_a_call_without_a_method_is_refused(device: TBDeviceMqttClient, method: Any) -> None:
    """The server hangs up over it."""
    with pytest.raises(TypeError, match="method must be str"):
        device.send_rpc_call(method, {}, None)
    assert device.send_telemetry({"later": 1}).get() == 0


def test_a_call_that_is_not_answered_in_time_is_told(
    device: TBDeviceMqttClient, server: ThingsBoard, calls: Calls
) -> None:
    server.leave_unanswered("silence")
    device.send_rpc_call("silence", {}, calls, timeout=0.05)
    number, nothing, exception = calls.next()
    assert number == 2 and nothing is None and isinstance(exception, TBTimeoutException)


def test_a_call_whose_connection_is_lost_is_told(device: TBDeviceMqttClient, server: ThingsBoard, calls: Calls) -> None:
    server.leave_unanswered("silence")
    follower = server.follow()
    device.send_rpc_call("silence", {}, calls)
    next(published(follower, "v1/devices/me/rpc/request/"))
    server.cut()
    number, nothing, exception = calls.next()
    assert number == 2 and nothing is None and isinstance(exception, ConnectionError)


def test_the_session_s_limits_are_asked_for_and_kept(
    server: ThingsBoard, connected: Any, calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    server.limit(
        messages="200:1,6000:60",
        telemetry_messages="100:1,3000:60",
        telemetry_data_points="200:1,6000:60",
        in_flight=100,
        payload_bytes=65536,
    )
    client = TBDeviceMqttClient(server.host, server.port, "A1_TEST_TOKEN")

    def answered(*arguments: Any) -> None:
        client.on_service_configuration(*arguments)
        calls(*arguments)

    client.service_configuration_callback = answered
    connected(client)
    number, limits, exception = calls.next()
    assert number == 1 and limits["maxInflightMessages"] == 100 and exception is None
    # The example of TB 1.4, as observed.
    assert client._client._max_inflight_messages == 64 and client._client._max_queued_messages == 64
    assert client.max_payload_size == 52428 and client.rate_limits_received
    assert client._messages_rate_limit.__dict__["rateLimits"]["1"]["capacity"] == 160
    with caplog.at_level(logging.WARNING, logger="tb_connection"):
        client.on_service_configuration(None, {"error": "timeout"})
        client.on_service_configuration(None, ["no limits"])
    assert "Timeout while waiting for service configuration" in caplog.text
    assert "Cannot retrieve service configuration" in caplog.text
    client.on_service_configuration(None, {"rateLimits": {"messages": None}, "maxInflightMessages": 0})
    assert not client._messages_rate_limit.has_limit() and client._client._max_inflight_messages == 64
    client.request_service_configuration(calls)
    assert calls.next()[1]["rateLimits"]["messages"] == "200:1,6000:60"


@device_of_both_faces
def test_a_device_is_claimed(device: TBDeviceMqttClient, server: ThingsBoard) -> None:
    assert device.claim("s3").get() == 0
    assert server.device("Device 1")["claim"] == {"secretKey": "s3", "durationMs": 30000}  # type: ignore[index]
    device.claim("s4", duration=60000).get()
    assert server.device("Device 1")["claim"]["durationMs"] == 60000  # type: ignore[index]


def test_queues_are_bounded_as_asked(device: TBDeviceMqttClient, caplog: pytest.LogCaptureFixture) -> None:
    device.max_inflight_messages_set(7)
    assert device._client._max_inflight_messages == 7
    with caplog.at_level(logging.ERROR, logger="tb_connection"):
        device.max_inflight_messages_set(-1)
    assert "equal or greater than 0" in caplog.text and device._client._max_inflight_messages == 7
    device._client._max_inflight_messages = 0
    assert device._client._max_inflight_messages == 0
    device.max_queued_messages_set(9)
    assert device._client._max_queued_messages == 9
    with pytest.raises(ValueError, match="Invalid queue size -1"):
        device.max_queued_messages_set(-1)
