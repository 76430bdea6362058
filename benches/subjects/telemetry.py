"""The ThingsBoard device with thingslink or with tb-mqtt-client 1.13.14, by the same calls; prints figures as JSON."""

from __future__ import annotations

import importlib
import json
import resource
import sys
import threading
import time
from pathlib import Path
from typing import Any

TELEMETRY = {"ts": 1_700_000_000_123, "values": {"temperature": 42.1, "humidity": 70}}


def resident() -> float:
    """Resident memory in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def percentiles(times: list[float]) -> dict[str, float]:
    """Median and 99th percentile in milliseconds."""
    times.sort()
    return {"p50_ms": times[len(times) // 2] * 1e3, "p99_ms": times[int(len(times) * 0.99)] * 1e3}


def telemetry(client: Any) -> dict[str, float]:
    """Send 20,000 messages as fast as it goes, and wait for each."""
    count = 20_000
    start, cpu = time.perf_counter(), time.process_time()
    results = [client.send_telemetry(TELEMETRY) for _ in range(count)]
    assert not any(result.get() for result in results)
    spent, used = time.perf_counter() - start, time.process_time() - cpu
    return {"per_s": count / spent, "cpu_us": used / count * 1e6}


def batches(client: Any) -> dict[str, float]:
    """Send a hundred and wait for each of them, a hundred times."""
    start = time.perf_counter()
    for _ in range(100):
        results = [client.send_telemetry(TELEMETRY) for _ in range(100)]
        assert not any(result.get() for result in results)
    return {"per_s": 10_000 / (time.perf_counter() - start)}


def single(client: Any) -> dict[str, float]:
    """Send one and wait for it."""
    times = []
    for _ in range(3000):
        start = time.perf_counter()
        assert client.send_telemetry(TELEMETRY).get() == 0
        times.append(time.perf_counter() - start)
    return {"per_s": 3000 / sum(times), **percentiles(times)}


def calling(client: Any) -> dict[str, float]:
    """Call the server and wait for the answer in the callback."""
    answered = threading.Event()
    times = []
    for _ in range(500):
        answered.clear()
        start = time.perf_counter()
        client.send_rpc_call("getTime", {}, lambda *_: answered.set())
        assert answered.wait(10)
        times.append(time.perf_counter() - start)
    return percentiles(times)


def answering(client: Any) -> dict[str, float]:
    """Answer calls of the server until it has enough; it measures."""
    client.set_server_side_rpc_request_handler(lambda number, body: client.send_rpc_reply(number, {"ok": True}))
    print("ready", flush=True)
    sys.stdin.readline()
    return {}


def memory(client: Any) -> dict[str, float]:
    """Hold 20,000 messages that nobody acknowledges."""
    before = resident()
    kept = [client.send_telemetry(TELEMETRY) for _ in range(20_000)]
    time.sleep(1)
    return {"mb": resident() - before, "messages": len(kept)}


def switches() -> int:
    """Context switches of all threads so far."""
    total = 0
    for task in Path("/proc/self/task").iterdir():
        lines = (task / "status").read_text(encoding="ascii").splitlines()
        total += sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)
    return total


def main() -> None:
    """Measure what is asked for."""
    module, what, host, port = sys.argv[1:5]
    made: Any = importlib.import_module(module).TBDeviceMqttClient

    def connected() -> Any:
        client = made(host, int(port), "A1_TEST_TOKEN")
        client.max_inflight_messages_set(100)
        client.connect()
        while not client.is_connected():
            time.sleep(0.01)
        return client

    if what == "idle":
        clients = [connected() for _ in range(20)]
        time.sleep(2)
        before = switches()
        time.sleep(3)
        figures = {"threads": len(list(Path("/proc/self/task").iterdir())), "switches": (switches() - before) / 3}
    else:
        clients = [connected()]
        time.sleep(0.3)
        subjects = {
            "telemetry": telemetry,
            "batches": batches,
            "single": single,
            "calling": calling,
            "answering": answering,
            "memory": memory,
        }
        figures = subjects[what](clients[0])
    print(json.dumps(figures))
    for client in clients:
        client.stop()
        if what != "memory":
            client.disconnect()


if __name__ == "__main__":
    main()
