"""One program on all networks: what its callbacks see is the same, in the same order, but for what is listed here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from thingslink.sandbox import Sandbox
from thingslink.ttn import ActivationEvent, DownlinkEvent, FieldValue, MQTTClient, RawMessage, UplinkMessage

if TYPE_CHECKING:
    from collections.abc import Callable

Names: TypeAlias = "set[str]"
#: Where the networks differ from V2 by their nature: what V2 has alone, what the other one has, and why.
DIFFERENT: dict[str, dict[str, tuple[Names, Names, str]]] = {
    "v3": {
        "fields of an uplink": (set(), set(), ""),
        "fields of an uplink without fields": (set(), {"attributes"}, "V2 adds a device's attributes where it decodes"),
        "fields of an uplink's metadata": (set(), set(), ""),
        "fields of a gateway": (
            {"gtw_trusted"},
            {"eui"},
            "V3 does not say whom it trusts, and tells each gateway's EUI",
        ),
        "fields of a join's metadata": (
            {"airtime", "coding_rate", "data_rate", "frequency", "gateways", "modulation"},
            set(),
            "V3 tells of a join without what the gateways heard",
        ),
        "events": (set(), set(), ""),
        "fields of down/sent": (
            {"config", "gateway_id", "payload"},
            set(),
            "V3 tells which downlink was sent, not the frame and its gateway",
        ),
        "fields of a downlink": (set(), set(), ""),
    },
    "chirpstack": {
        "fields of an uplink": ({"attributes"}, set(), "ChirpStack has tags, under msg.chirpstack.deviceInfo"),
        "fields of an uplink without fields": (set(), set(), ""),
        "fields of an uplink's metadata": (
            {"altitude", "latitude", "location_source", "longitude"},
            set(),
            "ChirpStack does not tell where a device is",
        ),
        "fields of a gateway": ({"gtw_trusted"}, set(), "ChirpStack does not say whom it trusts"),
        "fields of a join's metadata": (
            {"airtime", "coding_rate", "data_rate", "frequency", "gateways", "modulation"},
            set(),
            "ChirpStack tells of a join without what the gateways heard",
        ),
        "events": ({"down/scheduled"}, set(), "ChirpStack tells nobody over MQTT that a downlink is queued"),
        "fields of down/sent": ({"payload"}, set(), "ChirpStack tells of a transmission, not of the frame"),
        "fields of a downlink": (
            {"confirmed", "payload_raw", "port"},
            set(),
            "ChirpStack tells which item was sent, not what was in it",
        ),
    },
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
        scheduled = "down/scheduled" not in DIFFERENT.get(network, {}).get("events", (set(),))[0]
        if scheduled:
            running.set_event_callback(on("event"), "down/scheduled")
        running.set_event_callback(on("event"), "down/sent")
        running.set_event_callback(on("event"), "down/acks")
        with running:
            device.uplink(b"\x01\x67", fields={"temperature": 23.5, "deep": {"a": [1, None]}}, port=3, confirmed=True)
            eventually(lambda: len(seen(saw, "uplink", "raw", "field")) == 3)
            device.uplink(None, port=0)
            eventually(lambda: len(seen(saw, "uplink", "raw")) == 4)
            running.send("soil-07", b"\x02\x0f", port=10, conf=True)
            eventually(lambda: device.downlinks and len(seen(saw, "event")) == scheduled)
            device.uplink(b"\x01")
            eventually(lambda: len(seen(saw, "uplink", "raw")) == 6 and len(seen(saw, "event")) == 1 + scheduled)
            device.uplink(b"\x01")
            eventually(lambda: len(seen(saw, "uplink", "raw")) == 8 and len(seen(saw, "event")) == 2 + scheduled)
            device.join()
            eventually(lambda: seen(saw, "activation"))
        eventually(lambda: seen(saw, "close"))
        assert [one.payload for one in device.received][:1] == [b"\x02\x0f"]
    return saw


def seen(saw: list[Any], *kinds: str) -> list[Any]:
    return [entry for entry in saw if entry[0] in kinds]


@pytest.mark.parametrize("network", DIFFERENT)
def test_callbacks_see_the_same(network: str, eventually: Callable[[Callable[[], object]], None]) -> None:
    v2, other = (program(network, eventually) for network in ("v2", network))
    untold = DIFFERENT[network]["events"][0]
    v2 = [entry for entry in v2 if entry[0] != "event" or entry[2].name not in untold]
    # A field is a message of its own on V2, and may come at any time.
    for kinds in (("connect", "close"), ("uplink", "raw"), ("field",), ("event",), ("activation",)):
        shown = [[(kind, of, own) for kind, of, _, own in seen(saw, *kinds)] for saw in (v2, other)]
        assert shown[0] == shown[1], kinds
    compare = Comparison(network)
    for of_v2, of_other in zip(seen(v2, "uplink"), seen(other, "uplink"), strict=True):
        compare.uplinks(of_v2[2], of_other[2])
    for of_v2, of_other in zip(seen(v2, "raw"), seen(other, "raw"), strict=True):
        one, another = of_v2[2], of_other[2]
        assert isinstance(one, RawMessage) and (one.qos, one.retain) == (another.qos, another.retain)
        assert another.topic == f"v3/{one.topic}" or another.topic.startswith("application/")
    (field_v2,), (field_other,) = seen(v2, "field"), seen(other, "field")
    assert isinstance(field_v2[2], FieldValue) and isinstance(field_other[2], FieldValue)
    for name in ("app_id", "dev_id", "field", "value"):
        assert getattr(field_v2[2], name) == getattr(field_other[2], name)
    for of_v2, of_other in zip(seen(v2, "event"), seen(other, "event"), strict=True):
        compare.downlinks(of_v2[2], of_other[2])
    (join_v2,), (join_other,) = seen(v2, "activation"), seen(other, "activation")
    compare.joins(join_v2[2], join_other[2])


class Comparison:
    """Compares what V2 gave with what the other network gave."""

    def __init__(self, network: str) -> None:
        self.network = network
        self.different = DIFFERENT[network]

    def but_for(self, what: str, of_v2: list[str], of_other: list[str]) -> list[str]:
        """The same names in the same order, but for those that are listed; gives those."""
        only_v2, only_other, _ = self.different[what]
        same = [name for name in of_v2 if name not in only_v2]
        assert same == [name for name in of_other if name not in only_other], what
        return same

    def uplinks(self, v2: UplinkMessage, other: UplinkMessage) -> None:
        if "payload_fields" in v2.keys():  # noqa: SIM118 - a message is a tuple
            self.but_for("fields of an uplink", names(v2), names(other))
            if "attributes" not in self.different["fields of an uplink"][0]:
                assert v2.attributes == other.attributes
        else:
            self.but_for("fields of an uplink without fields", names(v2), names(other))
        for name in ("app_id", "dev_id", "port", "counter", "payload_raw", "payload", "payload_fields", "confirmed"):
            assert v2.get(name) == other.get(name) and type(v2.get(name)) is type(other.get(name)), name
        same = self.but_for("fields of an uplink's metadata", names(v2.metadata), names(other.metadata))
        for name in same:
            assert type(v2.metadata[name]) is type(other.metadata[name]), name
            if name in {"latitude", "altitude"}:
                assert v2.metadata[name] == other.metadata[name]
        for gateway_v2, gateway_other in zip(v2.metadata.gateways, other.metadata.gateways, strict=False):
            self.but_for("fields of a gateway", names(gateway_v2), names(gateway_other))
        assert v2.v3 is None and v2.chirpstack is None
        assert (other.v3 is not None, other.chirpstack is not None) == (self.network == "v3", self.network != "v3")

    def downlinks(self, v2: DownlinkEvent, other: DownlinkEvent) -> None:
        assert (v2.name, v2.app_id, v2.dev_id, v2.error) == (other.name, other.app_id, other.dev_id, other.error)
        assert v2.message is not None and other.message is not None
        for name in {"payload_raw", "port", "confirmed"} - self.different["fields of a downlink"][0]:
            assert v2.message[name] == other.message[name]
        if v2.name == "down/sent":
            self.but_for("fields of down/sent", names(v2.data), names(other.data))

    def joins(self, v2: ActivationEvent, other: ActivationEvent) -> None:
        assert (v2.name, v2.app_id, v2.dev_id) == (other.name, other.app_id, other.dev_id)
        for own in (v2, other):
            assert (len(own.dev_eui or ""), len(own.dev_addr or "")) == (16, 8)
        assert v2.metadata is not None and other.metadata is not None
        self.but_for("fields of a join's metadata", names(v2.metadata), names(other.metadata))
