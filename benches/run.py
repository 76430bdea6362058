"""All measurements, side by side in one run: every figure is the median of several, the subjects taking turns.

``make bench`` runs it. Prints Markdown tables for README.md. Numbers of other machines cannot be compared; ratios can.
``--beside PYTHON`` measures another build of thingslink in the same rounds, the one that this interpreter imports.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jetstream
import thingsboard_device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Self

HERE = Path(__file__).parent
OURS = sys.executable
ORIGINAL = str(HERE.parent / ".venvs" / "ttn" / "bin" / "python")
PEERS = str(HERE.parent / ".venvs" / "peers" / "bin" / "python")
#: What is under test: the interpreter of each build of thingslink.
BUILDS = {"thingslink": OURS}
ROUNDS = 3
#: No subject takes longer.
LIMIT = 120
#: The certificate of the sandbox that is measured against.
CERTIFICATE = Path(tempfile.gettempdir()) / f"thingslink-bench-{os.getpid()}.pem"


def subject(python: str, script: str, *arguments: str) -> dict[str, float]:
    """Run one subject and read its figures."""
    command = [python, "-W", "ignore", str(HERE / "subjects" / script), *arguments]
    outcome = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=LIMIT, check=True)
    figures: dict[str, float] = json.loads(outcome.stdout.splitlines()[-1])
    return figures


def fed(count: int, *options: str) -> tuple[subprocess.Popen[str], str]:
    """Start the feeder; gives it and its port."""
    feeder = subprocess.Popen(
        [OURS, str(HERE / "feeder.py"), str(count), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert feeder.stdout
    return feeder, feeder.stdout.readline().strip()


def flood(count: int, python: str, script: str, what: str, *options: str) -> dict[str, float]:
    """Run a subject against the feeder."""
    feeder, port = fed(count, *options)
    try:
        return subject(python, script, what, port, str(count))
    finally:
        feeder.kill()
        feeder.communicate()


def builds(run: Callable[[str], dict[str, float]], what: str = "") -> dict[str, Callable[[], dict[str, float]]]:
    """A subject for each build under test."""
    return {name + what: functools.partial(run, python) for name, python in BUILDS.items()}


def rounds(subjects: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Let the subjects take turns, and give the median of each figure."""
    results: dict[str, list[dict[str, float]]] = {name: [] for name in subjects}
    for _ in range(ROUNDS):
        for name, run in subjects.items():
            results[name].append(run())
            print(f"  {name}: {results[name][-1]}", file=sys.stderr, flush=True)
    return {
        name: {key: statistics.median(result[key] for result in found) for key in found[0]}
        for name, found in results.items()
    }


def table(title: str, rows: list[tuple[str, ...]]) -> None:
    """Print a Markdown table; its first row is the head."""
    print(f"\n### {title}\n")
    head, *body = rows
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in body:
        print("| " + " | ".join(row) + " |")


BUSY = ", main thread busy"


def receiving() -> None:
    """Measure uplinks into callbacks, with default settings, and what is lost of them."""
    found = rounds(
        {
            **builds(lambda python: flood(2_000_000, python, "ours.py", "receive")),
            "gmqtt 0.8 + json.loads": lambda: flood(200_000, PEERS, "gmqtt_json.py", "receive"),
            "awscrt 0.36 + json.loads": lambda: flood(100_000, PEERS, "awscrt_json.py", "receive"),
            "ttn 2.1.5": lambda: flood(6_000, ORIGINAL, "original.py", "receive"),
            "paho-mqtt 1.6 + json.loads": lambda: flood(100_000, OURS, "paho_json.py", "receive"),
            "socket alone": lambda: flood(3_000_000, OURS, "socket_only.py", "flood"),
            **builds(lambda python: flood(1_000_000, python, "ours.py", "busy"), BUSY),
            f"gmqtt 0.8 + json.loads{BUSY}": lambda: flood(50_000, PEERS, "gmqtt_json.py", "busy"),
            # It asks for the interpreter lock for each message, and waits for it for 5 ms.
            f"awscrt 0.36 + json.loads{BUSY}": lambda: flood(5_000, PEERS, "awscrt_json.py", "busy"),
        }
    )
    rows: list[tuple[str, ...]] = [("subject", "uplinks/s", "CPU µs each", "lost", "thingslink is")]
    for name, figures in found.items():
        busy = name.endswith(BUSY)
        ratio = found["thingslink" + BUSY if busy else "thingslink"]["per_s"] / figures["per_s"]
        # The processor time of a busy main thread tells nothing.
        cpu = "" if busy else f"{figures['cpu_us']:.2f}"
        rows.append((name, f"{figures['per_s']:,.0f}", cpu, f"{figures.get('lost', 0):,.0f}", f"{ratio:.3g} x"))
    table("Uplinks into the callback", rows)


