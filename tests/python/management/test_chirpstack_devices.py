"""Devices of ChirpStack in V2's shape, by both faces."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import pytest
from chirpstack_front import UNKNOWN, Front
from chirpstack_server import APPLICATION, PROBE, World, records
from faces import OnLoop, run
from google.protobuf import descriptor_pool, json_format
from google.protobuf.message_factory import GetMessageClass
from harness import PATIENCE
from thingslink import ApplicationError, StatusCode, aio, ttn
from thingslink.sandbox import Sandbox
from thingslink.ttn import ApplicationClient, MQTTClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from peers import Generated

OTAA: dict[str, Any] = {
    "devEui": "70B3D57ED0000001",
    "appEui": "70B3D57ED00000A1",
    "appKey": "000102030405060708090A0B0C0D0E0F",
}
ABP: dict[str, Any] = {
    "dev_eui": "70B3D57ED0000002",
    "dev_addr": "01020304",
    "nwk_s_key": bytes(range(16)),
    "app_s_key": bytes(range(16, 32)),
    "description": "ABP probe",
    "latitude": 52.3702,
    "longitude": 4.8951,
    "altitude": -1,
    "attributes": {"room": "b2"},
    "fCntUp": 7,
    "fCntDown": 3,
    "disableFCntCheck": True,
}
DEV = "DeviceService"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(network="chirpstack", seed=0) as sandbox:
        yield sandbox


@pytest.fixture
def front(sandbox: Sandbox) -> Iterator[Front]:
    front = Front(sandbox)
    yield front
    front.stop()


@pytest.fixture(params=["waiting", "asyncio"])
def client(request: pytest.FixtureRequest, sandbox: Sandbox, front: Front) -> Iterator[Any]:
    arguments = (sandbox.application_id, sandbox.access_key, front.address)
    if request.param == "asyncio":
        driven = OnLoop(aio.ApplicationClient(*arguments))
        yield driven
        driven.end()
        return
    with ApplicationClient(*arguments) as client:
        yield client


@pytest.fixture
def world(sandbox: Sandbox, generated: Generated) -> Iterator[World]:
    world = World(sandbox, generated)
    yield world
    world.close()


def test_a_device_that_joins(front: Front, client: Any, sandbox: Sandbox) -> None:
    assert type(client.register_device("soil_03", OTAA)) is ttn.Empty
    assert front.changes() == [f"{DEV}/Create", f"{DEV}/CreateKeys"]
    device = client.device("soil_03")
    assert (device.app_id, device.dev_id) == (sandbox.application_id, "soil_03")
    lorawan = device.lorawan_device
    assert (lorawan.dev_eui.hex(), lorawan.app_eui.hex()) == ("70b3d57ed0000001", "70b3d57ed00000a1")
    assert lorawan.app_key == bytes(range(16)) and lorawan.uses32_bit_f_cnt and not lorawan.dev_addr
    own = device.chirpstack
    assert (own.device.name, dict(own.device.tags)) == ("soil_03", {"dev_id": "soil_03"})
    # The AppKey of LoRaWAN 1.0 stands where the NwkKey does.
    assert own.keys.nwk_key == "000102030405060708090a0b0c0d0e0f" and not own.keys.app_key.strip("0")
    assert own.activation is None and dict(device.attributes) == {}


def test_a_device_with_a_session_alone(front: Front, client: Any) -> None:
    client.register_device("abp1", ABP)
    assert front.changes() == [f"{DEV}/Create", f"{DEV}/Activate"]
    device = client.device("abp1")
    lorawan = device.lorawan_device
    assert (lorawan.dev_addr, lorawan.nwk_s_key, lorawan.app_s_key) == (
        bytes.fromhex("01020304"),
        bytes(range(16)),
        bytes(range(16, 32)),
    )
    assert (lorawan.f_cnt_up, lorawan.f_cnt_down, lorawan.disable_f_cnt_check) == (7, 3, True)
    assert (device.description, dict(device.attributes)) == ("ABP probe", {"room": "b2"})
    assert (round(device.latitude, 4), round(device.longitude, 4), device.altitude) == (52.3702, 4.8951, -1)
    session = device.chirpstack.activation
    assert session.s_nwk_s_int_key == session.f_nwk_s_int_key == session.nwk_s_enc_key == bytes(range(16)).hex()
    assert device.chirpstack.device.tags["latitude"] == "52.3702" and device.chirpstack.keys is None


def test_both_at_once_go_on_without_joining_anew(front: Front, client: Any) -> None:
    both = {**ABP, **OTAA, "dev_eui": "70B3D57ED0000003"}
    del both["devEui"]
    client.register_device("both", both)
    assert front.changes() == [f"{DEV}/Create", f"{DEV}/CreateKeys", f"{DEV}/Activate"]
    lorawan = client.device("both").lorawan_device
    assert lorawan.app_key and lorawan.dev_addr


def test_the_calls_are_those_of_the_captures(front: Front, client: Any, generated: Generated) -> None:
    """What the captures' devices were made with, but for what the server made itself."""
    del generated  # it has to be there: its folder is where Python looks
    for name in ("device", "application"):
        importlib.import_module(f"chirpstack.{name}_pb2")
    by_note = {record["note"]: record for record in records("40-management-grpc")}
    joining = by_note["keys: app_key and gen_app_key left empty"]["request"]["device_keys"]
    session = by_note["ABP session"]["request"]["device_activation"]
    made = by_note["device soil-probe-03"]["request"]["device"]
    client.register_device("otaa-1", {"dev_eui": joining["dev_eui"], "app_key": joining["nwk_key"]})
    keys = {"nwk_s_key": session["f_nwk_s_int_key"], "app_s_key": session["app_s_key"], "dev_addr": session["dev_addr"]}
    described = {"name": made["name"], "description": made["description"], "variables": made["variables"]}
    tags = {name: value for name, value in made["tags"].items() if name != "dev_id"}
    client.register_device("soil_03", {"dev_eui": session["dev_eui"], **keys, **described, "attributes": tags})

    def told(method: str, message: str, part: str) -> Any:
        request = GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(f"api.{message}")).FromString(
            front.told(f"{DEV}/{method}")
        )
        return json_format.MessageToDict(request, preserving_proto_field_name=True)[part]

    assert told("CreateKeys", "CreateDeviceKeysRequest", "device_keys") == joining
    assert told("Activate", "ActivateDeviceRequest", "device_activation") == session
    created = told("Create", "CreateDeviceRequest", "device")
    of_the_server = ("application_id", "device_profile_id")
    assert {name: value for name, value in created.items() if name not in of_the_server} == {
        **{name: value for name, value in made.items() if name not in of_the_server},
        "dev_eui": session["dev_eui"],
    }


