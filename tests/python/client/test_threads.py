"""On which threads callbacks are called: one for each client, for its life."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import thingslink
from harness import PATIENCE, Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from thingslink.sandbox import Sandbox
    from thingslink.ttn import MQTTClient

    Maker = Callable[..., MQTTClient]


class Idents:
    """Callbacks that note their thread by the name of their client."""

    def __init__(self) -> None:
        self.of: dict[str, set[int]] = {}
        self.kinds: set[tuple[str, str]] = set()
        self.arrived = threading.Semaphore(0)

    def on(self, name: str, kind: str = "uplink") -> Any:
        """Give a callback."""

        def callback(value: Any, client: Any) -> None:
            self.of.setdefault(name, set()).add(threading.get_ident())
            self.kinds.add((name, kind))
            self.arrived.release()
            if kind == "uplink" and getattr(value, "port", None) == 99:
                raise RuntimeError("for the error callbacks")

        return callback

    def expect(self, count: int) -> None:
        """Wait for so many calls."""
        for _ in range(count):
            assert self.arrived.acquire(timeout=PATIENCE)


@pytest.fixture
def bound() -> Iterator[Callable[[int], None]]:
    """Change the bound of threads; it is put back at the end."""
    before = thingslink.callback_threads()

    def set_bound(most: int) -> None:
        thingslink.callback_threads(most)

    yield set_bound
    thingslink.callback_threads(before)


def test_a_database_connection_made_in_the_connect_callback_serves_all_others(
    sandbox: Sandbox, client_for: Maker, recorder: Recorder, tmp_path: Path
) -> None:
    device, other = sandbox.device("node-1"), client_for(sandbox)
    other.set_uplink_callback(lambda msg, client: None)
    other.connect()
    client = client_for(sandbox)
    kept: dict[str, sqlite3.Connection] = {}

    def connect(res: Any, client: Any) -> None:
        if not kept:
            # Refuses every thread but this one.
            kept["database"] = sqlite3.connect(tmp_path / "uplinks")
            kept["database"].execute("CREATE TABLE uplinks (counter INTEGER)")
        recorder.entries.put(("connect", kept["database"].execute("SELECT count(*) FROM uplinks").fetchone()[0]))

    def uplink(msg: Any, client: Any) -> None:
        with kept["database"] as database:
            database.execute("INSERT INTO uplinks VALUES (?)", (msg.counter,))
        recorder.entries.put(("uplink", msg.counter))

    client.set_connect_callback(connect)
    client.set_uplink_callback(uplink)
    client.set_error_callback(recorder.on("error"))
    client.connect()
    assert recorder.expect("connect") == 0
    for counter in range(200):
        if counter == 100:
            sandbox.cut()
            assert recorder.expect("connect") == 100
        device.uplink()
        assert recorder.expect("uplink") == counter
    assert client.stats()["callback_errors"] == 0
    # By its own thread.
    client.set_close_callback(lambda res, client: kept["database"].close())
    client.close()


@pytest.mark.thingslink_allow_callback_exceptions(raises=RuntimeError)
def test_every_kind_of_callback_comes_on_the_same_thread(sandbox: Sandbox, client_for: Maker) -> None:
    device, idents = sandbox.device("node-1"), Idents()
    names = ["first", "second"]
    clients = {name: client_for(sandbox) for name in names}
    for name, client in clients.items():
        client.set_connect_callback(idents.on(name, "connect"))
        client.set_close_callback(idents.on(name, "close"))
        client.set_uplink_callback(idents.on(name, "uplink"))
        client.set_downlink_callback(idents.on(name, "downlink"))
        client.set_error_callback(idents.on(name, "error"))
        client.connect()
        idents.expect(1)
    for _ in range(20):
        device.uplink()
        idents.expect(2)
        for client in clients.values():
            client.send("node-1", b"\x01")
        idents.expect(2)
        device.uplink(port=99)
        idents.expect(4)
    sandbox.cut()
    idents.expect(4)
    device.uplink()
    idents.expect(2)
    for client in clients.values():
        client.close()
    idents.expect(2)
    assert len(idents.kinds) == 10
    assert [len(found) for found in idents.of.values()] == [1, 1]
    assert idents.of["first"] != idents.of["second"]


def test_ten_clients_have_ten_threads(sandbox: Sandbox, client_for: Maker) -> None:
    device, idents = sandbox.device("node-1"), Idents()
    for number in range(10):
        client = client_for(sandbox)
        client.set_uplink_callback(idents.on(str(number)))
        client.connect()
    for _ in range(30):
        device.uplink()
        idents.expect(10)
    assert all(len(found) == 1 for found in idents.of.values())
    assert len(set.union(*idents.of.values())) == 10


def test_a_blocked_callback_holds_up_nobody_else(sandbox: Sandbox, client_for: Maker, recorder: Recorder) -> None:
    device, release = sandbox.device("node-1"), threading.Event()
    idents = Idents()
    blocked, free = client_for(sandbox), client_for(sandbox)
    blocked.set_uplink_callback(idents.on("blocked"))
    blocked.set_uplink_callback(lambda msg, client: msg.counter != 5 or release.wait(PATIENCE))
    free.set_uplink_callback(recorder.on("uplink"))
    for client in (blocked, free):
        client.connect()
    for counter in range(60):
        device.uplink()
        assert recorder.expect("uplink").counter == counter
    assert not release.is_set()
    release.set()
    idents.expect(60)
    assert len(idents.of["blocked"]) == 1


def test_a_slow_callback_keeps_its_thread(sandbox: Sandbox, client_for: Maker) -> None:
    device, client, idents = sandbox.device("node-1"), client_for(sandbox), Idents()
    pause = threading.Event()
    note = idents.on("slow")

    def uplink(msg: Any, client: Any) -> None:
        # Long enough for another thread to drive the network meanwhile.
        pause.wait(0.003 * (msg.counter % 2))
        note(msg, client)

    client.set_uplink_callback(uplink)
    client.connect()
    for _ in range(50):
        device.uplink()
        idents.expect(1)
    assert len(idents.of["slow"]) == 1


def test_callbacks_that_wait_for_the_network_keep_their_thread(sandbox: Sandbox, client_for: Maker) -> None:
    device, client, idents = sandbox.device("node-1"), client_for(sandbox, qos=1), Idents()
    note = idents.on("waiting")

    def uplink(msg: Any, client: Any) -> None:
        client.send(msg.dev_id, b"\x01")
        client.flush(PATIENCE)
        note(msg, client)

    client.set_uplink_callback(uplink)
    client.set_downlink_callback(idents.on("waiting", "downlink"))
    client.connect()
    for _ in range(30):
        device.uplink()
        idents.expect(2)
    assert len(idents.of["waiting"]) == 1


def test_beyond_the_bound_clients_share_threads(
    sandbox: Sandbox, client_for: Maker, bound: Callable[[int], None]
) -> None:
    bound(3)
    device, idents = sandbox.device("node-1"), Idents()
    for number in range(12):
        client = client_for(sandbox)
        client.set_uplink_callback(idents.on(str(number)))
        client.connect()
    for _ in range(20):
        device.uplink()
        idents.expect(12)
    assert all(len(found) == 1 for found in idents.of.values())
    assert len(set.union(*idents.of.values())) <= 3


def test_the_bound_is_a_number_of_threads(bound: Callable[[int], None]) -> None:
    bound(100)
    assert thingslink.callback_threads() == 100
    for most in (0, -1, 100_000):
        with pytest.raises(ValueError, match="from 1 to"):
            thingslink.callback_threads(most)
    assert thingslink.callback_threads(64) == 64


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc")
def test_idle_clients_have_no_threads(sandbox: Sandbox) -> None:
    code = f"""
