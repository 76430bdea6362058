"""A device and a gateway, as their tutorial has them; what callbacks see is printed. Arguments: host, port."""

import json
import sys
import time

from tb_device_mqtt import TBDeviceMqttClient, TBPublishInfo
from tb_gateway_mqtt import TBGatewayMqttClient

host, port = sys.argv[1], int(sys.argv[2])


def say(*values):
    sys.stdout.write(json.dumps(values, sort_keys=True, default=repr) + "\n")
    sys.stdout.flush()


def connected(client):
    client.connect()
    while not (client.is_connected() and client.rate_limits_received):
        time.sleep(0.01)
    return client


def wait():
    """Until the test says so."""
    sys.stdin.readline()


device = connected(TBDeviceMqttClient(host, port, "A1_TEST_TOKEN"))
say("ids", device.subscribe_to_attribute("a", lambda body, error: say("a", body, error)))
say("ids", device.subscribe_to_attribute("b", lambda body, error: say("b", body, error)))
say("ids", device.subscribe_to_all_attributes(lambda body, error: say("all", body, error)))


def call(number, body):
    say("call", number, body)
    device.send_rpc_reply(number, {"echo": body})


device.set_server_side_rpc_request_handler(call)
for telemetry in (
    {"temperature": 41.9, "enabled": False},
    {"ts": 17, "values": {"t": 1}},
    {"ts": 17, "a": 1},
    {"ts": None, "values": {"a": 1}},
    [{"t": 1}, {"h": 2}],
    [{"a": 1}, {"a": 2}],
    [{"ts": 1, "values": {"a": 1}}, {"x": 5}, {"ts": 1, "values": {"b": 1}}],
    {1: 2, None: 3, "é": "ü", "f": 1e22, "g": 1e-7, "h": 0.00001, "i": [1, (2, None)], "j": {"k": True}},
    {"text": 'quote " backslash \\ newline \n tab \t null \x00 bell \x07'},
    {f"k{number}": "x" * 900 for number in range(20)},
    {},
    [],
):
    info = device.send_telemetry(telemetry)
    say("telemetry", info.get() == TBPublishInfo.TB_ERR_SUCCESS, info.rc(), info.mid())
for attributes in ({"a": 1, "b": "x"}, [{"a": 1}, {"b": 2}], {}, '{"a": 2}'):
    say("attributes", device.send_attributes(attributes).get())
say("level 0", device.send_telemetry({"a": 1}, 0).get())
device.request_attributes(["model", "none"], ["limit"], callback=lambda body, error: say("answer", body, error))
device.request_attributes(callback=(lambda body, error, mine: say("answer", body, error, mine), "mine"))
device.send_rpc_call("getTime", {"zone": None}, lambda number, body, error: say("reply", number, body, error))
say("claim", device.claim("s3", 60000).get())
wait()
device.unsubscribe_from_attribute(2)
say("unsubscribed")
wait()
# Its value is left out: the original gives 4 when the server is quick to close.
device.disconnect()
say("disconnect")
device.stop()

gateway = connected(TBGatewayMqttClient(host, port, "GATEWAY_TEST_TOKEN"))
say("none", gateway.gw_subscribe_to_attribute("Pump 1", "a", say))
for info in (
    gateway.gw_connect_device("Pump 1", "pump"),
    gateway.gw_connect_device("Pump 2"),
    gateway.gw_send_telemetry("Pump 1", {"ts": 17, "values": {"rpm": 900}}),
    gateway.gw_send_telemetry("Pump 1", [{"rpm": 1}, {"rpm": 2, "on": True}]),
    gateway.gw_send_attributes("Pump 1", {"model": "X", "n": 1}),
    gateway.gw_disconnect_device("Pump 2"),
):
    say("gateway", info.get(), info.mid())
say("ids", gateway.gw_subscribe_to_attribute("Pump 1", "a", lambda content: say("gw a", content)))
say("ids", gateway.gw_subscribe_to_all_device_attributes("Pump 1", lambda content: say("gw device", content)))
say("ids", gateway.gw_subscribe_to_all_attributes(lambda content: say("gw all", content)))


def gateway_call(client, content):
    say("gw call", content)
    client.gw_send_rpc_reply(content["device"], content["data"]["id"], {"ok": True})


gateway.gw_set_server_side_rpc_request_handler(gateway_call)
gateway.gw_request_shared_attributes("Pump 1", ["a", "b"], lambda content, error: say("gw answer", content, error))
gateway.gw_request_client_attributes("Pump 1", ["model"], lambda content, error: say("gw answer", content, error))
say("claim", gateway.gw_claim("Pump 1", "s", 60000).get())
wait()
gateway.disconnect()
say("disconnect")
gateway.stop()
