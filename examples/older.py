"""A program of the older package as it was written in 2017, the import apart: it prints messages and answers each.

python examples/older.py my-app 70B3D57ED00000AA ttn-account-v2.… localhost 1883
"""

from __future__ import annotations

import sys

from thingslink.ttnmqtt import MQTTClient as mqtt  # noqa: N813 - as programs have it


def main(app_id: str, app_eui: str, access_key: str, region: str, port: str = "1883", count: str = "0") -> None:
    """Print and answer until Ctrl-C, or until `count` messages have come."""
    client = mqtt(app_id, app_eui, access_key)

    def handle() -> None:
        message = client.getLastMessage()
        print(message["dev_id"], message["payload_raw"])
        client.setDeviceID(message["dev_id"])
        client.publish('{"port": 1, "confirmed": false, "payload_raw": "AA=="}')
        if len(client.getAllMessages()) == int(count):
            client.disconnect()

    client.setMessageHandler(handle)
    client.customConnect(region, int(port))
    client.start()


if __name__ == "__main__":
    main(*sys.argv[1:])
