"""Workers that share a stream of NATS JetStream, against a real server."""

from __future__ import annotations

import asyncio
import json
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import thingslink
from harness import PATIENCE
from nats_peer import NatsPeer
from thingslink import aio
from thingslink.ttn import MQTTClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nats_server import NatsServer

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture
def peer(nats_server: NatsServer) -> Iterator[NatsPeer]:
    with NatsPeer(nats_server.port) as peer:
        peer.make_streams()
        yield peer


def worker(server: NatsServer, **options: Any) -> MQTTClient:
    options = {"network": "v2", "group": "workers", "ack_wait": 5, **options}
    return MQTTClient("demo-app", options.pop("key", ""), server.address, **options)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.02)


def is_settled(peer: NatsPeer, name: str = "workers") -> bool:
    told = peer.consumer(name)
    return bool(told["num_ack_pending"] == 0 and told["num_pending"] == 0)


def test_each_message_goes_to_one_worker_and_is_acknowledged(nats_server: NatsServer, peer: NatsPeer) -> None:
    seen: list[tuple[int, str, int]] = []
    done = threading.Event()
    came_to = [threading.Event(), threading.Event()]

    def member(number: int) -> MQTTClient:
        client = worker(nats_server)

        def on_uplink(msg: thingslink.UplinkMessage) -> None:
            seen.append((number, msg.dev_id, msg.counter))
            came_to[number].set()
            if len(seen) < 20:
                # Until both have had one, nobody takes all.
                came_to[1 - number].wait(PATIENCE)
            if len(seen) == 400:
                done.set()

        client.set_uplink_callback(on_uplink)
        return client

    with member(0) as first, member(1) as second:
        peer.uplinks((f"dev-{counter % 20}", counter) for counter in range(400))
        assert done.wait(PATIENCE)
        wait_until(lambda: is_settled(peer))
        stats = [first.stats(), second.stats()]
    assert sorted(counter for _, _, counter in seen) == list(range(400))
    assert {number for number, _, _ in seen} == {0, 1}
    assert [one["redelivered"] for one in stats] == [0, 0] and [one["dead"] for one in stats] == [0, 0]
    assert sum(one["delivered"] for one in stats) == 400


def test_what_came_before_the_first_worker_is_its_work_too(nats_server: NatsServer, peer: NatsPeer) -> None:
    peer.uplinks([("dev-1", 7)])
    came: queue.Queue[int] = queue.Queue()
    client = worker(nats_server)
    client.set_uplink_callback(lambda msg: came.put(msg.counter))
    with client:
        assert came.get(timeout=PATIENCE) == 7
    with client:
        # It is acknowledged: another connection does not get it again.
        peer.uplinks([("dev-1", 8)])
        assert came.get(timeout=PATIENCE) == 8


@pytest.mark.parametrize("ordered", [False, True])
def test_what_is_on_its_way_to_a_worker_that_parts_goes_to_the_next_at_once(
    ordered: bool, nats_server: NatsServer, peer: NatsPeer
) -> None:
    # Lanes change hands at each parting.
    total, workers = (1000, 5) if ordered else (4000, 20)
    seen = set[int]()
    done, over = threading.Event(), threading.Event()

    def publish() -> None:
        with NatsPeer(nats_server.port) as other:
            for counter in range(total):
                if not over.is_set():
                    other.uplinks([(f"dev-{counter % 20}", counter)])

    publishing = threading.Thread(target=publish)
    publishing.start()
    for number in range(workers):
        some, wanted = threading.Event(), total * (number + 1) // (workers * 2)

        def on_uplink(msg: thingslink.UplinkMessage, *, some: threading.Event = some, wanted: int = wanted) -> None:
            seen.add(msg.counter)
            if len(seen) > wanted:
                some.set()
            if len(seen) == total:
                done.set()

        # What nobody acknowledges would come too late.
        client = worker(nats_server, ack_wait=120, ordered=ordered)
        client.set_uplink_callback(on_uplink)
        with client:
            assert some.wait(PATIENCE)
            if number == workers - 1:
                arrived = done.wait(PATIENCE)
    over.set()
    publishing.join(PATIENCE)
    # Where the order is kept there is a consumer for each lane.
    assert arrived and (ordered or is_settled(peer)), f"{len(seen)} of {total}"


