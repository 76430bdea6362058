"""The program that manages devices on V2, on The Things Stack V3 and on ChirpStack: with another key and address, and
what else a network has to be told, it prints the same, line by line, but for what is listed here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from harness import PATIENCE
from parity_program import SCRIPTS
from thingslink.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

NETWORKS = ("v3", "chirpstack")


class Without(NamedTuple):
    """What V2 gave, without these fields of a device."""

    fields: tuple[str, ...]

    def of(self, outcome: list[Any]) -> list[Any]:
        kind, text = outcome
        assert all(f" {field}: " in text for field in self.fields)
        lines = [line for line in text.split("\n") if line.strip().split(":")[0] not in self.fields]
        return [kind, "\n".join(lines)]


def gave(text: str) -> list[Any]:
    """What the program prints of a result."""
    return ["result", text]


def raised(kind: str, *args: str) -> list[Any]:
    """What the program prints of an exception."""
    return [kind, list(args), args[0] if len(args) == 1 else str(args)]


#: Of a session, which a device has when it has joined; and who may activate it, which V2 alone asks.
OF_V2 = ("dev_addr", "nwk_s_key", "app_s_key", "activation_constraints")
COUNTERS = ("f_cnt_up", "f_cnt_down")
NO_SESSION = (
    "a device that has not joined has no session, and so no counters, while V2 keeps one of zeros; and V2 alone "
    "restricts activations"
)
#: What is said of that.
WARNED = (
    "node-1 keeps no f_cnt_up and no f_cnt_down: a device has a session by dev_addr, nwk_s_key and app_s_key together, "
    "or once it has joined\n"
)
ON_ITS_OWN = "no server is asked: the client answers with what it was given"
#: What a step gives where that differs from V2, and why.
DEVICES: dict[str, tuple[dict[str, Any], str]] = {
    "register again": (
        dict.fromkeys(NETWORKS, raised("RuntimeError", "Error when updating the", " device: ALREADY_EXISTS")),
        "V2 replaces a device, the others refuse it",
    ),
    "device": (dict.fromkeys(NETWORKS, Without((*OF_V2, *COUNTERS))), NO_SESSION),
    "update": ({"v3": gave("['IS']")}, "V3 names the servers that were told"),
    "device after the update": (dict.fromkeys(NETWORKS, Without((*OF_V2, *COUNTERS))), NO_SESSION),
    "devices": (
        {"v3": Without((*OF_V2, "app_key")), "chirpstack": Without((*OF_V2, "app_key", "app_eui"))},
        "lists have what one server knows of all devices; the rest is asked for when it is looked at",
    ),
    "slice": (
        {"v3": Without((*OF_V2, "app_key")), "chirpstack": Without((*OF_V2, "app_key", "app_eui"))},
        "as the whole list",
    ),
    "update of no device": (
        dict.fromkeys(NETWORKS, raised("RuntimeError", "Error while updating the", " device: NOT_FOUND")),
        "V2's original said what it was doing first",
    ),
    "wrong key": (
        dict.fromkeys(NETWORKS, raised("RuntimeError", "Error while getting the", " application: UNAUTHENTICATED")),
        "V2 has another code for it",
    ),
    "wrong key for devices": (
        dict.fromkeys(NETWORKS, raised("RuntimeError", "Error while getting the", " list of devices: UNAUTHENTICATED")),
        "V2 has another code for it",
    ),
    "wrong key for one": (
        {
            "v3": raised(
                "ValueError",
                'device "node-3" is not valid: expected an app_key (OTAA), or a dev_addr, a nwk_s_key and an app_s_key '
                "(ABP), not all zeros",
            ),
            "chirpstack": raised(
                "ValueError",
                'device "node-3" is not valid: expected a dev_eui, not all zeros: ChirpStack knows devices by theirs',
            ),
        },
        "V2 takes a device that has nothing; that the others do not is said before anybody is asked",
    ),
    "unregister": (
        {
            "v3": raised(
                "ValueError",
                "unregister() deletes the application with all its devices on The Things Stack V3, and its ID cannot "
                "be used again: expected confirm=True",
            ),
            "chirpstack": raised(
                "ValueError",
                "unregister() deletes the application with all its devices on ChirpStack: expected confirm=True",
            ),
        },
        "on V2 a handler forgot the application, on the others it is gone for everybody",
    ),
    "get of an unregistered one": (
        dict.fromkeys(NETWORKS, gave('app_id: "demo-app"\npayload_format: "cayennelpp"\n')),
        "it is still there",
    ),
    "get_by_app_id": (
        {
            "v3": gave(
                'id: "localhost"\nservice_name: "handler"\nnet_address: "localhost:8884"\n'
                'mqtt_address: "mqtts://localhost:8883"\n'
            ),
            "chirpstack": gave(
                'id: "localhost"\nservice_name: "handler"\nnet_address: "MANAGEMENT"\nmqtt_address: "MQTT"\n'
            ),
        },
        ON_ITS_OWN,
    ),
    "handlers": (dict.fromkeys(NETWORKS, gave("['localhost']")), ON_ITS_OWN),
    "one": (
        {
            "v3": ["discovery", "NOT_FOUND", 'the cluster localhost has no router "sandbox-router"'],
            "chirpstack": ["discovery", "NOT_FOUND", 'ChirpStack has no router "sandbox-router"'],
        },
        ON_ITS_OWN,
    ),
    "no certificate": (
        {
            network: [
                "result",
                f"<ApplicationClient app_id='demo-app' handler_address='localhost:1' network='{network}'>",
            ]
            for network in NETWORKS
        },
        "V3 has certificates that everybody trusts, ChirpStack's API none at all; V2's handlers have their own",
    ),
}


def manage(network: str, folder: Path) -> dict[str, list[Any]]:
    """Run the program that manages devices; gives what each step came to."""
    certificate = folder / f"{network}.pem"
    # By its name: V2's handler shows a certificate, among whose names the address has to be.
    with Sandbox(network=network, host="localhost", seed=0) as sandbox:  # type: ignore[arg-type]
        options: dict[str, Any] = {}
        of_discovery: dict[str, Any] = {}
        addresses = ["", ""]
        if network == "v2":
            addresses = [sandbox.handler_address, sandbox.discovery_address]
        elif network == "v3":
            addresses[0] = sandbox.management_address
            options = {"frequency_plan_id": "EU_863_870_TTN"}
            of_discovery = {"cluster": "localhost"}
        else:
            addresses[0] = sandbox.management_address
            # An API key does not know its tenant; and a codec is one profile's.
            options = {"tenant_id": sandbox.tenant_id, "profile": "simulated"}
            of_discovery = {"grpc_address": sandbox.management_address, "mqtt_address": sandbox.mqtt_address}
        certificate.write_text("" if network == "chirpstack" else sandbox.ca_certs)
        arguments = [*addresses, str(certificate), sandbox.app_id, sandbox.access_key]
        arguments += [json.dumps(options), json.dumps(of_discovery)]
        outcome = subprocess.run(
            [sys.executable, "-m", "thingslink", "run", str(SCRIPTS / "devices.py"), *arguments],
            capture_output=True, text=True, timeout=PATIENCE * 2, check=False,
        )  # fmt: skip
        assert (outcome.returncode, outcome.stderr) == (0, "" if network == "v2" else WARNED)
        output = outcome.stdout.replace(sandbox.mqtt_address, "MQTT")
        if network != "v2":
            output = output.replace(sandbox.management_address, "MANAGEMENT")
    steps = [json.loads(line) for line in output.splitlines()]
    assert len({step[0] for step in steps}) == len(steps)
    return {name: told for name, *told in steps}


@pytest.fixture(scope="module")
def managed_on_v2(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    return manage("v2", tmp_path_factory.mktemp("v2"))


@pytest.mark.parametrize("network", NETWORKS)
def test_devices_are_managed_alike(network: str, managed_on_v2: dict[str, list[Any]], tmp_path: Path) -> None:
    expected = dict(managed_on_v2)
    for step, (instead, _why) in DEVICES.items():
        if network in instead:
            given = instead[network]
            expected[step] = given.of(expected[step]) if isinstance(given, Without) else given
            assert expected[step] != managed_on_v2[step], f"{step} does not differ"
    managed = manage(network, tmp_path)
    assert list(managed) == list(expected) and len(expected) > 25
    for step, told in managed.items():
        assert told == expected[step], step
