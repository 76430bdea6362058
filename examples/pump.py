"""A pump of ThingsBoard in a program of asyncio: telemetry, a limit that the server sets, calls that are answered.

python examples/pump.py localhost A1_TEST_TOKEN
"""

from __future__ import annotations

import asyncio
import random
import sys
from contextlib import suppress
from typing import Any

from thingslink import aio


async def main(host: str, token: str, port: str = "1883", period: str = "1") -> None:
    """Send until the server calls ``stop``."""
    over = asyncio.Event()

    async with aio.TBDeviceMqttClient(host, int(port), token) as pump:

        @pump.rpc("stop")
        async def stop(params: Any) -> dict[str, bool]:
            await pump.send_attributes({"running": False})
            over.set()
            return {"stopped": True}

        async def follow_limit() -> None:
            async for update in pump.attribute_updates("limit"):
                print("limit:", update.get("limit"))

        following = asyncio.create_task(follow_limit())
        await pump.send_attributes({"running": True})
        while not over.is_set():
            await pump.send_telemetry({"temperature": round(random.gauss(41, 2), 1)})
            print("sent")
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(over.wait(), float(period))
    # The streams of a closed client have ended.
    await following


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
