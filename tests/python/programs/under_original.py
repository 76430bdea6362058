"""Runs a program over the original package, whose default addresses are replaced: the public network is no more.

Arguments: discovery address, MQTT address, the program and its arguments.
"""

import os
import runpy
import sys


def lead(function, old, new):
    """Replace a default of a function's parameter."""
    function.__defaults__ = tuple(new if value == old else value for value in function.__defaults__ or ())


discovery, mqtt, script = sys.argv[1:4]
sys.argv = sys.argv[3:]
sys.path[0] = os.path.dirname(os.path.abspath(script))
try:
    import ttn

    for made in (ttn.MQTTClient, ttn.HandlerClient, ttn.ApplicationClient, ttn.DiscoveryClient):
        lead(made.__init__, "discovery.thethings.network:1900", discovery)
except ImportError:
    pass
try:
    from ttnmqtt import MQTTClient

    host, port = mqtt.split(":")
    lead(MQTTClient.connect, "eu.thethings.network", host)
    lead(MQTTClient.connect, 1883, int(port))
except ImportError:
    pass
runpy.run_path(script, run_name="__main__")