def test_a_registered_device_sends(sandbox: Sandbox, client: Any) -> None:
    client.register_device("abp1", ABP)
    client.register_device("soil_03", {**OTAA, "name": "soil-probe-03"})
    sandbox.device("abp1").uplink(b"\x01")
    # Called by its name; it has no session before it has joined.
    joining = sandbox.device("soil-probe-03", joined=False)
    with pytest.raises(ValueError, match="join"):
        joining.uplink(b"\x02")
    joining.join()
    joining.uplink(b"\x02")
    lorawan = client.device("soil_03").lorawan_device
    assert lorawan.last_seen > 0 and lorawan.dev_addr and lorawan.nwk_s_key


def test_devices_are_found_by_tag_name_and_eui(world: World, sandbox: Sandbox) -> None:
    with ApplicationClient(world.ours[APPLICATION], sandbox.api_key("admin"), sandbox.management_address) as client:
        for called in ("soil_03", "soil-probe-03", PROBE, PROBE.upper(), "70-B3-D5-7E-D0-05-F1-A2"):
            device = client.device(called)
            assert (device.dev_id, device.lorawan_device.dev_eui.hex()) == ("soil_03", PROBE), called
        # Of another application, though the key may.
        for call in (client.device, client.delete_device, client.downlinks):
            with pytest.raises(ApplicationError) as caught:
                call("elsewhere")
            assert caught.value.code is StatusCode.NOT_FOUND
            with pytest.raises(ApplicationError) as caught:
                call("70b3d57ed005f1a6")
            assert caught.value.code is StatusCode.NOT_FOUND
    assert sandbox.devices(world.ours["b6eec3ed-2386-4b73-8a63-643b92850a13"]) == ["elsewhere"]


