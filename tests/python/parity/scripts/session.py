"""One program for both packages: `import ttn`, everything that the original documents of its MQTT client.

What the callbacks see is printed as JSON lines. Orders come on standard input, one a line. Arguments: MQTT address,
application ID, key, and as JSON what else the client is given on another network.
"""

import json
import sys
import threading

import ttn

address, app_id, key, *others = sys.argv[1:]
options = json.loads(others[0]) if others else {}
lock = threading.Lock()
uplinks = threading.Semaphore(0)
connected = threading.Semaphore(0)


def say(kind, *values):
    with lock:
        print(json.dumps([kind, *values]), flush=True)


def uplink(msg, client):
    say(
        "uplink",
        str(msg),
        list(msg._fields),
        len(msg),
        msg[0] if len(msg) else None,
        isinstance(client, ttn.MQTTClient),
    )
    say("fields", getattr(msg, "dev_id", None), getattr(msg, "payload_raw", None), hasattr(msg, "nothing"))
    if getattr(msg, "metadata", None) is not None and hasattr(msg.metadata, "gateways"):
        say(
            "gateway",
            msg.metadata.gateways[0].gtw_id,
            msg.metadata.gateways[0].rssi,
            type(msg.metadata.gateways).__name__,
        )
    uplinks.release()


def connect(res, client):
    say("connect", res)
    connected.release()


client = ttn.MQTTClient(app_id, key, mqtt_address=address, **options)
client.set_uplink_callback(uplink)
client.set_uplink_raw_callback(
    lambda msg, client: say("raw", msg.topic, msg.payload.decode(), msg.qos, int(msg.retain))
)
client.set_connect_callback(connect)
client.set_downlink_callback(lambda mid, client: say("downlink", mid))
client.set_close_callback(lambda res, client: say("close", res))
client.connect()
connected.acquire()
for line in sys.stdin:
    order = json.loads(line)
    if order[0] == "uplinks":
        for _ in range(order[1]):
            uplinks.acquire()
    elif order[0] == "send":
        try:
            client.send(*order[1], **order[2])
        except Exception as error:
            say("refused", type(error).__name__, str(error))
    elif order[0] == "reconnected":
        connected.acquire()
    elif order[0] == "close":
        client.close()
    elif order[0] == "connect":
        client.connect()
        connected.acquire()
    say("done", order[0])
