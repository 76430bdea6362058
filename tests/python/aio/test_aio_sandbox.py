"""The offline network for asyncio: its waits hold no loop up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from harness import PATIENCE
from thingslink import aio
from thingslink.ttn import MQTTClient


@pytest.mark.parametrize("network", ["v2", "v3"])
def test_other_tasks_run_while_the_sandbox_waits(network: Any) -> None:
    async def program() -> None:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async with aio.Sandbox(network=network, seed=0) as sandbox:
            task = asyncio.ensure_future(other())
            follower = sandbox.follow()
            client = MQTTClient(sandbox.username, sandbox.access_key, sandbox.mqtt_address, network=network)
            await asyncio.to_thread(client.connect)
            assert await sandbox.wait_for(lambda: sandbox.clients, timeout=PATIENCE)
            assert (await follower.next(PATIENCE) or {})["kind"] == "connected"
            device = sandbox.device("node-1")
            client.send("node-1", b"\x07")
            await sandbox.wait_for(lambda: device.downlinks, timeout=PATIENCE)
            assert await device.uplink(b"\x01") >= 0
            downlink = await device.next_downlink(timeout=PATIENCE)
            assert downlink.payload == b"\x07"
            before = turns
            with pytest.raises(TimeoutError, match="no downlink reached 'node-1'"):
                await device.next_downlink(timeout=0.1)
            assert turns > before + 1
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(sandbox.wait_for(lambda: None, timeout=PATIENCE), 0.01)
            stream = sandbox.stream(rate=10_000, devices=5, count=50)
            assert await stream.wait() == 50
            with pytest.raises(RuntimeError, match="waited for"):
                await stream.wait()
            await sandbox.restart()
            task.cancel()
            await asyncio.to_thread(client.close)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(program())


def test_its_thingsboard_serves_while_it_does() -> None:
    async def program() -> None:
        async with aio.Sandbox() as sandbox:
            sandbox.thingsboard.add_device("Pump", "A1_TEST_TOKEN")
            server = sandbox.thingsboard
            async with aio.TBDeviceMqttClient(server.host, server.port, "A1_TEST_TOKEN") as pump:
                await pump.send_telemetry({"n": 1})
                assert await server.wait_for(lambda: server.telemetry_of("Pump"), timeout=PATIENCE)

    asyncio.run(program())


def test_what_is_followed_ends_with_the_sandbox() -> None:
    async def program() -> list[str]:
        async with aio.Sandbox() as sandbox:
            entries = sandbox.follow()
            client = MQTTClient(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address)
            await asyncio.to_thread(client.connect)
            await asyncio.to_thread(client.close)
            kinds: list[str] = []
            async for entry in entries:
                kinds.append(entry["kind"])
                if entry["kind"] == "disconnected":
                    break
        return kinds

    kinds = asyncio.run(program())
    assert kinds[0] == "connected" and kinds[-1] == "disconnected"