def test_two_devices_of_one_name_are_not_clear(sandbox: Sandbox, world: World, client: Any) -> None:
    client.register_device("one", OTAA)
    profile = client.device("one").chirpstack.device.device_profile_id
    twin = {"dev_eui": "70b3d57ed0000009", "name": "one", "application_id": sandbox.application_id}
    world.api.call(
        "DeviceService/Create", {"device": {**twin, "device_profile_id": profile, "tags": {"dev_id": "one"}}}
    )
    with pytest.raises(ValueError, match=r"70b3d57ed0000001 and 70b3d57ed0000009 are called that"):
        client.delete_device("one")
    assert client.device("70b3d57ed0000009").dev_id == "one"


def test_lists_have_what_lists_have_and_the_rest_is_asked_for(front: Front, client: Any) -> None:
    for number in range(5):
        client.register_device(f"node_{number}", {**OTAA, "devEui": f"70B3D57ED000000{number}", "description": "d"})
    listed = client.devices(complete=False) if isinstance(client, OnLoop) else client.devices()
    assert [device.dev_id for device in listed] == [f"node_{number}" for number in range(5)]
    assert listed.total == 5 and {device.description for device in listed} == {"d"}
    part = client.devices(limit=2, offset=3)
    assert ([device.dev_id for device in part], part.total) == (["node_3", "node_4"], 5)
    none = client.devices(limit=0)
    assert (len(none), none.total) == (0, 5)
    front.forget()
    whole = client.devices(complete=True)
    assert [device.lorawan_device.app_key for device in whole] == [bytes(range(16))] * 5
    assert front.names().count(f"{DEV}/GetKeys") == 5


def test_pages_and_iteration(sandbox: Sandbox, front: Front) -> None:
    with ApplicationClient(sandbox.application_id, sandbox.access_key, front.address) as client:
        for number in range(5):
            client.register_device(f"node_{number}", {**OTAA, "devEui": f"70B3D57ED000000{number}"})
        assert [len(page) for page in client.devices_pages(page_size=2)] == [2, 2, 1]
        assert [device.dev_id for device in client.iter_devices(page_size=2)] == [f"node_{n}" for n in range(5)]
        front.forget()
        (device, *_) = client.devices()
        assert front.names() == [f"{DEV}/List"]
        assert device.lorawan_device.app_key == bytes(range(16))
        assert f"{DEV}/GetKeys" in front.names()


def test_an_update_changes_what_is_given_and_keeps_the_rest(front: Front, client: Any) -> None:
    client.register_device("soil_03", {**OTAA, "attributes": {"a": "1", "b": "2"}, "variables": {"v": "secret"}})
    front.later.add(f"{DEV}/Get")
    client.update_device("soil_03", {"description": "new", "attributes": {"a": None, "c": "3"}, "altitude": 9})
    # An update replaces all of a device: what these definitions do not know goes back as it came.
    assert UNKNOWN in front.told(f"{DEV}/Update")
    front.later.clear()
    device = client.device("soil_03")
    assert (device.description, dict(device.attributes), device.altitude) == ("new", {"b": "2", "c": "3"}, 9)
    record = device.chirpstack.device
    assert (record.name, record.tags["dev_id"], dict(record.variables)) == ("soil_03", "soil_03", {"v": "secret"})
    assert record.join_eui == "70b3d57ed00000a1" and device.lorawan_device.app_key == bytes(range(16))
    assert front.changes()[2:] == [f"{DEV}/Update"]


