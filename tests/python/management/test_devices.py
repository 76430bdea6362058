"""Devices: dictionaries in, devices out."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from faces import managed_by_both_faces
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from thingslink import ApplicationError, StatusCode, ttn
from thingslink.sandbox import Sandbox
from thingslink.ttn import ApplicationClient
from thingslink.ttn.utils import stubs

KEYS = {
    "app_eui": "70B3D57ED00000AA",
    "dev_eui": "0004A30B00AABBCC",
    "dev_addr": "26011F3C",
    "nwk_s_key": "00112233445566778899AABBCCDDEEFF",
    "app_s_key": "0102030405060708090A0B0C0D0E0F10",
    "app_key": "000102030405060708090A0B0C0D0E0F",
}


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


@managed_by_both_faces
def test_a_device_is_registered_read_changed_listed_and_deleted(application: ApplicationClient) -> None:
    empty = application.register_device("node-1", {**KEYS, "latitude": 52.25, "attributes": {"floor": "2"}})
    assert type(empty) is ttn.Empty and str(empty) == ""
    device = application.device("node-1")
    assert device.dev_id == device.lorawan_device.dev_id == "node-1" and device.app_id == "demo-app"
    assert {name: device.lorawan_device[name].hex().upper() for name in KEYS} == KEYS
    application.update_device("node-1", {"description": "attic", "attributes": {"floor": None, "room": "7"}})
    changed = application.device(devID="node-1")
    assert changed.description == "attic" and dict(changed.attributes) == {"room": "7"} and changed.latitude == 52.25
    assert [device.dev_id for device in application.devices()] == ["node-1"]
    application.delete_device("node-1")
    with pytest.raises(ApplicationError) as caught:
        application.device("node-1")
    assert caught.value.code is StatusCode.NOT_FOUND


@managed_by_both_faces
@pytest.mark.parametrize(
    "spelled",
    [
        KEYS,
        {camel(name): value for name, value in KEYS.items()},
        {name: value.lower() for name, value in KEYS.items()},
        {name: value.encode() for name, value in KEYS.items()},
        {name: bytes.fromhex(value) for name, value in KEYS.items()},
        {name: bytearray.fromhex(value) for name, value in KEYS.items()},
        {name: ":".join(value[at : at + 2] for at in range(0, len(value), 2)) for name, value in KEYS.items()},
        {name: "0x" + value for name, value in KEYS.items()},
        {name: f" {value[:4]} {value[4:]}\r\n" for name, value in KEYS.items()},
        {name: f"{value}\n".encode() for name, value in KEYS.items()},
        {"lorawan_device": KEYS},
        {"lorawanDevice": {camel(name): value for name, value in KEYS.items()}},
        {"lorawan_device": ttn.LorawanDevice(**{name: bytes.fromhex(value) for name, value in KEYS.items()})},
    ],
)
def test_keys_are_taken_in_any_spelling(spelled: dict[str, Any], application: ApplicationClient) -> None:
    application.register_device("node-1", spelled)
    lorawan = application.device("node-1").lorawan_device
    assert {name: lorawan[name].hex().upper() for name in KEYS} == KEYS


@managed_by_both_faces
def test_the_original_s_sample_is_registered_and_places_are_not_checked(application: ApplicationClient) -> None:
    application.register_device("sample", stubs.devicetest)
    sample = application.device("sample")
    assert (sample.latitude, sample.longitude, sample.altitude) == (100, 200, 300)
    application.update_device("sample", {"latitude": -1e6, "longitude": 720.5})
    sample = application.device("sample")
    assert (sample.latitude, sample.longitude) == (-1e6, 720.5)


@pytest.mark.parametrize(
    ("device", "error", "words"),
    [
        ({"devEUII": "x"}, ValueError, "unknown key \"devEUII\" of a device: did you mean 'dev_eui'?"),
        ({"lorawan_device": {"appKy": "x"}}, ValueError, "did you mean 'app_key'?"),
        ({"zzzzzz": 1}, ValueError, "expected some of app_id, dev_id"),
        ({"dev_eui": "0004A30B"}, ValueError, "dev_eui is not valid: expected 8 bytes (16 hex digits), got 4"),
        ({"app_key": "00" * 15}, ValueError, "app_key is not valid: expected 16 bytes"),
        ({"app_key": b"\xff" * 15}, ValueError, "app_key is not valid"),
        ({"app_key": "5ec7e75ec7e7z"}, ValueError, "app_key is not valid"),
        ({"dev_addr": "123"}, ValueError, "dev_addr is not valid: expected hex text with two digits for each byte"),
        ({"dev_eui": 5}, TypeError, "dev_eui must be hex text or bytes, not int"),
        ({"dev_eui": None}, TypeError, "dev_eui"),
        ({"longitude": "4"}, TypeError, "longitude: '4' has type str"),
        ({"altitude": 1.5}, TypeError, "altitude: 1.5 has type float"),
        ({"f_cnt_up": -1}, ValueError, "f_cnt_up: Value out of range: -1"),
        ({"attributes": {"a": 1}}, TypeError, "has type int"),
        ({"attributes": None}, TypeError, "attributes must be a dict of str"),
        ({"activation_constraints": "everywhere"}, ValueError, "expected some of otaa, abp"),
        ({"dev_eui": KEYS["dev_eui"], "devEui": KEYS["dev_eui"]}, TypeError, "dev_eui is given twice"),
        ("node-2", TypeError, "device must be a dict or a Device, not str"),
        (ttn.Application(), TypeError, "device must be a dict or a Device, not Application"),
        (ttn.Device(lorawan_device={"dev_eui": b"123"}), ValueError, "dev_eui is not valid: expected 8 bytes, got 3"),
    ],
)
def test_a_bad_device_is_told_before_any_call(device: Any, error: type[Exception], words: str) -> None:
    # Nobody serves this address: whatever asked it would fail differently.
    client = ApplicationClient("demo-app", "key", "127.0.0.1:1", insecure_channel=True)
    for call, argument in ((client.register_device, "device"), (client.update_device, "updates")):
        with pytest.raises(error) as caught:
            call("node-1", device)
        told = words.replace("device must", f"{argument} must")
        assert told in str(caught.value) and "5ec7e7" not in str(caught.value)


@pytest.mark.parametrize("dev_id", ["", "Node-1", "a", "node/1", "node 1"])
def test_a_bad_id_is_told_before_any_call(dev_id: str) -> None:
    client = ApplicationClient("demo-app", "key", "127.0.0.1:1", insecure_channel=True)
    for call in (client.device, client.delete_device, lambda dev_id: client.update_device(dev_id, {})):
        with pytest.raises(ValueError, match="dev_id"):
            call(dev_id)


@managed_by_both_faces
def test_what_is_listed_can_be_given_back(application: ApplicationClient) -> None:
    application.register_device("node-1", {**KEYS, "description": "attic", "attributes": {"a": "b"}})
    (listed,) = application.devices()
    application.delete_device("node-1")
    application.register_device("node-2", listed)
    application.update_device("node-2", listed)
    application.register_device("node-3", {**listed.to_dict(), "dev_eui": "0004A30B00AABBCD"} | {"lorawan_device": {}})
    moved = application.device("node-2")
    assert moved.lorawan_device.dev_eui == listed.lorawan_device.dev_eui and moved.attributes == {"a": "b"}


@managed_by_both_faces
def test_update_keeps_counters_and_what_it_does_not_mention(sandbox: Sandbox, application: ApplicationClient) -> None:
    application.register_device("node-1", {**KEYS, "activation_constraints": ["abp", "local"]})
    device = sandbox.device("node-1")
    for _ in range(5):
        device.uplink(b"\x01")
    before = application.device("node-1")
    assert before.lorawan_device.f_cnt_up == 4 and before.lorawan_device.last_seen > 0
    application.update_device("node-1", {"altitude": 3})
    after = application.device("node-1")
    assert after.lorawan_device == before.lorawan_device and after.altitude == 3
    assert device.uplink(b"\x01") == 5


def test_pages(application: ApplicationClient) -> None:
    names = [f"node-{number:02}" for number in range(25)]
    for number, name in enumerate(names):
        application.register_device(name, {"dev_eui": f"{number:016X}"})
    page = application.devices(limit=10, offset=20)
    assert [device.dev_id for device in page] == names[20:] and page.total == 25
    assert application.devices().total == 25 and len(application.devices()) == 25
    for size in (1, 7, 25, 1000):
        assert [device.dev_id for device in application.iter_devices(page_size=size)] == names
    with pytest.raises(ValueError, match="page_size 0"):
        application.iter_devices(page_size=0)


@managed_by_both_faces
def test_personalize(application: ApplicationClient) -> None:
    application.register_device("node-1", KEYS)
    device = application.personalize("node-1", nwk_s_key="AB" * 16)
    kept = application.device("node-1")
    assert kept.lorawan_device.nwk_s_key == b"\xab" * 16
    assert device.lorawan_device.dev_addr == kept.lorawan_device.dev_addr != bytes(4)
    assert kept.lorawan_device.app_s_key not in {bytes(16), bytes.fromhex(KEYS["app_s_key"])}
    assert application.dev_addr(["abp"])[:2] == b"\x26\x02"
    assert [mapping.prefix for mapping in application.prefixes()] == ["26010000/16", "26020000/16"]


def test_a_device_moves_or_stays_where_it_was(sandbox: Sandbox, application: ApplicationClient) -> None:
    sandbox.add_application("other-app", "other-key")
    application.register_device("node-1", {**KEYS, "description": "attic"})
    other = ApplicationClient("other-app", "other-key", sandbox.handler_address, sandbox.ca_certs)
    application.move_device("node-1", other)
    assert other.device("node-1").description == "attic" and not application.devices()
    other.app_access_key = "wrong"
    application.register_device("node-2", KEYS)
    with pytest.raises(ApplicationError, match="PERMISSION_DENIED"):
        application.move_device("node-2", other)
    assert application.device("node-2").lorawan_device.dev_eui_hex == KEYS["dev_eui"]


def test_two_hundred_threads_share_one_client(application: ApplicationClient) -> None:
    problems: list[BaseException] = []

    def work(number: int) -> None:
        try:
            application.register_device(f"node-{number}", {"dev_eui": f"{number:016X}", "altitude": number})
            assert application.device(f"node-{number}").altitude == number
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems and len(application.devices()) == 200


DEVICES = st.fixed_dictionaries(
    {"dev_eui": st.binary(min_size=8, max_size=8)},
    optional={
        "app_eui": st.binary(min_size=8, max_size=8),
        "app_key": st.binary(min_size=16, max_size=16),
        "dev_addr": st.binary(min_size=4, max_size=4),
        "latitude": st.floats(-90, 90, width=32),
        "longitude": st.floats(-180, 180, width=32),
        "altitude": st.integers(-(1 << 31), (1 << 31) - 1),
        "description": st.text(st.characters(codec="utf-8"), max_size=20),
        "attributes": st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=5), max_size=3),
        "disable_f_cnt_check": st.booleans(),
        "uses32_bit_f_cnt": st.booleans(),
        "f_cnt_up": st.integers(0, (1 << 32) - 2),
        "f_cnt_down": st.integers(0, (1 << 32) - 1),
    },
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(device=DEVICES)
def test_nothing_is_lost_or_changed(device: dict[str, Any], application: ApplicationClient) -> None:
    application.register_device("node-1", {"dev_eui": "00" * 8})
    application.delete_device("node-1")
    application.register_device("node-1", device)
    stored = application.device("node-1")
    for name, value in device.items():
        got = stored[name] if name in stored else stored.lorawan_device[name]
        assert (dict(got) if name == "attributes" else got) == value, name
