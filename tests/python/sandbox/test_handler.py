"""The sandbox's gRPC side, driven by gRPC's own Python: any client can use it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from harness import Recorder
from peers import Generated
from thingslink import SandboxError
from thingslink.sandbox import Sandbox
from thingslink.ttn import ApplicationClient, MQTTClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = (("key", "ttn-account-v2.demo"),)


@pytest.fixture
def channel(sandbox: Sandbox) -> Iterator[grpc.Channel]:
    credentials = grpc.ssl_channel_credentials(sandbox.ca_certs.encode())
    with grpc.secure_channel(sandbox.handler_address.replace("127.0.0.1", "localhost"), credentials) as channel:
        yield channel


@pytest.fixture
def manager(channel: grpc.Channel, generated: Generated) -> Any:
    return generated.handler_grpc.ApplicationManagerStub(channel)


@pytest.fixture
def new(generated: Generated) -> Callable[..., Any]:
    def make(name: str, **fields: Any) -> Any:
        return generated.message(name)(**fields)

    return make


def device(new: Callable[..., Any], dev_id: str = "node-1", **lorawan: Any) -> Any:
    part = new("lorawan.Device", dev_eui=b"12345678", **lorawan)
    return new("handler.Device", app_id="demo-app", dev_id=dev_id, lorawan_device=part)


def refused(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error: Any = caught.value
    return error.code().name, error.details()


def test_discovery(sandbox: Sandbox, generated: Generated, new: Callable[..., Any]) -> None:
    credentials = grpc.ssl_channel_credentials(sandbox.ca_certs.encode())
    with grpc.secure_channel(sandbox.discovery_address.replace("127.0.0.1", "localhost"), credentials) as channel:
        stub = generated.discovery_grpc.DiscoveryStub(channel)
        found = stub.GetByAppID(new("discovery.GetByAppIDRequest", app_id="demo-app"))
        assert (found.net_address, found.certificate) == (sandbox.handler_address, sandbox.ca_certs)
        assert {entry.service_name for entry in stub.GetAll(new("discovery.GetServiceRequest")).services} == {
            "router",
            "broker",
            "handler",
        }
        announce = refused(lambda: stub.Announce(new("discovery.Announcement")))
        assert announce[0] == "PERMISSION_DENIED"


def test_rights_and_status_codes(sandbox: Sandbox, manager: Any, new: Callable[..., Any]) -> None:
    request = new("handler.ApplicationIdentifier", app_id="demo-app")
    assert refused(lambda: manager.GetApplication(request)) == (
        "INVALID_ARGUMENT",
        "Metadata not valid: neither token nor key present",
    )
    code, words = refused(lambda: manager.GetApplication(request, metadata=(("key", "wrong"),)))
    assert code == "PERMISSION_DENIED" and words.startswith("permission denied: ")
    sandbox.add_application("demo-app", "settings-only", ["settings"])
    narrow = (("key", "settings-only"),)
    manager.SetApplication(new("handler.Application", app_id="demo-app", register_on_join_access_key="k"), metadata=KEY)
    assert manager.GetApplication(request, metadata=narrow).register_on_join_access_key == "..."
    manager.SetApplication(new("handler.Application", app_id="demo-app", decoder="D"), metadata=narrow)
    kept = manager.GetApplication(request, metadata=KEY)
    assert (kept.register_on_join_access_key, kept.decoder, kept.payload_format) == ("k", "D", "custom")
    assert refused(lambda: manager.SetDevice(device(new), metadata=narrow))[0] == "PERMISSION_DENIED"
    assert refused(lambda: manager.DeleteApplication(request, metadata=narrow))[0] == "PERMISSION_DENIED"
    unknown = new("handler.DeviceIdentifier", app_id="demo-app", dev_id="none-1")
    assert refused(lambda: manager.GetDevice(unknown, metadata=KEY)) == ("NOT_FOUND", 'Device "none-1" not found')
    assert refused(lambda: manager.DeleteDevice(unknown, metadata=KEY))[0] == "NOT_FOUND"
    assert refused(lambda: manager.RegisterApplication(request, metadata=KEY))[0] == "ALREADY_EXISTS"
    # A token counts before a key.
    assert (
        refused(lambda: manager.GetApplication(request, metadata=(*KEY, ("token", "wrong"))))[0] == "PERMISSION_DENIED"
    )


def test_devices_follow_the_servers_rules(manager: Any, new: Callable[..., Any]) -> None:
    where = new("handler.DeviceIdentifier", app_id="demo-app", dev_id="node-1")
    manager.SetDevice(device(new, app_key=b"k" * 16), metadata=KEY)
    got = manager.GetDevice(where, metadata=KEY)
    assert got.lorawan_device.app_eui == bytes(8) and got.lorawan_device.nwk_s_key == bytes(16)
    assert got.lorawan_device.activation_constraints == "local"
    # Absent keys keep the old value; everything else is replaced.
    got.ClearField("lorawan_device")
    got.description = "x"
    got.lorawan_device.dev_eui = b"12345678"
    manager.SetDevice(got, metadata=KEY)
    again = manager.GetDevice(where, metadata=KEY)
    assert again.lorawan_device.app_key == b"k" * 16 and again.description == "x"
    again.description = ""
    manager.SetDevice(again, metadata=KEY)
    assert manager.GetDevice(where, metadata=KEY).description == ""
    bare = new("handler.Device", app_id="demo-app", dev_id="node-2")
    assert refused(lambda: manager.SetDevice(bare, metadata=KEY))[0] == "INVALID_ARGUMENT"
    assert refused(lambda: manager.SetDevice(device(new, app_key=b"short"), metadata=KEY))[0] == "INTERNAL"
    assert refused(lambda: manager.SetDevice(device(new, "node-2"), metadata=KEY))[0] == "ALREADY_EXISTS"


def test_pages_and_their_headers(manager: Any, new: Callable[..., Any]) -> None:
    for number in range(5):
        entry = new("lorawan.Device", dev_eui=bytes([number]) * 8, f_cnt_up=7)
        request = new("handler.Device", app_id="demo-app", dev_id=f"node-{4 - number}", lorawan_device=entry)
        manager.SetDevice(request, metadata=KEY)
    application = new("handler.ApplicationIdentifier", app_id="demo-app")
    metadata = (*KEY, ("limit", "2"), ("offset", "1"))
    answer, call = manager.GetDevicesForApplication.with_call(application, metadata=metadata)
    assert [entry.dev_id for entry in answer.devices] == ["node-1", "node-2"]
    assert {entry.lorawan_device.f_cnt_up for entry in answer.devices} == {0}
    headers = dict(call.initial_metadata())
    assert (headers["total"], headers["selected"]) == ("5", "2")


def test_registrations_are_events_and_devices_send(
    sandbox: Sandbox, manager: Any, new: Callable[..., Any], recorder: Recorder
) -> None:
    client = recorder.watch(MQTTClient(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address))
    client.set_event_callback(lambda event, client: recorder.entries.put((event.name, event)))
    client.connect()
    request = device(new)
    request.latitude = 52.3736
    manager.SetDevice(request, metadata=KEY)
    assert recorder.expect("create").latitude == 52.3736
    manager.SetDevice(request, metadata=KEY)
    recorder.expect("update")
    decoder = "function Decoder(bytes) { return {sum: bytes[0] + bytes[1]}; }"
    manager.SetApplication(new("handler.Application", app_id="demo-app", decoder=decoder), metadata=KEY)
    sandbox.device("node-1").uplink(b"\x02\x03")
    msg = recorder.expect("uplink")
    assert msg.payload_fields.sum == 5 and msg.hardware_serial == b"12345678".hex().upper()
    simulated = new("handler.SimulatedUplinkMessage", app_id="demo-app", dev_id="node-1", payload=b"\x01\x01", port=3)
    manager.SimulateUplink(simulated, metadata=KEY)
    msg = recorder.expect("uplink")
    assert (msg.payload_fields.sum, msg.port, msg.counter) == (2, 3, 0) and not hasattr(msg.metadata, "gateways")
    manager.DeleteDevice(new("handler.DeviceIdentifier", app_id="demo-app", dev_id="node-1"), metadata=KEY)
    recorder.expect("delete")
    client.close()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"decoder": "function Decoder() { return x; }"}, "Decoder threw error: ReferenceError: x is not defined"),
        ({"decoder": "function Decoder() { while (true) {} }"}, "Interrupted"),
        (
            {"decoder": "function Decoder() { return {}; }", "validator": "function Validator() { return false; }"},
            "Payload not valid: payload validator function returned false",
        ),
    ],
)
def test_payload_functions_that_fail(
    settings: dict[str, str], words: str, application: ApplicationClient, sandbox: Sandbox, recorder: Recorder
) -> None:
    application.set_custom_payload_functions(**settings)  # type: ignore[arg-type]
    client = recorder.watch(MQTTClient(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address))
    client.set_event_callback(recorder.on("error-event"), "up/errors")
    client.connect()
    sandbox.device("node-1").uplink(b"\x01")
    assert words in recorder.expect("error-event").error
    if "validator" not in settings:
        assert not hasattr(recorder.expect("uplink"), "payload_fields")
    client.close()


def test_fields_are_encoded_for_downlinks(application: ApplicationClient, sandbox: Sandbox, recorder: Recorder) -> None:
    application.set_custom_payload_functions(encoder="function Encoder(o, port) { return [o.led ? 1 : 0, port]; }")
    client = recorder.watch(MQTTClient(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address))
    client.set_event_callback(recorder.on("sent"), "down/sent")
    client.set_event_callback(recorder.on("failed"), "down/errors")
    client.set_event_callback(recorder.on("scheduled"), "down/scheduled")
    client.connect()
    node = sandbox.device("node-1")

    def sent(fields: dict[str, Any]) -> bytes:
        client.send("node-1", fields, port=9)
        recorder.expect("scheduled")
        node.uplink(b"")
        frame: bytes = recorder.expect("sent").payload
        return frame[9:-4]

    assert sent({"led": True}) == b"\x01\x09"
    application.set_payload_format("cayennelpp")
    assert sent({"value_1": 50}) == bytes.fromhex("011388")
    client.send("node-1", {"led": True})
    recorder.expect("scheduled")
    node.uplink(b"")
    assert "expected value_" in recorder.expect("failed").error
    client.close()


def test_the_state_is_not_written_through_a_link_that_was_laid_beside_it(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("another's")
    (tmp_path / "network.new").symlink_to(other)
    with Sandbox(state=tmp_path / "network.json"):
        pass
    assert other.read_text() == "another's"
    assert json.loads((tmp_path / "network.json").read_text())


def test_state_is_kept_in_a_file(tmp_path: Path) -> None:
    state = tmp_path / "network.json"
    with Sandbox(state=state) as sandbox:
        client = ApplicationClient(sandbox.app_id, sandbox.access_key, sandbox.handler_address, sandbox.ca_certs)
        client.register_device("node-1", {"dev_eui": "11" * 8, "description": "attic", "attributes": {"a": "b"}})
        client.set_custom_payload_functions(decoder="D")
        sandbox.device("node-1").uplink(b"\x01")
        before = client.device("node-1")
    saved = state.read_text()
    assert sandbox.access_key not in saved and "node-1" in json.loads(saved)["demo-app"]["devices"]
    assert state.stat().st_mode & 0o077 == 0
    with Sandbox(state=state) as sandbox:
        client = ApplicationClient(sandbox.app_id, sandbox.access_key, sandbox.handler_address, sandbox.ca_certs)
        assert client.device("node-1") == before and client.get().decoder == "D"
        assert sandbox.device("node-1").uplink(b"\x01") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["network.json"]
    state.write_text("{")
    with pytest.raises(SandboxError, match="cannot read the state file"):
        Sandbox(state=state).start()
