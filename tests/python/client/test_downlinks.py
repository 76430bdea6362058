"""What became of a downlink: handles on both networks, and the truth about `send` on The Things Stack V3."""

from __future__ import annotations

import json
import queue
import re
import threading
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
from faces import on_both_faces
from harness import PATIENCE, RawServer, Recorder, publish
from thingslink import DownlinkError, MessageTooLargeError, NotConnectedError, ThingsTimeoutError
from thingslink.sandbox import Sandbox
from thingslink.ttn import MQTTClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Maker = Callable[..., MQTTClient]

KEY = "NNSXS." + "K" * 39 + "." + "S" * 52
APP = "app1@ttn"
RIGHTS = ["RIGHT_APPLICATION_TRAFFIC_READ"]


@pytest.fixture(params=["v2", "v3"])
def network(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with Sandbox(network=request.param, seed=0) as sandbox:
        yield sandbox


@pytest.fixture
def v3() -> Iterator[Sandbox]:
    with Sandbox(network="v3", tenant="ttn", seed=0) as sandbox:
        yield sandbox


def client_of(sandbox: Sandbox, make: Maker = MQTTClient, **options: Any) -> MQTTClient:
    return make(sandbox.username, sandbox.access_key, sandbox.mqtt_address, **options)


@on_both_faces
@pytest.mark.parametrize("qos", [0, 1])
def test_a_downlink_goes_its_way(network: Sandbox, qos: int, mqtt_client: Maker) -> None:
    device = network.device("dev-1")
    with client_of(network, mqtt_client, qos=qos, follow_downlinks=True) as client:
        mid = client.send("dev-1", b"\x01", port=5, confirmation=True)
        handle = client.downlink(mid)
        assert handle.mid == mid and handle.wait("written", PATIENCE) in {"written", "queued"}
        assert handle.wait("queued", PATIENCE) == "queued" == handle.state
        device.uplink(b"\x02")
        handle.wait("sent", PATIENCE)
        device.uplink(b"\x02")
        assert handle.wait("acked", PATIENCE) == "acked" == client.downlink(mid).state
        assert handle.error is None and f" mid={mid} acked>" in repr(handle)
        with pytest.raises(DownlinkError, match=r"is acked: it was not nacked") as caught:
            handle.wait("nacked", PATIENCE)
        assert (caught.value.mid, caught.value.state) == (mid, "acked")
    assert device.received[0].payload == b"\x01"


@on_both_faces
def test_what_a_wait_gives_tells_when_and_why(network: Sandbox, mqtt_client: Maker) -> None:
    network.device("dev-1")
    ids = ["my-id"] if network.network == "v3" else None
    began = datetime.now(timezone.utc)
    with client_of(network, mqtt_client, follow_downlinks=True) as client:
        handle = client.downlink(client.send("dev-1", b"\x01", correlation_ids=ids))
        queued = handle.wait("queued", PATIENCE)
        assert queued.state == "queued" == queued == f"{queued}" and queued in {"queued", "sent"}
        assert queued not in {"sent", 1} and queued == handle.wait("written", PATIENCE)
        assert queued.time is not None and began <= queued.time <= datetime.now(timezone.utc)
        assert (queued.mid, queued.error) == (handle.mid, None)
        assert ("my-id" in queued.correlation_ids) == (network.network == "v3")
        assert repr(queued) == f"<DownlinkOutcome mid={handle.mid} queued>"


def test_what_has_failed_says_why(v3: Sandbox) -> None:
    v3.device("dev-1", joined=False)
    with client_of(v3, qos=1) as client:
        failed = client.downlink(client.send("dev-1", b"\x01")).wait("failed", PATIENCE)
    assert failed == "failed" and failed.error is not None and "no_device_session" in failed.error
    assert failed.error in repr(failed)


@on_both_faces
def test_the_order_of_the_queue_is_followed(network: Sandbox, mqtt_client: Maker) -> None:
    device = network.device("dev-1")
    network.device("dev-2")
    with client_of(network, mqtt_client, follow_downlinks=True) as client:
        last, other, next_one = (client.send(to, b"\x01", schedule="last") for to in ("dev-1", "dev-2", "dev-1"))
        for mid in (last, other, next_one):
            client.downlink(mid).wait("queued", PATIENCE)
        device.uplink(b"\x02")
        client.downlink(last).wait("sent", PATIENCE)
        assert [client.downlink(mid).state for mid in (other, next_one)] == ["queued"] * 2


@pytest.mark.parametrize("tenant", [None, "ttn"])
def test_the_downlink_callback_means_queued(tenant: str | None, recorder: Recorder) -> None:
    with Sandbox(network="v3", tenant=tenant, seed=0) as sandbox:
        sandbox.device("dev-1")
        sandbox.device("dev-2", joined=False)
        client = recorder.watch(client_of(sandbox, qos=1))
        with client:
            good, bad = client.send("dev-1", b"\x01"), client.send("dev-2", b"\x01")
            assert recorder.expect("downlink") == good
            error = recorder.expect("error")
            assert isinstance(error, DownlinkError)
            assert (error.mid, error.dev_id, error.state) == (bad, "dev-2", "failed")
            assert "no_device_session" in str(error) and "dev-2" in str(error)
            handle = client.downlink(bad)
            assert handle.state == "failed" and handle.error is not None and "no_device_session" in handle.error
            with pytest.raises(DownlinkError, match="no_device_session"):
                handle.wait("queued", PATIENCE)
            client.flush(PATIENCE)
        assert not [value for kind, value in recorder.drain() if kind == "downlink"]


def test_silence_is_told_after_a_while(v3: Sandbox, recorder: Recorder) -> None:
    client = recorder.watch(client_of(v3, queue_timeout=0.2))
    with client:
        handle = client.downlink(client.send("nobody", b"\x01"))
        with pytest.raises(DownlinkError, match=r"within 0\.2 s") as caught:
            handle.wait("queued", PATIENCE)
        assert caught.value.state == "unconfirmed" == handle.state
        error = recorder.expect("error")
        assert isinstance(error, DownlinkError) and (error.mid, error.dev_id) == (handle.mid, "nobody")
        for reason in ("such a device", "RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE", "RIGHT_APPLICATION_TRAFFIC_READ"):
            assert reason in str(error) and reason in (handle.error or "")
    assert not [entry for entry in recorder.drain() if entry[0] == "downlink"]


def test_a_key_without_the_right_is_no_success(v3: Sandbox, recorder: Recorder) -> None:
    v3.add_application("other-app", KEY, RIGHTS)
    v3.device("dev-1", "other-app")
    client = recorder.watch(MQTTClient("other-app@ttn", KEY, v3.mqtt_address, qos=1, queue_timeout=0.2))
    with client:
        mid = client.send("dev-1", b"\x01")
        assert recorder.expect("error").mid == mid
        assert client.downlink(mid).state == "unconfirmed"


class Stack:
    """A stack that says what a test has it say."""

    def __init__(self, server: RawServer) -> None:
        self.server = server

    def packet(self, first: int) -> bytes:
        while True:
            packet = self.server.packets.get(timeout=PATIENCE)
            if packet[0] & 0xF0 == first:
                return packet

    def sent(self) -> dict[str, Any]:
        """Give the next downlink that came."""
        packet = self.packet(0x30)
        downlinks: list[dict[str, Any]] = json.loads(packet[packet.index(b'{"downlinks"') :])["downlinks"]
        assert len(downlinks) == 1
        return downlinks[0]

    def say(self, end: str, downlink: dict[str, Any], **more: Any) -> None:
        ids = sorted([*downlink["correlation_ids"], "as:downlink:01JP9KA7W5Y3V1T9R7P5N3M1K0", "zz"])
        body = {"end_device_ids": {"device_id": "dev-1"}, "correlation_ids": ids, **more}
        self.server.send(publish(f"v3/{APP}/devices/dev-1/{end}", json.dumps(body).encode()))


@pytest.fixture
def scripted(raw_server: RawServer) -> Stack:
    return Stack(raw_server)


def test_the_events_are_asked_for_before_the_downlink(scripted: Stack) -> None:
    with MQTTClient(APP, KEY, scripted.server.address) as client:
        client.send("dev-1", b"\x01")
        packets = [scripted.server.packets.get(timeout=PATIENCE) for _ in range(3)]
        assert [packet[0] & 0xF0 for packet in packets] == [0x10, 0x80, 0x30]
        assert f"v3/{APP}/devices/+/down/+".encode() in packets[1]
        assert re.search(rb'"correlation_ids":\["thingslink:[0-9a-f]{16}"\]', packets[2])
        client.send("dev-1", b"\x01")
        assert scripted.server.packets.get(timeout=PATIENCE)[0] & 0xF0 == 0x30, "they are asked for once"


def test_v2_asks_for_nothing_more(raw_server: RawServer) -> None:
    with MQTTClient("app-1", "key", raw_server.address) as client:
        mid = client.send("dev-1", b"\x01")
        packets = [raw_server.packets.get(timeout=PATIENCE) for _ in range(3)]
        assert [packet[0] & 0xF0 for packet in packets] == [0x10, 0x80, 0x30]
        assert b"app-1/devices/+/up" in packets[1] and b"events" not in packets[1]
        assert client.downlink(mid).wait("written", PATIENCE) == "written"
        subscribed = raw_server.packets.get(timeout=PATIENCE)
        assert b"app-1/devices/+/events/down/+" in subscribed


def test_a_failure_is_final_and_answers_come_before_the_uplink(scripted: Stack) -> None:
    states: queue.Queue[str] = queue.Queue()
    with MQTTClient(APP, KEY, scripted.server.address) as client:

        def heard(msg: Any, client: MQTTClient) -> None:
            states.put(client.downlink(mid).state)

        mid = client.send("dev-1", b"\x01", confirmation=True, confirmed_retry=2)
        client.set_uplink_callback(heard)
        downlink = scripted.sent()
        assert downlink["confirmed_retry"] == {"max_attempts": 2}

        def uplink() -> str:
            body = {"uplink_message": {"f_port": 1, "frm_payload": "AQ=="}}
            scripted.server.send(publish(f"v3/{APP}/devices/dev-1/up", json.dumps(body).encode()))
            return states.get(timeout=PATIENCE)

        scripted.say("down/queued", downlink)
        scripted.say("down/sent", downlink)
        scripted.say("down/nack", downlink)
        assert uplink() == "nacked"
        error = {"namespace": "pkg/as", "name": "too_many", "message_format": "maximum {n}", "attributes": {"n": 2}}
        scripted.say("down/failed", downlink, downlink_failed={"downlink": downlink, "error": error})
        scripted.say("down/nack", downlink)
        scripted.say("down/ack", downlink)
        assert uplink() == "failed"
        handle = client.downlink(mid)
        assert handle.error == "pkg/as:too_many: maximum 2" and handle.wait("nacked", PATIENCE) == "failed"


def test_an_unconfirmed_downlink_may_be_queued_late(scripted: Stack, recorder: Recorder) -> None:
    with recorder.watch(MQTTClient(APP, KEY, scripted.server.address, queue_timeout=0.1)) as client:
        mid = client.send("dev-1", b"\x01")
        assert recorder.expect("error").state == "unconfirmed"
        scripted.say("down/queued", scripted.sent())
        assert recorder.expect("downlink") == mid
        assert client.downlink(mid).state == "queued" and client.downlink(mid).error is None


def test_events_of_others_are_not_mistaken(scripted: Stack, recorder: Recorder) -> None:
    with recorder.watch(MQTTClient(APP, KEY, scripted.server.address)) as client:
        first, second = client.send("dev-1", b"\x01"), client.send("dev-1", b"\x01")
        downlinks = [scripted.sent(), scripted.sent()]
        for other in ([], ["thingslink:0123456789abcdef"], ["pump-7"], ["thingslink:"]):
            scripted.say("down/queued", {"correlation_ids": other})
        scripted.say("down/queued", downlinks[1])
        scripted.say("down/queued", downlinks[1])
        assert recorder.expect("downlink") == second
        scripted.say("down/queued", downlinks[0])
        assert recorder.expect("downlink") == first


def test_events_that_no_callback_wants_are_not_delivered(v3: Sandbox, recorder: Recorder) -> None:
    v3.device("dev-1")
    with client_of(v3) as client:
        client.set_event_callback(recorder.on("sent"), "down/sent")
        handle = client.downlink(client.send("dev-1", b"\x01"))
        handle.wait("queued", PATIENCE)
        v3.device("dev-1").uplink(b"\x02")
        assert recorder.expect("sent").name == "down/sent"
        assert not recorder.drain()
        stats = client.stats()
        assert (stats["received"], stats["dropped"], stats["delivered"]) == (1, 0, 1)


@on_both_faces
def test_a_closed_client_ends_waits(network: Sandbox, mqtt_client: Maker) -> None:
    network.device("dev-1")
    client = client_of(network, mqtt_client, follow_downlinks=True)
    client.connect()
    handle = client.downlink(client.send("dev-1", b"\x01"))
    handle.wait("queued", PATIENCE)
    outcome: list[BaseException] = []

    def wait() -> None:
        with pytest.raises(DownlinkError) as caught:
            handle.wait("acked", 10 * PATIENCE)
        outcome.append(caught.value)

    thread = threading.Thread(target=wait)
    thread.start()
    client.close()
    thread.join(PATIENCE)
    assert "closed before it was acked" in str(outcome[0])
    assert getattr(outcome[0], "dev_id", None) == "dev-1"
    assert handle.state == "queued" == handle.wait("written", PATIENCE)
    with pytest.raises(DownlinkError, match="closed"):
        handle.wait("sent", PATIENCE)


@on_both_faces
def test_closing_waits_for_the_networks_word(v3: Sandbox, mqtt_client: Maker, recorder: Recorder) -> None:
    v3.device("dev-1")
    for _ in range(20):
        client = client_of(v3, mqtt_client)
        client.set_downlink_callback(recorder.on("downlink"))
        client.connect()
        mid = client.send("dev-1", b"\x01")
        client.close()
        assert recorder.entries.get_nowait() == ("downlink", mid)


def test_what_is_not_known_at_the_end_is_told(v3: Sandbox, recorder: Recorder) -> None:
    client = client_of(v3)
    client.set_error_callback(recorder.on("error"))
    client.connect()
    handle = client.downlink(client.send("nobody", b"\x01"))
    client.close(timeout=0.4)
    kind, error = recorder.entries.get_nowait()
    assert (kind, error.state, error.mid, error.dev_id) == ("error", "unconfirmed", handle.mid, "nobody")
    assert "closed before the network had said" in str(error) and handle.state == "unconfirmed"


@on_both_faces
def test_waits_end_in_time_and_know_their_states(network: Sandbox, mqtt_client: Maker) -> None:
    network.device("dev-1")
    with client_of(network, mqtt_client, follow_downlinks=True) as client:
        handle = client.downlink(client.send("dev-1", b"\x01"))
        with pytest.raises(ThingsTimeoutError, match=f"downlink {handle.mid} to be sent"):
            handle.wait("sent", 0.01)
        for bad in ("waiting", "QUEUED", ""):
            with pytest.raises(ValueError, match="written, queued"):
                handle.wait(bad)  # type: ignore[arg-type]


def test_the_latest_ten_thousand_are_known(network: Sandbox) -> None:
    network.device("dev-1")
    with client_of(network) as client:
        mids = [client.send("dev-1", b"\x01") for _ in range(10_001)]
        for forgotten in (0, mids[0], mids[-1] + 1):
            with pytest.raises(ValueError, match="10,000"):
                client.downlink(forgotten)
        assert client.downlink(mids[1]).mid == mids[1]
        assert client.downlink(mids[-1]).wait("written", PATIENCE)


def test_a_refused_message_is_a_failed_one(raw_server: RawServer) -> None:
    with MQTTClient(APP, KEY, raw_server.address, qos=1) as client:
        handle = client.downlink(client.send("dev-1", b"\x01"))
        assert handle.wait("written", PATIENCE) == "written"
        with pytest.raises(NotConnectedError):
            MQTTClient(APP, KEY, raw_server.address).send("dev-1", b"\x01")


def test_everything_that_v3_can_be_told(v3: Sandbox, recorder: Recorder) -> None:
    device = v3.device("dev-1")
    with client_of(v3) as client:
        client.set_event_callback(recorder.on("queued"), "down/queued")
        client.device("dev-1").send(
            b"\x01" * 200,
            port=225,
            confirmation=True,
            schedule="last",
            priority="HIGH",
            class_b_c={
                "gateways": ["gw-1", {"gateway_ids": {"gateway_id": "gw-2"}, "antenna_index": 1}],
                "absolute_time": datetime(2099, 1, 1, tzinfo=timezone.utc),
            },
            confirmed_retry={"max_attempts": 32},
            correlation_ids=['pump "7"', "x" * 100],
        )
        queued = recorder.expect("queued").v3.downlink_queued
    assert (queued.priority, queued.f_port, queued.confirmed_retry.max_attempts) == ("HIGH", 225, 32)
    assert {'pump "7"', "x" * 100} < set(queued.correlation_ids)
    assert queued.class_b_c.gateways[1].antenna_index == 1
    assert queued.class_b_c.absolute_time == "2099-01-01T00:00:00Z"
    assert device.downlinks == [b"\x01" * 200]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"port": 0}, "port .*but not 224"),
        ({"port": 224}, "port .*but not 224"),
        ({"port": 256}, "port .*but not 224"),
        ({"payload": b""}, "at least 1 byte"),
        ({"payload": ""}, "at least 1 byte"),
        ({"payload": "AQ=="[:3]}, "base64"),
        ({"priority": "URGENT"}, "priority .*LOWEST"),
        ({"correlation_ids": ["x" * 101]}, "correlation ID .*1 to 100"),
        ({"correlation_ids": [""]}, "correlation ID .*1 to 100"),
        ({"confirmed_retry": 0}, "confirmed_retry 0 .*1 to 32"),
        ({"confirmed_retry": 33}, "confirmed_retry 33 .*1 to 32"),
        ({"confirmed_retry": {"attempts": 3}}, "max_attempts"),
        ({"class_b_c": {"gateway": []}}, 'unknown key "gateway"'),
        ({"class_b_c": {"gateways": ["GW"]}}, 'gateway_id "GW"'),
        ({"class_b_c": {"gateways": [{"gateway_ids": {"eui": "00"}}]}}, "eui"),
        ({"class_b_c": {"gateways": [{"gateway_id": "gw-1", "antenna_index": -1}]}}, "antenna_index -1"),
        ({"class_b_c": {"absolute_time": "2099-01-01T00:00:00"}}, "absolute_time"),
        ({"class_b_c": {"absolute_time": datetime(2099, 1, 1)}}, "absolute_time"),  # noqa: DTZ001
        ({"dev_id": "dev_1"}, "V2 with '_'"),
        ({"dev_id": "ab"}, "dev_id"),
        ({"schedule": "first"}, "first"),
    ],
)
def test_what_the_stack_would_drop_is_refused(scripted: Stack, options: dict[str, Any], words: str) -> None:
    with MQTTClient(APP, KEY, scripted.server.address) as client:
        with pytest.raises(ValueError, match=words):
            client.send(**{"dev_id": "dev-1", "payload": b"\x01", **options})
        client.send("dev-1", b"\x02")
        assert scripted.sent()["frm_payload"] == "Ag==", "nothing was sent before"


