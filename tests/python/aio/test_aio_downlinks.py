"""What becomes of downlinks, in the asyncio face: on both networks."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE
from thingslink import DownlinkError, RpcError, ThingsTimeoutError, aio

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from harness import RawServer

KEY = "NNSXS." + "K" * 39 + "." + "S" * 52


def run(program: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(program, PATIENCE * 2)

    asyncio.run(bounded(), debug=True)


def client_of(sandbox: aio.Sandbox, **options: Any) -> aio.MQTTClient:
    return aio.MQTTClient(sandbox.username, sandbox.access_key, sandbox.mqtt_address, **options)


@pytest.mark.parametrize("network", ["v2", "v3"])
@pytest.mark.parametrize("qos", [0, 1])
def test_a_downlink_is_followed_to_its_end(network: Any, qos: int) -> None:
    async def program() -> None:
        async with aio.Sandbox(network=network, seed=0) as sandbox, client_of(sandbox, qos=qos) as client:
            device = sandbox.device("soil-07")
            downlink = await client.send("soil-07", b"\x01", confirmation=True)
            assert await downlink.wait("queued", timeout=PATIENCE) == "queued" == downlink.state
            acked = asyncio.ensure_future(downlink.wait("acked", timeout=PATIENCE))
            await device.uplink(b"\x02")
            await downlink.wait("sent", timeout=PATIENCE)
            await device.uplink(b"\x02")
            event = await acked
            assert event == "acked" and event.mid == int(downlink) and event.time is not None and downlink.error is None
            assert repr(downlink) == f"<Downlink dev_id='soil-07' mid={int(downlink)} acked>"
            with pytest.raises(DownlinkError, match="it was not nacked"):
                await downlink.wait("nacked", timeout=PATIENCE)
            with pytest.raises(ValueError, match="arrived"):
                await downlink.wait("arrived")  # type: ignore[arg-type]
            other = await client.device("soil-07").send(b"\x03", port=2)
            with pytest.raises(ThingsTimeoutError):
                await other.wait("acked", timeout=0.01)

    run(program())


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
            with pytest.raises(DownlinkError, match="closed"):
                await waiting

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


def test_on_v3_first_is_asked_of_the_network() -> None:
    async def program() -> None:
        async with aio.Sandbox(network="v3", insecure=True, seed=0) as sandbox:
            device = sandbox.device("soil-07")
            options = {"management_address": sandbox.management_address, "insecure_channel": True}
            async with client_of(sandbox, **options) as client:
                await client.send("soil-07", b"\x01", schedule="last")
                front = await client.send("soil-07", b"\x02", schedule="first")
                assert front.state == "queued" and device.downlinks == [b"\x02", b"\x01"]
                await device.uplink(b"\x05")
                assert await front.wait("sent", timeout=PATIENCE) == "sent"
                with pytest.raises(RpcError, match="NOT_FOUND"):
                    await client.send("nobody", b"\x01", schedule="first")
            async with client_of(sandbox) as client:
                with pytest.raises(ValueError, match="no management address is known"):
                    await client.send("soil-07", b"\x01", schedule="first")

    run(program())
