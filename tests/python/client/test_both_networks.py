"""One program on both networks: what its callbacks see is the same, in the same order, but for what is listed here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thingslink.sandbox import Sandbox
from thingslink.ttn import ActivationEvent, DownlinkEvent, FieldValue, MQTTClient, RawMessage, UplinkMessage

if TYPE_CHECKING:
    from collections.abc import Callable

#: Where the networks differ by their nature: what, on V2, on V3, and why.
DIFFERENT: dict[str, tuple[set[str], set[str], str]] = {
    "fields of an uplink without fields": (set(), {"attributes"}, "V2 adds a device's attributes where it decodes"),
    "fields of a gateway": ({"gtw_trusted"}, {"eui"}, "V3 does not say whom it trusts, and tells each gateway's EUI"),
    "fields of a join's metadata": (
        {"airtime", "coding_rate", "data_rate", "frequency", "gateways", "modulation"},
        set(),
        "V3 tells of a join without what the gateways heard",
    ),
    "events": ({"create", "update", "delete"}, set(), "V3 tells nobody of registrations over MQTT"),
    "fields of down/sent": (
        {"config", "gateway_id", "payload"},
        set(),
        "V3 tells which downlink was sent, not the frame and its gateway",
    ),
}


def names(value: Any) -> list[str]:
    return list(value.keys())


def program(network: str, eventually: Callable[[Callable[[], object]], None]) -> list[Any]:
    """Run one program; gives what its callbacks saw, first to last."""
    saw: list[Any] = []

    def on(kind: str) -> Callable[[Any, MQTTClient], None]:
        def callback(value: Any, client: MQTTClient) -> None:
            saw.append((kind, type(value).__name__, value, client is running))

        return callback

    with Sandbox(network=network, seed=0) as sandbox:  # type: ignore[arg-type]
        device = sandbox.device("soil-07")
        device.locate(51.98, 5.66, 12)
        device.configure(attributes={"row": "12"})
        running = MQTTClient(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address)
        running.set_connect_callback(on("connect"))
        running.set_close_callback(on("close"))
        running.set_uplink_callback(on("uplink"))
        running.set_uplink_raw_callback(on("raw"))
        running.set_uplink_field_callback(on("field"), "temperature")
        running.set_activation_callback(on("activation"))
        running.set_event_callback(on("event"), "down/scheduled")
        running.set_event_callback(on("event"), "down/sent")
        running.set_event_callback(on("event"), "down/acks")
        with running:
            device.uplink(b"\x01\x67", fields={"temperature": 23.5, "deep": {"a": [1, None]}}, port=3, confirmed=True)
            if network == "v2":
                # On V3 the client takes it out of the uplink.
                sandbox.publish_raw("demo-app/devices/soil-07/up/temperature", b"23.5")
            eventually(lambda: len(seen(saw, "uplink", "raw", "field")) == 3)
            device.uplink(None, port=0)
            eventually(lambda: len(seen(saw, "uplink", "raw")) == 4)
            running.send("soil-07", b"\x02\x0f", port=10, conf=True)
            eventually(lambda: len(seen(saw, "event")) == 1)
            device.uplink(b"\x01")
            eventually(lambda: len(seen(saw, "uplink", "raw")) == 6 and len(seen(saw, "event")) == 2)
            device.uplink(b"\x01")
            eventually(lambda: len(seen(saw, "uplink", "raw")) == 8 and len(seen(saw, "event")) == 3)
            device.join()
            eventually(lambda: seen(saw, "activation"))
        eventually(lambda: seen(saw, "close"))
        assert [one.payload for one in device.received][:1] == [b"\x02\x0f"]
    return saw


def seen(saw: list[Any], *kinds: str) -> list[Any]:
    return [entry for entry in saw if entry[0] in kinds]


def test_callbacks_see_the_same(eventually: Callable[[Callable[[], object]], None]) -> None:
    v2, v3 = (program(network, eventually) for network in ("v2", "v3"))
    # A field is a message of its own on V2, and may come at any time.
    for kinds in (("connect", "close"), ("uplink", "raw"), ("field",), ("event",), ("activation",)):
        shown = [[(kind, of, own) for kind, of, _, own in seen(saw, *kinds)] for saw in (v2, v3)]
        assert shown[0] == shown[1], kinds
    for of_v2, of_v3 in zip(seen(v2, "uplink"), seen(v3, "uplink"), strict=True):
        same_uplink(of_v2[2], of_v3[2])
    for of_v2, of_v3 in zip(seen(v2, "raw"), seen(v3, "raw"), strict=True):
        assert isinstance(of_v2[2], RawMessage) and (of_v2[2].qos, of_v2[2].retain) == (of_v3[2].qos, of_v3[2].retain)
        assert of_v3[2].topic == f"v3/{of_v2[2].topic}"
    (field_v2,), (field_v3,) = seen(v2, "field"), seen(v3, "field")
    assert isinstance(field_v2[2], FieldValue) and isinstance(field_v3[2], FieldValue)
    for name in ("app_id", "dev_id", "field", "value"):
        assert getattr(field_v2[2], name) == getattr(field_v3[2], name)
    for of_v2, of_v3 in zip(seen(v2, "event"), seen(v3, "event"), strict=True):
        same_downlink(of_v2[2], of_v3[2])
    (join_v2,), (join_v3,) = seen(v2, "activation"), seen(v3, "activation")
    same_join(join_v2[2], join_v3[2])


def but_for(what: str, of_v2: list[str], of_v3: list[str]) -> None:
    """The same names in the same order, but for those that are listed."""
    only_v2, only_v3, _ = DIFFERENT[what]
    assert [name for name in of_v2 if name not in only_v2] == [name for name in of_v3 if name not in only_v3]


def same_uplink(v2: UplinkMessage, v3: UplinkMessage) -> None:
    if "payload_fields" in v2.keys():  # noqa: SIM118 - a message is a tuple
        assert names(v2) == names(v3) and v2.attributes == v3.attributes
    else:
        but_for("fields of an uplink without fields", names(v2), names(v3))
    for name in ("app_id", "dev_id", "port", "counter", "payload_raw", "payload", "payload_fields", "confirmed"):
        assert v2.get(name) == v3.get(name) and type(v2.get(name)) is type(v3.get(name)), name
    assert names(v2.metadata) == names(v3.metadata)
    for name in names(v2.metadata):
        assert type(v2.metadata[name]) is type(v3.metadata[name]), name
    assert (v2.metadata.latitude, v2.metadata.altitude) == (v3.metadata.latitude, v3.metadata.altitude)
    for gateway_v2, gateway_v3 in zip(v2.metadata.gateways, v3.metadata.gateways, strict=False):
        but_for("fields of a gateway", names(gateway_v2), names(gateway_v3))
    assert v2.v3 is None and v3.v3 is not None


def same_downlink(v2: DownlinkEvent, v3: DownlinkEvent) -> None:
    assert (v2.name, v2.app_id, v2.dev_id, v2.error) == (v3.name, v3.app_id, v3.dev_id, v3.error)
    assert v2.message is not None and v3.message is not None
    for name in ("payload_raw", "port", "confirmed"):
        assert v2.message[name] == v3.message[name]
    if v2.name == "down/sent":
        but_for("fields of down/sent", names(v2.data), names(v3.data))


def same_join(v2: ActivationEvent, v3: ActivationEvent) -> None:
    assert (v2.name, v2.app_id, v2.dev_id) == (v3.name, v3.app_id, v3.dev_id)
    for own in (v2, v3):
        assert (len(own.dev_eui or ""), len(own.dev_addr or "")) == (16, 8)
    assert v2.metadata is not None and v3.metadata is not None
    but_for("fields of a join's metadata", names(v2.metadata), names(v3.metadata))
