"""The ThingsBoard device beside the original and beside a socket alone: its part of `run.py`."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from thingslink.sandbox import ThingsBoard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
OURS = "thingslink.tb_device_mqtt"
ORIGINAL = [str(HERE.parent / ".venvs" / "tb-mqtt-client" / "bin" / "python"), "tb_device_mqtt"]
THEIRS = "tb-mqtt-client 1.13.14"
#: No subject takes longer.
LIMIT = 120


def subject(which: list[str], what: str, host: str, port: int) -> dict[str, float]:
    """Run one subject and read its figures."""
    python, module = which
    command = [python, "-W", "ignore", str(HERE / "subjects" / "telemetry.py"), module, what, host, str(port)]
    outcome = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=LIMIT, check=True)
    figures: dict[str, float] = json.loads(outcome.stdout.splitlines()[-1])
    return figures


def alone(host: str, port: int) -> dict[str, float]:
    """Run the socket."""
    command = [sys.executable, str(HERE / "subjects" / "telemetry_socket.py"), host, str(port)]
    outcome = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=LIMIT, check=True)
    figures: dict[str, float] = json.loads(outcome.stdout)
    return figures


@contextmanager
def mosquitto() -> Iterator[int]:
    """A broker that sends at once and bounds nothing; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as config:
        config.write(f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n")
        config.write("max_inflight_messages 0\nmax_queued_messages 0\n")
        config.flush()
        binary = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        process = subprocess.Popen([binary, "-c", config.name], stderr=subprocess.DEVNULL)
        try:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except ConnectionRefusedError:
                    time.sleep(0.05)
            yield port
        finally:
            process.kill()
            process.wait()


@contextmanager
def server() -> Iterator[ThingsBoard]:
    """The sandbox's, in this process."""
    with ThingsBoard() as sandbox:
        sandbox.add_device("Device", "A1_TEST_TOKEN")
        sandbox.script("getTime", {"now": 17})
        yield sandbox


def answering(which: list[str]) -> dict[str, float]:
    """Call a device and take the time until its answer is there."""
    python, module = which
    with server() as sandbox:
        arguments = [module, "answering", sandbox.host, str(sandbox.port)]
        process = subprocess.Popen(
            [python, "-W", "ignore", str(HERE / "subjects" / "telemetry.py"), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout
        while process.stdout.readline().strip() != "ready":
            pass
        times = []
        for _ in range(500):
            start = time.perf_counter()
            sandbox.rpc("Device", "m", timeout=10)
            times.append(time.perf_counter() - start)
        process.communicate("enough\n", timeout=LIMIT)
    times.sort()
    return {"p50_ms": times[250] * 1e3, "p99_ms": times[495] * 1e3}


def sandboxed(which: list[str], what: str) -> dict[str, float]:
    """Run a subject against the sandbox."""
    with server() as sandbox:
        if what == "memory":
            # All but the question for the session's limits.
            sandbox.withhold_acks(1_000_000)
        return subject(which, what, sandbox.host, sandbox.port)


def tables(
    builds: dict[str, str],
    rounds: Callable[[dict[str, Callable[[], dict[str, float]]]], dict[str, dict[str, float]]],
    table: Callable[[str, list[tuple[str, ...]]], None],
) -> None:
    """Measure everything with the interpreter of each build, and print it."""

    def show(title: str, found: dict[str, dict[str, float]]) -> None:
        figures = list(found["thingslink"])
        body: list[tuple[str, ...]] = [("subject", *figures)]
        body += [(name, *(f"{values[figure]:,.2f}" for figure in figures)) for name, values in found.items()]
        for name in list(found)[1:]:
            ratios = (f"{found[name][figure] / (found['thingslink'][figure] or 1):.3g}" for figure in figures)
            body.append((f"{name} / thingslink", *ratios))
        table(title, body)

    def each(run: Callable[[list[str]], dict[str, float]]) -> dict[str, Callable[[], dict[str, float]]]:
        subjects = {name: partial(run, [python, OURS]) for name, python in builds.items()}
        return {**subjects, THEIRS: partial(run, ORIGINAL)}

    with mosquitto() as port:
        direct = partial(subject, host="127.0.0.1", port=port)
        show(
            "Telemetry at QoS 1, window 100, 20,000 messages, all acknowledged",
            rounds({**each(partial(direct, what="telemetry")), "socket alone": lambda: alone("127.0.0.1", port)}),
        )
        show("Batches of 100, then get() of each", rounds(each(partial(direct, what="batches"))))
        show("One at a time with get()", rounds(each(partial(direct, what="single"))))
        show("20 idle clients", rounds(each(partial(direct, what="idle"))))
    show("Call of the server, handler, answer", rounds(each(answering)))
    for what, title in (
        ("calling", "Call to the server, callback"),
        ("memory", "20,000 unacknowledged messages"),
    ):
        show(title, rounds(each(partial(sandboxed, what=what))))
