"""awscrt with ``json.loads`` in the callback, in its own environment.

``python awscrt_json.py receive|busy|latency PORT COUNT``
"""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

import measure
from awscrt import io, mqtt


def listen(port: int, callback: Any) -> mqtt.Connection:
    """Connect, and subscribe to uplinks."""
    group = io.EventLoopGroup(1)
    bootstrap = io.ClientBootstrap(group, io.DefaultHostResolver(group))
    connection = mqtt.Connection(mqtt.Client(bootstrap), "127.0.0.1", port, "orchard", disable_metrics=True)
    connection.connect().result()
    connection.subscribe("orchard-app/devices/+/up", mqtt.QoS.AT_MOST_ONCE, callback)
    return connection


def receive(port: int, count: int, *, busy: bool) -> None:
    """Read three fields of each uplink, while the main thread waits or counts."""
    meter = measure.Meter(count + 1)

    def uplink(topic: str, payload: bytes, **_more: Any) -> None:
        msg = json.loads(payload)
        _ = (msg["dev_id"], msg["payload_raw"], msg["metadata"]["gateways"][0]["rssi"])
        meter.tick()

    _connection = listen(port, uplink)
    meter.wait(busy=busy)
    meter.report()


def latency(port: int) -> None:
    """Answer each uplink at once."""
    meter = measure.Latency()
    done = threading.Event()

    def uplink(topic: str, payload: bytes, **_more: Any) -> None:
        msg = json.loads(payload)
        meter.note(msg["sent_ns"])
        connection.publish("orchard-app/devices/soil-07/down", b"x", mqtt.QoS.AT_MOST_ONCE)
        if msg["port"] == 9:
            done.set()

    connection = listen(port, uplink)
    done.wait()
    meter.report()


def main() -> None:
    """Run what the command line says."""
    what, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if what == "latency":
        latency(port)
    else:
        receive(port, count, busy=what == "busy")


if __name__ == "__main__":
    main()
