"""Each call of a client of The Things Stack V3 whose key has every right but the one that it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from thingslink import ApplicationError, StatusCode
from thingslink.sandbox import Sandbox
from thingslink.ttn import ApplicationClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Call = Callable[[ApplicationClient], object]

KEY = "NNSXS." + "K" * 39 + "." + "S" * 52
RIGHTS = {
    f"RIGHT_APPLICATION_{name}"
    for name in (
        "INFO",
        "SETTINGS_BASIC",
        "DELETE",
        "DEVICES_READ",
        "DEVICES_WRITE",
        "DEVICES_READ_KEYS",
        "DEVICES_WRITE_KEYS",
        "TRAFFIC_READ",
        "TRAFFIC_UP_WRITE",
        "TRAFFIC_DOWN_WRITE",
    )
}
ABP = {"dev_addr": "01020304", "nwk_s_key": bytes(range(16)), "app_s_key": bytes(range(16))}
OTAA: dict[str, Any] = {"dev_eui": "70B3D57ED0000001", "app_eui": "70B3D57ED00000A1", "app_key": bytes(range(16))}


@pytest.fixture
def stack() -> Iterator[Sandbox]:
    with Sandbox(network="v3", insecure=True, seed=0) as sandbox:
        with client_of(sandbox, sandbox.access_key) as client:
            client.register_device("abp1", ABP)
        yield sandbox


def client_of(stack: Sandbox, key: str) -> ApplicationClient:
    options: dict[str, Any] = {"insecure_channel": True, "frequency_plan_id": "EU_863_870_TTN"}
    return ApplicationClient(stack.app_id, key, stack.management_address, **options)


@pytest.mark.parametrize(
    ("right", "call"),
    [
        ("INFO", lambda client: client.get()),
        ("SETTINGS_BASIC", lambda client: client.set_payload_format("cayennelpp")),
        ("DEVICES_READ", lambda client: list(client.devices())),
        ("DEVICES_READ", lambda client: client.device("abp1")),
        ("DEVICES_WRITE", lambda client: client.register_device("otaa1", OTAA)),
        ("DEVICES_WRITE_KEYS", lambda client: client.register_device("otaa1", OTAA)),
        ("DEVICES_WRITE", lambda client: client.update_device("abp1", {"description": "attic"})),
        ("DEVICES_WRITE", lambda client: client.delete_device("abp1")),
        ("TRAFFIC_READ", lambda client: client.downlinks("abp1")),
        ("TRAFFIC_DOWN_WRITE", lambda client: client.push_downlink("abp1", b"\x01")),
        ("TRAFFIC_DOWN_WRITE", lambda client: client.clear_downlinks("abp1")),
        ("TRAFFIC_UP_WRITE", lambda client: client.simulate_uplink("abp1", b"\x01")),
    ],
)
def test_the_missing_right_is_named(stack: Sandbox, right: str, call: Call) -> None:
    missing = f"RIGHT_APPLICATION_{right}"
    stack.add_application(stack.app_id, KEY, sorted(RIGHTS - {missing}))
    with client_of(stack, KEY) as client, pytest.raises(ApplicationError) as raised:
        call(client)
    assert raised.value.code == StatusCode.PERMISSION_DENIED
    assert raised.value.attributes == {"uid": stack.username, "missing": [missing]}
    assert KEY not in str(raised.value)
    # Nothing was done, and nothing is left of what was begun.
    with client_of(stack, stack.access_key) as client:
        assert [device.dev_id for device in client.devices()] == ["abp1"]
        assert len(client.downlinks("abp1")) == 0


def test_without_the_right_to_delete_it_no_device_of_an_application_is_deleted(stack: Sandbox) -> None:
    stack.add_application(stack.app_id, KEY, sorted(RIGHTS - {"RIGHT_APPLICATION_DELETE"}))
    with client_of(stack, KEY) as client, pytest.raises(ApplicationError) as raised:
        client.unregister(confirm=True)
    assert raised.value.code == StatusCode.PERMISSION_DENIED
    assert "no RIGHT_APPLICATION_DELETE" in raised.value.details
    with client_of(stack, stack.access_key) as client:
        assert [device.dev_id for device in client.devices()] == ["abp1"]


def test_with_all_of_them_everything_goes(stack: Sandbox) -> None:
    stack.add_application(stack.app_id, KEY, sorted(RIGHTS))
    with client_of(stack, KEY) as client:
        client.get()
        client.set_payload_format("cayennelpp")
        client.register_device("otaa1", OTAA)
        client.update_device("abp1", {"description": "attic"})
        client.push_downlink("abp1", b"\x01")
        assert len(client.downlinks("abp1")) == 1
        client.simulate_uplink("abp1", b"\x01")
        client.delete_device("abp1")
        client.unregister(confirm=True)


def test_without_the_right_to_read_keys_devices_come_without_them(stack: Sandbox) -> None:
    with client_of(stack, stack.access_key) as client:
        client.register_device("otaa1", OTAA)
    missing = "RIGHT_APPLICATION_DEVICES_READ_KEYS"
    stack.add_application(stack.app_id, KEY, sorted(RIGHTS - {missing}))
    with client_of(stack, KEY) as client:
        for device in (client.device("abp1"), next(it for it in client.devices() if it.dev_id == "abp1")):
            lorawan = device.lorawan_device
            assert (lorawan.dev_addr, lorawan.nwk_s_key, lorawan.app_s_key) == (bytes.fromhex("01020304"), b"", b"")
            assert device.v3.network is not None and device.v3.application is not None
        joins = client.device("otaa1")
        assert (joins.lorawan_device.dev_eui_hex, joins.lorawan_device.app_key) == (OTAA["dev_eui"], b"")
        assert joins.v3.join is None
        # What is written needs no key to be read.
        assert client.update_device("abp1", {"description": "attic"}) == ["IS"]
        assert client.device("abp1").description == "attic"


def test_without_the_right_to_read_keys_no_device_is_moved(stack: Sandbox) -> None:
    with client_of(stack, stack.access_key) as client:
        client.register_device("otaa1", OTAA)
    stack.add_application("other-app", stack.access_key)
    stack.add_application(stack.app_id, KEY, sorted(RIGHTS - {"RIGHT_APPLICATION_DEVICES_READ_KEYS"}))
    options: dict[str, Any] = {"insecure_channel": True, "frequency_plan_id": "EU_863_870_TTN"}
    with (
        client_of(stack, KEY) as client,
        ApplicationClient("other-app", stack.access_key, stack.management_address, **options) as other,
    ):
        for dev_id in ("abp1", "otaa1"):
            with pytest.raises(ApplicationError) as raised:
                client.move_device(dev_id, other)
            assert raised.value.attributes["missing"] == ["RIGHT_APPLICATION_DEVICES_READ_KEYS"]
        assert list(other.devices()) == []
    assert stack.devices() == ["abp1", "otaa1"]
