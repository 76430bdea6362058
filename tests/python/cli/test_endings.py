"""How commands end: by Ctrl-C, by SIGTERM, and when nobody reads any more. Always without a word that nobody wants."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from harness import PATIENCE
from terminals import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from thingslink.sandbox import Sandbox
    from thingslink.ttn import ApplicationClient

THINGSLINK = [sys.executable, "-m", "thingslink"]
PORTS = ["--mqtt-port", "0", "--discovery-port", "0", "--handler-port", "0"]
V3_PORTS = ["--v3", "--mqtt-port", "0", "--management-port", "0", "--http-port", "0"]
ENDS = {signal.SIGINT: 130, signal.SIGTERM: 143}


@pytest.fixture
def environment(sandbox: Sandbox, tmp_path: Path) -> dict[str, str]:
    """Variables that lead to the sandbox."""
    (tmp_path / "ca.pem").write_text(sandbox.ca_certs)
    return {
        **os.environ,
        "THINGSLINK_APP_ID": sandbox.app_id,
        "THINGSLINK_ACCESS_KEY": sandbox.access_key,
        "THINGSLINK_DISCOVERY": sandbox.discovery_address,
        "THINGSLINK_CA_FILE": str(tmp_path / "ca.pem"),
    }


@contextmanager
def silent_server() -> Iterator[tuple[str, threading.Event]]:
    """A server that takes connections and says nothing; tells when there is one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = threading.Event()

        def take() -> None:
            try:
                while True:
                    kept.append(server.accept()[0])
                    taken.set()
            except OSError:
                return

        kept: list[socket.socket] = []
        thread = threading.Thread(target=take)
        thread.start()
        try:
            yield "127.0.0.1:%d" % server.getsockname()[1], taken
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE)
            for each in kept:
                each.close()


@contextmanager
def started(arguments: list[str], environment: dict[str, str], **pipes: int) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*THINGSLINK, *arguments],
        env=environment,
        text=True,
        **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **pipes},  # type: ignore[call-overload]
    )
    end = threading.Timer(PATIENCE, process.kill)
    end.start()
    try:
        yield process
    finally:
        end.cancel()
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str], how: int) -> str:
    """End a command; gives what it says meanwhile."""
    process.send_signal(how)
    # Not with communicate(), which misses what readline() has read ahead.
    assert process.stderr is not None
    said = process.stderr.read()
    assert process.wait(PATIENCE) == ENDS[how], said  # type: ignore[index]
    return said


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize(
    ("arguments", "ready", "said"),
    [
        (["uplinks"], "following", ""),
        (["sandbox", *PORTS], "ready", "stopping\n"),
        (["sandbox", *V3_PORTS], "ready", "stopping\n"),
        (["sandbox", *PORTS, "--thingsboard", "0"], "ready", "stopping\n"),
    ],
)
def test_what_goes_on_ends_when_it_is_told_to(
    arguments: list[str], ready: str, said: str, how: int, environment: dict[str, str]
) -> None:
    with started(arguments, environment) as process:
        assert process.stderr is not None
        while ready not in (line := process.stderr.readline()):
            assert line
        assert re.sub("^to look at it: .*\n", "", ended(process, how)) == said


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize(
    "arguments",
    [
        ["devices", "list", "--discovery"],
        ["devices", "import", "FILE", "--discovery"],
        ["app", "show", "--discovery"],
        ["health", "--mqtt"],
        ["uplinks", "--mqtt"],
        ["send", "node-1", "01", "--no-check", "--mqtt"],
        ["simulate", "node-1", "01", "--discovery"],
    ],
)
def test_what_waits_for_a_server_ends_when_it_is_told_to(
    arguments: list[str], how: int, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "devices.json").write_text('[{"dev_id": "node-1", "dev_eui": "0004A30B00000001"}]')
    arguments = [str(tmp_path / "devices.json") if word == "FILE" else word for word in arguments]
    with silent_server() as (address, taken), started([*arguments, address], environment) as process:
        assert taken.wait(PATIENCE)
        assert ended(process, how) == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["devices", "list", "--discovery"], "asking where the handler is  0:0"),
        (["uplinks", "--mqtt"], "connecting  0:0"),
        (["health", "--mqtt"], "asking mqtt  0:0"),
    ],
)
def test_a_terminal_is_told_what_is_waited_for(arguments: list[str], words: str, environment: dict[str, str]) -> None:
    with silent_server() as (address, _):
        terminal = Terminal([*arguments, address], {**environment, "TERM": "xterm"})
        terminal.read_until(lambda seen: words in seen)
        os.killpg(terminal.process.pid, signal.SIGINT)
        assert terminal.finish() == 130
    # The line is gone at the end.
    assert terminal.seen.rstrip("\r\n").endswith("\x1b[K") and "Traceback" not in terminal.seen