@pytest.mark.parametrize(
    "options", [{"priority": 1}, {"correlation_ids": "abc"}, {"confirmed_retry": True}, {"class_b_c": []}]
)
def test_what_is_of_a_wrong_type_is_refused(v3: Sandbox, options: dict[str, Any]) -> None:
    with client_of(v3) as client, pytest.raises(TypeError, match=next(iter(options))):
        client.send("dev-1", b"\x01", **options)


@pytest.mark.parametrize(("size", "taken"), [(255, True), (256, False)])
def test_payloads_have_the_length_that_the_stack_takes(scripted: Stack, size: int, taken: bool) -> None:
    with MQTTClient(APP, KEY, scripted.server.address) as client:
        if taken:
            client.send("dev-1", bytes(size))
            scripted.sent()
        else:
            with pytest.raises(MessageTooLargeError, match="256 bytes is over the limit of 255"):
                client.send("dev-1", bytes(size))


@pytest.mark.parametrize(
    "options", [{"priority": "HIGH"}, {"class_b_c": {}}, {"confirmed_retry": 2}, {"correlation_ids": ["a"]}]
)
def test_v2_cannot_be_told_what_only_v3_has(sandbox: Sandbox, options: dict[str, Any]) -> None:
    with client_of(sandbox) as client:
        with pytest.raises(ValueError, match=f"{next(iter(options))} is not valid on The Things Network V2"):
            client.send("dev-1", b"\x01", **options)
        with pytest.raises(ValueError, match=r"port 225 .*1 to 223"):
            client.send("dev-1", b"\x01", port=225)


