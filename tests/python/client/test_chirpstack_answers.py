"""What a client makes of a real server's answers over gRPC, and of the values that its codecs made, as captured."""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from chirpstack_peer import APPLICATION, DEVICE, NAME, Record, records, token, topic
from google.protobuf import descriptor_pool, json_format
from google.protobuf.message_factory import GetMessageClass
from harness import Recorder
from peers import PeerServer
from thingslink import RpcError
from thingslink._native import _parse_message
from thingslink.sandbox import Sandbox
from thingslink.ttn import MQTTClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from peers import Generated

CALLS: list[Record] = [
    call for name in ("40-management-grpc", "41-grpc-errors") for call in records(name) if "method" in call
]
BY_NOTE = {call["note"]: call for call in CALLS}
#: Two devices of one application have this name.
TENANT = "2f4a0ff2-5e8a-426b-abe8-3fb96cd53b18"


def of(method: str, *, failed: bool) -> list[str]:
    """Give the notes of calls of a method that went that way."""
    return [call["note"] for call in CALLS if call["method"] == f"api.{method}" and bool(call["code"]) is failed]


class Captured(PeerServer):
    """A server that answers each method as the calls of these notes were answered: in turn, and the last one again."""

    def __init__(self, generated: Generated) -> None:
        del generated  # it has to be there: its folder is where Python looks
        for name in ("application", "device", "device_profile"):
            importlib.import_module(f"chirpstack.{name}_pb2")
        self.notes: dict[str, list[str]] = {"ApplicationService/Get": ["application"]}
        self.requests: list[tuple[str, Any]] = []
        super().__init__()

    def answer(self, path: str, request: bytes, context: grpc.ServicerContext) -> bytes:
        method = path.removeprefix("/api.")
        service, name = method.split("/")
        found = descriptor_pool.Default().FindServiceByName(f"api.{service}").FindMethodByName(name)
        with self.lock:
            self.requests.append((method, GetMessageClass(found.input_type).FromString(request)))
            notes = self.notes[method]
            call = BY_NOTE[notes.pop(0) if len(notes) > 1 else notes[0]]
        if call["code"]:
            code = next(code for code in grpc.StatusCode if code.value[0] == call["code"])
            context.abort(code, call["details"] or "")
        message = GetMessageClass(found.output_type)()
        return bytes(json_format.ParseDict(call["response"], message, ignore_unknown_fields=True).SerializeToString())


@pytest.fixture
def captured(generated: Generated) -> Iterator[Captured]:
    server = Captured(generated)
    yield server
    server.stop()


@pytest.fixture
def broker() -> Iterator[Sandbox]:
    with Sandbox(network="chirpstack", seed=0) as sandbox:
        yield sandbox


Client = Any


@pytest.fixture
def client(captured: Captured, broker: Sandbox) -> Callable[..., Client]:
    def make(app_id: str = APPLICATION, **more: Any) -> MQTTClient:
        return MQTTClient(app_id, token(), broker.mqtt_address, grpc_address=captured.address, **more)

    return make


def words(call: Record) -> str:
    """Give what the client says of a refusal: that of the server, or what is behind its silence."""
    return call["details"] or "not found, or not allowed"


def is_as_captured(error: RpcError, call: Record) -> bool:
    return error.code().value[0] == call["code"] and words(call).strip() in str(error) and token() not in str(error)


@pytest.mark.parametrize("note", [*of("DeviceService/Get", failed=True), "application by name"])
def test_a_key_or_an_application_that_is_refused(captured: Captured, client: Callable[..., Client], note: str) -> None:
    captured.notes["ApplicationService/Get"] = [note]
    with pytest.raises(RpcError) as refused:
        client().connect()
    assert is_as_captured(refused.value, BY_NOTE[note])


def test_the_application_says_its_name(client: Callable[..., Client]) -> None:
    with client() as connected:
        assert f"application='{APPLICATION}'" in repr(connected)


def test_applications_by_name(captured: Captured, client: Callable[..., Client]) -> None:
    both = [item["id"] for item in BY_NOTE["applications by name: two of the same name"]["response"]["result"]]
    captured.notes["ApplicationService/List"] = ["applications by name: two of the same name"]
    with pytest.raises(ValueError, match=f"{both[0]} and {both[1]}"):
        client(NAME, tenant_id=TENANT).connect()
    captured.notes["ApplicationService/List"] = ["applications of the tenant"]
    with pytest.raises(ValueError, match="an application of this tenant"):
        client("greenhouse", tenant_id=TENANT).connect()
    with client("other", tenant_id=TENANT) as connected:
        (other,) = (
            item["id"]
            for item in BY_NOTE["applications of the tenant"]["response"]["result"]
            if item["name"] == "other"
        )
        assert f"application='{other}'" in repr(connected)
    asked = [request for method, request in captured.requests if method == "ApplicationService/List"]
    assert all(request.limit > 0 and request.tenant_id == TENANT for request in asked), "0 gives the count alone"