def awaiting() -> None:
    """Measure ``async for`` beside callbacks and other clients of asyncio, and ``await send``."""
    found = rounds(
        {
            **builds(lambda python: flood(1_000_000, python, "ours_aio.py", "receive"), ", async for"),
            **builds(lambda python: flood(1_000_000, python, "ours.py", "receive"), ", callback"),
            "aiomqtt 2.5 + json.loads": lambda: flood(50_000, PEERS, "aiomqtt_json.py", "receive"),
            "gmqtt 0.8 + json.loads": lambda: flood(100_000, PEERS, "gmqtt_json.py", "receive"),
            "mqttium 1.2 + json.loads": lambda: flood(100_000, PEERS, "mqttium_json.py", "receive"),
        }
    )
    rows: list[tuple[str, ...]] = [("subject", "uplinks/s", "CPU µs each", "lost", "resident MB", "async for is")]
    for name, figures in found.items():
        ratio = found["thingslink, async for"]["per_s"] / figures["per_s"]
        resident = f"{figures['resident_mb']:.0f}" if "resident_mb" in figures else ""
        rate, lost = f"{figures['per_s']:,.0f}", f"{figures.get('lost', 0):,.0f}"
        rows.append((name, rate, f"{figures['cpu_us']:.2f}", lost, resident, f"{ratio:.3g} x"))
    table("Uplinks into asyncio", rows)
    with Broker() as broker:
        port = broker.port
        sent = rounds(
            {
                **builds(lambda python: subject(python, "ours_aio.py", "send1", port, "3000")),
                "aiomqtt 2.5": lambda: subject(PEERS, "aiomqtt_json.py", "send1", port, "3000"),
            }
        )
        idle = rounds(
            {
                **builds(lambda python: subject(python, "ours_aio.py", "idle", port, "1000")),
                "aiomqtt 2.5": lambda: subject(PEERS, "aiomqtt_json.py", "idle", port, "1000"),
            }
        )
    rows = [("subject", "p50 µs", "p99 µs")]
    rows += [(name, f"{figures['p50_us']:.0f}", f"{figures['p99_us']:.0f}") for name, figures in sent.items()]
    table("await send at QoS 1, one after the other", rows)
    rows = [("subject", "threads in all", "memory each")]
    rows += [(name, f"{figures['threads']:.0f}", f"{figures['kib_each']:.1f} KiB") for name, figures in idle.items()]
    table("1,000 idle clients in one process", rows)
    with thingsboard_device.mosquitto() as taken:
        at, count = str(taken), "20000"
        original = functools.partial(thingsboard_device.subject, host="127.0.0.1", port=taken)
        told = rounds(
            {
                **builds(lambda python: subject(python, "ours_aio.py", "telemetry", at, count), ", gather of 100"),
                "aiomqtt 2.5, gather of 100": lambda: subject(PEERS, "aiomqtt_json.py", "telemetry", at, count),
                "tb-mqtt-client 1.13.14, get() of each of 100": lambda: original(
                    thingsboard_device.ORIGINAL, "batches"
                ),
            }
        )
    rows = [("subject", "messages/s", "CPU µs each", "thingslink is")]
    for name, figures in told.items():
        ratio = told["thingslink, gather of 100"]["per_s"] / figures["per_s"]
        cpu = f"{figures['cpu_us']:.1f}" if "cpu_us" in figures else ""
        rows.append((name, f"{figures['per_s']:,.0f}", cpu, f"{ratio:.3g} x"))
    table("send_telemetry at QoS 1, awaited", rows)


