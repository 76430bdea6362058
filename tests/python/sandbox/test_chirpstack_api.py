"""The API of the ChirpStack sandbox answers as a real server did, call by call, over gRPC and gRPC-web."""

from __future__ import annotations

import http.client
import json
import re
import socket
import struct
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import grpc
import pytest
from chirpstack_server import APPLICATION, PROBE, World, alike_details, records
from harness import PATIENCE
from thingslink.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from peers import Generated


@pytest.fixture
def world(generated: Generated) -> Iterator[World]:
    with Sandbox("demo-app", network="chirpstack", seed=0) as sandbox:
        world = World(sandbox, generated)
        yield world
        world.close()


def authorization(world: World, note: str) -> str | None:
    """Give what the captures' call went with, which they do not have: the tenant's key unless they say so."""
    tenant = world.ours["eyJ0eXAi.FAKE-TENANT-KEY.XXXX"]
    header, claims, signature = tenant.split(".")
    if note in {"no authorization metadata", "GetVersion without a key", "login with a wrong password"}:
        return None
    if note == "wrong prefix":
        return f"Token {tenant}"
    token = {
        "not a JWT": "no-token",
        "a V3 key of The Things Stack": "NNSXS.AAAA.BBBB",
        "JWT signed with another secret": f"{header}.{claims}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}",
        "user token expired": EXPIRED,
    }.get(note)
    if token is None and note.startswith("key that was deleted"):
        made = world.api.call(
            "InternalService/CreateApiKey",
            {"api_key": {"name": "gone", "tenant_id": world.sandbox.tenant_id}},
            token=world.api.user,
        )
        world.api.call("InternalService/DeleteApiKey", {"id": made["id"]}, token=world.api.user)
        token = made["token"]
    if token is None and "read-only key" in note:
        token = world.ours.setdefault("read-only", read_only(world))
    if token is None and re.search(r"\badmin( key|$)", note):
        token = world.ours.setdefault("admin", world.sandbox.api_key("admin"))
    return f"Bearer {token or tenant}"


#: Of a user, signed as the sandbox signs, and over for long.
EXPIRED = (
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9."
    "eyJhdWQiOiJjaGlycHN0YWNrIiwiZXhwIjowLCJpc3MiOiJjaGlycHN0YWNrIiwic3ViIjoieCIsInR5cCI6InVzZXIifQ."
    "5eCblDGKgo-3QsELlhiCZDQhddoigX_UXAouThwzItY"
)


def read_only(world: World) -> str:
    tenant_id = world.ours["2f4a0ff2-5e8a-426b-abe8-3fb96cd53b18"]
    key = {"api_key": {"name": "reader", "tenant_id": tenant_id, "is_read_only": True}}
    token: str = world.api.call("InternalService/CreateApiKey", key, token=world.api.user)["token"]
    return token


def test_every_call_that_fails_or_surprises(world: World) -> None:
    """The captures of 110 calls, in their order: each leaves behind what the next ones see."""
    world.device().uplink()
    for record in records("41-grpc-errors"):
        if "method" in record and record["note"] != "tenants, admin key":
            world.replay(record, authorization(world, record["note"]))


def test_a_service_or_method_that_there_is_not(world: World) -> None:
    for path in ("/api.DeviceService/Nothing", "/api.Nothing/Get", "/api.DeviceProfileService/Nothing"):
        call: Any = world.api.channel.unary_unary(path)
        with pytest.raises(grpc.RpcError) as refused:
            call(b"", timeout=PATIENCE, metadata=[("authorization", f"Bearer {world.api.user}")])
        assert (refused.value.code(), refused.value.details()) == (grpc.StatusCode.UNIMPLEMENTED, "")


def test_what_no_api_key_may_call(world: World) -> None:
    for kind in ("tenant", "admin"):
        token = world.sandbox.api_key(kind)
        for method in ("GetVersion", "ListApiKeys", "CreateApiKey"):
            with pytest.raises(grpc.RpcError) as refused:
                world.api.call(f"InternalService/{method}", {}, token=token)
            assert (refused.value.code(), refused.value.details()) == (grpc.StatusCode.UNAUTHENTICATED, "")


