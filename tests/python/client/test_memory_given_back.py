"""Memory that a burst or a large reply has taken is given back to the system."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from harness import PATIENCE

if TYPE_CHECKING:
    from peers import PeerServer

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="this system does not tell what memory a process has"
)


def unknown(size: int) -> bytes:
    """Give a message of about ``size`` bytes, all in one field that no definition has."""
    length = bytearray()
    rest = size
    while rest > 127:
        length.append(rest & 127 | 128)
        rest >>= 7
    return b"\xc2\x3e" + bytes([*length, rest]) + bytes(size)


#: Waits until the process is hardly larger than before. Nothing is asked of the library meanwhile.
FALL = """
import gc, sys, time
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
def fall(before):
    gc.collect()
    until = time.monotonic() + float(sys.argv[1])
    while resident() > before + 16_000_000:
        if time.monotonic() > until:
            sys.exit(f"{before >> 20} MiB before, {resident() >> 20} MiB after")
        time.sleep(0.05)
"""

REPLY = """
from thingslink.ttn import ApplicationClient
client = ApplicationClient("demo-app", "key", sys.argv[2], insecure_channel=True)
client.get()
before = resident()
application = client.get()
assert len(application.SerializeToString()) > 40_000_000
del application
fall(before)
"""

SESSION = """
import threading
from thingslink import ttn
from thingslink.sandbox import Sandbox
with Sandbox() as sandbox:
    names = (sandbox.app_id, sandbox.access_key, sandbox.mqtt_address)
    client = ttn.MQTTClient(*names, qos=1, client_id="store", clean_session=False)
    last = threading.Event()
    client.set_uplink_callback(lambda msg, client: last.set() if msg.counter == 20_000 else None)
    client.connect()
    client.close()
    before = resident()
    device = sandbox.device("node-1")
    for _ in range(20_001):
        device.uplink(bytes(200))
    assert resident() > before + 20_000_000, "too little is kept to see it given back"
    client.connect()
    assert last.wait(60)
    fall(before)
    client.close()
"""


def run(program: str, *arguments: str) -> None:
    child = subprocess.run(
        [sys.executable, "-c", FALL + program, str(PATIENCE / 2), *arguments],
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE,
        check=False,
    )
    assert (child.stderr, child.returncode) == ("", 0)


def test_that_of_a_large_reply(peer: PeerServer) -> None:
    # One long field, and many short ones.
    answers = iter([b"", unknown(45_000_000) + b"\xa0\x06\x01" * 100_000])
    peer.answers["GetApplication"] = lambda _request, _context: next(answers)
    run(REPLY, peer.address)


def test_that_of_a_session_that_was_kept() -> None:
    run(SESSION)
