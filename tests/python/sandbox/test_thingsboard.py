"""The sandbox's ThingsBoard, driven by a client that is not ours (paho), on both levels of MQTT (TB 1 and 2)."""

from __future__ import annotations

import json
import queue
import socket
import struct
from collections.abc import Iterator
from typing import Any

import paho.mqtt.client as paho
import pytest
from harness import PATIENCE, read_packet
from thingslink.sandbox import Sandbox, ThingsBoard


@pytest.fixture
def server() -> Iterator[ThingsBoard]:
    with ThingsBoard() as server:
        server.add_device("Device", "token")
        server.add_device("Gateway", "gateway", gateway=True)
        yield server


class Peer:
    """A connected paho client."""

    def __init__(self, server: ThingsBoard, token: str, level: int) -> None:
        self.entries: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.client = paho.Client(protocol=level)
        self.client.username_pw_set(token)
        self.client.on_connect = lambda _c, _u, _f, code, _p=None: self.entries.put(("connected", code))
        self.client.on_disconnect = lambda _c, _u, code, _p=None: self.entries.put(("gone", code))
        self.client.on_subscribe = lambda _c, _u, _m, codes, _p=None: self.entries.put(("granted", codes))
        self.client.on_message = lambda _c, _u, message: self.entries.put((message.topic, message.payload))
        self.client.connect(server.host, server.port)
        self.client.loop_start()

    def expect(self, kind: str) -> Any:
        while True:
            came, value = self.entries.get(timeout=PATIENCE)
            if came == kind:
                return value

    def subscribe(self, *filters: str) -> list[int]:
        self.client.subscribe([(name, paho.SubscribeOptions(1)) for name in filters]) if self.is_5 else (
            self.client.subscribe([(name, 1) for name in filters])
        )
        return [int(getattr(code, "value", code)) for code in self.expect("granted")]

    @property
    def is_5(self) -> bool:
        return bool(self.client._protocol == paho.MQTTv5)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture(params=[paho.MQTTv311, paho.MQTTv5])
def peer(server: ThingsBoard, request: pytest.FixtureRequest) -> Iterator[Peer]:
    peer = Peer(server, "token", request.param)
    assert peer.expect("connected") == 0
    yield peer
    peer.close()


def test_telemetry_and_attributes_are_kept(peer: Peer, server: ThingsBoard) -> None:
    for payload in ('{"a":1}', '[{"a":2},{"ts":7,"values":{"b":3}}]'):
        peer.client.publish("v1/devices/me/telemetry", payload, qos=1).wait_for_publish(PATIENCE)
    peer.client.publish("v1/devices/me/attributes", '{"model":"X"}', qos=1).wait_for_publish(PATIENCE)
    assert [entry["values"] for entry in server.telemetry_of("Device")] == [{"a": 1}, {"a": 2}, {"b": 3}]
    assert server.telemetry_of("Device")[2]["ts"] == 7
    assert server.attributes_of("Device") == {"model": "X"}


def test_filters_are_judged(peer: Peer) -> None:
    granted = peer.subscribe("v1/devices/me/attributes", "v1/devices/me/rpc/request/+", "v2/fw/response/+", "#")
    refused = 143 if peer.is_5 else 128
    assert granted == [1, 1, refused, refused]


def test_answers_and_pushes_come_to_subscribers(peer: Peer, server: ThingsBoard) -> None:
    server.set_shared("Device", {"limit": 5})
    peer.client.publish("v1/devices/me/attributes/request/1", "{}", qos=1)
    peer.subscribe("v1/devices/me/attributes", "v1/devices/me/attributes/response/+", "v1/devices/me/rpc/response/+")
    peer.client.publish("v1/devices/me/attributes/request/7", "{}", qos=1)
    assert json.loads(peer.expect("v1/devices/me/attributes/response/7")) == {"shared": {"limit": 5}}
    server.set_shared("Device", {"limit": 6})
    assert json.loads(peer.expect("v1/devices/me/attributes")) == {"limit": 6}
    server.delete_shared("Device", ["limit"])
    assert json.loads(peer.expect("v1/devices/me/attributes")) == {"deleted": ["limit"]}
    peer.client.publish("v1/devices/me/rpc/request/3", '{"method":"getSessionLimits","params":{}}')
    limits = json.loads(peer.expect("v1/devices/me/rpc/response/3"))
    assert limits["maxPayloadSize"] == 65536 and limits["rateLimits"]["messages"] is None
    with pytest.raises(ValueError, match="takes calls"):
        server.rpc("Device", "m")


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        ("v1/devices/me/telemetry", "{", 153),
        ("v1/devices/me/telemetry", "[1]", 153),
        ("v1/devices/me/attributes", "[]", 153),
        ("v1/devices/me/nonsense", "{}", 144),
    ],
)
def test_what_is_wrong_is_refused_or_ends_the_connection(
    server: ThingsBoard, topic: str, payload: str, reason: int
) -> None:
    old = Peer(server, "token", paho.MQTTv311)
    old.expect("connected")
    acknowledged = old.client.publish(topic, payload, qos=1)
    if reason == 144:
        # MQTT 3.1.1 cannot tell it, and the server acknowledges what it does not know.
        acknowledged.wait_for_publish(PATIENCE)
    else:
        assert old.expect("gone") != 0
    old.close()
    # paho does not tell the reason: a socket does.
    connection = level_5(server)
    body = struct.pack(">H", len(topic)) + topic.encode() + b"\x00\x07\x00" + payload.encode()
    connection.sendall(bytes([0x32, len(body)]) + body)
    assert read_packet(connection) == bytes([0x40, 4, 0, 7, reason, 0])
    connection.close()


