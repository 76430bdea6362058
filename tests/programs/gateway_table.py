"""Shape: a table of who heard what, in CSV for a spreadsheet, with JSON of the raw uplink beside. Ends after so many."""

import csv
import json
import sys
import time

import ttn

rows = []


def uplink_callback(msg, client):
    for gateway in sorted(msg.metadata.gateways, key=lambda gateway: -gateway.rssi):
        rows.append([msg.dev_id, msg.counter, gateway.gtw_id, gateway.rssi, msg.metadata.time[:4], *msg.payload_fields])


def raw_callback(msg, client):
    body = json.loads(msg.payload.decode("utf-8"))
    with open("raw.jsonl", "a") as file:
        file.write(json.dumps([msg.topic, msg.qos, body["payload_raw"], body["counter"]]) + "\n")


mqtt_client = ttn.HandlerClient("demo-app", "ttn-account-v2.demo").data()
mqtt_client.set_uplink_callback(uplink_callback)
mqtt_client.set_uplink_raw_callback(raw_callback)
mqtt_client.connect()
while len({row[1] for row in rows}) < int(sys.argv[1]):
    time.sleep(0.05)
mqtt_client.close()
with open("table.csv", "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["device", "counter", "gateway", "rssi", "year", "fields"])
    writer.writerows(rows)
