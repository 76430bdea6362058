"""Shape: an answer to each uplink from within its callback, first in the device's queue, and a count of what went out."""

import base64
import struct
import time

import ttn

sent = []


def uplink_callback(msg, client):
    (temperature,) = struct.unpack(">h", base64.b64decode(msg.payload_raw)[:2])
    payload = base64.b64encode(struct.pack(">B", 1 if temperature < 200 else 0)).decode("ascii")
    client.send(msg.dev_id, payload, port=msg.port, conf=temperature < 0, sched="first")


def downlink_callback(mid, client):
    sent.append(mid)
    print("sent", len(sent), flush=True)


mqtt_client = ttn.MQTTClient("demo-app", "ttn-account-v2.demo")
mqtt_client.set_uplink_callback(uplink_callback)
mqtt_client.set_downlink_callback(downlink_callback)
mqtt_client.connect()
while len(sent) < 3:
    time.sleep(0.05)
mqtt_client.close()
