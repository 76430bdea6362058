"""What ChirpStack's API says of failed calls, and what is made of it; no secret is in any of it."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest
from chirpstack_front import Front
from chirpstack_peer import token
from chirpstack_server import APPLICATION, PROBE, World, records
from thingslink import ApplicationError, StatusCode
from thingslink.sandbox import Sandbox
from thingslink.ttn import ApplicationClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from peers import Generated

OTAA: dict[str, Any] = {"dev_eui": "70B3D57ED0000001", "app_key": "00112233445566778899aabbccddeeff"}
DEV = "DeviceService"
#: What a codec is told of a device, a token as a rule.
VARIABLE = "a-token-of-another-service"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(network="chirpstack", seed=0) as sandbox:
        yield sandbox


@pytest.fixture
def world(sandbox: Sandbox, generated: Generated) -> Iterator[World]:
    world = World(sandbox, generated)
    yield world
    world.close()


@pytest.fixture
def front(sandbox: Sandbox) -> Iterator[Front]:
    front = Front(sandbox)
    yield front
    front.stop()


@pytest.fixture
def client(sandbox: Sandbox, front: Front) -> Iterator[ApplicationClient]:
    with ApplicationClient(sandbox.application_id, sandbox.access_key, front.address) as client:
        yield client


def failed(call: Callable[[], object]) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        call()
    return caught.value


def meaning(method: str, code: str, details: str) -> tuple[str, str]:
    """Give the code that a failure has for the program, and what its text has."""
    if code == "UNAUTHENTICATED" and details:
        return code, "is access_key an API key of this ChirpStack?"
    if code == "UNAUTHENTICATED":
        # The key is good for the application: so the device is not there, or what is there may not be changed.
        silent = {
            "DeviceService/Get": ("NOT_FOUND", "there is no device"),
            "ApplicationService/Get": (code, "not found, or not allowed"),
            "DeviceService/CreateKeys": (code, "not found, or not allowed"),
        }
        return silent.get(method, ("PERMISSION_DENIED", "is it a read-only key?"))
    if details.startswith("duplicate key"):
        return "ALREADY_EXISTS", details
    if "device_profile_id_fkey" in details or details == "Record not found":
        return "NOT_FOUND", details
    if method == "DeviceService/Get" and code == "NOT_FOUND":
        return code, "there is no device"
    return code, details.split("\n")[0]


def test_the_captured_errors_are_what_they_mean(front: Front, client: ApplicationClient) -> None:
    """Each failure of the captures, as the answer to a call of the client's that asks the same."""
    calls: dict[str, Callable[[], object]] = {
        "DeviceService/Get": lambda: client.device(PROBE),
        "DeviceService/Create": lambda: client.register_device("new", {**OTAA, "profile": "simulated"}),
        "DeviceService/Enqueue": lambda: client.push_downlink("soil", b"\x01"),
        "DeviceService/Update": lambda: client.update_device("soil", {"description": "x"}),
        "DeviceService/Delete": lambda: client.delete_device("soil"),
        "DeviceService/CreateKeys": lambda: client.register_device("new", {**OTAA, "profile": "simulated"}),
        "DeviceService/Activate": lambda: client.personalize("soil"),
        "ApplicationService/Get": client.register,
    }
    client.register_device("soil", {**OTAA, "dev_eui": "70b3d57ed00000aa"})
    seen = 0
    for record in records("41-grpc-errors"):
        method = record.get("method", "").removeprefix("api.")
        if record["code"] == 0 or method not in calls:
            continue
        seen += 1
        code, details = record["code_name"], record.get("details", "")
        front.refuse(method, code, details)
        error = failed(calls[method])
        front.refusals.clear()
        note = (record["note"], error.code, error.details)
        expected, words = meaning(method, code, details)
        assert error.code is StatusCode[expected] and words in error.details, note
        # What a failed registration had made is gone.
        assert client.devices().total == 1, note
    assert seen > 40


