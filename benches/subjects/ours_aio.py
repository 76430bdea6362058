"""thingslink.aio under test. ``python ours_aio.py receive|send1 PORT COUNT``."""

from __future__ import annotations

import asyncio
import sys
import time

import measure
from thingslink import aio


def client_for(port: str, qos: int = 0) -> aio.MQTTClient:
    """Make a client."""
    return aio.MQTTClient("orchard-app", "key", f"127.0.0.1:{port}", qos=1 if qos else 0)


async def receive(port: str, count: int) -> None:
    """Read three fields of each uplink. All settings are the default ones."""
    meter = measure.Meter(count + 1)
    client = client_for(port)
    uplinks = client.uplinks()

    async def read() -> None:
        async for msg in uplinks:
            _ = (msg.dev_id, msg.payload_raw, msg.metadata.gateways[0].rssi)
            meter.tick()

    async with client:
        reading = asyncio.create_task(read())
        await asyncio.get_running_loop().run_in_executor(None, meter.wait)
        reading.cancel()
    meter.report(dropped=client.stats()["dropped"], resident_mb=measure.resident_kib() / 1024)


async def send(port: str, count: int) -> None:
    """Await one downlink after the other, at QoS 1; quantiles of the time that each takes."""
    async with client_for(port, qos=1) as client:
        times = []
        for _ in range(count):
            begin = time.perf_counter()
            await client.send("soil-07", "AQ==")
            times.append(time.perf_counter() - begin)
    times.sort()
    measure.report(p50_us=times[count // 2] * 1e6, p99_us=times[count * 99 // 100] * 1e6)


if __name__ == "__main__":
    asyncio.run((send if sys.argv[1] == "send1" else receive)(sys.argv[2], int(sys.argv[3])))
