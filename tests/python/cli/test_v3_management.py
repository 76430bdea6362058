"""The command line for devices, on an offline Things Stack V3."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from harness import PATIENCE
from thingslink.cli import stack_file
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
    outcome = run("send", "otaa1", "01", THINGSLINK_CLUSTER="")
    assert outcome.returncode == 2 and "needs cluster=" in outcome.stderr


def test_downlinks_are_sent(run: Run, stack_sandbox: Sandbox) -> None:
    device = stack_sandbox.device("node-1")
    mqtt = {"THINGSLINK_MQTT": stack_sandbox.mqtt_address}
    for payload, schedule in (("01", "replace"), ("02", "last"), ("03", "first")):
        outcome = run("send", "node-1", payload, "--port", "7", "--schedule", schedule, **mqtt)
        assert (outcome.returncode, outcome.stderr) == (0, "scheduled: the downlink to node-1\n")
    assert device.downlinks == [b"\x03", b"\x01", b"\x02"]
    outcome = run("send", "nobody", "01", "--schedule", "first", **mqtt)
    assert outcome.returncode != 0 and "the downlink to" not in outcome.stderr and "Traceback" not in outcome.stderr


def test_a_downlink_that_nobody_queues_is_not_sent(run: Run, stack_sandbox: Sandbox) -> None:
    mqtt = {"THINGSLINK_MQTT": stack_sandbox.mqtt_address}
    assert run("send", "nobody", "01", **mqtt).returncode == 5
    outcome = run("send", "nobody", "01", "--no-check", **mqtt)
    assert outcome.returncode == 5 and "devices list" in outcome.stderr
    assert 'there is no device "nobody"' in outcome.stderr
    assert "the downlink to" not in outcome.stderr and "Traceback" not in outcome.stderr


def test_uplinks_are_followed(run: Run, stack_sandbox: Sandbox) -> None:
    device = stack_sandbox.device("node-1")
    mqtt = {"THINGSLINK_MQTT": stack_sandbox.mqtt_address}
    with ThreadPoolExecutor(1) as threads:
        outcome = threads.submit(run, "uplinks", "--count", "2", "--format", "json", **mqtt)
        stack_sandbox.wait_for(
            lambda: any(entry["kind"] == "subscribed" for entry in stack_sandbox.journal), timeout=PATIENCE
        )
        device.uplink(b"\x01\x02", port=5, fields={"t": 1.5})
        device.uplink(b"\x03")
        followed = outcome.result(PATIENCE)
    assert followed.returncode == 0, followed.stderr
    first, second = map(json.loads, followed.stdout.splitlines())
    assert (first["dev_id"], first["counter"], first["port"], first["payload"]) == ("node-1", 0, 5, "0102")
    assert first["fields"] == {"t": 1.5} and first["gateway"] and first["rssi"] < 0
    assert (second["counter"], second["payload"]) == (1, "03")


def test_the_application_is_shown_and_changed(run: Run, tmp_path: Path) -> None:
    decoder = tmp_path / "decoder.js"
    decoder.write_text("function Decoder(bytes, port) { return {n: bytes.length}; }")
    assert run("app", "set", "--payload-format", "custom", "--decoder", str(decoder)).returncode == 0
    shown = json.loads(run("app", "show", "--json").stdout)
    assert (shown["payload_format"], shown["decoder"]) == ("custom", decoder.read_text())


def test_devices_go_out_of_one_application_and_into_another(run: Run, stack_sandbox: Sandbox, tmp_path: Path) -> None:
    outcome = run("devices", "list", THINGSLINK_HANDLER="", THINGSLINK_CLUSTER="eu9")
    assert outcome.returncode == 2 and 'cluster "eu9" is not valid' in outcome.stderr
    outcome = run("devices", "list", THINGSLINK_HANDLER="", THINGSLINK_CLUSTER="")
    assert outcome.returncode == 2 and "cluster=" in outcome.stderr
    pairs = [f"--set={name}={value}" for name, value in OTAA.items()]
    warned, registered = run("devices", "register", "otaa1", *pairs).stderr.splitlines()
    assert warned.startswith("warning: others see the app_key") and OTAA["app_key"] not in warned
    assert registered == "registered otaa1"
    refused = run("devices", "register", "otaa1", *pairs)
    assert refused.returncode != 0 and "already" in refused.stderr
    assert run("devices", "list").stdout.splitlines()[1:] == [f"otaa1,{OTAA['dev_eui']},{OTAA['app_eui']},,"]
    file = str(tmp_path / "devices.json")
    assert run("devices", "export", "--output", file).stderr.startswith("1 devices")
    assert run("devices", "update", "otaa1", "--set", "description=attic").returncode == 0
    assert json.loads(run("devices", "show", "otaa1", "--json").stdout)["description"] == "attic"
    assert run("devices", "delete", "otaa1", "--yes").returncode == 0
    assert run("devices", "import", file).stderr.splitlines()[-1] == "1 of 1 devices registered, 0 replaced, 0 failed"
    # What the network refuses is no success of a dry run either.
    for more, code, words in (([], 1, "0 replaced, 1 failed"), (["--update"], 0, "1 updated, 0 failed")):
        dry = run("devices", "import", file, "--dry-run", *more)
        done = run("devices", "import", file, *more)
        assert (dry.returncode, done.returncode) == (code, code) and words in done.stderr
        assert dry.stderr.splitlines()[0].startswith(done.stderr.splitlines()[0].split(" devices")[0])
    shown = json.loads(run("devices", "show", "otaa1", "--json").stdout)
    assert {name: shown["lorawan_device"][name] for name in OTAA} == OTAA and stack_sandbox.app_id == shown["app_id"]


V2_EXPORT = """\
dev_id,dev_eui,app_eui,dev_addr,app_key,nwk_s_key,app_s_key,activation_constraints,disable_f_cnt_check,description
otaa1,70B3D57ED0000001,70B3D57ED00000A1,26011234,000102030405060708090A0B0C0D0E0F,AA,BB,local,true,attic
abp1,,,26011235,,11111111111111111111111111111111,22222222222222222222222222222222,local,false,
no_de,70B3D57ED0000003,70B3D57ED00000A1,,000102030405060708090A0B0C0D0E0F,,,,,
bad1,70B3,70B3D57ED00000A1,,000102030405060708090A0B0C0D0E0F,,,,,
flag1,,,,,,,,perhaps,
otaa1,70B3D57ED0000004,70B3D57ED00000A1,,000102030405060708090A0B0C0D0E0F,,,,,
"""
SECRETS = ("000102030405060708090A0B0C0D0E0F", "1111111111111111", "2222222222222222")


def test_devices_of_v2_are_migrated_after_a_dry_run(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "devices.csv"
    file.write_text(V2_EXPORT)
    rows = ["otaa1,OTAA,70B3D57ED0000001,70B3D57ED00000A1,,", "abp1,ABP,,,26011235,"]
    wrong = [
        "line 4: no_de: dev_id \"no_de\" is not valid: expected an ID without '_'",
        "line 5: bad1: ",
        "line 6: disable_f_cnt_check 'perhaps' is not valid",
        "line 7: otaa1: the file has this dev_id twice",
    ]

    def check(outcome: subprocess.CompletedProcess[str], summary: str, outcomes: list[str]) -> None:
        assert outcome.returncode == 1, outcome.stderr
        assert outcome.stdout.splitlines()[1:3] == [row + word for row, word in zip(rows, outcomes, strict=True)]
        first, *errors = outcome.stderr.splitlines()
        assert first == summary
        assert all(told.startswith(words) for told, words in zip(errors, wrong, strict=True)), errors
        assert not any(secret in outcome.stdout + outcome.stderr for secret in SECRETS)

    dry = run("migrate", "devices", str(file), "--dry-run")
    check(dry, "2 of 6 devices to register, 0 were there already, 4 failed", ["to be registered"] * 2)
    assert run("devices", "list").stdout.splitlines()[1:] == []
    done = run("migrate", "devices", str(file))
    check(done, "2 of 6 devices registered, 0 were there already, 4 failed", ["registered"] * 2)
    shown = json.loads(run("devices", "show", "otaa1", "--json").stdout)
    assert shown["description"] == "attic"
    # It joins anew: its old network's address is not heard there.
    assert shown["lorawan_device"]["app_key"] == OTAA["app_key"] and "dev_addr" not in shown["lorawan_device"]
    assert json.loads(run("devices", "show", "abp1", "--json").stdout)["lorawan_device"]["dev_addr"] == "26011235"
    again = run("migrate", "devices", str(file))
    wrong.pop()
    rows_before = "0 of 6 devices registered, 3 were there already, 3 failed"
    check(again, rows_before, ["registered already"] * 2)


STACK_EXPORT = """
{"ids": {"device_id": "node_1", "dev_eui": "70B3D57ED0000001", "join_eui": "70B3D57ED00000A1"}, "name": "Attic",
 "lorawan_version": "MAC_V1_0_3", "lorawan_phy_version": "PHY_V1_0_3_REV_A", "frequency_plan_id": "US_902_928_FSB_2",
 "supports_join": true, "root_keys": {"app_key": {"key": "000102030405060708090A0B0C0D0E0F"}},
 "mac_settings": {"rx1_delay": {"value": "RX_DELAY_1"}, "supports_32_bit_f_cnt": {"value": true},
  "factory_preset_frequencies": ["868100000"], "class_c_timeout": "5s"},
 "locations": {"user": {"latitude": 52.5, "longitude": 4.5}},
 "session": {"dev_addr": "26011234", "keys": {"f_nwk_s_int_key": {"key": "11111111111111111111111111111111"},
  "app_s_key": {"key": "22222222222222222222222222222222"}}, "last_f_cnt_up": 7, "last_n_f_cnt_down": 3}}
{"ids": {"device_id": "node-2"}, "mac_settings": {"rx1_delay": "soon"}}
"""


def test_the_file_of_the_stack_s_own_tool_is_read(run: Run) -> None:
    outcome = run("migrate", "devices", "-", "--fix-ids", "--keep-sessions", stdin=STACK_EXPORT)
    assert outcome.returncode == 1 and not any(secret in outcome.stdout + outcome.stderr for secret in SECRETS)
    assert outcome.stderr.splitlines()[1] == (
        "line 10: mac_settings.rx1_delay 'soon' is not valid: expected a number, or a name that ends with one"
    )
    shown = json.loads(run("devices", "show", "node-1", "--json").stdout)
    assert (shown["latitude"], shown["longitude"]) == (52.5, 4.5)
    lorawan = shown["lorawan_device"]
    assert lorawan["dev_addr"] == "26011234"
    assert lorawan["app_key"] == OTAA["app_key"] and lorawan["nwk_s_key"] == "1" * 32
    # The offline network counts frames itself.
    device = stack_file.read(json.loads(STACK_EXPORT.partition('\n{"ids": {"device_id": "node-2"')[0]))
    assert (device["f_cnt_up"], device["f_cnt_down"], device["frequency_plan_id"]) == (7, 3, "US_902_928_FSB_2")
    assert device["mac_settings"] == {
        "rx1_delay": 1,
        "supports_32_bit_f_cnt": True,
        "factory_preset_frequencies": [868100000],
        "class_c_timeout": 5.0,
    }


def test_a_migration_that_cannot_begin_says_why(run: Run) -> None:
    missing = run("migrate", "devices", "nowhere.csv")
    assert missing.returncode != 0 and "nowhere.csv" in missing.stderr
    jobs = run("migrate", "devices", "-", "--jobs", "0", stdin="[]")
    assert jobs.returncode == 2 and "--jobs: '0' is not valid: expected a whole number, 1 or more" in jobs.stderr
    refused = run("migrate", "devices", "-", stdin="[]", THINGSLINK_ACCESS_KEY="NNSXS.A.B")
    assert refused.returncode == 4 and "NNSXS.A.B" not in refused.stderr
