"""The bridge under test. ``python ours_bridge.py MQTT_PORT NATS_ADDRESS COUNT``; with COUNT 0 until its input ends."""

from __future__ import annotations

import sys
import time

import measure
from thingslink.bridge import Bridge

#: Seconds without anything stored after which no more will come.
SILENCE = 10.0


def main() -> None:
    """Carry the uplinks of a feeder, with default settings, and report when the stream has acknowledged them."""
    port, address, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    # The stream was made beforehand, with a bound that fits this machine.
    with Bridge("orchard-app", "key", f"127.0.0.1:{port}", address, name="bench", network="v2") as bridge:
        if not count:
            print("carrying", flush=True)
            sys.stdin.read()
            return
        published, begin, cpu, seen = 0, 0.0, 0.0, time.perf_counter()
        while published < count and time.perf_counter() - seen < SILENCE:
            # Often enough for the figures, seldom enough to cost nothing.
            time.sleep(0.005)
            now, stats = time.perf_counter(), bridge.stats()
            if stats["published"] > published:
                if not published:
                    begin, cpu, first = now, time.process_time(), stats["published"]
                published, seen = stats["published"], now
        seconds, cpu = seen - begin, time.process_time() - cpu
        figures = {"per_s": (published - first) / seconds, "cpu_us": cpu / (published - first) * 1e6}
        measure.report(**figures, lost=count - published, duplicates=stats["duplicates"])


if __name__ == "__main__":
    main()
