"""Counting and timing inside a subject; each report is one JSON line."""

from __future__ import annotations

import contextlib
import json
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def report(**figures: float) -> None:
    """Print figures."""
    print(json.dumps(figures), flush=True)


class Meter:
    """Messages and the time from the first to the last."""

    def __init__(self) -> None:
        self.count = 0
        self.begin = self.end = self.cpu = 0.0

    def tick(self) -> bool:
        """Count a message; true only sometimes, so that the subject does not look at every message for its end."""
        if self.count == 0:
            self.begin = time.perf_counter()
            self.cpu = time.process_time()
        self.count += 1
        return self.count % 1000 == 1

    def stop(self) -> None:
        """Note the end."""
        self.end = time.perf_counter()
        self.cpu = time.process_time() - self.cpu

    def report(self, **more: float) -> None:
        """Print the figures."""
        seconds = self.end - self.begin
        count = self.count - 1
        report(per_s=count / seconds, cpu_us=self.cpu / count * 1e6, **more)


@contextlib.contextmanager
def timed(count: int) -> Iterator[None]:
    """Report the rate of what happens inside."""
    begin, cpu = time.perf_counter(), time.process_time()
    yield
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    report(per_s=count / seconds, cpu_us=cpu / count * 1e6)


class Latency:
    """Times from sending to callback, and what each message costs."""

    def __init__(self) -> None:
        self.times: list[int] = []
        self.cpu = 0.0
        self.switches = 0

    def note(self, sent_ns: int) -> None:
        """Note a message that was sent at that time."""
        self.times.append(time.monotonic_ns() - sent_ns)
        if len(self.times) == 1:
            self.cpu, self.switches = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw

    def report(self) -> None:
        """Print quantiles in microseconds, without the first tenth, and the cost of a message."""
        count = len(self.times) - 1
        cpu = (time.process_time() - self.cpu) / count * 1e6
        switches = (resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - self.switches) / count
        kept = sorted(self.times[count // 10 :])
        p50, p99 = kept[len(kept) // 2] / 1e3, kept[len(kept) * 99 // 100] / 1e3
        report(p50_us=p50, p99_us=p99, cpu_us=cpu, switches=switches)


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise KeyError(name)


def resident_kib() -> int:
    """Resident memory."""
    return _status("VmRSS:")


def threads() -> int:
    """Threads of the process."""
    return _status("Threads:")
