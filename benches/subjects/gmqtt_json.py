"""gmqtt with ``json.loads`` in the callback. ``python gmqtt_json.py receive|busy PORT COUNT``."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from typing import Any

import gmqtt
import measure


def receive(port: int, count: int, *, busy: bool) -> None:
    """Read three fields of each uplink, while the main thread waits or counts."""
    meter = measure.Meter(count + 1)

    def on_message(_client: Any, _topic: str, payload: bytes, _qos: int, _properties: Any) -> int:
        msg = json.loads(payload)
        _ = (msg["dev_id"], msg["payload_raw"], msg["metadata"]["gateways"][0]["rssi"])
        meter.tick()
        return 0

    async def serve() -> None:
        client = gmqtt.Client("orchard")
        client.set_auth_credentials("orchard-app", "key")
        client.on_message = on_message
        await client.connect("127.0.0.1", port, version=gmqtt.constants.MQTTv311)
        client.subscribe("orchard-app/devices/+/up")
        await asyncio.Event().wait()

    threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
    meter.wait(busy=busy)
    meter.report()


if __name__ == "__main__":
    receive(int(sys.argv[2]), int(sys.argv[3]), busy=sys.argv[1] == "busy")
