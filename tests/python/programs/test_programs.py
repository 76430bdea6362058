"""The programs of `tests/programs`, each in the shape of real ones, unedited: over this library, and over the original
where that can, with the same outcome; and over this library on The Things Stack V3 and on ChirpStack, with another key.

They name no address: `thingslink run` leads ours to the sandbox, `under_original.py` the original.
"""

from __future__ import annotations

import base64
import csv
import json
import os
import queue
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE
from thingslink.sandbox import Sandbox, ThingsBoard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[3]
PROGRAMS = ROOT / "tests" / "programs"
LAUNCHER = Path(__file__).parent / "under_original.py"
#: Programs start while other tests keep the machine busy, the original's among them.
DEADLINE = 2 * PATIENCE
#: The key that the programs of a LoRaWAN network have in them.
KEY = "ttn-account-v2.demo"
#: What else programs need on another network, with the reason.
NEEDED = {
    "v3": {
        "register_csv.py": (
            'ttn.HandlerClient("demo-app", KEY).application()',
            'ttn.ApplicationClient("demo-app", KEY, ADDRESS, open("ca.pem").read(), '
            'frequency_plan_id="EU_863_870_TTN")',
            "no discovery server knows where devices are managed, and V2 chose the frequency plan itself",
        ),
        "thermostat.py": ('sched="first"', 'sched="replace"', "nothing comes before what is queued over MQTT alone"),
        "gateway_table.py": (
            'body["payload_raw"], body["counter"]',
            'body["uplink_message"]["frm_payload"], body["uplink_message"].get("f_cnt", 0)',
            "raw callbacks get the bytes as they came",
        ),
    },
    "chirpstack": {
        "register_csv.py": (
            'ttn.HandlerClient("demo-app", KEY)',
            'ttn.HandlerClient("demo-app", KEY, grpc_address=ADDRESS, tenant_id=TENANT)',
            "no discovery server knows where the API is, and an API key does not know its tenant",
        ),
        "thermostat.py": ('sched="first"', 'sched="last"', "nothing comes before what is queued"),
        "gateway_table.py": (
            'body["payload_raw"], body["counter"]',
            'body["data"], body["fCnt"]',
            "raw callbacks get the bytes as they came",
        ),
    },
}


class Program:
    """A running program: its lines, and its end."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.errors = folder / "stderr.txt"
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def until(self, line: str) -> None:
        """Wait for a line that has these words."""
        while True:
            try:
                came = self._lines.get(timeout=DEADLINE)
            except queue.Empty:
                raise AssertionError(f"no {line!r} after {self.said}; {self.errors.read_text()}") from None
            assert came is not None, f"ended before {line!r}, after {self.said}; {self.errors.read_text()}"
            self.said.append(came)
            if line in came:
                return

    def tell(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def end(self, how: int | None = None) -> tuple[int, list[str]]:
        """Wait for its end, after a signal if one is given: its code, and all its lines."""
        if how is not None:
            self.process.send_signal(how)
        code = self.process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        while (line := self._lines.get(timeout=DEADLINE)) is not None:
            self.said.append(line)
        return code, self.said

    def kill(self) -> None:
        """Leave nothing behind, of the processes that it has started neither."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        for stream in (self.process.stdin, self.process.stdout):
            assert stream
            stream.close()


def original(environment: str, package: str) -> str:
    """Give the interpreter that has an original."""
    python = ROOT / ".venvs" / environment / "bin" / "python"
    probe = [str(python), "-W", "ignore", "-c", f"import {package}"]
    if not python.exists() or subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        pytest.skip(f"{package} is not installed in .venvs/{environment} (make originals)")
    return str(python)


Start = Any  # start(which, name, *arguments, sandbox=…) -> Program


@pytest.fixture
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    which = "which" in request.fixturenames and request.getfixturevalue("which")
    # By its name: the original's gRPC looks for the address among the names of a certificate.
    with Sandbox(host="localhost", seed=0, network=which if which in NEEDED else "v2") as sandbox:
        yield sandbox


