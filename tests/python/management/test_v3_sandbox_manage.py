"""The client of The Things Stack V3 against the offline one, which was made from the same captures by other hands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from thingslink import ApplicationError, StatusCode
from thingslink.sandbox import Sandbox
from thingslink.ttn import ApplicationClient

if TYPE_CHECKING:
    from collections.abc import Iterator

OTAA = {"dev_eui": "70B3D57ED0000001", "app_eui": "70B3D57ED00000A1", "app_key": bytes(range(16))}
ABP = {
    "dev_addr": "01020304",
    "nwk_s_key": bytes(range(16)),
    "app_s_key": bytes(range(16, 32)),
    "description": "ABP probe",
    "latitude": 52.3702,
    "attributes": {"room": "b2"},
    "f_cnt_up": 7,
    "disable_f_cnt_check": True,
}


@pytest.fixture
def client() -> Iterator[ApplicationClient]:
    with Sandbox(network="v3", insecure=True) as sandbox:
        address = sandbox.management_address
        options = {"insecure_channel": True, "frequency_plan_id": "EU_863_870_TTN"}
        with ApplicationClient(sandbox.app_id, sandbox.access_key, address, **options) as client:  # type: ignore[call-overload]
            yield client


def test_devices_live_on_all_servers(client: ApplicationClient) -> None:
    client.register_device("otaa1", OTAA)
    client.register_device("abp1", ABP)
    with pytest.raises(ApplicationError) as caught:
        client.register_device("abp1", ABP)
    assert (caught.value.code, caught.value.name) == (StatusCode.ALREADY_EXISTS, "id_taken")
    assert [device.dev_id for device in client.devices()] == ["abp1", "otaa1"] and client.devices().total == 2
    device = client.device("abp1")
    assert device.lorawan_device.app_s_key == bytes(range(16, 32)) and device.latitude == pytest.approx(52.3702)
    assert client.device("otaa1").lorawan_device.app_key == bytes(range(16))
    changes = {"description": "attic", "attributes": {"room": None, "floor": "2"}, "f_cnt_down": 4}
    assert client.update_device("abp1", changes) == ["IS", "NS", "AS"]
    assert dict(client.device("abp1").attributes) == {"floor": "2"}
    assert len(client.personalize("otaa1").lorawan_device.dev_addr) == 4
    client.delete_device("otaa1")
    with pytest.raises(ApplicationError, match="NOT_FOUND"):
        client.device("otaa1")


def test_a_registration_that_the_stack_refuses_leaves_nothing_behind(client: ApplicationClient) -> None:
    with pytest.raises(ApplicationError):
        client.register_device("otaa1", {**OTAA, "frequency_plan_id": "NOPE"})
    assert len(client.devices()) == 0
    client.register_device("otaa1", OTAA)


def test_functions_of_v2_run_there(client: ApplicationClient) -> None:
    client.register_device("abp1", ABP)
    client.set_custom_payload_functions(
        "function Encoder(object, port) { return [object.level]; }",
        "function Decoder(bytes, port) { return {level: bytes[0]}; }",
        "function Validator(converted, port) { return converted.level < 5; }",
        "function Converter(decoded, port) { decoded.half = decoded.level / 2; return decoded; }",
    )
    result = client.dry_uplink(b"\3")
    assert (result.fields, result.valid) == ('{"half":1.5,"level":3}', True)
    assert client.dry_uplink(b"\x09").valid is False
    assert client.dry_downlink({"level": 7}).payload == b"\7"
    assert client.get().validator.startswith("function Validator")
    client.simulate_uplink("abp1", b"\1")


def test_a_queue_and_an_end(client: ApplicationClient) -> None:
    client.register_device("abp1", ABP)
    client.push_downlink("abp1", b"\1\2", 4, correlation_ids=["mine"])
    (waiting,) = client.downlinks("abp1")
    assert waiting.frm_payload == b"\1\2" and "mine" in waiting.correlation_ids
    client.clear_downlinks("abp1")
    assert len(client.downlinks("abp1")) == 0 and "RIGHT_APPLICATION_TRAFFIC_READ" in client.rights()
    client.unregister(confirm=True)
    with pytest.raises(ApplicationError):
        client.get()
