"""Shape: a display over the first generation of ``ttnmqtt``: dicts, camelCase, an answer for each message."""

import queue
import sys

from ttnmqtt import MQTTClient as mqtt

shown = queue.Queue()


def uplinkCallback(message, client):
    shown.put((message["dev_id"], message["payload_fields"]["temperature"]))


client = mqtt("demo-app", "70B3D57ED00000AA", "ttn-account-v2.demo")
client.setUplinkCallback(uplinkCallback)
client.connect()
client.startBackground()
for _ in range(int(sys.argv[1])):
    dev_id, temperature = shown.get()
    # In one piece: the library speaks as well.
    sys.stdout.write(f"shown: {dev_id} {temperature}\n")
    sys.stdout.flush()
    client.publish(dev_id, '{"port": 3, "payload_raw": "AQ=="}')
sys.stdin.readline()
client.stopBackground()