def test_fields_that_are_not_defined_stay_in_a_profile(world: World) -> None:
    """Field 52 (``allow_roaming``) is none of the definitions' here."""
    made = world.api.call("DeviceProfileService/Create", {"device_profile": profile(world)})
    token = [("authorization", f"Bearer {world.api.user}")]
    get: Any = world.api.channel.unary_unary("/api.DeviceProfileService/Get")
    update: Any = world.api.channel.unary_unary("/api.DeviceProfileService/Update")
    request = b"\x0a\x24" + made["id"].encode()
    before = get(request, timeout=PATIENCE, metadata=token)
    length = before[1] & 0x7F | before[2] << 7 if before[1] & 0x80 else before[1]
    start = 3 if before[1] & 0x80 else 2
    whole = before[start : start + length] + b"\xa0\x03\x01"
    update(b"\x0a" + varint(len(whole)) + whole, timeout=PATIENCE, metadata=token)
    assert b"\xa0\x03\x01" in get(request, timeout=PATIENCE, metadata=token)


def varint(number: int) -> bytes:
    return bytes([number]) if number < 0x80 else bytes([number & 0x7F | 0x80, number >> 7])


def profile(world: World) -> dict[str, Any]:
    return {"name": "one more", "tenant_id": world.sandbox.tenant_id, "supports_otaa": True}


@pytest.mark.parametrize("name", ["53-restart-and-protobuf", "54-codec-values-and-broker-restart"])
def test_scripts_without_a_function_and_with_odd_results(world: World, name: str) -> None:
    found = 0
    for record in records(name):
        script = SCRIPTS.get(record["note"])
        if "script" in record:
            script = f"function decodeUplink(input) {{ {record['script']} }}"
        if script is None:
            continue
        found += 1
        events = listen(world)
        set_script(world, script)
        if isinstance(record.get("enqueue"), str):
            with pytest.raises(grpc.RpcError) as refused:
                enqueue_object(world)
            assert alike_details(refused.value.details()) == alike_details(record["enqueue"])
        world.device().uplink(b"\x01")
        expected_logs: list[str] = record["uplink_log"] if "uplink_log" in record else record["log"]
        told = [next(events) for _ in range(1 + len(expected_logs))]
        bodies = {item.description: json.loads(item.body) for item in told}
        assert [bodies["up"].get("object")] == record["object"], record["note"]
        logs = [alike_details(text) for text in expected_logs]
        assert [body["description"] for name, body in bodies.items() if name == "log"] == logs
        events.cancel()
    assert found >= 3


SCRIPTS = {
    "script with a decoder only": "function decodeUplink(input) { return {data: {a: input.bytes[0]}}; }",
    "script with V2 functions only": "function Decoder(bytes, port) { return {a: 1}; }",
    "empty script": "",
}


def set_script(world: World, script: str) -> None:
    profile_id = world.ours["353328b4-12b4-4a93-9bb1-3718d70afa99"]
    known = world.api.call("DeviceProfileService/Get", {"id": profile_id})["device_profile"]
    world.api.call("DeviceProfileService/Update", {"device_profile": {**known, "payload_codec_script": script}})


def enqueue_object(world: World) -> None:
    item = {"dev_eui": PROBE, "f_port": 10, "object": {"value": 3}}
    world.api.call("DeviceService/Enqueue", {"queue_item": item})


def listen(world: World) -> Any:
    """Listen to a device's events from now on."""
    stream = world.api.start("InternalService/StreamDeviceEvents", {"dev_eui": PROBE}, f"Bearer {world.api.user}")
    for _ in kept(world):
        next(stream)
    return stream


def kept(world: World) -> list[str]:
    """Give the topics of what is kept for who asks later."""
    topics = [entry["topic"] for entry in world.sandbox.journal if entry["kind"] == "published"]
    return [topic for topic in topics if f"/device/{PROBE}/event/" in topic][-10:]


def test_the_last_ten_events_of_a_device_and_then_new_ones(world: World) -> None:
    device = world.device()
    for payload in range(12):
        device.uplink(bytes([payload]), port=2)
    stream = world.api.start("InternalService/StreamDeviceEvents", {"dev_eui": PROBE}, f"Bearer {world.api.user}")
    before = [next(stream) for _ in range(10)]
    assert [json.loads(item.body)["fCnt"] for item in before] == list(range(2, 12))
    assert dict(before[0].properties) == {"DR": "5", "FCnt": "2", "FPort": "2", "Data": "02"}
    device.uplink(b"\xff", port=2)
    assert json.loads(next(stream).body)["data"] == "/w=="
    stream.cancel()
    theirs = records("50-limits-and-streams")[0]["items"][0][1]
    assert set(json.loads(theirs["body"])) == set(json.loads(before[0].body))


