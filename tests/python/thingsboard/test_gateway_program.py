"""The client of the ThingsBoard IoT Gateway as it is published, over our modules under the originals' names."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from harness import running
from proxies import HttpProxy
from thingslink.sandbox import ThingsBoard

from .conftest import GATEWAY_TOKEN, Eventually

ROOT = Path(__file__).parent.parent.parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT / 'python'}"}

#: Obeys a line at a time, and answers each with one.
PROGRAM = """
import json, logging, sys, time
import thingslink
thingslink.install_as("tb_device_mqtt", "tb_gateway_mqtt")
from thingsboard_gateway.gateway.tb_client import TBClient

log = logging.getLogger("gateway")
log.setLevel(logging.DEBUG)
client = TBClient(json.loads(sys.argv[1]), sys.argv[2], log)
client.register_service_subscription_callback(lambda: client.client.gw_subscribe_to_all_attributes(print))
client.connect(min_reconnect_delay=1)
while not client.is_connected():
    time.sleep(0.01)
print("up", flush=True)
for line in sys.stdin:
    print(json.dumps(eval(line)), flush=True)
"""


@pytest.fixture(scope="session")
def gateway_python() -> str:
    python = ROOT / ".venvs" / "thingsboard-gateway" / "bin" / "python"
    imports = "import thingslink; thingslink.install_as(); import thingsboard_gateway.gateway.tb_client"
    probe = [str(python), "-c", imports]
    if not python.exists() or subprocess.run(probe, capture_output=True, check=False, env=ENVIRONMENT).returncode:
        pytest.skip("thingsboard-gateway 3.8 is not installed in .venvs (make originals)")
    return str(python)


class Program:
    """The program, run."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None and process.stdout is not None
        self.stdin: IO[str] = process.stdin
        self.stdout: IO[str] = process.stdout
        # The program's `connect` returns, which it does only where a thread of the original's client would live.
        assert self.stdout.readline() == "up\n"

    def __call__(self, expression: str) -> Any:
        """Have an expression evaluated there."""
        self.stdin.write(expression + "\n")
        self.stdin.flush()
        return json.loads(self.stdout.readline())


@contextmanager
def run(python: str, folder: Path, **config: Any) -> Iterator[Program]:
    """Run the program in a folder."""
    config["security"] = {"accessToken": GATEWAY_TOKEN}
    command = [python, "-c", PROGRAM, json.dumps(config), f"{folder}/"]
    with running(command, env=ENVIRONMENT, cwd=folder, stdin=subprocess.PIPE) as process:
        yield Program(process)


@pytest.fixture
def program(server: ThingsBoard, gateway_python: str, tmp_path: Path) -> Iterator[Program]:
    with run(gateway_python, tmp_path, host=server.host, port=server.port) as program:
        yield program


def logins(server: ThingsBoard) -> int:
    return len([entry for entry in server.journal if entry["kind"] == "connected"])


def test_it_connects_sends_and_stays(program: Program, server: ThingsBoard, eventually: Eventually) -> None:
    assert program(
        '[client.client.gw_connect_device("Pump").get(), client.client.gw_send_telemetry("Pump", {"a": 1}).get()]'
    ) == [0, 0]
    assert [entry["values"] for entry in server.telemetry_of("Pump")] == [{"a": 1}]
    assert program("client.client._client._thread.is_alive()") is True
    server.cut()
    eventually(lambda: logins(server) == 2)
    eventually(lambda: program("client.is_connected()"))
    # Its supervisor looks each second whether somebody keeps the connection, or it must connect anew.
    assert program("client._TBClient__should_supervise_reconnect()") is False
    assert logins(server) == 2
    assert program("client.disconnect()") == 0
    assert program("client.client._client._thread is None") is True
    assert program("client.stop() or client.is_stopped()") is True


def test_what_else_it_reaches_for_is_there(program: Program) -> None:
    limits = program("client.get_rate_limits()")
    assert limits["messages_rate_limit"]["no_limit"] is True and limits["max_payload_size"] > 0
    window = {"capacity": 8, "tokens": 3, "last_updated": 0}
    limits["telemetry_rate_limit"] = {"rateLimits": {"3600": window}, "name": "x", "percentage": 80, "no_limit": False}
    assert (
        program(f"client.update_client_rate_limits_with_previous(json.loads({json.dumps(json.dumps(limits))}))") is None
    )
    told = program("client.get_rate_limits()")["telemetry_rate_limit"]["rateLimits"]["3600"]
    assert told["capacity"] == 8
    assert program("client.is_subscribed_to_service_attributes()") is False
    assert program("client.update_logger()") is None
    # What its remote configurator hands from one client to the next.
    assert program("setattr(client.client._client, '_ssl_context', client.client._client._ssl_context)") is None
    assert program("client.client._client._max_queued_messages") >= 0


def test_it_goes_through_its_proxy(server: ThingsBoard, gateway_python: str, tmp_path: Path) -> None:
    proxy = HttpProxy()
    behind = {"proxy_host": "127.0.0.1", "proxy_port": proxy.port}
    with run(gateway_python, tmp_path, host="server.example", port=server.port, **behind) as program:
        assert program("client.client.send_telemetry({'a': 1}).get()") == 0
    assert proxy.requests[0][0] == f"CONNECT server.example:{server.port} HTTP/1.1"
    proxy.close()
