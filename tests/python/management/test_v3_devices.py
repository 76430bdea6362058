"""Devices of The Things Stack V3 in V2's shape."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import json_format
from harness import PATIENCE
from stack_peer import APP, FULL, PACKAGE, Refusal, captured
from thingslink import ApplicationError, StatusCode, ttn
from thingslink.ttn import ApplicationClient

if TYPE_CHECKING:
    from stack_peer import StackPeer

OTAA: dict[str, Any] = {
    "devEui": "70B3D57ED0000001",
    "appEui": "70B3D57ED00000A1",
    "appKey": "000102030405060708090A0B0C0D0E0F",
}
ABP: dict[str, Any] = {
    "dev_addr": "01020304",
    "nwk_s_key": bytes(range(16)),
    "app_s_key": bytes(range(16, 32)),
    "description": "ABP probe",
    "latitude": 52.3702,
    "longitude": 4.8951,
    "altitude": -1,
    "attributes": {"room": "b2"},
    "fCntUp": 7,
    "disableFCntCheck": True,
}
IS, NS, AS, JS = "EndDeviceRegistry", "NsEndDeviceRegistry", "AsEndDeviceRegistry", "JsEndDeviceRegistry"
NOWHERE: dict[str, list[str]] = {"Is": [], "Ns": [], "As": [], "Js": []}


@pytest.fixture
def client(stack: StackPeer) -> Any:
    address = stack.address.replace("127.0.0.1", "localhost")
    with ApplicationClient(APP, FULL, address, insecure_channel=True, frequency_plan_id="EU_863_870_TTN") as client:
        yield client


def test_a_device_is_registered_as_the_stack_s_own_client_does(stack: StackPeer, client: ApplicationClient) -> None:
    assert type(client.register_device("otaa1", OTAA)) is ttn.Empty
    assert stack.devices() == {name: ["otaa1"] for name in NOWHERE}
    expected = list(captured("41-management-grpc.jsonl"))[:4]
    with stack.state:
        requests = list(stack.requests)
    assert [f"/{PACKAGE}.{name}" for name, _ in requests] == [call["method"] for call in expected]
    for (_, request), call in zip(requests, expected, strict=True):
        assert request == json_format.ParseDict(call["request"], type(request)())


def test_a_device_with_a_session_alone(stack: StackPeer, client: ApplicationClient) -> None:
    client.register_device("abp1", ABP)
    assert stack.devices() == {"Is": ["abp1"], "Ns": ["abp1"], "As": ["abp1"], "Js": []}
    network, application = stack.told(f"{NS}/Set"), stack.told(f"{AS}/Set")
    assert list(network.field_mask.paths) == [
        "supports_join",
        "lorawan_version",
        "lorawan_phy_version",
        "frequency_plan_id",
        "session.dev_addr",
        "session.keys.f_nwk_s_int_key.key",
        "session.last_f_cnt_up",
        "session.last_n_f_cnt_down",
        "mac_settings.resets_f_cnt",
    ]
    assert not network.end_device.supports_join and network.end_device.mac_settings.resets_f_cnt.value
    assert not network.end_device.session.keys.session_key_id and network.end_device.session.last_f_cnt_up == 7
    assert application.end_device.session.keys.app_s_key.key == bytes(range(16, 32))
    made = stack.registries["Is"]["abp1"]
    assert made.name == "ABP probe" and not made.join_server_address
    place = made.locations["user"]
    assert (place.latitude, place.longitude, place.altitude, place.source) == (52.3702, 4.8951, -1, 3)


def test_a_device_that_goes_on_without_a_new_join(stack: StackPeer, client: ApplicationClient) -> None:
    client.register_device("both", {**OTAA, **ABP})
    network, application = stack.registries["Ns"]["both"], stack.registries["As"]["both"]
    assert network.supports_join and network.session.HasField("started_at")
    key_id = network.session.keys.session_key_id
    assert len(key_id) == 16 and application.session.keys.session_key_id == key_id
    assert stack.registries["Js"]["both"].root_keys.app_key.key == bytes(range(16))


def test_a_device_is_read_in_v2_s_shape(stack: StackPeer, client: ApplicationClient) -> None:
    client.register_device("both", {**OTAA, **ABP})
    stack.names()
    device = client.device("both")
    assert isinstance(device, ttn.Device)
    assert stack.names()[0] == f"{IS}/Get"
    lorawan = device.lorawan_device
    assert (device.app_id, device.dev_id, device.description) == (APP, "both", "ABP probe")
    assert (device.altitude, dict(device.attributes)) == (-1, {"room": "b2"})
    assert abs(device.latitude - 52.3702) < 1e-5
    assert (lorawan.dev_eui_hex, lorawan.app_eui_hex) == (OTAA["devEui"], OTAA["appEui"])
    assert lorawan.app_key == lorawan.nwk_s_key == bytes(range(16)) and lorawan.app_s_key == bytes(range(16, 32))
    assert lorawan.dev_addr == b"\1\2\3\4" and lorawan.f_cnt_up == 7
    assert lorawan.disable_f_cnt_check is True and lorawan.uses32_bit_f_cnt is True
    v3 = device.v3
    assert v3.identity.name == "ABP probe" and v3.network.frequency_plan_id == "EU_863_870_TTN"
    assert v3.application.session.dev_addr == b"\1\2\3\4" and v3.join.root_keys.app_key.key == bytes(range(16))
    with pytest.raises(AttributeError):
        ttn.Device().v3  # noqa: B018


def test_keys_that_may_not_be_read_are_left_out(stack: StackPeer, client: ApplicationClient) -> None:
    client.register_device("both", {**OTAA, **ABP})
    for name in (NS, AS, JS):
        stack.refuse(f"{name}/Get", Refusal("key without READ_KEYS, key mask"))
    device = client.device("both")
    assert device.lorawan_device.dev_addr == b"\1\2\3\4"
    assert not device.lorawan_device.app_s_key and not device.lorawan_device.app_key and device.v3.join is None


@pytest.mark.parametrize("step", [IS, JS, NS, AS])
def test_a_registration_that_fails_leaves_nothing_behind(
    step: str, stack: StackPeer, client: ApplicationClient
) -> None:
    refused = Refusal("JS set: EUIs of another device" if step != IS else "EUIs taken")
    stack.refuse(f"{step}/{'Create' if step == IS else 'Set'}", refused)
    with pytest.raises(ApplicationError) as caught:
        client.register_device("otaa1", OTAA)
    assert caught.value.args[0] == "Error when updating the"
    assert caught.value.name == ("end_device_euis_taken" if step == IS else "field_value")
    assert stack.devices() == NOWHERE
    deleted = [name for name in stack.names() if name.endswith("/Delete")]
    assert deleted == ([] if step == IS else [f"{name}/Delete" for name in (AS, NS, JS, IS)])


@pytest.mark.parametrize("step", [IS, NS, AS])
def test_a_session_that_fails_leaves_nothing_behind_either(
    step: str, stack: StackPeer, client: ApplicationClient
) -> None:
    stack.refuse(f"{step}/{'Create' if step == IS else 'Set'}", Refusal("EUIs taken"))
    with pytest.raises(ApplicationError, match="updating"):
        client.register_device("abp1", ABP)
    assert stack.devices() == NOWHERE
    deleted = [name for name in stack.names() if name.endswith("/Delete")]
    assert deleted == ([] if step == IS else [f"{name}/Delete" for name in (AS, NS, IS)])


def test_a_device_is_checked_without_a_call(stack: StackPeer, client: ApplicationClient) -> None:
    client.check_device("otaa1", OTAA)
    with pytest.raises(ValueError, match="expected an ID without '_'"):
        client.check_device("node_1", OTAA)
    with pytest.raises(ValueError, match="an app_key"):
        client.check_device("otaa1", {})
    assert stack.names() == []


def test_what_cannot_be_undone_is_told(stack: StackPeer, client: ApplicationClient) -> None:
    stack.refuse(f"{NS}/Set", Refusal("NS set with unknown frequency plan"))
    stack.refuse(f"{IS}/Delete", Refusal("key without DEVICES_WRITE"))
    with pytest.raises(ApplicationError) as caught:
        client.register_device("otaa1", OTAA)
    assert "could not be deleted again" in caught.value.details and "DEVICES_WRITE" in caught.value.details
    assert caught.value.attributes == {"id": "NOPE"}


@pytest.mark.parametrize(
    ("dev_id", "device", "words"),
    [
        ("node_1", OTAA, "\"node_1\" is not valid: expected an ID without '_'"),
        ("ab", OTAA, "3 to 36"),
        ("node-1", {}, "an app_key (OTAA), or a dev_addr"),
        ("node-1", {**OTAA, "appKey": "00" * 16}, "not all zeros"),
        ("node-1", {"app_key": OTAA["appKey"], "dev_eui": OTAA["devEui"]}, "an app_eui"),
        ("node-1", {**ABP, "nwk_s_key": ""}, "a nwk_s_key"),
        ("node-1", {**OTAA, "lorawan_version": "2.0"}, 'lorawan_version "2.0" is not valid'),
        ("node-1", {**OTAA, "mac_settings": {"rx1_delay": 16}}, "rx1_delay 16 is not valid: expected 0 to 15"),
        ("node-1", {**OTAA, "mac_settings": {"rx1delay": 1}}, 'unknown key "rx1delay" of mac_settings'),
        ("node-1", {**OTAA, "appKye": 1}, "did you mean 'app_key'"),
    ],
)
def test_a_bad_device_is_told_before_any_of_the_calls(dev_id: str, device: Any, words: str, stack: StackPeer) -> None:
    client = ApplicationClient(APP, FULL, stack.address, insecure_channel=True, frequency_plan_id="X")
    with client, pytest.raises(ValueError, match=r"valid|unknown key") as caught:
        client.register_device(dev_id, device)
    assert words in str(caught.value) and stack.names() == []


def test_a_frequency_plan_is_asked_for_where_none_is_known(stack: StackPeer) -> None:
    with ApplicationClient(APP, FULL, stack.address, insecure_channel=True) as client:
        with pytest.raises(ValueError, match="frequency_plan_id"):
            client.register_device("node-1", OTAA)
        client.register_device("node-1", {**OTAA, "frequencyPlanId": "US_902_928_FSB_2", "lorawanVersion": "1.0.3"})
    assert stack.registries["Ns"]["node-1"].frequency_plan_id == "US_902_928_FSB_2"
    assert stack.registries["Ns"]["node-1"].lorawan_version == 5


def test_what_only_this_network_knows_of_a_device(stack: StackPeer, client: ApplicationClient) -> None:
    client.register_device(
        "node-1",
        {
            **OTAA,
            "name": "Probe",
            "nwk_key": "AB" * 16,
            "lorawan_version": "MAC_V1_1",
            "lorawan_phy_version": "1.1-b",
            "supports_class_c": True,
            "version_ids": {"brand_id": "acme"},
            "formatters": {"decoder": "function Decoder(b) {}"},
            "mac_settings": {"rx1_delay": 5, "status_time_periodicity": 0, "factory_preset_frequencies": [868100000]},
        },
    )
    assert stack.registries["Is"]["node-1"].name == "Probe"
    assert stack.registries["Js"]["node-1"].root_keys.nwk_key.key == b"\xab" * 16
    network = stack.registries["Ns"]["node-1"]
    assert (network.lorawan_version, network.lorawan_phy_version, network.supports_class_c) == (4, 6, True)
    assert network.mac_settings.rx1_delay.value == 5 and network.mac_settings.HasField("status_time_periodicity")
    assert stack.registries["As"]["node-1"].formatters.up_formatter == 3
    assert stack.registries["As"]["node-1"].version_ids.brand_id == "acme"


def test_only_the_servers_that_keep_a_change_are_told(stack: StackPeer, client: ApplicationClient) -> None:
    client.register_device("both", {**OTAA, **ABP})
    stack.names()
    assert client.update_device("both", {"description": "attic", "attributes": {"floor": "2"}}) == ["IS"]
    assert stack.names() == [f"{IS}/Get", f"{IS}/Update"]
    assert dict(stack.registries["Is"]["both"].attributes) == {"room": "b2", "floor": "2"}
    assert client.update_device("both", {"attributes": {"room": None}, "altitude": 3}) == ["IS"]
    kept = stack.registries["Is"]["both"]
    assert dict(kept.attributes) == {"floor": "2"} and kept.locations["user"].latitude == 52.3702
    assert kept.locations["user"].altitude == 3 and kept.description == "attic"
    changes = {"app_key": "AA" * 16, "fCntDown": 3, "disable_f_cnt_check": False}
    assert client.update_device("both", changes) == ["JS", "NS", "AS"]
    assert list(stack.told(f"{NS}/Set").field_mask.paths) == ["session.last_n_f_cnt_down", "mac_settings.resets_f_cnt"]
    device = client.device("both").lorawan_device
    assert (device.app_key, device.f_cnt_down, device.disable_f_cnt_check) == (b"\xaa" * 16, 3, False)
    assert client.update_device("both", {}) == []


def test_a_change_that_fails_half_way_says_who_has_it(stack: StackPeer, client: ApplicationClient) -> None:
    client.register_device("both", {**OTAA, **ABP})
    stack.refuse(f"{AS}/Set", Refusal("key without DEVICES_WRITE"))
    with pytest.raises(ApplicationError) as caught:
        client.update_device("both", {"description": "attic", "dev_addr": "01020305"})
    assert "IS, NS had taken the change by then, and keep it" in caught.value.details
    with pytest.raises(ValueError, match=r"dev_eui .* cannot be changed"):
        client.update_device("both", {"dev_eui": "70B3D57ED0000009"})


def test_a_device_is_deleted_everywhere(stack: StackPeer, client: ApplicationClient) -> None:
    client.register_device("both", {**OTAA, **ABP})
    del stack.registries["Ns"]["both"]
    stack.names()
    assert type(client.delete_device("both")) is ttn.Empty
    assert stack.devices() == NOWHERE
    assert stack.names() == [f"{IS}/Get", *(f"{name}/Delete" for name in (AS, NS, JS, IS))]
    with pytest.raises(ApplicationError) as caught:
        client.delete_device("both")
    assert caught.value.code is StatusCode.NOT_FOUND and caught.value.name == "end_device_not_found"


def test_half_a_registration_is_undone_when_nobody_waits_for_it(
    stack: StackPeer, client: ApplicationClient, eventually: Any
) -> None:
    reached, go_on = threading.Event(), threading.Event()
    act = stack._act

    def slow(service: str, call: str, request: bytes, context: Any) -> Any:
        if call == f"{NS}/Set":
            # Without the lock, so that what undoes it is served.
            stack.state.release()
            reached.set()
            go_on.wait(PATIENCE)
            stack.state.acquire()
        return act(service, call, request, context)

    stack._act = slow  # type: ignore[method-assign]

    async def run() -> None:
        future = client._call_async("register_device", "otaa1", OTAA)
        await asyncio.to_thread(reached.wait, PATIENCE)
        assert stack.devices()["Js"] == ["otaa1"]
        future.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await future

    asyncio.run(run())
    eventually(lambda: not stack.devices()["Is"])
    go_on.set()
    assert stack.devices()["Js"] == []


def fill(stack: StackPeer, client: ApplicationClient, count: int) -> list[str]:
    names = [f"node-{number:04}" for number in range(count)]
    client.register_device(names[0], {**OTAA, **ABP})
    for server in stack.registries.values():
        for name in names[1:]:
            device = type(server[names[0]])()
            device.CopyFrom(server[names[0]])
            device.ids.device_id = name
            server[name] = device
    stack.names()
    return names


def test_lists_are_paged_and_completed_when_somebody_looks(stack: StackPeer, client: ApplicationClient) -> None:
    names = fill(stack, client, 25)
    devices = client.devices()
    assert [device.dev_id for device in devices] == names and devices.total == 25
    assert [device.description for device in devices[:2]] == ["ABP probe"] * 2
    assert stack.names() == [f"{IS}/List"]
    assert devices[3].lorawan_device.app_s_key == bytes(range(16, 32))
    assert sorted(stack.names()) == [f"{AS}/Get", f"{JS}/Get", f"{NS}/Get"]
    assert devices[3].v3.network.frequency_plan_id == "EU_863_870_TTN" and stack.names() == []
    page = client.devices(limit=10, offset=20)
    assert [device.dev_id for device in page] == names[20:] and page.total == 25
    assert [device.dev_id for device in client.devices(limit=7, offset=3)] == names[3:10]
    assert len(client.devices(limit=0)) == 0
    stack.names()
    whole = client.devices(complete=True)
    assert len(stack.names()) == 1 + 3 * 25
    assert [device.lorawan_device.f_cnt_up for device in whole] == [7] * 25 and stack.names() == []


def test_pages_tell_how_far_it_is(stack: StackPeer, client: ApplicationClient) -> None:
    names = fill(stack, client, 25)
    pages = [(len(page), page.total) for page in client.devices_pages(page_size=10)]
    assert pages == [(10, 25), (10, 25), (5, 25)]
    assert [device.dev_id for device in client.iter_devices(page_size=5)] == names
    with pytest.raises(ValueError, match="page_size 0"):
        client.devices_pages(page_size=0)


def test_more_devices_than_one_page_has(stack: StackPeer, client: ApplicationClient) -> None:
    names = fill(stack, client, 2101)
    assert [device.dev_id for device in client.devices()] == names
    assert stack.names() == [f"{IS}/List"] * 3


def test_what_was_listed_can_be_registered_again(stack: StackPeer, client: ApplicationClient) -> None:
    fill(stack, client, 1)
    (listed,) = client.devices()
    client.register_device("again", listed)
    assert client.device("again").lorawan_device.nwk_s_key == bytes(range(16))
    assert client.device("again") != listed and listed.to_dict()["lorawan_device"]["app_key"] == OTAA["appKey"]


def test_personalize(stack: StackPeer, client: ApplicationClient) -> None:
    client.register_device("otaa1", OTAA)
    device = client.personalize("otaa1", nwk_s_key="AB" * 16)
    assert device.lorawan_device.dev_addr == b"\x26\x0b\x00\x01" == client.dev_addr()
    kept, other = stack.registries["Ns"]["otaa1"].session, stack.registries["As"]["otaa1"].session
    assert kept.keys.f_nwk_s_int_key.key == b"\xab" * 16 and len(other.keys.app_s_key.key) == 16
    assert kept.keys.session_key_id == other.keys.session_key_id and len(kept.keys.session_key_id) == 16


def test_a_device_moves_or_is_put_back(stack: StackPeer, client: ApplicationClient) -> None:
    client.register_device("both", {**OTAA, **ABP})
    other = ApplicationClient("app2", FULL, stack.address, insecure_channel=True)
    stack.refuse(f"{NS}/Set", Refusal("key without DEVICES_WRITE"))
    with pytest.raises(ApplicationError) as caught:
        client.move_device("both", other)
    assert caught.value.code is StatusCode.PERMISSION_DENIED
    assert stack.registries["Is"]["both"].ids.application_ids.application_id == APP
    client.move_device("both", other)
    moved = stack.registries["Is"]["both"]
    assert moved.ids.application_ids.application_id == "app2" and moved.description == "ABP probe"
    assert stack.registries["As"]["both"].session.keys.app_s_key.key == bytes(range(16, 32))
    assert other.device("both").lorawan_device.f_cnt_up == 7
