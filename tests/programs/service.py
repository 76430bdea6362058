"""Shape: a service of systemd: writes its state when it gets SIGTERM, says goodbye to the network, and ends with 0."""

import atexit
import json
import signal
import sys
import threading

import ttn

state = {"counters": {}, "connections": 0}
stop = threading.Event()


def on_connect(res, client):
    state["connections"] += res


def on_uplink(msg, client):
    state["counters"][msg.dev_id] = msg.counter
    print("up", msg.dev_id, msg.counter, flush=True)


def on_close(res, client):
    print("closed", res, flush=True)


signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
atexit.register(lambda: print("exit", flush=True))
client = ttn.HandlerClient("demo-app", "ttn-account-v2.demo").data()
client.set_connect_callback(on_connect)
client.set_uplink_callback(on_uplink)
client.set_close_callback(on_close)
client.connect()
print("ready", flush=True)
while not stop.wait(0.2):
    pass
client.close()
with open("state.json", "w") as file:
    json.dump(state, file)
sys.exit(0)
