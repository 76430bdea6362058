"""Shape: a watchdog that sleeps for days and tells of devices that are silent. Ctrl-C ends it. Argument: the limit in s."""

import sys
import threading
import time

import ttn

limit = float(sys.argv[1])
seen = {}
silent = set()
ended = threading.Event()


def uplink_callback(msg, client):
    if msg.dev_id in silent:
        silent.discard(msg.dev_id)
        print(msg.dev_id, "is back", flush=True)
    elif msg.dev_id not in seen:
        print(msg.dev_id, "is watched", flush=True)
    seen[msg.dev_id] = time.time()


def look():
    while not ended.wait(limit / 10):
        for dev_id, last in list(seen.items()):
            if dev_id not in silent and time.time() - last > limit:
                silent.add(dev_id)
                print(dev_id, "is silent", flush=True)


watch = threading.Thread(target=look, daemon=True)
watch.start()
client = ttn.HandlerClient("demo-app", "ttn-account-v2.demo").data()
client.set_uplink_callback(uplink_callback)
client.connect()
print("watching", flush=True)
try:
    while True:
        time.sleep(7 * 24 * 3600)
except KeyboardInterrupt:
    client.close()
    ended.set()
    watch.join()
    print("bye")
