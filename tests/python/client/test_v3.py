"""The Things Stack V3 behind the same client: choosing it, logging in, what arrives."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import socket
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import thingslink
from faces import on_both_faces
from harness import PATIENCE, RawServer, Recorder, publish, read_packet
from thingslink import LoginRefusedError, SubscriptionRefusedError
from thingslink._native import _parse_message
from thingslink.sandbox import Sandbox
from thingslink.ttn import ActivationEvent, DownlinkEvent, FieldValue, MQTTClient, UplinkMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Maker = Callable[..., MQTTClient]

VECTORS = Path(__file__).parents[2] / "vectors"
KEY = "NNSXS." + "K" * 39 + "." + "S" * 52
HOSTED = "eu1.cloud.thethings.network"


@pytest.fixture(params=[None, "ttn"], ids=["own", "tenant"])
def stack(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with Sandbox(network="v3", tenant=request.param, mqtts_port=0, seed=0) as sandbox:
        yield sandbox


def client_of(stack: Sandbox, make: Maker = MQTTClient, **options: Any) -> MQTTClient:
    """Make a client; of a stack on an address of its own only the program knows the tenant."""
    options = {"reconnect_min_delay": 0.02, "reconnect_max_delay": 0.2, **options}
    return make(stack.username, stack.access_key, stack.mqtt_address, **options)


@pytest.mark.parametrize(
    ("arguments", "options", "shown"),
    [
        (("app-1", "ttn-account-v2.k", "h:1"), {}, "app_id='app-1' network='v2' mqtt_address='h:1'"),
        (("app-1", KEY, "h:1"), {}, "app_id='app-1' network='v3' mqtt_address='h:1'"),
        (("app-1", KEY, "h:1"), {"network": "v2"}, "network='v2'"),
        (("app-1", "key", "h:1"), {"network": "v3"}, "network='v3'"),
        (("app-1", "key", HOSTED), {}, "app_id='app-1@ttn' network='v3'"),
        (("app-1@acme", KEY, HOSTED), {}, "app_id='app-1@acme'"),
        (("app-1", KEY, "mqtts://acme.nam1.cloud.thethings.industries"), {}, "app_id='app-1@acme'"),
        (("app-1", KEY), {"cluster": "eu1"}, f"app_id='app-1@ttn' network='v3' mqtt_address='{HOSTED}'"),
        (("app-1@acme", KEY), {"cluster": "as1"}, "mqtt_address='acme.as1.cloud.thethings.industries'"),
        (("app-1", "key"), {"cluster": "stack.example"}, "network='v3' mqtt_address='stack.example'"),
    ],
)
def test_the_network_is_chosen_and_shown(arguments: tuple[Any, ...], options: dict[str, Any], shown: str) -> None:
    client = MQTTClient(*arguments, **options)
    assert shown in repr(client) and "S" * 52 not in repr(client)
    assert client.app_id == "app-1"


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (("app-1", KEY), {"network": "V3"}, 'network "V3" is not valid'),
        (("app-1", KEY), {"cluster": "eu"}, 'cluster "eu" is not valid'),
        (("app-1", KEY), {"cluster": "eu2"}, "app@tenant"),
        (("app-1", KEY), {"cluster": f"https://{HOSTED}"}, "without a scheme"),
        (("app-1", KEY), {"cluster": "eu1:8883"}, "without a port"),
        (("app-1", KEY), {"cluster": "eu1.cloud.thethings.industries"}, "app@tenant"),
        (("app-1@", KEY), {"cluster": "eu1"}, 'app_id "app-1@" is not valid'),
        (("app-1@a@b", KEY), {"cluster": "eu1"}, 'app_id "app-1@a@b" is not valid'),
        (("app-1", KEY, "h:1"), {"cluster": "eu1"}, "cluster is not valid beside mqtt_address"),
        (("my_app", KEY, "h:1"), {}, "V2 with '_'"),
    ],
)
def test_what_cannot_be_chosen_is_told(arguments: tuple[Any, ...], options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MQTTClient(*arguments, **options)


@on_both_faces
@pytest.mark.parametrize(
    ("address", "tls"), [("stack.invalid:1883", None), ("mqtt://stack.invalid", None), ("1.2.3.4:7", None)]
)
def test_a_key_does_not_go_without_tls_to_another_machine(address: str, tls: bool | None, mqtt_client: Maker) -> None:
    client = mqtt_client("app-1", KEY, address, tls=tls)
    with pytest.raises(ValueError, match="tls=False"):
        client.connect(timeout=PATIENCE)


def test_an_address_without_a_port_means_tls_unless_it_is_this_machine() -> None:
    for address, tls in (("stack.invalid", None), ("stack.invalid:1883", False)):
        with pytest.raises(socket.gaierror):
            MQTTClient("app-1", KEY, address, tls=tls).connect(timeout=PATIENCE)
    with pytest.raises(ValueError, match='cluster="eu1"'):
        MQTTClient("app-1", KEY).connect(timeout=PATIENCE)


@on_both_faces
def test_an_uplink_has_v2s_shape(stack: Sandbox, recorder: Recorder, mqtt_client: Maker) -> None:
    device = stack.device("soil-07")
    device.locate(51.98, 5.66, 12)
    client = recorder.watch(client_of(stack, mqtt_client))
    client.set_uplink_field_callback(recorder.on("field"), "tank/level")
    with client:
        client.set_uplink_raw_callback(recorder.on("raw"))
        device.uplink(b"\x01\x67", fields={"tank": {"level": 0.5}, "frm-payload": 1}, port=3, confirmed=True)
        msg, field, raw = recorder.expect_each("uplink", "field", "raw")
    assert (msg.app_id, msg.dev_id, msg.port, msg.counter, msg.confirmed) == ("demo-app", "soil-07", 3, 0, True)
    assert msg.payload == b"\x01\x67" and msg.payload_raw == "AWc="
    assert msg.payload_fields.tank.level == 0.5 and msg.payload_fields["frm-payload"] == 1
    assert msg.metadata.modulation == "LORA" and msg.metadata.data_rate == "SF7BW125"
    assert 860 < msg.metadata.frequency < 870 and msg.metadata.airtime > 10_000_000
    assert msg.metadata.gateways and {"gtw_id", "rssi", "snr", "channel"} <= set(msg.metadata.gateways[0].keys())
    assert msg.metadata.latitude == 51.98 and msg.received_at is not None
    assert raw.payload == msg.v3.json() and msg.v3.uplink_message.f_port == 3
    assert isinstance(field, FieldValue) and (field.value, field.dev_id, field.app_id) == (0.5, "soil-07", "demo-app")


def test_a_client_tells_its_network() -> None:
    assert MQTTClient("demo-app", KEY, "mqtt://localhost").network == "v3"
    assert MQTTClient("demo-app", "ttn-account-v2.demo", "mqtt://localhost").network == "v2"
    assert MQTTClient("demo-app", "ttn-account-v2.demo", "mqtt://localhost", network="v3").network == "v3"


def vectors() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    lines = (VECTORS / "tts_v3_uplink.jsonl").read_text().splitlines()
    return [(vector["v3"], vector["v2"]) for vector in map(json.loads, lines)]


def check_alike(msg: Any, same: Any, v2: dict[str, Any]) -> None:
    """Use a message, or a part of one, in each way that V2's may be used."""
    assert isinstance(msg, UplinkMessage)
    for name in v2:
        assert msg[name] == getattr(msg, name) == msg.get(name) == getattr(same, name)
        assert not isinstance(v2[name], dict | list) or msg[name] is getattr(msg, name) is dict(msg.items())[name]
    assert msg == same and hash(msg) == hash(same) and repr(msg) == repr(same) and len(msg) == len(same)
    assert msg.to_dict() == v2 == json.loads(msg.json()) and list(msg.keys()) == list(v2)
    assert [value for _, value in msg.items()] == list(msg) == list(msg._asdict().values())
    assert msg.payload == same.payload and msg.received_at == same.received_at and msg.datetime == same.datetime
    for copied in (pickle.loads(pickle.dumps(msg)), copy.copy(msg), copy.deepcopy(msg)):
        assert copied == msg and repr(copied) == repr(msg) and copied.v3 == msg.v3


