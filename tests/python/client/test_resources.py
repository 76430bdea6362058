"""Threads, file descriptors and memory, watched over many clients and many connections."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE, Recorder
from thingslink.sandbox import Sandbox
from thingslink.ttn import MQTTClient

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")


def status(name: str) -> int:
    """Read a number of /proc/self/status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0])
    raise AssertionError(name)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_thousand_reconnects_leak_nothing(
    sandbox: Sandbox, client_for: Callable[..., MQTTClient], recorder: Recorder
) -> None:
    client = client_for(sandbox, reconnect_min_delay=0.001, reconnect_max_delay=0.001)
    client.set_connect_callback(recorder.on("connect"))
    client.set_close_callback(recorder.on("close"))
    client.connect()
    recorder.expect("connect")

    def reconnect(times: int) -> None:
        for _ in range(times):
            sandbox.cut()
            assert recorder.expect("close") is False
            assert recorder.expect("connect") is True
        recorder.skipped.clear()
        gc.collect()

    reconnect(200)
    files, memory = open_files(), status("VmRSS")
    reconnect(800)
    assert open_files() <= files + 2
    assert status("VmRSS") <= memory + 4096, "kB"


def test_clients_that_are_gone_leave_nothing(sandbox: Sandbox) -> None:
    def use(times: int) -> None:
        for _ in range(times):
            client = MQTTClient(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address)
            client.set_uplink_callback(lambda msg, client: None)
            client.connect()
            client.close()
        gc.collect()

    use(50)
    files, memory = open_files(), status("VmRSS")
    use(200)
    assert open_files() <= files + 4
    assert status("VmRSS") <= memory + 8192, "kB"


def test_a_thousand_clients_need_no_thousand_threads(sandbox: Sandbox) -> None:
    arrived = threading.Semaphore(0)

    def uplink(msg: Any, client: Any) -> None:
        arrived.release()

    threads = status("Threads")
    clients = []
    for _ in range(1000):
        client = MQTTClient(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address)
        client.set_uplink_callback(uplink)
        client.connect()
        clients.append(client)
    assert status("Threads") <= threads + 8
    sandbox.device("node-1").uplink()
    for _ in clients:
        assert arrived.acquire(timeout=PATIENCE)
    # They have callbacks now, and share the threads that there may be.
    assert status("Threads") <= threads + 64 + 8
    for client in clients:
        client.close()


def pool_threads() -> int:
    # A thread that one of the pool has begun has its name, such as that of the loop for coroutines.
    others = {str(thread.native_id) for thread in threading.enumerate() if type(thread) is threading.Thread}
    count = 0
    for task in Path("/proc/self/task").iterdir():
        if task.name in others:
            continue
        # It may end at this moment.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            count += (task / "comm").read_text() == "thingslink\n"
    return count


def test_threads_come_while_callbacks_block_and_go_with_the_clients(
    sandbox: Sandbox, client_for: Callable[..., MQTTClient], eventually: Callable[[Callable[[], object]], None]
) -> None:
    device = sandbox.device("node-1")
    arrived, release = threading.Semaphore(0), threading.Event()

    def uplink(msg: Any, client: Any) -> None:
        arrived.release()
        release.wait(PATIENCE)

    eventually(lambda: pool_threads() <= 2)
    clients = [client_for(sandbox) for _ in range(20)]
    for client in clients:
        client.set_uplink_callback(uplink)
        client.connect()
    device.uplink()
    for _ in clients:
        assert arrived.acquire(timeout=PATIENCE)
    assert pool_threads() >= 20
    release.set()
    device.uplink()
    for _ in clients:
        assert arrived.acquire(timeout=PATIENCE)
    for client in clients:
        client.close()
    eventually(lambda: pool_threads() <= 2)


def test_messages_are_freed(sandbox: Sandbox, client_for: Callable[..., MQTTClient], recorder: Recorder) -> None:
    topic = f"{sandbox.app_id}/devices/node-1/up"
    body = b'{"port": 1, "filler": "' + b"x" * 100_000 + b'"}'
    client = client_for(sandbox, overflow="stop_reading")
    client.set_uplink_callback(lambda msg, client: recorder.entries.put(("uplink", len(msg.filler))))
    client.connect()

    def send(times: int) -> None:
        for _ in range(times):
            sandbox.publish_raw(topic, body)
            assert recorder.expect("uplink") == 100_000

    send(200)
    memory = status("VmRSS")
    send(1000)
    assert status("VmRSS") <= memory + 16_384, "100 MB went through"
