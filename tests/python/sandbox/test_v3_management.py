"""The V3 sandbox's four servers answer as a real stack's did: captures of its gRPC (tests/vectors/tts_v3) are played.

The client is gRPC's own. What is compared: code, message, and the details with all their causes; of what succeeds the
whole answer. What is not: times, IDs and keys that a server makes, and fields that our definitions do not have.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf import descriptor_pool, json_format
from harness import PATIENCE
from thingslink.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from peers import Generated

VECTORS = Path(__file__).parent.parent.parent / "vectors" / "tts_v3"
PACKAGE = "ttn.lorawan.v3"

Record = dict[str, Any]


def key(name: str) -> str:
    return f"NNSXS.{f'FAKEKEYID{name}':X<39}.{f'FAKESECRET{name}':X<52}"


KEYS = {
    "read": ["RIGHT_APPLICATION_TRAFFIC_READ"],
    "down": ["RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE"],
    "devread": ["RIGHT_APPLICATION_DEVICES_READ"],
    "traffic": ["RIGHT_APPLICATION_TRAFFIC_READ", "RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE"],
    "admin": ["RIGHT_ALL"],
}
#: What is no key of the captures' form, by note.
HEADERS: dict[str, list[tuple[str, str | bytes]]] = {
    "no key": [],
    "garbage key": [("authorization", "Bearer garbage")],
    "auth: Basic": [("authorization", "Basic YTpi")],
    "auth: Key (V2 metadata `key`)": [("key", key("FULL"))],
    "auth: Bearer lower case": [("authorization", f"bearer {key('FULL')}")],
}
IDS: dict[str, Any] = {"application_ids": {"application_id": "app1"}}


class Stack:
    """The sandbox, as gRPC sees it."""

    def __init__(self, sandbox: Sandbox, generated: Generated) -> None:
        self.sandbox = sandbox
        self.generated = generated
        credentials = grpc.ssl_channel_credentials(sandbox.ca_certs.encode())
        self.channel = grpc.secure_channel(sandbox.management_address, credentials)

    def headers(self, record: Record) -> Sequence[tuple[str, str | bytes]]:
        if record["note"] in HEADERS:
            return HEADERS[record["note"]]
        given = record["auth"].removeprefix("Bearer <").removesuffix(" key>")
        known = given if given.startswith(("NNSXS.", "ttn-account")) else key(given.upper())
        return [("authorization", f"Bearer {known}")]

    def types(self, method: str) -> tuple[Any, Any]:
        service, _, name = method.removeprefix("/").partition("/")
        found = descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]
        return tuple(self.generated.message(it.full_name) for it in (found.input_type, found.output_type))

    def call(self, method: str, request: Record, headers: Sequence[tuple[str, str | bytes]] | None = None) -> Any:
        """Call; gives the answer and its initial metadata."""
        method = method if method.startswith("/") else f"/{PACKAGE}.{method}"
        sent, got = self.types(method)
        message = json_format.ParseDict(request, sent(), ignore_unknown_fields=True)
        calls = self.channel.unary_unary(method, sent.SerializeToString, got.FromString)
        headers = [("authorization", f"Bearer {key('FULL')}")] if headers is None else headers
        answer, call = calls.with_call(message, metadata=tuple(headers), timeout=PATIENCE)
        return json_format.MessageToDict(answer, preserving_proto_field_name=True), dict(call.initial_metadata())

    def outcome(self, record: Record) -> tuple[str, Any, Any, dict[str, Any]]:
        """Call as a capture says; gives code, answer or message, details, metadata."""
        try:
            answer, metadata = self.call(record["method"], record["request"], self.headers(record))
        except grpc.RpcError as error:
            told: dict[str, Any] = {entry.key: entry.value for entry in error.trailing_metadata()}
            status = self.generated.message("google.rpc.Status").FromString(told["grpc-status-details-bin"])
            details = json_format.MessageToDict(status, preserving_proto_field_name=True)
            return error.code().name, error.details(), details, told
        return "OK", answer, None, metadata


@pytest.fixture
def stack(generated: Generated) -> Iterator[Stack]:
    """Give a stack with the applications and devices of the captures."""
    with Sandbox("app1", key("FULL"), network="v3") as sandbox:
        for name, rights in KEYS.items():
            sandbox.add_application("app1", key(name.upper()), rights)
        sandbox.add_application("app2", key("OTHER"))
        stack = Stack(sandbox, generated)
        for record in records("41-management-grpc"):
            stack.call(record["method"], record["request"])
        sandbox.device("otaa1").join()
        abp1 = {"ids": {"device_id": "abp1", **IDS}}
        named: Record = {"name": "abp1", "description": "ABP probe", "network_server_address": "localhost"}
        named |= {"attributes": {"room": "b2"}, "application_server_address": "localhost"}
        stack.call("EndDeviceRegistry/Create", {"end_device": {**abp1, **named}})
        session = {"dev_addr": "AQIDBA==", "keys": {"f_nwk_s_int_key": {"key": "AAECAwQFBgcICQoLDA0ODw=="}}}
        mask = "session.devAddr,session.keys.fNwkSIntKey.key"
        stack.call("NsEndDeviceRegistry/Set", {"end_device": {**abp1, "session": session}, "field_mask": mask})
        session = {"dev_addr": "AQIDBA==", "keys": {"app_s_key": {"key": "AAECAwQFBgcICQoLDA0ODw=="}}}
        mask = "session.devAddr,session.keys.appSKey.key"
        stack.call("AsEndDeviceRegistry/Set", {"end_device": {**abp1, "session": session}, "field_mask": mask})
        sandbox.device("abp1").locate(52.3702, 4.8951, -1)
        sandbox.device("abp1").uplink()
        yield stack
        stack.channel.close()


def records(name: str) -> list[Record]:
    return [json.loads(line) for line in (VECTORS / f"{name}.jsonl").read_text().splitlines()]


#: Calls that our definitions have. The names of others are at the end of the methods.
DEFINED = {
    *("ApplicationRegistry/Get", "ApplicationAccess/ListRights", "As/GetLink"),
    *(f"EndDeviceRegistry/{name}" for name in ("Create", "Get", "List", "Update", "Delete")),
    *(f"{server}EndDeviceRegistry/{name}" for server in ("Ns", "As", "Js") for name in ("Get", "Set", "Delete")),
    *(f"AppAs/{name}" for name in ("DownlinkQueuePush", "DownlinkQueueList")),
}
#: No link was ever set here, which the stack says for a mask that it takes.
LEFT_OUT = {"link mask api_key (gone)"}


def played() -> list[Record]:
    given = records("43-errors-grpc") + records("44-lists-and-updates")
    defined = [it for it in given if it["method"].removeprefix(f"/{PACKAGE}.") in DEFINED]
    return [it for it in defined if it["note"] not in LEFT_OUT]


def without(details: Any) -> Any:
    """Give details without the IDs that each failure has."""
    if isinstance(details, dict):
        return {name: without(value) for name, value in details.items() if name != "correlation_id"}
    return [without(value) for value in details] if isinstance(details, list) else details


def alike(answer: Any, of: str = "") -> Any:
    """Give an answer without what a server makes."""
    if isinstance(answer, dict):
        # What was sent to the device before the capture moved the counters.
        return {name: alike(value, name) for name, value in answer.items() if "_f_cnt_" not in name}
    if of.endswith("_at") or of in ("key", "session_key_id", "dev_addr") or "nonce" in of or of.startswith("last_"):
        return "-"
    return [alike(value) for value in answer] if isinstance(answer, list) else answer


@pytest.mark.parametrize("record", [pytest.param(it, id=f"{at} {it['note']}") for at, it in enumerate(played())])
def test_a_call_is_answered_as_by_the_stack(stack: Stack, record: Record) -> None:
    code, answer, details, _ = stack.outcome(record)
    assert code == record["code"]
    if code != "OK":
        assert (answer, without(details)) == (record["message"], without(record["details"]))
        return
    _, got = stack.types(record["method"])
    expected = json_format.ParseDict(record["response"], got(), ignore_unknown_fields=True)
    meant = json_format.MessageToDict(expected, preserving_proto_field_name=True)
    assert alike(answer) == alike(meant)


def test_pages_tell_how_many_there_are(stack: Stack) -> None:
    for number in range(3, 8):
        stack.sandbox.device(f"sim-{number}")
    seen: list[str] = []
    for page in (1, 2, 3):
        request = {**IDS, "limit": 3, "page": page, "order": "device_id"}
        answer, metadata = stack.call("EndDeviceRegistry/List", request)
        assert metadata["x-total-count"] == "8"
        seen += [device["ids"]["device_id"] for device in answer.get("end_devices", [])]
    assert seen == ["abp1", "otaa1", "otaa2", "sim-3", "sim-4", "sim-5", "sim-6", "sim-7"]
    answer, _ = stack.call("EndDeviceRegistry/List", {**IDS, "limit": 1, "order": "-device_id", "field_mask": "name"})
    assert answer["end_devices"][0]["ids"]["device_id"] == "sim-7"


def test_each_answer_tells_of_the_limit(stack: Stack) -> None:
    stack.sandbox.limit("grpc:method", 12, burst=3)
    told = [it for it in records("52-rate-limits") if it["note"].startswith("gRPC get")]
    for record in told[:4]:
        expected = {name: value for name, value in record["initial"].items() if name.startswith("x-rate-limit-")}
        code, answer, _, metadata = stack.outcome(record)
        assert code == record["code"]
        if code != "OK":
            assert answer == record["message"]
        if expected:
            assert {name: metadata[name] for name in expected if name != "x-rate-limit-reset"} == {
                name: value for name, value in expected.items() if name != "x-rate-limit-reset"
            }
            assert abs(int(metadata["x-rate-limit-reset"]) - int(expected["x-rate-limit-reset"])) <= 1
    stack.sandbox.limit("grpc:method", None)
    _, metadata = stack.call(told[0]["method"], told[0]["request"])
    assert "x-rate-limit-limit" not in metadata


def test_a_device_that_is_registered_by_calls_lives(stack: Stack) -> None:
    sandbox = stack.sandbox
    device = sandbox.device("otaa2")
    with pytest.raises(ValueError, match="joined"):
        device.uplink()
    device.join()
    assert device.uplink() == 0
    ids = {"device_id": "otaa2", **IDS}
    got, _ = stack.call("NsEndDeviceRegistry/Get", {"end_device_ids": ids, "field_mask": "session"})
    assert got["session"]["dev_addr"] == got["ids"]["dev_addr"]
    got, _ = stack.call("EndDeviceRegistry/Get", {"end_device_ids": ids, "field_mask": "lastSeenAt,activatedAt"})
    assert "last_seen_at" in got and "activated_at" in got
    pushed = [{"f_port": 1, "frm_payload": "AQ==", "correlation_ids": ["mine"]}]
    stack.call("AppAs/DownlinkQueuePush", {"end_device_ids": ids, "downlinks": pushed})
    listed, _ = stack.call("AppAs/DownlinkQueueList", ids)
    assert listed["downlinks"][0]["frm_payload"] == "AQ==" and "mine" in listed["downlinks"][0]["correlation_ids"]
    stack.call("AppAs/DownlinkQueueReplace", {"end_device_ids": ids, "downlinks": []})
    assert device.downlinks == []
    for server in ("As", "Ns", "Js", ""):
        stack.call(f"{server}EndDeviceRegistry/Delete", {**ids, "dev_eui": "cLPVftAAAAI=", "join_eui": "cLPVftAAAKE="})
    assert "otaa2" not in sandbox.devices()


def test_formatters_are_kept_by_the_link(stack: Stack) -> None:
    with pytest.raises(grpc.RpcError):
        stack.call("As/GetLink", {**IDS, "field_mask": "defaultFormatters"})
    formatters = {"up_formatter": "FORMATTER_JAVASCRIPT", "up_formatter_parameter": "function Decoder() {}"}
    mask = "defaultFormatters.upFormatter,defaultFormatters.upFormatterParameter"
    stack.call("As/SetLink", {**IDS, "link": {"default_formatters": formatters}, "field_mask": mask})
    got, _ = stack.call("As/GetLink", {**IDS, "field_mask": "defaultFormatters"})
    assert got == {"default_formatters": formatters}
    stack.call("As/DeleteLink", IDS["application_ids"])
    with pytest.raises(grpc.RpcError):
        stack.call("As/GetLink", {**IDS, "field_mask": "defaultFormatters"})


def test_an_application_with_devices_is_not_deleted(stack: Stack) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        stack.call("ApplicationRegistry/Delete", IDS["application_ids"])
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    for dev_id in stack.sandbox.devices():
        stack.sandbox.device(dev_id).delete()
    stack.call("ApplicationRegistry/Delete", IDS["application_ids"])
    with pytest.raises(grpc.RpcError):
        stack.call("ApplicationRegistry/Get", IDS)


def test_plain_text_is_served_on_request(generated: Generated) -> None:
    with Sandbox(network="v3", insecure=True) as sandbox:
        stack = Stack(sandbox, generated)
        stack.channel = grpc.insecure_channel(sandbox.management_address)
        request = {"application_ids": {"application_id": sandbox.app_id}}
        headers: list[tuple[str, str | bytes]] = [("authorization", f"Bearer {sandbox.access_key}")]
        answer, _ = stack.call("ApplicationRegistry/Get", request, headers)
        assert answer["ids"] == {"application_id": "demo-app"}
        stack.channel.close()
