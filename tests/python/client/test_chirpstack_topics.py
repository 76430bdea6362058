"""A server of ChirpStack that writes its topics in a way of its own: `event_topic` and `command_topic`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from chirpstack_peer import APPLICATION
from harness import PATIENCE, Recorder
from thingslink import aio
from thingslink.sandbox import Sandbox
from thingslink.ttn import MQTTClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOPICS: dict[str, Any] = {
    "event_topic": "acme/{{application_id}}/{{ dev_eui }}/{{event}}",
    "command_topic": "acme/{{application_id}}/{{dev_eui}}/{{command}}",
}


@pytest.fixture
def server() -> Iterator[Sandbox]:
    with Sandbox(network="chirpstack", seed=0, **TOPICS) as sandbox:
        yield sandbox


def client_of(server: Sandbox, **options: Any) -> MQTTClient:
    return MQTTClient(server.application_id, server.access_key, server.mqtt_address, **TOPICS, **options)


def paths(server: Sandbox, kind: str, name: str) -> set[str]:
    """Give the topics or filters that the broker has seen."""
    return {entry[name] for entry in server.journal if entry["kind"] == kind}


def test_uplinks_events_and_downlinks_pass(
    server: Sandbox, recorder: Recorder, eventually: Callable[[Callable[[], object]], None]
) -> None:
    device = server.device("node-1")
    start = f"acme/{server.application_id}/{device.dev_eui}"
    client = recorder.watch(client_of(server))
    client.set_uplink_raw_callback(recorder.on("raw"))
    client.set_event_callback(recorder.on("event"), "down/sent")
    client.set_activation_callback(recorder.on("activation"))
    with client:
        device.uplink(b"\x01\x02", port=7)
        msg, raw = recorder.expect("uplink"), recorder.expect("raw")
        assert (msg.dev_id, msg.port, msg.payload) == ("node-1", 7, b"\x01\x02")
        assert (raw.topic, raw.payload[:1]) == (f"{start}/up", b"{"), "as the server writes it"
        handle = client.downlink(client.send("node-1", b"\x02\x0f", port=10, schedule="last"))
        eventually(lambda: device.downlinks)
        device.uplink()
        handle.wait("sent", timeout=PATIENCE)
        event = recorder.expect("event")
        assert (event.name, event.dev_id) == ("down/sent", "node-1")
        device.join()
        assert recorder.expect("activation").dev_id == "node-1"
    assert device.received[0].payload == b"\x02\x0f"
    filters = paths(server, "subscribed", "filter")
    assert f"acme/{server.application_id}/+/up" in filters and all(it.startswith("acme/") for it in filters)
    assert f"{start}/down" in paths(server, "published", "topic")


def test_an_application_is_known_by_its_name(server: Sandbox, recorder: Recorder) -> None:
    server.add_application("other", server.access_key)
    other, device = server.device("node-2", app_id="other"), server.device("node-1")
    client = MQTTClient(server.app_id, server.access_key, server.mqtt_address, network="chirpstack", **TOPICS)
    with recorder.watch(client):
        other.uplink()
        device.uplink()
        assert recorder.expect("uplink").dev_id == "node-1"
        assert f"application='{server.application_id}'" in repr(client)
    assert paths(server, "subscribed", "filter") == {"acme/+/+/up"}


def test_what_was_missed_is_fetched(server: Sandbox, recorder: Recorder) -> None:
    device = server.device("node-1")
    away = {"reconnect_min_delay": 0.01, "reconnect_max_delay": 0.1}
    client = client_of(server, grpc_address=server.management_address, backfill=True, **away)
    with recorder.watch(client):
        device.uplink()
        recorder.expect("uplink")
        server.refuse_connections(True)
        server.cut()
        recorder.expect("close")
        device.uplink(b"\x07")
        server.refuse_connections(False)
        msg = recorder.expect("uplink")
        assert (msg.payload, client.stats()["backfilled"]) == (b"\x07", 1)


def test_what_a_program_publishes_is_looked_at(server: Sandbox) -> None:
    device = server.device("node-1")
    with client_of(server) as client:
        publish = client._MQTTClient__client.publish
        body = f'{{"devEui": "{device.dev_eui}", "fPort": %d, "data": "AQ=="}}'
        to = f"acme/{server.application_id}/{device.dev_eui}/down"
        publish(to, body % 3)
        server.wait_for(lambda: device.downlinks == [b"\x01"])
        with pytest.raises(ValueError, match="1 to 255"):
            publish(to, body % 257)
        with pytest.raises(ValueError, match="topic"):
            publish(f"acme/{server.application_id}/{device.dev_eui}/flush", body % 3)


def test_a_program_may_listen_to_topics_as_the_server_writes_them(server: Sandbox, recorder: Recorder) -> None:
    device = server.device("node-1")
    client = recorder.watch(client_of(server))
    with client:
        client._set_topic_callback(recorder.on("any"), "acme/#")
        device.uplink()
        assert recorder.expect("any").topic == f"acme/{server.application_id}/{device.dev_eui}/up"


def test_in_asyncio_as_well(server: Sandbox) -> None:
    device = server.device("node-1")

    async def run() -> tuple[Any, Any]:
        client = aio.MQTTClient(server.application_id, server.access_key, server.mqtt_address, **TOPICS)
        async with client, client.uplinks() as uplinks, client.raw_uplinks() as raw:
            device.uplink(b"\x05")
            return await anext(uplinks), await anext(raw)

    msg, raw = asyncio.run(asyncio.wait_for(run(), PATIENCE))
    assert (msg.payload, raw.topic) == (b"\x05", f"acme/{server.application_id}/{device.dev_eui}/up")


@pytest.mark.parametrize("name", TOPICS)
@pytest.mark.parametrize(
    "wrong",
    ["", "acme/#", "a/{{application_id}}/{{dev_eui}}", "a/{{ .ApplicationID }}/{{ .DevEUI }}/{{ .EventType }}"],
)
def test_what_is_no_template_is_refused(name: str, wrong: str) -> None:
    given: dict[str, Any] = {name: wrong}
    with pytest.raises(ValueError, match=f"^{name} .*dev_eui"):
        MQTTClient(APPLICATION, None, "localhost", **given)
    with pytest.raises(ValueError, match=f"^{name} .*dev_eui"):
        Sandbox(network="chirpstack", **given)


@pytest.mark.parametrize("name", TOPICS)
def test_only_chirpstack_has_templates(name: str) -> None:
    given = {name: TOPICS[name]}
    key = f"NNSXS.{'A' * 39}.{'B' * 52}"
    with pytest.raises(ValueError, match=f"{name} is not valid on The Things Stack V3"):
        MQTTClient("app", key, "localhost", **given)
    with pytest.raises(ValueError, match=f"{name} .* does not go together"):
        Sandbox(network="v3", **given)
