"""Everything that goes out keeps to the server's limits: repeats, announcements, what a program writes by itself."""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from harness import PATIENCE
from thingslink.sandbox import ThingsBoard
from thingslink.tb_device_mqtt import TBDeviceMqttClient, TBPublishInfo
from thingslink.tb_gateway_mqtt import TBGatewayMqttClient

from .conftest import Calls, Eventually, Maker
from .limited import LimitedServer


@pytest.fixture
def limited() -> Iterator[LimitedServer]:
    with LimitedServer() as server:
        yield server


def client_of(server: LimitedServer, kind: type[TBDeviceMqttClient] = TBDeviceMqttClient) -> Any:
    host, port = server.address.split(":")
    return kind(host, int(port), "t")


def values_of(server: LimitedServer) -> Counter[int]:
    bodies = (body for topic, body in server.taken if topic == "v1/devices/me/telemetry")
    return Counter(entry["a"] for body in bodies for entry in body)


def test_a_limit_that_is_tightened_while_connected_is_learnt_and_kept(limited: LimitedServer, connected: Maker) -> None:
    client = connected(client_of(limited))
    limited.limit(telemetry="10:1")
    infos = [client.send_telemetry({"a": number}) for number in range(40)]
    assert [info.get(timeout=PATIENCE) for info in infos] == [0] * 40
    assert set(values_of(limited)) == set(range(40))
    # Once to learn of it, and perhaps once more, since the server's own count goes on.
    assert len(limited.connections) <= 3 and len(limited.ended) <= 2


def test_a_login_waits_until_its_subscriptions_can_be_paid(limited: LimitedServer, connected: Maker) -> None:
    """What is subscribed to over the limit is granted, and not carried out."""
    limited.limit(messages="12:6")
    client = connected(client_of(limited))
    for number in range(7):
        assert client.claim(f"secret {number}").get(timeout=PATIENCE) == 0
    limited.connections[-1].shutdown(socket.SHUT_RDWR)
    assert client.claim("later").get(timeout=PATIENCE) == 0
    assert limited.unheeded == 0 and limited.ended == [] and len(limited.connections) == 2


def test_all_devices_are_announced_again_at_the_server_s_pace(
    limited: LimitedServer, connected: Maker, eventually: Eventually
) -> None:
    limited.limit(gateway="100:1")
    gateway = connected(client_of(limited, TBGatewayMqttClient))
    names = {f"Device {number}" for number in range(200)}
    for name in names:
        gateway.gw_connect_device(name)

    def announced() -> Counter[str]:
        return Counter(body["device"] for topic, body in limited.taken if topic == "v1/gateway/connect")

    eventually(lambda: len(announced()) == 200)
    limited.taken.clear()
    limited.connections[-1].shutdown(socket.SHUT_RDWR)
    eventually(lambda: set(announced()) == names)
    assert max(announced().values()) == 1
    assert gateway.gw_send_telemetry("Device 1", {"a": 1}).get(timeout=PATIENCE) == 0
    assert limited.ended == [] and len(limited.connections) == 2


def test_what_is_sent_again_is_charged(limited: LimitedServer, connected: Maker) -> None:
    limited.limit(telemetry="20:1")
    client = connected(client_of(limited))
    infos = [client.send_telemetry({"a": number}) for number in range(30)]
    limited.cut_after = 2
    infos += [client.send_telemetry({"a": number}) for number in range(30, 50)]
    assert [info.get(timeout=PATIENCE) for info in infos] == [0] * 50
    assert set(values_of(limited)) == set(range(50)) and limited.ended == []


def test_what_is_sent_before_the_limits_are_told_counts(
    limited: LimitedServer, connected: Maker, eventually: Eventually
) -> None:
    limited.limit(messages="30:1")
    client = connected(client_of(limited), limits=False)
    infos = [client.claim(f"secret {number}") for number in range(20)]
    eventually(lambda: client.rate_limits_received)
    infos += [client.claim(f"secret {number}") for number in range(40)]
    assert [info.get(timeout=PATIENCE) for info in infos] == [0] * 60
    assert limited.ended == [] and len(limited.connections) == 1


def test_a_connect_callback_that_sends_keeps_to_limits_that_nobody_knew_yet(
    limited: LimitedServer, eventually: Eventually
) -> None:
    """All deliveries wait for the callback, also the one with the limits."""
    limited.limit(gateway="100:1")
    gateway = client_of(limited, TBGatewayMqttClient)
    names = [f"Device {number}" for number in range(150)]

    def connected(*_: Any) -> None:
        for name in names:
            gateway.gw_connect_device(name)

    gateway.connect(connected)
    eventually(lambda: sum(topic == "v1/gateway/connect" for topic, _ in limited.taken) == len(names))
    gateway.disconnect()
    assert limited.ended == [] and len(limited.connections) == 1


@pytest.mark.parametrize("own", ["callback", "override"])
def test_a_program_s_own_way_with_the_limits_holds(limited: LimitedServer, connected: Maker, own: str) -> None:
    told = Calls()

    class Client(TBDeviceMqttClient):
        def on_service_configuration(self, _request: object, response: Any, *_args: Any, **_kwargs: Any) -> None:
            told(response)

    limited.limit(telemetry="10:1")
    client = client_of(limited, Client if own == "override" else TBDeviceMqttClient)
    if own == "callback":
        client.service_configuration_callback = lambda _number, response, _exception: told(response)
    connected(client, limits=False)
    assert told.next()[0]["rateLimits"]["telemetryMessages"] == "10:1"
    assert not client._telemetry_rate_limit.has_limit()


