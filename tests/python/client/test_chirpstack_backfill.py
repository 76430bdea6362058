"""What a client of ChirpStack missed while it was away comes out of the events that the server keeps of each device."""

from __future__ import annotations

import importlib
import itertools
import json
import queue
import threading
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from chirpstack_peer import records, token
from harness import PATIENCE, Recorder
from storage_peer import StoragePeer
from thingslink import RpcError, StatusCode
from thingslink.sandbox import Sandbox
from thingslink.ttn import MQTTClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from peers import Generated

    Eventually = Callable[[Callable[[], object]], None]


@pytest.fixture
def server() -> Iterator[Sandbox]:
    with Sandbox(network="chirpstack", seed=0) as sandbox:
        yield sandbox


@pytest.fixture
def kept(server: Sandbox) -> Iterator[StoragePeer]:
    peer = StoragePeer(server)
    yield peer
    peer.stop()


def client_of(server: Sandbox, address: str | None = None, **options: Any) -> MQTTClient:
    usual = {
        "grpc_address": address or server.management_address,
        "backfill": True,
        "reconnect_min_delay": 0.01,
        "reconnect_max_delay": 0.1,
    }
    key = options.pop("key", server.access_key)
    return MQTTClient(server.application_id, key, server.mqtt_address, **{**usual, **options})


def leave(server: Sandbox, recorder: Recorder) -> None:
    """Part the client from the broker, and keep it away."""
    server.refuse_connections(True)
    server.cut()
    assert recorder.expect("close") is False


def come_back(server: Sandbox, recorder: Recorder) -> None:
    server.refuse_connections(False)
    while not recorder.expect("connect"):
        pass


def counters(recorder: Recorder, count: int) -> list[tuple[str, int]]:
    came = [recorder.expect("uplink") for _ in range(count)]
    return [(msg.dev_id, msg.counter) for msg in came]


def errors(recorder: Recorder) -> list[RpcError]:
    return [value for kind, value in recorder.drain() if kind == "error"]


def test_what_was_missed_comes_once_in_order_and_before_what_is_new(server: Sandbox, recorder: Recorder) -> None:
    one, other = server.device("node-1"), server.device("node-2")
    one.uplink()
    with recorder.watch(client_of(server)) as client:
        for times in (1, 2):
            one.uplink()
            other.uplink()
            first = counters(recorder, 2)[0][1]
            leave(server, recorder)
            for device in (one, other, one, other):
                device.uplink(b"\x07\x08", port=9)
            come_back(server, recorder)
            one.uplink(b"\x01")
            msg = recorder.expect("uplink")
            assert (msg.dev_id, msg.payload, msg.port) == ("node-1", b"\x07\x08", 9)
            assert msg.chirpstack.fPort == 9 and msg.hardware_serial == one.dev_eui.upper()
            second = other.uplink() - 2
            assert [("node-1", msg.counter), *counters(recorder, 5)] == [
                ("node-1", first + 1),
                ("node-2", second),
                ("node-1", first + 2),
                ("node-2", second + 1),
                ("node-1", first + 3),
                ("node-2", second + 2),
            ]
            assert client.stats()["backfilled"] == 4 * times
        assert client.stats()["dropped"] == 0
    assert not errors(recorder)


def test_the_first_login_fetches_nothing(server: Sandbox, kept: StoragePeer, recorder: Recorder) -> None:
    device = server.device("node-1")
    device.uplink()
    with recorder.watch(client_of(server, kept.address)) as client:
        leave(server, recorder)
        device.uplink()
        come_back(server, recorder)
        device.uplink()
        assert counters(recorder, 1) == [("node-1", 2)]
        assert kept.asked == 0 and client.stats()["backfilled"] == 0


@pytest.mark.parametrize("protobuf", [False, True], ids=["json", "protobuf"])
def test_what_comes_both_ways_comes_once(recorder: Recorder, protobuf: bool, eventually: Eventually) -> None:
    with Sandbox(network="chirpstack", seed=0, protobuf=protobuf) as server:
        kept = StoragePeer(server)
        device = server.device("node-1")
        kept.scripts = [kept.fail(grpc.StatusCode.UNAVAILABLE), kept.look_late]
        with recorder.watch(client_of(server, kept.address)) as client:
            device.uplink()
            counters(recorder, 1)
            leave(server, recorder)
            device.uplink()
            come_back(server, recorder)
            assert kept.waits.wait(PATIENCE)
            # Held back until what was missed is here, which has it as well.
            device.uplink()
            eventually(lambda: client.stats()["received"] == 2)
            assert not [entry for entry in recorder.drain() if entry[0] == "uplink"]
            kept.gate.set()
            assert counters(recorder, 2) == [("node-1", 1), ("node-1", 2)]
            device.uplink()
            assert counters(recorder, 1) == [("node-1", 3)]
            assert client.stats()["backfilled"] == 1
        kept.stop()


