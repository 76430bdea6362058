"""The first generation as its documentation has it; what it prints is compared. Arguments: host, port, key."""

import builtins
import json
import socket
import sys
import threading

from ttnmqtt import MQTTClient as mqtt

# Threads print at the same time: each line goes out whole.
builtins.print = lambda *values: sys.stdout.write(" ".join(map(str, values)) + "\n")

host, port, key = sys.argv[1], int(sys.argv[2]), sys.argv[3]
# The original knows only regions of the public network: its names lead to the test's server.
connect = socket.create_connection
socket.create_connection = lambda address, *args, **kwargs: connect((host, address[1]), *args, **kwargs)
handled = threading.Semaphore(0)

client = mqtt("demo-app", "70B3D57ED00000AA", key, "node-1")
print(client.getLastMessage(), client.getAllMessages())
client.setMessageHandler(handled.release)
client.customConnect(host, port)
client.startBackground()
sys.stdin.readline()
for _ in range(3):
    handled.acquire()
print(json.dumps(client.getLastMessage(), sort_keys=True))
print(len(client.getAllMessages()), client.getAllMessages() is client.getAllMessages())
client.publish('{"port": 1, "confirmed": false, "payload_raw": "AA=="}')
sys.stdin.readline()
client.stopBackground()
other = mqtt("demo-app", "70B3D57ED00000AA", key)
other.publish("x")