@pytest.mark.thingslink_allow_callback_exceptions(raises=ValueError)
def test_a_callback_that_raises_gets_the_message_again(nats_server: NatsServer, peer: NatsPeer) -> None:
    times: queue.Queue[float] = queue.Queue()
    client = worker(nats_server)

    @client.set_uplink_callback
    def on_uplink(msg: thingslink.UplinkMessage) -> None:
        times.put(time.monotonic())
        if times.qsize() == 1 and not tried:
            tried.append(msg.counter)
            raise ValueError("not yet")

    tried: list[int] = []
    with client:
        client.set_error_callback(lambda error: None)
        peer.uplinks([("dev-1", 1)])
        first, second = times.get(timeout=PATIENCE), times.get(timeout=PATIENCE)
        assert second - first > 0.9
        wait_until(lambda: is_settled(peer))
        stats = client.stats()
    assert (stats["kept"], stats["redelivered"], stats["callback_errors"]) == (1, 1, 1)


@pytest.mark.thingslink_allow_callback_exceptions(raises=ValueError)
def test_a_message_that_fails_five_times_is_a_dead_letter(nats_server: NatsServer, peer: NatsPeer) -> None:
    client = worker(nats_server)
    with client:
        pass
    # What it has asked for would still be given to it, for as long as the server has not seen it go.
    wait_until(lambda: peer.consumer("workers")["num_waiting"] == 0)
    peer.uplinks([("dev-1", 13)])
    for _ in range(4):
        held = peer.request("$JS.API.CONSUMER.MSG.NEXT.THINGS_demo-app.workers", b"1")
        assert peer.request(held.reply, b"-NAK").payload == b""
    came: queue.Queue[int] = queue.Queue()

    def on_uplink(msg: thingslink.UplinkMessage) -> None:
        if msg.counter == 13:
            raise ValueError("unlucky\nnumber")
        came.put(msg.counter)

    client.set_uplink_callback(on_uplink)
    with client:
        wait_until(lambda: client.stats()["dead"] == 1)
        peer.uplinks([("dev-2", 14)])
        assert came.get(timeout=PATIENCE) == 14, "others go on"
        wait_until(lambda: is_settled(peer))
    ((subject, headers, payload),) = peer.stored("THINGS_demo-app-dead")
    assert subject == "dead.workers.things.demo-app.dev-1.up" and json.loads(payload)["counter"] == 13
    told = dict(line.split(": ", 1) for line in headers.split("\r\n") if ": " in line)
    assert told["Things-Deliveries"] == "5" and told["Things-Group"] == "workers"
    traceback = json.loads(told["Things-Error"])
    assert traceback.startswith("Traceback") and traceback.endswith("ValueError: unlucky\nnumber\n")


def test_a_slow_callback_is_no_dead_worker(nats_server: NatsServer, peer: NatsPeer) -> None:
    came: queue.Queue[int] = queue.Queue()
    client = worker(nats_server, ack_wait=1)

    def on_uplink(msg: thingslink.UplinkMessage) -> None:
        time.sleep(2)
        came.put(msg.counter)

    client.set_uplink_callback(on_uplink)
    with client:
        peer.uplinks([("dev-1", 1)])
        assert came.get(timeout=PATIENCE) == 1
        wait_until(lambda: is_settled(peer))
        assert client.stats()["redelivered"] == 0 and came.empty()


def test_events_and_filters_are_as_ever(nats_server: NatsServer, peer: NatsPeer) -> None:
    came: queue.Queue[tuple[str, str]] = queue.Queue()
    client = worker(nats_server)
    client.set_uplink_callback(lambda msg: came.put(("up", msg.dev_id)), dev_id="dev-2")
    client.set_activation_callback(lambda event: came.put(("activation", event.dev_id)))
    with client:
        peer.uplinks([("dev-1", 1), ("dev-2", 2)])
        peer.request("things.demo-app.dev-3.events.activations", b'{"dev_addr": "26012345"}')
        peer.request("things.demo-app.dev-3.events.down.sent", b"{}")
        assert [came.get(timeout=PATIENCE) for _ in range(2)] == [("up", "dev-2"), ("activation", "dev-3")]
        wait_until(lambda: is_settled(peer))