def test_more_events_than_are_kept_are_told_of(server: Sandbox, recorder: Recorder) -> None:
    busy, calm = server.device("node-1"), server.device("node-2")
    with recorder.watch(client_of(server)) as client:
        busy.uplink()
        calm.uplink()
        counters(recorder, 2)
        leave(server, recorder)
        for _ in range(12):
            busy.uplink()
        calm.uplink()
        come_back(server, recorder)
        assert counters(recorder, 11) == [*(("node-1", counter) for counter in range(3, 13)), ("node-2", 1)]
        error = recorder.expect("error")
        assert error.code() is StatusCode.DATA_LOSS
        assert "last 10 events" in str(error) and busy.dev_eui in str(error) and calm.dev_eui not in str(error)
        assert client.stats()["backfilled"] == 11


def test_a_device_whose_last_ten_were_all_here_has_lost_nothing(server: Sandbox, recorder: Recorder) -> None:
    device = server.device("node-1")
    with recorder.watch(client_of(server)):
        for _ in range(12):
            device.uplink()
        counters(recorder, 12)
        leave(server, recorder)
        device.uplink()
        come_back(server, recorder)
        assert counters(recorder, 1) == [("node-1", 12)]
    assert not errors(recorder)


def test_only_what_is_listened_to_is_fetched(server: Sandbox, kept: StoragePeer, recorder: Recorder) -> None:
    one, other = server.device("node-1"), server.device("node-2")
    client = client_of(server, kept.address)
    client.set_connect_callback(recorder.on("connect"))
    client.set_close_callback(recorder.on("close"))
    client.device(one.dev_eui).set_uplink_callback(recorder.on("uplink"))
    with client:
        one.uplink()
        counters(recorder, 1)
        leave(server, recorder)
        other.uplink()
        one.uplink()
        one.join()
        come_back(server, recorder)
        assert counters(recorder, 1) == [("node-1", 1)]
        assert (client.stats()["backfilled"], kept.asked) == (1, 1)


def test_events_are_fetched_of_devices_that_have_sent_nothing(server: Sandbox, recorder: Recorder) -> None:
    one, other = server.device("node-1"), server.device("node-2")
    client = recorder.watch(client_of(server))
    client.set_event_callback(recorder.on("event"), "activations")
    with client:
        one.uplink()
        counters(recorder, 1)
        leave(server, recorder)
        other.join()
        come_back(server, recorder)
        event = recorder.expect("event")
        assert (event.dev_id, event.dev_eui) == ("node-2", other.dev_eui.upper())


def test_what_became_of_downlinks_meanwhile_is_known(server: Sandbox, recorder: Recorder) -> None:
    device = server.device("node-1")
    with recorder.watch(client_of(server)) as client:
        device.uplink()
        mid = client.send("node-1", b"\x05", confirmation=True)
        assert client.downlink(mid).state == "queued"
        counters(recorder, 1)
        leave(server, recorder)
        device.uplink()
        device.uplink()
        come_back(server, recorder)
        assert client.downlink(mid).wait("acked", PATIENCE) == "acked"
        assert counters(recorder, 2) == [("node-1", 1), ("node-1", 2)]


def test_a_server_that_stays_away_holds_nobody_up_for_ever(
    server: Sandbox, kept: StoragePeer, recorder: Recorder
) -> None:
    device = server.device("node-1")
    kept.scripts = [kept.fail(grpc.StatusCode.UNAVAILABLE)] * 5
    with recorder.watch(client_of(server, kept.address)):
        device.uplink()
        counters(recorder, 1)
        leave(server, recorder)
        device.uplink()
        come_back(server, recorder)
        device.uplink()
        error = recorder.expect("error")
        assert counters(recorder, 1) == [("node-1", 2)]
        assert error.code() is StatusCode.UNAVAILABLE and "asked for again after the next login" in str(error)
        server.cut()
        assert counters(recorder, 1) == [("node-1", 1)]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (grpc.StatusCode.UNIMPLEMENTED, "gives nobody the events that it keeps"),
        (grpc.StatusCode.UNAUTHENTICATED, "could not be fetched"),
    ],
)
def test_a_server_that_gives_nobody_anything_is_told_of(
    server: Sandbox, kept: StoragePeer, recorder: Recorder, code: grpc.StatusCode, words: str
) -> None:
    device = server.device("node-1")
    kept.scripts = [kept.fail(code)]
    with recorder.watch(client_of(server, kept.address)):
        device.uplink()
        counters(recorder, 1)
        leave(server, recorder)
        device.uplink()
        come_back(server, recorder)
        told = str(recorder.expect("error"))
        assert words in told and server.access_key not in told
        device.uplink()
        assert counters(recorder, 1) == [("node-1", 2)]


