"""Manages devices as the originals' users do; prints what each call gave.

Arguments: handler address, discovery address, certificate file, application ID, key, and as JSON what else the client
of the application is given on another network, and the client of discovery.
"""

import json
import sys

import ttn

handler_address, discovery_address, certificate_file, app_id, key, *others = sys.argv[1:]
options, of_discovery = (json.loads(text) for text in others or ("{}", "{}"))
with open(certificate_file) as file:
    certificate = file.read()


def tell(name, call):
    try:
        result = call()
    except Exception as error:
        if callable(getattr(error, "code", None)):
            # What discovery raises: gRPC's own error in the original, a RuntimeError with the same methods in ours.
            print(json.dumps([name, "discovery", error.code().name, error.details()]))
        else:
            kind = "RuntimeError" if isinstance(error, RuntimeError) else type(error).__name__
            print(json.dumps([name, kind, list(error.args), str(error)]))
    else:
        print(json.dumps([name, "result", str(result)]))


client = ttn.ApplicationClient(app_id, key, handler_address, certificate, **options)
device = {
    "description": "attic",
    "appEui": "70B3D57ED00000AA",
    "devEui": b"0004A30B00AABBCC",
    "appKey": "000102030405060708090A0B0C0D0E0F",
    "fCntUp": 300,
    "fCntDown": 7,
    "disableFCntCheck": False,
    "uses32BitFCnt": True,
    "latitude": 52.3736,
    "longitude": -4.5,
    "altitude": -3,
    "attributes": {"floor": "2"},
}
tell("get", client.get)
tell("register", lambda: client.register_device("node-1", device))
tell("register again", lambda: client.register_device("node-1", device))
tell("register the same EUIs", lambda: client.register_device("node-2", device))
tell("device", lambda: client.device("node-1"))
tell("positional", lambda: client.device("node-1").lorawan_device.dev_eui)
tell("update", lambda: client.update_device("node-1", {"description": "cellar", "attributes": {"room": "é"}}))
tell("device after the update", lambda: client.device("node-1"))
tell("devices", lambda: client.devices())
tell("first of the devices", lambda: client.devices()[0].dev_id)
tell("slice", lambda: client.devices()[0:1])
tell("no device", lambda: client.device("none-1"))
tell("update of no device", lambda: client.update_device("none-1", {"description": "x"}))
tell("delete of no device", lambda: client.delete_device("none-1"))
tell("delete", lambda: client.delete_device("node-1"))
tell("devices after the delete", lambda: client.devices())
tell("format", lambda: client.set_payload_format("cayennelpp"))
tell("get after the format", client.get)
client.app_access_key = "wrong"
tell("wrong key", client.get)
tell("wrong key for devices", client.devices)
tell("wrong key for one", lambda: client.register_device("node-3", {}))
client.app_access_key = key
tell("unregister", client.unregister)
tell("get of an unregistered one", client.get)
discovery = ttn.DiscoveryClient(discovery_address, certificate.encode(), **of_discovery)
tell("get_by_app_id", lambda: discovery.get_by_app_id("none-app"))
tell("handlers", lambda: [handler.id for handler in discovery.get_all("handler")])
tell("one", lambda: discovery.get("router", "sandbox-router").service_name)
away = ttn.ApplicationClient(app_id, key, "localhost:1", certificate, **options)
tell("nobody there", away.get)
tell("nobody there for devices", away.devices)
tell("no certificate", lambda: ttn.ApplicationClient(app_id, key, "localhost:1", **options))
