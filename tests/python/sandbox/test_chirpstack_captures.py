"""The ChirpStack sandbox does what a real broker and server did: captures (tests/vectors/chirpstack) are played to it.

What is compared: each event's members but for those that the moment makes (IDs, times, addresses, counters, how a frame
was heard), the queue after each command, and the lines of the server's log. What is not: downlinks of the server's own,
which it does not send.
"""

from __future__ import annotations

import json
import queue
import re
import socket
import ssl
from functools import partial
from typing import TYPE_CHECKING, Any

import paho.mqtt.client as mqtt
import pytest
from chirpstack_server import APPLICATION, PROBE, World, alike_details, records
from harness import PATIENCE, packet, publish, text
from thingslink.sandbox import Sandbox, SandboxDevice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from peers import Generated


class Paho:
    """A paho client that hands everything to the test's thread."""

    def __init__(self, sandbox: Sandbox, *, login: tuple[str, str] | None = None, context: Any = None) -> None:
        self.told: queue.Queue[Any] = queue.Queue()
        self.messages: queue.Queue[tuple[str, bytes, int, bool]] = queue.Queue()
        self.client = mqtt.Client("", protocol=mqtt.MQTTv311)
        if login is not None:
            self.client.username_pw_set(*login)
        self.client.on_connect = lambda _c, _u, _f, code, *_: self.told.put(code)
        self.client.on_subscribe = lambda _c, _u, _m, granted, *_: self.told.put(granted)
        self.client.on_publish = lambda _c, _u, mid: self.told.put(mid)
        self.client.on_message = lambda _c, _u, it: self.messages.put((it.topic, it.payload, it.qos, it.retain))
        address = sandbox.mqtt_address
        if context is not None:
            self.client.tls_set_context(context)
            address = (sandbox.mqtts_address or "").removeprefix("mqtts://")
        host, port = address.split(":")
        self.client.connect(host, int(port))
        self.client.loop_start()
        self.connected = self.told.get(timeout=PATIENCE)

    def subscribe(self, topic: str, qos: int = 1) -> Any:
        self.client.subscribe(topic, qos)
        return self.told.get(timeout=PATIENCE)

    def publish(self, topic: str, body: bytes | str, qos: int = 1, *, retain: bool = False) -> None:
        self.client.publish(topic, body, qos, retain=retain)
        assert isinstance(self.told.get(timeout=PATIENCE), int)

    def message(self) -> tuple[str, bytes, int, bool]:
        return self.messages.get(timeout=PATIENCE)

    def event(self) -> tuple[str, dict[str, Any]]:
        topic, payload, _, _ = self.message()
        return topic.rsplit("/", 1)[1], json.loads(payload)


@pytest.fixture
def paho() -> Iterator[Callable[..., Paho]]:
    made: list[Paho] = []

    def make(sandbox: Sandbox, **options: Any) -> Paho:
        made.append(Paho(sandbox, **options))
        return made[-1]

    yield make
    for one in made:
        one.client.disconnect()
        one.client.loop_stop()


@pytest.fixture
def world(generated: Generated, request: pytest.FixtureRequest) -> Iterator[World]:
    with Sandbox("demo-app", network="chirpstack", seed=0, mqtts_port=0, **getattr(request, "param", {})) as sandbox:
        world = World(sandbox, generated)
        yield world
        world.close()


#: What the moment makes of an event, and how a frame was heard.
MOMENT = {"deduplicationId", "time", "devAddr", "fCnt", "fCntDown", "rxInfo", "txInfo", "downlinkId", "gatewayId"}


def alike(event: dict[str, Any]) -> dict[str, Any]:
    """Give an event without what differs from one moment to another."""
    event = {name: value for name, value in event.items() if name not in MOMENT}
    if "queueItemId" in event:
        event["queueItemId"] = re.sub(r"^(?!\d)[0-9a-f-]+$", "-", event["queueItemId"])
    if "description" in event:
        event["description"] = alike_details(event["description"])
    context = event.get("context")
    if context is not None:
        event["context"] = {
            name: "-" if name in {"deduplication_id", "f_cnt_up"} else it for name, it in context.items()
        }
    return event


def known_order(event: str) -> list[str]:
    """Give the names at the top and in ``deviceInfo``, in their order."""
    members = json.loads(event, object_pairs_hook=lambda pairs: pairs)
    device: list[Any] = next((value for name, value in members if name == "deviceInfo"), [])
    return [name for name, _ in members] + [name for name, _ in device]


