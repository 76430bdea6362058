"""The uplink object (V2 3.4), beside a reference of named tuples that is made here from the standard library."""

from __future__ import annotations

import copy
import json
import keyword
import operator
import pickle
import threading
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from thingslink import DecodeError
from thingslink.ttn import UplinkMessage
from thingslink.ttn.utils import json2obj

UPLINK = (
    '{"app_id":"orchard-app","dev_id":"soil-07","port":3,"counter":4711,"confirmed":true,"payload_raw":"AWcA6wJoXQ==",'
    '"payload_fields":{"relative_humidity_2":46.5,"temperature_1":23.5},"metadata":{"time":"2019-05-14T06:31:07.482913345Z",'
    '"frequency":867.5,"gateways":[{"gtw_id":"eui-b827ebfffe0a0b0c","rssi":-103,"snr":6.25},{"gtw_id":"barn-roof","rssi":-117}]}}'
)


def reference(text: str) -> Any:
    """Read JSON as the original is documented to: every object a named tuple MSG."""

    def convert(pairs: list[tuple[str, Any]]) -> Any:
        members = dict(pairs)
        return namedtuple("MSG", members.keys())(*members.values())  # noqa: PYI024

    return json.loads(text, object_pairs_hook=convert)


OURS, THEIRS = json2obj(UPLINK), reference(UPLINK)

SAME: dict[str, Any] = {
    "attribute": lambda m: m.dev_id,
    "nested": lambda m: m.metadata.gateways[0].rssi,
    "nested float": lambda m: m.payload_fields.temperature_1,
    "first": lambda m: m[0],
    "negative index": lambda m: m[-3],
    "slice": lambda m: m[:4],
    "type of a slice": lambda m: type(m[:4]) is tuple,
    "len": len,
    "unpacking": lambda m: [*m][:5],
    "contains": lambda m: "soil-07" in m,
    "does not contain": lambda m: "x" in m,
    "added to a tuple": lambda m: ((1,) + m)[:3],
    "tuple added": lambda m: (m + (1,))[-1],
    "times": lambda m: len(m * 2),
    "fields": lambda m: m._fields,
    "defaults": lambda m: m._field_defaults,
    "asdict": lambda m: list(m._asdict().items())[:4],
    "replace": lambda m: m._replace(port=9).port,
    "str": str,
    "format": lambda m: f"{m}",
    "count": lambda m: m.count(3),
    "index": lambda m: m.index("soil-07"),
    "less": lambda m: m < ("z",),
    "greater": lambda m: m > ("a",),
    "equal to its tuple": lambda m: m == tuple(m),
    "tuple equal to it": lambda m: tuple(m) == m,
    "not equal": lambda m: m != ("x",),
    "equal to something else": lambda m: m == 7,
    "truth": bool,
    "deep copy": lambda m: copy.deepcopy(m) == m,
    "list is a list": lambda m: type(m.metadata.gateways) is list,
    "list can be sorted in place": lambda m: (
        m.metadata.gateways.sort(key=lambda g: g.rssi),
        m.metadata.gateways[0].rssi,
    )[1],
}


@pytest.mark.parametrize("what", SAME)
def test_it_behaves_as_the_named_tuple_did(what: str) -> None:
    ours, theirs = json2obj(UPLINK), reference(UPLINK)
    assert SAME[what](ours) == SAME[what](theirs)


RAISES: dict[str, Any] = {
    "missing attribute": lambda m: m.nothing,
    "missing nested attribute": lambda m: m.metadata.gateways[1].snr,
    "index out of range": lambda m: m[99],
    "value not in it": lambda m: m.index("nothing"),
    "comparison with something else": lambda m: m < 7,
}


@pytest.mark.parametrize("what", RAISES)
def test_it_raises_what_the_named_tuple_raised(what: str) -> None:
    with pytest.raises(Exception) as theirs:  # noqa: PT011
        RAISES[what](THEIRS)
    with pytest.raises(theirs.type) as ours:
        RAISES[what](OURS)
    if theirs.type is AttributeError:
        assert str(ours.value) == str(theirs.value)


def test_it_cannot_be_changed() -> None:
    with pytest.raises(AttributeError, match="can't set attribute"):
        OURS.port = 2
    with pytest.raises(AttributeError):
        del OURS.port


def test_it_does_what_users_missed() -> None:
    assert OURS["dev_id"] == "soil-07" and OURS.get("nothing", 5) == 5 and OURS.get("port") == 3
    with pytest.raises(KeyError):
        OURS["nothing"]
    assert OURS.to_dict() == json.loads(UPLINK)
    assert OURS.json() == UPLINK.encode()
    assert OURS.payload == bytes.fromhex("016700eb02685d")
    assert OURS.received_at.isoformat() == "2019-05-14T06:31:07.482913+00:00"
    assert OURS.metadata.datetime == OURS.received_at
    assert dict(OURS.items())["port"] == 3 and OURS.keys() == list(OURS._fields) and OURS.values()[0] == "orchard-app"
    assert {OURS: 1}[json2obj(UPLINK)] == 1
    assert hash(json2obj('{"a":1,"b":"x"}')) == hash((1, "x"))
    assert "dev_id" in dir(OURS) and "payload" in dir(OURS)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(OURS, protocol))
        assert again == OURS and again.metadata.frequency == 867.5
        assert pickle.loads(pickle.dumps(OURS.metadata, protocol)) == OURS.metadata
    assert copy.copy(OURS) == OURS
    assert OURS._make(range(len(OURS))).dev_id == 1
    assert json.loads(json.dumps(OURS, default=UplinkMessage.to_dict)) == json.loads(UPLINK)