@pytest.mark.parametrize(("v3", "v2"), vectors())
def test_messages_behave_as_those_of_v2(v3: dict[str, Any], v2: dict[str, Any]) -> None:
    msg, same = _parse_message(json.dumps(v3), "v3"), _parse_message(json.dumps(v2))
    check_alike(msg, same, v2)
    check_alike(msg.metadata, same.metadata, v2["metadata"])
    for number, gateway in enumerate(v2["metadata"].get("gateways", [])):
        check_alike(msg.metadata.gateways[number], same.metadata.gateways[number], gateway)
    assert msg.v3 is not None and msg.v3 is msg.v3 and same.v3 is None and msg.metadata.v3 is None
    assert msg.v3.to_dict() == v3
    assert "uplink_message" not in list(msg.keys()) and not hasattr(msg, "uplink_message")
    assert msg._replace(port=9).port == 9
    with pytest.raises(ValueError, match="part of a message"):
        msg.metadata.ack()


def captured() -> list[dict[str, Any]]:
    lines = (VECTORS / "tts_v3" / "22-mqtt-radio.jsonl").read_text().splitlines()
    return [line for line in map(json.loads, lines) if "payload" in line and "topic" in line]


@on_both_faces
def test_the_client_reads_what_a_real_stack_wrote(
    raw_server: RawServer, recorder: Recorder, mqtt_client: Maker
) -> None:
    lines = captured()
    assert len(lines) > 20
    client = recorder.watch(mqtt_client("app1", KEY, raw_server.address))
    client.set_event_callback(recorder.on("event"))
    with client:
        for line in lines:
            raw_server.send(publish(line["topic"], line["payload"].encode()))
            came, v3 = line["topic"].split("/", 4)[4], json.loads(line["payload"])
            if came == "up":
                msg = recorder.expect("uplink")
                assert (msg.app_id, msg.v3.to_dict()) == ("app1", v3)
                assert msg.port == v3["uplink_message"].get("f_port", 0)
                assert {gateway.gtw_id for gateway in msg.metadata.gateways} <= {"gw1", "gw2"}
                continue
            event = recorder.expect("event")
            assert (event.app_id, event.dev_id, event.v3.to_dict()) == ("app1", line["topic"].split("/")[3], v3)
            spelling = {"join": "activations", "down/queued": "down/scheduled", "down/ack": "down/acks"}
            assert event.name == {**spelling, "down/failed": "down/errors"}.get(came, came)
            if came == "join":
                assert isinstance(event, ActivationEvent)
                assert event.dev_addr == v3["end_device_ids"]["dev_addr"] and event.metadata is not None
            elif came.startswith("down/"):
                assert isinstance(event, DownlinkEvent) and event.message is not None
            if came == "down/failed":
                assert event.error and event.error.startswith("pkg/") and "{" not in event.error
    assert not [entry for entry in recorder.drain() if entry[0] == "error"]


