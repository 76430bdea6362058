"""The garbage collector comes in the middle of things: it may run at each object that is made."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Makes an object, with a collection at the first of the objects that this takes, then at the second, and so on.
MAKING = """
import gc
from thingslink import _native, aio, ttn
from thingslink.sandbox import Sandbox, ThingsBoard
from thingslink.tb_device_mqtt import TBDeviceMqttClient
from thingslink.tb_gateway_mqtt import TBGatewayMqttClient
from thingslink.ttnmqtt import v1, v2

class Own(ttn.MQTTClient):
    pass

login = ("demo-app", "key", "127.0.0.1:1")
collections = []
gc.callbacks.append(lambda phase, _: collections.append(phase))
gc.freeze()
for place in range(1, 100_000):
    gc.set_threshold(0)
    held = []
    gc.collect()
    # Where a dictionary can be had from those that were given up before, none is made.
    held = [{} for _ in range(200)]
    collections.clear()
    gc.set_threshold(gc.get_count()[0] + place)
    made = {making}
    gc.set_threshold(0)
    if not collections:
        break
    del made
assert place > 1, "nothing was collected"
assert not collections
print("made", place)
"""


@pytest.mark.parametrize(
    "making",
    [
        "ttn.MQTTClient(*login)",
        "Own(*login)",
        "v1.MQTTClient('demo-app', '70B3D57ED00000AA', 'key')",
        "v2.MQTTClient(*login)",
        "ttn.ApplicationClient(*login, insecure_channel=True)",
        "ttn.DiscoveryClient('127.0.0.1:1')",
        "TBDeviceMqttClient('127.0.0.1', 1, 'T')",
        "TBGatewayMqttClient('127.0.0.1', 1, 'T')",
        "_native.DeviceClient.__new__(_native.DeviceClient)",
        "_native.GatewayClient.__new__(_native.GatewayClient)",
        "aio.MQTTClient(*login)",
        "aio.MQTTClient(*login).uplinks()",
        "aio.TBDeviceMqttClient('127.0.0.1', 1, 'T')",
        "aio.TBGatewayMqttClient('127.0.0.1', 1, 'T')",
        "Sandbox('demo-app')",
        "ThingsBoard()",
    ],
)
def test_a_collection_in_the_middle_of_making_an_object_does_no_harm(making: str) -> None:
    program = [sys.executable, "-X", "faulthandler", "-c", MAKING.replace("{making}", making)]
    run = subprocess.run(program, capture_output=True, text=True, timeout=50, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("made "), run.stdout
