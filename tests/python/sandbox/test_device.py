"""What a simulated device has received, and waiting for what the sandbox sees."""

from __future__ import annotations

import queue
import re
import threading
from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE, on_both_networks
from thingslink.sandbox import ReceivedDownlink, Sandbox
from thingslink.ttn import ApplicationClient, MQTTClient

if TYPE_CHECKING:
    from collections.abc import Callable


@on_both_networks
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_downlink_that_was_written_is_in_time_for_the_next_uplink(
    tls: bool, sandbox: Sandbox, client_for: Callable[..., MQTTClient]
) -> None:
    device = sandbox.device("node-1")
    address = sandbox.mqtts_address if tls else sandbox.mqtt_address
    client = client_for(sandbox, address=address, ca_certs=sandbox.ca_certs if tls else None)
    client.connect()
    for number in range(200):
        client.send("node-1", number.to_bytes(2, "big"))
        client.flush(timeout=PATIENCE)
        device.uplink()
        assert [one.payload for one in device.received] == [n.to_bytes(2, "big") for n in range(number + 1)]


@on_both_networks
def test_many_downlinks_and_large_ones_are_taken_in_before(
    sandbox: Sandbox, client_for: Callable[..., MQTTClient]
) -> None:
    device = sandbox.device("node-1")
    clients = [client_for(sandbox) for _ in range(3)]
    for client in clients:
        client.connect()
    for number in range(300):
        clients[number % 3].send("node-1", bytes(200), sched="last")
    for client in clients:
        client.flush(timeout=PATIENCE)
    device.uplink()
    assert len(device.downlinks) == 299


def test_what_a_device_received_is_told_with_port_and_confirmation(
    sandbox: Sandbox, client_for: Callable[..., MQTTClient]
) -> None:
    device, other = sandbox.device("node-1"), sandbox.device("node-2")
    client = client_for(sandbox)
    client.connect()
    assert device.received == []
    client.send("node-1", b"\x01", port=7, conf=True)
    client.send("node-1", b"\x02", port=8, sched="last")
    client.flush(timeout=PATIENCE)
    device.configure(acknowledges=False)
    device.uplink()
    other.uplink()
    device.uplink()  # the confirmed one again
    device.configure(acknowledges=True)
    device.uplink()
    expected = [(b"\x01", 7, True, 0), (b"\x01", 7, True, 1), (b"\x02", 8, False, 2)]
    assert device.received == expected and other.received == []
    assert [sandbox.device("node-1").next_downlink() for _ in range(3)] == expected
    assert isinstance(device.received[0], ReceivedDownlink) and device.received[0].counter == 0


def test_fields_reach_the_device_as_the_bytes_that_the_encoder_made(
    sandbox: Sandbox, application: ApplicationClient, client_for: Callable[..., MQTTClient]
) -> None:
    device = sandbox.device("node-1")
    application.set_payload_format("custom")
    application.set_custom_payload_functions(encoder="function Encoder(o, port) { return [o.led ? 1 : 0, port]; }")
    client = client_for(sandbox)
    client.connect()
    client.send("node-1", {"led": True}, port=3)
    client.flush(timeout=PATIENCE)
    device.uplink()
    assert device.next_downlink().payload == b"\x01\x03"


@on_both_networks
def test_the_next_downlink_is_waited_for(sandbox: Sandbox, client_for: Callable[..., MQTTClient]) -> None:
    device = sandbox.device("node-1")
    client = client_for(sandbox)
    sent = queue.SimpleQueue[int]()
    client.set_uplink_callback(lambda message, client: sent.put(client.send(message.dev_id, b"\x05")))
    client.connect()
    device.uplink()
    sent.get(timeout=PATIENCE)
    assert sandbox.wait_for(lambda: device.downlinks, timeout=PATIENCE) == [b"\x05"]
    with pytest.raises(TimeoutError, match="reached 'node-1', and 1 more wait for its next uplink within 0 s"):
        device.next_downlink(timeout=0)
    uplinks = threading.Timer(0.05, device.uplink)
    uplinks.start()
    assert device.next_downlink(timeout=PATIENCE).payload == b"\x05"
    uplinks.join()
    sent.get(timeout=PATIENCE)  # the second uplink's, too, before the client closes


def test_waiting_ends_with_what_happened_last(sandbox: Sandbox) -> None:
    device = sandbox.device("node-1")
    device.uplink(b"\x01")
    with pytest.raises(TimeoutError) as raised:
        sandbox.wait_for(lambda: "nobody" in sandbox.clients, timeout=0.01)
    words = str(raised.value)
    assert re.search(r"did not come true within 0\.01 s", words) and "topic='demo-app/devices/node-1/up'" in words
    # What nobody writes into the journal is looked at, too, and an exception of the condition is the caller's.
    seen: list[int] = []
    assert sandbox.wait_for(lambda: seen.append(1) or len(seen) > 3, timeout=PATIENCE)  # type: ignore[func-returns-value]
    with pytest.raises(ZeroDivisionError):
        sandbox.wait_for(lambda: 1 / 0)
    with sandbox.thingsboard as server, pytest.raises(TimeoutError, match="journal"):
        server.wait_for(lambda: server.connected, timeout=0)


def test_the_journal_keeps_what_happened_lately(sandbox: Sandbox, client_for: Callable[..., MQTTClient]) -> None:
    device = sandbox.device("node-1")
    client_for(sandbox, client_id="me").connect()
    for _ in range(1000):
        device.uplink()
    journal: list[dict[str, Any]] = sandbox.journal
    assert len(journal) == 1000 and {entry["kind"] for entry in journal} == {"published"}
    sandbox.publish_raw("demo-app/devices/node-1/up", b"{}")
    for _ in range(5):
        device.uplink(bytes(1 << 20))
    assert sum(len(entry["payload"]) for entry in sandbox.journal) <= 4 << 20


@on_both_networks
def test_an_uplink_does_not_wait_for_a_silent_network(sandbox: Sandbox, client_for: Callable[..., MQTTClient]) -> None:
    device = sandbox.device("node-1")
    client_for(sandbox).connect()
    sandbox.go_silent()
    assert [device.uplink() for _ in range(3)] == [0, 1, 2]
    sandbox.go_silent(on=False)
