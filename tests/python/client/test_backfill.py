"""What a client of The Things Stack V3 missed while it was away comes out of the storage, once and in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
from harness import PATIENCE, Recorder
from storage_peer import StoragePeer
from thingslink import RpcError, StatusCode
from thingslink.sandbox import Sandbox
from thingslink.ttn import MQTTClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Eventually = Callable[[Callable[[], object]], None]

KEY = "NNSXS." + "K" * 39 + "." + "S" * 52
READ = "RIGHT_APPLICATION_TRAFFIC_READ"


@pytest.fixture
def stack() -> Iterator[Sandbox]:
    """Give a hosted stack, which keeps messages."""
    with Sandbox(network="v3", tenant="ttn", seed=0, insecure=True) as sandbox:
        yield sandbox


@pytest.fixture
def storage(stack: Sandbox) -> Iterator[StoragePeer]:
    peer = StoragePeer(stack)
    yield peer
    peer.stop()


def client_of(stack: Sandbox, address: str | None = None, **options: Any) -> MQTTClient:
    usual = {
        "management_address": address or stack.management_address,
        "insecure_channel": True,
        "backfill": True,
        "reconnect_min_delay": 0.01,
        "reconnect_max_delay": 0.1,
    }
    return MQTTClient(stack.username, options.pop("key", stack.access_key), stack.mqtt_address, **{**usual, **options})


def leave(stack: Sandbox, recorder: Recorder) -> None:
    """Part the client from the stack, and keep it away."""
    stack.refuse_connections(True)
    stack.cut()
    assert recorder.expect("close") is False


def come_back(stack: Sandbox, recorder: Recorder) -> None:
    stack.refuse_connections(False)
    while not recorder.expect("connect"):
        pass


def counters(recorder: Recorder, count: int) -> list[tuple[str, int]]:
    came = [recorder.expect("uplink") for _ in range(count)]
    return [(msg.dev_id, msg.counter) for msg in came]


def errors(recorder: Recorder) -> list[RpcError]:
    return [value for kind, value in recorder.drain() if kind == "error"]


def test_what_was_missed_comes_once_in_order_and_before_what_is_new(stack: Sandbox, recorder: Recorder) -> None:
    one, other = stack.device("node-1"), stack.device("node-2")
    with recorder.watch(client_of(stack)) as client:
        for times in (1, 2):
            base = 4 * (times - 1)
            one.uplink(b"\x00", fields={"level": 1.5})
            other.uplink()
            counters(recorder, 2)
            leave(stack, recorder)
            for device in (one, one, other, one):
                device.uplink(b"\x07\x08", fields={"level": 2.5}, port=9)
            come_back(stack, recorder)
            one.uplink(b"\x01")
            live = base + 4 if times == 1 else 9
            first = recorder.expect("uplink")
            assert (first.dev_id, first.payload, first.port) == ("node-1", b"\x07\x08", 9)
            assert first.payload_fields.level == 2.5 and first.metadata.data_rate == "SF7BW125"
            assert (first.app_id, first.v3.uplink_message.f_port) == (stack.app_id, 9)
            assert counters(recorder, 4) == [
                ("node-1", first.counter + 1),
                ("node-2", 2 * times - 1),
                ("node-1", first.counter + 2),
                ("node-1", first.counter + 3),
            ]
            assert first.counter + 3 == live
            assert client.stats()["backfilled"] == 4 * times
        assert client.stats()["received"] == 14 and client.stats()["dropped"] == 0
    assert not errors(recorder)


def test_nothing_is_asked_before_something_came(stack: Sandbox, storage: StoragePeer, recorder: Recorder) -> None:
    device = stack.device("node-1")
    device.uplink()
    with recorder.watch(client_of(stack, storage.address)) as client:
        leave(stack, recorder)
        device.uplink()
        come_back(stack, recorder)
        device.uplink()
        assert counters(recorder, 1) == [("node-1", 2)]
        assert storage.asked == 0 and client.stats()["backfilled"] == 0


def test_what_comes_meanwhile_waits_for_what_was_before_it(
    stack: Sandbox, storage: StoragePeer, recorder: Recorder, eventually: Eventually
) -> None:
    device = stack.device("node-1")
    storage.scripts = [storage.wait]
    with recorder.watch(client_of(stack, storage.address)) as client:
        device.uplink()
        counters(recorder, 1)
        leave(stack, recorder)
        device.uplink()
        device.uplink()
        come_back(stack, recorder)
        assert storage.waits.wait(PATIENCE)
        device.uplink()
        device.uplink()
        eventually(lambda: client.stats()["received"] == 3)
        assert not [entry for entry in recorder.drain() if entry[0] == "uplink"]
        storage.gate.set()
        assert counters(recorder, 4) == [("node-1", counter) for counter in range(1, 5)]
        device.uplink()
        assert counters(recorder, 1) == [("node-1", 5)]
        assert client.stats()["backfilled"] == 2


def test_what_is_live_and_stored_alike_comes_once(
    stack: Sandbox, storage: StoragePeer, recorder: Recorder, eventually: Eventually
) -> None:
    device = stack.device("node-1")
    storage.scripts = [storage.fail(grpc.StatusCode.UNAVAILABLE), storage.look_late]
    with recorder.watch(client_of(stack, storage.address)) as client:
        device.uplink()
        counters(recorder, 1)
        leave(stack, recorder)
        device.uplink()
        come_back(stack, recorder)
        device.uplink()
        eventually(lambda: client.stats()["received"] == 2)
        storage.gate.set()
        assert counters(recorder, 2) == [("node-1", 1), ("node-1", 2)]
        device.uplink()
        assert counters(recorder, 1) == [("node-1", 3)]
        assert client.stats()["backfilled"] == 1


def test_a_storage_that_fails_in_the_middle_is_asked_for_the_rest(
    stack: Sandbox, storage: StoragePeer, recorder: Recorder
) -> None:
    device = stack.device("node-1")
    storage.scripts = [storage.fail(grpc.StatusCode.UNAVAILABLE, after) for after in (3, 0, 2)]
    with recorder.watch(client_of(stack, storage.address)) as client:
        device.uplink()
        counters(recorder, 1)
        leave(stack, recorder)
        for _ in range(6):
            device.uplink()
        come_back(stack, recorder)
        assert counters(recorder, 6) == [("node-1", counter) for counter in range(1, 7)]
        assert (client.stats()["backfilled"], storage.asked) == (6, 4)
    assert not errors(recorder)


def test_a_connection_that_is_lost_again_meanwhile_is_caught_up_with_as_well(
    stack: Sandbox, storage: StoragePeer, recorder: Recorder
) -> None:
    device = stack.device("node-1")
    storage.scripts = [storage.wait]
    with recorder.watch(client_of(stack, storage.address)) as client:
        device.uplink()
        counters(recorder, 1)
        leave(stack, recorder)
        device.uplink()
        come_back(stack, recorder)
        assert storage.waits.wait(PATIENCE)
        device.uplink()
        leave(stack, recorder)
        device.uplink()
        come_back(stack, recorder)
        storage.gate.set()
        device.uplink()
        assert counters(recorder, 4) == [("node-1", counter) for counter in range(1, 5)]
        assert client.stats()["dropped"] == 0
    assert not errors(recorder)


def test_who_closes_and_connects_again_misses_nothing(stack: Sandbox, recorder: Recorder) -> None:
    device = stack.device("node-1")
    client = recorder.watch(client_of(stack, reconnect=False))
    client.connect()
    device.uplink()
    counters(recorder, 1)
    client.close()
    device.uplink()
    client.connect()
    device.uplink()
    assert counters(recorder, 2) == [("node-1", 1), ("node-1", 2)]
    client.close()


def test_closing_in_the_middle_delivers_what_is_here(
    stack: Sandbox, storage: StoragePeer, recorder: Recorder, eventually: Eventually
) -> None:
    device = stack.device("node-1")
    storage.scripts = [storage.wait]
    client = recorder.watch(client_of(stack, storage.address))
    client.connect()
    device.uplink()
    counters(recorder, 1)
    leave(stack, recorder)
    device.uplink()
    come_back(stack, recorder)
    assert storage.waits.wait(PATIENCE)
    device.uplink()
    eventually(lambda: client.stats()["received"] == 2)
    client.close()
    assert counters(recorder, 1) == [("node-1", 2)]
    # What was not fetched then is fetched with the next login.
    storage.gate.set()
    client.connect()
    assert counters(recorder, 1) == [("node-1", 1)]
    client.close()


def test_a_slow_program_gets_all_of_it(stack: Sandbox, recorder: Recorder) -> None:
    device = stack.device("node-1")
    with recorder.watch(client_of(stack, queue_messages=4)) as client:
        device.uplink()
        counters(recorder, 1)
        leave(stack, recorder)
        for _ in range(60):
            device.uplink()
        come_back(stack, recorder)
        assert counters(recorder, 60) == [("node-1", counter) for counter in range(1, 61)]
        assert client.stats()["dropped"] == 0


def test_more_than_a_page_comes_in_order(stack: Sandbox, recorder: Recorder) -> None:
    with recorder.watch(client_of(stack)) as client:
        stack.device("sim-00001").uplink()
        counters(recorder, 1)
        leave(stack, recorder)
        stack.stream(rate=100_000, count=600).wait()
        come_back(stack, recorder)
        assert counters(recorder, 600) == [("sim-00001", counter) for counter in range(1, 601)]
        assert client.stats()["backfilled"] == 600


def test_only_what_is_listened_to_is_fetched(stack: Sandbox, recorder: Recorder) -> None:
    one, other = stack.device("node-1"), stack.device("node-2")
    client = client_of(stack)
    client.set_connect_callback(recorder.on("connect"))
    client.set_close_callback(recorder.on("close"))
    client.device("node-1").set_uplink_callback(recorder.on("uplink"))
    client.set_event_callback(recorder.on("join"), "activations")
    with client:
        one.uplink()
        counters(recorder, 1)
        leave(stack, recorder)
        other.uplink()
        one.uplink()
        other.join()
        come_back(stack, recorder)
        assert counters(recorder, 1) == [("node-1", 1)]
        assert recorder.expect("join").dev_id == "node-2"
        assert client.stats()["backfilled"] == 2


def test_what_became_of_downlinks_meanwhile_is_known(stack: Sandbox, recorder: Recorder) -> None:
    device = stack.device("node-1")
    with recorder.watch(client_of(stack)) as client:
        mid = client.send("node-1", b"\x05", confirmation=True)
        client.downlink(mid).wait("queued", PATIENCE)
        leave(stack, recorder)
        device.uplink()
        device.uplink()
        come_back(stack, recorder)
        assert client.downlink(mid).wait("acked", PATIENCE) == "acked"
        assert counters(recorder, 2) == [("node-1", 0), ("node-1", 1)]


def test_a_stack_without_a_storage_is_told_of_once(recorder: Recorder, caplog: pytest.LogCaptureFixture) -> None:
    with Sandbox(network="v3", insecure=True) as stack, recorder.watch(client_of(stack)):
        device = stack.device("node-1")
        for _ in range(2):
            counter = device.uplink()
            assert counters(recorder, 1) == [("node-1", counter)]
            leave(stack, recorder)
            device.uplink()
            come_back(stack, recorder)
            counter = device.uplink()
            assert counters(recorder, 1) == [("node-1", counter)]
        (error,) = errors(recorder)
        assert error.code() is StatusCode.UNIMPLEMENTED
        assert "no storage integration" in str(error) and "is lost" in str(error)
        assert stack.access_key not in str(error) + caplog.text


def test_a_key_that_may_not_ask_is_told_of_and_gets_it_when_it_may(stack: Sandbox, recorder: Recorder) -> None:
    device = stack.device("node-1")
    stack.add_application(stack.app_id, KEY, [READ])
    with recorder.watch(client_of(stack, key=KEY)) as client:
        device.uplink()
        counters(recorder, 1)
        leave(stack, recorder)
        device.uplink()
        stack.add_application(stack.app_id, KEY, ["RIGHT_APPLICATION_INFO"])
        come_back(stack, recorder)
        told = str(recorder.expect("error"))
        assert READ in told and "could not be fetched" in told and KEY not in told
        stack.add_application(stack.app_id, KEY, [READ])
        stack.cut()
        assert counters(recorder, 1) == [("node-1", 1)]
        assert client.stats()["backfilled"] == 1


@pytest.mark.parametrize("is_enabled", [True, False], ids=["too short", "not enabled"])
def test_a_storage_that_does_not_reach_back_is_told_of(
    stack: Sandbox, storage: StoragePeer, recorder: Recorder, is_enabled: bool
) -> None:
    device = stack.device("node-1")
    with recorder.watch(client_of(stack, storage.address)):
        device.uplink()
        counters(recorder, 1)
        leave(stack, recorder)
        for _ in range(4):
            device.uplink()
        storage.scripts = [storage.forget(2 if is_enabled else 5)]
        if is_enabled:
            come_back(stack, recorder)
            assert counters(recorder, 3) == [("node-1", 2), ("node-1", 3), ("node-1", 4)]
            error = recorder.expect("error")
            assert error.code() is StatusCode.DATA_LOSS and "24 hours" in str(error)
        else:
            # Right after the uplink it may be on its way into the storage.
            come_back(stack, recorder)
            device.uplink()
            assert counters(recorder, 1) == [("node-1", 5)]


def test_a_storage_that_stays_away_holds_nobody_up_for_ever(
    stack: Sandbox, storage: StoragePeer, recorder: Recorder
) -> None:
    device = stack.device("node-1")
    storage.scripts = [storage.fail(grpc.StatusCode.UNAVAILABLE)] * 5
    with recorder.watch(client_of(stack, storage.address)):
        device.uplink()
        counters(recorder, 1)
        leave(stack, recorder)
        device.uplink()
        come_back(stack, recorder)
        device.uplink()
        error = recorder.expect("error")
        assert counters(recorder, 1) == [("node-1", 2)]
        assert error.code() is StatusCode.UNAVAILABLE and "asked for again after the next login" in str(error)
        stack.cut()
        assert counters(recorder, 1) == [("node-1", 1)]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"network": "v2"}, "The Things Network V2"),
        ({"access_key": "ttn-account-v2.abc"}, "The Things Network V2"),
        ({}, "no management address is known"),
        ({"mqtt_address": "nats://h:1", "group": "workers", "management_address": "h:2"}, "with a group"),
    ],
)
def test_where_nothing_can_be_asked_it_is_an_error_at_once(options: dict[str, Any], words: str) -> None:
    usual = {"app_id": "app-1", "access_key": KEY, "mqtt_address": "h:1"}
    with pytest.raises(ValueError, match=words) as refused:
        MQTTClient(**{**usual, **options}, backfill=True)
    assert 'backfill "True"' in str(refused.value) and KEY not in str(refused.value)


def test_of_clusters_it_is_known_where_to_ask() -> None:
    assert MQTTClient("app-1", KEY, cluster="nam1", backfill=True).stats()["backfilled"] == 0
    with pytest.raises(ValueError, match=r"identity_address .h:1. is not valid: expected an address beside"):
        MQTTClient("app-1", KEY, "h:1", identity_address="h:1")
    with pytest.raises(ValueError, match="identity_address is not valid on The Things Network V2"):
        MQTTClient("app-1", "key", "h:1", identity_address="h:1")


def test_the_identity_server_may_be_elsewhere(stack: Sandbox, recorder: Recorder) -> None:
    stack.add_application(stack.app_id, KEY, ["RIGHT_APPLICATION_INFO"])
    client = client_of(stack, "127.0.0.1:1", identity_address=stack.management_address, key=KEY, backfill=False)
    with recorder.watch(client):
        assert f"lacks {READ}" in str(recorder.expect("error"))


def test_what_is_no_message_of_the_stack_passes(stack: Sandbox, recorder: Recorder) -> None:
    with recorder.watch(client_of(stack)):
        stack.publish_raw(f"v3/{stack.username}/devices/node-1/up", b'{"what": "is new"}')
        recorder.expect("uplink")
        leave(stack, recorder)
        stack.device("node-1").uplink()
        come_back(stack, recorder)
        stack.device("node-1").uplink()
        # Nothing is known of when it came, so nothing was missed since then.
        assert counters(recorder, 1) == [("node-1", 1)]
