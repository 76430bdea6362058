"""Every generation of constructor arguments (TB 0)."""

from __future__ import annotations

from typing import Any

import pytest
from thingslink.tb_device_mqtt import TBDeviceMqttClient
from thingslink.tb_gateway_mqtt import TBGatewayMqttClient


def shown(client: TBDeviceMqttClient) -> str:
    return repr(client).split()[1].rstrip(",")


@pytest.mark.parametrize(
    ("arguments", "port", "qos"),
    [
        (("h",), 1883, 1),
        (("h", 18830), 18830, 1),
        (("h", 18830, "token"), 18830, 1),
        (("h", 18830, "user", "password", 0), 18830, 0),
        (("h", "A1_TEST_TOKEN"), 1883, 1),
        (("h", "A1_TEST_TOKEN", 18830), 18830, 1),
        (("h", "A1_TEST_TOKEN", 18830, 0), 18830, 0),
        (("h", None, 18830), 18830, 1),
        (("h", "18830", "user"), 18830, 1),
        (("h", "12345"), 1883, 1),
    ],
)
def test_arguments_by_position(arguments: tuple[Any, ...], port: int, qos: int) -> None:
    client = TBDeviceMqttClient(*arguments)
    assert shown(client) == f"h:{port}" and client.quality_of_service == qos


def test_a_gateway_of_the_first_generation_has_its_object_before_the_level() -> None:
    mark = object()
    old = TBGatewayMqttClient("h", "token", 18830, mark, 0)
    new = TBGatewayMqttClient("h", 18830, "token", None, mark, 0)
    for client in (old, new):
        assert client.gateway is mark and client.quality_of_service == 0 and shown(client) == "h:18830"


def test_keywords_of_every_generation() -> None:
    client = TBDeviceMqttClient(host="h", token="t", port=18830, chunk_size=7, rate_limit="20:1", dp_rate_limit="30:2")
    assert shown(client) == "h:18830"
    assert client._messages_rate_limit.get_minimal_limit() == 16
    assert client._telemetry_rate_limit.get_minimal_limit() == 16
    assert client._telemetry_dp_rate_limit.get_minimal_limit() == 24
    assert client._client._max_inflight_messages == 16
    assert client.max_payload_size == 8196
    assert client.current_firmware_info == {
        "current_fw_title": "Initial",
        "current_fw_version": "v0",
        "fw_state": "IDLE",
        "fw_error": "",
    }


@pytest.mark.parametrize(
    ("host", "messages", "points"),
    [
        ("thingsboard.cloud", 8, 8),
        ("eu.thingsboard.cloud", 8, 8),
        ("demo.thingsboard.io", 8, 8),
        ("tb.my-cloud.example", 8, 8),
        ("example.org", 0, 0),
    ],
)
def test_limits_of_known_hosts(host: str, messages: int, points: int) -> None:
    client = TBDeviceMqttClient(host)
    assert client._telemetry_rate_limit.get_minimal_limit() == messages
    assert client._telemetry_dp_rate_limit.get_minimal_limit() == points


@pytest.mark.parametrize(
    ("arguments", "keywords", "error", "words"),
    [
        ((), {}, TypeError, "host"),
        ((7,), {}, TypeError, "host"),
        (("h", 0), {}, ValueError, "port 0"),
        (("h", 70000), {}, ValueError, "port 70000"),
        (("h", True), {}, TypeError, "port"),
        (("h", 1883, 5), {}, TypeError, "username"),
        (("h", "t", 1883, 1, 2), {}, TypeError, "at most 4"),
        (("h", 1883), {"port": 1884}, TypeError, "multiple values for argument 'port'"),
        (("h", 1883, "a"), {"token": "b"}, TypeError, "multiple values"),
        (("h",), {"protocol": 3}, ValueError, "protocol 3"),
        (("h",), {"max_payload_size": -1}, ValueError, "max_payload_size -1"),
    ],
)
def test_what_cannot_be_used_is_told_at_once(
    arguments: tuple[Any, ...], keywords: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        TBDeviceMqttClient(*arguments, **keywords)


@pytest.mark.parametrize("kind", [TBDeviceMqttClient, TBGatewayMqttClient])
def test_unknown_keywords_are_refused(kind: type[TBDeviceMqttClient]) -> None:
    """A misspelt `token` would log in as nobody."""
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'tokn' \(known are .*token") as refused:
        kind("h", tokn="geheim")  # type: ignore[call-arg]
    assert "geheim" not in str(refused.value)


def test_subclasses_may_have_a_constructor_of_their_own() -> None:
    class Pump(TBGatewayMqttClient):
        def __init__(self, name: str) -> None:
            super().__init__("h", 18830, "secret-token")
            self.name = name

    pump = Pump("p")
    assert pump.name == "p" and isinstance(pump, TBDeviceMqttClient)
    assert "secret-token" not in repr(pump) and repr(pump).startswith("<Pump h:18830")

    class Lazy(TBDeviceMqttClient):
        def __init__(self) -> None:
            pass

    with pytest.raises(RuntimeError, match="constructor"):
        Lazy().is_connected()


def test_secrets_are_in_no_error() -> None:
    with pytest.raises(ValueError, match=r"\*\*\*") as error:
        TBDeviceMqttClient("h", 1883, "u", "geheim" * 20000)
    assert "geheim" not in str(error.value)


@pytest.mark.parametrize("kind", [TBDeviceMqttClient, TBGatewayMqttClient])
def test_what_could_not_be_constructed_can_be_shown(kind: type[TBDeviceMqttClient]) -> None:
    lazy = type("Lazy", (kind,), {"__init__": lambda _: None})
    assert repr(lazy()) == "<Lazy, not constructed>"