def test_only_what_callbacks_need_is_subscribed_to(raw_server: RawServer, recorder: Recorder) -> None:
    def asked() -> bytes:
        while True:
            packet = raw_server.packets.get(timeout=PATIENCE)
            if packet[0] == 0x82:
                return packet

    with MQTTClient("app1@ttn", KEY, raw_server.address) as client:
        client.set_activation_callback(recorder.on("event"))
        assert b"v3/app1@ttn/devices/+/join" in asked()
        client.set_event_callback(recorder.on("event"), "down/ack", "dev-1")
        assert b"v3/app1@ttn/devices/dev-1/down/ack" in asked()
        client.set_uplink_field_callback(recorder.on("event"), "a")
        assert b"v3/app1@ttn/devices/+/up" in asked()
        with pytest.raises(ValueError, match="V2 with '_'"):
            client.set_uplink_callback(recorder.on("uplink"), dev_id="dev_1")


@on_both_faces
def test_events_are_known_by_both_spellings(stack: Sandbox, recorder: Recorder, mqtt_client: Maker) -> None:
    device = stack.device("soil-07")
    client = client_of(stack, mqtt_client)
    for name in ("down/queued", "down/scheduled"):
        client.set_event_callback(recorder.on(name), name)
    client.set_activation_callback(recorder.on("join"))
    with client:
        device.join()
        joined = recorder.expect("join")
        assert isinstance(joined, ActivationEvent) and joined.v3 is not None and joined.v3.join_accept is not None
        client.send("soil-07", b"\x01")
        names = [event.name for event in recorder.expect_each("down/queued", "down/scheduled")]
        assert names == ["down/scheduled"] * 2


def test_an_event_that_never_comes_is_told(caplog: pytest.LogCaptureFixture, eventually: Callable[..., None]) -> None:
    client = MQTTClient("app-1", KEY, "localhost:1")
    with caplog.at_level(logging.WARNING):
        client.set_event_callback(print, "create")
    eventually(lambda: '"create", which The Things Stack V3 tells nobody' in caplog.text)