def latency() -> None:
    """Measure from the sending of one uplink to its callback."""
    for title, pause in (("back to back", "0"), ("every 2 ms, the machine asleep in between", "0.002")):

        def run(python: str, script: str, pause: str = pause) -> dict[str, float]:
            return flood(3000, python, script, "latency", "--one-by-one", pause)

        found = rounds(
            {
                **builds(functools.partial(run, script="ours.py")),
                "awscrt 0.36": functools.partial(run, PEERS, "awscrt_json.py"),
                "paho-mqtt 1.6, nodelay": functools.partial(run, OURS, "paho_json.py"),
                "socket alone": functools.partial(run, OURS, "socket_only.py"),
            }
        )
        rows: list[tuple[str, ...]] = [("subject", "p50 µs", "p99 µs", "CPU µs each", "switches of threads each")]
        for name, figures in found.items():
            rows.append(
                (
                    name,
                    f"{figures['p50_us']:.0f}",
                    f"{figures['p99_us']:.0f}",
                    f"{figures['cpu_us']:.0f}",
                    f"{figures['switches']:.1f}",
                )
            )
        table(f"Latency from broker to callback, {title}", rows)


def chirpstack() -> None:
    """Measure ChirpStack's uplinks."""
    found = rounds(
        {
            **builds(lambda python: flood(1_000_000, python, "ours.py", "receive-chirpstack", "--chirpstack")),
            "paho-mqtt 1.6 + json.loads": lambda: flood(
                100_000, OURS, "paho_json.py", "receive-chirpstack", "--chirpstack"
            ),
        }
    )
    rows: list[tuple[str, ...]] = [("subject", "uplinks/s", "CPU µs each", "lost", "thingslink is")]
    for name, figures in found.items():
        ratio = found["thingslink"]["per_s"] / figures["per_s"]
        cells = f"{figures['per_s']:,.0f}", f"{figures['cpu_us']:.2f}", f"{figures.get('lost', 0):,.0f}"
        rows.append((name, *cells, f"{ratio:.3g} x"))
    table("Uplinks of ChirpStack into the callback", rows)


def stack() -> None:
    """Measure The Things Stack V3: uplinks beside V2's, listing devices of four servers, and registering some."""
    found = rounds(
        {
            **builds(lambda python: flood(1_000_000, python, "ours.py", "receive-v3", "--v3"), ", V3"),
            "paho-mqtt 1.6 + json.loads, V3": lambda: flood(100_000, OURS, "paho_json.py", "receive-v3", "--v3"),
            **builds(lambda python: flood(1_000_000, python, "ours.py", "receive"), ", V2"),
            "paho-mqtt 1.6 + json.loads, V2": lambda: flood(100_000, OURS, "paho_json.py", "receive"),
        }
    )
    rows: list[tuple[str, ...]] = [("subject", "uplinks/s", "CPU µs each", "lost", "thingslink is")]
    for name, figures in found.items():
        ratio = found[f"thingslink, {name[-2:]}"]["per_s"] / figures["per_s"]
        cells = f"{figures['per_s']:,.0f}", f"{figures['cpu_us']:.2f}", f"{figures.get('lost', 0):,.0f}"
        rows.append((name, *cells, f"{ratio:.3g} x"))
    table("Uplinks of The Things Stack V3, and of V2, into the callback", rows)
    with offline_stack("1000") as (address, key):
        listed = rounds(builds(lambda python: subject(python, "stack_listing.py", address, key, str(CERTIFICATE))))
    rows = [("subject", "as the Identity Server lists them, ms", "with what all four servers say, ms")]
    rows += [(name, f"{figures['ms']:.1f}", f"{figures['complete_ms']:.1f}") for name, figures in listed.items()]
    table(f"devices() with {listed['thingslink']['devices']:,.0f} devices of The Things Stack V3", rows)
    stack_import()


