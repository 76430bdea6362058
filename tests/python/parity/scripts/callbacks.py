"""The shape of 0.9.4; what it prints is compared. Arguments: host, port, key."""

import builtins
import json
import sys
import threading

from ttnmqtt import MQTTClient as mqtt

# Threads print at the same time: each line goes out whole.
builtins.print = lambda *values: sys.stdout.write(" ".join(map(str, values)) + "\n")

host, port, key = sys.argv[1], int(sys.argv[2]), sys.argv[3]
seen = threading.Semaphore(0)
sent = threading.Semaphore(0)


def uplink(msg, client):
    print("callback", json.dumps(msg, sort_keys=True), type(client).__name__)
    seen.release()


def downlink(mid, client):
    print("mid", mid, client.midCounter == mid)
    sent.release()


client = mqtt("demo-app", "70B3D57ED00000AA", key)
client.setUplinkCallback(uplink)
client.setDownlinkCallback(downlink)
print(client.connectFlag, client.disconnectFlag)
client.connect(host, port)
client.startBackground()
sys.stdin.readline()
for _ in range(3):
    seen.acquire()
client.publish("node-1", '{"port": 1, "confirmed": false, "payload_raw": "AA=="}')
sent.acquire()
sys.stdin.readline()
client.stopBackground()