def test_each_part_of_a_device_is_changed_where_it_is(front: Front, client: Any) -> None:
    client.register_device("abp1", ABP)
    front.forget()
    front.later.update({f"{DEV}/GetActivation"})
    client.update_device("abp1", {"f_cnt_up": 70, "f_cnt_down": 30})
    assert front.changes() == [f"{DEV}/Activate"] and UNKNOWN in front.told(f"{DEV}/Activate")
    front.later.clear()
    lorawan = client.device("abp1").lorawan_device
    assert (lorawan.f_cnt_up, lorawan.f_cnt_down, lorawan.nwk_s_key) == (70, 30, bytes(range(16)))
    front.forget()
    client.update_device("abp1", {"app_key": "11" * 16})
    assert front.changes() == [f"{DEV}/CreateKeys"]
    front.later.add(f"{DEV}/GetKeys")
    client.update_device("abp1", {"app_key": "22" * 16})
    assert front.changes()[1:] == [f"{DEV}/UpdateKeys"] and UNKNOWN in front.told(f"{DEV}/UpdateKeys")
    front.later.clear()
    assert client.device("abp1").lorawan_device.app_key == b"\x22" * 16
    front.forget()
    client.update_device("abp1", {})
    assert front.changes() == []


def test_a_session_begins_with_all_of_it(client: Any) -> None:
    client.register_device("soil_03", OTAA)
    with pytest.raises(ValueError, match="no session yet"):
        client.update_device("soil_03", {"f_cnt_up": 1})
    client.update_device("soil_03", {name: ABP[name] for name in ("dev_addr", "nwk_s_key", "app_s_key")})
    assert client.device("soil_03").lorawan_device.dev_addr == bytes.fromhex("01020304")


def test_keys_of_lorawan_1_1(client: Any) -> None:
    client.register_device("new", {**OTAA, "nwk_key": "33" * 16})
    device = client.device("new")
    assert (device.chirpstack.keys.nwk_key, device.lorawan_device.app_key) == ("33" * 16, bytes(range(16)))
    client.update_device("new", {"app_key": "44" * 16})
    keys = client.device("new").chirpstack.keys
    assert (keys.nwk_key, keys.app_key) == ("33" * 16, "44" * 16)


def test_a_device_read_is_one_that_can_be_written(client: Any) -> None:
    client.register_device("abp1", ABP)
    device = client.device("abp1")
    device.description = "changed"
    client.update_device("abp1", device)
    assert client.device("abp1").description == "changed"
    client.delete_device("abp1")
    client.register_device("abp1", device)
    assert client.device("abp1") == device


def test_a_device_is_deleted_once(client: Any, sandbox: Sandbox) -> None:
    client.register_device("soil_03", OTAA)
    assert type(client.delete_device("soil_03")) is ttn.Empty
    assert sandbox.devices() == []
    for called in ("soil_03", "70b3d57ed0000001"):
        with pytest.raises(ApplicationError) as caught:
            client.delete_device(called)
        assert caught.value.code is StatusCode.NOT_FOUND and called in caught.value.details


def test_a_device_is_personalized_and_moved(sandbox: Sandbox, front: Front, client: Any) -> None:
    client.register_device("soil_03", OTAA)
    device = client.personalize("soil_03", nwk_s_key=bytes(range(16)))
    lorawan = device.lorawan_device
    assert len(lorawan.dev_addr) == 4 and lorawan.nwk_s_key == bytes(range(16)) and len(lorawan.app_s_key) == 16
    assert len(client.dev_addr()) == 4
    sandbox.add_application("other", sandbox.access_key)
    options: Any = {"tenant_id": sandbox.tenant_id}
    other: Any = ApplicationClient("other", sandbox.access_key, front.address, **options)
    target = aio.ApplicationClient("other", sandbox.access_key, front.address, **options)
    front.later.add(f"{DEV}/Get")
    client.move_device("soil_03", target if isinstance(client, OnLoop) else other)
    assert UNKNOWN in front.told(f"{DEV}/Update")
    with other:
        # Its session, too.
        assert other.device("soil_03").lorawan_device.dev_addr == lorawan.dev_addr
    assert sandbox.devices() == [] and sandbox.devices("other") == ["soil_03"]


