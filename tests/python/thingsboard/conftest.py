"""A ThingsBoard of the sandbox, clients that are closed at the end, and callbacks that record."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import pytest
from faces import OnLoop
from harness import PATIENCE
from thingslink import aio
from thingslink.sandbox import ThingsBoard
from thingslink.tb_device_mqtt import TBDeviceMqttClient
from thingslink.tb_gateway_mqtt import TBGatewayMqttClient

TOKEN = "A1_TEST_TOKEN"
GATEWAY_TOKEN = "GATEWAY_TEST_TOKEN"

Maker: TypeAlias = Callable[..., Any]
Eventually: TypeAlias = Callable[[Callable[[], object]], None]


class Calls:
    """Callbacks that hand what they get to the test's thread."""

    def __init__(self) -> None:
        self._entries: queue.Queue[tuple[Any, ...]] = queue.Queue()

    def __call__(self, *arguments: Any) -> None:
        self._entries.put(arguments)

    def next(self) -> tuple[Any, ...]:
        return self._entries.get(timeout=PATIENCE)

    @property
    def empty(self) -> bool:
        return self._entries.empty()


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def server() -> Iterator[ThingsBoard]:
    with ThingsBoard() as server:
        server.add_device("Device 1", TOKEN)
        server.add_device("Gateway 1", GATEWAY_TOKEN, gateway=True)
        yield server


@pytest.fixture
def connected(eventually: Eventually) -> Iterator[Maker]:
    """Connect a client and wait until it is, and until its question for the session's limits is answered."""
    made: list[TBDeviceMqttClient] = []

    def connect(client: TBDeviceMqttClient, *, limits: bool = True, **options: Any) -> TBDeviceMqttClient:
        client.rate_limits_received = False
        made.append(client)
        answer: queue.Queue[int] = queue.Queue()
        client.connect(lambda _c, _u, _f, code: answer.put(int(code)), min_reconnect_delay=0.02, **options)
        assert answer.get(timeout=PATIENCE) == 0
        if limits:
            eventually(lambda: client.rate_limits_received)
        return client

    yield connect
    for client in made:
        client.stop()
        client.disconnect(timeout=0.5)


@contextmanager
def _made(request: pytest.FixtureRequest, waiting: type[Any], awaited: type[Any], *arguments: Any) -> Iterator[Any]:
    """A client that is connected: one that waits, unless the test asks for that of asyncio."""
    if getattr(request, "param", "waiting") == "waiting":
        yield request.getfixturevalue("connected")(waiting(*arguments))
        return
    client = OnLoop(awaited(*arguments))
    try:
        client.connect(min_reconnect_delay=0.02)
        yield client
    finally:
        client.end()


@pytest.fixture
def device(request: pytest.FixtureRequest, server: ThingsBoard) -> Iterator[TBDeviceMqttClient]:
    with _made(request, TBDeviceMqttClient, aio.TBDeviceMqttClient, server.host, server.port, TOKEN) as client:
        yield client


@pytest.fixture
def gateway(request: pytest.FixtureRequest, server: ThingsBoard) -> Iterator[TBGatewayMqttClient]:
    arguments = (server.host, server.port, GATEWAY_TOKEN)
    with _made(request, TBGatewayMqttClient, aio.TBGatewayMqttClient, *arguments) as client:
        yield client


def published(follower: Any, beginning: str) -> Iterator[tuple[str, bytes, int]]:
    """What clients publish on topics that begin so: topic, payload, QoS."""
    while (entry := follower.next(PATIENCE)) is not None:
        if entry["kind"] == "published" and entry["topic"].startswith(beginning):
            yield entry["topic"], entry["payload"], entry["qos"]
    raise AssertionError(f"nothing came on {beginning}")
