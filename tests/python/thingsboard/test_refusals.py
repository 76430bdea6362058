"""A refused login is told, and nobody waits for it; what is too large is told, too."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from harness import PATIENCE, V5_CONNACK, V311_CONNACK, RawServer
from thingslink.sandbox import ThingsBoard
from thingslink.tb_device_mqtt import TBDeviceMqttClient, TBPublishInfo
from thingslink.tb_gateway_mqtt import TBGatewayMqttClient

from .conftest import Calls, Eventually, Maker

#: Whoever waits for something that never comes waits longer than this test.
FOR_EVER = PATIENCE * 100


@pytest.fixture
def refused(server: ThingsBoard, calls: Calls) -> Any:
    """A gateway with a token that nobody knows, after the answer to its login."""
    client = TBGatewayMqttClient(server.host, server.port, "WRONG")
    client.connect(
        lambda _client, _userdata, _flags, code: calls(code.value, code.is_failure), min_reconnect_delay=0.01
    )
    code, is_failure = calls.next()
    assert is_failure and code in {134, 135}
    yield client
    client.disconnect(timeout=0.5)


def test_a_wrong_token_ends_every_wait_at_once(refused: TBGatewayMqttClient, calls: Calls) -> None:
    assert not refused.is_connected()
    asked = Calls()
    sent = [
        refused.send_telemetry({"a": 1}, timeout=FOR_EVER),
        refused.send_attributes({"a": 1}),
        refused.send_rpc_reply("1", {"a": 1}, wait_for_publish=True),
        refused.send_rpc_call("m", {}, asked),
        refused.request_attributes(["a"], callback=asked),
        refused.claim("secret"),
        refused.gw_connect_device("Pump 1"),
        refused.gw_disconnect_device("Pump 1"),
        refused.gw_send_telemetry("Pump 1", {"a": 1}),
        refused.gw_send_attributes("Pump 1", {"a": 1}),
        refused.gw_send_rpc_reply("Pump 1", 1, {"a": 1}),
        refused.gw_request_shared_attributes("Pump 1", ["a"], asked),
        refused._client.publish("v1/devices/me/telemetry", "{}"),
    ]
    for info in sent:
        assert info is not None
        assert (info.get(timeout=FOR_EVER), info.mid()) == (TBPublishInfo.TB_ERR_AUTH, [])
    assert TBPublishInfo.ERRORS_DESCRIPTION[TBPublishInfo.TB_ERR_AUTH] == "the login was refused"
    for _ in range(3):
        *_, answer, exception = asked.next()
        assert answer is None and isinstance(exception, ConnectionError) and "refuses the login" in str(exception)


def test_a_wrong_token_is_told_in_the_log(
    caplog: pytest.LogCaptureFixture, refused: TBGatewayMqttClient, eventually: Eventually
) -> None:
    assert refused.send_telemetry({"a": 1}).rc() == TBPublishInfo.TB_ERR_AUTH
    # For each attempt.
    eventually(lambda: "is the access token, or user name and password, right?" in caplog.text)
    assert "WRONG" not in caplog.text


def test_who_waits_already_hears_of_the_refusal(raw_server: RawServer, eventually: Eventually) -> None:
    """Before the login is answered sending waits."""
    raw_server.connack = b""
    host, port = raw_server.address.split(":")
    client = TBDeviceMqttClient(host, int(port), "t")
    client.connect(min_reconnect_delay=0.01)
    codes: list[int] = []
    waiting = threading.Thread(target=lambda: codes.append(client.send_telemetry({"a": 1}, timeout=FOR_EVER).rc()))
    waiting.start()
    raw_server.next()
    raw_server.send(b"\x20\x03\x00\x86\x00")
    waiting.join(PATIENCE)
    assert codes == [TBPublishInfo.TB_ERR_AUTH]
    client.disconnect(timeout=0.5)


def test_get_ends_when_the_token_is_refused_later(
    raw_server: RawServer, connected: Maker, eventually: Eventually
) -> None:
    raw_server.unacknowledged = b'"kept"'
    host, port = raw_server.address.split(":")
    client = connected(TBDeviceMqttClient(host, int(port), "t", protocol="3.1.1"), limits=False)
    info = client.send_telemetry({"kept": 1})
    raw_server.connack = b"\x20\x02\x00\x05"
    raw_server.connections[-1].close()
    assert info.get(timeout=FOR_EVER) == TBPublishInfo.TB_ERR_AUTH and info.rc() == 0
    info.message_info[0].wait_for_publish()
    # Once the server lets it in the message goes out again.
    raw_server.unacknowledged = None
    raw_server.connack = V311_CONNACK
    eventually(client.is_connected)
    assert info.get(timeout=PATIENCE) == 0
    assert info.is_published()


@pytest.mark.parametrize("code", [b"\x88", b"\x89", b"\x97", b"\x9f"])
def test_a_server_that_is_busy_is_waited_for(raw_server: RawServer, calls: Calls, code: bytes) -> None:
    raw_server.connack = b"\x20\x03\x00" + code + b"\x00"
    host, port = raw_server.address.split(":")
    client = TBDeviceMqttClient(host, int(port), "t")
    client.connect(lambda *arguments: calls(arguments[3].value), min_reconnect_delay=0.01)
    assert calls.next() == (code[0],)
    raw_server.connack = V5_CONNACK
    assert client.send_telemetry({"a": 1}, timeout=PATIENCE).get(timeout=PATIENCE) == 0
    client.disconnect(timeout=0.5)


def test_what_is_too_large_is_told(
    gateway: TBGatewayMqttClient, calls: Calls, caplog: pytest.LogCaptureFixture, eventually: Eventually
) -> None:
    eventually(lambda: gateway.max_payload_size == 52428)
    large = {"text": "x" * 200_000}
    sends: tuple[tuple[str, Callable[[], TBPublishInfo | None]], ...] = (
        ("v1/devices/me/rpc/response/1", lambda: gateway.send_rpc_reply(1, large)),
        ("v1/devices/me/rpc/request/", lambda: gateway.send_rpc_call("m", large, calls)),
        ("v1/gateway/rpc", lambda: gateway.gw_send_rpc_reply("Pump 1", 1, large)),
        ("v1/devices/me/telemetry", lambda: gateway._client.publish("v1/devices/me/telemetry", str(large))),
    )
    for topic, send in sends:
        caplog.clear()
        info = send()
        assert info is not None and info.get() == TBPublishInfo.TB_ERR_PAYLOAD_SIZE
        named = re.search(r'a message of 200\d+ bytes to "(v1/[^"]*)" is not sent', caplog.text)
        assert named and named[1].startswith(topic)
        assert f"larger than the server takes, which is {65_526 - len(named[1])} bytes" in caplog.text
    _number, answer, exception = calls.next()
    assert answer is None and isinstance(exception, ValueError) and "larger than the server takes" in str(exception)
    assert gateway.is_connected() and gateway.send_telemetry({"a": 1}).get() == 0


def test_methods_that_send_tell_what_became_of_it(gateway: TBGatewayMqttClient, calls: Calls) -> None:
    for info in (
        gateway.send_rpc_reply("1", {}),
        gateway.send_rpc_call("m", {}, None),
        gateway.request_service_configuration(calls),
        gateway.gw_send_rpc_reply("Pump 1", 1, {}),
    ):
        assert info is not None and info.get() == 0 and info.is_published()
