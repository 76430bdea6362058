"""Nothing lost that the protocol can keep; nothing stopped by what cannot be read."""

from __future__ import annotations

import json
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest
import thingslink
from faces import on_both_faces
from harness import PATIENCE, RawServer, Recorder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from thingslink.sandbox import Sandbox
from thingslink.ttn import MQTTClient

if TYPE_CHECKING:
    from collections.abc import Callable

    Maker = Callable[..., MQTTClient]

KEEPING: dict[str, Any] = {"qos": 1, "clean_session": False, "client_id": "keeper"}


def test_every_message_comes_while_the_broker_is_restarted_50_times(sandbox: Sandbox, client_for: Maker) -> None:
    device, client = sandbox.device("node-1"), client_for(sandbox, **KEEPING)
    total = 50 * 40
    counters: list[int] = []
    complete = threading.Event()

    def uplink(msg: Any, client: Any) -> None:
        counters.append(msg.counter)
        if msg.counter == total - 1:
            complete.set()

    client.set_uplink_callback(uplink)
    client.connect()
    for _ in range(50):
        for _ in range(20):
            device.uplink()
        sandbox.restart()
        for _ in range(20):
            device.uplink()
    assert complete.wait(PATIENCE), f"{len(set(counters))} of {total}"
    firsts = list(dict.fromkeys(counters))
    assert firsts == list(range(total)), "missing or out of order"


@on_both_faces
def test_what_comes_while_the_client_is_away_is_kept(sandbox: Sandbox, client_for: Maker, recorder: Recorder) -> None:
    device, client = sandbox.device("node-1"), client_for(sandbox, **KEEPING)
    client.set_uplink_callback(recorder.on("uplink"))
    client.connect()
    client.close()
    for _ in range(100):
        device.uplink()
    assert sandbox.backlog("keeper") == 100
    client.connect()
    assert [recorder.expect("uplink").counter for _ in range(100)] == list(range(100))


@on_both_faces
def test_an_uplink_is_acknowledged_only_when_its_callbacks_have_returned(
    sandbox: Sandbox, client_for: Maker, recorder: Recorder, eventually: Callable[[Callable[[], object]], None]
) -> None:
    device, client = sandbox.device("node-1"), client_for(sandbox, **KEEPING)
    release = threading.Event()

    def uplink(msg: Any, client: Any) -> None:
        recorder.entries.put(("begun", msg.counter))
        release.wait(PATIENCE)

    client.set_uplink_callback(uplink)
    client.connect()
    device.uplink()
    assert recorder.expect("begun") == 0
    assert sandbox.backlog("keeper") == 1
    release.set()
    eventually(lambda: sandbox.backlog("keeper") == 0)


@pytest.mark.thingslink_allow_callback_exceptions(raises=OSError)
def test_what_is_kept_is_handled_again_where_it_came_again_meanwhile(
    sandbox: Sandbox, client_for: Maker, recorder: Recorder, eventually: Callable[[Callable[[], object]], None]
) -> None:
    """The server sends it again while its callback still runs, and would not do so once more on that connection."""
    client = client_for(sandbox, **KEEPING, on_callback_error="keep", reconnect_min_delay=0.01)
    raises = threading.Event()

    def uplink(msg: Any, client: Any) -> None:
        first = not raises.is_set()
        recorder.entries.put(("begun", msg.counter))
        assert raises.wait(PATIENCE)
        if first:
            raise OSError("the database is away")

    client.set_uplink_callback(uplink)
    client.connect()
    sandbox.device("node-1").uplink()
    assert recorder.expect("begun") == 0
    follower = sandbox.follow()
    sandbox.cut()
    # The answer to the subscription comes after what the broker has kept.
    while (entry := follower.next(PATIENCE)) and entry["kind"] != "subscribed":
        pass
    eventually(lambda: client.is_connected)
    raises.set()
    assert recorder.expect("begun") == 0
    eventually(lambda: sandbox.backlog("keeper") == 0)
    assert client.stats()["kept"] == 1
    client.close()


