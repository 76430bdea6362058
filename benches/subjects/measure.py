"""Counting and timing inside a subject; each report is one JSON line."""

from __future__ import annotations

import contextlib
import json
import resource
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
#: What devices tell, where it does not matter what.
TELEMETRY = {"ts": 1_700_000_000_123, "values": {"temperature": 42.1, "humidity": 70}}
#: How many messages are on the way at once.
AT_ONCE = 100


def report(**figures: float) -> None:
    """Print figures."""
    print(json.dumps(figures), flush=True)


class Meter:
    """Messages and the time from the first to the last, of ``sent`` that the feeder has sent."""

    #: How many messages pass between two looks at the clock.
    EVERY = 1000
    #: Seconds without a message after which no more will come: some were lost, the last one perhaps among them.
    SILENCE = 2.0

    def __init__(self, sent: int) -> None:
        self.sent = sent
        self.count = 0
        self.seen = 0
        self.begin = self.end = self.cpu_begin = self.cpu_end = 0.0
        self.done = threading.Event()

    def tick(self) -> None:
        """Count a message. Looks at the clock at the first one, and then sometimes."""
        self.count += 1
        if self.count % self.EVERY == 1 or self.count == self.sent:
            self._look()

    def _look(self) -> None:
        self.seen, self.end, self.cpu_end = self.count, time.perf_counter(), time.process_time()
        if self.count == 1:
            self.begin, self.cpu_begin = self.end, self.cpu_end
        if self.count == self.sent:
            self.done.set()

    def wait(self, *, busy: bool = False) -> None:
        """Wait for the last message, asleep or counting; or until no more come."""
        known, since, number = 0, time.perf_counter(), 0
        while not self.done.is_set():
            if busy:
                for _ in range(1_000_000):
                    number += 1
            else:
                self.done.wait(0.2)
            now = time.perf_counter()
            if known != self.count:
                known, since = self.count, now
            elif known and now - since > self.SILENCE:
                return

    def report(self, **more: float) -> None:
        """Print the figures. What was lost is told by the count alone, whatever the subject knows of it."""
        count = self.seen - 1
        cpu = (self.cpu_end - self.cpu_begin) / count * 1e6
        report(per_s=count / (self.end - self.begin), cpu_us=cpu, lost=self.sent - self.count, **more)


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