def test_a_key_that_reads_alone(sandbox: Sandbox, client: ApplicationClient) -> None:
    client.register_device("soil", OTAA)
    key = sandbox.api_key("read-only")
    with ApplicationClient(sandbox.application_id, key, sandbox.management_address) as reading:
        assert reading.device("soil").lorawan_device.app_key and len(reading.devices()) == 1
        for call in (
            lambda: reading.register_device("new", {**OTAA, "dev_eui": "70B3D57ED0000002"}),
            lambda: reading.update_device("soil", {"description": "x"}),
            lambda: reading.update_device("soil", {"app_key": "11" * 16}),
            lambda: reading.personalize("soil"),
            lambda: reading.delete_device("soil"),
            lambda: reading.push_downlink("soil", b"\x01"),
            lambda: reading.clear_downlinks("soil"),
            lambda: reading.set_payload_format("cayennelpp", profile="simulated"),
            lambda: reading.unregister(confirm=True),
        ):
            error = failed(call)
            assert error.code is StatusCode.PERMISSION_DENIED and "read-only key" in error.details
    assert client.device("soil").description == ""


def test_a_key_of_another_kind(sandbox: Sandbox, world: World) -> None:
    other = world.ours["eyJ0eXAi.FAKE-TENANT-KEY.XXXX"]
    for key, words in [
        ("no-token", "InvalidToken: is access_key an API key of this ChirpStack?"),
        ("NNSXS.AAAA.BBBB", "is access_key an API key of this ChirpStack?"),
        (token(), "is access_key an API key"),
        # Of another tenant.
        (other, "not found, or not allowed for this API key"),
    ]:
        arguments = (sandbox.application_id, key, sandbox.management_address)
        with ApplicationClient(*arguments, network="chirpstack") as client:
            for call in (client.get, client.register, client.devices, lambda: client.device(PROBE)):
                error = failed(call)
                assert error.code is StatusCode.UNAUTHENTICATED and words in error.details
                assert key not in f"{error} {error.details} {error!r} {error.__cause__}"
            assert key not in repr(client)


def test_a_name_of_nobody(sandbox: Sandbox) -> None:
    arguments = ("nobody", sandbox.access_key, sandbox.management_address)
    with ApplicationClient(*arguments, tenant_id=sandbox.tenant_id) as client:
        with pytest.raises(ValueError, match='app_id "nobody" is not valid'):
            client.get()
        client.app_id = sandbox.app_id
        assert client.get().chirpstack.application.id == sandbox.application_id
    with ApplicationClient(APPLICATION, sandbox.access_key, sandbox.management_address) as client:
        assert "not found, or not allowed" in failed(client.get).details


def test_what_failed_is_told_as_everywhere(client: ApplicationClient) -> None:
    error = failed(lambda: client.device("soil"))
    assert error.args == ("Error while getting the", " device: NOT_FOUND")
    again = pickle.loads(pickle.dumps(error))
    assert (again.code, again.details) == (error.code, error.details)


def test_a_server_that_is_away(closed_port: int) -> None:
    with ApplicationClient(APPLICATION, token(), f"127.0.0.1:{closed_port}") as client:
        error = failed(lambda: client.register(timeout=20))
    assert error.code is StatusCode.UNAVAILABLE and "connection lost" not in error.details


def test_keys_are_in_no_error_and_in_no_repr(front: Front, client: ApplicationClient, sandbox: Sandbox) -> None:
    app_key, secrets = OTAA["app_key"], [OTAA["app_key"], sandbox.access_key, VARIABLE]
    texts: list[str] = [repr(client)]
    for step in ("Create", "CreateKeys"):
        front.refuse(f"{DEV}/{step}", "INTERNAL", "Invalid string length")
        error = failed(lambda: client.register_device("soil", OTAA))
        texts += [str(error), repr(error), error.details, str(error.__cause__)]
    for wrong in ({"name": "x" * 101}, {"variables": {"a": 1}}, {"is_disabled": app_key}):
        with pytest.raises((ValueError, TypeError)) as caught:
            client.register_device("soil", {**OTAA, **wrong})
        texts.append(str(caught.value))
    client.register_device("soil", {**OTAA, "variables": {"pin": VARIABLE}})
    device = client.device("soil")
    own = device.chirpstack
    for shown in (device, device.lorawan_device, own, own.keys, own.device):
        texts += [repr(shown), getattr(shown, "_repr_html_", str)()]
    texts.append(repr(client.devices()))
    for secret in secrets:
        assert not [text for text in texts if secret.lower() in text.lower()]