def test_uplinks_are_told_as_a_server_told_them(world: World, paho: Callable[..., Paho]) -> None:
    """Frames that a simulated device can send, one record a time."""
    listener = paho(world.sandbox)
    listener.subscribe("application/+/device/+/event/+")
    device = world.device()
    played = 0
    for record in records("20-uplinks"):
        send = FRAMES.get(record["note"])
        if send is None:
            continue
        played += 1
        send(device)
        expected = sorted(
            (event["topic"].rsplit("/", 1)[1], world.to_ours(event["payload"])) for event in record["events"]
        )
        got = sorted(listener.message()[:2] for _ in expected)
        for (name, theirs), (topic, ours) in zip(expected, got, strict=True):
            assert topic == world.to_ours(f"application/{APPLICATION}/device/{PROBE}/event/{name}")
            assert alike(json.loads(ours)) == alike(json.loads(theirs)), record["note"]
            assert known_order(ours.decode()) == known_order(theirs), record["note"]
    assert played == len(FRAMES)
    assert listener.messages.empty()


def counted(counter: int, payload: bytes = b"\x00") -> Callable[[SandboxDevice], None]:
    def send(device: SandboxDevice) -> None:
        device.configure(counter=counter)
        device.uplink(payload, port=2)

    return send


def frame(*payload: Any, **options: Any) -> Callable[[SandboxDevice], Any]:
    return lambda device: device.uplink(*payload, **options)


FRAMES: dict[str, Callable[[SandboxDevice], Any]] = {
    "confirmed uplink": frame(b"\x01", port=2, confirmed=True),
    "empty payload on port 5": frame(b"", port=5),
    "no port at all (empty frame)": frame(None),
    "port 0 with MAC command DevStatusAns in FRMPayload": lambda device: device.report_status(margin=30, battery=255),
    "codec throws": frame(b"\x01", port=99),
    "codec returns errors": frame(b"\x01", port=98),
    "codec returns empty data and warnings": frame(b"\x01", port=97),
    "codec never ends": frame(b"\x01", port=96),
    "codec returns odd values": frame(b"\x05", port=95),
    "the same frame again (retransmission after deduplication)": frame(is_retry=True),
    "counter goes back (reset)": counted(0),
    "counter 65536 (16-bit 0 on air)": counted(65_536, b"\x01"),
    "port 224": frame(b"D", port=224),
    "port 255": frame(b"D", port=255),
    "51 byte payload": frame(bytes(51), port=2),
}


def test_counters_of_32_bits(world: World, paho: Callable[..., Paho]) -> None:
    listener, device = paho(world.sandbox), world.device()
    listener.subscribe("application/+/device/+/event/up")
    device.configure(counter=65_536)
    device.uplink()
    assert listener.event()[1]["fCnt"] == 65_536


def test_a_device_that_joins(world: World, paho: Callable[..., Paho]) -> None:
    """What waited is flushed without a word, as its profile says."""
    listener = paho(world.sandbox)
    listener.subscribe("application/+/device/+/event/+")
    otaa = "70b3d57ed005f1a3"
    world.api.call("DeviceService/Enqueue", {"queue_item": {"dev_eui": otaa, "f_port": 1, "data": "AQ=="}})
    device = world.device(otaa)
    theirs = {record["note"]: record for record in records("22-join")}
    for note, do in (
        ("join request (flush_queue_on_activate is set, one item is queued)", device.join),
        ("first uplink after the join (no codec)", lambda: device.uplink(b"\x01\x02", port=2)),
        ("join again with a new DevNonce", device.join),
        ("uplink with the new session", lambda: device.uplink(b"\x01\x02", port=2)),
    ):
        do()
        name, event = listener.event()
        (expected,) = theirs[note]["events"]
        assert name == expected["topic"].rsplit("/", 1)[1]
        assert alike(event) == alike(json.loads(world.to_ours(expected["payload"])))
        assert world.queue(otaa) == theirs[note]["queue"] == []


def words(line: str) -> str:
    """Give a line of the server's log without its time, and without what this server does not know."""
    line = re.sub(r"^\S+Z +", "", line)
    return re.sub(r" (?:up\{.*?\}|schedule\{.*?\})+\S*:?(?= ?chirpstack::)", "", line)