def test_a_downlink_is_written_to_the_work_queue(nats_server: NatsServer, peer: NatsPeer) -> None:
    written: queue.Queue[int] = queue.Queue()
    client = worker(nats_server)
    client.set_downlink_callback(lambda mid: written.put(mid))
    with client:
        mid = client.send("dev-1", b"\1\2", port=3)
        assert client.downlink(mid).wait("written", PATIENCE) == "written"
        assert written.get(timeout=PATIENCE) == mid
        client.flush(PATIENCE)
    ((subject, _, payload),) = peer.stored("THINGS_demo-app_DOWN")
    assert subject == "things.demo-app.dev-1.down.push"
    assert json.loads(payload) == {"port": 3, "confirmed": False, "schedule": "replace", "payload_raw": "AQI="}


def test_a_server_that_is_killed_and_comes_back_loses_nothing(nats_server: NatsServer, peer: NatsPeer) -> None:
    came: queue.Queue[int] = queue.Queue()
    client = worker(nats_server)
    client.set_uplink_callback(lambda msg: came.put(msg.counter))
    with client:
        peer.uplinks([("dev-1", 1)])
        assert came.get(timeout=PATIENCE) == 1
        nats_server.kill()
        wait_until(lambda: not client.is_connected)
        nats_server.start()
        wait_until(lambda: client.is_connected)
        with NatsPeer(nats_server.port) as again:
            again.uplinks([("dev-1", 2), ("dev-1", 3)])
            seen: set[int] = set()
            while len(seen) < 2:
                seen |= {came.get(timeout=PATIENCE)} - {1}
            assert seen == {2, 3}
        assert client.stats()["reconnects"] == 1


@pytest.mark.parametrize("ordered", [False, True])
def test_what_a_worker_has_handled_does_not_come_again_when_the_server_is_killed(
    ordered: bool, nats_server: NatsServer, peer: NatsPeer
) -> None:
    seen: list[tuple[str, int]] = []
    client = worker(nats_server, ordered=ordered)
    client.set_uplink_callback(lambda msg: seen.append((msg.dev_id, msg.counter)))
    with client:
        peer.uplinks((f"dev-{number % 50}", number) for number in range(1000))
        wait_until(lambda: len(seen) >= 1000)
        # It has the last acknowledgements in memory alone.
        nats_server.kill()
        nats_server.start()
        with NatsPeer(nats_server.port) as again:
            again.uplinks((f"dev-{number}", 1000) for number in range(50))
            wait_until(lambda: len(set(seen)) == 1050)
            names = [f"workers~{lane}" for lane in range(256)] if ordered else ["workers"]
            wait_until(lambda: all(is_settled(again, name) for name in names))
    assert len(seen) == 1050


