"""Telemetry and attributes: the forms and vectors of TB 5, on the wire."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import functools
import itertools
import json
import re
import types
import uuid
from typing import Any

import pytest
from faces import device_of_both_faces
from harness import PATIENCE
from thingslink.sandbox import ThingsBoard
from thingslink.tb_device_mqtt import TBDeviceMqttClient, TBPublishInfo, TBQoSException
from thingslink.tb_gateway_mqtt import TBGatewayMqttClient

from .conftest import Eventually, published

MOMENT = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int


@device_of_both_faces
@pytest.mark.parametrize(
    ("argument", "payload"),
    [
        ({"temperature": 41.9, "enabled": False}, '[{"temperature":41.9,"enabled":false}]'),
        ({"ts": 17, "values": {"t": 1}}, '[{"ts":17,"values":{"t":1}}]'),
        ({"ts": 17, "a": 1}, '[{"ts":17,"values":{"ts":17,"a":1}}]'),
        ({"ts": None, "values": {"a": 1}}, '[{"a":1}]'),
        ([{"t": 1}, {"h": 2}], '[{"t":1,"h":2}]'),
        ([{"a": 1}, {"a": 2}], '[{"a":2}]'),
        (
            [{"ts": 1, "values": {"a": 1}}, {"ts": 1, "values": {"b": 2}}, {"ts": 2, "values": {"a": 3}}],
            '[{"ts":1,"values":{"a":1,"b":2}},{"ts":2,"values":{"a":3}}]',
        ),
        (
            [{"ts": 1, "values": {"a": 1}}, {"x": 5}, {"ts": 1, "values": {"b": 1}}],
            '[{"ts":1,"values":{"a":1,"b":1}},{"x":5}]',
        ),
        ({"values": 5}, '[{"values":5}]'),
        ({1: 2, None: 3, 1.5: 4, "é": "ü"}, '[{"1":2,"null":3,"1.5":4,"é":"ü"}]'),
        (
            {"a": (1, [2]), "b": None, "c": float("nan"), "d": 1e22, "e": 1e-7},
            '[{"a":[1,[2]],"b":null,"c":null,"d":1e+22,"e":1e-7}]',
        ),
        (
            {"a": MOMENT, "b": uuid.UUID(int=5), "c": Colour.RED, "d": Point(1)},
            '[{"a":"2026-01-02T03:04:05+00:00","b":"00000000-0000-0000-0000-000000000005","c":"red","d":{"x":1}}]',
        ),
        ({"big": 2**64 - 1, "small": -(2**63)}, '[{"big":18446744073709551615,"small":-9223372036854775808}]'),
    ],
)
def test_forms_of_telemetry(device: TBDeviceMqttClient, server: ThingsBoard, argument: Any, payload: str) -> None:
    follower = server.follow()
    assert device.send_telemetry(argument).get() == TBPublishInfo.TB_ERR_SUCCESS
    topic, sent, qos = next(published(follower, "v1/devices/me/telemetry"))
    assert (topic, sent.decode(), qos) == ("v1/devices/me/telemetry", payload, 1)


class Whole:
    """A number of somebody else's making, as numpy's."""

    def __index__(self) -> int:
        return 1_700_000_000_123


class Fraction32:
    def __float__(self) -> float:
        return 1_700_000_000_123.5


class Moment(enum.IntEnum):
    NOW = 5


class Scalar:
    """A truth value or time as numpy has them."""

    def __init__(self, kind: str, millis: int) -> None:
        self.dtype = types.SimpleNamespace(kind=kind)
        self.millis = millis

    def __float__(self) -> float:
        return 1.0

    def astype(self, dtype: str) -> Any:
        assert dtype in {"datetime64[ms]", "int64"}
        return self if dtype == "datetime64[ms]" else self.millis


#: The same moment in every form.
NAIVE = datetime.datetime.fromtimestamp(1_700_000_000.123)  # noqa: DTZ006 - local time is what is tested
TIMES = [
    (1_700_000_000_123, "1700000000123"),
    (-5, "-5"),
    (1_700_000_000_123.5, "1700000000123.5"),
    ("1700000000123", "1700000000123"),
    (" 1700000000123.5 ", "1700000000123.5"),
    (NAIVE, "1700000000123"),
    (NAIVE.astimezone(datetime.timezone.utc), "1700000000123"),
    (datetime.datetime(1969, 12, 31, 23, 59, 59, 999_999, datetime.timezone.utc), "-1"),
    (decimal.Decimal(1700000000123), "1700000000123.0"),
    (Whole(), "1700000000123"),
    (Fraction32(), "1700000000123.5"),
    (Scalar("M", 1_700_000_000_123), "1700000000123"),
    (Moment.NOW, "5"),
]
NO_TIMES = [
    *("2023-01-01", "", "x", "nan", "inf", "0x10", "99999999999999999999"),
    *(True, False, float("nan"), float("inf"), 1e19, 2**63, b"17", [17], {}, object(), Scalar("b", 1)),
    *(Scalar("M", -(2**63)), datetime.date(2026, 1, 2), datetime.timedelta(seconds=1)),
]


@pytest.mark.parametrize(("ts", "written"), TIMES)
def test_times_are_written_as_numbers(device: TBDeviceMqttClient, server: ThingsBoard, ts: Any, written: str) -> None:
    follower = server.follow()
    assert device.send_telemetry([{"ts": ts, "values": {"a": 1}}]).get() == 0
    payload = next(published(follower, "v1/devices/me/telemetry"))[1]
    assert payload.decode() == f'[{{"ts":{written},"values":{{"a":1}}}}]'


@pytest.mark.parametrize("ts", NO_TIMES)
def test_what_is_no_time_is_refused_before_anything_is_sent(
    gateway: TBGatewayMqttClient, server: ThingsBoard, ts: Any
) -> None:
    """The server hangs up over it, without an acknowledgement."""
    wrong = {"ts": ts, "values": {"a": 1}}
    good = {"ts": 1, "values": {"a": 1}}
    expected = re.escape(repr(ts)) + " is not valid: expected milliseconds"
    for send in (gateway.send_telemetry, functools.partial(gateway.gw_send_telemetry, "Pump 1")):
        for telemetry in (wrong, [good, wrong], {"ts": ts, "a": 1}):
            with pytest.raises(TypeError, match=expected):
                send(telemetry)
    with pytest.raises(TypeError, match=expected):
        gateway._publish_data({"Pump 1": [wrong]}, "v1/gateway/telemetry", 1, device="Pump 1")
    assert gateway.send_telemetry({"later": 1}).get() == 0
    assert gateway.gw_send_telemetry("Pump 1", {"later": 1}).get() == 0
    for name in ("Gateway 1", "Pump 1"):
        assert [entry["values"] for entry in server.telemetry_of(name)] == [{"later": 1}]


@pytest.mark.parametrize("nothing", [{}, [], {"ts": 1, "values": {}}])
def test_nothing_is_sent_for_nothing(device: TBDeviceMqttClient, nothing: Any) -> None:
    info = device.send_telemetry(nothing)
    assert (info.rc(), info.mid(), info.get()) == (0, [], 0)


@pytest.mark.parametrize("wrong", ["text", 5, None, [1], [{"a": 1}, "x"], {"a": b"x"}, {"a": {1}}])
def test_what_json_cannot_express_is_refused_whole(device: TBDeviceMqttClient, server: ThingsBoard, wrong: Any) -> None:
    with pytest.raises(TypeError, match="telemetry"):
        device.send_telemetry(wrong)
    with pytest.raises(TypeError, match="attribute"):
        device.send_attributes(["text"] if wrong == "text" else wrong)  # type: ignore[list-item]
    assert device.send_telemetry({"good": 1}).get() == 0
    assert [entry["values"] for entry in server.telemetry_of("Device 1")] == [{"good": 1}]


def test_a_value_that_holds_itself_is_refused(device: TBDeviceMqttClient) -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises((TypeError, ValueError), match="nested too deeply"):
        device.send_telemetry({"loop": loop})


@pytest.mark.parametrize(
    ("argument", "payloads"),
    [
        ({"a": 1, "b": "x"}, ['{"a":1,"b":"x"}']),
        ([{"a": 1}, {"b": 2}], ['{"a":1,"b":2}']),
        # Where the original loses or garbles them, names are names (MIGRATION.md).
        ({"ts": 5, "a": 1}, ['{"ts":5,"a":1}']),
        ({"values": {"a": 1}, "b": 2}, ['{"values":{"a":1},"b":2}']),
        ({"device": "x"}, ['{"device":"x"}']),
        ({"device": "x", "foo": 1}, ['{"device":"x","foo":1}']),
        ('{"a": 1}', ['{"a":1}']),
        ({}, []),
    ],
)
def test_forms_of_attributes(
    device: TBDeviceMqttClient, server: ThingsBoard, argument: Any, payloads: list[str]
) -> None:
    follower = server.follow()
    assert device.send_attributes(argument).get() == 0
    device.send_attributes({"end": 1}).get()
    messages = published(follower, "v1/devices/me/attributes")
    assert [payload.decode() for _, payload, _ in itertools.islice(messages, len(payloads) + 1)] == [
        *payloads,
        '{"end":1}',
    ]


def test_attributes_in_text_must_be_json(device: TBDeviceMqttClient) -> None:
    with pytest.raises(json.JSONDecodeError):
        device.send_attributes("no json")


def test_metadata_are_stamped_as_published(device: TBDeviceMqttClient, server: ThingsBoard) -> None:
    metadata: dict[str, Any] = {"connector": "opcua", "receivedTs": 5}
    follower = server.follow()
    device.send_telemetry([{"ts": 1, "values": {"a": 1}, "metadata": metadata}, {"ts": 1, "values": {"b": 1}}]).get()
    (first, second) = json.loads(next(published(follower, "v1/devices/me/telemetry"))[1])
    assert first["metadata"] == metadata and metadata["publishedTs"] > 1_700_000_000_000
    assert second == {"ts": 1, "values": {"b": 1}}


@pytest.mark.parametrize("level", [2, -1, "1", 1.0, True, False])
def test_levels_other_than_0_and_1_are_refused(device: TBDeviceMqttClient, level: Any) -> None:
    for send in (device.send_telemetry, device.send_attributes):
        with pytest.raises(TBQoSException, match="must be 0 or 1"):
            send({"a": 1}, quality_of_service=level)
    device.send_rpc_reply("1", {}, quality_of_service=level)


def test_at_level_0_written_is_done(device: TBDeviceMqttClient, server: ThingsBoard) -> None:
    follower = server.follow()
    info = device.send_telemetry({"a": 1}, quality_of_service=0)
    assert info.get() == 0 and info.is_published()
    assert next(published(follower, "v1/devices/me/telemetry"))[2] == 0


def numbered(count: int, length: int = 1) -> dict[str, Any]:
    return {f"k{number}": ("x" * length if length > 1 else number % 10) for number in range(count)}


@pytest.mark.parametrize(
    ("pack", "points", "size", "expected"),
    [
        ([{"ts": 1, "values": numbered(12)}], 5, 1000, [5, 5, 2]),
        ([{"ts": 1, "values": {"a": 1, "b": 2, "c": 3}}, {"ts": 1, "values": {"d": 4, "e": 5}}], 3, 1000, [3, 2]),
        (
            [
                {"ts": 1, "values": {"a": "x" * 10, "b": "x" * 10}},
                {"ts": 1, "values": {"c": "x" * 100}},
                {"ts": 1, "values": {"d": "x" * 10, "e": "x" * 10}},
            ],
            10,
            64,
            [2, 1, 2],
        ),
        ([{"ts": 1, "values": numbered(5, 50)}], 10, 100, [1] * 5),
        (numbered(9), 8, 8196, [8, 1]),
        ([numbered(3), {"ts": 5, "values": numbered(5)}], 8, 8196, [3, 5]),
        ([{"ts": ts, "values": {"a": 1}} for ts in range(5)], 2, 8196, [1] * 5),
        ([{"ts": ts, "values": {"a": "x" * 3000}} for ts in range(4)], 0, 8196, [2, 2]),
        ([{"ts": 1, "values": {"a": 1}, "metadata": {"unit": "C"}}, {"ts": 1, "values": {"b": 1}}], 10, 100, [2]),
        ([{"values": {"a": 1, "b": 2}}], 10, 100, [2]),
        ([], 0, 100, []),
    ],
)
def test_the_splitter_s_vectors(pack: Any, points: int, size: int, expected: list[int]) -> None:
    parts = TBDeviceMqttClient._split_message(pack, points, size)
    assert [part["datapoints"] for part in parts] == expected


def test_a_dict_of_a_device_is_one_part() -> None:
    pack = {"device": "Pump", "data": 1}
    assert TBDeviceMqttClient._split_message(pack, 1, 10) == [{"data": pack, "datapoints": 2, "message": pack}]


@pytest.mark.parametrize(
    ("data", "count"),
    [({}, 0), ("text", 1), ({"a": "x" * 1000}, 2), ({"a": "x" * 2000, "b": 1}, 4), (["abc"], 3)],
)
def test_values_are_counted_as_the_original_counts(data: Any, count: int) -> None:
    assert TBDeviceMqttClient._count_datapoints_in_message(data) == count


def test_large_telemetry_goes_in_several_messages(
    device: TBDeviceMqttClient, server: ThingsBoard, eventually: Eventually
) -> None:
    # The sandbox says 65536 bytes, of which 80 % are used.
    eventually(lambda: device.max_payload_size == 52428)
    info = device.send_telemetry([{"ts": ts, "values": {"text": "x" * 20000}} for ts in range(6)])
    assert info.get() == 0 and len(info.mid()) == 3
    assert [entry["ts"] for entry in server.telemetry_of("Device 1")] == list(range(6))


def test_messages_are_cut_by_their_bytes_once_the_server_has_told_how_many(
    gateway: TBGatewayMqttClient, server: ThingsBoard, eventually: Eventually
) -> None:
    """Characters of other scripts have two bytes and more, and the topic counts as well."""
    eventually(lambda: gateway.max_payload_size == 52428)
    # More than the server takes, as a program may ask for.
    gateway.max_payload_size = 10_000_000
    entries = [{"ts": ts, "values": {f"ключ_{key}": "ж" * 8 for key in range(20)}} for ts in range(2000)]
    follower = server.follow()
    for info in (
        gateway.send_telemetry(entries, timeout=PATIENCE),
        gateway.gw_send_telemetry("Pump ж", entries, timeout=PATIENCE),
        gateway.send_attributes({f"ключ_{key}": "ж" * 20 for key in range(4000)}),
        gateway.gw_send_attributes("Pump ж", {f"ключ_{key}": "ж" * 20 for key in range(4000)}),
    ):
        assert info.get(timeout=PATIENCE) == 0 and len(info.mid()) > 1
    for device in ("Gateway 1", "Pump ж"):
        assert sum(len(entry["values"]) for entry in server.telemetry_of(device)) == 40_000
        assert len(server.attributes_of(device)) == 4000
    gateway.send_attributes({"end": 1}).get()
    sizes = [
        len(topic.encode()) + len(payload)
        for topic, payload, _ in itertools.takewhile(lambda entry: b'"end"' not in entry[1], published(follower, "v"))
    ]
    assert max(sizes) <= 65_526
    # Nor is room left unused.
    assert sum(size > 60_000 for size in sizes) >= len(sizes) - 4


def test_what_cannot_fit_is_refused_alone_and_by_name(
    gateway: TBGatewayMqttClient, server: ThingsBoard, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    eventually(lambda: gateway.max_payload_size == 52428)
    values = {"before": 1, "большой": "ж" * 40_000, "after": 2}
    for what, send in (
        ("telemetry", gateway.send_telemetry),
        ("telemetry", functools.partial(gateway.gw_send_telemetry, "Pump 1")),
        ("attribute", gateway.send_attributes),
        ("attribute", functools.partial(gateway.gw_send_attributes, "Pump 1")),
    ):
        caplog.clear()
        info = send(values)
        assert info.get() == TBPublishInfo.TB_ERR_PAYLOAD_SIZE and not info.is_published() and info.mid()
        assert f'{what} "большой" is not sent: its message has 8' in caplog.text
    small = {"before": 1, "after": 2}
    for device in ("Gateway 1", "Pump 1"):
        merged = {key: value for entry in server.telemetry_of(device) for key, value in entry["values"].items()}
        assert merged == server.attributes_of(device) == small
    # What is over the size that messages are cut at, but not over the server's, goes alone.
    assert gateway.send_telemetry({"fits": "x" * 65_000}).get() == 0


def test_telemetry_of_devices_behind_the_gateway(gateway: TBGatewayMqttClient, server: ThingsBoard) -> None:
    follower = server.follow()
    assert gateway.gw_send_telemetry("Pump 1", {"ts": 17, "values": {"rpm": 900}}).get() == 0
    assert gateway.gw_send_attributes("Pump 1", {"model": "X"}).get() == 0
    messages = published(follower, "v1/gateway/")
    assert next(messages) == ("v1/gateway/telemetry", b'{"Pump 1":[{"ts":17,"values":{"rpm":900}}]}', 1)
    assert next(messages) == ("v1/gateway/attributes", b'{"Pump 1":{"model":"X"}}', 1)
    assert server.telemetry_of("Pump 1") == [{"ts": 17, "values": {"rpm": 900}}]
    assert server.attributes_of("Pump 1") == {"model": "X"}


@pytest.mark.parametrize(("name", "error"), [("", ValueError), (5, TypeError), (None, TypeError), ("a\0", TypeError)])
def test_names_of_devices_are_looked_at(gateway: TBGatewayMqttClient, name: Any, error: type[Exception]) -> None:
    for send in (gateway.gw_send_telemetry, gateway.gw_send_attributes):
        with pytest.raises(error, match="device"):
            send(name, {"a": 1})
    for tell in (gateway.gw_connect_device, gateway.gw_disconnect_device):
        with pytest.raises(error, match="device_name"):
            tell(name)
