"""Messages against bytes that we did not make, and against protobuf's own Python classes."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import thingslink
from google.protobuf import text_format
from google.protobuf.unknown_fields import UnknownFieldSet
from hypothesis import given, settings
from hypothesis import strategies as st
from thingslink import ttn
from thingslink._native import _parse_proto

if TYPE_CHECKING:
    from peers import Generated

VECTORS = dict(
    line.split()
    for line in (Path(__file__).parent.parent.parent / "vectors" / "ttn_v2_grpc.txt").read_text().splitlines()
    if not line.startswith("#")
)


def device() -> ttn.Device:
    return ttn.Device.FromString(bytes.fromhex(VECTORS["handler.Device"]))


@pytest.mark.parametrize("name", VECTORS)
def test_the_vectors_are_read_and_written(name: str, generated: Generated) -> None:
    body = bytes.fromhex(VECTORS[name])
    ours = _parse_proto(name, body)
    theirs = generated.message(name).FromString(body)
    assert ours.SerializeToString() == body and ours.ByteSize() == len(body)
    assert [(field.name, field.number) for field, _ in ours.ListFields()] == [
        (field.name, field.number) for field, _ in theirs.ListFields()
    ]
    assert str(ours) == str(theirs)


def test_the_device_of_the_vectors_has_the_documented_values() -> None:
    msg = device()
    assert (msg.app_id, msg.dev_id, msg.latitude, msg.longitude, msg.altitude) == (
        "demo-app",
        "node-1",
        52.25,
        -4.5,
        -3,
    )
    assert msg.description == "attic" and dict(msg.attributes) == {"floor": "2"}
    lorawan = msg.lorawan_device
    assert lorawan.app_eui == bytes.fromhex("70b3d57ed00000aa") and lorawan.dev_eui_hex == "0004A30B00AABBCC"
    assert lorawan.app_key == bytes(range(16)) and lorawan.f_cnt_up == 300 and lorawan.uses32_bit_f_cnt is True
    assert lorawan.activation_constraints == "local" and lorawan.last_seen == 1600000000000000000


def set_fields(message: Any, nested: Any) -> Any:
    """Make the same message with either library."""
    message.dev_id = "é'\"\\\n\t\r\x01\x7f"
    message.latitude = 52.3736
    message.longitude = 1e-7
    message.altitude = 1
    message.attributes["b"] = "2"
    message.attributes.update({"a": "1"})
    message.lorawan_device.dev_eui = b"\x00\xff12345'"
    message.lorawan_device.used_dev_nonces.append(b"ab")
    message.lorawan_device.used_dev_nonces.extend([b"cd"])
    message.lorawan_device.MergeFrom(nested(f_cnt_up=7, disable_f_cnt_check=True))
    return message


def test_messages_made_alike_are_alike(generated: Generated) -> None:
    ours = set_fields(ttn.Device(description="d"), ttn.LorawanDevice)
    theirs = set_fields(generated.handler.Device(description="d"), generated.lorawan.Device)
    assert generated.handler.Device.FromString(ours.SerializeToString()) == theirs
    assert ttn.Device.FromString(theirs.SerializeToString()) == ours
    assert str(ours) == text_format.MessageToString(theirs, as_utf8=False)
    assert ours.latitude == theirs.latitude == 52.373600006103516


@pytest.mark.parametrize(
    "act",
    [
        lambda m: m.dev_id,
        lambda m: m.latitude,
        lambda m: m.lorawan_device.dev_eui,
        lambda m: m.HasField("lorawan_device"),
        lambda m: (m.lorawan_device.SetInParent(), m.HasField("lorawan_device")),
        lambda m: m.WhichOneof("device"),
        lambda m: m.attributes["missing"] + str(dict(m.attributes)),
        lambda m: m.attributes.get("missing", "default"),
        lambda m: ("x" in m.attributes, len(m.attributes)),
        lambda m: (m.ClearField("dev_id"), m.dev_id),
        lambda m: m.IsInitialized(),
        lambda m: m.LATITUDE_FIELD_NUMBER,
        lambda m: m.DESCRIPTOR.full_name,
        lambda m: bool(m),
        lambda m: m == 5,
        lambda m: sorted(m.DESCRIPTOR.fields_by_name),
        lambda m: (m.Clear(), str(m)),
    ],
)
def test_an_empty_message_behaves_as_protobufs(act: Any, generated: Generated) -> None:
    assert act(ttn.Device()) == act(generated.handler.Device())


@pytest.mark.parametrize(
    ("error", "act"),
    [
        (AttributeError, lambda m: m.nope),
        (AttributeError, lambda m: setattr(m, "nope", 1)),
        (AttributeError, lambda m: setattr(m, "lorawan_device", m.lorawan_device)),
        (AttributeError, lambda m: setattr(m, "attributes", {})),
        (TypeError, lambda m: setattr(m, "dev_id", 5)),
        (TypeError, lambda m: setattr(m, "dev_id", None)),
        (TypeError, lambda m: setattr(m, "altitude", 1.5)),
        (TypeError, lambda m: setattr(m, "latitude", "x")),
        (TypeError, lambda m: setattr(m.lorawan_device, "dev_eui", "text")),
        (TypeError, lambda m: m.attributes.update({"a": 1})),
        (TypeError, lambda m: hash(m)),
        (TypeError, lambda m: m.CopyFrom(5)),
        (ValueError, lambda m: setattr(m, "altitude", 1 << 40)),
        (ValueError, lambda m: setattr(m.lorawan_device, "f_cnt_up", -1)),
        (ValueError, lambda m: m.HasField("dev_id")),
        (ValueError, lambda m: m.HasField("nope")),
        (ValueError, lambda m: m.WhichOneof("nope")),
        (ValueError, lambda m: m.ClearField("nope")),
        (ValueError, lambda m: type(m)(nope=1)),
        (TypeError, lambda m: type(m)(dev_id=1)),
        (TypeError, lambda m: m.ParseFromString("text")),
        (IndexError, lambda m: m.lorawan_device.used_dev_nonces[0]),
    ],
)
def test_errors_are_of_protobufs_classes(error: type[Exception], act: Any, generated: Generated) -> None:
    for message in (ttn.Device(), generated.handler.Device()):
        with pytest.raises(error):
            act(message)


def test_errors_name_the_field_and_no_secret() -> None:
    with pytest.raises(TypeError, match="dev_id: 5 has type int, but expected one of: bytes, str"):
        ttn.Device().dev_id = 5  # type: ignore[assignment]
    with pytest.raises(TypeError) as caught:
        ttn.LorawanDevice().app_key = "5ec7e7"  # type: ignore[assignment]
    assert "app_key" in str(caught.value) and "5ec7e7" not in str(caught.value)
    application = ttn.Application(register_on_join_access_key="ttn-account-v2.5ec7e7")
    assert "5ec7e7" not in repr(application) and "5ec7e7" in str(application)


def test_parts_are_views() -> None:
    msg = ttn.Device()
    part = msg.lorawan_device
    assert not msg.HasField("lorawan_device") and part.f_cnt_up == 0
    part.f_cnt_up = 5
    assert msg.HasField("lorawan_device") and msg.lorawan_device.f_cnt_up == 5
    announcement = ttn.Announcement()
    announcement.metadata.add(app_id="a")
    announcement.metadata.add().gateway_id = "g"
    assert [entry.WhichOneof("metadata") for entry in announcement.metadata] == ["app_id", "gateway_id"]
    announcement.metadata[0].gateway_id = "h"
    assert announcement.metadata[0].app_id == "" and announcement.metadata[0].gateway_id == "h"


def test_a_list_is_a_sequence() -> None:
    announcement = ttn.Announcement()
    for name in "abc":
        announcement.metadata.add(app_id=name)
    entries = announcement.metadata
    assert (len(entries), entries[-1].app_id, [e.app_id for e in entries[:2]]) == (3, "c", ["a", "b"])
    assert entries[0] in entries and entries.index(entries[1]) == 1 and entries.count(entries[2]) == 1
    with pytest.raises(IndexError, match="list index out of range"):
        entries[3]
    with pytest.raises(TypeError, match="list indices must be integers or slices, not str"):
        entries["a"]  # type: ignore[call-overload]
    entries.sort(key=lambda entry: entry.app_id, reverse=True)
    assert [entry.app_id for entry in entries] == ["c", "b", "a"]
    assert entries.pop().app_id == "a"
    entries.remove(entries[0])
    del entries[0]
    assert not entries and repr(entries) == "[]"


def test_items_hex_and_plain_values() -> None:
    msg = device()
    assert msg["dev_id"] == "node-1" and msg["lorawan_device"]["f_cnt_up"] == 300
    assert dict(msg)["description"] == "attic"
    with pytest.raises(KeyError):
        msg["nope"]
    msg.lorawan_device.dev_eui_hex = "00:11:22:33:44:55:66:77"
    assert msg.lorawan_device.dev_eui == bytes.fromhex("0011223344556677")
    plain = json.loads(json.dumps(msg.to_dict()))
    assert plain["lorawan_device"]["app_key"] == bytes(range(16)).hex().upper()
    assert plain["attributes"] == {"floor": "2"} and plain["altitude"] == -3


def test_copies_are_equal_and_independent() -> None:
    msg = device()
    for other in (copy.copy(msg), copy.deepcopy(msg), pickle.loads(pickle.dumps(msg))):
        assert type(other) is ttn.Device and other == msg
        other.lorawan_device.f_cnt_up = 1
        assert other != msg
    part = pickle.loads(pickle.dumps(msg.lorawan_device))
    assert part == msg.lorawan_device and type(part) is ttn.LorawanDevice


def test_an_explicit_default_equals_none() -> None:
    one, other = ttn.Device(), ttn.Device()
    one.dev_id = ""
    one.altitude = 0
    assert one == other and one.SerializeToString() == b""


def test_unknown_fields_survive() -> None:
    body = bytes.fromhex(VECTORS["handler.Device"]) + b"\x9a\x06\x03new"
    msg = ttn.Device.FromString(body)
    msg.altitude = 7
    assert b"\x9a\x06\x03new" in msg.SerializeToString() and "new" not in str(msg)
    msg.DiscardUnknownFields()
    assert b"new" not in msg.SerializeToString()


def odd(message: Any) -> bool:
    """Whether a known field has another wire type than its own, or there is a group: protobuf keeps such things as
    unknown fields, ours may refuse them.
    """
    known = message.DESCRIPTOR.fields_by_number
    if any(field.field_number in known or field.wire_type == 3 for field in UnknownFieldSet(message)):
        return True
    for field, value in message.ListFields():
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        if any(odd(part) for part in (value if field.is_repeated else [value])):
            return True
    return False


@pytest.mark.parametrize("name", sorted({*VECTORS, "handler.DeviceList", "discovery.AnnouncementsResponse"}))
@settings(deadline=None)
@given(body=st.binary(max_size=200))
def test_random_bytes_are_read_as_protobuf_reads_them(name: str, body: bytes, generated: Generated) -> None:
    try:
        theirs = generated.message(name).FromString(body)
    except Exception:
        with pytest.raises(thingslink.DecodeError):
            _parse_proto(name, body)
        return
    try:
        ours = _parse_proto(name, body)
    except thingslink.DecodeError:
        assert odd(theirs)
        return
    repr(ours), str(ours), ours.to_dict()
    if odd(theirs):
        return
    assert generated.message(name).FromString(ours.SerializeToString()) == theirs