def test_what_comes_before_a_callback_is_set_waits_for_it(
    sandbox: Sandbox, client_for: Maker, recorder: Recorder, eventually: Callable[[Callable[[], object]], None]
) -> None:
    device, client = sandbox.device("node-1"), client_for(sandbox, **KEEPING)
    client.connect()
    for _ in range(5):
        device.uplink()
    eventually(lambda: client.stats()["received"] == 5)
    assert sandbox.backlog("keeper") == 5
    client.set_uplink_callback(recorder.on("uplink"))
    assert [recorder.expect("uplink").counter for _ in range(5)] == list(range(5))
    eventually(lambda: sandbox.backlog("keeper") == 0)


def test_downlinks_are_sent_again_until_acknowledged(sandbox: Sandbox, client_for: Maker, recorder: Recorder) -> None:
    device, client = sandbox.device("node-1"), recorder.watch(client_for(sandbox, **KEEPING))
    client.connect()
    sandbox.withhold_acks(10)
    mids = [client.send("node-1", bytes([number]), schedule="last") for number in range(20)]
    for mid in mids[10:]:
        assert recorder.expect("downlink") == mid
    assert client.stats()["unsent"] == 10
    with pytest.raises(thingslink.ThingsTimeoutError, match="10 downlinks"):
        client.flush(0.05)
    sandbox.cut()
    for mid in mids[:10]:
        assert recorder.expect("downlink") == mid
    client.flush(PATIENCE)
    # At least once, and the repetitions in order.
    assert device.downlinks == [bytes([number]) for number in (*range(20), *range(10))]


def test_unacknowledged_downlinks_survive_a_connect_by_hand(
    sandbox: Sandbox, client_for: Maker, recorder: Recorder
) -> None:
    sandbox.device("node-1")
    client = recorder.watch(client_for(sandbox, **KEEPING))
    client.connect()
    sandbox.withhold_acks(1)
    mid = client.send("node-1", b"\x01")
    client.connect()
    assert recorder.expect("downlink") == mid


@pytest.mark.parametrize("qos", [0, 1])
def test_send_straight_after_connect_and_close_straight_after_send(
    qos: int, sandbox: Sandbox, client_for: Maker
) -> None:
    device = sandbox.device("node-1")
    for _ in range(20):
        client = client_for(sandbox, qos=qos)
        client.connect()
        for number in range(50):
            client.send("node-1", bytes([number]), schedule="last")
        client.close()
    assert len(device.downlinks) == 1000


@on_both_faces
def test_a_full_send_queue_waits_for_room(sandbox: Sandbox, client_for: Maker) -> None:
    sandbox.device("node-1")
    client = client_for(sandbox, send_queue_messages=10, qos=1)
    client.connect()
    for _ in range(500):
        client.send("node-1", b"\x01")
    client.flush(PATIENCE)
    assert client.stats()["sent"] == 500


def test_overload_drops_the_oldest_and_counts(
    sandbox: Sandbox,
    client_for: Maker,
    recorder: Recorder,
    caplog: pytest.LogCaptureFixture,
    eventually: Callable[[Callable[[], object]], None],
) -> None:
    device, client = sandbox.device("node-1"), client_for(sandbox, queue_messages=10, overflow="drop_oldest")
    release = threading.Event()

    def uplink(msg: Any, client: Any) -> None:
        recorder.entries.put(("uplink", msg.counter))
        release.wait(PATIENCE)

    client.set_uplink_callback(uplink)
    client.set_connect_callback(recorder.on("connect"))
    client.connect()
    # What is told of the connection counts as queued until it is handled.
    recorder.expect("connect")
    device.uplink()
    assert recorder.expect("uplink") == 0
    with caplog.at_level(logging.WARNING, logger="thingslink"):
        for _ in range(100):
            device.uplink()
        eventually(lambda: client.stats()["dropped"] + client.stats()["queue_length"] == 101)
        stats = client.stats()
        release.set()
        last = [recorder.expect("uplink") for _ in range(stats["queue_length"] - 1)][-1]
        client.close()
    assert last == 100 and stats["queue_length"] <= 10
    assert stats["queue_bytes"] > 10 * 800
    assert caplog.text.count("dropping the oldest") == 1, "once per burst"