def stack_import() -> None:
    """Measure an import of devices that all four servers of The Things Stack V3 get, within a limit of its calls."""
    count, per_s, burst = 2_000, 100, 100
    # What the limit alone takes: one call of a device counts, which makes it at the Identity Server.
    own = (count - burst) / per_s
    settings = {"THINGSLINK_FREQUENCY_PLAN_ID": "EU_863_870_TTN"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "devices.csv"
        euis = "70B3D57ED00000A1"
        lines = [f"node-{number:05},{number + 1:016X},{euis},{'AB' * 16}" for number in range(count)]
        path.write_text("\n".join(["dev_id,dev_eui,app_eui,app_key", *lines]), encoding="utf-8")
        rows: list[tuple[str, ...]] = [("subject", "s", "the limit's own time", "CPU of the command, s")]
        for name, limit in (("without a limit", ()), (f"{per_s} calls a second", (str(per_s * 60), str(burst)))):
            with offline_stack("0", *limit) as (address, key):
                figures = importing(address, key, path, settings)
            share = f"{figures['s'] / own:.2f} of it" if limit else ""
            rows.append((name, f"{figures['s']:.1f}", share, f"{figures['cpu_s']:.1f}"))
    table(f"Registering {count:,} devices of The Things Stack V3 with `thingslink devices import`", rows)


@contextlib.contextmanager
def offline_stack(*arguments: str) -> Iterator[tuple[str, str]]:
    """Serve an offline stack in a process of its own; gives its address and key."""
    command = [OURS, str(HERE / "stack.py"), str(CERTIFICATE), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin
        assert server.stdout
        address, key = server.stdout.readline().split()
        yield address, key
        server.stdin.close()


class Broker:
    """The sandbox in a process of its own."""

    port: str
    handler: str

    def __enter__(self) -> Self:
        command = [OURS, "-m", "thingslink", "sandbox", "--quiet", "--mqtt-port", "0"]
        command += ["--discovery-port", "0", "--handler-port", "0", "--ca-file", str(CERTIFICATE)]
        options = ["--app-id", "orchard-app", "--access-key", "key"]
        self.process = subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True)
        assert self.process.stderr
        self.port = self.process.stderr.readline().rsplit(":", 1)[1].strip()
        self.handler = self.process.stderr.readline().split()[5].replace("127.0.0.1", "localhost")
        self.process.stderr.readline()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.communicate()


def sending() -> None:
    """Measure downlinks."""
    with Broker() as broker:
        port = broker.port
        found = rounds(
            {
                **builds(lambda python: subject(python, "ours.py", "send0", port, "200000"), ", QoS 0 until written"),
                "ttn 2.1.5, QoS 0 until written": lambda: subject(ORIGINAL, "original.py", "send0", port, "10000"),
                "paho-mqtt 1.6, QoS 0 until written": lambda: subject(OURS, "paho_json.py", "send0", port, "10000"),
                **builds(
                    lambda python: subject(python, "ours.py", "send1", port, "100000"), ", QoS 1 until acknowledged"
                ),
                "paho-mqtt 1.6, QoS 1 until acknowledged": lambda: subject(
                    OURS, "paho_json.py", "send1", port, "10000"
                ),
            }
        )
    rows: list[tuple[str, ...]] = [("subject", "send()/s", "CPU µs each", "thingslink is")]
    for name, figures in found.items():
        ours = found[next(key for key in found if key.split(", ")[1] == name.split(", ")[1])]["per_s"]
        rows.append((name, f"{figures['per_s']:,.0f}", f"{figures['cpu_us']:.1f}", f"{ours / figures['per_s']:.3g} x"))
    table("Downlinks", rows)


def resources() -> None:
    """Measure what clients cost when nothing happens."""
    with Broker() as broker:
        port = broker.port
        idle = rounds(builds(lambda python: subject(python, "ours.py", "idle", port, "1000")))
        start = rounds(
            {
                **builds(lambda python: subject(python, "start.py", "thingslink", f"127.0.0.1:{port}")),
                "ttn 2.1.5": lambda: subject(ORIGINAL, "start.py", "ttn", f"127.0.0.1:{port}"),
            }
        )
    rows: list[tuple[str, ...]] = [("1,000 idle clients in one process", *idle)]
    rows.append(("threads in all", *(f"{figures['threads']:.0f}" for figures in idle.values())))
    rows.append(("memory each", *(f"{figures['kib_each']:.1f} KiB" for figures in idle.values())))
    table("Idle clients", rows)
    rows = [("subject", "import ms", "resident MB, connected")]
    rows += [(name, f"{figures['import_ms']:.1f}", f"{figures['resident_mb']:.1f}") for name, figures in start.items()]
    table("Start", rows)


def managing() -> None:
    """Measure device management."""
    with tempfile.TemporaryDirectory() as folder, Broker() as broker:
        path = Path(folder) / "devices.csv"
        lines = [
            f"node-{number:05},{number:016X},{'AB' * 16},device {number},{number % 90}" for number in range(10_000)
        ]
        path.write_text("\n".join(["dev_id,dev_eui,app_key,description,latitude", *lines]), encoding="utf-8")
        registered = importing(broker.handler, "key", path)
        parts = {}
        for what in ("listing", "fetching", "single", "threads", "start"):
            script, chosen = ("start.py", []) if what == "start" else ("management.py", [what])
            arguments = [*chosen, broker.handler, str(CERTIFICATE)]
            parts[what] = rounds(
                {
                    **builds(lambda python: subject(python, script, "thingslink", *arguments)),  # noqa: B023
                    "ttn 2.1.5": lambda: subject(ORIGINAL, script, "ttn", *arguments),  # noqa: B023
                }
            )
    table(
        "Registering 10,000 devices with `thingslink devices import`",
        [
            ("figure", "value"),
            ("devices/s", f"{10_000 / registered['s']:,.0f}"),
            ("CPU of the command, s", f"{registered['cpu_s']:.1f}"),
        ],
    )
    for what, title in (
        ("listing", "devices() with 10,000 devices, each looked at"),
        ("fetching", "devices() with 10,000 devices, none looked at"),
        ("single", "device(), one after the other"),
        ("threads", "device() from 50 threads"),
        ("start", "A program that only manages devices"),
    ):
        found = parts[what]
        figures = list(found["thingslink"])
        body: list[tuple[str, ...]] = [("subject", *figures)]
        body += [(name, *(f"{values[figure]:,.1f}" for figure in figures)) for name, values in found.items()]
        body.append(("ttn / thingslink", *(f"{found['ttn 2.1.5'][f] / found['thingslink'][f]:.2f}" for f in figures)))
        table(title, body)


def recording() -> None:
    """Measure uplinks that have come, into a table: by a Recorder, and by a list of dictionaries."""
    gathered = {
        f"{what}, {name}": functools.partial(subject, python, "recording.py", what, "100000")
        for what in ("recorder", "dicts")
        for name, python in BUILDS.items()
    }
    found = rounds(gathered)
    rows: list[tuple[str, ...]] = [("subject", "rows/s", "rows/s into a pandas.DataFrame", "of it the frame, ms")]
    for name, figures in found.items():
        rows.append((name, f"{figures['gather']:,.0f}", f"{figures['all']:,.0f}", f"{figures['frame_ms']:.0f}"))
    table("100,000 uplinks into a table of 28 columns", rows)


def importing(address: str, key: str, path: Path, more: dict[str, str] | None = None) -> dict[str, float]:
    """Register the devices of a file through the command line."""
    settings = {
        **os.environ,
        "THINGSLINK_APP_ID": "orchard-app",
        "THINGSLINK_ACCESS_KEY": key,
        "THINGSLINK_HANDLER": address,
        "THINGSLINK_CA_FILE": str(CERTIFICATE),
        **(more or {}),
    }
    start, cpu = time.perf_counter(), os.times()
    subprocess.run([OURS, "-m", "thingslink", "devices", "import", str(path)], env=settings, check=True, timeout=LIMIT)
    took, spent = time.perf_counter() - start, os.times()
    used = spent.children_user + spent.children_system - cpu.children_user - cpu.children_system
    return {"s": took, "cpu_s": used}


def main() -> None:
    """Measure everything, or what is named."""
    parts: dict[str, Callable[[], None]] = {
        "receiving": receiving,
        "awaiting": awaiting,
        "latency": latency,
        "sending": sending,
        "resources": resources,
        "managing": managing,
        "stack": stack,
        "chirpstack": chirpstack,
        "recording": recording,
        "sharing": lambda: jetstream.tables(BUILDS, rounds, table),
        "thingsboard": lambda: thingsboard_device.tables(BUILDS, rounds, table),
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="*", help=f"any of {', '.join(parts)}; all by default")
    parser.add_argument("--beside", metavar="PYTHON", help="interpreter with another build of thingslink")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.part if name not in parts]:
        parser.error(f"no such part: {', '.join(unknown)}")
    if arguments.beside:
        BUILDS["the other thingslink"] = arguments.beside
    print(f"{os.cpu_count()} cores, CPython {platform.python_version()}, median of {ROUNDS} rounds")
    for name in arguments.part or parts:
        parts[name]()


if __name__ == "__main__":
    main()
