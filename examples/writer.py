"""Uplinks into a database, many at a time, acknowledged when they are stored; with asyncpg, or what has its methods.

python examples/writer.py my-app ttn-account-v2.… mqtts://eu.example.com postgresql://localhost/sensors
"""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from thingslink import aio

if TYPE_CHECKING:
    from collections.abc import Iterable

SQL = "INSERT INTO uplinks (dev_id, counter, payload) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"


class Pool(Protocol):
    """What is needed of ``asyncpg.Pool``."""

    async def executemany(self, command: str, args: Iterable[tuple[Any, ...]]) -> None:
        """Run a command for each row, in one transaction."""


async def write(client: aio.MQTTClient, pool: Pool, *, most: int = 500, within: float = 1.0) -> None:
    """Write until the client is closed. An uplink that comes again, after a failure here, is written once."""
    async for batch in client.uplinks().batches(max=most, within=within):
        await pool.executemany(SQL, [(msg.dev_id, msg.counter, msg.payload) for msg in batch])


async def main(app_id: str, access_key: str, mqtt_address: str, database: str) -> None:
    """Write until Ctrl-C."""
    # Only this needs it, and it has no types.
    create_pool: Any = import_module("asyncpg").create_pool
    keeping: dict[str, Any] = {"qos": 1, "client_id": "writer", "clean_session": False}
    async with (
        create_pool(database) as pool,
        aio.MQTTClient(app_id, access_key, mqtt_address, **keeping) as client,
    ):
        await write(client, pool)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
