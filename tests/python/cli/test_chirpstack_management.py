"""The command line for devices, on an offline ChirpStack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from chirpstack_peer import token
from harness import PATIENCE
from thingslink.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Run = Callable[..., subprocess.CompletedProcess[str]]

OTAA = {"dev_eui": "70B3D57ED0000001", "app_eui": "70B3D57ED00000A1", "app_key": "000102030405060708090A0B0C0D0E0F"}
ABP = {
    "dev_eui": "70B3D57ED0000002",
    "dev_addr": "260B0001",
    "nwk_s_key": "000102030405060708090A0B0C0D0E0F",
    "app_s_key": "0F0E0D0C0B0A09080706050403020100",
}


@pytest.fixture
def plant() -> Iterator[Sandbox]:
    with Sandbox(network="chirpstack") as sandbox:
        yield sandbox


@pytest.fixture
def run(plant: Sandbox) -> Run:
    def run(*arguments: str, stdin: str = "", **changes: str) -> subprocess.CompletedProcess[str]:
        given = {
            "THINGSLINK_APP_ID": plant.app_id,
            "THINGSLINK_ACCESS_KEY": plant.access_key,
            "THINGSLINK_HANDLER": plant.management_address,
            "THINGSLINK_MQTT": plant.mqtt_address,
            "THINGSLINK_TENANT_ID": plant.tenant_id,
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


def test_devices_and_their_queues(run: Run, plant: Sandbox) -> None:
    described = [f"--set={name}={value}" for name, value in OTAA.items()]
    outcome = run("devices", "register", "soil_03", *described)
    assert outcome.returncode == 0, outcome.stderr
    shown = json.loads(run("devices", "show", "soil_03", "--format", "json").stdout)
    assert (shown["dev_id"], shown["dev_eui"].lower()) == ("soil_03", OTAA["dev_eui"].lower())
    assert "soil_03" in run("devices", "list").stdout
    # The API's answer is the proof.
    outcome = run("send", "soil_03", "0102", "--port", "3")
    assert (outcome.returncode, outcome.stderr) == (0, "scheduled: the downlink to soil_03\n")
    assert plant.device("soil_03").downlinks == [b"\x01\x02"]
    outcome = run("send", "nobody", "01")
    assert outcome.returncode == 5 and 'no device "nobody"' in outcome.stderr and "Traceback" not in outcome.stderr
    assert run("devices", "delete", "soil_03", "--yes").returncode == 0
    assert plant.devices() == []


def test_an_application_s_functions(run: Run, plant: Sandbox, tmp_path: Path) -> None:
    plant.device("soil_03")
    script = tmp_path / "decoder.js"
    script.write_text("function Decoder(bytes, port) { return {level: bytes[0]}; }")
    assert run("app", "set", "--decoder", str(script)).returncode == 0
    shown = json.loads(run("app", "show", "--format", "json").stdout)
    assert (shown["payload_format"], shown["decoder"]) == ("custom", script.read_text())
    outcome = run("app", "set", "--payload-format", "cayennelpp", "--device-profile", "nobody")
    assert outcome.returncode == 2 and 'profile "nobody" is not valid' in outcome.stderr


def test_an_export_of_v2_and_of_the_stack_is_migrated(run: Run, plant: Sandbox, tmp_path: Path) -> None:
    devices = [
        {"dev_id": "soil_03", **OTAA, "attributes": {"room": "b2"}, "frequency_plan_id": "EU_863_870_TTN"},
        {"dev_id": "soil_04", **ABP, "lorawan_version": "MAC_V1_0_3"},
        {"dev_id": "soil_05", "dev_eui": "70B3D57ED0000003"},
    ]
    file = tmp_path / "devices.json"
    file.write_text(json.dumps(devices))
    outcome = run("migrate", "devices", str(file), "--dry-run")
    assert "2 of 3 devices to register, 0 were there already, 1 failed" in outcome.stderr
    assert plant.devices() == []
    outcome = run("migrate", "devices", str(file))
    assert outcome.returncode == 1 and "2 of 3 devices registered" in outcome.stderr
    assert plant.devices() == ["soil_03", "soil_04"]
    outcome = run("migrate", "devices", str(file))
    assert "0 of 3 devices registered, 2 were there already" in outcome.stderr
    plant.device("soil_04").uplink(b"\x01")
    exported = json.loads(run("devices", "export").stdout)
    assert [device["dev_id"] for device in exported] == ["soil_03", "soil_04"]
    assert exported[0]["attributes"] == {"room": "b2"} and exported[0]["app_key"].lower() == OTAA["app_key"].lower()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"THINGSLINK_HANDLER": ""}, "--handler HOST:PORT, the address of ChirpStack's API"),
        ({"THINGSLINK_TENANT_ID": ""}, "together with tenant_id"),
        ({"THINGSLINK_NETWORK": "lora"}, "expected v2, v3 or chirpstack"),
    ],
)
def test_what_is_missing_is_named(run: Run, changes: dict[str, str], words: str) -> None:
    outcome = run("devices", "list", **{"THINGSLINK_ACCESS_KEY": token(), **changes})
    assert outcome.returncode == 2 and words in outcome.stderr and token() not in outcome.stderr


def test_the_network_is_told_by_key_application_and_word(run: Run, plant: Sandbox) -> None:
    plant.device("soil_03")
    for changes in (
        {"THINGSLINK_APP_ID": plant.application_id, "THINGSLINK_TENANT_ID": ""},
        {"THINGSLINK_NETWORK": "chirpstack"},
    ):
        assert "soil_03" in run("devices", "list", **changes).stdout
    outcome = run("send", "soil_03", "01", THINGSLINK_MQTT="")
    assert outcome.returncode == 2 and "the broker that ChirpStack publishes to" in outcome.stderr
    outcome = run("bridge", "--network", "chirpstack", "--nats", "nats://127.0.0.1:1")
    assert outcome.returncode == 2 and "no bridge carries messages of ChirpStack" in outcome.stderr


def test_the_broker_alone_will_do_and_has_users_of_its_own(plant: Sandbox, run: Run, tmp_path: Path) -> None:
    plant.add_mqtt_user("reader", "s3cret")
    device = plant.device("soil-03")
    alone = {"THINGSLINK_APP_ID": plant.application_id, "THINGSLINK_ACCESS_KEY": "", "THINGSLINK_HANDLER": ""}
    alone["THINGSLINK_TENANT_ID"] = ""
    refused = run("health", **alone)
    assert refused.returncode == 4 and "s3cret" not in refused.stderr
    outcome = run("health", "--mqtt-username", "reader", **alone, THINGSLINK_MQTT_PASSWORD="s3cret")
    assert outcome.returncode == 0 and "logged in as" in outcome.stdout, outcome.stderr
    password = tmp_path / "password"
    password.write_text("s3cret\n")
    password.chmod(0o600)
    user = ("--mqtt-username", "reader", "--mqtt-password-file", str(password))
    sent = run("send", device.dev_eui, "02", *user, **alone)
    assert (sent.returncode, sent.stderr) == (0, f"written: the downlink to {device.dev_eui}\n")
    plant.wait_for(lambda: device.downlinks)
    wrong = run("uplinks", "--network", "v2", *user, THINGSLINK_APP_ID="demo-app", THINGSLINK_ACCESS_KEY="key")
    assert wrong.returncode == 2 and "mqtt_username" in wrong.stderr


def test_a_server_may_write_its_topics_in_a_way_of_its_own(run: Run) -> None:
    command = "acme/{{application_id}}/{{dev_eui}}/{{command}}"
    with Sandbox(network="chirpstack", seed=0, command_topic=command) as plant:
        device = plant.device("soil-03")
        here = {"THINGSLINK_APP_ID": plant.application_id, "THINGSLINK_MQTT": plant.mqtt_address}
        here |= {"THINGSLINK_ACCESS_KEY": "", "THINGSLINK_HANDLER": "", "THINGSLINK_TENANT_ID": ""}
        sent = run("send", device.dev_eui, "02", "--command-topic", command, **here)
        assert sent.returncode == 0, sent.stderr
        plant.wait_for(lambda: device.downlinks == [b"\x02"])
        wrong = run("uplinks", "--event-topic", "acme/#", **here)
        assert wrong.returncode == 2 and "event_topic" in wrong.stderr