def level_5(server: ThingsBoard, user: bytes = b"token") -> socket.socket:
    """A login by hand."""
    connection = socket.create_connection((server.host, server.port), timeout=PATIENCE)
    body = b"\x00\x04MQTT\x05\x82\x00\x3c\x00\x00\x00" + struct.pack(">H", len(user)) + user
    connection.sendall(bytes([0x10, len(body)]) + body)
    assert read_packet(connection)[0] == 0x20
    return connection


def test_a_message_over_the_limit_ends_the_connection(peer: Peer, server: ThingsBoard) -> None:
    peer.client.publish("v1/devices/me/telemetry", json.dumps({"text": "x" * 70_000}), qos=1)
    assert peer.expect("gone") != 0
    assert server.telemetry_of("Device") == []


@pytest.mark.parametrize(("token", "three", "five"), [("wrong", 5, 134), ("", 5, 134)])
def test_logins_are_judged(server: ThingsBoard, token: str, three: int, five: int) -> None:
    for level, code in ((paho.MQTTv311, three), (paho.MQTTv5, five)):
        peer = Peer(server, token, level)
        assert int(getattr(got := peer.expect("connected"), "value", got)) == code
        peer.close()


def test_limits_are_kept_to_when_asked(server: ThingsBoard) -> None:
    server.limit(telemetry_messages="2:3600")
    connection = level_5(server)
    topic = b"v1/devices/me/telemetry"
    answers = []
    for _ in range(3):
        body = struct.pack(">H", len(topic)) + topic + b'\x00\x07\x00{"a":1}'
        connection.sendall(bytes([0x32, len(body)]) + body)
        answers.append(read_packet(connection))
    connection.close()
    assert answers == [b"\x40\x02\x00\x07"] * 2 + [b"\xe0\x02\x83\x00"]
    old = Peer(server, "token", paho.MQTTv311)
    old.expect("connected")
    for _ in range(3):
        old.client.publish("v1/devices/me/telemetry", '{"a":1}', qos=1)
    assert old.expect("gone") != 0
    old.close()


def test_devices_behind_a_gateway_get_calls_only_while_connected(server: ThingsBoard) -> None:
    peer = Peer(server, "gateway", paho.MQTTv5)
    peer.expect("connected")
    peer.subscribe("v1/gateway/rpc", "v1/gateway/attributes")
    with pytest.raises(ValueError, match="is not valid"):
        server.rpc("Pump", "m")
    peer.client.publish("v1/gateway/connect", '{"device":"Pump","type":"pump"}', qos=1).wait_for_publish(PATIENCE)
    server.set_shared("Pump", {"a": 1})
    assert json.loads(peer.expect("v1/gateway/attributes")) == {"device": "Pump", "data": {"a": 1}}
    peer.client.publish("v1/gateway/disconnect", '{"device":"Pump"}', qos=1).wait_for_publish(PATIENCE)
    with pytest.raises(ValueError, match="connected"):
        server.rpc("Pump", "m")
    # Entries that are no arrays are passed over; of nothing else the message is an error.
    connection = level_5(server, b"gateway")
    topic = b"v1/gateway/telemetry"
    body = struct.pack(">H", len(topic)) + topic + b'\x00\x07\x00{"Pump":{"a":1}}'
    connection.sendall(bytes([0x32, len(body)]) + body)
    assert read_packet(connection) == b"\x40\x04\x00\x07\x83\x00"
    connection.close()
    peer.close()


def test_calls_that_are_not_answered_are_told(peer: Peer, server: ThingsBoard) -> None:
    peer.subscribe("v1/devices/me/rpc/request/+")
    with pytest.raises(TimeoutError, match="the call of"):
        server.rpc("Device", "m", timeout=0.05)


def test_a_sandbox_has_a_thingsboard_of_its_own() -> None:
    with Sandbox() as sandbox:
        server = sandbox.thingsboard
        assert sandbox.thingsboard is server and server.devices == []
        port = server.port
        server.add_device("Device", "token")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.host, port))
    with sandbox:
        assert sandbox.thingsboard.port == port and sandbox.thingsboard.devices == ["Device"]


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("", {"token": "t"}, "the name of a device"),
        ("Other", {"token": "token"}, "no other device has"),
        ("Other", {"certificate": "nonsense"}, "a PEM certificate"),
    ],
)
def test_devices_that_cannot_be_are_refused(
    server: ThingsBoard, name: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words) as error:
        server.add_device(name, **options)
    assert "token" not in str(error.value).replace("credentials", "")