def test_profiles_that_fit(sandbox: Sandbox, world: World, client: Any) -> None:
    made = {"tenant_id": sandbox.tenant_id, "name": "second", "supports_otaa": True}
    second = world.api.call("DeviceProfileService/Create", {"device_profile": made})["id"]
    with pytest.raises(
        ValueError, match=r'several device profiles for devices that join \(OTAA\), "second", "simulated"'
    ):
        client.register_device("one", OTAA)
    client.register_device("one", {**OTAA, "profile": "second"})
    assert client.device("one").chirpstack.device.device_profile_id == second
    # The one that is in use in the application.
    client.register_device("two", {**OTAA, "devEui": "70B3D57ED0000002"})
    assert client.device("two").chirpstack.device.device_profile_id == second
    client.update_device("two", {"profile": "simulated"})
    assert client.device("two").chirpstack.device.device_profile_id != second
    client.update_device("two", {"device_profile_id": second.upper()})
    assert client.device("two").chirpstack.device.device_profile_id == second
    with pytest.raises(ValueError, match='profile "third" is not valid'):
        client.register_device("three", {**OTAA, "profile": "third"})
    with pytest.raises(ValueError, match=r'profile "personalized" is not valid: .* join \(OTAA\)'):
        client.register_device("three", {**OTAA, "profile": "personalized"})


def test_the_profile_of_a_client_is_for_devices_that_it_fits(sandbox: Sandbox, world: World) -> None:
    for name in ("second", "third"):
        made = {"tenant_id": sandbox.tenant_id, "name": name, "supports_otaa": True}
        world.api.call("DeviceProfileService/Create", {"device_profile": made})
    arguments = (sandbox.application_id, sandbox.access_key, sandbox.management_address)
    with ApplicationClient(*arguments, profile="second") as client:
        client.register_device("joins", OTAA)
        client.register_device("abp1", ABP)
        assert [profile.name for profile in client.get().chirpstack.profiles] == ["second"]
    with ApplicationClient(*arguments) as client:
        names = sorted(profile.name for profile in client.get().chirpstack.profiles)
        assert names == ["personalized", "second"]


def test_what_is_no_good_is_told_before_anything_is_asked(front: Front, client: Any) -> None:
    front.forget()
    for device, words in [
        ({}, "dev_eui"),
        ({**OTAA, "appKey": "00" * 16}, "an app_key"),
        ({"dev_eui": "70B3D57ED0000001", "dev_addr": "01020304"}, "an app_key"),
        ({**OTAA, "name": "x" * 101}, "at most 100 characters"),
        ({**OTAA, "attributes": {"dev_id": "x"}}, "other names than dev_id"),
        ({**OTAA, "device_profile_id": "simulated"}, "a UUID"),
        ({**OTAA, "frequency_plan_id": "EU_863_870"}, "unknown key"),
    ]:
        for call in (client.register_device, client.check_device):
            with pytest.raises(ValueError, match=words):
                call("soil_03", device)
    with pytest.raises(ValueError, match="that of the device itself"):
        client.check_device("70b3d57ed0000002", OTAA)
    with pytest.raises(ValueError, match="other names than dev_id"):
        client.update_device("soil_03", {"attributes": {"dev_id": None}})
    assert front.names() == []


def test_an_id_is_no_other_device_s(client: Any) -> None:
    client.register_device("soil_03", OTAA)
    with pytest.raises(ApplicationError) as caught:
        client.register_device("soil_03", {**OTAA, "devEui": "70B3D57ED0000002"})
    assert caught.value.code is StatusCode.ALREADY_EXISTS and "70b3d57ed0000001" in caught.value.details
    with pytest.raises(ApplicationError) as caught:
        client.register_device("soil_04", OTAA)
    assert caught.value.code is StatusCode.ALREADY_EXISTS
    with pytest.raises(ValueError, match="cannot be changed"):
        client.update_device("soil_03", {"dev_eui": "70B3D57ED0000002"})


