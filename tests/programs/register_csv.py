"""Shape: registration of many devices from a CSV file, with a second try for each. Argument: the file."""

import csv
import sys
import time

import ttn

application = ttn.HandlerClient("demo-app", "ttn-account-v2.demo").application()
known = {device.dev_id for device in application.devices()}
made = failed = 0
with open(sys.argv[1], newline="") as file:
    for row in csv.DictReader(file):
        if row["dev_id"] in known:
            continue
        device = {
            "description": row["description"],
            "appEui": row["app_eui"],
            "devEui": row["dev_eui"],
            "appKey": row["app_key"],
            "latitude": float(row["latitude"]),
            "longitude": float(row["longitude"]),
            "attributes": {"row": row["row"]},
            "fCntUp": 0,
            "fCntDown": 0,
            "disableFCntCheck": False,
            "uses32BitFCnt": True,
        }
        for attempt in range(2):
            try:
                application.register_device(row["dev_id"], device)
                made += 1
                break
            except RuntimeError as error:
                print("cannot register", row["dev_id"], error)
                time.sleep(0.3)
        else:
            failed += 1
print("made", made, "failed", failed, "known", len(known), "now", len(application.devices()))
