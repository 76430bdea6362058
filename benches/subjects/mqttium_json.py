"""mqttium with ``json.loads`` in the loop. ``python mqttium_json.py receive PORT COUNT``."""

from __future__ import annotations

import asyncio
import json
import sys

import measure
from mqttium.api import AsyncClient


async def receive(port: int, count: int) -> None:
    """Read three fields of each uplink."""
    meter = measure.Meter(count + 1)
    client = AsyncClient("orchard", username="orchard-app", password="key")

    async def read() -> None:
        async for message in client.messages():
            msg = json.loads(message.payload)
            _ = (msg["dev_id"], msg["payload_raw"], msg["metadata"]["gateways"][0]["rssi"])
            meter.tick()

    await client.connect("127.0.0.1", port)
    await client.subscribe("orchard-app/devices/+/up")
    reading = asyncio.create_task(read())
    await asyncio.get_running_loop().run_in_executor(None, meter.wait)
    reading.cancel()
    meter.report(resident_mb=measure.resident_kib() / 1024)


if __name__ == "__main__":
    asyncio.run(receive(int(sys.argv[2]), int(sys.argv[3])))