from pathlib import Path
from thingslink import ttn
clients = []
for _ in range(200):
    client = ttn.MQTTClient({sandbox.app_id!r}, {sandbox.access_key!r}, {sandbox.mqtt_address!r})
    client.set_uplink_callback(print)
    client.connect()
    clients.append(client)
print(len(list(Path("/proc/self/task").iterdir())))
for client in clients:
    client.close()
"""
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert int(child.stdout) <= 3


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads /proc")
def test_the_threads_of_closed_clients_go(sandbox: Sandbox) -> None:
    code = f"""
import threading, time
from pathlib import Path
from thingslink import ttn

def threads():
    return len(list(Path("/proc/self/task").iterdir()))

arrived = threading.Semaphore(0)
clients = []
for _ in range(20):
    client = ttn.MQTTClient({sandbox.app_id!r}, {sandbox.access_key!r}, {sandbox.mqtt_address!r})
    client.set_connect_callback(lambda res, client: arrived.release())
    client.connect()
    clients.append(client)
for _ in clients:
    assert arrived.acquire(timeout={PATIENCE})
assert threads() >= 21, threads()
for client in clients:
    client.close()
deadline = time.monotonic() + {PATIENCE}
while threads() > 4:
    assert time.monotonic() < deadline, threads()
    time.sleep(0.01)
"""
    child = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=PATIENCE * 2
    )
    assert child.returncode == 0, child.stderr


def test_a_client_that_is_closed_and_connected_again_keeps_its_thread(sandbox: Sandbox, client_for: Maker) -> None:
    device, client, idents = sandbox.device("node-1"), client_for(sandbox), Idents()
    client.set_uplink_callback(idents.on("client"))
    for _ in range(20):
        client.connect()
        device.uplink()
        idents.expect(1)
        client.close()
    assert len(idents.of["client"]) == 1