def test_no_body_of_v2_reaches_a_topic_of_v3(v3: Sandbox, recorder: Recorder) -> None:
    device = v3.device("dev-1")
    body = json.dumps({"port": 2, "schedule": "last", "payload_raw": "Aw=="})
    with recorder.watch(client_of(v3)) as client:
        paho: Any = client._MQTTClient__client
        client.send("dev-1", b"\x01")
        recorder.expect("downlink")
        for topic in (f"v3/{v3.username}/devices/dev-1/down/replace", "demo-app/devices/dev-1/up", "else/where"):
            with pytest.raises(ValueError, match="not valid: expected"):
                paho.publish(topic, body)
        assert device.downlinks == [b"\x01"], "the queue was not cleared"
        # What programs wrote by themselves on V2 goes its way as one of V3.
        mid = paho.publish("demo-app/devices/dev-1/down", body).mid
        assert recorder.expect("downlink") == mid
        assert device.downlinks == [b"\x01", b"\x03"]
        own = {"downlinks": [{"f_port": 3, "frm_payload": "BA=="}]}
        paho.publish(f"v3/{v3.username}/devices/dev-1/down/replace", json.dumps(own))
        client.flush(PATIENCE)
        v3.wait_for(lambda: device.downlinks == [b"\x04"], timeout=PATIENCE)


def test_queue_timeout_is_checked() -> None:
    for bad, error in ((-1, ValueError), ("x", TypeError)):
        with pytest.raises(error, match="queue_timeout"):
            MQTTClient(APP, KEY, "h:1", queue_timeout=bad)  # type: ignore[arg-type]


def test_an_old_acknowledgement_does_not_hide_the_word(scripted: Stack, recorder: Recorder) -> None:
    """At QoS 1 the event may come before the acknowledgement of the message."""
    with recorder.watch(MQTTClient(APP, KEY, scripted.server.address, qos=1)) as client:
        handle = client.downlink(client.send("dev-1", b"\x01"))
        scripted.say("down/queued", scripted.sent())
        assert recorder.expect("downlink") == handle.mid
        client.flush(PATIENCE)
        assert handle.state == "queued"
