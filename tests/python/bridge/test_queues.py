"""Downlinks of V3 which the bridge hands to the Application Server, where it knows it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from nats_server import NatsServer, ask, publish
from stack_peer import Refusal, StackPeer
from thingslink.bridge import Bridge
from thingslink.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

QUEUE = "THINGS_demo-app_DOWN"
SUBJECT = "things.demo-app.dev-0.down"


def downlinks(*payloads: str) -> bytes:
    items = [{"f_port": 2, "frm_payload": payload, "correlation_ids": [f"own:{payload}"]} for payload in payloads]
    return json.dumps({"downlinks": items}).encode()


def waiting(server: NatsServer) -> int:
    return int(ask(server, f"STREAM.INFO.{QUEUE}")["state"]["messages"])


@pytest.fixture
def stack_sandbox() -> Iterator[Sandbox]:
    with Sandbox(network="v3", insecure=True, seed=0) as sandbox:
        yield sandbox


def bridge_of(sandbox: Sandbox, server: NatsServer, **options: Any) -> Bridge:
    options = {"management_address": sandbox.management_address, "insecure_channel": True, **options}
    arguments = (sandbox.username, sandbox.access_key, sandbox.mqtt_address, server.address)
    return Bridge(*arguments, name="one", max_bytes=1 << 28, network="v3", **options)


def test_a_downlink_leaves_its_stream_when_the_application_server_has_it(
    stack_sandbox: Sandbox, nats_server: NatsServer, eventually: Callable[[Callable[[], object]], None]
) -> None:
    device = stack_sandbox.device("dev-0")
    device.join()
    with bridge_of(stack_sandbox, nats_server) as bridge:
        # Over MQTT nobody would answer for one without an ID of ours; the server's answer needs none.
        publish(nats_server, f"{SUBJECT}.push", downlinks("AQ=="))
        publish(nats_server, f"{SUBJECT}.replace", downlinks("Ag==", "Aw=="))
        eventually(lambda: bridge.stats()["downlinks"] == 2 and waiting(nats_server) == 0)
        for expected in (b"\2", b"\3"):
            device.uplink(b"\5")
            assert device.next_downlink().payload == expected
        assert bridge.stats()["downlinks_refused"] == 0


def test_the_order_of_a_device_s_downlinks_is_kept(
    stack_sandbox: Sandbox, nats_server: NatsServer, eventually: Callable[[Callable[[], object]], None]
) -> None:
    devices = [stack_sandbox.device(f"dev-{number}") for number in range(3)]
    for device in devices:
        device.join()
    with bridge_of(stack_sandbox, nats_server) as bridge:
        for payload in ("AQ==", "Ag==", "Aw==", "BA==", "BQ=="):
            for number in range(3):
                publish(nats_server, f"things.demo-app.dev-{number}.down.push", downlinks(payload))
        eventually(lambda: bridge.stats()["downlinks"] == 15)
        for device in devices:
            for expected in range(1, 6):
                device.uplink(b"\5")
                assert device.next_downlink().payload == bytes([expected])


def test_what_the_application_server_refuses_is_told_with_its_reason(
    stack_sandbox: Sandbox, nats_server: NatsServer, caplog: Any, eventually: Callable[[Callable[[], object]], None]
) -> None:
    with bridge_of(stack_sandbox, nats_server) as bridge:
        # There is no such device; and what is no message of that kind.
        publish(nats_server, f"{SUBJECT}.push", downlinks("AQ=="))
        publish(nats_server, f"{SUBJECT}.push", b'{"downlinks": 3}')
        eventually(lambda: bridge.stats()["downlinks_refused"] == 2 and waiting(nats_server) == 0)
    told = [record.getMessage() for record in caplog.records if "a downlink is refused" in record.getMessage()]
    assert any("NOT_FOUND" in one for one in told) and any("over MQTT" in one for one in told), told


def test_a_downlink_that_the_application_server_has_no_time_for_is_tried_again(
    stack: StackPeer,
    stack_sandbox: Sandbox,
    nats_server: NatsServer,
    eventually: Callable[[Callable[[], object]], None],
) -> None:
    stack.refuse("AppAs/DownlinkQueuePush", Refusal("key without DEVICES_WRITE", "DEADLINE_EXCEEDED"))
    with bridge_of(stack_sandbox, nats_server, management_address=stack.address) as bridge:
        publish(nats_server, f"{SUBJECT}.push", downlinks("AQ=="))
        eventually(lambda: bridge.stats()["downlinks_retried"] == 1)
        eventually(lambda: bridge.stats()["downlinks"] == 1 and waiting(nats_server) == 0)
    assert [item.frm_payload for item in stack.told("AppAs/DownlinkQueuePush").downlinks] == [b"\1"]


def test_a_management_address_of_v2_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="management_address is not valid on The Things Network V2"):
        Bridge(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address, name="one", management_address="h:1")