@pytest.fixture
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Start]:
    """Start a program of `tests/programs` against a sandbox, if there is one, over ours or an original."""
    running: list[Program] = []

    def start(which: str, name: str, *arguments: object, sandbox: Sandbox | None = None) -> Program:
        folder = tmp_path / str(len(running))
        folder.mkdir()
        environment, options, addresses = {}, [], ["-", "-:0"]
        program = PROGRAMS / name
        if which in NEEDED:
            assert sandbox is not None
            program = folder / name
            program.write_text(on_another_network(which, name, sandbox, folder))
            options = ["--mqtt", sandbox.mqtt_address]
        elif sandbox is not None:
            certificate = folder / "ca.pem"
            certificate.write_text(sandbox.ca_certs)
            environment["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"] = str(certificate)
            options = ["--discovery", sandbox.discovery_address, "--ca-file", str(certificate)]
            addresses = [sandbox.discovery_address, sandbox.mqtt_address]
        if which == "thingslink" or which in NEEDED:
            command = [sys.executable, "-m", "thingslink", "run", *options]
        else:
            venv = {"ttn": "ttn", "ttnmqtt": "ttnmqtt-0.9.4", "tb_device_mqtt": "tb-mqtt-client"}[which]
            command = [original(venv, which), "-W", "ignore", str(LAUNCHER), *addresses]
        command += [str(program), *map(str, arguments)]
        running.append(Program(command, folder, environment))
        return running[-1]

    yield start
    for program in running:
        program.kill()


def on_another_network(network: str, name: str, sandbox: Sandbox, folder: Path) -> str:
    """Give a program with a key of this network in place of V2's, and with what else it needs."""
    if network == "v3":
        (folder / "ca.pem").write_text(sandbox.ca_certs)
    program = (PROGRAMS / name).read_text().replace(f'"{KEY}"', "KEY")
    if name in NEEDED[network]:
        before, after, _ = NEEDED[network][name]
        assert before in program
        program = program.replace(before, after)
    assert "KEY" in program
    if network == "chirpstack":
        program = program.replace("TENANT", repr(sandbox.tenant_id))
    return program.replace("KEY", repr(sandbox.access_key)).replace("ADDRESS", repr(sandbox.management_address))


def over(*others: str) -> pytest.MarkDecorator:
    """Run a test over ours, over these originals, and over ours on the other networks that are among them."""
    return pytest.mark.parametrize("which", ["thingslink", *others])


def listening(sandbox: Sandbox, clients: int = 1) -> None:
    """Wait until so many clients have subscribed."""
    sandbox.wait_for(
        lambda: sum(entry["kind"] == "subscribed" for entry in sandbox.journal) >= clients, timeout=DEADLINE
    )


