"""The MQTT client for asyncio on The Things Stack V3: uplinks in V2's shape, and sends that end when queued."""

from __future__ import annotations

import asyncio

import pytest
from harness import PATIENCE
from thingslink import DownlinkError, aio


def test_what_is_sent_is_queued_when_it_was_awaited_and_uplinks_come_in_v2_s_shape() -> None:
    async def program() -> None:
        async with aio.Sandbox(network="v3") as sandbox:
            device = sandbox.device("node-1")
            async with aio.MQTTClient(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address) as client:
                stream = client.uplinks()
                await client.send("node-1", b"\x05")
                queued = [entry for entry in sandbox.journal if str(entry.get("topic")).endswith("/down/queued")]
                assert len(queued) == 1
                await device.uplink(b"\x01")
                msg = await stream.__anext__()
                assert (msg.app_id, msg.dev_id, msg.payload) == (sandbox.app_id, "node-1", b"\x01")
                assert (await device.next_downlink(timeout=PATIENCE)).payload == b"\x05"

    asyncio.run(asyncio.wait_for(program(), PATIENCE))


def test_a_downlink_of_which_the_network_says_nothing_raises() -> None:
    async def program() -> None:
        async with (
            aio.Sandbox(network="v3") as sandbox,
            aio.MQTTClient(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address, queue_timeout=0.2) as client,
        ):
            with pytest.raises(DownlinkError, match=r"node-9 is unconfirmed: .* is there such a device"):
                await client.send("node-9", b"\x05")

    asyncio.run(asyncio.wait_for(program(), PATIENCE * 2))


def test_what_was_missed_comes_before_what_is_new() -> None:
    async def program() -> None:
        async with aio.Sandbox(network="v3", tenant="ttn", insecure=True) as sandbox:
            device = sandbox.device("node-1")
            async with aio.MQTTClient(
                sandbox.username,
                sandbox.access_key,
                sandbox.mqtt_address,
                management_address=sandbox.management_address,
                insecure_channel=True,
                backfill=True,
                reconnect_min_delay=0.01,
                reconnect_max_delay=0.1,
                queue_messages=4,
            ) as client:
                stream = client.uplinks()
                await device.uplink()
                assert (await stream.__anext__()).counter == 0
                sandbox.refuse_connections(True)
                sandbox.cut()
                await sandbox.wait_for(lambda: not client.is_connected, timeout=PATIENCE)
                for _ in range(20):
                    await device.uplink()
                sandbox.refuse_connections(False)
                await sandbox.wait_for(lambda: client.is_connected, timeout=PATIENCE)
                await device.uplink()
                assert [(await stream.__anext__()).counter for _ in range(21)] == list(range(1, 22))
                assert (client.stats()["backfilled"], client.stats()["dropped"]) == (20, 0)

    asyncio.run(asyncio.wait_for(program(), PATIENCE * 2))


def test_where_nothing_can_be_asked_for_what_was_missed_it_is_an_error_at_once() -> None:
    for options in ({"network": "v2"}, {}):
        with pytest.raises(ValueError, match='backfill "True" is not valid'):
            aio.MQTTClient("app-1", "NNSXS." + "K" * 39 + "." + "S" * 52, "h:1", backfill=True, **options)  # type: ignore[arg-type]