def test_a_queue(sandbox: Sandbox, front: Front, client: Any) -> None:
    client.register_device("abp1", ABP)
    ids = [client.push_downlink("abp1", bytes([number]), 10 + number, confirmed=number == 1) for number in range(3)]
    waiting = client.downlinks("abp1")
    assert [(item.id, item.f_port, item.data, item.confirmed) for item in waiting] == [
        (ids[0], 10, b"\x00", False),
        (ids[1], 11, b"\x01", True),
        (ids[2], 12, b"\x02", False),
    ]
    replaced = client.replace_downlinks("abp1", [{"payload": b"\x07", "port": 7}, {"payload": "CA=="}])
    assert [item.id for item in client.downlinks("abp1")] == replaced
    assert sandbox.device("abp1").downlinks == [b"\x07", b"\x08"]
    assert client.clear_downlinks("abp1") is None and len(client.downlinks("abp1")) == 0
    assert front.changes()[-1] == f"{DEV}/FlushQueue"


def test_what_a_queue_does_not_take(front: Front, client: Any) -> None:
    client.register_device("abp1", ABP)
    front.forget()
    wrong: list[tuple[Any, Any, str]] = [
        ((b"\x01", 0), {}, "port 0"),
        # The server would send it on port 1.
        ((b"\x01", 257), {}, "port 257"),
        ((bytes(243),), {}, "1 to 242 bytes"),
        ((b"\x01",), {"priority": "HIGH"}, "priority is not valid on ChirpStack"),
        ((b"\x01",), {"correlation_ids": ["a"]}, "correlation_ids is not valid on ChirpStack"),
    ]
    for arguments, options, words in wrong:
        with pytest.raises(ValueError, match=words):
            client.push_downlink("abp1", *arguments, **options)
    assert front.names() == []
    # Without a codec the server would queue an empty payload.
    with pytest.raises(ValueError, match="no codec"):
        client.push_downlink("abp1", {"level": 1})
    assert front.changes() == []
    assert client.push_downlink("abp1", b"\x01", 224)


def test_a_list_that_breaks_off_says_how_far_it_came(front: Front, client: Any) -> None:
    client.register_device("abp1", ABP)
    # The first one is passed on.
    front.before[f"{DEV}/Enqueue"] = lambda: front.refuse(f"{DEV}/Enqueue", "INTERNAL", "full")
    with pytest.raises(ApplicationError) as caught:
        client.replace_downlinks("abp1", [{"payload": b"\x01"}, {"payload": b"\x02"}, {"payload": b"\x03"}])
    assert "full; 1 of 3 downlinks were queued by then, and stay" in caught.value.details
    assert len(client.downlinks("abp1")) == 1


def test_a_server_before_4_15_replaces_a_queue_as_well(front: Front, client: Any) -> None:
    client.register_device("abp1", ABP)
    client.push_downlink("abp1", b"\x01")
    # It does not know the field (2, at the end) that has the queue emptied.
    front.rewritten[f"{DEV}/Enqueue"] = lambda request: request.removesuffix(b"\x10\x01")
    ids = client.replace_downlinks("abp1", [{"payload": b"\x02"}, {"payload": b"\x03"}])
    waiting = client.downlinks("abp1")
    assert [(item.id, item.data) for item in waiting] == [(ids[0], b"\x02"), (ids[1], b"\x03")]


def test_older_servers_are_asked_in_other_words(front: Front, client: Any) -> None:
    client.register_device("abp1", ABP)
    for _ in range(2):
        front.refuse("ApplicationService/ListDeviceProfiles", "UNIMPLEMENTED")
    assert [profile.name for profile in client.get().chirpstack.profiles] == ["personalized"]
    client.register_device("abp2", {**ABP, "dev_eui": "70B3D57ED0000003"})
    for code, details in (("INTERNAL", "Invalid string length"), ("UNAUTHENTICATED", "")):
        front.refuse(f"{DEV}/GetRandomDevAddr", code, details)
        assert len(client.dev_addr()) == 4
        assert b"70b3d57ed0000002" in front.told(f"{DEV}/GetRandomDevAddr")


