"""`thingslink health`, and what runs programs as services."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from harness import PATIENCE
from thingslink.cli import main, parser

if TYPE_CHECKING:
    from thingslink.sandbox import Sandbox

SERVICE = Path(__file__).parent.parent.parent.parent / "examples" / "service"


@pytest.fixture
def options(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    (tmp_path / "ca.pem").write_text(sandbox.ca_certs)
    monkeypatch.setenv("THINGSLINK_ACCESS_KEY", sandbox.access_key)
    monkeypatch.setenv("THINGSLINK_APP_ID", sandbox.app_id)
    monkeypatch.setenv("THINGSLINK_CA_FILE", str(tmp_path / "ca.pem"))
    return ["health", "--mqtt", sandbox.mqtt_address, "--handler", sandbox.handler_address]


def test_a_network_that_is_there(options: list[str], sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(options) == 0
    head = "check,outcome,seconds\n"
    assert re.fullmatch(head + r"mqtt,logged in as demo-app,\d+\.\d+\n", capsys.readouterr().out)
    assert main([*options, "--management", "--format", "json"]) == 0
    mqtt, management = map(json.loads, capsys.readouterr().out.splitlines())
    assert mqtt["check"] == "mqtt" and (management["check"], management["outcome"]) == ("management", "answered")
    assert sandbox.clients == []


def test_a_key_that_is_refused(
    options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THINGSLINK_ACCESS_KEY", "ttn-account-v2.wrong")
    assert main(options) == 4
    heard = capsys.readouterr()
    assert heard.out == "" and heard.err.startswith("error: ") and "wrong" not in heard.err


def test_a_server_that_is_not_reached(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = "127.0.0.1:%d" % silent.getsockname()[1]
        assert main([*options, "--mqtt", address, "--timeout", "0.2"]) == 3
    assert main([*options, "--mqtt", address]) == 3
    assert "Traceback" not in capsys.readouterr().err


def test_a_handler_that_is_not_reached(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = "127.0.0.1:%d" % silent.getsockname()[1]
        assert main([*options, "--handler", address, "--management", "--timeout", "0.5"]) == 3
    assert "mqtt,logged in" in capsys.readouterr().out


@pytest.mark.parametrize("given", ["0", "-1", "nan", "soon"])
def test_a_time_that_is_none(given: str, options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*options, f"--timeout={given}"])
    assert caught.value.code == 2 and "--timeout" in capsys.readouterr().err


def test_the_unit_is_one(tmp_path: Path) -> None:
    binary = shutil.which("systemd-analyze")
    if binary is None:
        pytest.skip("systemd is not installed")
    text = (SERVICE / "thingslink-uplinks.service").read_text()
    # The programs that it names are looked for.
    for name in set(re.findall(r"/opt/plant/\S+", text)):
        text = text.replace(name, sys.executable)
    (tmp_path / "thingslink-uplinks.service").write_text(text)
    command = [binary, "verify", "--man=no", str(tmp_path / "thingslink-uplinks.service")]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    ours = [line for line in outcome.stderr.splitlines() if "thingslink-uplinks" in line]
    assert not ours, ours


def test_the_program_closes_its_client_at_the_end(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "access-key").write_text(sandbox.access_key + "\n")
    variables = {
        **os.environ,
        "THINGSLINK_APP_ID": sandbox.app_id,
        "THINGSLINK_MQTT": sandbox.mqtt_address,
        "THINGSLINK_ACCESS_KEY_FILE": str(tmp_path / "access-key"),
    }
    command = [sys.executable, str(SERVICE / "uplinks.py")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=variables) as program:
        assert program.stderr is not None
        ended = threading.Timer(PATIENCE, program.kill)
        ended.start()
        told = iter(program.stderr)
        assert next(line for line in told if "INFO plant: connected" in line)
        sandbox.device("meter").uplink(b"\1")
        assert next(line for line in told if "INFO plant: meter sent b'\\x01'" in line)
        program.send_signal(signal.SIGINT)
        assert "INFO plant: closed" in "".join(told)
        assert program.wait(PATIENCE) == 0
        ended.cancel()
    assert sandbox.clients == []


def test_the_image_checks_its_health_with_what_there_is() -> None:
    lines = (SERVICE / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    steps = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    known = {"FROM", "RUN", "COPY", "USER", "WORKDIR", "ENV", "STOPSIGNAL", "HEALTHCHECK", "CMD"}
    assert steps[0][0] == "FROM" and {name for name, _ in steps} <= known
    (check,) = [rest for name, rest in steps if name == "HEALTHCHECK"]
    words = re.findall(r'"([^"]+)"', check.partition("CMD ")[2])
    assert words[0] == "thingslink" and parser().parse_args(words[1:]).command == "health"
    for rest in (rest for name, rest in steps if name == "COPY"):
        assert (SERVICE / rest.split()[0]).is_file(), rest
