"""aiomqtt with ``json.loads`` in the loop. ``python aiomqtt_json.py receive|send1|telemetry|idle PORT COUNT``."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time

import aiomqtt
import measure


def client_for(port: int) -> aiomqtt.Client:
    """Make a client."""
    return aiomqtt.Client("127.0.0.1", port, username="orchard-app", password="key")


async def receive(port: int, count: int) -> None:
    """Read three fields of each uplink."""
    meter = measure.Meter(count + 1)

    async def read(client: aiomqtt.Client) -> None:
        async for message in client.messages:
            msg = json.loads(message.payload)
            _ = (msg["dev_id"], msg["payload_raw"], msg["metadata"]["gateways"][0]["rssi"])
            meter.tick()

    async with client_for(port) as client:
        await client.subscribe("orchard-app/devices/+/up")
        reading = asyncio.create_task(read(client))
        await asyncio.get_running_loop().run_in_executor(None, meter.wait)
        reading.cancel()
        meter.report(resident_mb=measure.resident_kib() / 1024)


async def send(port: int, count: int) -> None:
    """Await one downlink after the other, at QoS 1; quantiles of the time that each takes."""
    body = json.dumps({"port": 1, "confirmed": False, "schedule": "replace", "payload_raw": "AQ=="})
    async with client_for(port) as client:
        times = []
        for _ in range(count):
            begin = time.perf_counter()
            await client.publish("orchard-app/devices/soil-07/down", body, qos=1)
            times.append(time.perf_counter() - begin)
    times.sort()
    measure.report(p50_us=times[count // 2] * 1e6, p99_us=times[count * 99 // 100] * 1e6)


async def telemetry(port: int, count: int) -> None:
    """Send telemetry at QoS 1, a hundred messages at a time, and wait for all of them before the next."""
    body = json.dumps([measure.TELEMETRY])
    async with aiomqtt.Client("127.0.0.1", port, max_inflight_messages=measure.AT_ONCE) as client:
        # It warns of more than ten calls at once.
        client.pending_calls_threshold = measure.AT_ONCE
        with measure.timed(count):
            for _ in range(count // measure.AT_ONCE):
                sends = (client.publish("v1/devices/me/telemetry", body, qos=1) for _ in range(measure.AT_ONCE))
                await asyncio.gather(*sends)


async def idle(port: int, count: int) -> None:
    """Hold many connections, each with one who waits for its messages."""
    before = measure.resident_kib()
    waiting = []
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(count):
            client = await stack.enter_async_context(client_for(port))
            await client.subscribe("orchard-app/devices/+/up")
            waiting.append(asyncio.ensure_future(anext(client.messages)))
        resident = measure.resident_kib()
        measure.report(kib_each=(resident - before) / count, threads=measure.threads(), resident_mb=resident / 1024)
        for one in waiting:
            one.cancel()


if __name__ == "__main__":
    subjects = {"receive": receive, "send1": send, "telemetry": telemetry, "idle": idle}
    asyncio.run(subjects[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3])))
