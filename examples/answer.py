"""Answer every uplink with a downlink, and tell what becomes of it.

python examples/answer.py eu.thethings.network:1883 my-app ttn-account-v2.…
"""

from __future__ import annotations

import sys
import threading
from typing import Any

from thingslink import ttn


def main(address: str, app_id: str, access_key: str, count: int = 0) -> None:
    """Answer until Ctrl-C, or until `count` downlinks were sent by a gateway."""
    enough = threading.Event()
    sent = 0

    def uplink(msg: Any, client: ttn.MQTTClient) -> None:
        mid = client.send(msg.dev_id, bytes([msg.counter & 0xFF]), port=2, schedule="replace")
        print(f"{msg.dev_id}: answering frame {msg.counter} with downlink {mid}", flush=True)

    def event(event: Any, client: ttn.MQTTClient) -> None:
        nonlocal sent
        print(f"{event.dev_id}: {event.name} {event.error or ''}", flush=True)
        sent += event.name == "down/sent"
        if sent == count:
            enough.set()

    client = ttn.MQTTClient(app_id, access_key, address)
    client.set_uplink_callback(uplink)
    client.set_event_callback(event)
    with client:
        enough.wait()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]) if len(sys.argv) > 4 else 0)
