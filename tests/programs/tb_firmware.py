"""Shape: a device that updates its firmware when ThingsBoard has another one. Arguments: host, port."""

import sys
import time

from tb_device_mqtt import TBDeviceMqttClient

host, port = sys.argv[1], int(sys.argv[2])
client = TBDeviceMqttClient(host, port, "A1_TEST_TOKEN")
client.current_firmware_info = {"current_fw_title": "valve", "current_fw_version": "1.0"}
client.connect()
while not (client.is_connected() and client.rate_limits_received):
    time.sleep(0.01)
print("ready", flush=True)
client.get_firmware_update()
while client.current_firmware_info["current_fw_version"] == "1.0":
    time.sleep(0.05)
print("updated to", client.current_firmware_info["current_fw_version"], flush=True)
sys.stdin.readline()
client.disconnect()
