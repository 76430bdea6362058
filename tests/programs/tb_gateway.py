"""Shape: a gateway of ThingsBoard's kind: devices of another network on one connection, with values, attributes and calls.

Arguments: host, port. Lines on standard input are readings, ``name key value``; the word ``end`` ends it.
"""

import sys
import time

from tb_gateway_mqtt import TBGatewayMqttClient

host, port = sys.argv[1], int(sys.argv[2])
intervals = {}


def rpc_request_response(gateway, request_body):
    # request_body: {"device": …, "data": {"id": …, "method": …, "params": …}}
    device, data = request_body["device"], request_body["data"]
    if data["method"] == "setInterval":
        intervals[device] = data["params"]
        gateway.gw_send_rpc_reply(device, data["id"], {"interval": intervals[device]})
    else:
        gateway.gw_send_rpc_reply(device, data["id"], {"error": "unknown method"})


def attributes_changed(result, exception=None):
    print("attributes", result["device"], result["data"], flush=True)


gateway = TBGatewayMqttClient(host, port, "GATEWAY_TEST_TOKEN")
gateway.connect()
while not (gateway.is_connected() and gateway.rate_limits_received):
    time.sleep(0.01)
gateway.gw_set_server_side_rpc_request_handler(rpc_request_response)
for name in ("Pump 1", "Pump 2"):
    gateway.gw_connect_device(name)
    gateway.gw_send_attributes(name, {"firmware": "1.0"})
    gateway.gw_subscribe_to_attribute(name, "limit", attributes_changed)
print("ready", flush=True)
for line in sys.stdin:
    if line.strip() == "end":
        break
    name, key, value = line.strip().rsplit(" ", 2)
    result = gateway.gw_send_telemetry(name, {"ts": 1_700_000_000_000, "values": {key: float(value)}})
    print("stored", name, result.get(), flush=True)
gateway.gw_disconnect_device("Pump 2")
gateway.disconnect()
