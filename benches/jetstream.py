"""Bridge and workers over NATS JetStream, beside a publisher and a worker of others: its part of `run.py`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests" / "python"))

import feeder  # noqa: E402
from nats_peer import NatsPeer  # noqa: E402
from nats_server import NatsServer, nats_binary  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

APP = "orchard-app"
STREAM = f"THINGS_{APP}"
#: The interpreter that has nats-py.
PEER = str(HERE.parent / ".venvs" / "peers" / "bin" / "python")
PUBLISHER = HERE.parent / "target" / "publisher" / "release" / "publisher"
#: Devices of which uplinks come, of each many.
DEVICES = 2000
#: How many messages may wait for an acknowledgement, of the bridge by default and of the publisher beside it.
WINDOW = 1000
#: No subject takes longer.
LIMIT = 300
#: For a run that only shows that all of it works, such as with a debug build: THINGSLINK_BENCH_SHARE=0.01.
SHARE = float(os.environ.get("THINGSLINK_BENCH_SHARE", "1"))
TICKS = os.sysconf("SC_CLK_TCK")


def scaled(count: int) -> int:
    """Give the number of messages of this run."""
    return max(100, int(count * SHARE))


def make_stream(server: NatsServer) -> None:
    """Make the stream as the bridge does, but for its bound in bytes."""
    with NatsPeer(server.port, APP) as peer:
        peer.make_streams(
            compression="s2", discard="new", duplicate_window=120 * 10**9, max_bytes=8 << 30, allow_direct=True
        )


@contextmanager
def serving() -> Iterator[NatsServer]:
    """A server of its own, with the stream."""
    with tempfile.TemporaryDirectory() as folder, NatsServer(nats_binary(), Path(folder)) as server:
        make_stream(server)
        yield server


def cpu_of(server: NatsServer) -> float:
    """Seconds of processor time that the server has taken."""
    assert server.process
    fields = Path(f"/proc/{server.process.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def stored(server: NatsServer) -> int:
    """How many messages are in the stream."""
    with NatsPeer(server.port, APP) as peer:
        return int(peer.api(f"STREAM.INFO.{STREAM}")["state"]["messages"])


def publish(server: NatsServer, count: int, devices: int = DEVICES, round_number: int = 0) -> dict[str, float]:
    """Publish uplinks with async-nats alone."""
    body = feeder.encode({**feeder.UPLINK, "dev_id": "@DEVICE@", "counter": "@COUNTER@"})
    arguments = [server.address, APP, str(count), str(devices), str(WINDOW), str(round_number)]
    outcome = subprocess.run(
        [str(PUBLISHER), *arguments],
        input=body.replace(b'"@COUNTER@"', b"@COUNTER@"),
        stdout=subprocess.PIPE,
        timeout=LIMIT,
        check=True,
    )
    figures: dict[str, float] = json.loads(outcome.stdout)
    return figures


def build_publisher() -> None:
    """Build the publisher over async-nats alone, optimised, unless that is done."""
    shutil.copy(HERE.parent / "Cargo.lock", HERE / "publisher" / "Cargo.lock")
    command = ["cargo", "build", "--quiet", "--release", "--target-dir", str(HERE.parent / "target" / "publisher")]
    subprocess.run(command, cwd=HERE / "publisher", check=True)


def last_line(process: subprocess.Popen[str]) -> dict[str, float]:
    """Wait for the end of a subject, and read its figures."""
    figures: dict[str, float] = json.loads(process.communicate(timeout=LIMIT)[0].splitlines()[-1])
    return figures


def started(python: str, script: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a subject."""
    command = [python, "-W", "ignore", str(HERE / "subjects" / script), *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def feeding(count: int, *options: str) -> tuple[subprocess.Popen[str], str]:
    """Start the feeder; gives it and its port."""
    command = [sys.executable, str(HERE / "feeder.py"), str(count), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    return process, process.stdout.readline().strip()


def with_server(server: NatsServer, count: int, run: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Add what the server has spent on each message."""
    before = cpu_of(server)
    figures = run()
    return {**figures, "server_cpu_us": (cpu_of(server) - before) / count * 1e6}


def bridging(python: str, count: int) -> dict[str, float]:
    """Carry uplinks from a feeder into the stream."""
    with serving() as server:
        mqtt, port = feeding(count, "--acknowledged", str(DEVICES))
        try:
            figures = with_server(
                server, count, lambda: last_line(started(python, "ours_bridge.py", port, server.address, str(count)))
            )
            return {**figures, "missing": count - stored(server)}
        finally:
            mqtt.kill()
            mqtt.communicate()


def publishing(count: int) -> dict[str, float]:
    """Publish the same uplinks."""
    with serving() as server:
        figures = with_server(server, count, lambda: publish(server, count))
        return {**figures, "cpu_us": 0.0, "missing": count - stored(server)}


def working(python: str, script: str, what: str, count: int) -> dict[str, float]:
    """Have one worker handle a full stream."""
    with serving() as server:
        publish(server, count)
        figures = with_server(
            server, count, lambda: last_line(started(python, script, what, server.address, str(count)))
        )
        return {**figures, "lost": figures["lost"]}


def delay(python: str, pause: str, count: int) -> dict[str, float]:
    """Measure from the sending of an uplink to its callback, through bridge and stream."""
    with serving() as server:
        worker = started(python, "ours_worker.py", "latency", server.address, str(count))
        assert worker.stdout
        while "working" not in worker.stdout.readline():
            assert worker.poll() is None, "the worker has ended"
        mqtt, port = feeding(count, "--acknowledged-one-by-one", pause)
        bridge = started(python, "ours_bridge.py", port, server.address, "0")
        try:
            return with_server(server, count, lambda: last_line(worker))
        finally:
            for process in (bridge, mqtt, worker):
                process.kill()
                process.communicate()


def tables(builds: dict[str, str], rounds: Callable[..., Any], table: Callable[..., None]) -> None:
    """Measure, and print the tables."""
    build_publisher()
    count = scaled(200_000)
    found = rounds(
        {
            **{name: partial(bridging, python, count) for name, python in builds.items()},
            "async-nats alone": partial(publishing, count),
        }
    )
    rows: list[tuple[str, ...]] = [
        ("subject", "uplinks/s acknowledged", "CPU µs each", "the server's", "not stored", "of async-nats alone")
    ]
    for name, figures in found.items():
        ratio = figures["per_s"] / found["async-nats alone"]["per_s"]
        cpu = f"{figures['cpu_us']:.1f}" if figures["cpu_us"] else ""
        cells = f"{figures['per_s']:,.0f}", cpu, f"{figures['server_cpu_us']:.1f}", f"{figures['missing']:,.0f}"
        rows.append((name, *cells, f"{ratio:.2f}"))
    table(f"MQTT → bridge → JetStream, {DEVICES:,} devices", rows)
    for what in ("shared", "ordered"):
        theirs = f"nats-py 2.16 + json.loads, {what}"
        found = rounds(
            {
                **{
                    f"{name}, {what}": partial(working, python, "ours_worker.py", what, count)
                    for name, python in builds.items()
                },
                theirs: partial(working, PEER, "nats_py.py", what, scaled(20_000)),
            }
        )
        rows = [("subject", "uplinks/s", "CPU µs each", "the server's", "lost", "times nats-py")]
        for name, figures in found.items():
            ratio = figures["per_s"] / found[theirs]["per_s"]
            spent = f"{figures['cpu_us']:.1f}", f"{figures['server_cpu_us']:.1f}"
            rows.append((name, f"{figures['per_s']:,.0f}", *spent, f"{figures['lost']:,.0f}", f"{ratio:.3g}"))
        table(f"JetStream → callback, {what}", rows)
    for title, pause in (("back to back", "0"), ("every 2 ms", "0.002")):
        found = rounds({name: partial(delay, python, pause, scaled(3000)) for name, python in builds.items()})
        rows = [("subject", "p50 µs", "p99 µs", "CPU µs each, the worker's", "the server's")]
        for name, figures in found.items():
            quantiles = f"{figures['p50_us']:,.0f}", f"{figures['p99_us']:,.0f}"
            rows.append((name, *quantiles, f"{figures['cpu_us']:.0f}", f"{figures['server_cpu_us']:.0f}"))
        table(f"Latency from MQTT to callback, through bridge and stream, {title}", rows)