@on_both_faces
def test_a_refused_login_is_told_in_plain_words(stack: Sandbox, mqtt_client: Maker) -> None:
    wrong = "NNSXS." + "A" * 39 + "." + "B" * 52
    with pytest.raises(LoginRefusedError, match=r"code 5.*Identity Server") as caught:
        mqtt_client(stack.username, wrong, stack.mqtt_address).connect(timeout=PATIENCE)
    assert "BBBB" not in str(caught.value)
    other = "demo-app" if stack.tenant else "demo-app@ttn"
    words = "app@tenant" if stack.tenant else 'is "demo-app" meant'
    with pytest.raises(LoginRefusedError, match=words.replace("app@", "demo-app@")):
        mqtt_client(other, stack.access_key, stack.mqtt_address).connect(timeout=PATIENCE)


def test_topics_of_v2_refused_name_v3(stack: Sandbox) -> None:
    client = MQTTClient(stack.username, stack.access_key, stack.mqtt_address, network="v2")
    with pytest.raises(SubscriptionRefusedError, match="The Things Stack V3"):
        client.connect(timeout=PATIENCE)


@contextmanager
def hanging_up() -> Iterator[str]:
    """Serve what closes after the login, without an answer."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                read_packet(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    yield "127.0.0.1:%d" % listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


@on_both_faces
def test_a_close_without_an_answer_is_told_as_a_rate_limit(mqtt_client: Maker) -> None:
    with hanging_up() as address, pytest.raises(thingslink.ConnectionLostError, match="logins come too fast"):
        mqtt_client("app-1", KEY, address).connect(timeout=PATIENCE)


@on_both_faces
def test_a_later_refusal_is_tried_again(raw_server: RawServer, recorder: Recorder, mqtt_client: Maker) -> None:
    client = mqtt_client("app-1", KEY, raw_server.address, reconnect_min_delay=0.01, reconnect_max_delay=0.02)
    with recorder.watch(client):
        assert recorder.expect("connect") is True
        accepted, raw_server.connack = raw_server.connack, b"\x20\x02\x00\x05"
        raw_server.connections[-1].shutdown(socket.SHUT_RDWR)
        assert recorder.expect("close") is False
        assert recorder.expect("connect") is False
        raw_server.connack = accepted
        while not recorder.expect("connect"):
            pass
        assert client.is_connected


def test_qos_and_sessions_that_v3_does_not_have_are_warned_of(
    caplog: pytest.LogCaptureFixture, eventually: Callable[..., None]
) -> None:
    with caplog.at_level(logging.WARNING):
        MQTTClient("app-1", KEY, "localhost:1", qos=1)
    eventually(lambda: "QoS 0" in caplog.text and "storage" in caplog.text)


def test_a_queue_that_fills_is_told_and_then_drops_its_oldest_messages(
    raw_server: RawServer, caplog: pytest.LogCaptureFixture, eventually: Callable[..., None]
) -> None:
    goes_on, got = threading.Event(), []

    def slow(msg: UplinkMessage) -> None:
        got.append(msg.counter)
        goes_on.wait(PATIENCE)

    def send(*counters: int) -> None:
        for counter in counters:
            body = b'{"uplink_message":{"f_cnt":%d}}' % counter
            raw_server.send(publish("v3/app-1/devices/dev-1/up", body))

    client = MQTTClient("app-1", KEY, raw_server.address, queue_messages=10)
    client.set_uplink_callback(slow)
    with caplog.at_level(logging.WARNING), client:
        send(1)
        eventually(lambda: got)
        send(*range(2, 8))
        eventually(lambda: "half full" in caplog.text)
        assert client.stats()["dropped"] == 0
        send(*range(8, 21))
        eventually(lambda: client.stats()["dropped"] == 10)
        goes_on.set()
        eventually(lambda: len(got) == 10)
    assert got == [1, *range(12, 21)]


def test_a_downlink_reaches_the_device(stack: Sandbox) -> None:
    device = stack.device("soil-07")
    with client_of(stack, qos=1) as client:
        client.send("soil-07", b"\x01", port=10, conf=True)
        client.send("soil-07", "Ag==", sched="last")
        client.flush(PATIENCE)
        device.uplink()
        assert [(one.payload, one.port) for one in device.received] == [(b"\x01", 10)]
        client.send("soil-07", b"\x03")
        client.flush(PATIENCE)
        device.uplink()
        assert device.received[-1].payload == b"\x03"
        for payload, schedule in ((b"", "last"), (b"\x01", "first")):
            with pytest.raises(ValueError, match="V3"):
                client.send("soil-07", payload, schedule=schedule)  # type: ignore[call-overload] # mypy widens it
        with pytest.raises(ValueError, match="V2 with '_'"):
            client.send("soil_07", b"\x01")
