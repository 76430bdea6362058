"""Events, activations, single fields, single devices: what the network's other SDKs have (V2 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from faces import on_both_faces
from thingslink.ttn import ActivationEvent, DeviceEvent, DownlinkEvent, RegistrationEvent

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness import Recorder
    from thingslink.sandbox import Sandbox
    from thingslink.ttn import MQTTClient

    Maker = Callable[..., MQTTClient]


@on_both_faces
def test_the_way_of_a_downlink_is_told(sandbox: Sandbox, client_for: Maker, recorder: Recorder) -> None:
    device, client = sandbox.device("node-1"), client_for(sandbox)
    client.set_event_callback(recorder.on("event"))
    client.connect()
    client.send("node-1", b"\x01\x02\x03", port=2, confirmation=True)
    scheduled = recorder.expect("event")
    assert isinstance(scheduled, DownlinkEvent) and scheduled.name == "down/scheduled"
    assert scheduled.data.to_dict() == {"message": {"port": 2, "confirmed": True, "payload_raw": "AQID"}}
    device.uplink()
    sent = recorder.expect("event")
    assert (sent.name, sent.dev_id, sent.app_id, sent.error) == ("down/sent", "node-1", sandbox.app_id, None)
    assert sent.payload[0] == 0xA0 and b"\x01\x02\x03" in sent.payload
    assert sent.message.dev_id == "node-1" and sent.gateway_id == "barn-roof" and sent.config.frequency == 867500000
    device.uplink()
    acked = recorder.expect("event")
    assert acked.name == "down/acks" and acked.message.payload_raw == "AQID"
    assert "DownlinkEvent(name='down/acks', dev_id='node-1'" in repr(acked)


@on_both_faces
def test_registrations_and_joins_are_told(sandbox: Sandbox, client_for: Maker, recorder: Recorder) -> None:
    client = client_for(sandbox)
    client.set_event_callback(recorder.on("event"))
    client.set_activation_callback(recorder.on("joined"))
    client.connect()
    device = sandbox.device("node-2")
    created = recorder.expect("event")
    assert isinstance(created, RegistrationEvent) and (created.name, created.latitude) == ("create", None)
    device.locate(51.98, 5.661, 9)
    moved = recorder.expect("event")
    assert (moved.name, moved.latitude, moved.longitude, moved.altitude) == ("update", 51.98, 5.661, 9)
    device.join()
    joined = recorder.expect("joined")
    assert isinstance(joined, ActivationEvent) and joined.dev_eui and joined.dev_addr and joined.metadata
    assert len(joined.dev_eui) == 16 and len(joined.dev_addr) == 8
    assert joined.app_eui == "70B3D57ED00000AA" and joined.metadata.gateways[0].rssi < 0
    device.delete()
    while (deleted := recorder.expect("event")).name != "delete":
        pass
    assert deleted.data is None and deleted.json() == b"null"


@on_both_faces
def test_events_are_chosen_by_name_and_device(sandbox: Sandbox, client_for: Maker, recorder: Recorder) -> None:
    one, two, client = sandbox.device("node-1"), sandbox.device("node-2"), client_for(sandbox)
    client.set_event_callback(recorder.on("of one"), None, "node-1")
    client.set_event_callback(recorder.on("joins"), "activations")
    client.set_event_callback(recorder.on("joins of two"), event="activations", dev_id="node-2")
    client.connect()
    one.join()
    assert [event.dev_id for event in recorder.expect_each("of one", "joins")] == ["node-1"] * 2
    two.join()
    assert [event.dev_id for event in recorder.expect_each("joins of two", "joins")] == ["node-2"] * 2
    assert recorder.drain() == []


@on_both_faces
@pytest.mark.parametrize("event", ["", "a+", "#", "/x"])
def test_a_bad_event_name_is_told(event: str, sandbox: Sandbox, client_for: Maker) -> None:
    with pytest.raises(ValueError, match="down/scheduled"):
        client_for(sandbox).set_event_callback(print, event)  # type: ignore[call-overload]


@on_both_faces
def test_an_unknown_event_is_plain(sandbox: Sandbox, client_for: Maker, recorder: Recorder) -> None:
    client = client_for(sandbox)
    client.set_event_callback(recorder.on("event"))
    client.connect()
    sandbox.publish_raw(f"{sandbox.app_id}/devices/d1/events/up/errors", b'{"error":"Unable to decode payload fields"}')
    event = recorder.expect("event")
    assert type(event) is DeviceEvent and event.name == "up/errors" and str(event.error).startswith("Unable")


@on_both_faces
def test_one_device_has_a_handle(sandbox: Sandbox, client_for: Maker, recorder: Recorder) -> None:
    one, two, client = sandbox.device("node-1"), sandbox.device("node-2"), client_for(sandbox)
    handle = client.device("node-1")
    handle.set_uplink_callback(recorder.on("uplink"))
    handle.set_uplink_raw_callback(recorder.on("raw"))
    handle.set_event_callback(recorder.on("event"), "down/scheduled")
    handle.set_activation_callback(recorder.on("joined"))
    client.connect()
    two.uplink()
    one.uplink()
    msg, raw = recorder.expect_each("uplink", "raw")
    assert msg.dev_id == "node-1" and raw.topic.endswith("node-1/up")
    handle.send({"led": True}, port=5, sched="first")
    assert recorder.expect("event").message.payload_fields.led is True
    one.join()
    assert recorder.expect("joined").dev_id == "node-1"
    assert handle.dev_id == "node-1" and "node-1" in repr(handle)
    with pytest.raises(ValueError, match="Node"):
        client.device("Node")


@on_both_faces
def test_uplinks_of_one_device_can_be_chosen(sandbox: Sandbox, client_for: Maker, recorder: Recorder) -> None:
    one, two, client = sandbox.device("node-1"), sandbox.device("node-2"), client_for(sandbox)
    client.set_uplink_callback(recorder.on("one"), dev_id="node-1")
    client.set_uplink_callback(recorder.on("all"))
    client.connect()
    two.uplink()
    assert recorder.expect("all").dev_id == "node-2"
    one.uplink()
    assert [msg.dev_id for msg in recorder.expect_each("one", "all")] == ["node-1", "node-1"]
    assert recorder.drain() == []


@on_both_faces
def test_single_fields_can_be_listened_to(sandbox: Sandbox, client_for: Maker, recorder: Recorder) -> None:
    client = client_for(sandbox)
    client.set_uplink_field_callback(recorder.on("level"), "tank/level")
    client.set_uplink_field_callback(recorder.on("tank"), "tank", dev_id="node-1")
    client.connect()
    sandbox.device("node-1").uplink(b"\1", fields={"pump": True, "tank": {"level": 0.42}})
    level, tank = recorder.expect_each("level", "tank")
    assert (level.value, level.field, level.dev_id, level.app_id) == (0.42, "tank/level", "node-1", sandbox.app_id)
    assert tank.value.level == 0.42 and recorder.drain() == []
    for field in ("", "a//b", "+", "a/#"):
        with pytest.raises(ValueError, match="field"):
            client.set_uplink_field_callback(print, field)


def test_errors_of_downlinks_are_told(sandbox: Sandbox, client_for: Maker, recorder: Recorder) -> None:
    device, client = sandbox.device("node-1"), client_for(sandbox)
    client.set_event_callback(recorder.on("error"), "down/errors")
    client.set_event_callback(recorder.on("scheduled"), "down/scheduled")
    client.connect()

    def error() -> Any:
        return recorder.expect("error").error

    client.send("node-1", {})
    assert error() == "Downlink Payload not valid: empty"
    raw: Any = client
    topic = f"{sandbox.app_id}/devices/node-1/down"
    raw._MQTTClient__client.publish(topic, '{"schedule":"sometime","payload_raw":"AQ=="}')
    assert error() == "ScheduleType not valid: unknown"
    raw._MQTTClient__client.publish(topic, '{"payload_fields":{"a":1},"payload_raw":"AQ=="}')
    recorder.expect("scheduled")
    device.uplink()
    assert error() == "Downlink not valid: Both Fields and Payload provided"
