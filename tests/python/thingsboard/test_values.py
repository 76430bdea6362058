"""What programs put into values: objects of databases and of scientific code."""

from __future__ import annotations

import collections
import contextlib
import datetime
import decimal
import enum
import fractions
import ipaddress
import re
import sqlite3
import types
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pytest
from thingslink.sandbox import ThingsBoard
from thingslink.tb_device_mqtt import TBDeviceMqttClient
from thingslink.tb_gateway_mqtt import TBGatewayMqttClient

from .conftest import published


class Level(enum.Enum):
    HIGH = np.int8(3)


class Wide(enum.IntEnum):
    LARGE = 2**64


def row() -> sqlite3.Row:
    """Give a row of a database."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.row_factory = sqlite3.Row
        found: sqlite3.Row = connection.execute("SELECT 1 AS a, 'x' AS b").fetchone()
    return found


@dataclass
class Reading:
    value: decimal.Decimal
    at: datetime.datetime


class Tensor:
    """A list under another name, as machine learning has it."""

    def tolist(self) -> list[float]:
        return [1.5, 2.0]


class Indexed:
    def __index__(self) -> int:
        return 7


class NotATime(datetime.datetime):
    """Stands for no time, as pandas has it."""

    def __ne__(self, other: object) -> bool:
        return True

    __hash__ = datetime.datetime.__hash__


@pytest.fixture
def sent(device: TBDeviceMqttClient, server: ThingsBoard) -> Callable[[Any], str]:
    """Send a value and give the text that went out for it."""
    messages = published(server.follow(), "v1/devices/me/telemetry")

    def send(value: Any) -> str:
        device.send_telemetry({"k": value})
        text = next(messages)[1].decode()
        assert text.startswith('[{"k":') and text.endswith("}]")
        return text.removeprefix('[{"k":').removesuffix("}]")

    return send


def shown(value: Any) -> str:
    """Name a case the same way in each process."""
    return re.sub(r" at 0x\w+", "", repr(value))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # The server stores a number with 17 digits after the point as text: a narrow float has only those that tell it.
        (np.float32(0.1), "0.1"),
        (np.float32(21.5), "21.5"),
        (np.float32(-1e-7), "-1e-7"),
        (np.float32(3e38), "3e+38"),
        (np.float32("inf"), "null"),
        (np.float64(0.1), "0.1"),
        (np.longdouble("0.25"), "0.25"),
        (np.float16(2.5), "2.5"),
        (np.float32("nan"), "null"),
        (np.int64(-5), "-5"),
        (np.uint64(2**64 - 1), "18446744073709551615"),
        (np.bool_(True), "true"),
        (np.str_("x"), '"x"'),
        (np.datetime64("2024-01-02T03:04:05"), '"2024-01-02T03:04:05"'),
        (np.datetime64("NaT"), "null"),
        (np.array(5), "5"),
        (np.array([0.1, 2.5], dtype=np.float32), "[0.1,2.5]"),
        (np.array([[1, 2], [3, 4]]), "[[1,2],[3,4]]"),
        ({"deep": [np.float32(0.1)]}, '{"deep":[0.1]}'),
        ({np.int64(5): 1}, '{"5":1}'),
        (decimal.Decimal("0.10"), "0.10"),
        (decimal.Decimal("123456789012345678901234567890.123"), "123456789012345678901234567890.123"),
        (decimal.Decimal("NaN"), "null"),
        (decimal.Decimal("-Infinity"), "null"),
        (fractions.Fraction(1, 4), "0.25"),
        (Level.HIGH, "3"),
        (Tensor(), "[1.5,2.0]"),
        (Indexed(), "7"),
        (datetime.date(2024, 1, 2), '"2024-01-02"'),
        (datetime.time(3, 4, 5), '"03:04:05"'),
        (datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone.utc), '"2024-01-02T00:00:00+00:00"'),
        (NotATime(2024, 1, 2, tzinfo=datetime.timezone.utc), "null"),
        (uuid.UUID(int=5), '"00000000-0000-0000-0000-000000000005"'),
        (PurePosixPath("/a/b"), '"/a/b"'),
        (ipaddress.ip_address("::1"), '"::1"'),
        (ipaddress.ip_network("10.0.0.0/8"), '"10.0.0.0/8"'),
        (2**64, "18446744073709551616"),
        (-(10**30), "-1" + "0" * 30),
        (Wide.LARGE, "18446744073709551616"),
        ([{"deep": 10**20}], '[{"deep":100000000000000000000}]'),
        (row(), '{"a":1,"b":"x"}'),
        (types.MappingProxyType({"a": decimal.Decimal("0.10")}), '{"a":0.10}'),
        (collections.ChainMap({"a": 1}, {"b": 2}), '{"b":2,"a":1}'),
        (collections.UserDict(a=1), '{"a":1}'),
        (collections.deque([np.float32(0.1), 2]), "[0.1,2]"),
        (collections.UserList([1]), "[1]"),
        (collections.UserString("5"), '"5"'),
        (range(3), "[0,1,2]"),
        (
            Reading(decimal.Decimal("1.20"), datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone.utc)),
            '{"value":1.20,"at":"2024-01-02T00:00:00+00:00"}',
        ),
    ],
    ids=shown,
)
def test_what_databases_and_scientific_code_have_is_written(
    sent: Callable[[Any], str], value: Any, expected: str
) -> None:
    assert sent(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        np.timedelta64(5, "s"),
        np.complex64(1j),
        np.bytes_(b"x"),
        1j,
        b"x",
        bytearray(b"x"),
        {1},
        object(),
        int,
        datetime.timedelta(1),
    ],
    ids=shown,
)
def test_what_cannot_be_written_is_named_and_nothing_is_sent(
    device: TBDeviceMqttClient, server: ThingsBoard, value: Any
) -> None:
    follower = server.follow()
    words = rf'"bad" cannot be sent: .*\b{type(value).__name__}\b'
    with pytest.raises(TypeError, match=words):
        device.send_telemetry([{"good": 1}, {"ts": 5, "values": {"bad": value}}])
    with pytest.raises(TypeError, match=words):
        device.send_attributes({"good": 1, "bad": [value]})
    device.send_telemetry({"end": 1}).get()
    assert next(published(follower, "v1/"))[1] == b'[{"end":1}]'


def test_a_text_is_one_key(device: TBDeviceMqttClient, server: ThingsBoard) -> None:
    messages = published(server.follow(), "v1/devices/me/attributes/request/")
    device.request_attributes("atr3")
    device.request_attributes(shared_keys="atr3", client_keys=("a", "b"))
    device.request_attributes(["a"], "")
    assert [next(messages)[1] for _ in range(3)] == [
        b'{"clientKeys":"atr3"}',
        b'{"clientKeys":"a,b","sharedKeys":"atr3"}',
        b'{"clientKeys":"a"}',
    ]


def test_a_text_is_one_key_of_a_gateways_device(gateway: TBGatewayMqttClient, server: ThingsBoard) -> None:
    messages = published(server.follow(), "v1/gateway/attributes/request")
    gateway.gw_request_shared_attributes("Pump 1", "temperature", None)
    gateway.gw_request_client_attributes("Pump 1", ("a", "b"), None)
    assert b'"keys":["temperature"]' in next(messages)[1]
    assert b'"keys":["a","b"]' in next(messages)[1]


@pytest.mark.parametrize("keys", [5, [5], ["a", None], b"ab"])
def test_keys_that_are_no_texts_are_refused(gateway: TBGatewayMqttClient, keys: Any) -> None:
    with pytest.raises(TypeError, match="client_keys must be a list of texts"):
        gateway.request_attributes(keys)
    with pytest.raises(TypeError, match="keys must be a list of texts"):
        gateway.gw_request_client_attributes("Pump 1", keys, None)


def test_a_text_is_one_attribute_to_delete(server: ThingsBoard) -> None:
    server.set_shared("Device 1", {"ab": 1, "a": 2})
    server.delete_shared("Device 1", "ab")
    assert server.attributes_of("Device 1", "shared") == {"a": 2}


def test_misspelt_keywords_are_refused(device: TBDeviceMqttClient) -> None:
    send: Any
    for send in (device.send_telemetry, device.send_attributes):
        with pytest.raises(TypeError, match="quality_of_servise"):
            send({"a": 1}, quality_of_servise=0)
        with pytest.raises(TypeError, match="at most 4 arguments"):
            send({"a": 1}, 1, True, False, 5)
        # Older generations had these.
        assert send({"a": 1}, 1, True, False).get() == 0
        assert send({"a": 1}, wait_for_publish=True, high_priority=False).get() == 0
