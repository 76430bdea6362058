"""The ``ttn`` package 2.1.5, in its own environment. ``python original.py receive|send0 PORT COUNT``."""

from __future__ import annotations

import sys
import threading
from typing import Any

import measure


def client_for(port: str) -> Any:
    """Make a client."""
    import ttn

    return ttn.MQTTClient("orchard-app", "key", f"127.0.0.1:{port}")


def receive(port: str, count: int) -> None:
    """Read three fields of each uplink."""
    meter = measure.Meter(count + 1)

    def uplink(msg: Any, client: Any) -> None:
        _ = (msg.dev_id, msg.payload_raw, msg.metadata.gateways[0].rssi)
        meter.tick()

    client = client_for(port)
    client.set_uplink_callback(uplink)
    client.connect()
    meter.wait()
    meter.report()


def send(port: str, count: int) -> None:
    """Send downlinks until they are written."""
    client = client_for(port)
    out, connected = threading.Semaphore(0), threading.Event()
    client.set_connect_callback(lambda res, client: connected.set())
    client.set_downlink_callback(lambda mid, client: out.release())
    client.connect()
    connected.wait()
    with measure.timed(count):
        for _ in range(count):
            client.send("soil-07", "AQ==")
        for _ in range(count):
            out.acquire()


if __name__ == "__main__":
    if sys.argv[1] == "send0":
        send(sys.argv[2], int(sys.argv[3]))
    else:
        receive(sys.argv[2], int(sys.argv[3]))
