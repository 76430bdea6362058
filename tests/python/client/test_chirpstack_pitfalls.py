"""What is easily done wrong with ChirpStack, and what the client does about it, where no other test has it.

Others are in `test_mosquitto_chirpstack` (a wrong command is silence, 8 kB, numbers and times, one nack, an API without
TLS), `test_mosquitto_chirpstack_api` (parallel handling, objects without a codec), `test_chirpstack_backfill` (nothing
is kept for who is away) and `test_chirpstack_answers` (16 without words, lists without a limit).
"""

from __future__ import annotations

import json
import logging
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from chirpstack_peer import APPLICATION, DEVICE, token
from harness import RawServer, Recorder
from thingslink.sandbox import Sandbox
from thingslink.ttn import MQTTClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def server() -> Iterator[Sandbox]:
    with Sandbox(network="chirpstack", seed=0) as sandbox:
        yield sandbox


@pytest.mark.parametrize("options", [{"qos": 1}, {"clean_session": False, "client_id": "here"}])
def test_that_nothing_is_kept_is_said(
    options: dict[str, Any],
    server: Sandbox,
    caplog: pytest.LogCaptureFixture,
    eventually: Callable[[Callable[[], object]], None],
) -> None:
    with caplog.at_level(logging.WARNING, "thingslink"):
        MQTTClient(APPLICATION, token(), "localhost", grpc_address="localhost:8080", backfill=True, **options)
        with MQTTClient(APPLICATION, None, server.mqtt_address, **options):
            eventually(lambda: caplog.records)
    (said,) = (record.getMessage() for record in caplog.records)
    assert "publishes at QoS 0" in said and "backfill=True" in said


def test_on_an_open_broker_nothing_stays(raw_server: RawServer) -> None:
    with MQTTClient(APPLICATION, None, raw_server.address) as client:
        login = raw_server.next()
        flags = login[login.index(b"MQTT") + 5]
        assert flags & 0b1110_0100 == 0, "no user, no password, no will"
        client.send(DEVICE, b"\1", schedule="last")
        while (packet := raw_server.next())[0] & 0xF0 != 0x30:
            pass
        assert packet[0] & 1 == 0, "not retained"


def test_each_command_has_an_id_of_its_own_and_the_device_in_lower_case(raw_server: RawServer) -> None:
    with MQTTClient(APPLICATION.upper(), None, raw_server.address) as client:
        for _ in range(3):
            client.send(DEVICE.upper(), b"\1", schedule="last")
        bodies: list[dict[str, Any]] = []
        while len(bodies) < 3:
            packet = raw_server.next()
            if packet[0] & 0xF0 == 0x30:
                topic = f"application/{APPLICATION}/device/{DEVICE}/command/down".encode()
                assert topic in packet
                bodies.append(json.loads(packet[packet.index(b"{") :]))
    assert len({str(uuid.UUID(body["id"])) for body in bodies}) == 3
    assert {body["devEui"] for body in bodies} == {DEVICE}


def test_a_key_does_not_know_its_tenant(
    server: Sandbox,
    recorder: Recorder,
    caplog: pytest.LogCaptureFixture,
    eventually: Callable[[Callable[[], object]], None],
) -> None:
    device = server.device("node-1")
    address = server.management_address
    client = recorder.watch(MQTTClient(server.app_id, server.access_key, server.mqtt_address, grpc_address=address))
    with caplog.at_level(logging.WARNING, "thingslink"), client:
        eventually(lambda: any("without tenant_id" in record.getMessage() for record in caplog.records))
        with pytest.raises(ValueError, match="give tenant_id"):
            client.send("node-1", b"\1")
        device.uplink()
        assert recorder.expect("uplink").app_id == server.app_id
        handle = client.downlink(client.send("node-1", b"\1", schedule="last"))
        assert handle.state == "queued" and f"application='{server.application_id}'" in repr(client)


def test_the_api_key_goes_to_no_broker(raw_server: RawServer) -> None:
    key = token()
    with MQTTClient(APPLICATION, key, raw_server.address):
        assert key.encode() not in raw_server.next()


def test_a_device_that_the_application_does_not_have_is_named(server: Sandbox) -> None:
    at: dict[str, Any] = {"grpc_address": server.management_address, "tenant_id": server.tenant_id}
    with (
        MQTTClient(server.app_id, server.access_key, server.mqtt_address, **at) as client,
        pytest.raises(ValueError, match=r'dev_id "nobody" .* a device of the application'),
    ):
        client.send("nobody", b"\1")
