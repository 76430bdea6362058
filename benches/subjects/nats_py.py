"""A worker over nats-py, with ``json.loads``. ``python nats_py.py shared|ordered NATS_ADDRESS COUNT``.

The settings are those of thingslink's workers: a durable consumer that is pulled from, an acknowledgement for each
message after its callback, at most 1,024 messages in hand; ordered: a consumer for each of the 256 lanes with one
message in hand.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import measure
from nats.errors import TimeoutError as NothingCame
from nats.js.api import ConsumerConfig

import nats

STREAM = "THINGS_orchard-app"
WINDOW = 1024
LANES = 256
#: Seconds without a message after which no more will come.
SILENCE = 5.0


async def work(meter: measure.Meter, subscription: Any, batch: int) -> None:
    """Handle what a consumer has, until all is handled."""
    while not meter.done.is_set():
        try:
            messages = await subscription.fetch(batch, timeout=SILENCE)
        except NothingCame:
            return
        for message in messages:
            msg = json.loads(message.data)
            _ = (msg["dev_id"], msg["payload_raw"], msg["metadata"]["gateways"][0]["rssi"])
            await message.ack()
            meter.tick()


async def main() -> None:
    """Handle all that is stored."""
    what, address, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    meter = measure.Meter(count)
    client = await nats.connect(address)
    context = client.jetstream()
    subscriptions = []
    for lane in range(LANES) if what == "ordered" else [None]:
        name = "peer" if lane is None else f"peer-{lane}"
        pending = 100_000 if lane is None else 1
        config = ConsumerConfig(durable_name=name, ack_wait=30, max_ack_pending=pending)
        filtered = ">" if lane is None else f"l.{lane}.>"
        subscriptions.append(await context.pull_subscribe(filtered, durable=name, stream=STREAM, config=config))
    batch = 1 if what == "ordered" else WINDOW
    await asyncio.gather(*(work(meter, subscription, batch) for subscription in subscriptions))
    meter.report()
    # Draining would take its time for 256 subscriptions.
    await client.close()


if __name__ == "__main__":
    asyncio.run(main())
