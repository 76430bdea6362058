"""Daemon threads in the middle of code that the library calls for them, when the interpreter goes."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest
from harness import PATIENCE

#: What a thread does: each comes from the library to code of the program's own, which calls `slow`.
DOINGS = {
    "a value of telemetry": """
class Value:
    def tolist(self):
        slow()
        return [1]
TBDeviceMqttClient("localhost", 1).send_telemetry({"a": Value()})
""",
    "an attribute": """
class Value(os.PathLike):
    def __fspath__(self):
        slow()
        return "x"
TBDeviceMqttClient("localhost", 1).send_attributes({"a": Value()})
""",
    "a duration": """
class Duration:
    def total_seconds(self):
        slow()
        return 0.0
ttn.MQTTClient("app", "key", "localhost:1").close(timeout=Duration())
""",
    "a callback's signature": """
class Callback:
    @property
    def __signature__(self):
        slow()
        return inspect.signature(lambda msg, client: None)
    def __call__(self, msg, client):
        pass
ttn.MQTTClient("app", "key", "localhost:1").set_uplink_callback(Callback())
""",
    "the program's logging": """
class Filter:
    def filter(self, record):
        slow()
        return True
logging.getLogger("tb_connection").addFilter(Filter())
RateLimit("no limit")
""",
    "the key of a sort": """
device = ttn.Device()
device.lorawan_device.used_dev_nonces.extend([b"ab", b"cd"])
device.lorawan_device.used_dev_nonces.sort(key=lambda nonce: slow() or nonce)
""",
    "a device as a mapping": """
class Keys(dict):
    def items(self):
        slow()
        return super().items()
ttn.ApplicationClient("app", "key", "localhost:1", insecure_channel=True).register_device("node-1", Keys(nonsense=1))
""",
}

PROGRAM = """
import inspect, logging, os, threading, time
DOING = '''{doing}'''
leaving, begun = threading.Event(), threading.Event()

def slow():
    begun.set()
    leaving.wait()
    # Once the interpreter goes, the lock is let go and taken again, as any code does.
    for _ in range(30):
        time.sleep(0.01)
    os.write(1, b"done")
    # Once is enough.
    globals()["slow"] = lambda: None

import atexit
from thingslink import ttn
from thingslink.tb_device_mqtt import RateLimit, TBDeviceMqttClient

# After the handler of the library in order of registration, hence before it at the exit.
atexit.register(leaving.set)
threading.Thread(target=exec, args=(DOING, globals()), daemon=True).start()
assert begun.wait({patience})
"""


@pytest.mark.parametrize("doing", DOINGS)
def test_code_that_the_library_has_called_ends_before_the_interpreter(doing: str) -> None:
    program = PROGRAM.format(doing=textwrap.dedent(DOINGS[doing]), patience=PATIENCE)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "done"), done.stderr