#: The devices of the captures.
DEVICES = [f"70b3d57ed005f1a{number}" for number in range(2, 7)]


def test_every_command(world: World, paho: Callable[..., Paho]) -> None:
    """One command a record: what is queued, and what the server's log says. Nobody else is told."""
    client, sandbox = paho(world.sandbox), world.sandbox
    for record in records("30-downlink-mqtt"):
        if record["note"] != "own id while it is still queued":
            for dev_eui in DEVICES:
                world.api.call("DeviceService/FlushQueue", {"dev_eui": dev_eui})
        before = len(sandbox.server_log)
        topic = world.to_ours(record["topic"])
        body = bytes.fromhex(record["body_hex"]) if record.get("body_hex") else world.to_ours(record["body"]).encode()
        client.publish(topic, body, record["qos"], retain=record["retain"])
        # Whatever has been published is taken in before an uplink, of whatever device.
        world.device(DEVICES[4]).uplink()
        expected = [world.to_ours(words(line)) for line in record.get("server_log", [])]
        assert sandbox.server_log[before:] == expected, record["note"]
        named = [dev_eui for dev_eui in DEVICES if dev_eui in topic.lower()]
        assert [without_id(item) for item in world.queue(*named)] == list(map(without_id, record["queue"])), record[
            "note"
        ]


def without_id(item: dict[str, Any]) -> dict[str, Any]:
    """Give an item without the ID that a server has made, and with one that the program has."""
    is_own = re.match(r"3f2a1c9e|1{8}|2{8}", item["id"])
    return {name: value for name, value in item.items() if name != "id" or is_own}


def command(world: World, client: Paho, **body: Any) -> None:
    """Publish a command and wait until it is queued."""
    body = {"devEui": PROBE, "fPort": 10, "data": "Ag8=", **body}
    before = len(world.queue(body["devEui"]))
    client.publish(f"application/{world.ours[APPLICATION]}/device/{body['devEui']}/command/down", json.dumps(body))
    world.sandbox.wait_for(lambda: len(world.queue(body["devEui"])) > before, timeout=PATIENCE)


def item_id(number: int) -> str:
    return f"11111111-0000-4000-8000-{number:012x}"


def without_counters(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in item.items() if name != "f_cnt_down"} for item in items]


def test_deliveries_in_their_order(world: World, paho: Callable[..., Paho]) -> None:
    """What the captures did to the device that had answered the server's own commands."""
    client, device, sandbox = paho(world.sandbox), world.device(), world.sandbox
    client.subscribe(f"application/{world.ours[APPLICATION]}/device/{PROBE}/event/+")
    numbers = iter(range(1, 100))

    def queued(**body: Any) -> None:
        command(world, client, id=item_id(next(numbers)), **body)

    def uplink(**given: Any) -> None:
        device.uplink(b"\x01", port=2, **given)

    confirmed, refused = partial(queued, confirmed=True), partial(sandbox.refuse_downlinks, "TOO_LATE")
    steps: list[tuple[str, list[Callable[[], None]]]] = [
        ("two unconfirmed queued, uplink", [queued, queued, uplink]),
        ("next uplink", [uplink]),
        ("nothing more", [uplink]),
        ("confirmed queued, uplink", [confirmed, uplink]),
        ("uplink with the ACK bit", [uplink]),
        ("confirmed queued and a second one behind it, uplink", [confirmed, queued, uplink]),
        ("uplink without the ACK bit (nack)", [partial(device.configure, acknowledges=False), uplink]),
        ("uplink: what comes now", [partial(device.configure, acknowledges=True), uplink]),
        ("confirmed uplink with a confirmed downlink queued", [confirmed, partial(uplink, confirmed=True)]),
        ("uplink with the ACK bit", [uplink]),
        ("gateway refuses: TOO_LATE", [queued, refused, uplink]),
        ("the next uplink sends it again", [uplink]),
        ("gateway never answers", [queued, sandbox.refuse_downlinks, uplink]),
        ("the next uplink", [uplink]),
    ]
    theirs = [record for record in records("31-downlink-delivery") if record["note"] in {note for note, _ in steps}]
    for (note, actions), record in zip(steps, theirs, strict=True):
        assert note == record["note"]
        for act in actions:
            act()
        expected = record["events"]
        got = [client.event() for _ in expected]
        for (name, event), their in zip(got, expected, strict=True):
            assert name == their["topic"].rsplit("/", 1)[1], note
            assert alike(event) == alike(json.loads(world.to_ours(their["payload"]))), note
        assert without_counters(world.queue()) == without_counters(record["queue"]), note
    assert [it.payload for it in device.received] == [b"\x02\x0f"] * 8
    assert client.messages.empty()


