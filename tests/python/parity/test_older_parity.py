"""The same programs under `ttnmqtt` 0.8.4 and 0.9.4 and under thingslink: what they print, and what the server got.

Differences on purpose: ours subscribes to its own application only (seen nowhere here), and says `DISCONNECTED` once.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from harness import PATIENCE
from thingslink.sandbox import Sandbox

ROOT = Path(__file__).parent.parent.parent.parent
SCRIPTS = Path(__file__).parent / "scripts"
UPLINKS = [
    '{"dev_id": "node-1", "port": 1}',
    '{"dev_id": "node-1", "payload_fields": {"class": [1, null]}}',
    '{"dev_id": "é"}',
]

DOWNLINK = '{"port": 1, "confirmed": false, "payload_raw": "AA=="}'


def original(version: str) -> str:
    python = ROOT / ".venvs" / f"ttnmqtt-{version}" / "bin" / "python"
    probe = [str(python), "-c", "import ttnmqtt"]
    if not python.exists() or subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        pytest.skip(f"the ttnmqtt package {version} is not installed in .venvs (make originals)")
    return str(python)


def run(command: list[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Run a program against a sandbox; give what it printed and what it published."""
    with Sandbox() as sandbox:
        sandbox.device("node-1")
        follower = sandbox.follow()
        host, port = sandbox.mqtt_address.split(":")
        arguments = [host, port, sandbox.access_key]
        process = subprocess.Popen([*command, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        published: list[tuple[str, str]] = []

        def until(kind: str) -> dict[str, Any]:
            while (entry := follower.next(PATIENCE)) is not None and entry["kind"] != kind:
                pass
            assert entry is not None, f"no {kind}"
            return entry

        assert process.stdin
        until("subscribed")
        for text in UPLINKS:
            sandbox.publish_raw("demo-app/devices/node-1/up", text.encode())
        process.stdin.write("uplinks are out\n")
        process.stdin.flush()
        entry = until("published")
        published.append((entry["topic"], entry["payload"].decode()))
        process.stdin.write("end\n")
        output, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        return output.splitlines(), published


@pytest.mark.parametrize(("version", "script"), [("0.8.4", "buffer.py"), ("0.9.4", "callbacks.py")])
def test_what_is_printed_and_sent_agrees(version: str, script: str) -> None:
    theirs, their_messages = run([original(version), "-W", "ignore", str(SCRIPTS / script)])
    ours, our_messages = run([sys.executable, "-m", "thingslink", "run", str(SCRIPTS / script)])
    assert our_messages == their_messages == [("demo-app/devices/node-1/down", DOWNLINK)]
    if version == "0.9.4":
        # It left out the message ID that releases before it printed; ours prints it.
        ours = ["MSG PUBLISHED" if line.startswith("MSG PUBLISHED ") else line for line in ours]
    # Threads print at will: the lines are the same, their order is not promised.
    assert sorted(set(ours)) == sorted(set(theirs))
    assert len(ours) > 8
