"""The V3 sandbox goes away and comes back as a real stack did: captures of one (53 and 54 of tests/vectors/tts_v3)."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf import json_format
from harness import PATIENCE, packet, publish, read_packet, text
from stack_captures import alike, key, records, without_euis
from thingslink.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from peers import Generated

FULL = key("FULL")
WRONG = f"NNSXS.{'A' * 39}.{'B' * 52}"


@pytest.fixture
def stack() -> Iterator[Sandbox]:
    with Sandbox("app1", FULL, network="v3", insecure=True) as sandbox:
        sandbox.device("abp1")
        yield sandbox


def connect(stack: Sandbox, secret: str = FULL) -> tuple[socket.socket, str]:
    """Log in; gives the socket and the answer in hexadecimal."""
    host, port = stack.mqtt_address.split(":")
    connection = socket.create_connection((host, int(port)), timeout=PATIENCE)
    body = text("MQTT") + b"\x04\xc2\0\x3c" + text("cap") + text("app1") + text(secret)
    connection.sendall(packet(0x10, body))
    return connection, read_packet(connection).hex()


def answer(stack: Sandbox, secret: str = FULL) -> str:
    connection, answered = connect(stack, secret)
    connection.close()
    return answered


def get_application(stack: Sandbox, generated: Generated) -> Any:
    """Ask for the application: its ID, or code, message and details of the refusal."""
    message = generated.message("ttn.lorawan.v3.GetApplicationRequest")
    request = json_format.ParseDict({"application_ids": {"application_id": "app1"}}, message())
    application = generated.message("ttn.lorawan.v3.Application")
    with grpc.insecure_channel(stack.management_address) as channel:
        get = channel.unary_unary(
            "/ttn.lorawan.v3.ApplicationRegistry/Get", message.SerializeToString, application.FromString
        )
        try:
            return get(request, metadata=(("authorization", f"Bearer {FULL}"),), timeout=PATIENCE).ids.application_id
        except grpc.RpcError as error:
            told: dict[str, Any] = {entry.key: entry.value for entry in error.trailing_metadata()}
            status = generated.message("google.rpc.Status").FromString(told["grpc-status-details-bin"])
            (detail,) = json_format.MessageToDict(status, preserving_proto_field_name=True)["details"]
            return error.code().value[0], error.details(), detail


def test_without_its_database_a_good_key_is_refused_as_a_wrong_one(stack: Sandbox, generated: Generated) -> None:
    there, away, again, back = records("54-no-database")
    unused = key("UNUSED")
    stack.add_application("app1", unused, ["RIGHT_APPLICATION_TRAFFIC_READ"])
    keys = {"good key": FULL, "key not used before": unused, "wrong key": WRONG}
    assert there["connack"].keys() <= keys.keys()
    for record in (there, away, again, back):
        stack.lose_identity_server(record is away or record is again)
        for name, (meant, _) in record["connack"].items():
            secret = keys[name]
            # Of some answers the capture has only the beginning.
            assert answer(stack, secret) == ("20020005" if "short read" in meant else meant), record["note"]
        status, body = record["http_get_application"]
        told = get_application(stack, generated)
        if status == 200:
            assert told == body["ids"]["application_id"]
            continue
        assert f'{{"code":{told[0]}, "message":"{told[1]}", ' in body
        names = [name for name in ("namespace", "name", "message_format") if f'"{name}":"{told[2][name]}"' in body]
        assert len(names) == 3 and f'"cause":{{"namespace":"{told[2]["cause"]["namespace"]}"' in body
        attributes = told[2]["attributes"] | {"address": "127.0.0.1:15432"}
        assert json.loads(body.split('"attributes":')[1].split("}")[0] + "}") == attributes


def test_who_is_connected_hears_on_without_the_identity_server(stack: Sandbox) -> None:
    connection, answered = connect(stack)
    assert answered == "20020000"
    connection.sendall(packet(0x82, b"\0\x01" + text("#") + b"\0"))
    assert read_packet(connection) == b"\x90\x03\0\x01\0"
    stack.lose_identity_server()
    stack.device("abp1").uplink(b"\x01")
    assert b"v3/app1/devices/abp1/up" in read_packet(connection)
    connection.close()
    stack.clear_faults()
    assert answer(stack) == "20020000"


def test_a_restart_ends_connections_without_a_word_and_keeps_the_queue(stack: Sandbox, generated: Generated) -> None:
    played = {record["note"]: record for record in records("53-restart")}
    queued = played["SIGTERM: the MQTT connection"]["answer"]
    topic, _, body = queued.partition(" topic=")[2].partition(" payload=")
    downlink = {"f_port": 1, "frm_payload": "AQ==", "correlation_ids": ["over-restart"]}
    connection, _ = connect(stack)
    connection.sendall(packet(0x82, b"\0\x01" + text("#") + b"\0"))
    assert read_packet(connection) == b"\x90\x03\0\x01\0"
    order = json.dumps({"downlinks": [downlink]}).encode()
    connection.sendall(publish("v3/app1/devices/abp1/down/replace", order, qos=1))
    event, acknowledged = sorted((read_packet(connection), read_packet(connection)))
    assert acknowledged == b"\x40\x02\0\x01"
    at = event.index(b"v3/")
    assert event[at : at + len(topic)].decode() == topic
    assert without_euis(alike(event[at + len(topic) :].decode())) == alike(body)
    stack.restart()
    assert read_packet(connection) == b""
    connection.close()
    # What answers after the start, with the key of before.
    seen = played["answers during the start (seconds, MQTT, gRPC, HTTP)"]["seen"][-1]
    assert (seen[1], seen[2][0]) == ("CONNACK session_present=0 code=0", "OK")
    assert answer(stack) == "20020000" and get_application(stack, generated) == "app1"
    (kept,) = played["downlink queue after the restart"]["queue"]["downlinks"]
    assert stack._downlinks("app1", "abp1") == [kept["frm_payload"]]


def test_the_other_network_has_no_identity_server(sandbox: Sandbox) -> None:
    with pytest.raises(AttributeError, match="lose_identity_server"):
        sandbox.lose_identity_server()