def test_events_of_a_device(sandbox: Sandbox) -> None:
    device = sandbox.device("soil-03")
    for number in range(3):
        device.uplink(bytes([number]), port=2)
    with ApplicationClient(sandbox.application_id, sandbox.access_key, sandbox.management_address) as client:
        events = client.events("soil-03", timeout=PATIENCE)
        ups = (event for event in events if isinstance(event, ttn.UplinkMessage))
        assert [next(ups).payload for _ in range(3)] == [b"\x00", b"\x01", b"\x02"]
        device.uplink(b"\x09", port=2)
        live = next(ups)
        assert (live.dev_id, live.port, live.payload) == ("soil-03", 2, b"\x09")
        device.join()
        joined = next(events)
        assert isinstance(joined, ttn.ActivationEvent) and joined.name == "activations"
        with pytest.raises(ApplicationError) as caught:
            client.events("nobody")
        assert caught.value.code is StatusCode.NOT_FOUND


def test_events_end_when_nothing_comes(sandbox: Sandbox) -> None:
    sandbox.device("quiet")
    with ApplicationClient(sandbox.application_id, sandbox.access_key, sandbox.management_address) as client:
        assert list(client.events("quiet", timeout=0.2)) == []


def test_events_for_asyncio(sandbox: Sandbox) -> None:
    async def program() -> None:
        device = sandbox.device("soil-03")
        device.uplink(b"\x01")
        arguments = (sandbox.application_id, sandbox.access_key, sandbox.management_address)
        async with aio.ApplicationClient(*arguments) as client:
            events: Any = client.events("soil-03", timeout=PATIENCE)
            assert (await anext(events)).payload == b"\x01"
            device.uplink(b"\x02")
            assert (await anext(events)).payload == b"\x02"
            sandbox.device("quiet")
            assert [event async for event in client.events("quiet", timeout=0.2)] == []

    run(program())


def test_gateways(sandbox: Sandbox, client: Any) -> None:
    gateways = client.gateways()
    assert gateways.total == len(gateways) > 1
    names = [gateway.gateway_id for gateway in gateways]
    assert names == sorted(names) and all(gateway.name for gateway in gateways)
    assert [gateway.gateway_id for gateway in client.gateways(limit=1, offset=1)] == names[1:2]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda client: client.simulate_uplink("soil-03", b"\x01"), "a device has to send"),
        (lambda client: client.dry_uplink(b"\x01"), "a dry run does not exist on ChirpStack"),
        (lambda client: client.dry_downlink({"a": 1}), "a dry run does not exist on ChirpStack"),
        (lambda client: client.prefixes(), "dev_addr"),
        (lambda client: client.rights(), "ChirpStack has nothing like it"),
        (lambda client: client.set_register_on_join_access_key("key"), "registered before they join"),
    ],
)
def test_what_has_no_counterpart_names_what_there_is(
    call: Callable[[Any], object], words: str, front: Front, client: Any
) -> None:
    with pytest.raises(NotImplementedError, match=words):
        call(client)
    assert front.names() == []


def test_the_other_networks_have_no_gateways_and_no_events(stack_client: ApplicationClient) -> None:
    for call in (stack_client.gateways, lambda: stack_client.events("a-device")):
        with pytest.raises(NotImplementedError, match="is for ChirpStack: The Things Stack V3 has nothing like it"):
            call()
    with pytest.raises(ValueError, match="profile is not valid on The Things Stack V3"):
        stack_client.get(profile="p")


def test_a_registered_device_is_heard(sandbox: Sandbox, client: Any, client_for: Callable[..., MQTTClient]) -> None:
    client.register_device("soil_03", {**OTAA, "name": "A probe"})
    device = sandbox.device("A probe")
    device.join()
    heard: list[str] = []
    listening = client_for(sandbox)
    listening.set_uplink_callback(lambda msg, _: heard.append(msg.dev_id))
    listening.connect()
    device.uplink(b"\x01")
    sandbox.wait_for(lambda: heard)
    # By its tag, as the program called it.
    assert heard == ["soil_03"]
