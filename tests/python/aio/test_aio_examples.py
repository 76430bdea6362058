"""The examples for asyncio are run."""

from __future__ import annotations

import asyncio
import importlib
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE
from thingslink import aio
from thingslink.sandbox import Sandbox, ThingsBoard
from thingslink.ttn import ApplicationClient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

EXAMPLES = Path(__file__).parent.parent.parent.parent / "examples"


def run(program: Any) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(program, PATIENCE * 3)

    asyncio.run(bounded())


def example(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module(name)


@pytest.fixture
def board() -> Iterator[ThingsBoard]:
    with ThingsBoard() as board:
        board.add_device("Pump", "A1_TEST_TOKEN")
        yield board


def test_the_pump(board: ThingsBoard) -> None:
    command = [sys.executable, str(EXAMPLES / "pump.py"), board.host, "A1_TEST_TOKEN", str(board.port), "0.01"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    board.wait_for(lambda: board.telemetry_of("Pump"), timeout=PATIENCE)
    board.set_shared("Pump", {"limit": 5})
    assert board.rpc("Pump", "stop", timeout=PATIENCE) == {"stopped": True}
    text, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "limit: 5" in text.splitlines() and "sent" in text.splitlines()
    assert board.attributes_of("Pump") == {"running": False}


class Browser:
    """A web socket whose other end leaves after two uplinks."""

    def __init__(self, leaves: type[Exception]) -> None:
        self.shown: list[dict[str, Any]] = []
        self.leaves = leaves

    async def accept(self) -> None: ...

    async def send_json(self, shown: dict[str, Any]) -> None:
        if len(self.shown) == 2:
            raise self.leaves
        self.shown.append(shown)


def test_the_web_service(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    with ApplicationClient(sandbox.app_id, sandbox.access_key, sandbox.handler_address, sandbox.ca_certs) as client:
        client.register_device("node-1", {"dev_eui": "1" * 16, "description": "a pump"})
    monkeypatch.setenv("THINGSLINK_APP_ID", sandbox.app_id)
    monkeypatch.setenv("THINGSLINK_ACCESS_KEY", sandbox.access_key)
    monkeypatch.setenv("THINGSLINK_HANDLER", sandbox.handler_address)
    monkeypatch.setenv("THINGSLINK_CA_CERTS", sandbox.ca_certs)
    monkeypatch.setenv("THINGSLINK_MQTT", sandbox.mqtt_address)
    web = example("web", monkeypatch)
    browsers = [Browser(web.WebSocketDisconnect), Browser(web.WebSocketDisconnect)]
    device = sandbox.device("node-1")

    async def program() -> None:
        async with web.lifespan(web.app):
            assert await web.devices() == ["node-1"]
            assert await web.device("node-1") == {"dev_id": "node-1", "description": "a pump"}
            with pytest.raises(web.HTTPException) as caught:
                await web.device("node-9")
            assert caught.value.status_code == 404
            serving = [asyncio.ensure_future(web.uplinks(browser)) for browser in browsers]
            await asyncio.sleep(0)
            for number in range(3):
                device.uplink(bytes([number]))
            await asyncio.wait_for(asyncio.gather(*serving), PATIENCE)

    asyncio.run(program())
    shown = [{"dev_id": "node-1", "counter": number, "payload": f"{number:02x}"} for number in range(2)]
    assert [browser.shown for browser in browsers] == [shown, shown]


class Pool:
    """A database in the shape of asyncpg's pool, which fails once."""

    def __init__(self) -> None:
        self.database = sqlite3.connect(":memory:")
        self.database.execute("CREATE TABLE uplinks (dev_id, counter, payload, UNIQUE (dev_id, counter))")
        self.lists: list[int] = []
        self.fails = True

    async def executemany(self, command: str, rows: Any) -> None:
        rows = list(rows)
        await asyncio.sleep(0)
        if self.fails:
            self.fails = False
            raise OSError("the database is away")
        with self.database:
            self.database.executemany(command.replace("$1", "?").replace("$2", "?").replace("$3", "?"), rows)
        self.lists.append(len(rows))

    def stored(self) -> list[Any]:
        return self.database.execute("SELECT dev_id, counter, payload FROM uplinks ORDER BY rowid").fetchall()


def test_the_writer_stores_each_uplink_once(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, pool = example("writer", monkeypatch), Pool()
    keeping: dict[str, Any] = {"qos": 1, "client_id": "writer", "clean_session": False}
    device = sandbox.device("node-1")

    async def program() -> None:
        async with aio.MQTTClient(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address, **keeping) as client:
            for number in range(40):
                device.uplink(bytes([number]))
            with pytest.raises(OSError, match="away"):
                await writer.write(client, pool, within=0.05)
            # What was not stored comes again.
            writing = asyncio.ensure_future(writer.write(client, pool, within=0.05))
            await asyncio.to_thread(sandbox.wait_for, lambda: sandbox.backlog("writer") == 0, timeout=PATIENCE)
        await writing

    with closing(pool.database):
        run(program())
        stored = pool.stored()
    assert stored == [("node-1", number, bytes([number])) for number in range(40)]
    assert len(pool.lists) < 40, "many at a time"


class Entry:
    """A configuration entry, and the loop that runs its tasks, in the shape of Home Assistant's."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data
        self.runtime_data: Any = None
        self.tasks: list[asyncio.Task[None]] = []
        self.unload: list[Any] = []

    def async_create_task(self, target: Any, name: str) -> asyncio.Task[None]:
        self.tasks.append(asyncio.get_running_loop().create_task(target, name=name))
        return self.tasks[-1]

    def async_on_unload(self, call: Any) -> None:
        self.unload.append(call)


def test_the_sensor_follows_a_device_and_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    sensor = example("sensor", monkeypatch)

    async def program() -> None:
        async with aio.Sandbox() as sandbox:
            device = sandbox.device("node-1")
            where = {"app_id": sandbox.app_id, "access_key": sandbox.access_key, "mqtt_address": sandbox.mqtt_address}
            entry, sensors = Entry({**where, "fields": [("node-1", "temperature")]}), list[Any]()
            assert await sensor.async_setup_entry(entry, entry, sensors.extend)
            (temperature,) = sensors
            assert temperature.unique_id == "node-1-temperature"
            await device.uplink(b"\x01", fields={"temperature": 23.5})
            await device.uplink(b"\x01", fields={"humidity": 40})
            await sandbox.wait_for(lambda: temperature.written, timeout=PATIENCE)
            assert temperature.native_value == 23.5
            sandbox.cut()
            await sandbox.wait_for(lambda: (23.5, False) in temperature.written, timeout=PATIENCE)
            await sandbox.wait_for(lambda: temperature.available, timeout=PATIENCE)
            assert await sensor.async_unload_entry(entry, entry)
            await asyncio.wait_for(asyncio.gather(*entry.tasks), PATIENCE)
            for call in entry.unload:
                call()
            refused = Entry({**where, "access_key": "wrong", "fields": []})
            assert not await sensor.async_setup_entry(refused, refused, sensors.extend)

    run(program())