def test_a_device_that_was_deleted_since_keeps_nobody_up(
    server: Sandbox, kept: StoragePeer, recorder: Recorder
) -> None:
    gone, device = server.device("node-1"), server.device("node-2")
    kept.scripts = [kept.fail(grpc.StatusCode.UNAUTHENTICATED)]
    with recorder.watch(client_of(server, kept.address)):
        for one in (gone, device):
            one.uplink()
        counters(recorder, 2)
        leave(server, recorder)
        for one in (gone, device):
            one.uplink()
        come_back(server, recorder)
        # Whichever it was.
        assert counters(recorder, 1)[0] in {("node-1", 1), ("node-2", 1)}
    assert not errors(recorder)


def test_devices_are_listed_page_by_page(server: Sandbox, recorder: Recorder) -> None:
    devices = [server.device(f"node-{number:04}") for number in range(1001)]
    last = max(devices, key=lambda device: device.dev_eui)
    with recorder.watch(client_of(server)) as client:
        last.uplink()
        counters(recorder, 1)
        leave(server, recorder)
        last.uplink()
        come_back(server, recorder)
        assert counters(recorder, 1) == [(last.dev_id, 1)]
        assert client.stats()["backfilled"] == 1


def test_the_server_reads_ten_at_a_time(
    server: Sandbox, kept: StoragePeer, recorder: Recorder, generated: Generated
) -> None:
    """As captured: the eleventh came a second after the ten before it, and was kept like these."""
    importlib.import_module("chirpstack.internal_pb2")
    log_item = generated.message("api.LogItem")
    items = [
        item
        for record in records("50-limits-and-streams")
        if record["note"].startswith("StreamDeviceEvents: history")
        for _, item in record["items"]
        if "body" in item
    ]
    history = items[:11]
    over = threading.Event()

    def captured(_messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        context.add_callback(over.set)
        for place, item in enumerate(history):
            if place == 10:
                over.wait(1)
            yield log_item(id=item["id"], description=item["description"], body=item["body"]).SerializeToString()
        # There is no end: its reader leaves.
        assert over.wait(PATIENCE)

    device = server.device("node-1")
    client = recorder.watch(client_of(server, kept.address))
    client.set_event_callback(recorder.on("event"))
    with client:
        body = {"time": "2026-11-26T01:00:00+00:00", "deviceInfo": {"devEui": device.dev_eui}, "fCnt": 7}
        topic = f"application/{server.application_id}/device/{device.dev_eui}/event/up"
        server.publish_raw(topic, json.dumps(body).encode())
        assert counters(recorder, 1) == [(device.dev_eui, 7)]
        leave(server, recorder)
        device.uplink()
        kept.scripts = [captured]
        come_back(server, recorder)
        came = [recorder.entries.get(timeout=PATIENCE) for _ in history]
        assert [kind if kind == "uplink" else value.name for kind, value in came] == [
            {"up": "uplink", "txack": "down/sent", "log": "down/errors"}[item["description"]] for item in history
        ]
        assert [value.counter for kind, value in came if kind == "uplink"] == [32, 33, 34, 35, 36, 37]
        assert client.stats()["backfilled"] == 11
        assert over.wait(PATIENCE)


def test_a_stream_without_end_is_left(
    server: Sandbox, kept: StoragePeer, recorder: Recorder, generated: Generated
) -> None:
    importlib.import_module("chirpstack.internal_pb2")
    log_item = generated.message("api.LogItem")
    left, times = threading.Event(), queue.SimpleQueue[str]()

    def endless(_messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        context.add_callback(left.set)
        now = times.get(timeout=PATIENCE)
        for number in itertools.count():
            body = {"deduplicationId": str(number), "time": now, "fCnt": number}
            yield log_item(description="up", body=json.dumps(body)).SerializeToString()

    device = server.device("node-1")
    kept.scripts = [endless]
    with recorder.watch(client_of(server, kept.address)) as client:
        device.uplink()
        counters(recorder, 1)
        leave(server, recorder)
        device.uplink()
        times.put(datetime.now(timezone.utc).isoformat())
        come_back(server, recorder)
        device.uplink()
        assert [recorder.expect("uplink").counter for _ in range(1000)] == list(range(1000))
        assert left.wait(PATIENCE)
        assert counters(recorder, 1) == [("node-1", 2)]
        assert client.stats()["backfilled"] == 1000


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "give grpc_address"),
        ({"grpc_address": "localhost:8080", "access_key": None}, "API key of ChirpStack as access_key"),
        ({"grpc_address": "localhost:8080", "group": "workers"}, "with a group"),
    ],
)
def test_where_nothing_can_be_asked_it_is_an_error_at_once(options: dict[str, Any], words: str) -> None:
    key = token()
    usual = {"app_id": "c49fa6c7-3dc9-4053-b67b-3417d0872f0b", "access_key": key, "mqtt_address": "localhost:1"}
    with pytest.raises(ValueError, match=words) as refused:
        MQTTClient(**{**usual, **options}, backfill=True)
    assert 'backfill "True"' in str(refused.value) and key not in str(refused.value)
