"""Shape: the forwarder of a honey-bee project: a class around the client, InfluxDB behind it, private names for its log.

The database takes line protocol by HTTP at the address that is the argument.
"""

import json
import logging
import sys
import time
import urllib.request

import ttn

logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)


class TTNClient:
    def __init__(self, app_id, access_key):
        assert app_id, "TTN_APP_ID missing or empty"
        self.app_id = app_id
        self.access_key = access_key
        self.receive_callback = None
        self.connected = False
        self.connect()

    def connect(self):
        print("Connecting to TTN MQTT broker", flush=True)
        mqtt_client = self.mqtt_client = ttn.HandlerClient(self.app_id, self.access_key).data()
        mqtt_client._MQTTClient__client.enable_logger()
        mqtt_client.set_connect_callback(self.connect_callback)
        mqtt_client.set_close_callback(self.disconnect_callback)
        mqtt_client.set_uplink_callback(self.uplink_callback)
        mqtt_client.connect()

    def connect_callback(self, res, client):
        print("Connected to", client._MQTTClient__mqtt_address, flush=True)
        self.connected = True

    def disconnect_callback(self, res, client):
        print("Disconnected from", client._MQTTClient__mqtt_address, flush=True)
        self.connected = False

    def uplink_callback(self, msg, client):
        if self.receive_callback is not None:
            self.receive_callback(message=msg, client=client)

    def on_receive(self, callback):
        self.receive_callback = callback


class InfluxDatabase:
    def __init__(self, url):
        self.url = url

    def store(self, ttn_message):
        try:
            fields = ttn_message.payload_fields._asdict()
        except AttributeError:
            return
        gateway = ttn_message.metadata.gateways[0]
        fields["rssi"], fields["snr"] = gateway.rssi, gateway.snr
        fields["sf"] = int(ttn_message.metadata.data_rate.split("BW")[0][2:])
        pairs = ",".join(f"{key}={float(value)}" for key, value in sorted(fields.items()) if not isinstance(value, str))
        line = f"uplinks,dev_id={ttn_message.dev_id},gtw_id={gateway.gtw_id} {pairs}"
        urllib.request.urlopen(f"{self.url}/write?db=hives", line.encode(), timeout=30).close()


ttn_client = TTNClient("demo-app", "ttn-account-v2.demo")
influx = InfluxDatabase(sys.argv[1])
ttn_client.on_receive(lambda message=None, client=None: influx.store(message))
try:
    while not ttn_client.connected:
        time.sleep(0.01)
    print("Forwarding", flush=True)
    while True:
        time.sleep(1)
except KeyboardInterrupt:
    ttn_client.mqtt_client.close()
