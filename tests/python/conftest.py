"""Fixtures: the sandbox, a recorder of callbacks, a raw server, a real Mosquitto, the original package."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from faces import CallbackClient, OnLoop
from harness import PATIENCE, Mosquitto, RawServer, Recorder
from nats_server import NatsServer, nats_binary
from peers import Generated, PeerServer
from stack_peer import APP, FULL, StackPeer
from thingslink import aio
from thingslink.sandbox import Sandbox
from thingslink.ttn import ApplicationClient, MQTTClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parent.parent.parent

# A shell starts background jobs deaf to Ctrl-C, and they hand that on: the programs that the tests interrupt must hear.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """Give an offline network: V2, unless the test says which (`harness.on_both_networks`)."""
    with Sandbox(network=getattr(request, "param", "v2"), mqtts_port=0, seed=0) as sandbox:
        yield sandbox


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def mqtt_client(request: pytest.FixtureRequest) -> Iterator[Callable[..., MQTTClient]]:
    """Make clients that are closed at the end: with callbacks, unless the test says which (`faces.on_both_faces`)."""
    made: list[Any] = []
    on_loop = getattr(request, "param", "callbacks") == "asyncio"

    def make(*arguments: Any, **options: Any) -> MQTTClient:
        client: Any = CallbackClient(*arguments, **options) if on_loop else MQTTClient(*arguments, **options)
        made.append(client)
        return client  # type: ignore[no-any-return]

    yield make
    for client in made:
        client.end() if on_loop else client.close(timeout=2)


@pytest.fixture
def client_for(mqtt_client: Callable[..., MQTTClient]) -> Callable[..., MQTTClient]:
    """Make clients of a sandbox that reconnect quickly."""

    def make(sandbox: Sandbox, **options: Any) -> MQTTClient:
        options = {"reconnect_min_delay": 0.02, "reconnect_max_delay": 0.2, **options}
        address = options.pop("address", sandbox.mqtt_address)
        return mqtt_client(sandbox.app_id, sandbox.access_key, address, **options)

    return make


@pytest.fixture
def raw_server() -> Iterator[RawServer]:
    with RawServer() as server:
        yield server


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    binary = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    if not Path(binary).exists():
        pytest.skip("mosquitto is not installed")
    with Mosquitto(binary, tmp_path) as broker:
        yield broker


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    with NatsServer(nats_binary(), tmp_path / "nats") as server:
        yield server


@pytest.fixture(scope="session")
def original() -> Path:
    """The interpreter that has the ttn package."""
    python = ROOT / ".venvs" / "ttn" / "bin" / "python"
    probe = [str(python), "-c", "import ttn"]
    if not python.exists() or subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        pytest.skip("the ttn package 2.1.5 is not installed in .venvs/ttn (make originals)")
    return python


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Give a port at which nobody listens: it is taken, so that no server of another test gets it meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], None]:
    """Wait until something holds that nothing tells of."""

    def wait(holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.005)

    return wait


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    return Generated(tmp_path_factory.mktemp("generated"))


@pytest.fixture
def application(request: pytest.FixtureRequest, sandbox: Sandbox) -> Iterator[ApplicationClient]:
    """Give a client of the sandbox's application: one that waits, or that of asyncio (`faces`)."""
    arguments = (sandbox.app_id, sandbox.access_key, sandbox.handler_address, sandbox.ca_certs)
    if getattr(request, "param", "waiting") == "asyncio":
        driven: Any = OnLoop(aio.ApplicationClient(*arguments))
        yield driven
        driven.end()
        return
    with ApplicationClient(*arguments) as client:
        yield client


@pytest.fixture
def stack(generated: Generated) -> Iterator[StackPeer]:
    server = StackPeer(generated)
    yield server
    server.stop()


@pytest.fixture
def stack_client(stack: StackPeer) -> Iterator[ApplicationClient]:
    """Give a client of the application of the captures."""
    with ApplicationClient(
        APP, FULL, stack.address, insecure_channel=True, frequency_plan_id="EU_863_870_TTN"
    ) as client:
        yield client


@pytest.fixture
def peer() -> Iterator[PeerServer]:
    server = PeerServer()
    yield server
    server.stop()
