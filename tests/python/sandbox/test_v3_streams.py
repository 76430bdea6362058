"""What the V3 sandbox tells one after the other: the storage integration, subscriptions by gRPC, and how they end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import grpc
import pytest
from harness import PATIENCE
from stack_api import Api
from thingslink.sandbox import Sandbox
from thingslink.ttn import MQTTClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from peers import Generated

PACKAGE = "ttn.lorawan.v3"
STORED = "as/applications/demo-app/packages/storage/uplink_message"


class Calls:
    """The sandbox's streams, as gRPC sees them."""

    def __init__(self, sandbox: Sandbox, generated: Generated) -> None:
        self.generated = generated
        credentials = grpc.ssl_channel_credentials(sandbox.ca_certs.encode())
        self.channel = grpc.secure_channel(sandbox.management_address, credentials)
        self.metadata = (("authorization", f"Bearer {sandbox.access_key}"),)

    def stream(self, method: str, request: str, **fields: Any) -> Any:
        sent, got = (self.generated.message(f"{PACKAGE}.{name}") for name in (request, "ApplicationUp"))
        call = self.channel.unary_stream(f"/{PACKAGE}.{method}", sent.SerializeToString, got.FromString)
        return call(sent(**fields), metadata=self.metadata, timeout=PATIENCE)

    def subscribe(self) -> Any:
        call = self.stream("AppAs/Subscribe", "ApplicationIdentifiers", application_id="demo-app")
        # What was told before the subscription stands would be lost.
        call.initial_metadata()
        return call

    def stored(self, **fields: Any) -> Any:
        ids = {"application_id": "demo-app"}
        request = "GetStoredApplicationUpRequest"
        return self.stream(
            "ApplicationUpStorage/GetStoredApplicationUp",
            request,
            application_ids=ids,
            **fields,
        )


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Give a hosted stack, which keeps messages."""
    with Sandbox(network="v3", tenant="ttn") as sandbox:
        yield sandbox


def lines(sandbox: Sandbox, path: str) -> list[Any]:
    status, _, text = Api(sandbox).ask("GET", path, auth=f"Bearer {sandbox.access_key}", whole=True)
    assert status == 200, text
    return [json.loads(line)["result"] for line in text.decode().split("\n") if line]


def counters(found: list[Any]) -> list[tuple[str, int]]:
    return [(it["end_device_ids"]["device_id"], it["uplink_message"].get("f_cnt", 0)) for it in found]


def test_stored_messages_are_found_by_time_device_port_and_kind(
    sandbox: Sandbox,
) -> None:
    one, other = sandbox.device("node-1"), sandbox.device("node-2")
    for device, port in ((one, 1), (other, 2), (one, 1), (one, 3)):
        device.uplink(b"\x01", port=port)
    other.join()
    assert counters(lines(sandbox, STORED)) == [
        ("node-1", 0),
        ("node-2", 0),
        ("node-1", 1),
        ("node-1", 2),
    ]
    assert counters(lines(sandbox, f"{STORED}?order=-received_at&limit=2")) == [
        ("node-1", 2),
        ("node-1", 1),
    ]
    assert counters(lines(sandbox, f"{STORED}?f_port=2&last=1h")) == [("node-2", 0)]
    of_device = "as/applications/demo-app/devices/node-2/packages/storage/"
    assert counters(lines(sandbox, f"{of_device}uplink_message")) == [("node-2", 0)]
    (joined,) = lines(sandbox, f"{of_device}join_accept")
    assert joined["join_accept"]["session_key_id"]
    second = lines(sandbox, STORED)[1]["received_at"]
    assert counters(lines(sandbox, f"{STORED}?after={quote(second)}")) == [
        ("node-1", 1),
        ("node-1", 2),
    ]
    assert counters(lines(sandbox, f"{STORED}?before={quote(second)}")) == [("node-1", 0)]
    assert lines(sandbox, f"{STORED}?after=2999-01-01T00:00:00Z") == []


def test_a_stored_message_is_what_was_published(sandbox: Sandbox) -> None:
    sandbox.device("node-1").uplink(b"\x01\x02", fields={"level": 1.5, "list": [1, None]}, confirmed=True)
    (published,) = [json.loads(it["payload"]) for it in sandbox.journal if it["kind"] == "published"]
    assert lines(sandbox, STORED) == [published]
    (masked,) = lines(
        sandbox,
        f"{STORED}?field_mask=up.uplink_message.frm_payload,up.uplink_message.f_port",
    )
    assert masked == {
        "end_device_ids": published["end_device_ids"],
        "received_at": published["received_at"],
        "uplink_message": {"frm_payload": "AQI=", "f_port": 1},
    }


def test_a_stack_keeps_a_bounded_number_of_messages(sandbox: Sandbox) -> None:
    sandbox.stream(rate=100_000, count=10_050).wait()
    (oldest,) = lines(sandbox, f"{STORED}?limit=1")
    (newest,) = lines(sandbox, f"{STORED}?limit=1&order=-received_at")
    assert counters([oldest, newest]) == [("sim-00001", 50), ("sim-00001", 10_049)]


def test_what_cannot_be_asked_for_is_refused(sandbox: Sandbox) -> None:
    api = Api(sandbox)
    for path, status in (
        (STORED.replace("uplink_message", "uplinks"), 400),
        (f"{STORED}?order=f_cnt", 400),
        (f"{STORED}?after=yesterday", 400),
        (f"{STORED}?limit=-1", 400),
    ):
        assert api.ask("GET", path, auth=f"Bearer {sandbox.access_key}")[0] == status, path
    assert api.ask("GET", STORED, auth=None)[0] == 401


def test_storage_and_subscriptions_are_streams_of_grpc(sandbox: Sandbox, generated: Generated) -> None:
    calls, device = Calls(sandbox, generated), sandbox.device("node-1")
    device.uplink(b"\x01")
    (stored,) = calls.stored(type="uplink_message")
    assert stored.uplink_message.frm_payload == b"\x01"
    told = calls.subscribe()
    device.join()
    device.uplink(b"\x02")
    joined, uplink = next(told), next(told)
    assert joined.WhichOneof("up") == "join_accept" and uplink.uplink_message.frm_payload == b"\x02"
    assert (
        uplink.end_device_ids.device_id,
        uplink.uplink_message.network_ids.net_id,
    ) == ("node-1", b"\0\0\x13")
    told.cancel()
    calls.channel.close()


def test_a_stack_of_ones_own_keeps_nothing_unless_told_to(generated: Generated) -> None:
    with Sandbox(network="v3") as sandbox:
        calls = Calls(sandbox, generated)
        with pytest.raises(grpc.RpcError) as refused:
            list(calls.stored())
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
        calls.channel.close()
        assert Api(sandbox).ask("GET", STORED, auth=f"Bearer {sandbox.access_key}")[0] == 404
    with Sandbox(network="v3", storage=True) as sandbox:
        sandbox.device("node-1").uplink(b"\x01")
        assert counters(lines(sandbox, STORED)) == [("node-1", 0)]
    with pytest.raises(ValueError, match="storage True does not go together"):
        Sandbox(storage=True)


def test_a_day_ends_all_connections_and_clients_come_again(sandbox: Sandbox, generated: Generated) -> None:
    calls = Calls(sandbox, generated)
    told = calls.subscribe()
    heard: list[bytes] = []
    client = MQTTClient(
        sandbox.username,
        sandbox.access_key,
        sandbox.mqtt_address,
        reconnect_min_delay=0.01,
    )
    client.set_uplink_callback(lambda msg, client: heard.append(msg.payload_raw))
    with client:
        assert sandbox.end_day() == 1
        with pytest.raises(grpc.RpcError) as ended:
            next(told)
        assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
        sandbox.wait_for(
            lambda: client.stats()["reconnects"] == 1 and client.is_connected,
            timeout=PATIENCE,
        )
        again = calls.subscribe()
        sandbox.device("node-1").uplink(b"\x01")
        assert next(again).uplink_message.frm_payload == b"\x01"
        sandbox.wait_for(lambda: len(heard) == 1, timeout=PATIENCE)
        again.cancel()
    calls.channel.close()
