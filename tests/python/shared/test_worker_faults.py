"""Workers that do not keep the order while one stalls or is cut off; and messages that fail again and again."""

from __future__ import annotations

import json
import queue
import signal
import struct
import threading
import time
import urllib.request
from typing import TYPE_CHECKING

import pytest
from harness import PATIENCE
from nats_fleet import Fleet, Relay, numbered
from nats_peer import NatsPeer
from thingslink.ttn import MQTTClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    import thingslink
    from nats_server import NatsServer

#: Where workers tell each other what they have handled.
HANDLED = "handled.workers.things.demo-app"
#: Most messages that a worker has in hand here.
WINDOW = 20


@pytest.fixture
def peer(nats_server: NatsServer) -> Iterator[NatsPeer]:
    with NatsPeer(nats_server.port) as peer:
        peer.make_streams()
        yield peer


@pytest.fixture
def fleet(nats_server: NatsServer) -> Iterator[Fleet]:
    fleet = Fleet(nats_server.address, ordered=False, pause=0.001, window=WINDOW)
    yield fleet
    fleet.stop()


def test_a_worker_without_order_that_stalls_longer_than_its_ack_wait_does_no_harm(peer: NatsPeer, fleet: Fleet) -> None:
    first, _ = fleet.start(), fleet.start()
    peer.uplinks(numbered(0, 5))
    fleet.told.get(timeout=PATIENCE)
    first.send_signal(signal.SIGSTOP)
    peer.uplinks(numbered(5, 10))
    # What it had in hand and what the server has sent to it since goes to the other one, while it is stopped.
    fleet.wait_for(set(numbered(0, 10)))
    first.send_signal(signal.SIGCONT)
    peer.uplinks(numbered(10, 15))
    fleet.wait_for(set(numbered(0, 15)))
    assert fleet.twice() <= WINDOW


def test_a_worker_without_order_that_is_cut_off_and_comes_back_does_no_harm(
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
        assert fleet.twice() <= WINDOW
    finally:
        relay.close()


def listeners(server: NatsServer, subject: str) -> int:
    """Give how many listen to a subject."""
    with urllib.request.urlopen(f"{server.monitor}/subsz?subs=1&test={subject}", timeout=PATIENCE) as answer:
        return len(json.load(answer).get("subscriptions_list") or [])


def test_what_others_say_that_they_have_handled_is_left_out(nats_server: NatsServer, peer: NatsPeer) -> None:
    came: queue.Queue[int] = queue.Queue()
    client = MQTTClient("demo-app", "", nats_server.address, network="v2", group="workers", ack_wait=60)
    with client:
        pass
    client.set_uplink_callback(lambda msg: came.put(msg.counter))
    peer.uplinks(("dev-1", counter) for counter in range(5))
    # Another worker has them, handles the first four and says so when its connection is back; the server has forgotten.
    held = [peer.request("$JS.API.CONSUMER.MSG.NEXT.THINGS_demo-app.workers", b"1") for _ in range(5)]
    identities = [[int(number) for number in message.reply.split(".")[-4:-1]] for message in held]
    with client:
        words = b"".join(struct.pack("<Qq", sequence, stored_at) for sequence, _, stored_at in identities[:4])
        deadline = time.monotonic() + PATIENCE
        while not listeners(nats_server, HANDLED):
            assert time.monotonic() < deadline, "it does not listen to the others"
            time.sleep(0.02)
        peer.publish(HANDLED, words)
        for message in held:
            peer.publish(message.reply, b'-NAK {"delay": 1000000000}')
        assert came.get(timeout=PATIENCE) == 4
        while (told := peer.consumer("workers"))["num_ack_pending"] or told["num_redelivered"]:
            assert time.monotonic() < deadline, told
            time.sleep(0.02)
        assert came.empty() and client.stats()["redelivered"] == 5


@pytest.mark.thingslink_allow_callback_exceptions(raises=ValueError)
@pytest.mark.parametrize("ordered", [False, True])
def test_a_message_that_fails_again_and_again_holds_no_others(
    ordered: bool, nats_server: NatsServer, peer: NatsPeer
) -> None:
    peer.uplinks(numbered(0, 5))
    lanes = {subject.split(".")[4]: subject.split(".")[1] for subject, _, _ in peer.stored("THINGS_demo-app")}
    # Those of its own lane wait for it, in a group that keeps the order.
    mates = {device for device, lane in lanes.items() if ordered and lane == lanes["dev-0"]} | {"dev-0"}
    others = {(device, counter) for device, counter in numbered(0, 5) if device not in mates}
    handled: list[tuple[str, int]] = []
    all_others, everything = threading.Event(), threading.Event()
    tries: queue.Queue[None] = queue.Queue()
    client = MQTTClient("demo-app", "", nats_server.address, network="v2", group="w", ordered=ordered, ack_wait=5)

    def on_uplink(msg: thingslink.UplinkMessage) -> None:
        one = (msg.dev_id, msg.counter)
        if one == ("dev-0", 0) and not all_others.is_set():
            tries.put(None)
            raise ValueError("poison")
        handled.append(one)
        if others <= set(handled):
            all_others.set()
        if set(handled) == set(numbered(0, 5)):
            everything.set()

    client.set_uplink_callback(on_uplink)
    client.set_error_callback(lambda error: None)
    with client:
        tries.get(timeout=PATIENCE)
        # If they waited for it they would wait until it is dead, more than a minute.
        assert all_others.wait(PATIENCE)
        assert everything.wait(PATIENCE)
    if ordered:
        for device in lanes:
            assert [counter for name, counter in handled if name == device] == list(range(5)), device
