"""Device management with thingslink or with ttn 2.1.5, by the same calls; prints figures as JSON."""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any


def resident() -> float:
    """Resident memory in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def listing(client: Any, *, look: bool = True) -> dict[str, float]:
    """List all devices, and look at each once or at none."""
    client.get()
    before = resident()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        devices = client.devices()
        if look:
            assert sum(len(device.dev_id) for device in devices)
        times.append(time.perf_counter() - start)
    return {"ms": sorted(times)[len(times) // 2] * 1e3, "devices": len(devices), "mb": resident() - before}


def fetching(client: Any) -> dict[str, float]:
    """List all devices and look at none."""
    return listing(client, look=False)


def single(client: Any) -> dict[str, float]:
    """Get one device after the other."""
    times = []
    for number in range(2000):
        start = time.perf_counter()
        client.device(f"node-{number % 100:05}")
        times.append(time.perf_counter() - start)
    times.sort()
    return {"p50_us": times[len(times) // 2] * 1e6, "p99_us": times[int(len(times) * 0.99)] * 1e6}


def threads(client: Any) -> dict[str, float]:
    """Get devices from fifty threads."""
    import threading

    client.get()

    def work() -> None:
        for number in range(60):
            client.device(f"node-{number:05}")

    workers = [threading.Thread(target=work) for _ in range(50)]
    start = time.perf_counter()
    cpu = time.process_time()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return {"per_s": 3000 / (time.perf_counter() - start), "cpu_us": (time.process_time() - cpu) / 3000 * 1e6}


def main() -> None:
    """Measure what is asked for."""
    module, what, address, certificate = sys.argv[1:5]
    ttn = importlib.import_module(module)
    client = ttn.ApplicationClient("orchard-app", "key", address, Path(certificate).read_text(encoding="ascii"))
    figures = {"listing": listing, "fetching": fetching, "single": single, "threads": threads}[what](client)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