def test_items_that_are_discarded(world: World, paho: Callable[..., Paho]) -> None:
    client, device = paho(world.sandbox), world.device()
    client.subscribe(f"application/{world.ours[APPLICATION]}/device/{PROBE}/event/+")
    theirs = {record["note"]: record for record in records("31-downlink-delivery")}

    def check(note: str) -> None:
        for their in theirs[note]["events"]:
            name, event = client.event()
            assert name == their["topic"].rsplit("/", 1)[1], note
            assert alike(event) == alike(json.loads(world.to_ours(their["payload"]))), note

    device.configure(spreading_factor=12)
    command(world, client, id=item_id(0xB), data="A" * 80)
    device.uplink(b"\x01", port=2)
    check("too long for the data rate SF12: 60 bytes")
    device.configure(spreading_factor=7)
    command(world, client, id=item_id(0xC), expiresAt="2020-01-01T00:00:00Z")
    command(world, client, id=item_id(0xD))
    device.uplink(b"\x01", port=2)
    check("expired while queued, one good behind it")
    command(world, client, id=item_id(0xE), confirmed=True)
    device.uplink(b"\x01", port=2)
    check("pending confirmed then FlushQueue")
    world.api.call("DeviceService/FlushQueue", {"dev_eui": PROBE})
    device.uplink(b"\x01", port=2)
    check("after the flush: uplink with ACK")
    assert "Get pending queue-item error" in world.sandbox.server_log[-1]
    assert client.messages.empty()


def test_a_device_of_class_c_needs_no_uplink(world: World, paho: Callable[..., Paho]) -> None:
    client, class_c = paho(world.sandbox), "70b3d57ed005f1a4"
    client.subscribe(f"application/{world.ours[APPLICATION]}/device/{class_c}/event/+")
    device = world.device(class_c)
    device.configure(acknowledges=False)
    device.uplink(bytes.fromhex("016700e1"), port=2)
    theirs = {record["note"]: record for record in records("31-downlink-delivery")}
    (expected,) = theirs["class C: first uplink"]["events"]
    assert alike(client.event()[1]) == alike(json.loads(world.to_ours(expected["payload"])))
    body = {
        "devEui": class_c,
        "confirmed": True,
        "fPort": 10,
        "data": "Ag8=",
        "id": "22222222-0000-4000-8000-000000000002",
    }
    client.publish(f"application/{world.ours[APPLICATION]}/device/{class_c}/command/down", json.dumps(body))
    note = "class C: confirmed, no uplink, never acknowledged (time-out 3 s)"
    for their in theirs[note]["events"]:
        name, event = client.event()
        assert name == their["topic"].rsplit("/", 1)[1]
        assert alike(event) == alike(json.loads(world.to_ours(their["payload"])))
        assert event.get("txInfo", {}) == json.loads(their["payload"]).get("txInfo", {})


def test_many_commands_at_once_lose_their_order(world: World) -> None:
    """All are written at once: a client of one's own needs no time between them."""
    topic = f"application/{world.ours[APPLICATION]}/device/{PROBE}/command/down"
    bodies = [json.dumps({"devEui": PROBE, "fPort": port, "data": "AQ=="}).encode() for port in range(1, 201)]
    host, port = world.sandbox.mqtt_address.split(":")
    login = packet(0x10, text("MQTT") + b"\x04\x02\0\x3c" + text("burst"))
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as client:
        client.sendall(login + b"".join(publish(topic, body) for body in bodies))
        world.sandbox.wait_for(lambda: len(world.queue()) == 200, timeout=PATIENCE)
    ports = [item["f_port"] for item in world.queue()]
    assert sorted(ports) == list(range(1, 201))
    (theirs,) = (record for record in records("50-limits-and-streams") if "in_order" in record)
    assert (ports == sorted(ports)) is theirs["in_order"]