def test_a_time_that_go_does_not_know_is_none() -> None:
    unknown = '{"time":"0001-01-01T00:00:00Z"}'
    message = json2obj(f'{{"metadata":{unknown[:-1]},"gateways":[{unknown}]}}}}')
    assert message.received_at is None and message.metadata.datetime is None
    assert message.metadata.gateways[0].datetime is None
    assert message.metadata.time == "0001-01-01T00:00:00Z"


def test_containers_are_the_same_object_each_time_in_every_thread() -> None:
    for _ in range(20):
        message: Any = json2obj('{"a":[1],"b":[2],"c":{},"d":[3]}')
        start = threading.Barrier(4)

        def read(names: str, message: Any = message, start: threading.Barrier = start) -> dict[str, Any]:
            start.wait(10)
            return {name: message[name] for name in names}

        with ThreadPoolExecutor(4) as pool:
            found = [
                reading.result(10)
                for reading in [pool.submit(read, names) for names in ("abcd", "dcba", "bdac", "cadb")]
            ]
        assert all(one[name] is message[name] for one in found for name in "abcd")
        assert message._asdict() == {"a": [1], "b": [2], "c": message.c, "d": [3]}


def test_containers_are_the_same_each_time() -> None:
    message = json2obj(UPLINK)
    assert message.metadata is message.metadata
    message.metadata.gateways.append("x")
    assert message.metadata.gateways[-1] == "x" and "'x'" in str(message)


@pytest.mark.parametrize(
    "name", ["1", "a b", "a-b", "", "class", "None", "_hidden", "é", "a\nb", "__len__", "count", "json"]
)
def test_no_name_loses_a_message(name: str) -> None:
    message = json2obj(json.dumps({name: 1, "port": 2}))
    assert message[name] == 1 and message.port == 2 and message._fields == (name, "port")
    if name.isidentifier() and not name.startswith("__") and not keyword.iskeyword(name):
        assert getattr(message, name) == 1


def test_fields_hide_methods() -> None:
    message = json2obj('{"count": 5, "index": 6, "payload": "x", "keys": 7}')
    assert (message.count, message.index, message.payload, message.keys) == (5, 6, "x", 7)


@pytest.mark.parametrize(
    ("text", "payload"), [('{"payload_raw": null}', None), ("{}", None), ('{"payload_raw": ""}', b"")]
)
def test_a_frame_without_payload_has_none(text: str, payload: bytes | None) -> None:
    assert json2obj(text).payload == payload


def test_a_bad_payload_is_told() -> None:
    with pytest.raises(DecodeError, match="base64"):
        _ = json2obj('{"payload_raw": "%%%"}').payload


@pytest.mark.parametrize("text", ["true", "null", "1.5", '["a", {"b": 1}]', '"x"', "12345678901234567890123", "1e400"])
def test_what_is_no_object_comes_bare(text: str) -> None:
    assert json2obj(text) == reference(text)


@pytest.mark.parametrize("text", ["", "{", "nope", '{"a":1,}', "[1 2]", "\ufeff{}", '"a\nb"', '{"a":01}', "{'a':1}"])
def test_what_is_no_json_is_refused_as_python_refuses_it(text: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)
    with pytest.raises(DecodeError):
        json2obj(text)


identifiers = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: not keyword.iskeyword(name))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(identifiers, inner, max_size=5),
    max_leaves=20,
)


@given(st.dictionaries(identifiers, values, max_size=6), st.sampled_from([None, 1, "\t"]), st.booleans())
def test_any_object_reads_as_the_reference_reads_it(value: dict[str, Any], indent: Any, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    ours, theirs = json2obj(text), reference(text)
    assert ours == theirs and str(ours) == str(theirs) and ours._fields == theirs._fields
    assert ours.to_dict() == json.loads(text)
    assert hash(ours) == hash(json2obj(text))
    assert pickle.loads(pickle.dumps(ours)) == ours


@given(st.text(alphabet='{}[]",:\\ \n0123456789-+.eEtrufalsnNaInityu"ab\u00e9', max_size=40))
def test_acceptance_is_python_s(text: str) -> None:
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(DecodeError):
            json2obj(text)
    else:
        ours = json2obj(text)
        plain = ours.to_dict() if isinstance(ours, UplinkMessage) else ours
        if not isinstance(expected, list):
            assert repr(plain) == repr(expected)


@given(st.binary(max_size=60))
def test_random_bytes_never_do_harm(data: bytes) -> None:
    try:
        json2obj(data)
    except DecodeError:
        pass


def test_comparisons_cover_all_operators() -> None:
    one, two = json2obj('{"a":1}'), json2obj('{"b":2}')
    for compare in (operator.lt, operator.le, operator.eq, operator.ne, operator.gt, operator.ge):
        assert compare(one, two) == compare((1,), (2,))