@on_both_faces
def test_overload_at_qos_1_slows_the_broker_down(sandbox: Sandbox, client_for: Maker, recorder: Recorder) -> None:
    device, client = sandbox.device("node-1"), client_for(sandbox, **KEEPING, queue_messages=4)
    client.set_uplink_callback(recorder.on("uplink"))
    client.connect()
    for _ in range(3000):
        device.uplink()
    assert [recorder.expect("uplink").counter for _ in range(3000)] == list(range(3000))
    assert client.stats()["dropped"] == 0


@on_both_faces
@pytest.mark.parametrize("payload", [b"", b"not json", b"\xff\xfe", b"{", b'{"a":}', b"[" * 5000])
def test_undecodable_messages_reach_the_raw_callbacks(
    payload: bytes,
    sandbox: Sandbox,
    client_for: Maker,
    recorder: Recorder,
    caplog: pytest.LogCaptureFixture,
    eventually: Callable[[Callable[[], object]], None],
) -> None:
    device, client = sandbox.device("node-1"), recorder.watch(client_for(sandbox))
    client.set_uplink_raw_callback(recorder.on("raw"))
    client.connect()
    topic = f"{sandbox.app_id}/devices/node-1/up"
    with caplog.at_level(logging.WARNING, logger="thingslink"):
        sandbox.publish_raw(topic, payload)
        error, raw = recorder.expect_each("error", "raw")
        device.uplink()
        assert recorder.expect("uplink").counter == 0
        # The log comes by a way of its own.
        eventually(lambda: topic in caplog.text)
    assert isinstance(error, thingslink.DecodeError) and topic in str(error)
    assert (raw.topic, raw.payload, raw.qos, raw.retain, raw.mid) == (topic, payload, 0, 0, 0)
    assert raw.timestamp > 0
    assert client.stats()["undecodable"] == 1


@on_both_faces
def test_raw_callbacks_get_what_the_original_s_got(sandbox: Sandbox, client_for: Maker, recorder: Recorder) -> None:
    client = client_for(sandbox)
    client.set_uplink_raw_callback(recorder.on("raw"))
    topic = f"{sandbox.app_id}/devices/node-1/up"
    sandbox.publish_raw(topic, b'{"kept": true}', retain=True)
    client.connect()
    raw = recorder.expect("raw")
    assert raw.retain == 1 and json.loads(raw.payload.decode("utf-8")) == {"kept": True}
    assert "RawMessage(topic=" in repr(raw)


@on_both_faces
@pytest.mark.parametrize("text", [b"true", b"null", b"1.5", b'["a"]', b'"x"'])
def test_what_is_no_object_is_given_bare(text: bytes, sandbox: Sandbox, client_for: Maker, recorder: Recorder) -> None:
    client = recorder.watch(client_for(sandbox))
    client.connect()
    sandbox.publish_raw(f"{sandbox.app_id}/devices/node-1/up", text)
    assert recorder.expect("uplink") == json.loads(text)


@on_both_faces
def test_large_messages_pass_and_too_large_ones_are_skipped(
    sandbox: Sandbox, client_for: Maker, recorder: Recorder, eventually: Callable[[Callable[[], object]], None]
) -> None:
    topic = f"{sandbox.app_id}/devices/node-1/up"
    client = recorder.watch(client_for(sandbox))
    client.connect()
    sandbox.publish_raw(topic, json.dumps({"big": "x" * (1 << 20)}).encode())
    assert len(recorder.expect("uplink").big) == 1 << 20
    small = recorder.watch(client_for(sandbox, **KEEPING, max_message_bytes=1000))
    small.connect()
    recorder.expect("connect")
    for _ in range(5):
        sandbox.publish_raw(topic, json.dumps({"big": "x" * 5000}).encode())
        assert isinstance(recorder.expect("error"), thingslink.MessageTooLargeError)
    sandbox.publish_raw(topic, b'{"small": 1}')
    while recorder.expect("uplink").get("small") is None:
        pass
    assert small.stats()["oversize"] == 5 and small.stats()["reconnects"] == 0
    small.close()
    # The last acknowledgement is on its way when close() returns: the broker reads it in its own time.
    eventually(lambda: sandbox.backlog("keeper") == 0)


