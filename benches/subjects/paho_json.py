"""paho-mqtt with ``json.loads``.

``python paho_json.py receive|receive-v3|receive-chirpstack|latency|send0|send1 PORT COUNT``.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
from typing import Any

import measure
import paho.mqtt.client as mqtt


def client_for(port: str) -> mqtt.Client:
    """Connect, with Nagle's algorithm off."""
    client = mqtt.Client()
    client.username_pw_set("orchard-app", "key")
    client.on_socket_open = lambda _c, _u, sock: sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.connect("127.0.0.1", int(port))
    return client


def receive(port: str, count: int) -> None:
    """Read three fields of each uplink."""
    meter = measure.Meter(count + 1)

    def on_message(_client: mqtt.Client, _userdata: Any, message: Any) -> None:
        msg = json.loads(message.payload)
        _ = (msg["dev_id"], msg["payload_raw"], msg["metadata"]["gateways"][0]["rssi"])
        meter.tick()

    listen(port, on_message)
    meter.wait()
    meter.report()


def receive_v3(port: str, count: int) -> None:
    """Read the same of V3's uplinks."""
    meter = measure.Meter(count + 1)

    def on_message(_client: mqtt.Client, _userdata: Any, message: Any) -> None:
        msg = json.loads(message.payload)
        uplink = msg["uplink_message"]
        _ = (msg["end_device_ids"]["device_id"], uplink["frm_payload"], uplink["rx_metadata"][0]["rssi"])
        meter.tick()

    listen(port, on_message)
    meter.wait()
    meter.report()


def receive_chirpstack(port: str, count: int) -> None:
    """Read the same of ChirpStack's uplinks: a device is called by its tag."""
    meter = measure.Meter(count + 1)

    def on_message(_client: mqtt.Client, _userdata: Any, message: Any) -> None:
        msg = json.loads(message.payload)
        _ = (msg["deviceInfo"]["tags"]["dev_id"], msg["data"], msg["rxInfo"][0]["rssi"])
        meter.tick()

    listen(port, on_message)
    meter.wait()
    meter.report()


def latency(port: str) -> None:
    """Answer each uplink at once."""
    meter = measure.Latency()
    done = threading.Event()

    def on_message(client: mqtt.Client, _userdata: Any, message: Any) -> None:
        msg = json.loads(message.payload)
        meter.note(msg["sent_ns"])
        client.publish("orchard-app/devices/soil-07/down", b"x")
        if msg["port"] == 9:
            done.set()

    listen(port, on_message)
    done.wait()
    meter.report()


def listen(port: str, on_message: Any) -> None:
    """Subscribe to uplinks."""
    client = client_for(port)
    client.on_connect = lambda client, *_: client.subscribe("orchard-app/devices/+/up")
    client.on_message = on_message
    client.loop_start()


def send(port: str, count: int, qos: int) -> None:
    """Publish what a downlink is, until written or acknowledged."""
    client = client_for(port)
    out = threading.Semaphore(0)
    connected = threading.Event()
    client.max_inflight_messages_set(1000)
    client.on_publish = lambda *_: out.release()
    client.on_connect = lambda *_: connected.set()
    client.loop_start()
    connected.wait()
    body = {"port": 1, "confirmed": False, "schedule": "replace", "payload_raw": "AQ=="}
    with measure.timed(count):
        for _ in range(count):
            client.publish("orchard-app/devices/soil-07/down", json.dumps(body), qos)
        for _ in range(count):
            out.acquire()


def main() -> None:
    """Run what the command line says."""
    what, port, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if what == "latency":
        latency(port)
    elif what == "receive-v3":
        receive_v3(port, count)
    elif what == "receive-chirpstack":
        receive_chirpstack(port, count)
    elif what in {"send0", "send1"}:
        send(port, count, int(what[-1]))
    else:
        receive(port, count)


if __name__ == "__main__":
    main()
