"""thingslink under test.

``python ours.py receive|receive-v3|receive-chirpstack|busy|latency|send0|send1|idle PORT [COUNT]``.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import measure

if TYPE_CHECKING:
    from thingslink.ttn import MQTTClient


def client_for(port: str, **options: Any) -> MQTTClient:
    """Make a client."""
    from thingslink import ttn

    return ttn.MQTTClient("orchard-app", "key", f"127.0.0.1:{port}", **options)


def receive(port: str, count: int, *, busy: bool, **options: Any) -> None:
    """Read three fields of each uplink, while the main thread waits or counts."""
    meter = measure.Meter(count + 1)

    def uplink(msg: Any, client: MQTTClient) -> None:
        _ = (msg.dev_id, msg.payload_raw, msg.metadata.gateways[0].rssi)
        meter.tick()

    client = client_for(port, **options)
    client.set_uplink_callback(uplink)
    client.connect()
    meter.wait(busy=busy)
    meter.report(dropped=client.stats()["dropped"])
    client.close(timeout=1)


def latency(port: str) -> None:
    """Answer each uplink at once."""
    meter = measure.Latency()
    done = threading.Event()

    def uplink(msg: Any, client: MQTTClient) -> None:
        meter.note(msg.sent_ns)
        client.send("soil-07", b"\x01")
        if msg.port == 9:
            done.set()

    client = client_for(port)
    client.set_uplink_callback(uplink)
    client.connect()
    done.wait()
    meter.report()
    client.close(timeout=1)


def send(port: str, count: int, qos: int) -> None:
    """Send downlinks until they are written (QoS 0) or acknowledged (QoS 1)."""
    client = client_for(port, qos=qos)
    client.connect()
    with measure.timed(count):
        for _ in range(count):
            client.send("soil-07", "AQ==")
        client.flush(60)
    client.close()


def idle(port: str, count: int) -> None:
    """Hold many connections."""
    before = measure.resident_kib(), measure.threads()
    clients = []
    for _ in range(count):
        client = client_for(port)
        client.set_uplink_callback(print)
        client.connect()
        clients.append(client)
    measure.report(
        kib_each=(measure.resident_kib() - before[0]) / count,
        threads=measure.threads(),
        resident_mb=measure.resident_kib() / 1024,
    )


def main() -> None:
    """Run what the command line says."""
    what, port, *rest = sys.argv[1:]
    if what == "latency":
        latency(port)
    elif what in {"send0", "send1"}:
        send(port, int(rest[0]), int(what[-1]))
    elif what == "idle":
        idle(port, int(rest[0]))
    elif what == "receive-v3":
        # By default it drops, as the stack would, when callbacks do not keep up; here each one is counted.
        receive(port, int(rest[0]), busy=False, network="v3", overflow="stop_reading")
    elif what == "receive-chirpstack":
        receive(port, int(rest[0]), busy=False, network="chirpstack")
    else:
        # All settings are the default ones.
        receive(port, int(rest[0]), busy=what == "busy")


if __name__ == "__main__":
    main()