def test_events_of_a_device_that_is_not_there_or_is_spelt_otherwise(world: World) -> None:
    world.device().uplink()
    tenant = f"Bearer {world.ours['eyJ0eXAi.FAKE-TENANT-KEY.XXXX']}"
    with pytest.raises(grpc.RpcError) as refused:
        next(world.api.start("InternalService/StreamDeviceEvents", {"dev_eui": "70b3d57ed0ffffff"}, tenant))
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
    upper = world.api.start("InternalService/StreamDeviceEvents", {"dev_eui": PROBE.upper()}, tenant)
    upper.initial_metadata()
    same = world.api.start("InternalService/StreamDeviceEvents", {"dev_eui": PROBE}, tenant)
    assert next(same).description == "up"
    world.device().uplink()
    assert next(same).description == "up"
    # Whoever has listened as long has heard nothing.
    upper.cancel()
    with pytest.raises(grpc.RpcError, match=r"(?i)cancelled"):
        next(upper)
    same.cancel()


def ask(world: World, method: str, path: str, body: bytes, content: str, token: str | None) -> tuple[int, Any, bytes]:
    host, port = world.sandbox.management_address.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
    try:
        headers = {"content-type": content} | ({} if token is None else {"authorization": f"Bearer {token}"})
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def test_grpc_web_and_the_wrong_doors(world: World) -> None:
    theirs = {record["note"]: record for record in records("11-ports-and-grpc-web")}
    get = "/api.DeviceService/Get"
    tenant = world.ours["eyJ0eXAi.FAKE-TENANT-KEY.XXXX"]
    request = b"\x0a\x10" + PROBE.encode()
    framed = b"\0" + struct.pack(">I", len(request)) + request
    unknown = framed.replace(PROBE.encode(), b"70b3d57ed0ffffff")
    web = "application/grpc-web+proto"
    for note, content, body, token in (
        ("grpc-web binary", web, framed, tenant),
        ("grpc-web, unknown device", web, unknown, tenant),
        ("grpc-web without a key", web, framed, None),
        ("gRPC content type over HTTP/1.1", "application/grpc", framed, tenant),
        ("JSON", "application/json", b"{}", tenant),
    ):
        status, headers, answer = ask(world, "POST", get, body, content, token)
        expected = theirs[note]
        assert status == expected["status"], note
        for name in ("content-type", "grpc-status", "grpc-message", "x-log-dev_eui"):
            assert headers.get(name) == expected["headers"].get(name), (note, name)
        whole = bytes.fromhex(expected["body_hex"])
        # The frame that ends it is the same; the message is the device as it is here.
        assert answer[-20:] == whole[-20:], note
        if whole:
            (length,) = struct.unpack(">I", answer[1:5])
            assert (answer[:1], answer[5 + length :]) == (b"\0", whole[-20:])
    assert unquote(theirs["grpc-web without a key"]["headers"]["grpc-message"]) == "no authorization provided"
    status, headers, answer = ask(world, "GET", "/api/devices", b"", "", tenant)
    assert (status, headers["content-type"], answer) == (404, "application/octet-stream", b"")


def test_a_client_of_mqtt_at_the_port_of_the_api_is_told(world: World) -> None:
    host, port = world.sandbox.management_address.split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as client:
        client.sendall(bytes.fromhex("101000044d5154540402003c000474657374"))
        assert client.recv(100).startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_a_client_certificate_is_made_for_an_application(world: World) -> None:
    request = {"application_id": world.ours[APPLICATION]}
    made = world.api.call("ApplicationService/GenerateMqttIntegrationClientCertificate", request)
    assert made["tls_key"].startswith("-----BEGIN PRIVATE KEY-----")
    assert made["ca_cert"] == world.sandbox.ca_certs
    with pytest.raises(grpc.RpcError) as refused:
        world.api.call("ApplicationService/GenerateMqttIntegrationClientCertificate", request, token=read_only(world))
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
