"""A ThingsBoard device: sends telemetry, follows a shared attribute, answers calls of the server.

python examples/telemetry.py localhost A1_TEST_TOKEN
"""

from __future__ import annotations

import random
import sys
import threading
from typing import Any

from thingslink.tb_device_mqtt import TBDeviceMqttClient, TBPublishInfo


def main(host: str, token: str, port: str = "1883", count: str = "0") -> None:
    """Send until Ctrl-C, or `count` times."""
    period = 1.0
    over = threading.Event()
    client = TBDeviceMqttClient(host, int(port), token)

    def on_frequency(result: dict[str, Any], _exception: Exception | None) -> None:
        nonlocal period
        period = 1 / result["uploadFrequency"]
        print("sending every", period, "s")

    def on_call(request_id: str, body: dict[str, Any]) -> None:
        client.send_rpc_reply(request_id, {"method": body["method"], "period": period})
        if body["method"] == "stop":
            over.set()

    client.subscribe_to_attribute("uploadFrequency", on_frequency)
    client.set_server_side_rpc_request_handler(on_call)
    client.connect()
    sent = 0
    while not over.wait(period):
        result = client.send_telemetry({"temperature": round(random.gauss(21, 2), 1)})
        print("arrived" if result.get() == TBPublishInfo.TB_ERR_SUCCESS else f"failed: {result}")
        sent += 1
        if sent == int(count):
            break
    client.disconnect()


if __name__ == "__main__":
    main(*sys.argv[1:])
