"""What goes over the wire, byte for byte, against captures of the original (tests/vectors)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from faces import on_both_faces
from harness import RawServer, publish, read_packet
from thingslink.ttn import MQTTClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness import Recorder

    Maker = Callable[..., MQTTClient]

VECTORS = {
    name: bytes.fromhex(data)
    for name, data in (
        line.split()
        for line in (Path(__file__).parent.parent.parent / "vectors/ttn_v2_mqtt.txt").read_text().splitlines()
        if not line.startswith("#")
    )
}


def connected(server: RawServer, make: Maker = MQTTClient) -> MQTTClient:
    client = make("demo-app", "ttn-account-v2.demo", server.address)
    client.connect()
    return client


def test_the_captured_packets_are_sent(raw_server: RawServer) -> None:
    client = connected(raw_server)
    assert client.send("node-1", "AQ==") == 2
    client.close()
    for name in ("CONNECT", "SUBSCRIBE", "PUBLISH", "DISCONNECT"):
        assert raw_server.next() == VECTORS[name], name


@on_both_faces
@pytest.mark.parametrize(
    ("payload", "options", "expected"),
    [
        ("AQ==", {}, b'{"port": 1, "confirmed": false, "schedule": "replace", "payload_raw": "AQ=="}'),
        (b"\x01\x02\x03", {"port": 2, "confirmation": True, "schedule": "last"},
         b'{"port": 2, "confirmed": true, "schedule": "last", "payload_raw": "AQID"}'),
        ("0a0B0c", {}, b'{"port": 1, "confirmed": false, "schedule": "replace", "payload_raw": "CgsM"}'),
        ("01ff", {}, b'{"port": 1, "confirmed": false, "schedule": "replace", "payload_raw": "01ff"}'),
        ({"led": True, "é": [1, 2.5, None], "n": 1e16}, {"sched": "first"},
         b'{"port": 1, "confirmed": false, "schedule": "first", '
         b'"payload_fields": {"led": true, "\\u00e9": [1, 2.5, null], "n": 1e+16}}'),
        ({}, {}, b'{"port": 1, "confirmed": false, "schedule": "replace", "payload_fields": {}}'),
    ],
)  # fmt: skip
def test_downlinks_are_spelled_as_the_original_spelled_them(
    raw_server: RawServer, payload: object, options: dict[str, object], expected: bytes, mqtt_client: Maker
) -> None:
    client = connected(raw_server, mqtt_client)
    client.send("node-1", payload, **options)  # type: ignore[call-overload]
    while (packet := raw_server.next())[0] & 0xF0 != 0x30:
        pass
    assert packet == publish("demo-app/devices/node-1/down", expected)
    client.close()


@on_both_faces
def test_bytes_may_come_one_by_one(raw_server: RawServer, recorder: Recorder, mqtt_client: Maker) -> None:
    client = recorder.watch(connected(raw_server, mqtt_client))
    with raw_server.writing:
        for byte in publish("demo-app/devices/node-1/up", b'{"dev_id":"node-1"}') * 2:
            raw_server.send(bytes([byte]))
    assert recorder.expect("uplink").dev_id == recorder.expect("uplink").dev_id == "node-1"
    client.close()


def test_topics_are_subscribed_to_only_when_somebody_listens(raw_server: RawServer) -> None:
    client = connected(raw_server)
    raw_server.next()
    assert raw_server.next() == VECTORS["SUBSCRIBE"]

    def callback(event: object) -> None: ...

    client.set_event_callback(callback, "down/sent")
    assert b"demo-app/devices/+/events/down/sent" in raw_server.next()
    client.set_event_callback(callback)
    # The wider filter takes the narrower one's place.
    added, removed = raw_server.next(), raw_server.next()
    assert (added[0], removed[0]) == (0x82, 0xA2)
    assert b"demo-app/devices/+/events/#" in added and b"down/sent" in removed
    client.remove_event_callback(callback)
    added, removed = raw_server.next(), raw_server.next()
    assert b"down/sent" in added and b"events/#" in removed
    client.close()


@on_both_faces
def test_a_client_for_one_device_subscribes_to_that_device(raw_server: RawServer, mqtt_client: Maker) -> None:
    client = mqtt_client("demo-app", "k", raw_server.address)
    client.device("node-1").set_uplink_callback(lambda msg: None)
    client.connect()
    raw_server.next()
    assert raw_server.next()[6:-1] == b"demo-app/devices/node-1/up"
    client.close()


@on_both_faces
def test_a_login_may_carry_a_client_id_and_keep_the_session(raw_server: RawServer, mqtt_client: Maker) -> None:
    client = mqtt_client("app", "k", raw_server.address, client_id="me", clean_session=False, qos=1, keep_alive=5)
    client.set_uplink_callback(print)
    client.connect()
    # Flags: user name and password, no clean session; keep-alive 5.
    assert raw_server.next() == bytes.fromhex("1016 00044d515454 04 c0 0005 0002 6d65 0003 617070 0001 6b")
    assert raw_server.next()[-1] == 1, "subscribed at QoS 1"
    client.close()


def test_the_harness_reads_what_it_writes() -> None:
    import socket

    one, two = socket.socketpair()
    with one, two:
        message = publish("t", b"x" * 300, qos=1, mid=7)
        one.sendall(message)
        assert read_packet(two) == message
