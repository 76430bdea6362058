"""Bridges and NATS servers that are killed in the middle of their work: for a test and for `make soak`."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from harness import PATIENCE
from nats_server import NatsServer, look

if TYPE_CHECKING:
    from thingslink.sandbox import Sandbox

STREAM = "THINGS_demo-app"


class Report(NamedTuple):
    """What a run has come to."""

    sent: int
    stored: int
    lost: int
    duplicates: int
    backwards: int
    """Messages behind a later one of their device."""
    kills: dict[str, int]


def _start(sandbox: Sandbox, server: NatsServer, name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "thingslink", "bridge", "--app", sandbox.app_id, "--mqtt", sandbox.mqtt_address]
    command += ["--nats", server.address, "--name", name, "--max-bytes", "256M"]
    environment = {**os.environ, "THINGSLINK_ACCESS_KEY": sandbox.access_key}
    bridge = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert bridge.stderr is not None
    while "carrying" not in (line := bridge.stderr.readline()):
        assert line, "the bridge does not start"
    return bridge


def run(sandbox: Sandbox, server: NatsServer, *, rounds: int, devices: int, bridges: int, seed: int) -> Report:
    """Send numbered uplinks, kill whatever it is at random points, and count."""
    chance = random.Random(seed)
    running = [_start(sandbox, server, f"bridge-{number}") for number in range(bridges)]
    sent: dict[str, int] = defaultdict(int)
    kills = {"bridge": 0, "server": 0}

    def send(count: int) -> None:
        for _ in range(count):
            dev_id = f"dev-{chance.randrange(devices)}"
            sandbox.device(dev_id).uplink(b"\x05")
            sent[dev_id] += 1

    try:
        for each in range(rounds):
            send(chance.randrange(100, 400))
            if each % 2:
                kills["server"] += 1
                server.kill()
                send(chance.randrange(100, 200))
                server.start()
            else:
                kills["bridge"] += 1
                victim = chance.randrange(bridges)
                running[victim].kill()
                running[victim].communicate()
                send(chance.randrange(100, 200))
                running[victim] = _start(sandbox, server, f"bridge-{victim}")
        total = sum(sent.values())
        deadline = time.monotonic() + PATIENCE * 3
        while len(stored := _uplinks(server)) < total and time.monotonic() < deadline:
            time.sleep(0.1)
    finally:
        for bridge in running:
            bridge.terminate()
            bridge.communicate(timeout=PATIENCE)
    return _count(sent, stored, kills)


def _uplinks(server: NatsServer) -> list[tuple[str, int]]:
    found = []
    for each in look(server, STREAM):
        if each.subject.endswith(".up"):
            body = json.loads(each.body)
            found.append((body["dev_id"], body["counter"]))
    return found


def _count(sent: dict[str, int], stored: list[tuple[str, int]], kills: dict[str, int]) -> Report:
    seen: dict[str, list[int]] = defaultdict(list)
    duplicates = backwards = 0
    for dev_id, counter in stored:
        if counter in seen[dev_id]:
            duplicates += 1
            continue
        backwards += bool(seen[dev_id]) and counter < seen[dev_id][-1]
        seen[dev_id].append(counter)
    lost = sum(count - len(seen[dev_id]) for dev_id, count in sent.items())
    return Report(sum(sent.values()), len(stored), lost, duplicates, backwards, kills)
