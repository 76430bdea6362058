"""Print uplinks as they come. Address, application and key from the command line.

python examples/uplinks.py eu.thethings.network:1883 my-app ttn-account-v2.…
"""

from __future__ import annotations

import sys
import threading
from typing import Any

from thingslink import ttn


def main(address: str, app_id: str, access_key: str, count: int = 0) -> None:
    """Print until Ctrl-C, or until `count` uplinks have come."""
    enough = threading.Event()
    seen = 0

    def uplink(msg: Any, client: ttn.MQTTClient) -> None:
        nonlocal seen
        seen += 1
        print(f"{msg.received_at:%H:%M:%S} {msg.dev_id} port {msg.port}: {(msg.payload or b'').hex()}", flush=True)
        if seen == count:
            enough.set()

    client = ttn.MQTTClient(app_id, access_key, address)
    client.set_uplink_callback(uplink)
    with client:
        enough.wait()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]) if len(sys.argv) > 4 else 0)
