"""Shape: a logger that appends each uplink to a JSON file of the day, until it is killed. Names no address."""

import datetime
import json
import time

import ttn

app_id = "demo-app"
access_key = "ttn-account-v2.demo"


def uplink_callback(msg, client):
    print("Received uplink from ", msg.dev_id, flush=True)
    now = datetime.datetime.now()
    entry = {"received": now.isoformat(), "device": msg.dev_id, "fields": msg.payload_fields, "message": msg}
    with open(now.strftime("uplinks-%Y-%m-%d.json"), "a") as log:
        log.write(json.dumps(entry) + "\n")


handler = ttn.HandlerClient(app_id, access_key)

# using mqtt client
mqtt_client = handler.data()
mqtt_client.set_uplink_callback(uplink_callback)
mqtt_client.connect()

while True:
    time.sleep(10)
