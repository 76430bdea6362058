"""How much of something the V3 sandbox takes, and says of it, as a real stack did: captures 31, 50 and 52."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf import json_format
from harness import PATIENCE
from stack_api import Api, plain
from stack_captures import Record, key, records
from thingslink.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from peers import Generated

PUSH = "as/applications/app1/devices/abp1/down/push"
SIMULATE = "as/applications/app1/devices/abp1/up/simulate"
SETTINGS = {
    "data_rate": {"lora": {"bandwidth": 125000, "spreading_factor": 7, "coding_rate": "4/5"}},
    "frequency": "868100000",
}


@pytest.fixture
def api() -> Iterator[Api]:
    """Give a stack with the application and a device of the captures."""
    with Sandbox("app1", key("FULL"), network="v3") as sandbox:
        sandbox.add_application("app1", key("READ"), "RIGHT_APPLICATION_TRAFFIC_READ")
        sandbox.add_application("app1", key("DOWN"), "RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE")
        sandbox.device("abp1").locate(52.3702, 4.8951, -1)
        yield Api(sandbox)


def of(name: str, start: str) -> list[Record]:
    return [record for record in records(name) if record["note"].startswith(start)]


#: What was sent, of which the captures have the note alone.
PUSHED = {
    "HTTP push: f_port only": {"f_port": 10},
    "HTTP push: empty frm_payload": {"f_port": 10, "frm_payload": ""},
    "HTTP push: decoded_payload and frm_payload": {
        "f_port": 10,
        "frm_payload": "AQ==",
        "decoded_payload": {"level": 2},
    },
}


@pytest.mark.parametrize("record", [pytest.param(it, id=it["note"]) for it in of("31-downlink-more", "HTTP push")])
def test_a_downlink_without_a_payload_is_refused_and_bytes_win(api: Api, record: Record) -> None:
    status, _, answer = api.ask("POST", PUSH, {"downlinks": [PUSHED[record["note"]]]})
    expected, told = record["answer"]
    assert (status, plain(answer)) == (expected, plain(json.loads(told) if isinstance(told, str) else told))
    waiting = [it["frm_payload"] for it in record["queue"][1].get("downlinks", [])]
    assert api.sandbox._downlinks("app1", "abp1") == waiting


@pytest.mark.parametrize("record", [it for it in of("50-limits", "HTTP downlink request") if it["status"] == 200])
def test_a_long_request_is_taken(api: Api, record: Record) -> None:
    body = b'{"downlinks":[{"f_port":10,"frm_payload":"Ag8="}],"x":"'
    body += b"x" * (record["bytes"] - len(body) - 2) + b'"}'
    status, _, answer = api.ask("POST", PUSH, body)
    assert (status, answer) == (record["status"], json.loads(record["response"]))
    assert api.sandbox.device("abp1").downlinks == [b"\x02\x0f"]


def test_a_queue_is_filled_at_once_or_not_at_all(api: Api) -> None:
    (first,), (second,) = of("50-limits", "push of 500"), of("50-limits", "push of 10000")
    for record, count in ((first, 500), (second, 10_000)):
        downlinks = [{"f_port": 1, "frm_payload": "AQ=="}] * count
        status, _, answer = api.ask("POST", PUSH, {"downlinks": downlinks})
        assert (status, plain(answer)) == (record["status"], plain(record["response"]))
    (length,) = of("50-limits", "queue length")
    assert len(api.get(PUSH.removesuffix("/push"))["downlinks"]) == length["n"]


@pytest.mark.parametrize("record", of("50-limits", "simulated uplink with payload"))
def test_an_uplink_of_any_length_is_made_up(api: Api, record: Record) -> None:
    payload = "A" * (4 * ((record["n"] + 2) // 3))
    status, _, _ = api.ask("POST", SIMULATE, {"uplink_message": {"frm_payload": payload, "settings": SETTINGS}})
    assert status == record["status"]
    (told,) = [it for it in api.sandbox.journal if it["kind"] == "published"]
    assert json.loads(told["payload"])["uplink_message"]["frm_payload"] == payload


def without_made(message: Any) -> Any:
    """Give a message without what a server makes; numbers of fields are doubles."""
    if isinstance(message, dict):
        own = ("correlation_ids", "received_at", "end_device_ids", "decoded_payload")
        return {name: without_made(value) for name, value in message.items() if name not in own}
    return message


@pytest.mark.parametrize("record", of("50-limits", "AppAs/Subscribe"), ids=["full", "read", "down"])
def test_a_subscription_by_grpc_needs_its_right(api: Api, generated: Generated, record: Record) -> None:
    sent, got = (generated.message(f"ttn.lorawan.v3.{name}") for name in ("ApplicationIdentifiers", "ApplicationUp"))
    credentials = grpc.ssl_channel_credentials(api.sandbox.ca_certs.encode())
    expected, *_ = record["messages"]
    with grpc.secure_channel(api.sandbox.management_address, credentials) as channel:
        subscribe = channel.unary_stream("/ttn.lorawan.v3.AppAs/Subscribe", sent.SerializeToString, got.FromString)
        metadata = (("authorization", f"Bearer {key(record['note'].split('key ')[1].split()[0].upper())}"),)
        call = subscribe(sent(application_id="app1"), metadata=metadata, timeout=PATIENCE)
        if "code" in expected:
            with pytest.raises(grpc.RpcError) as refused:
                next(call)
            assert (refused.value.code().name, refused.value.details()) == (expected["code"], expected["message"])
            return
        # From then on it is told.
        call.initial_metadata()
        uplink = {"f_port": 1, "frm_payload": "AQ==", "settings": SETTINGS}
        assert api.ask("POST", SIMULATE, {"uplink_message": uplink})[0] == 200
        told = json_format.MessageToDict(next(call), preserving_proto_field_name=True)
        call.cancel()
    assert without_made(told) == without_made(expected)
