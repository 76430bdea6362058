"""An argument that cannot be used is named, and nothing is sent."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from thingslink.sandbox import ThingsBoard
from thingslink.tb_device_mqtt import TBDeviceMqttClient
from thingslink.tb_gateway_mqtt import TBGatewayMqttClient

from .conftest import GATEWAY_TOKEN, Maker

RANGE = "expected the number of a call, 0 to 2147483647"


@pytest.mark.parametrize(
    ("number", "error", "text"),
    [
        (None, TypeError, "req_id must be int, not NoneType"),
        (True, TypeError, "req_id must be int, not bool"),
        (1.5, TypeError, "req_id must be int, not float"),
        (b"1", TypeError, "req_id must be int, not bytes"),
        (-1, ValueError, "req_id -1 is not valid: expected 0 to 2147483647"),
        (2**70, ValueError, f"req_id {2**70} is not valid: expected 0 to 2147483647"),
        ("", ValueError, f"req_id '' is not valid: {RANGE}"),
        ("a/b", ValueError, f"req_id 'a/b' is not valid: {RANGE}"),
        ("-1", ValueError, f"req_id '-1' is not valid: {RANGE}"),
        ("#", ValueError, f"req_id '#' is not valid: {RANGE}"),
        ("\ud800", ValueError, RANGE),
    ],
)
def test_an_answer_names_a_call(
    server: ThingsBoard, connected: Maker, number: Any, error: type[Exception], text: str
) -> None:
    gateway: TBGatewayMqttClient = connected(TBGatewayMqttClient(server.host, server.port, GATEWAY_TOKEN))
    before = len(server.journal)
    answers: list[Callable[[], object]] = [
        lambda: gateway.send_rpc_reply(number, {}),
        lambda: gateway.gw_send_rpc_reply("Pump 1", number, {}),
    ]
    for answer in answers:
        with pytest.raises(error, match=re.escape(text)):
            answer()
    gateway.send_telemetry({"a": 1}).get()
    sent = [entry["topic"] for entry in server.journal[before:] if entry["kind"] == "published"]
    assert sent == ["v1/devices/me/telemetry"]


@pytest.mark.parametrize("callback", [None, "print", lambda: None])
def test_a_callback_of_a_device_that_is_not_connected_is_judged_all_the_same(
    server: ThingsBoard, callback: Any
) -> None:
    gateway = TBGatewayMqttClient(server.host, server.port, GATEWAY_TOKEN)
    with pytest.raises(TypeError, match=r"^callback "):
        gateway.gw_subscribe_to_attribute("Pump 1", "a", callback)
    with pytest.raises(TypeError, match=r"^callback "):
        gateway.gw_subscribe_to_all_device_attributes("Pump 1", callback)


@pytest.mark.parametrize(
    ("key", "error", "text"),
    [
        (None, TypeError, "must be str, not NoneType"),
        (["a"], TypeError, "must be str, not list"),
        (b"a", TypeError, "must be str, not bytes"),
    ],
)
def test_an_attribute_is_named_by_a_text(server: ThingsBoard, key: Any, error: type[Exception], text: str) -> None:
    gateway = TBGatewayMqttClient(server.host, server.port, GATEWAY_TOKEN)
    with pytest.raises(error, match=f"^key {text}$"):
        gateway.subscribe_to_attribute(key, print)
    with pytest.raises(error, match=f"^attribute {text}$"):
        gateway.gw_subscribe_to_attribute("*", key, print)


def test_an_attribute_without_a_name_never_changes(server: ThingsBoard) -> None:
    client = TBDeviceMqttClient(server.host, server.port, "A1_TEST_TOKEN")
    with pytest.raises(
        ValueError, match=r"^key '' is not valid: expected the name of an attribute, or \"\*\" for all$"
    ):
        client.subscribe_to_attribute("", print)


@pytest.mark.parametrize(
    "name", ["provision_device_key", "provision_device_secret", "device_name", "access_token", "client_id", "hash"]
)
@pytest.mark.parametrize("value", [5, b"text", object()])
def test_what_a_new_device_is_told_is_text(name: str, value: Any) -> None:
    given: dict[str, Any] = {"provision_device_key": "key", "provision_device_secret": "secret", name: value}
    with pytest.raises(TypeError, match=f"^{name} must be str, not {type(value).__name__}$"):
        TBDeviceMqttClient.provision("127.0.0.1", **given)


@pytest.mark.parametrize("name", ["gateway", "tls", "insecure"])
@pytest.mark.parametrize("value", [1, "true", object()])
def test_yes_and_no_of_provisioning_are_truth_values(name: str, value: Any) -> None:
    given: dict[str, Any] = {name: value}
    with pytest.raises(TypeError, match=f"^{name} must be bool, not {type(value).__name__}$"):
        TBDeviceMqttClient.provision("127.0.0.1", "key", "secret", **given)
