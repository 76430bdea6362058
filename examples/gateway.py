"""A ThingsBoard gateway: passes on what devices without a connection of their own measure, line by line from its input.

echo "Pump 1,rpm,900" | python examples/gateway.py localhost GATEWAY_TEST_TOKEN
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from thingslink.tb_gateway_mqtt import TBGatewayMqttClient

if TYPE_CHECKING:
    from thingslink.tb_device_mqtt import TBPublishInfo


def main(host: str, token: str, port: str = "1883") -> None:
    """Pass on every line `device,key,number` until the input ends."""
    gateway = TBGatewayMqttClient(host, int(port), token)
    known: set[str] = set()

    def on_call(client: TBGatewayMqttClient, content: dict[str, Any]) -> None:
        print("call for", content["device"], content["data"]["method"])
        client.gw_send_rpc_reply(content["device"], content["data"]["id"], {"understood": True})

    gateway.gw_set_server_side_rpc_request_handler(on_call)
    gateway.connect()
    results: list[TBPublishInfo] = []
    for line in sys.stdin:
        device, key, number = line.strip().split(",")
        if device not in known:
            known.add(device)
            # Without it the server sends no calls for the device.
            gateway.gw_connect_device(device)
        entry = {"ts": int(time.time() * 1000), "values": {key: float(number)}}
        results.append(gateway.gw_send_telemetry(device, entry))
    print(sum(result.get() == 0 for result in results), "of", len(results), "arrived")
    gateway.disconnect()


if __name__ == "__main__":
    main(*sys.argv[1:])