def test_what_a_program_publishes_by_itself_is_charged_as_what_it_is(limited: LimitedServer, connected: Maker) -> None:
    limited.limit(telemetry="1000:1", points="30:1", gateway="1000:1", messages="1000:1")
    client = connected(client_of(limited))
    payload = json.dumps([{"a": 1, "b": 2, "c": 3}])
    infos = [client._client.publish("v1/devices/me/telemetry", payload, qos=1) for _ in range(15)]
    assert [info.get(timeout=PATIENCE) for info in infos] == [0] * 15
    assert limited.ended == []
    before = client._messages_rate_limit.__dict__["rateLimits"]["1"]["tokens"]
    client._publish_data({"Pump": {}}, "v1/gateway/claim", 1)
    assert client._messages_rate_limit.__dict__["rateLimits"]["1"]["tokens"] >= before


def test_the_limits_are_asked_for_before_anything_goes_out_again(limited: LimitedServer, connected: Maker) -> None:
    """The first message may be the very one that the server ends the connection over."""
    client = connected(client_of(limited))
    limited.limit(telemetry="5:3600")
    for number in range(5):
        assert client.send_telemetry({"a": number}).get(timeout=PATIENCE) == 0
    late = client.send_telemetry({"a": 5})
    assert late.get(timeout=1) != 0
    limits = client._telemetry_rate_limit.__dict__["rateLimits"]
    while "3600" not in limits:
        assert late.get(timeout=PATIENCE) != 0
        limits = client._telemetry_rate_limit.__dict__["rateLimits"]
    assert limits["3600"]["tokens"] < 1
    # And from then on nothing is tried before its time.
    client.stop()
    assert client.send_telemetry({"a": 6}, timeout=0.5).get(timeout=1) == TBPublishInfo.TB_ERR_QUEUE_SIZE
    assert limited.ended == ["v1/devices/me/telemetry"] and client.is_connected()


def test_a_renamed_device_is_announced_under_its_new_name(
    gateway: TBGatewayMqttClient, server: ThingsBoard, calls: Calls, eventually: Eventually
) -> None:
    gateway.gw_connect_device("Pump 1", "pump").get()
    gateway.gw_subscribe_to_attribute("Pump 1", "limit", calls)
    heard = Calls()

    def handler(number: str, body: dict[str, Any]) -> None:
        heard(body)
        gateway.send_rpc_reply(number, {})

    gateway.set_server_side_rpc_request_handler(handler)
    server.rpc("Gateway 1", "gateway_device_renamed", {"Pump 1": "Pump 2", "Unknown": "Known"})
    assert heard.next()[0]["method"] == "gateway_device_renamed"
    eventually(lambda: server.device("Pump 2"))
    assert server.device("Known") is None
    server.set_shared("Pump 2", {"limit": 5})
    assert calls.next() == ({"device": "Pump 2", "data": {"limit": 5}},)
    # After a loss it is the new name that is announced again.
    follower = server.follow()
    server.cut()
    announced = None
    while announced is None:
        entry = follower.next(PATIENCE)
        assert entry is not None
        if entry["kind"] == "published" and entry["topic"] == "v1/gateway/connect":
            announced = json.loads(entry["payload"])
    assert announced == {"device": "Pump 2", "type": "pump"}


@pytest.mark.parametrize("params", [None, [], "x", {"Pump 1": 5}, {}])
def test_a_renaming_that_makes_no_sense_stops_nothing(
    gateway: TBGatewayMqttClient, server: ThingsBoard, calls: Calls, params: Any
) -> None:
    gateway.gw_connect_device("Pump 1").get()
    gateway.set_server_side_rpc_request_handler(lambda number, _body: calls(gateway.send_rpc_reply(number, {})))
    server.rpc("Gateway 1", "gateway_device_renamed", params)
    calls.next()
    gateway.gw_subscribe_to_attribute("Pump 1", "limit", calls)
    server.set_shared("Pump 1", {"limit": 5})
    assert calls.next()[0]["device"] == "Pump 1"


def test_a_device_that_the_server_hangs_up_over_is_not_announced_for_ever(
    raw_server: Any, connected: Maker, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    raw_server.hangs_up = b'"Bad"'
    host, port = raw_server.address.split(":")
    gateway = connected(TBGatewayMqttClient(host, int(port), "t", protocol="3.1.1"), limits=False)
    bad = gateway.gw_connect_device("Bad")
    assert bad.get(timeout=PATIENCE * 2) == TBPublishInfo.TB_ERR_UNKNOWN
    assert gateway.gw_connect_device("Good").get(timeout=PATIENCE) == 0
    known = len(raw_server.connections)
    raw_server.connections[-1].shutdown(socket.SHUT_RDWR)
    eventually(lambda: "not announced again" in caplog.text)
    assert gateway.send_telemetry({"a": 1}).get(timeout=PATIENCE) == 0
    assert len(raw_server.connections) == known + 1