def test_what_is_wrong_is_told_at_once(nats_server: NatsServer) -> None:
    with pytest.raises(thingslink.StreamError, match=r"THINGS_demo-app.*thingslink bridge"):
        worker(nats_server).connect()
    with NatsPeer(nats_server.port) as peer:
        peer.make_streams()
    with pytest.raises(ValueError, match=r'network "v3".*"v2", as the messages'):
        worker(nats_server, network="v3").connect()
    with (
        worker(nats_server, ordered=True, group="lanes"),
        pytest.raises(thingslink.StreamError, match="its workers keep the order"),
    ):
        worker(nats_server, group="lanes").connect()
    with worker(nats_server), pytest.raises(thingslink.StreamError, match="do not keep the order"):
        worker(nats_server, ordered=True).connect()
    nats_server.stop()
    with pytest.raises(ConnectionRefusedError):
        worker(nats_server).connect(timeout=PATIENCE)
    nats_server.configure('authorization { user: "demo-app", password: "S3CRET" }')
    nats_server.start()
    with pytest.raises(thingslink.LoginRefusedError, match=r"NATS at .* refuses the login") as caught:
        worker(nats_server, key="WRONG-S3CRET").connect()
    assert "S3CRET" not in str(caught.value)
    with worker(nats_server, key="S3CRET") as client:
        assert client.is_connected
    with worker(nats_server, nats_user="demo-app", nats_password="S3CRET") as client:
        assert client.is_connected
    with pytest.raises(thingslink.LoginRefusedError, match="without a login"):
        worker(nats_server, key="ttn-account-v2.S3CRET").connect()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"group": None}, "group None is not valid: expected the name of a group"),
        ({"ack_wait": 0.1}, "ack_wait.*1 second to 1 hour"),
        ({"address": "mqtt://h", "ordered": True}, "ordered True is not valid: expected a nats:// address"),
        ({"address": "mqtt://h", "nats_token": "S3CRET"}, "expected a nats:// address beside it"),
        ({"nats_token": "S3CRET", "nats_user": "me", "nats_password": "S3CRET"}, "NATS login"),
        ({"nats_monitor": "ftp://h"}, r"nats_monitor .*expected http://host:8222"),
        ({"address": "mqtt://h", "nats_monitor": "h"}, 'nats_monitor "h" is not valid: expected a nats:// address'),
    ],
)
def test_settings_that_cannot_be_used_are_named(options: dict[str, Any], match: str) -> None:
    options = {"network": "v2", "group": "workers", **options}
    address = options.pop("address", "nats://h")
    with pytest.raises(ValueError, match=match) as caught:
        MQTTClient("demo-app", "", address, **options)
    assert "S3CRET" not in str(caught.value)


def test_a_worker_tells_what_the_monitoring_shows(nats_server: NatsServer, peer: NatsPeer, caplog: Any) -> None:
    with worker(nats_server, nats_monitor=nats_server.monitor):
        wait_until(lambda: "every 120 s" in caplog.text)


def test_asyncio_has_the_same(nats_server: NatsServer, peer: NatsPeer) -> None:
    async def main() -> list[int]:
        client = aio.MQTTClient("demo-app", "", nats_server.address, network="v2", group="workers", ack_wait=5)
        seen = []
        async with client:
            uplinks = client.uplinks()
            await asyncio.to_thread(peer.uplinks, [("dev-1", counter) for counter in range(20)])
            async for msg in uplinks:
                seen.append(msg.counter)
                if len(seen) == 20:
                    break
            await client.send("dev-1", b"\1")
        return seen

    assert sorted(asyncio.run(main())) == list(range(20))
    assert len(peer.stored("THINGS_demo-app_DOWN")) == 1


@pytest.mark.thingslink_allow_callback_exceptions(raises=ValueError)
def test_asyncio_handlers_that_fail_get_the_message_again(nats_server: NatsServer, peer: NatsPeer) -> None:
    async def main() -> list[int]:
        client = aio.MQTTClient("demo-app", "", nats_server.address, network="v2", group="workers", ack_wait=5)
        tries: list[int] = []
        done = asyncio.Event()

        async def handle(msg: thingslink.UplinkMessage) -> None:
            tries.append(msg.counter)
            if len(tries) == 1:
                raise ValueError("not yet")
            done.set()

        async with client:
            running = asyncio.create_task(client.run(handle))
            await asyncio.to_thread(peer.uplinks, [("dev-1", 1)])
            await asyncio.wait_for(done.wait(), PATIENCE)
        await running
        return tries

    assert asyncio.run(main()) == [1, 1]


def test_the_example_works_until_it_is_interrupted(nats_server: NatsServer, peer: NatsPeer) -> None:
    peer.uplinks([("dev-1", 7)])
    command = [sys.executable, str(EXAMPLES / "workers.py"), "demo-app", nats_server.address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker_process:
        assert worker_process.stdout is not None
        line = worker_process.stdout.readline()
        worker_process.send_signal(signal.SIGINT)
        assert worker_process.wait(PATIENCE) == 0
    assert line == "dev-1 7\n"
