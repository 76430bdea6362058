"""The V3 sandbox's four servers answer as a real stack's did: captures of its gRPC (tests/vectors/tts_v3) are played.

The client is gRPC's own. What is compared: code, message, and the details with all their causes; of what succeeds the
whole answer. What is not: times, IDs and keys that a server makes, and fields that our definitions do not have.
"""

from __future__ import annotations

import base64
import json
import logging
import re
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf import descriptor_pool, json_format
from harness import PATIENCE
from stack_api import Api
from stack_api import plain as made_plain
from stack_captures import Record, alike, key, records, without_euis
from thingslink.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from peers import Generated

PACKAGE = "ttn.lorawan.v3"

KEYS = {
    "read": ["RIGHT_APPLICATION_TRAFFIC_READ"],
    "down": ["RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE"],
    "devread": ["RIGHT_APPLICATION_DEVICES_READ"],
    "upwrite": ["RIGHT_APPLICATION_TRAFFIC_UP_WRITE"],
    "traffic": ["RIGHT_APPLICATION_TRAFFIC_READ", "RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE"],
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
        if record["note"] in HEADERS or record["auth"] is None:
            return HEADERS.get(record["note"], [])
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
    with Sandbox("", network="v3") as sandbox:
        sandbox.add_administrator("admin", key("ADMIN"))
        stack = Stack(sandbox, generated)
        for app_id in ("app1", "app2"):
            application = {"ids": {"application_id": app_id}, "name": "Greenhouse"}
            request = {"application": application, "collaborator": {"user_ids": {"user_id": "admin"}}}
            headers: list[tuple[str, str | bytes]] = [("authorization", f"Bearer {key('ADMIN')}")]
            stack.call("ApplicationRegistry/Create", request, headers)
        for name, rights in {"full": ["RIGHT_APPLICATION_ALL"], **KEYS}.items():
            sandbox.add_application("app1", key(name.upper()), rights)
        sandbox.add_application("app2", key("OTHER"))
        sandbox.app_id = "app1"
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


def played() -> list[Record]:
    given = records("43-errors-grpc") + records("44-lists-and-updates")
    return [it for it in given if it.get("transport", "grpc") == "grpc"]


def without(details: Any) -> Any:
    """Give details without the IDs that each failure has."""
    if isinstance(details, dict):
        return {name: without(value) for name, value in details.items() if name != "correlation_id"}
    return [without(value) for value in details] if isinstance(details, list) else details


def plain(answer: Any, of: str = "") -> Any:
    """Give an answer without what a server makes."""
    if isinstance(answer, dict):
        if "rights" in answer:
            # They come in any order, and of a key by its name, which the sandbox's own keys do not have.
            answer = {**answer, "rights": sorted(answer["rights"]), "name": ""}
        # What was sent to the device before the capture moved the counters.
        return {name: plain(value, name) for name, value in answer.items() if "_f_cnt_" not in name}
    if of.endswith("_at") or of in ("key", "session_key_id", "dev_addr") or "nonce" in of or of.startswith("last_"):
        return "-"
    return [plain(value) for value in answer] if isinstance(answer, list) else answer


@pytest.mark.parametrize("record", [pytest.param(it, id=f"{at} {it['note']}") for at, it in enumerate(played())])
def test_a_call_is_answered_as_by_the_stack(stack: Stack, record: Record) -> None:
    if record["note"].startswith("link mask"):
        # There was one.
        set_scripts(stack, **SCRIPTS)
    code, answer, details, _ = stack.outcome(record)
    assert code == record["code"]
    if code != "OK":
        assert (answer, without(details)) == (record["message"], without(record["details"]))
        return
    _, got = stack.types(record["method"])
    expected = json_format.ParseDict(record["response"], got(), ignore_unknown_fields=True)
    meant = json_format.MessageToDict(expected, preserving_proto_field_name=True)
    assert plain(answer) == plain(meant)


#: What was asked over HTTP alone, as calls.
CALLS: dict[str, tuple[str, Record]] = {
    "frequency plans (868)": ("Configuration/ListFrequencyPlans", {"base_frequency": 868}),
    "default MAC settings": (
        "Ns/GetDefaultMACSettings",
        {"frequency_plan_id": "EU_863_870_TTN", "lorawan_phy_version": "PHY_V1_0_2_REV_B"},
    ),
}


def unwrapped(answer: Any) -> Any:
    """Give an answer as the stack's JSON has it, where messages around values are the values."""
    if isinstance(answer, list):
        return [unwrapped(one) for one in answer]
    if not isinstance(answer, dict):
        # Of these the stack writes the numbers, and zero is a value.
        number = re.fullmatch(r"(?:DATA_RATE|DATA_RATE_OFFSET|RX_DELAY)_(\d+)", str(answer))
        return int(number[1]) if number else answer
    return {
        name: unwrapped(value.get("value") if set(value) <= {"value"} else value)
        if isinstance(value, dict)
        else unwrapped(value)
        for name, value in answer.items()
    }


@pytest.mark.parametrize("note", CALLS)
def test_a_call_is_answered_as_over_http_by_the_stack(stack: Stack, note: str) -> None:
    (record,) = [it for it in records("44-lists-and-updates") if it["note"] == note]
    method, request = CALLS[note]
    answer, _ = stack.call(method, request)
    zeros = {
        "rx1_data_rate_offset": 0,
        "desired_rx1_data_rate_offset": 0,
        "rx2_data_rate_index": 0,
        "max_duty_cycle": "DUTY_CYCLE_1",
        "desired_max_duty_cycle": "DUTY_CYCLE_1",
        "resets_f_cnt": False,
    }
    got = {name: zeros.get(name) if value is None else value for name, value in unwrapped(answer).items()}
    assert got == record["response"]


def test_pub_sub_is_told_not_to_be_there(stack: Stack) -> None:
    answer, _ = stack.call("As/GetConfiguration", {})
    assert answer["configuration"]["pubsub"]["providers"] == {"mqtt": "DISABLED", "nats": "DISABLED"}


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


def test_devices_are_registered_as_by_the_stack(stack: Stack) -> None:
    for dev_id in ("otaa1", "otaa2"):
        stack.sandbox.device(dev_id).delete()
    for record in records("41-management-grpc"):
        code, answer, _, _ = stack.outcome(record)
        _, got = stack.types(record["method"])
        expected = json_format.ParseDict(record["response"], got(), ignore_unknown_fields=True)
        meant = json_format.MessageToDict(expected, preserving_proto_field_name=True)
        assert (code, plain(answer)) == (record["code"], plain(meant)), record["note"]


def test_limits_count_methods_devices_and_keys_apart_and_http_along(stack: Stack) -> None:
    stack.sandbox.limit("grpc:method", 12, burst=3)
    for record in records("52-rate-limits"):
        if record.get("transport") == "http":
            status, headers, _ = Api(stack.sandbox).ask("GET", record["path"])
            assert status == record["status"], record["note"]
            expected = {name.lower(): value for name, value in record["response_headers"].items()}
        elif "method" in record:
            code, _, _, headers = stack.outcome(record)
            assert code == record["code"], record["note"]
            expected = record["initial"] or record["trailing"]
        else:
            continue
        for name in ("limit", "available"):
            assert headers[f"x-rate-limit-{name}"] == expected[f"x-rate-limit-{name}"], record["note"]


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


def published(sandbox: Sandbox, seen: int) -> list[tuple[str, str]]:
    """Give topic and text of what was published to applications, but for so many entries of the journal."""
    told = [entry for entry in sandbox.journal[seen:] if entry["kind"] == "published" and entry["client_id"] is None]
    return [(entry["topic"], entry["payload"].decode()) for entry in told]


def events(sandbox: Sandbox, seen: int) -> list[tuple[str, str]]:
    """Give the same without what differs from one stack to another."""
    texts = [(topic, alike(text)) for topic, text in published(sandbox, seen)]
    return [(topic, without_euis(text) if "abp1" in topic else text) for topic, text in texts]


#: What is made up beside uplinks.
PASSED_ON = re.compile("join_accept|downlink_|location_solved|service_data")


def as_made_up(event: str) -> str:
    """Give an event that was never on the air without what the server adds of its own: IDs, and when it came."""
    event = re.sub(r',?"rpc:/ttn.lorawan.v3.AppAs/SimulateUplink:\w{26}"', "", event)
    event = re.sub(r'(:)[0-9A-HJKMNP-TV-Z]{26}(")', r"\1ID\2", event)
    return re.sub(r'"received_at":"[^"]+"', '"received_at":"AT"', event, count=1)


def simulations() -> list[Any]:
    """Give each simulated uplink with the requests before it that belong to it, and what was heard."""
    heard: dict[str, list[Record]] = {}
    for record in records("20-mqtt-uplink-simulated"):
        if record.get("note") and ("/up" in record["topic"] or PASSED_ON.match(record["note"])):
            heard.setdefault(record["note"], []).append(record)
    made, link = [], None
    for record in records("21-simulate-requests"):
        note = record["note"]
        if record["path"].endswith("/link"):
            link = record if record["status"] == 200 else None
        elif record["path"].endswith("/simulate"):
            setting = link if note.startswith("formatter") else None
            made.append(pytest.param(setting, record, heard.get(note, []), id=note))
    return made


#: The application's formatters from the start of the captures.
SCRIPTS = {
    "up_formatter": "FORMATTER_JAVASCRIPT",
    "up_formatter_parameter": "function Decoder(bytes, port) "
    "{ return {level: bytes[0], port: port, hex: bytes.length}; }",
    "down_formatter": "FORMATTER_JAVASCRIPT",
    "down_formatter_parameter": "function Encoder(object, port) { return [object.level & 255]; }",
}


def set_scripts(stack: Stack, **scripts: str) -> None:
    paths = ",".join(f"default_formatters.{name}" for name in scripts)
    mask = re.sub("_(.)", lambda it: it[1].upper(), paths)
    stack.call("As/SetLink", {**IDS, "link": {"default_formatters": scripts}, "field_mask": mask})


@pytest.mark.parametrize(("setting", "record", "heard"), simulations())
def test_an_uplink_made_up_is_heard_as_by_the_stack(
    stack: Stack, setting: Record | None, record: Record, heard: list[Record]
) -> None:
    stack.call(
        "EndDeviceRegistry/Update", {"end_device": {"ids": {"device_id": "abp1", **IDS}}, "field_mask": "attributes"}
    )
    set_scripts(stack, **SCRIPTS)
    if setting:
        set_scripts(stack, **setting["request"]["link"]["default_formatters"])
    seen = len(stack.sandbox.journal)
    auth = f"Bearer {key('READ' if record['note'].startswith('key without') else 'FULL')}"
    status, _, answer = Api(stack.sandbox).ask(record["method"], record["path"], record["request"], auth=auth)
    assert (status, made_plain(answer)) == (record["status"], made_plain(record["response"]))
    told = [(topic, as_made_up(text)) for topic, text in published(stack.sandbox, seen)]
    expected = [(it["topic"], as_made_up(it["payload"])) for it in heard]
    if PASSED_ON.match(record["note"]):
        # Gaps between members are the writer's own there.
        told, expected = ([(topic, json.loads(text)) for topic, text in it] for it in (told, expected))
    assert told == expected


def test_formatters_are_set_as_by_the_stack(stack: Stack) -> None:
    set_scripts(stack, **SCRIPTS)
    links = [it for it in records("21-simulate-requests") if it["path"].endswith("/link")]
    assert len(links) == 22
    for record in links:
        status, _, answer = Api(stack.sandbox).ask(record["method"], record["path"], record["request"])
        assert (status, made_plain(answer)) == (record["status"], made_plain(record["response"])), record["note"]


def pushes(name: str) -> dict[str, Record]:
    """Give what was sent to a device's queue by a call, by note."""
    return {it["note"]: it for it in records(name) if it["note"].startswith("down push")}


def test_what_calls_send_to_devices_is_told_as_by_the_stack(stack: Stack) -> None:
    set_scripts(stack, **SCRIPTS)
    seen = len(stack.sandbox.journal)
    by_http, by_grpc = pushes("42-errors-http"), pushes("43-errors-grpc")
    assert len(by_http) > len(by_grpc) == 10 and by_grpc.keys() < by_http.keys()
    for note, record in by_http.items():
        if note in by_grpc:
            stack.outcome(by_grpc[note])
        request = record["request"]
        if isinstance(request, str):
            request = base64.b64decode(request.removeprefix("base64:"))
        assert Api(stack.sandbox).ask(record["method"], record["path"], request)[0] == record["status"]
    # Who heard it had this note at that time.
    heard = [it for it in records("20-mqtt-uplink-simulated") if it["note"].startswith("minimal")]
    expected = [(it["topic"], alike(it["payload"])) for it in heard if "/down/" in it["topic"]]
    assert len(expected) == 9 and events(stack.sandbox, seen) == expected


@pytest.mark.parametrize("name", ["full", "read", "down"])
def test_who_subscribes_by_a_call_is_told_as_by_the_stack(stack: Stack, name: str) -> None:
    (record,) = [it for it in records("50-limits") if f"Subscribe with key {name}" in it["note"]]
    stack.call(
        "EndDeviceRegistry/Update", {"end_device": {"ids": {"device_id": "abp1", **IDS}}, "field_mask": "attributes"}
    )
    set_scripts(stack, **SCRIPTS)
    method = f"/{PACKAGE}.AppAs/Subscribe"
    sent, got = stack.types(method)
    subscribe = stack.channel.unary_stream(method, sent.SerializeToString, got.FromString)
    metadata = (("authorization", f"Bearer {key(name.upper())}"),)
    told = subscribe(sent(application_id="app1"), metadata=metadata, timeout=PATIENCE)
    expected = record["messages"][0]
    if "code" in expected:
        with pytest.raises(grpc.RpcError) as refused:
            next(told)
        trailing = {entry.key: entry.value for entry in refused.value.trailing_metadata()}
        status = stack.generated.message("google.rpc.Status").FromString(trailing["grpc-status-details-bin"])
        details = json_format.MessageToDict(status, preserving_proto_field_name=True)
        answer = (refused.value.code().name, refused.value.details(), without(details))
        assert answer == (expected["code"], expected["message"], without(expected["details"]))
        return
    # What was told before the subscription stands would be lost.
    told.initial_metadata()
    (minimal,) = [it for it in records("21-simulate-requests") if it["note"].startswith("minimal")]
    uplink = minimal["request"]["uplink_message"] | {"frm_payload": expected["uplink_message"]["frm_payload"]}
    assert Api(stack.sandbox).ask("POST", minimal["path"], {"uplink_message": uplink})[0] == 200
    answer = json_format.MessageToDict(next(told), preserving_proto_field_name=True)
    told.cancel()
    for message in (answer, expected):
        assert [re.sub(r"\w{26}$", "", own) for own in message.pop("correlation_ids")] == [
            "as:up:",
            "rpc:/ttn.lorawan.v3.AppAs/SimulateUplink:",
        ]
        assert message.pop("received_at")
    assert answer == expected


ENCODED = [
    record
    for record in records("30-mqtt-downlink")
    if '"decoded_payload"' in record["payload"]
    and "frm_payload" not in record["payload"]
    and "NaN" not in record["payload"]
]


@pytest.mark.parametrize("record", [pytest.param(it, id=it["note"]) for it in ENCODED])
def test_fields_are_encoded_as_by_the_stack(stack: Stack, record: Record) -> None:
    set_scripts(stack, **SCRIPTS)
    seen = len(stack.sandbox.journal)
    request = {"end_device_ids": {"device_id": "abp1", **IDS}, **json.loads(record["payload"])}
    failed = [json.loads(it["payload"])["downlink_failed"] for it in record["events"] if "failed" in it["topic"]]
    if failed:
        with pytest.raises(grpc.RpcError) as refused:
            stack.call("AppAs/DownlinkQueuePush", request)
        assert failed[0]["error"]["name"] in str(refused.value.details())
    else:
        stack.call("AppAs/DownlinkQueuePush", request)
    expected = [(it["topic"], alike(it["payload"])) for it in record["events"]]
    assert events(stack.sandbox, seen) == expected


ENCODERS = {
    "encoder: throws": "function encodeDownlink(input) { throw new Error('no'); }",
    "encoder: errors list": "function encodeDownlink(input) { return {errors: ['bad']}; }",
    "encoder: no bytes": "function encodeDownlink(input) { return {}; }",
}


@pytest.mark.parametrize("note", ENCODERS)
def test_an_encoder_that_fails_is_told_as_by_the_stack(stack: Stack, note: str) -> None:
    (record,) = [it for it in records("31-downlink-more") if it["note"] == note]
    set_scripts(stack, down_formatter="FORMATTER_JAVASCRIPT", down_formatter_parameter=ENCODERS[note])
    downlinks = [{"f_port": 10, "decoded_payload": {"level": 1}}]
    request = {"end_device_ids": {"device_id": "abp1", **IDS}, "downlinks": downlinks}
    status, answer = record["answer"]
    if status == 200:
        stack.call("AppAs/DownlinkQueuePush", request)
    else:
        with pytest.raises(grpc.RpcError) as refused:
            stack.call("AppAs/DownlinkQueuePush", request)
        # What the engine says of the place is its own.
        meant = re.sub(r" at encodeDownlink .*\)$", ")", json.loads(answer)["message"])
        assert refused.value.details() == meant
    assert len(stack.sandbox.device("abp1").downlinks) == len(record["queue"][1].get("downlinks", []))


def test_dry_runs_use_the_script_that_they_bring(stack: Stack) -> None:
    ids = {"end_device_ids": {"device_id": "abp1", **IDS}, "formatter": "FORMATTER_JAVASCRIPT"}
    up = {"uplink": {"f_port": 3, "frm_payload": "BQ=="}, "parameter": SCRIPTS["up_formatter_parameter"]}
    decoded, _ = stack.call("AppAs/DecodeUplink", {**ids, **up})
    assert decoded["uplink"]["decoded_payload"] == {"level": 5, "port": 3, "hex": 1}
    down = {
        "downlink": {"f_port": 3, "decoded_payload": {"level": 7}},
        "parameter": SCRIPTS["down_formatter_parameter"],
    }
    encoded, _ = stack.call("AppAs/EncodeDownlink", {**ids, **down})
    assert encoded["downlink"]["frm_payload"] == "Bw=="


def test_an_uplink_whose_formatter_gives_a_date_is_warned_of(stack: Stack, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="thingslink")
    script = "function decodeUplink(input) { return {data: {at: [input.bytes[0] ? new Date(0) : 0]}}; }"
    set_scripts(stack, **{**SCRIPTS, "up_formatter_parameter": script})
    device, seen = stack.sandbox.device("otaa1"), len(stack.sandbox.journal)
    # It was on the air, and counts.
    assert (device.uplink(b"\x01"), device.uplink(b"\x00")) == (0, 1)
    (told,) = [json.loads(text)["uplink_message"] for _, text in published(stack.sandbox, seen)]
    assert (told["f_cnt"], told["decoded_payload"]) == (1, {"at": [0]})
    stack.sandbox.wait_for(lambda: "a formatter gave a date" in caplog.text)


def test_a_device_s_own_formatters_replace_the_application_s(stack: Stack) -> None:
    set_scripts(stack, **SCRIPTS)
    device = stack.sandbox.device("otaa1")
    seen = len(stack.sandbox.journal)
    device.uplink(b"\x05", port=3)
    ids = {"ids": {"device_id": "otaa1", **IDS}}
    none = {"end_device": {**ids, "formatters": {}}, "field_mask": "formatters"}
    stack.call("AsEndDeviceRegistry/Set", none)
    device.uplink(b"\x05", port=3)
    told = [json.loads(text)["uplink_message"] for topic, text in events(stack.sandbox, seen) if topic.endswith("/up")]
    assert [it.get("decoded_payload") for it in told] == [{"hex": 1, "level": 5, "port": 3}, None]
