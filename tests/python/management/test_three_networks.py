"""One program that manages devices, on all three networks: it sees the same, but for what is listed here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from chirpstack_peer import token
from thingslink import ApplicationError, ThingsError
from thingslink.sandbox import Sandbox
from thingslink.ttn import ApplicationClient, Device, MQTTClient

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "000102030405060708090A0B0C0D0E0F"
OTAA: dict[str, Any] = {
    "description": "attic",
    "appEui": "70B3D57ED00000AA",
    "devEui": b"0004A30B00AABBCC",
    "appKey": KEY,
    "latitude": 52.3736,
    "longitude": -4.5,
    "altitude": -3,
    "attributes": {"floor": "2", "wing": "e"},
}
ABP: dict[str, Any] = {
    "dev_eui": "0004A30B00AABBCD",
    "app_eui": "70B3D57ED00000AA",
    "dev_addr": "26011ABC",
    "nwk_s_key": bytes(range(16)),
    "app_s_key": bytes(range(16, 32)),
    "f_cnt_up": 300,
    "f_cnt_down": 7,
    "disable_f_cnt_check": True,
}
#: What a step gives on a network where that differs from V2, and why.
DIFFERENT: dict[str, tuple[dict[str, Any], str]] = {
    "register again": (
        dict.fromkeys(("v3", "chirpstack"), ("ApplicationError", "ALREADY_EXISTS", "Error when updating the")),
        "V2 replaces a device, the others refuse it",
    ),
    "update": ({"v3": ["IS"]}, "V3 names the servers that were told"),
    "update of nobody": (
        dict.fromkeys(("v3", "chirpstack"), ("ApplicationError", "NOT_FOUND", "Error while updating the")),
        "V2's original said what it was doing first",
    ),
    "what is queued": (
        dict.fromkeys(("v3", "chirpstack"), 0),
        "V2 has no queue that could be looked at",
    ),
    "application after it": (
        {"v3": {"app_id": "demo-app", "payload_format": "cayennelpp"}},
        "V3 keeps no script beside another format",
    ),
    "a key that is wrong": (
        dict.fromkeys(("v3", "chirpstack"), ("ApplicationError", "UNAUTHENTICATED", "Error while getting the")),
        "V2 has another code for it",
    ),
}
#: Of V2 who may activate a device; of the others that they all count in 32 bits.
OF_V2 = ("activation_constraints", "uses32_bit_f_cnt")


def options(sandbox: Sandbox) -> tuple[tuple[Any, ...], dict[str, Any], str]:
    """Give what a client of a network is told: the one thing that a program changes. And a key that is wrong."""
    if sandbox.network == "v2":
        return (sandbox.handler_address, sandbox.ca_certs), {}, "ttn-account-v2.wrong"
    if sandbox.network == "v3":
        plan = {"insecure_channel": True, "frequency_plan_id": "EU_863_870_TTN"}
        return (sandbox.management_address,), plan, f"NNSXS.{'A' * 39}.{'B' * 52}"
    # The codec is one profile's, and there are two kinds of devices.
    return (sandbox.management_address,), {"tenant_id": sandbox.tenant_id, "profile": "personalized"}, token()


def outcome(call: Callable[[], Any]) -> Any:
    """Give what a call gave, without what no program can rely on."""
    try:
        result = call()
    except ApplicationError as error:
        return type(error).__name__, error.code.name, error.args[0]
    except (NotImplementedError, ThingsError) as error:
        return type(error).__name__
    except (ValueError, TypeError) as error:
        return type(error).__name__, str(error)
    read = result.to_dict() if hasattr(result, "to_dict") else result
    if isinstance(result, Device):
        kept = {name: value for name, value in read["lorawan_device"].items() if name not in OF_V2}
        read["lorawan_device"] = {name: value for name, value in kept.items() if str(value).strip("0")}
    return read


def program(network: str) -> list[tuple[str, Any]]:
    """Run one program; gives what it saw, first to last."""
    saw: list[tuple[str, Any]] = []

    def tell(name: str, call: Callable[[], Any]) -> None:
        saw.append((name, outcome(call)))

    with Sandbox(network=network, seed=0, **({"insecure": True} if network == "v3" else {})) as sandbox:  # type: ignore[arg-type]
        where, told, wrong = options(sandbox)
        client = ApplicationClient(sandbox.app_id, sandbox.access_key, *where, **told)
        tell("register", lambda: client.register_device("node-1", OTAA))
        tell("register again", lambda: client.register_device("node-1", OTAA))
        tell("the same EUIs", lambda: client.register_device("node-9", OTAA) and client.delete_device("node-9"))
        tell("device", lambda: client.device("node-1"))
        tell("ABP", lambda: client.register_device("node-2", ABP))
        tell("device of ABP", lambda: client.device("node-2"))
        changes = {"description": "cellar", "attributes": {"floor": None, "room": "é"}, "altitude": 5}
        tell("update", lambda: client.update_device("node-1", changes))
        tell("device after it", lambda: client.device("node-1"))
        tell("update of counters", lambda: client.update_device("node-2", {"f_cnt_up": 301}) and None)
        tell("counters", lambda: client.device("node-2").lorawan_device.f_cnt_up)
        tell("update of nobody", lambda: client.update_device("none-1", {"description": "x"}))
        tell("no device", lambda: client.device("none-1"))
        tell("devices", lambda: [device.to_dict()["description"] for device in client.devices() if device.description])
        tell("how many", lambda: (len(client.devices(limit=1)), client.devices().total))
        tell("a bad key", lambda: client.register_device("node-3", {**OTAA, "appKey": "12"}))
        tell("an unknown key", lambda: client.register_device("node-3", {**OTAA, "appKee": KEY}))
        tell("a check", lambda: client.check_device("node-3", {**OTAA, "attributes": {"a": 1}}))
        code = "function Decoder(bytes, port) { return {level: bytes[0], port: port}; }"
        conversion = "function Converter(decoded, port) { decoded.twice = decoded.level * 2; return decoded; }"
        tell("functions", lambda: client.set_custom_payload_functions("", code, "", conversion))
        tell("application", client.get)
        device = sandbox.device("node-2")
        heard: list[Any] = []
        listening = MQTTClient(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address)
        listening.set_uplink_callback(lambda msg, _client: heard.append(msg.payload_fields))
        with listening:
            device.uplink(b"\x15", port=3)
            sandbox.wait_for(lambda: heard)
        saw.append(("what is decoded", {name: heard[0][name] for name in ("level", "port", "twice")}))
        tell("what is queued", lambda: len(client.downlinks("node-2")))
        tell("format", lambda: client.set_payload_format("cayennelpp"))
        tell("application after it", client.get)
        tell("clearing", client.clear_custom_payload_functions)
        tell("functions after it", lambda: [getattr(client.get(), name) for name in ("decoder", "converter")])
        tell("delete", lambda: client.delete_device("node-1"))
        tell("delete of nobody", lambda: client.delete_device("node-1"))
        tell("devices that are left", lambda: [device.dev_id for device in client.devices()])
        client.app_access_key = wrong
        tell("a key that is wrong", client.get)
        client.close()
        tell("a closed client", client.get)
    return saw


@pytest.fixture(scope="module")
def on_v2() -> list[tuple[str, Any]]:
    return program("v2")


@pytest.mark.parametrize("network", ["v3", "chirpstack"])
def test_a_program_sees_the_same(network: str, on_v2: list[tuple[str, Any]]) -> None:
    assert len(on_v2) > 25
    for (step, theirs), (_, ours) in zip(on_v2, program(network), strict=True):
        expected, _why = DIFFERENT.get(step, ({}, ""))
        assert ours == expected.get(network, theirs), step


@pytest.mark.parametrize("network", ["v3", "chirpstack"])
def test_what_cannot_be_kept_without_a_session_is_said(
    network: str, caplog: pytest.LogCaptureFixture, eventually: Callable[[Callable[[], object]], None]
) -> None:
    given = {**OTAA, "f_cnt_up": 300, "dev_addr": "26011ABC", "nwk_s_key": "00" * 16}
    with (
        Sandbox(network=network, seed=0, **({"insecure": True} if network == "v3" else {})) as sandbox,  # type: ignore[arg-type]
        caplog.at_level("WARNING", "thingslink"),
    ):
        where, told, _ = options(sandbox)
        told["profile"] = "simulated" if network == "chirpstack" else None
        told = {name: value for name, value in told.items() if value is not None}
        client = ApplicationClient(sandbox.app_id, sandbox.access_key, *where, **told)
        client.register_device("node-1", given)
        eventually(lambda: "node-1 keeps no dev_addr and no f_cnt_up: " in caplog.text)
        # V2 programs write zeros for "none".
        zeros = {"f_cnt_up": 0, "f_cnt_down": 0, "dev_addr": "00000000", "nwk_s_key": "00" * 16, "app_s_key": ""}
        client.register_device("node-2", {**OTAA, "devEui": "0004A30B00AABBCE", **zeros})
        client.register_device("node-3", {**OTAA, "devEui": "0004A30B00AABBCF", "f_cnt_down": 7})
        eventually(lambda: "node-3 keeps no f_cnt_down: " in caplog.text)
        assert "node-2" not in caplog.text
        for change in ({"f_cnt_up": 301}, {"dev_addr": "26011ABC"}, {"nwk_s_key": KEY, "app_s_key": KEY}):
            with pytest.raises(ValueError, match="has no session yet"):
                client.update_device("node-1", change)
        assert not client.device("node-1").lorawan_device.dev_addr
        whole = {"dev_addr": "26011ABC", "nwk_s_key": KEY, "app_s_key": KEY}
        client.update_device("node-1", whole)
        client.update_device("node-1", {"f_cnt_up": 301})
        assert client.device("node-1").lorawan_device.f_cnt_up == 301
        client.close()