@on_both_faces
def test_garbled_and_doubled_messages_stop_nothing(sandbox: Sandbox, client_for: Maker, recorder: Recorder) -> None:
    device, client = sandbox.device("node-1"), recorder.watch(client_for(sandbox))
    client.connect()
    sandbox.garble(3)
    for _ in range(3):
        device.uplink()
        assert isinstance(recorder.expect("error"), thingslink.DecodeError)
    sandbox.duplicate(1)
    device.uplink()
    assert [recorder.expect("uplink").counter for _ in range(2)] == [3, 3]
    sandbox.delay(0.05)
    device.uplink()
    assert recorder.expect("uplink").counter == 4


@on_both_faces
def test_a_retained_message_is_delivered_like_any_other(
    sandbox: Sandbox, client_for: Maker, recorder: Recorder
) -> None:
    sandbox.publish_raw(f"{sandbox.app_id}/devices/node-1/up", b'{"dev_id": "node-1"}', retain=True)
    client = recorder.watch(client_for(sandbox))
    client.connect()
    assert recorder.expect("uplink").dev_id == "node-1"


@on_both_faces
def test_connect_fails_when_every_subscription_is_refused(raw_server: RawServer, mqtt_client: Maker) -> None:
    raw_server.answers = False
    client = mqtt_client("demo-app", "k", raw_server.address)
    client.set_uplink_callback(lambda message, client: None)

    def refuse() -> None:
        raw_server.next()
        raw_server.send(b"\x90\x03" + raw_server.next()[2:4] + b"\x80")

    thread = threading.Thread(target=refuse)
    thread.start()
    with pytest.raises(thingslink.SubscriptionRefusedError, match=r"demo-app/devices/\+/up"):
        client.connect()
    thread.join(PATIENCE)
    assert not client.is_connected
    raw_server.next()
    raw_server.answers = True
    client.connect()
    client.close(timeout=1)


@on_both_faces
def test_a_refused_subscription_among_others_is_told(
    raw_server: RawServer, recorder: Recorder, mqtt_client: Maker
) -> None:
    raw_server.answers = False
    client = recorder.watch(mqtt_client("demo-app", "k", raw_server.address))
    client.set_event_callback(lambda message, client: None)
    thread = threading.Thread(target=client.connect)
    thread.start()
    raw_server.next()
    raw_server.send(b"\x90\x04" + raw_server.next()[2:4] + b"\x00\x80")
    thread.join(PATIENCE)
    error = recorder.expect("error")
    assert isinstance(error, thingslink.SubscriptionRefusedError) and "demo-app/devices/+/up" in str(error)
    assert client.is_connected
    client.close(timeout=1)


FUZZ_TOPICS = ["up", "up/field", "events/activations", "events/down/sent", "events/create", "events/x/y", "other"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(FUZZ_TOPICS), st.binary(max_size=80)), min_size=1, max_size=8))
def test_any_bytes_on_any_topic_stop_nothing(messages: list[tuple[str, bytes]]) -> None:
    recorder = Recorder()
    with Sandbox() as sandbox:
        device = sandbox.device("node-1")
        client = recorder.watch(MQTTClient(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address))
        client.set_event_callback(lambda event: repr(event) + repr(event.data) + repr(event.error))
        client.set_uplink_field_callback(lambda value: repr(value.value), "field")
        client.set_uplink_raw_callback(lambda msg: msg.payload)
        with client:
            for topic, payload in messages:
                sandbox.publish_raw(f"{sandbox.app_id}/devices/node-1/{topic}", payload)
            device.uplink(port=77)
            while getattr(recorder.expect("uplink"), "port", None) != 77:
                pass
            assert client.stats()["reconnects"] == 0


UPLINK = json.dumps(thingslink.utils.stubs.uplink)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(UPLINK) - 1), st.integers(0, 12), st.text(max_size=4))
def test_a_mutated_uplink_is_read_or_refused_as_python_does(at: int, cut: int, put: str) -> None:
    text = UPLINK[:at] + put + UPLINK[at + cut :]
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(thingslink.DecodeError):
            thingslink.utils.json2obj(text)
    else:
        message = thingslink.utils.json2obj(text)
        repr(message)
        if isinstance(expected, dict):
            assert message.to_dict() == expected
