"""Whatever a stack leaves out of an uplink, it becomes a message of V2: the tables once more, in Python (V3 4.1)."""

from __future__ import annotations

import contextlib
import itertools
import json
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stack_shape import in_v2_shape
from thingslink import DecodeError
from thingslink._native import _parse_message
from thingslink.ttn import UplinkMessage

if TYPE_CHECKING:
    from collections.abc import Iterator

Json: TypeAlias = Any
Way: TypeAlias = tuple[str | int, ...]

VECTORS = Path(__file__).parents[2] / "vectors"
WHOLE: Json = json.loads((VECTORS / "tts_v3_uplink.jsonl").read_text().splitlines()[0])["v3"]
# What the vector does not have, each as a stack writes it.
WHOLE["uplink_message"] |= {
    "attributes": {"row": "12", "a-b": ""},
    "last_battery_percentage": {"f_cnt": 7, "value": 82.5, "received_at": "2025-03-14T09:26:53.2Z"},
    "decoded_payload_warnings": ["dry"],
    "normalized_payload": [{"air": {"temperature": 23.5}}],
}
WHOLE["uplink_message"]["locations"]["frm-payload"] = {"latitude": 1.5, "longitude": -2, "accuracy": 30}
WHOLE["uplink_message"]["settings"] |= {"coding_rate": "4/6", "data_rate_index": 5}
WHOLE["uplink_message"]["rx_metadata"][0] |= {
    "antenna_index": 1,
    "fine_timestamp": "170201455",
    "encrypted_fine_timestamp": "AAECAw==",
    "frequency_offset": "-120",
}
RATES: list[Json] = [
    WHOLE["uplink_message"]["settings"]["data_rate"],
    {"fsk": {"bit_rate": 50000}},
    {"lrfhss": {"modulation_type": 1, "operating_channel_width": 137000, "coding_rate": "1/3"}},
    {"lora": {"bandwidth": 812500, "spreading_factor": 5, "coding_rate": "4/8LI"}},
]


def check(up: Json) -> None:
    """Read a message in each way that a program has."""
    expected = in_v2_shape(up)
    msg, fresh = _parse_message(json.dumps(up), "v3"), _parse_message(json.dumps(up), "v3")
    assert isinstance(msg, UplinkMessage)
    # Field by field, as a callback reads it, and as a whole; the order is V2's, too.
    for name in ("app_id", "dev_id", "port", "counter", "payload_raw", "metadata"):
        assert getattr(fresh, name) is not None or expected[name] is None
    assert json.dumps(msg.to_dict()) == json.dumps(expected) == json.dumps(json.loads(msg.json()))
    assert list(msg.keys()) == list(expected)
    assert (msg.port, msg.counter, msg.payload_raw) == tuple(expected[it] for it in ("port", "counter", "payload_raw"))
    assert msg.payload is None or isinstance(msg.payload, bytes)
    assert msg.metadata.time == expected["metadata"]["time"]
    assert [gateway["rssi"] for gateway in msg.metadata.get("gateways", [])] == [
        gateway["rssi"] for gateway in expected["metadata"].get("gateways", [])
    ]
    assert msg.v3 is not None and msg.v3.to_dict() == up
    assert fresh == msg and pickle.loads(pickle.dumps(fresh)) == msg and repr(msg).startswith("MSG(")


def places(value: Json, at: Way = ()) -> Iterator[Way]:
    """Give the way to each key."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(value, dict):
            yield (*at, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*at, key))


def without(value: Json, *paths: Way) -> Json:
    copy = json.loads(json.dumps(value))
    for path in paths:
        holder = copy
        for key in path[:-1]:
            holder = holder.get(key, {}) if isinstance(holder, dict) else holder[key]
        if isinstance(holder, dict):
            holder.pop(path[-1], None)
    return copy


def with_rate(rate: Json) -> Json:
    copy = without(WHOLE)
    copy["uplink_message"]["settings"]["data_rate"] = rate
    return copy


@pytest.mark.parametrize("rate", RATES, ids=lambda rate: next(iter(rate)))
def test_without_each_key_alone_and_some_pairs_it_is_a_message_of_v2(rate: Json) -> None:
    whole = with_rate(rate)
    check(whole)
    # Some of the pairs, of keys that the shape depends on.
    keys = [path for path in places(whole) if path[:1] == ("uplink_message",) or path[0] == "end_device_ids"]
    keys = [path for path in keys if "version_ids" not in path and "network_ids" not in path]
    for path in places(whole):
        check(without(whole, path))
    for first, second in itertools.islice(itertools.combinations(keys, 2), 0, None, 29):
        check(without(whole, first, second))


@st.composite
def parts(draw: st.DrawFn) -> Json:
    """Make an uplink of which any keys are missing, and any gateways."""
    whole = with_rate(draw(st.sampled_from(RATES)))
    antennas = draw(st.lists(st.sampled_from(whole["uplink_message"]["rx_metadata"]), max_size=4))
    whole["uplink_message"]["rx_metadata"] = antennas
    keys = list(places(whole))
    return without(whole, *draw(st.lists(st.sampled_from(keys), max_size=len(keys))))


@settings(max_examples=200, deadline=None)
@given(parts())
def test_any_subset_of_the_keys_is_a_message_of_v2(up: Json) -> None:
    check(up)


#: What nobody expects in a place, though it is JSON.
ODD: list[Json] = [None, True, -1, 1.5, 2**70, "", "x", "NaN", "-Infinity", "99999999999999999999s", [], [None], {}]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(places(WHOLE))), st.sampled_from(ODD))
def test_a_value_of_another_kind_leaves_a_message_that_can_be_read(path: Way, value: Json) -> None:
    up = without(WHOLE)
    holder = up
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    msg = _parse_message(json.dumps(up), "v3")
    assert isinstance(msg, UplinkMessage)
    whole = msg.to_dict()
    assert json.loads(msg.json()) == whole and list(msg.keys()) == list(whole)
    assert msg.v3 is not None and msg.v3.to_dict() == up
    assert pickle.loads(pickle.dumps(msg)) == msg and repr(msg).startswith("MSG(")
    for name in ("app_id", "dev_id", "port", "counter", "payload_raw", "metadata"):
        getattr(msg, name)
    # What is no base64 is told when somebody asks for its bytes.
    with contextlib.suppress(DecodeError):
        assert msg.payload is None or isinstance(msg.payload, bytes)
