"""Shape: the device of ThingsBoard's tutorial on a small computer: values in turns, an interval that the server sets, calls.

Arguments: host, port.
"""

import logging
import sys
import time

from tb_device_mqtt import TBDeviceMqttClient, TBPublishInfo

logging.basicConfig(level=logging.INFO, stream=sys.stderr)
period = 0.05
sent = 0


def on_attributes_change(result, exception):
    global period
    if exception is not None:
        print("Exception:", exception)
    else:
        period = result.get("uploadFrequency", result.get("shared", {}).get("uploadFrequency", period))
        print("period", period, flush=True)


def on_server_side_rpc_request(request_id, request_body):
    if request_body["method"] == "getCounter":
        client.send_rpc_reply(request_id, {"counter": sent})


client = TBDeviceMqttClient(sys.argv[1], int(sys.argv[2]), "A1_TEST_TOKEN")
client.connect()
while not (client.is_connected() and client.rate_limits_received):
    time.sleep(0.01)
client.set_server_side_rpc_request_handler(on_server_side_rpc_request)
client.request_attributes(shared_keys=["uploadFrequency"], callback=on_attributes_change)
client.subscribe_to_attribute("uploadFrequency", on_attributes_change)
client.send_attributes({"serial": "TB-1", "cores": 4})
while period > 0:
    if client.send_telemetry({"counter": sent, "load": 0.5}).get() == TBPublishInfo.TB_ERR_SUCCESS:
        sent += 1
    time.sleep(period)
client.disconnect()
print("sent", sent > 0)
