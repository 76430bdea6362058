"""The command line in child processes."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from harness import PATIENCE, Recorder
from thingslink.cli import main
from thingslink.tb_device_mqtt import TBDeviceMqttClient
from thingslink.ttn import MQTTClient

PORTS = ["--discovery-port", "0", "--handler-port", "0"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "thingslink", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


class Served:
    """A running `thingslink sandbox`."""

    def __init__(self, *options: str) -> None:
        ports = {
            "--v3": ("--management-port", "0", "--http-port", "0"),
            "--chirpstack": ("--management-port", "0"),
        }.get(options[0] if options else "", PORTS)
        command = [sys.executable, "-m", "thingslink", "sandbox", "--mqtt-port", "0", *ports, *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr
        self.address = self.process.stderr.readline().split()[-1]
        self.words = [self.address]
        while "ready" not in self.words[-1]:
            self.words.append(self.process.stderr.readline())

    def lines(self, count: int) -> list[str]:
        assert self.process.stdout
        return [self.process.stdout.readline().rstrip("\n") for _ in range(count)]

    def end(self, how: int = signal.SIGINT) -> int:
        self.process.send_signal(how)
        assert self.process.stdout and self.process.stderr
        try:
            # Not with communicate(), which misses what readline() has read ahead.
            for _ in self.process.stdout:
                pass
            errors = self.process.stderr.read()
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.stdout.close()
            self.process.stderr.close()
        assert "Traceback" not in errors, errors
        return self.process.returncode


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_sandbox_serves_and_shows_what_passes(how: int, recorder: Recorder) -> None:
    served = Served("--device", "node-1", "--devices", "3", "--rate", "50", "--count", "4", "--seed", "7")
    assert "demo-app" in served.words[-2]
    client = recorder.watch(MQTTClient("demo-app", "ttn-account-v2.demo", served.address, client_id="me"))
    client.connect()
    client.send("node-1", b"\x01\x02")
    client.close()
    shown: list[str] = []
    while not any("said goodbye" in line for line in shown) or sum("↑" in line for line in shown) < 4:
        shown += served.lines(1)
    text = "\n".join(shown)
    assert "○ me logged in as demo-app" in text
    assert "○ me subscribed to demo-app/devices/+/up (QoS 0)" in text
    assert '↓ demo-app/devices/node-1/down {"port": 1, ' in text
    assert "• demo-app/devices/node-1/events/down/scheduled" in text
    assert "↑ demo-app/devices/sim-0000" in text and '"temperature_1"' in text
    assert "\x1b[" not in text, "no colours in a pipe"
    assert served.end(how) == (130 if how == signal.SIGINT else 143)


def test_the_sandbox_shows_json_lines(tmp_path: Path, recorder: Recorder) -> None:
    ca = tmp_path / "ca.pem"
    served = Served("--json", "--app-id", "my-app", "--access-key", "k1", "--mqtts-port", "0", "--ca-file", str(ca))
    address = next(word.split()[-1] for word in served.words if "mqtts://" in word)
    with recorder.watch(MQTTClient("my-app", "k1", address, ca_certs=ca)):
        pass
    entries = [json.loads(line) for line in served.lines(3)]
    assert [entry["kind"] for entry in entries] == ["connected", "subscribed", "disconnected"]
    assert served.end() == 130


def test_the_sandbox_may_be_v3() -> None:
    served = Served("--v3", "--tenant", "ttn", "--devices", "2", "--rate", "50", "--count", "1", "--device", "node-1")
    assert "demo-app@ttn, access key NNSXS." in served.words[-2]
    assert any("over HTTP on https://127.0.0.1:" in words for words in served.words)
    (line,) = served.lines(1)
    assert "↑ v3/demo-app@ttn/devices/sim-0000" in line and "#0 port 1 01" in line and '"temperature_1"' in line
    assert served.end() == 130
    outcome = run("sandbox", "--v3", "--handler-port", "1")
    assert outcome.returncode != 0 and "handler_port 1" in outcome.stderr


def test_the_sandbox_may_be_chirpstack() -> None:
    served = Served("--chirpstack", "--devices", "2", "--rate", "50", "--count", "1", "--device", "node-1")
    assert "application demo-app, access key eyJ0eXAi" in served.words[-2]
    assert any(words.startswith("API, with gRPC-web, on 127.0.0.1:") for words in served.words)
    (line,) = served.lines(1)
    assert "↑ application/" in line and "/event/up #0 port 1 01" in line and '"temperature_1"' in line
    assert served.end() == 130
    outcome = run("sandbox", "--chirpstack", "--v3")
    assert outcome.returncode == 2 and "not allowed with argument" in outcome.stderr


@pytest.mark.parametrize("network", [[], ["--v3", "--tenant", "ttn"]])
def test_the_sandbox_says_how_to_look_at_it(network: list[str]) -> None:
    served = Served(*network, "--devices", "1", "--rate", "20", "--quiet")
    assert served.process.stderr
    line = served.process.stderr.readline()
    _, told, command = line.partition("to look at it: ")
    variable, program, *arguments = shlex.split(command)
    assert told and program == "thingslink", line
    name, _, value = variable.partition("=")
    outcome = subprocess.run(
        [sys.executable, "-m", program, *arguments, "--count", "1"],
        env={**os.environ, name: value},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert outcome.returncode == 0 and "sim-0000" in outcome.stdout, outcome
    assert served.end() == 130


def test_a_taken_port_is_told_with_a_hint() -> None:
    served = Served("--quiet")
    outcome = run("sandbox", "--mqtt-port", served.address.split(":")[1], *PORTS)
    assert outcome.returncode == 1
    assert outcome.stderr.startswith("error: sandbox: cannot listen on 127.0.0.1:")
    assert "hint: " in outcome.stderr and "Traceback" not in outcome.stderr
    served.end()


def test_the_sandbox_takes_any_key_on_request() -> None:
    served = Served("--any-key", "--quiet")
    with MQTTClient("other-app", "other-key", served.address) as client:
        assert client.is_connected
    assert served.end() == 130


def test_run_gives_an_unmodified_script_our_package(tmp_path: Path) -> None:
    script = tmp_path / "old.py"
    (tmp_path / "beside.py").write_text("WORD = 'beside'\n")
    script.write_text(
        "import sys, ttn, beside\nprint(ttn.__name__, __name__, sys.argv[1:], beside.WORD)\nsys.exit(3)\n"
    )
    outcome = run("run", str(script), "--flag", "x")
    assert (outcome.stdout, outcome.returncode) == ("thingslink.ttn __main__ ['--flag', 'x'] beside\n", 3)


def test_run_shows_the_script_s_own_error(tmp_path: Path) -> None:
    script = tmp_path / "broken.py"
    script.write_text("raise RuntimeError('of its own')\n")
    outcome = run("run", str(script))
    assert outcome.returncode == 1 and "Traceback" in outcome.stderr and "RuntimeError: of its own" in outcome.stderr
    assert run("run", str(tmp_path / "none.py")).returncode == 2


def test_wrong_usage_is_two() -> None:
    for arguments in (("nonsense",), ("sandbox", "--rate", "fast")):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2


def test_version_and_help_go_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    import thingslink

    for arguments, words in ((["--version"], thingslink.__version__), (["sandbox", "--help"], "--mqtt-port")):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 0
        assert words in capsys.readouterr().out


def test_entries_are_described() -> None:
    from thingslink.cli.sandbox import describe

    refused: dict[str, Any] = {"kind": "refused", "app_id": "x", "code": 4}
    assert describe(refused) == ("client", "login as 'x' refused with code 4")
    lost: dict[str, Any] = {"kind": "disconnected", "client_id": "c", "clean": False}
    assert describe(lost) == ("client", "c is gone")
    odd: dict[str, Any] = {"kind": "published", "client_id": "c", "topic": "a/x", "payload": b"\xff", "allowed": False}
    assert describe(odd) == ("up", "a/x b'\\xff' (not allowed, dropped)")
    foreign: dict[str, Any] = {"kind": "subscribed", "client_id": "c", "filter": "o/#", "qos": None}
    assert describe(foreign) == ("client", "c subscribed to o/# (refused)")


def test_the_sandbox_serves_thingsboard_too() -> None:
    served = Served("--thingsboard", "0", "--tb-device", "Pump=1=A1_TEST_TOKEN", "--tb-gateway", "Gateway=G", "--json")
    (address,) = (line.split()[-1] for line in served.words if line.startswith("ThingsBoard on"))
    host, port = address.split(":")
    client = TBDeviceMqttClient(host, int(port), "A1_TEST_TOKEN")
    client.connect()
    assert client.send_telemetry({"temperature": 21.5}).get() == 0
    client.disconnect()
    entries: list[dict[str, Any]] = []
    while not entries or entries[-1]["kind"] != "disconnected":
        entries += [json.loads(line) for line in served.lines(1)]
    assert entries[0]["kind"] == "connected" and entries[0]["app_id"] == "Pump=1"
    assert '[{"temperature":21.5}]' in [entry.get("payload") for entry in entries]
    assert served.end() == 130


def test_a_thingsboard_device_without_a_token_is_refused() -> None:
    outcome = run("sandbox", "--mqtt-port", "0", *PORTS, "--thingsboard", "0", "--tb-device", "Pump")
    assert outcome.returncode != 0 and "NAME=TOKEN" in outcome.stderr
