"""A worker under test. ``python ours_worker.py shared|ordered|latency NATS_ADDRESS COUNT``."""

from __future__ import annotations

import sys
from typing import Any

import measure
from thingslink.ttn import MQTTClient


def main() -> None:
    """Read three fields of each uplink, all settings the default ones."""
    what, address, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    meter, latency = measure.Meter(count), measure.Latency()
    # Each group gets all that is stored.
    client = MQTTClient("orchard-app", "", address, network="v2", group=what, ordered=what == "ordered")

    def uplink(msg: Any) -> None:
        _ = (msg.dev_id, msg.payload_raw, msg.metadata.gateways[0].rssi)
        if what == "latency":
            latency.note(msg.sent_ns)
        meter.tick()

    client.set_uplink_callback(uplink)
    client.connect(timeout=30)
    print("working", flush=True)
    meter.wait()
    if what == "latency":
        latency.report()
    else:
        meter.report(redelivered=client.stats()["redelivered"])
    client.close(timeout=5)


if __name__ == "__main__":
    main()
