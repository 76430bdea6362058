"""What becomes of downlinks, in the asyncio face: on both networks."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from faces import run
from harness import PATIENCE
from thingslink import DownlinkError, aio

if TYPE_CHECKING:
    from harness import RawServer

KEY = "NNSXS." + "K" * 39 + "." + "S" * 52


def client_of(sandbox: aio.Sandbox, **options: Any) -> aio.MQTTClient:
    return aio.MQTTClient(sandbox.username, sandbox.access_key, sandbox.mqtt_address, **options)


def test_a_wait_ends_with_its_client_and_may_be_cancelled() -> None:
    async def program() -> None:
        async with aio.Sandbox() as sandbox:
            sandbox.device("soil-07")
            async with client_of(sandbox) as client:
                downlink = await client.send("soil-07", b"\x01")
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(downlink.wait("acked", PATIENCE), 0.01)
                waiting = asyncio.ensure_future(downlink.wait("acked", PATIENCE))
                await asyncio.sleep(0)
            with pytest.raises(DownlinkError, match="closed") as caught:
                await waiting
            assert caught.value.dev_id == "soil-07"

    run(program())


def test_a_wait_on_another_loop_is_refused() -> None:
    other = asyncio.new_event_loop()

    async def program() -> None:
        async with aio.Sandbox() as sandbox, client_of(sandbox) as client:
            sandbox.device("soil-07")
            downlink = await client.send("soil-07", b"\x01")

            def elsewhere() -> None:
                with pytest.raises(RuntimeError, match="belongs to the event loop"):
                    other.run_until_complete(downlink.wait("acked"))

            await asyncio.to_thread(elsewhere)

    try:
        run(program())
    finally:
        other.close()


def test_the_time_for_being_queued_is_a_setting() -> None:
    async def program() -> None:
        async with aio.Sandbox(network="v3") as sandbox, client_of(sandbox, queue_timeout=0.2) as client:
            with pytest.raises(DownlinkError, match=r"within 0\.2 s") as caught:
                await client.send("nobody", b"\x01")
            assert caught.value.state == "unconfirmed"

    run(program())
    with pytest.raises(ValueError, match="queue_timeout"):
        aio.MQTTClient("app-1", KEY, queue_timeout=-1)


def test_what_only_the_stack_can_be_told_is_sent(raw_server: RawServer) -> None:
    async def program() -> None:
        options: dict[str, Any] = {
            "priority": "HIGH",
            "class_b_c": {"gateways": ["gtw-1"]},
            "confirmed_retry": 3,
            "correlation_ids": ["my-id"],
        }
        async with aio.MQTTClient("app1@ttn", KEY, raw_server.address) as client:
            with pytest.raises(ValueError, match="priority"):
                await client.send("dev-1", b"\x01", priority="URGENT")  # type: ignore[arg-type]
            sending = asyncio.ensure_future(client.send("dev-1", b"\x01", confirmation=True, **options))
            while (packet := await asyncio.to_thread(raw_server.packets.get, True, PATIENCE))[0] & 0xF0 != 0x30:
                pass
            downlink = json.loads(packet[packet.index(b'{"downlinks"') :])["downlinks"][0]
            assert downlink["priority"] == "HIGH" and downlink["confirmed_retry"] == {"max_attempts": 3}
            assert downlink["class_b_c"]["gateways"][0]["gateway_ids"] == {"gateway_id": "gtw-1"}
            assert "my-id" in downlink["correlation_ids"]
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
        async with aio.MQTTClient("app-1", "key", raw_server.address) as client:
            with pytest.raises(ValueError, match="only The Things Stack V3"):
                await client.send("dev-1", b"\x01", **options)

    run(program())
