"""Workers that keep each device's order while others die, stall and are cut off, against a real server."""

from __future__ import annotations

import queue
import signal
import time
from typing import TYPE_CHECKING

import pytest
from harness import PATIENCE
from nats_fleet import DEVICES, Fleet, Relay, numbered
from nats_peer import NatsPeer
from thingslink.ttn import MQTTClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    import thingslink
    from nats_server import NatsServer


@pytest.fixture
def peer(nats_server: NatsServer) -> Iterator[NatsPeer]:
    with NatsPeer(nats_server.port) as peer:
        peer.make_streams()
        yield peer


@pytest.fixture
def fleet(nats_server: NatsServer) -> Iterator[Fleet]:
    fleet = Fleet(nats_server.address, ordered=True)
    yield fleet
    fleet.stop()


def test_two_workers_share_the_lanes_and_each_device_keeps_its_order(nats_server: NatsServer, peer: NatsPeer) -> None:
    seen: list[tuple[int, str, int]] = []
    told: queue.Queue[None] = queue.Queue()

    def member(number: int) -> MQTTClient:
        client = MQTTClient(
            "demo-app", "", nats_server.address, network="v2", group="workers", ordered=True, ack_wait=2
        )

        def on_uplink(msg: thingslink.UplinkMessage) -> None:
            seen.append((number, msg.dev_id, msg.counter))
            told.put(None)

        client.set_uplink_callback(on_uplink)
        return client

    with member(0), member(1):
        deadline, last = time.monotonic() + PATIENCE, 0
        # Until the second one has lanes of its own.
        while {number for number, _, _ in seen} != {0, 1} or last < 10:
            assert time.monotonic() < deadline
            peer.uplinks(numbered(last, last + 1))
            last += 1
            for _ in range(DEVICES):
                told.get(timeout=PATIENCE)
    for device in range(DEVICES):
        counters = [counter for _, dev_id, counter in seen if dev_id == f"dev-{device}"]
        assert counters == list(range(last)), device


def test_a_worker_is_killed_and_another_one_takes_its_lanes_over(peer: NatsPeer, fleet: Fleet) -> None:
    first, _ = fleet.start(), fleet.start()
    peer.uplinks(numbered(0, 5))
    fleet.told.get(timeout=PATIENCE)
    first.kill()
    first.wait(PATIENCE)
    peer.uplinks(numbered(5, 10))
    fleet.start()
    fleet.wait_for(set(numbered(0, 10)))
    # One of each lane in hand, and there are no more lanes here than devices.
    fleet.check(duplicates=DEVICES)


def test_a_worker_that_stalls_longer_than_its_lease_does_no_harm(peer: NatsPeer, fleet: Fleet) -> None:
    first, _ = fleet.start(), fleet.start()
    peer.uplinks(numbered(0, 5))
    fleet.told.get(timeout=PATIENCE)
    first.send_signal(signal.SIGSTOP)
    peer.uplinks(numbered(5, 10))
    # What it had and what came for it is handled by the other one, while it is stopped.
    fleet.wait_for(set(numbered(0, 10)))
    first.send_signal(signal.SIGCONT)
    peer.uplinks(numbered(10, 15))
    fleet.wait_for(set(numbered(0, 15)))
    fleet.check(duplicates=DEVICES)


def test_a_worker_that_is_cut_off_and_comes_back_does_no_harm(
    nats_server: NatsServer, peer: NatsPeer, fleet: Fleet
) -> None:
    relay = Relay(nats_server.port)
    try:
        fleet.start(relay.address)
        fleet.start()
        peer.uplinks(numbered(0, 5))
        fleet.told.get(timeout=PATIENCE)
        relay.open.clear()
        peer.uplinks(numbered(5, 10))
        fleet.wait_for(set(numbered(0, 10)))
        relay.open.set()
        peer.uplinks(numbered(10, 15))
        fleet.wait_for(set(numbered(0, 15)))
        fleet.check(duplicates=DEVICES)
    finally:
        relay.close()


def test_a_worker_without_order_that_is_killed_loses_nothing(nats_server: NatsServer, peer: NatsPeer) -> None:
    fleet = Fleet(nats_server.address, ordered=False, pause=0.001, window=20)
    try:
        first = fleet.start()
        fleet.start()
        peer.uplinks(numbered(0, 20))
        fleet.told.get(timeout=PATIENCE)
        first.kill()
        first.wait(PATIENCE)
        fleet.wait_for(set(numbered(0, 20)))
        assert fleet.twice() <= 20
    finally:
        fleet.stop()