@pytest.mark.parametrize(("no_color", "is_coloured"), [("", True), ("1", False)])
def test_the_sandbox_has_colours_for_those_who_want_them(
    no_color: str, is_coloured: bool, environment: dict[str, str]
) -> None:
    arguments = ["sandbox", *PORTS, "--devices", "1", "--count", "1"]
    terminal = Terminal(arguments, {**environment, "TERM": "xterm", "NO_COLOR": no_color})
    terminal.read_until(lambda seen: re.search("↑.*\n", seen) is not None)
    os.killpg(terminal.process.pid, signal.SIGINT)
    assert terminal.finish() == 130 and ("\x1b[" in terminal.seen) is is_coloured


@pytest.mark.parametrize("how", ENDS)
def test_an_import_ends_when_it_is_told_to(
    how: int, environment: dict[str, str], sandbox: Sandbox, application: ApplicationClient, tmp_path: Path
) -> None:
    lines = [json.dumps({"dev_id": f"node-{n}", "dev_eui": f"{n + 1:016X}"}) for n in range(3000)]
    (tmp_path / "devices.json").write_text("\n".join(lines))
    with started(["devices", "import", str(tmp_path / "devices.json"), "--jobs", "1"], environment) as process:
        sandbox.wait_for(lambda: application.devices(limit=1), timeout=PATIENCE)
        said = ended(process, how)
    # What had not begun did not begin any more.
    (told,) = re.findall(r"^interrupted: the network has at least (\d+) of these 3000 devices", said)
    assert int(told) <= len(application.devices()) < 3000 and len(said.splitlines()) == 1


@pytest.mark.parametrize("how", ENDS)
def test_a_send_that_waits_ends_when_it_is_told_to(how: int, environment: dict[str, str], sandbox: Sandbox) -> None:
    node = sandbox.device("node-1")
    with started(["send", "node-1", "01", "--wait", "sent"], environment) as process:
        sandbox.wait_for(lambda: node.downlinks, timeout=PATIENCE)
        assert ended(process, how) == ""


def test_asking_for_the_key_can_be_interrupted(environment: dict[str, str]) -> None:
    terminal = Terminal(["devices", "list"], {**environment, "THINGSLINK_ACCESS_KEY": ""})
    terminal.read_until(lambda seen: "access key of demo-app: " in seen)
    # As the terminal does it, to all that belongs to it.
    os.killpg(terminal.process.pid, signal.SIGINT)
    assert terminal.finish() == 130 and "Traceback" not in terminal.seen


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["sandbox", "--help"], ["completion", "bash"], ["profiles", "list"], ["uplinks", "--count", "2000"]],
)
def test_a_reader_that_has_gone_is_no_error(
    arguments: list[str], environment: dict[str, str], sandbox: Sandbox
) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    with started(arguments, environment, stdout=theirs) as process:
        os.close(theirs)
        assert process.stderr is not None
        if arguments[0] == "uplinks":
            assert process.stderr.readline() == "following\n"
            sandbox.device("node-1").uplink(b"\x01")
        said = process.stderr.read()
        assert process.wait(PATIENCE) == 0, said
        assert said == "" or arguments[0] == "profiles"


def test_the_sandbox_may_be_looked_at_for_a_while(environment: dict[str, str]) -> None:
    command = " ".join([*THINGSLINK, "sandbox", *PORTS, "--thingsboard", "0", "--devices", "3", "--rate", "100"])
    outcome = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{command} | head -3"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert outcome.returncode == 0 and len(outcome.stdout.splitlines()) == 3
    assert "Traceback" not in outcome.stderr and "BrokenPipe" not in outcome.stderr


def test_words_that_nobody_reads_are_no_error(environment: dict[str, str]) -> None:
    command = " ".join([*THINGSLINK, "devices", "show", "none-1"])
    outcome = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{command} 2>&1 >/dev/null | true"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert outcome.returncode in {0, 5} and outcome.stderr == ""
