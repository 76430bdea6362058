"""thingslink.aio under test. ``python ours_aio.py receive|send1|telemetry|idle PORT COUNT``."""

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


async def telemetry(port: str, count: int) -> None:
    """Send telemetry at QoS 1, a hundred messages at a time, and wait for all of them before the next."""
    async with aio.TBDeviceMqttClient("127.0.0.1", int(port), "A1_TEST_TOKEN") as client:
        client.max_inflight_messages_set(measure.AT_ONCE)
        # The session's limits come after the login, as for the other subjects of ThingsBoard.
        await asyncio.sleep(0.3)
        with measure.timed(count):
            for _ in range(count // measure.AT_ONCE):
                await asyncio.gather(*(client.send_telemetry(measure.TELEMETRY) for _ in range(measure.AT_ONCE)))


async def idle(port: str, count: int) -> None:
    """Hold many connections, each with a stream of uplinks and one who waits for it."""
    before = measure.resident_kib()
    clients, waiting = [], []
    for _ in range(count):
        client = client_for(port)
        waiting.append(asyncio.ensure_future(anext(client.uplinks())))
        await client.connect()
        clients.append(client)
    resident = measure.resident_kib()
    measure.report(kib_each=(resident - before) / count, threads=measure.threads(), resident_mb=resident / 1024)
    await asyncio.gather(*(client.aclose(timeout=1) for client in clients))
    await asyncio.gather(*waiting, return_exceptions=True)


if __name__ == "__main__":
    subjects = {"receive": receive, "send1": send, "telemetry": telemetry, "idle": idle}
    asyncio.run(subjects[sys.argv[1]](sys.argv[2], int(sys.argv[3])))