@contextmanager
def http(answer: Callable[[str, bytes], Any]) -> Iterator[str]:
    """Serve HTTP: what POST requests get is `answer(path, body)`, as JSON."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer(self.path, body)).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@over("v3", "chirpstack", "ttn")
def test_json_logger(which: str, start: Start, sandbox: Sandbox) -> None:
    device = sandbox.device("soil-07")
    program = start(which, "json_logger.py", sandbox=sandbox)
    listening(sandbox)
    for value in (1.5, 2.5):
        device.uplink(b"\x01", fields={"temperature": value, "ok": True, "list": [1, {"deep": None}]})
        program.until("Received uplink from  soil-07")
    device.uplink(b"\x02", fields={"temperature": 3})
    program.until("Received")
    (log,) = sandbox.wait_for(
        lambda: [log for log in program.folder.glob("uplinks-*.json") if log.read_text().count("\n") == 3]
    )
    assert program.end(signal.SIGKILL)[0] == -signal.SIGKILL
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    # As the original wrote them: names are lost, lists they are.
    assert [entry["fields"] for entry in entries] == [[[1, [None]], True, 1.5], [[1, [None]], True, 2.5], [3]]
    message = entries[0]["message"]
    assert message[:2] == ["demo-app", "soil-07"] and entries[0]["fields"] in message
    assert isinstance(message[-1][-1][0], list), "gateways are lists in a list"


@over("v3", "chirpstack", "ttn")
def test_live_map(which: str, start: Start, sandbox: Sandbox, tmp_path: Path) -> None:
    device, ports = sandbox.device("bike-1"), tmp_path / "port"
    program = start(which, "live_map.py", ports, sandbox=sandbox)
    port = sandbox.wait_for(lambda: ports.exists() and ports.read_text(), timeout=DEADLINE)

    def positions() -> Any:
        # The listener is away between its turns: uplinks are sent until one is heard.
        device.uplink(fields={"lat": 51.5, "lon": 3.25})
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE) as page:
            return json.load(page)

    # Over several turns of the listener.
    listening(sandbox, clients=3)
    found = sandbox.wait_for(positions, timeout=DEADLINE)
    assert found[0] == ["position", {"dev_id": "bike-1", "msg": [51.5, 3.25]}]
    urllib.request.urlopen(f"http://127.0.0.1:{port}/", b"stop", timeout=PATIENCE).close()
    assert program.end() == (0, ["stopped"])


@over("v3", "chirpstack", "ttn")
def test_telegram_bot(which: str, start: Start, sandbox: Sandbox) -> None:
    messages: queue.Queue[str] = queue.Queue()
    orders: queue.Queue[str] = queue.Queue()

    def chat(path: str, body: bytes) -> Any:
        if path == "/getUpdates":
            try:
                return [{"text": orders.get(timeout=1)}]
            except queue.Empty:
                return []
        messages.put(json.loads(body)["text"])
        return {}

    device = sandbox.device("oven")
    with http(chat) as address:
        program = start(which, "telegram_bot.py", address, sandbox=sandbox)
        assert messages.get(timeout=DEADLINE) == "here I am"
        listening(sandbox)
        device.uplink(b"\x20")
        assert messages.get(timeout=DEADLINE) == "oven is hot: 32"
        orders.put("/fan oven")
        assert messages.get(timeout=DEADLINE) == "fan of oven on"
        sandbox.wait_for(lambda: device.downlinks == [b"\x01"], timeout=DEADLINE)
        if which == "thingslink":
            # Over the original the callback's own connect fights with the one that comes by itself.
            before = sum(entry["kind"] == "subscribed" for entry in sandbox.journal)
            sandbox.cut()
            assert messages.get(timeout=DEADLINE) == "connection lost, reconnecting"
            listening(sandbox, clients=before + 1)
            device.uplink(b"\x28")
            assert messages.get(timeout=DEADLINE) == "oven is hot: 40"
            (received,) = device.received
            assert (received.payload, received.port, received.confirmed) == (b"\x01", 2, True)
        orders.put("/stop")
        assert program.end()[0] == 0


@over("v3", "chirpstack", "ttn")
def test_influx_writer(which: str, start: Start, sandbox: Sandbox) -> None:
    lines: queue.Queue[tuple[str, str]] = queue.Queue()
    device = sandbox.device("hive-2")
    with http(lambda path, body: lines.put((path, body.decode()))) as address:
        program = start(which, "influx_writer.py", address, sandbox=sandbox)
        program.until(f"Connected to {sandbox.mqtt_address}")
        # It drops what comes before it has told where to.
        program.until("Forwarding")
        listening(sandbox)
        device.uplink(b"\x01")
        device.uplink(b"\x02", fields={"weight": 41.5, "name": "left", "inside": 35})
        path, line = lines.get(timeout=DEADLINE)
    assert path == "/write?db=hives"
    tags, pairs = line.split(" ")
    assert tags.startswith("uplinks,dev_id=hive-2,gtw_id=")
    values = dict(pair.split("=") for pair in pairs.split(","))
    assert (values["weight"], values["inside"]) == ("41.5", "35.0") and float(values["rssi"]) < 0
    assert {"sf", "snr"} < values.keys() and "name" not in values
    code, said = program.end(signal.SIGINT)
    assert code == 0 and said[-1] == f"Disconnected from {sandbox.mqtt_address}"
    logged = program.errors.read_text()
    assert "paho" in logged
    if which == "chirpstack":
        assert "application/+/device/+/event/up" in logged and f"{device.dev_eui}/event/up" in logged
    else:
        assert "demo-app/devices/+/up" in logged and "hive-2/up" in logged
    assert sandbox.access_key not in logged


@over("v3", "chirpstack", "ttn")
def test_sqlite_logger(which: str, start: Start, sandbox: Sandbox) -> None:
    device = sandbox.device("attic")
    program = start(which, "sqlite_logger.py", 5, sandbox=sandbox)
    listening(sandbox)
    for number in range(5):
        device.uplink(bytes([number]), fields={"humidity": 40.5, "open": True, "temperature": number}, port=2)
    assert program.end() == (0, ["stored 5"])
    with sqlite3.connect(program.folder / "uplinks.db") as base:
        rows = base.execute("SELECT * FROM uplinks ORDER BY counter").fetchall()
        fields = base.execute("SELECT * FROM fields ORDER BY temperature").fetchall()
        (gateways,) = base.execute("SELECT COUNT(*) FROM gateways WHERE rssi < 0").fetchone()
    base.close()
    raw = [base64.b64encode(bytes([number])).decode() for number in range(5)]
    assert rows == [("attic", number, 2, raw[number], "MSG(app_id='demo-app") for number in range(5)]
    assert fields == [(40.5, 1, float(number)) for number in range(5)]
    assert gateways >= 5


@over("v3", "chirpstack", "ttn")
def test_watchdog(which: str, start: Start, sandbox: Sandbox) -> None:
    device = sandbox.device("pump")
    program = start(which, "watchdog.py", 1.0, sandbox=sandbox)
    program.until("watching")
    listening(sandbox)
    device.uplink()
    program.until("pump is watched")
    program.until("pump is silent")
    device.uplink()
    program.until("pump is back")
    code, said = program.end(signal.SIGINT)
    assert code == 0 and said[-1] == "bye" and "Traceback" not in program.errors.read_text()


@over("v3", "chirpstack", "ttn")
def test_register_csv(which: str, start: Start, sandbox: Sandbox, tmp_path: Path) -> None:
    names = ["dev_id", "description", "app_eui", "dev_eui", "app_key", "latitude", "longitude", "row"]
    table = tmp_path / "devices.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for number in range(200):
            key = f"{number:032X}"
            writer.writerow(
                [f"soil-{number:03}", f"plant {number}", "70B3D57ED00000AA", f"{number:016X}", key, 52.25, 4.5, number]
            )
    sandbox.device("soil-000")
    program = start(which, "register_csv.py", table, sandbox=sandbox)
    assert program.end() == (0, ["made 199 failed 0 known 1 now 200"]), program.errors.read_text()
    assert sandbox.devices() == [f"soil-{number:03}" for number in range(200)]
    again = start(which, "register_csv.py", table, sandbox=sandbox)
    assert again.end() == (0, ["made 0 failed 0 known 200 now 200"])


@over("v3", "chirpstack", "ttn")
def test_thermostat(which: str, start: Start, sandbox: Sandbox) -> None:
    device = sandbox.device("room-1")
    program = start(which, "thermostat.py", sandbox=sandbox)
    listening(sandbox)
    for count, temperature in enumerate((195, 210, -5), 1):
        device.uplink(struct.pack(">h", temperature), port=count)
        program.until(f"sent {count}")
        sandbox.wait_for(lambda: device.downlinks, timeout=DEADLINE)
    assert program.end()[0] == 0
    device.uplink()
    got = [(downlink.payload, downlink.port, downlink.confirmed) for downlink in device.received]
    # The last one waits until the uplink before it is acknowledged, or goes out with it.
    assert got[:3] == [(b"\x01", 1, False), (b"\x00", 2, False), (b"\x01", 3, True)]


@over("v3", "chirpstack", "ttn")
def test_preloaded_server(which: str, start: Start, sandbox: Sandbox) -> None:
    device = sandbox.device("node-1")
    program = start(which, "preloaded_server.py", 2, sandbox=sandbox)
    program.until("is ready")
    program.until("is ready")
    listening(sandbox, clients=2)
    device.uplink()
    heard = {"worker 0 got node-1", "worker 1 got node-1"}
    while not heard <= set(program.said):
        program.until("worker")
    code, said = program.end(signal.SIGTERM)
    assert code == 0 and said[-1] == "status [0, 0]" and {"worker 0 ends", "worker 1 ends"} < set(said)


@over("v3", "chirpstack", "ttn")
def test_process_pool(which: str, start: Start, sandbox: Sandbox) -> None:
    device = sandbox.device("node-1")
    program = start(which, "process_pool.py", sandbox=sandbox)
    listening(sandbox)
    for payload in (b"\x01\x02", b"\xff", b""):
        device.uplink(payload)
    assert program.end() == (0, ["node-1 3", "node-1 255", "node-1 0"])


@over("v3", "chirpstack", "ttn")
def test_async_bridge(which: str, start: Start, sandbox: Sandbox) -> None:
    device = sandbox.device("node-1")
    program = start(which, "async_bridge.py", 2, sandbox=sandbox)
    listening(sandbox)
    for payload in (b"\x01\x02", b"\x03\x04"):
        device.uplink(payload)
        program.until(f"answered node-1 {payload.hex()}")
        sandbox.wait_for(lambda: device.downlinks, timeout=DEADLINE)
    code, said = program.end()
    assert code == 0 and "connected True" in said
    device.uplink()
    assert [downlink.payload for downlink in device.received] == [b"\x02\x01", b"\x04\x03"]


@over("v3", "chirpstack")
def test_async_callbacks(which: str, start: Start, sandbox: Sandbox) -> None:
    # Not over the original, which calls them and drops what they give.
    device = sandbox.device("node-1")
    program = start(which, "async_callbacks.py", 3, sandbox=sandbox)
    program.until("ready")
    for _ in range(3):
        device.uplink()
    code, said = program.end()
    each = [[f"begins {counter} True", f"ends {counter}"] for counter in range(3)]
    assert (code, said) == (0, ["ready", *each[0], *each[1], *each[2], "closed True"])
    with sqlite3.connect(program.folder / "uplinks.db") as database:
        assert database.execute("select * from uplinks").fetchall() == [("node-1", counter) for counter in range(3)]
    database.close()


@over("v3", "chirpstack", "ttn")
def test_service(which: str, start: Start, sandbox: Sandbox) -> None:
    device = sandbox.device("node-1")
    program = start(which, "service.py", sandbox=sandbox)
    program.until("ready")
    listening(sandbox)
    device.uplink()
    device.uplink()
    program.until("up node-1 1")
    assert program.end(signal.SIGTERM) == (0, ["ready", "up node-1 0", "up node-1 1", "closed True", "exit"])
    assert json.loads((program.folder / "state.json").read_text()) == {"counters": {"node-1": 1}, "connections": 1}
    gone = [entry["clean"] for entry in sandbox.journal if entry["kind"] == "disconnected"]
    assert gone == [True], "it said goodbye"


@over("v3", "chirpstack", "ttn")
def test_notebook(which: str, start: Start, sandbox: Sandbox) -> None:
    device = sandbox.device("node-1")
    program = start(which, "notebook.py", sandbox=sandbox)
    program.until("cells ran")
    listening(sandbox, clients=2)
    device.uplink()
    program.until("Out")
    program.until("Out")
    assert sorted(program.said[1:]) == ["Out[1]: node-1 0", "Out[2]: node-1 0"]
    program.tell("")
    assert program.end()[0] == 0


@over("v3", "chirpstack", "ttn")
def test_gateway_table(which: str, start: Start, sandbox: Sandbox) -> None:
    device = sandbox.device("node-1")
    program = start(which, "gateway_table.py", 2, sandbox=sandbox)
    listening(sandbox)
    device.uplink(b"\x01", fields={"a": 1, "b": "x"})
    device.uplink(b"\x02", fields={"a": 2, "b": None})
    assert program.end()[0] == 0
    with (program.folder / "table.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head[0] == "device"
    assert {tuple(row[:2] + row[5:]) for row in rows} == {("node-1", "0", "1", "x"), ("node-1", "1", "2", "")}
    assert all(float(row[3]) < 0 and row[4].startswith("20") for row in rows)
    raw = [json.loads(line) for line in (program.folder / "raw.jsonl").read_text().splitlines()]
    topic = "v3/demo-app/devices/node-1/up" if which == "v3" else "demo-app/devices/node-1/up"
    if which == "chirpstack":
        topic = f"application/{sandbox.application_id}/device/{device.dev_eui}/event/up"
    assert raw == [[topic, 0, text, number] for number, text in enumerate(["AQ==", "Ag=="])]


@over("v3", "chirpstack", "ttnmqtt")
def test_display(which: str, start: Start, sandbox: Sandbox) -> None:
    device = sandbox.device("node-1")
    program = start(which, "display.py", 2, sandbox=sandbox)
    listening(sandbox)
    for temperature in (20, 21):
        device.uplink(fields={"temperature": temperature})
        program.until(f"shown: node-1 {temperature}")
    # Over MQTT alone ChirpStack replaces no queue: one waits, or two where the second uplink came before an answer.
    queued = ([b"\x01"], [b"\x01"] * 2) if which == "chirpstack" else ([b"\x01"],)
    sandbox.wait_for(lambda: device.downlinks in queued, timeout=DEADLINE)
    program.tell("")
    code, said = program.end()
    text = "\n".join(said)
    assert code == 0 and all(words in text for words in ("CONNECTED AND SUBSCRIBED", "LOOP STARTED BACKGROUND"))


def test_typed(start: Start, sandbox: Sandbox, tmp_path: Path) -> None:
    device = sandbox.device("node-1")
    program = start("thingslink", "typed.py", 3, sandbox=sandbox)
    program.until("connected True demo-app")
    device.uplink(b"\x01\x02")
    device.uplink(b"\x03")
    assert program.end() == (0, ["connected True demo-app", "[('node-1', 3)]"])
    environment = {**os.environ, "MYPYPATH": str(ROOT / "python")}
    strict = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path}"]
    checked = subprocess.run(
        [*strict, str(PROGRAMS / "typed.py")], capture_output=True, text=True, check=False, env=environment
    )
    assert checked.returncode == 0, checked.stdout
    pyright = shutil.which("pyright") or shutil.which("basedpyright")
    if pyright:
        checked = subprocess.run([pyright, str(PROGRAMS / "typed.py")], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout


@pytest.fixture
def thingsboard() -> Iterator[ThingsBoard]:
    with ThingsBoard() as server:
        server.add_device("Valve", "A1_TEST_TOKEN")
        server.add_device("Gateway", "GATEWAY_TEST_TOKEN", gateway=True)
        yield server


def eventually(holds: Callable[[], Any]) -> Any:
    """Wait until something holds of a ThingsBoard."""
    deadline = time.monotonic() + DEADLINE
    while not (found := holds()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)
    return found


@over("tb_device_mqtt")
def test_tb_gateway(which: str, start: Start, thingsboard: ThingsBoard) -> None:
    program = start(which, "tb_gateway.py", thingsboard.host, thingsboard.port)
    program.until("ready")
    for line in ("Pump 1 rpm 900", "Pump 2 rpm 901.5"):
        program.tell(line)
        program.until(f"stored {line[:6]} 0")
    assert thingsboard.telemetry_of("Pump 1") == [{"ts": 1_700_000_000_000, "values": {"rpm": 900.0}}]
    assert thingsboard.telemetry_of("Pump 2") == [{"ts": 1_700_000_000_000, "values": {"rpm": 901.5}}]
    # The server reads a text of digits as a number.
    eventually(lambda: thingsboard.attributes_of("Pump 2") == {"firmware": 1.0})
    assert thingsboard.rpc("Pump 1", "setInterval", 5, timeout=DEADLINE) == {"interval": 5}
    assert thingsboard.rpc("Pump 2", "explode", None, timeout=DEADLINE) == {"error": "unknown method"}
    thingsboard.set_shared("Pump 1", {"limit": 7})
    program.until("attributes Pump 1 {'limit': 7}")
    program.tell("end")
    assert program.end()[0] == 0


@over("tb_device_mqtt")
def test_tb_firmware(which: str, start: Start, thingsboard: ThingsBoard) -> None:
    package = bytes(range(256)) * 60
    program = start(which, "tb_firmware.py", thingsboard.host, thingsboard.port)
    program.until("ready")
    eventually(lambda: thingsboard.connected)
    thingsboard.offer_firmware("Valve", "valve", "2.0", package)
    program.until("updated to 2.0")
    states = [
        entry["values"]["fw_state"] for entry in thingsboard.telemetry_of("Valve") if "fw_state" in entry["values"]
    ]
    assert states[0] == "DOWNLOADING" and states[-1] in {"UPDATING", "UPDATED"}, states
    assert {"DOWNLOADED", "VERIFIED"} < set(states)
    saved = [path for path in program.folder.iterdir() if path.is_file() and path.read_bytes() == package]
    assert len(saved) == 1, list(program.folder.iterdir())
    program.tell("")
    assert program.end()[0] == 0


@over("tb_device_mqtt")
def test_tb_device(which: str, start: Start, thingsboard: ThingsBoard) -> None:
    thingsboard.set_shared("Valve", {"uploadFrequency": 0.02})
    program = start(which, "tb_device.py", thingsboard.host, thingsboard.port)
    program.until("period 0.02")
    eventually(lambda: len(thingsboard.telemetry_of("Valve")) >= 5)
    assert thingsboard.rpc("Valve", "getCounter", None, timeout=DEADLINE)["counter"] >= 3
    assert thingsboard.attributes_of("Valve") == {"serial": "TB-1", "cores": 4}
    thingsboard.set_shared("Valve", {"uploadFrequency": 0})
    program.until("period 0")
    assert program.end() == (0, ["period 0.02", "period 0", "sent True"])
    counters = [entry["values"]["counter"] for entry in thingsboard.telemetry_of("Valve")]
    assert counters == list(range(len(counters))), "each once, in order"
