"""Workers that keep each device's order while others die, stall and are cut off, against a real server."""

from __future__ import annotations

import collections
import queue
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from harness import PATIENCE
from nats_peer import NatsPeer
from thingslink.ttn import MQTTClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    import thingslink
    from nats_server import NatsServer

PROGRAM = Path(__file__).parents[1] / "nats_worker.py"
DEVICES = 40


@pytest.fixture
def peer(nats_server: NatsServer) -> Iterator[NatsPeer]:
    with NatsPeer(nats_server.port) as peer:
        peer.make_streams()
        yield peer


class Fleet:
    """Workers in processes of their own, and what they say they have handled."""

    def __init__(self, address: str, *, ordered: bool, ack_wait: float = 2, pause: float = 0) -> None:
        self.arguments = [address, "ordered" if ordered else "shared", str(ack_wait), str(pause)]
        self.handled: list[tuple[str, int]] = []
        #: The same with the times at which the callbacks ended, by the machine's clock.
        self.times: list[tuple[int, str, int]] = []
        self.told: queue.Queue[None] = queue.Queue()
        self.processes: list[subprocess.Popen[str]] = []
        self.readers: list[threading.Thread] = []

    def start(self, address: str | None = None) -> subprocess.Popen[str]:
        """Start one, and wait until it is connected."""
        arguments = [address or self.arguments[0], *self.arguments[1:]]
        process = subprocess.Popen([sys.executable, str(PROGRAM), *arguments], stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        connected = threading.Event()
        reader = threading.Thread(target=self._read, args=(process, connected), daemon=True)
        reader.start()
        self.readers.append(reader)
        assert connected.wait(PATIENCE)
        return process

    def _read(self, process: subprocess.Popen[str], connected: threading.Event) -> None:
        assert process.stdout
        for line in process.stdout:
            if not line.endswith("\n"):
                # Killed in the middle of it.
                break
            dev_id, counter, at = line.split()
            if dev_id == "connected":
                connected.set()
            else:
                self.handled.append((dev_id, int(counter)))
                self.times.append((int(at), dev_id, int(counter)))
                self.told.put(None)

    def wait_for(self, wanted: set[tuple[str, int]]) -> None:
        """Wait until all of these are handled."""
        deadline = time.monotonic() + PATIENCE
        while missing := wanted - set(self.handled):
            try:
                self.told.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                pytest.fail(f"{len(missing)} are not handled, such as {sorted(missing)[:5]}")

    def stop(self) -> None:
        """End all."""
        for process in self.processes:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait(PATIENCE)
        for reader, process in zip(self.readers, self.processes, strict=True):
            reader.join(PATIENCE)
            assert process.stdout
            process.stdout.close()

    def check(self, duplicates: int) -> None:
        """Per device first completions never go backwards, and not more are done twice than were in hand."""
        latest: collections.Counter[str] = collections.Counter()
        seen = set()
        for _, dev_id, counter in sorted(self.times):
            if (dev_id, counter) not in seen:
                assert counter >= latest[dev_id], (dev_id, counter, latest[dev_id])
                latest[dev_id] = counter
                seen.add((dev_id, counter))
        assert len(self.handled) - len(seen) <= duplicates


@pytest.fixture
def fleet(nats_server: NatsServer) -> Iterator[Fleet]:
    fleet = Fleet(nats_server.address, ordered=True)
    yield fleet
    fleet.stop()


def numbered(first: int, last: int) -> list[tuple[str, int]]:
    return [(f"dev-{device}", counter) for counter in range(first, last) for device in range(DEVICES)]


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
    for round_number in range(1):
        begin = round_number * 10
        peer.uplinks(numbered(begin, begin + 5))
        victim = first if round_number == 0 else random.choice(fleet.processes[1:])
        fleet.told.get(timeout=PATIENCE)
        victim.kill()
        victim.wait(PATIENCE)
        peer.uplinks(numbered(begin + 5, begin + 10))
        fleet.start()
        fleet.wait_for(set(numbered(0, begin + 10)))
    fleet.check(duplicates=2 * 256)


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
    fleet.check(duplicates=256)


class Relay:
    """A way to the server that can be cut without either end hearing of it."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"nats://127.0.0.1:{self.listener.getsockname()[1]}"
        self.open = threading.Event()
        self.open.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        try:
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()
        except OSError:
            pass

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self.open.wait()
                sink.sendall(data)
        except OSError:
            pass
        sink.close()

    def close(self) -> None:
        """Take no more."""
        self.listener.close()


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
        fleet.check(duplicates=256)
    finally:
        relay.close()


def test_a_worker_without_order_that_is_killed_loses_nothing(nats_server: NatsServer, peer: NatsPeer) -> None:
    fleet = Fleet(nats_server.address, ordered=False, pause=0.001)
    try:
        first = fleet.start()
        fleet.start()
        peer.uplinks(numbered(0, 20))
        fleet.told.get(timeout=PATIENCE)
        first.kill()
        first.wait(PATIENCE)
        fleet.wait_for(set(numbered(0, 20)))
        assert len(fleet.handled) - len(set(fleet.handled)) <= 1024
    finally:
        fleet.stop()