def test_devices_by_tag_and_by_name(captured: Captured, client: Callable[..., Client]) -> None:
    captured.notes["DeviceService/Enqueue"] = ["enqueue: plain, device without session"]
    with client() as connected:
        captured.notes["DeviceService/List"] = ["by tag"]
        connected.send("soil_03", b"\1", schedule="last")
        captured.notes["DeviceService/List"] = ["by tag without match", "list limit 100000"]
        connected.send("never-activated", b"\1", schedule="last")
        # Two have this name.
        captured.notes["DeviceService/List"] = ["by tag without match", "search by part of the name"]
        with pytest.raises(ValueError, match=f"70b3d57ed0050003 and {DEVICE}"):
            connected.send("soil-probe-03", b"\1")
        captured.notes["DeviceService/List"] = ["by tag without match"]
        with pytest.raises(ValueError, match="nobody"):
            connected.send("nobody", b"\1")
    sent = [request.queue_item.dev_eui for method, request in captured.requests if method == "DeviceService/Enqueue"]
    assert sent == [DEVICE, "70b3d57ed005f1a5"]
    asked = [request for method, request in captured.requests if method == "DeviceService/List"]
    assert all(request.limit > 0 and request.application_id == APPLICATION for request in asked)


@pytest.mark.parametrize("note", of("DeviceService/Enqueue", failed=True))
def test_downlinks_that_are_refused(captured: Captured, client: Callable[..., Client], note: str) -> None:
    captured.notes["DeviceService/Enqueue"] = [note]
    captured.notes["DeviceService/Get"] = ["read device"]
    captured.notes["DeviceProfileService/Get"] = ["profile"]
    is_object = "object" in BY_NOTE[note]["request"].get("queue_item", {})
    with client() as connected, pytest.raises(RpcError) as refused:
        connected.send(DEVICE, {"value": 3} if is_object else b"\2", schedule="last")
    # The places in the script are on lines of their own.
    assert is_as_captured(refused.value, BY_NOTE[note])


@pytest.mark.parametrize("note", of("DeviceService/Enqueue", failed=False))
def test_downlinks_that_are_taken(captured: Captured, client: Callable[..., Client], note: str) -> None:
    captured.notes["DeviceService/Enqueue"] = [note]
    replaces = bool(BY_NOTE[note]["request"].get("flush_queue"))
    with client() as connected:
        handle = connected.downlink(connected.send(DEVICE, b"\2", schedule="replace" if replaces else "last"))
        assert handle.state == "queued"
    (request,) = (request for method, request in captured.requests if method == "DeviceService/Enqueue")
    assert request.flush_queue is replaces and request.queue_item.id == "", "an ID of ours would be ignored"


ODD = [
    (record["note"], f'{{"deviceInfo":{{}},"fPort":2,"fCnt":1,"data":"AQ==",{text}}}')
    for record in records("54-codec-values-and-broker-restart")
    for text in record.get("object_text", [])
]


@pytest.mark.parametrize(("note", "body"), ODD, ids=[note for note, _ in ODD])
def test_odd_values_of_a_decoder(note: str, body: str) -> None:
    assert len(ODD) >= 13
    msg = _parse_message(body.encode(), "chirpstack")

    def as_v2_wrote(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: as_v2_wrote(one) for name, one in value.items()}
        if isinstance(value, list):
            return [as_v2_wrote(one) for one in value]
        return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value

    whole = json.loads(body)["object"]
    fields = msg.payload_fields.to_dict()
    assert fields == as_v2_wrote(whole), note
    assert type(fields["v"]) is type(as_v2_wrote(whole["v"])) and type(fields["w"]) is int
    assert msg.chirpstack.object.to_dict() == whole


def test_a_decoder_that_has_failed_is_told_of(broker: Sandbox, recorder: Recorder) -> None:
    client = MQTTClient(APPLICATION, None, broker.mqtt_address)
    client.set_event_callback(recorder.on("errors"), "up/errors")
    client.set_uplink_callback(recorder.on("uplink"))
    failed = [record for record in records("54-codec-values-and-broker-restart") if record.get("object") == [None]]
    assert len(failed) >= 5
    info = {"applicationName": NAME, "devEui": DEVICE, "deviceName": "soil-probe-03"}
    with client:
        for record in failed:
            told = {"deviceInfo": info, "level": "ERROR", "code": "UPLINK_CODEC", "description": record["log"][0]}
            broker.publish_raw(topic("log"), json.dumps(told).encode())
            assert record["log"][0] in str(recorder.expect("errors").error)
            uplink = {"deviceInfo": info, "fPort": 2, "fCnt": 1, "data": "AQ=="}
            broker.publish_raw(topic("up"), json.dumps(uplink).encode())
            msg = recorder.expect("uplink")
            assert "payload_fields" not in msg.keys() and msg.payload == b"\1"  # noqa: SIM118 - a message is a tuple
