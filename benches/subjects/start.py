"""The smallest program that receives uplinks or manages devices, with either package: what its start costs."""

import _thread
import os
import sys
import time

MODULE, ADDRESS, *CERTIFICATE = sys.argv[1:]
START = time.perf_counter()
ttn = __import__(MODULE)
IMPORTED = time.perf_counter() - START
if CERTIFICATE:
    with open(CERTIFICATE[0]) as file:  # noqa: PTH123 - nothing is imported that such a program would not
        client = ttn.ApplicationClient("orchard-app", "key", ADDRESS, file.read())
    client.device("node-00000")
else:
    connected = _thread.allocate_lock()
    connected.acquire()
    client = ttn.MQTTClient("orchard-app", "key", ADDRESS)
    client.set_connect_callback(lambda res, client: connected.release())
    client.connect()
    connected.acquire()
with open("/proc/self/statm") as statm:  # noqa: PTH123
    RESIDENT = int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6
print(f'{{"import_ms": {IMPORTED * 1e3}, "resident_mb": {RESIDENT}}}')
