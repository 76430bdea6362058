"""The command line for devices, on an offline Things Stack V3."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from harness import PATIENCE
from thingslink.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Run = Callable[..., subprocess.CompletedProcess[str]]

OTAA = {"dev_eui": "70B3D57ED0000001", "app_eui": "70B3D57ED00000A1", "app_key": "000102030405060708090A0B0C0D0E0F"}


@pytest.fixture
def stack_sandbox() -> Iterator[Sandbox]:
    with Sandbox(network="v3", insecure=True) as sandbox:
        yield sandbox


@pytest.fixture
def run(stack_sandbox: Sandbox) -> Run:
    def run(*arguments: str, stdin: str = "", **changes: str) -> subprocess.CompletedProcess[str]:
        given = {
            "THINGSLINK_APP_ID": stack_sandbox.app_id,
            "THINGSLINK_ACCESS_KEY": stack_sandbox.access_key,
            "THINGSLINK_HANDLER": stack_sandbox.management_address,
            # What the servers call themselves.
            "THINGSLINK_CLUSTER": "localhost",
            "THINGSLINK_FREQUENCY_PLAN_ID": "EU_863_870_TTN",
            "THINGSLINK_INSECURE": "1",
        }
        command = [sys.executable, "-m", "thingslink", *arguments]
        return subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            env={**os.environ, **given, **changes},
        )

    return run


def test_a_cluster_leads_mqtt_too(run: Run) -> None:
    outcome = run("send", "otaa1", "01", THINGSLINK_CLUSTER="eu9")
    assert outcome.returncode == 2 and 'cluster "eu9" is not valid' in outcome.stderr


def test_devices_go_out_of_one_application_and_into_another(run: Run, stack_sandbox: Sandbox, tmp_path: Path) -> None:
    outcome = run("devices", "list", THINGSLINK_HANDLER="", THINGSLINK_CLUSTER="eu9")
    assert outcome.returncode == 2 and 'cluster "eu9" is not valid' in outcome.stderr
    outcome = run("devices", "list", THINGSLINK_HANDLER="", THINGSLINK_CLUSTER="")
    assert outcome.returncode == 2 and "cluster=" in outcome.stderr
    pairs = [f"--set={name}={value}" for name, value in OTAA.items()]
    assert run("devices", "register", "otaa1", *pairs).stderr == "registered otaa1\n"
    refused = run("devices", "register", "otaa1", *pairs)
    assert refused.returncode != 0 and "already" in refused.stderr
    assert run("devices", "list").stdout.splitlines()[1:] == [f"otaa1,{OTAA['dev_eui']},{OTAA['app_eui']},,"]
    file = str(tmp_path / "devices.json")
    assert run("devices", "export", "--output", file).stderr.startswith("1 devices")
    assert run("devices", "update", "otaa1", "--set", "description=attic").returncode == 0
    assert json.loads(run("devices", "show", "otaa1", "--json").stdout)["description"] == "attic"
    assert run("devices", "delete", "otaa1", "--yes").returncode == 0
    assert run("devices", "import", file).stderr.splitlines()[-1] == "1 of 1 devices registered"
    shown = json.loads(run("devices", "show", "otaa1", "--json").stdout)
    assert {name: shown["lorawan_device"][name] for name in OTAA} == OTAA and stack_sandbox.app_id == shown["app_id"]