@pytest.mark.parametrize("size", [9000, 10_100, 10_200, 11_000])
def test_commands_over_ten_kilobytes_cut_the_server_off(world: World, paho: Callable[..., Paho], size: int) -> None:
    (record,) = (it for it in records("50-limits-and-streams") if it["note"] == f"command of {size} bytes")
    client = paho(world.sandbox)
    body = json.dumps({"devEui": PROBE, "fPort": 1, "data": ""})
    body = body[:-2] + "A" * ((size - len(body)) // 4 * 4) + body[-2:]
    body += " " * (size - len(body))
    client.publish(f"application/{world.ours[APPLICATION]}/device/{PROBE}/command/down", body)
    if record["queued"]:
        world.sandbox.wait_for(world.queue, timeout=PATIENCE)
    else:
        world.sandbox.wait_for(lambda: world.sandbox.server_log, timeout=PATIENCE)
    assert len(world.queue()) == record["queued"]
    assert world.sandbox.server_log == [words(line) for line in record["server_log"]]


@pytest.mark.parametrize("world", [{"client_certificates": True}], indirect=True)
def test_a_client_certificate_reaches_its_application_alone(
    world: World, paho: Callable[..., Paho], tmp_path: Path
) -> None:
    """Every filter is granted, and what is of another application never comes (Mosquitto with the usual ACL)."""
    own, other = world.ours[APPLICATION], world.ours["b6eec3ed-2386-4b73-8a63-643b92850a13"]
    certificate, key = world.sandbox.client_certificate(own)
    (tmp_path / "client.pem").write_text(certificate + key)
    context = ssl.create_default_context(cadata=world.sandbox.ca_certs)
    context.load_cert_chain(tmp_path / "client.pem")
    world.device().uplink(b"\x01")
    cases = [record for record in records("10-mqtt-login-tls") if record.get("mqtt") == "3.1.1"]
    assert len(cases) == 6
    for record in cases:
        client = paho(world.sandbox, context=context)
        assert client.connected == 0
        assert client.subscribe(world.to_ours(record["filter"])) == (1,)
        world.device("70b3d57ed005f1a6").uplink(b"\x01")
        world.device().uplink(b"\x01")
        for topic in record["result"].get("msgs", []):
            if topic.endswith("/up"):
                assert client.message()[0] == world.to_ours(topic)
        # What was published before this has come before it.
        client.subscribe("application/+/none")
        assert client.messages.empty(), record["filter"]
    body = json.dumps({"devEui": "70b3d57ed005f1a6", "fPort": 7, "data": "AQ=="})
    client.publish(f"application/{other}/device/70b3d57ed005f1a6/command/down", body)
    command(world, client, fPort=7, data="AQ==")
    assert (len(world.queue()), world.queue("70b3d57ed005f1a6")) == (1, [])


@pytest.mark.parametrize("world", [{"client_certificates": True}], indirect=True)
def test_tls_without_a_certificate_is_closed(world: World) -> None:
    host, port = (world.sandbox.mqtts_address or "").removeprefix("mqtts://").split(":")
    context = ssl.create_default_context(cadata=world.sandbox.ca_certs)
    with (
        socket.create_connection((host, int(port)), timeout=PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname=host) as client,
        pytest.raises(ssl.SSLError, match="certificate required"),
    ):
        # In TLS 1.3 the client has done its part before it is told.
        client.recv(4)


def test_users_of_the_broker(world: World, paho: Callable[..., Paho]) -> None:
    assert paho(world.sandbox, login=("anybody", "anything")).connected == 0
    world.sandbox.add_mqtt_user("ann", "secret", world.ours[APPLICATION])
    assert paho(world.sandbox, login=("anybody", "anything")).connected == 5
    ann = paho(world.sandbox, login=("ann", "secret"))
    assert (ann.connected, ann.subscribe("#")) == (0, (1,))
    world.device("70b3d57ed005f1a6").uplink()
    world.device().uplink()
    assert ann.message()[0].startswith(f"application/{world.ours[APPLICATION]}/")


def test_events_are_published_as_the_server_is_told(generated: Generated, paho: Callable[..., Paho]) -> None:
    with Sandbox("demo-app", network="chirpstack") as sandbox:
        client = paho(sandbox)
        client.subscribe("#")
        sandbox.device("node-1").uplink()
        assert client.message()[2:] == (0, False)
    with Sandbox("demo-app", network="chirpstack", protobuf=True, event_qos=1) as sandbox:
        world = World(sandbox, generated)
        client, device = paho(sandbox), world.device()
        client.subscribe("application/+/device/+/event/+")
        device.uplink(b"\x05", port=95)
        topic, payload, qos, _ = client.message()
        assert (topic.rsplit("/", 1)[1], qos, payload[:1]) == ("up", 1, b"\x0a")
        up = generated.message("integration.UplinkEvent").FromString(payload)
        (record,) = (it for it in records("53-restart-and-protobuf") if it["note"].endswith("NaN and Infinity"))
        (expected,) = record["events"]
        theirs = generated.message("integration.UplinkEvent").FromString(bytes.fromhex(expected["payload_hex"]))
        assert set(up.object) == set(theirs.object)
        assert up.object["inf"] == theirs.object["inf"] == float("inf")
        assert (up.f_port, up.data, dict(up.device_info.tags)) == (95, b"\x05", dict(theirs.device_info.tags))
        topic = f"application/{world.ours[APPLICATION]}/device/{PROBE}/command/down"
        client.publish(topic, json.dumps({"devEui": PROBE, "fPort": 1}))
        sandbox.wait_for(lambda: sandbox.server_log, timeout=PATIENCE)
        assert "failed to decode Protobuf message" in sandbox.server_log[-1]
        sent = generated.message("integration.DownlinkCommand")(dev_eui=PROBE, f_port=9, data=b"\x01")
        client.publish(topic, sent.SerializeToString())
        sandbox.wait_for(world.queue, timeout=PATIENCE)
        assert world.queue()[0]["f_port"] == 9
        world.close()


def test_locations_and_integrations(thingslink_sandbox_chirpstack: Sandbox, paho: Callable[..., Paho]) -> None:
    sandbox = thingslink_sandbox_chirpstack
    client, device = paho(sandbox), sandbox.device("tracker")
    client.subscribe(f"application/{sandbox.application_id}/device/{device.dev_eui}/event/+")
    device.locate(52.1, 5.2, 12)
    name, event = client.event()
    place = {"latitude": 52.1, "longitude": 5.2, "altitude": 12.0, "source": "GEO_RESOLVER_TDOA"}
    assert (name, event["location"]) == ("location", place)
    device.integration_event("das", "modem", {"state": 1})
    name, event = client.event()
    assert (name, event["integrationName"], event["object"]) == ("integration", "das", {"state": 1.0})


def test_a_downlink_reaches_a_simulated_device(
    thingslink_sandbox_chirpstack: Sandbox, paho: Callable[..., Paho]
) -> None:
    sandbox = thingslink_sandbox_chirpstack
    client, device = paho(sandbox), sandbox.device("node-1")
    device.configure(attributes={"row": "12"})
    body = json.dumps({"devEui": device.dev_eui, "fPort": 7, "data": "AgM="})
    client.publish(f"application/{sandbox.application_id}/device/{device.dev_eui}/command/down", body)
    sandbox.wait_for(lambda: device.downlinks == [b"\x02\x03"], timeout=PATIENCE)
    device.uplink()
    assert device.next_downlink(timeout=PATIENCE)[:3] == (b"\x02\x03", 7, False)
    assert sandbox.devices() == ["node-1"]
    assert repr(sandbox) == "<Sandbox app_id='demo-app' network=chirpstack>"


def test_what_other_networks_have_is_refused() -> None:
    for options in ({"tenant": "ttn"}, {"http_port": 1}, {"insecure": True}, {"state": "x"}, {"handler_port": 1}):
        with pytest.raises(ValueError, match=r"does not go together with network='chirpstack'"):
            Sandbox(network="chirpstack", **options)
    with pytest.raises(ValueError, match="event_qos"):
        Sandbox(network="chirpstack", event_qos=2)
    with pytest.raises(ValueError, match="does not go together with network='v3'"):
        Sandbox(network="v3", protobuf=True)
    with Sandbox(network="chirpstack") as sandbox:
        with pytest.raises(AttributeError, match="http_address"):
            _ = sandbox.http_address
        with pytest.raises(ValueError, match="api_key"):
            sandbox.add_application("x", "no-key")
        with pytest.raises(ValueError, match="read-only"):
            sandbox.api_key("all")
    with Sandbox(network="v2") as sandbox, pytest.raises(AttributeError, match="server_log"):
        _ = sandbox.server_log
