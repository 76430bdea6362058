"""A worker as a process of its own: prints each message when its callback is done with it."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

from thingslink.ttn import MQTTClient, UplinkMessage


def main() -> None:
    """Work until the process is ended."""
    address, ordered, ack_wait, pause = sys.argv[1], sys.argv[2] == "ordered", float(sys.argv[3]), float(sys.argv[4])
    options: dict[str, Any] = {"ordered": ordered, "ack_wait": ack_wait, "queue_messages": int(sys.argv[5])}
    client = MQTTClient("demo-app", "", address, network="v2", group="workers", **options)

    def on_uplink(msg: UplinkMessage) -> None:
        time.sleep(pause)
        print(msg.dev_id, msg.counter, time.monotonic_ns(), flush=True)

    client.set_uplink_callback(on_uplink)
    client.connect()
    print("connected", 0, 0, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
