"""One program for both packages: what `connect` and `send` raise. Prints one JSON line each."""

import json
import sys

import ttn

for address in json.loads(sys.argv[1]):
    try:
        ttn.MQTTClient("app", "key", address).connect()
    except Exception as error:
        name = type(error).__name__
        print(json.dumps([address, name, getattr(error, "errno", None), isinstance(error, OSError)]))
    else:
        print(json.dumps([address, "connected"]))

from ttn.utils import json2obj, split_address  # noqa: E402

for text in json.loads(sys.argv[2]):
    try:
        print(json.dumps(["json2obj", text, repr(json2obj(text))]))
    except Exception as error:
        print(json.dumps(["json2obj", text, isinstance(error, ValueError)]))
for address in ("h", "h:1", "a:1:2", "h:x", ""):
    try:
        print(json.dumps(["split", address, split_address(address)]))
    except Exception as error:
        print(json.dumps(["split", address, type(error).__name__]))
