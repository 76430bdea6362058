"""Kill -9 of bridges and of the NATS server; what the page on scale-out tells."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from killing import run
from nats_server import NatsServer, nats_binary, publish
from thingslink.bridge import Bridge
from thingslink.sandbox import Sandbox

ROOT = Path(__file__).parent.parent.parent.parent
PAGE = ROOT / "docs" / "scale-out.md"
EXAMPLES = ROOT / "examples" / "nats"


@pytest.mark.parametrize("bridges", [1, 2])
def test_nothing_is_lost_when_bridge_and_server_are_killed(
    bridges: int, sandbox: Sandbox, nats_server: NatsServer
) -> None:
    report = run(sandbox, nats_server, rounds=2, devices=50, bridges=bridges, seed=bridges)
    assert (report.lost, report.duplicates) == (0, 0), report
    assert report.backwards == 0 or bridges > 1, report


def test_each_test_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text(encoding="utf-8")))
    folders = [Path(__file__).parent, Path(__file__).parents[1] / "shared"]
    tests = [path for folder in folders for path in folder.glob("test_*.py")]
    sources = "".join(path.read_text(encoding="utf-8") for path in tests)
    assert named and not [name for name in named if f"def {name}(" not in sources]


def test_bridges_have_the_rights_of_the_example_and_workers_no_more(
    sandbox: Sandbox, tmp_path: Path, eventually: Any
) -> None:
    accounts = (EXAMPLES / "accounts.conf").read_text().replace("my-app", sandbox.app_id)
    passwords = {"BRIDGE": "b-secret", "WORKER": "w-secret", "OPERATOR": "o-secret"}
    for user, value in passwords.items():
        accounts = accounts.replace(f"$THINGS_{user}_PASSWORD", f'"{value}"')
    with NatsServer(nats_binary(), tmp_path / "nats", accounts) as server:
        options: dict[str, Any] = {"name": "one", "max_bytes": 1 << 28, "nats_user": "bridge"}
        arguments = (sandbox.app_id, sandbox.access_key, sandbox.mqtt_address, server.address)
        with Bridge(*arguments, **options, nats_password="b-secret") as bridge:
            device = sandbox.device("dev-0")
            device.uplink(b"\x05")
            worker: dict[str, Any] = {"user": "worker", "password": "w-secret"}
            publish(server, "things.demo-app.dev-0.down.push", b'{"port":2,"payload_raw":"AQ=="}', **worker)
            eventually(lambda: bridge.stats()["published"] >= 2 and bridge.stats()["downlinks"] == 1)
            device.uplink(b"\x05")
            assert device.next_downlink().payload == b"\x01"
            with pytest.raises(Exception, match=r"(?i)permission|timeout"):
                publish(server, "things.demo-app.dev-0.up", b"{}", timeout=0.5, **worker)


@pytest.mark.parametrize("name", ["single.conf", "cluster.conf"])
def test_the_configurations_are_ones(name: str) -> None:
    passwords = {f"THINGS_{user}_PASSWORD": "x" for user in ("BRIDGE", "WORKER", "OPERATOR")}
    environment = {**os.environ, **passwords, "THINGS_NODE": "n1"}
    tried = subprocess.run(
        [nats_binary(), "-t", "-c", name], cwd=EXAMPLES, env=environment, capture_output=True, text=True, check=False
    )
    assert tried.returncode == 0, tried.stderr
