"""What may be sent to a device, and what of it the device gets."""

from __future__ import annotations

import array
import logging
from collections import deque
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from thingslink.ttn import ApplicationClient, MQTTClient
from thingslink.ttnmqtt import v2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from thingslink.sandbox import Sandbox

    Eventually = Callable[[Callable[[], object]], None]


@pytest.fixture
def client(sandbox: Sandbox, client_for: Callable[..., MQTTClient]) -> MQTTClient:
    sandbox.device("node-1")
    client = client_for(sandbox)
    client.connect()
    return client


def arrived(sandbox: Sandbox, client: Any) -> bytes:
    """Give what the device gets of the downlink that has been sent."""
    if isinstance(client, MQTTClient):
        client.flush()
    device = sandbox.device("node-1")
    device.uplink()
    return device.next_downlink().payload


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("qg==\n", b"\xaa"),
        (" qg==\r\n", b"\xaa"),
        ("q\ng = =", b"\xaa"),
        ("0a0B0c\n", b"\x0a\x0b\x0c"),
        ("01 02 03", b"\x01\x02\x03"),
        ("01 02", b"\x01\x02"),
        ([1, 2, 255], b"\x01\x02\xff"),
        ((0, 7), b"\x00\x07"),
        (bytearray(b"\x05"), b"\x05"),
        (memoryview(b"\x05\x06"), b"\x05\x06"),
        (array.array("B", [9, 8]), b"\x09\x08"),
    ],
)
def test_bytes_arrive_in_whatever_form_they_are_given(
    sandbox: Sandbox, client: MQTTClient, payload: Any, expected: bytes
) -> None:
    client.send("node-1", payload)
    assert arrived(sandbox, client) == expected
    client.device("node-1").send(payload)
    assert arrived(sandbox, client) == expected


WRONG = [
    (None, "NoneType"),
    (7, "int"),
    (1.5, "float"),
    (True, "bool"),
    ({1, 2}, "set"),
    (frozenset(), "frozenset"),
    (deque([1]), "deque"),
    (range(3), "range"),
    (Decimal(1), "Decimal"),
    (object(), "object"),
    (array.array("d", [1.0]), "array"),
    ([1, 256], "256 (int) at index 1"),
    ([-1], "-1 (int) at index 0"),
    ([True], "True (bool) at index 0"),
    ([1, 2.0], "2.0 (float) at index 1"),
    (("a",), "'a' (str) at index 0"),
    ([None], "None (NoneType) at index 0"),
    ([[1]], "[1] (list) at index 0"),
    ([{"a": 1}], "{'a': 1} (dict) at index 0"),
]


@pytest.mark.parametrize(("payload", "words"), WRONG)
def test_what_the_network_would_drop_is_refused_before_it_is_sent(
    sandbox: Sandbox, client: MQTTClient, payload: Any, words: str
) -> None:
    sent: list[Callable[[Any], object]] = [lambda payload: client.send("node-1", payload), client.device("node-1").send]
    for send in sent:
        with pytest.raises(TypeError, match="payload") as caught:
            send(payload)
        assert words in str(caught.value) and "0 to 255" in str(caught.value)
    client.send("node-1", b"\x01")
    assert arrived(sandbox, client) == b"\x01"


def test_the_older_package_takes_and_refuses_the_same(sandbox: Sandbox) -> None:
    sandbox.device("node-1")
    older = v2.MQTTClient(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address)
    for payload, expected in (([1, 2], b"\x01\x02"), ("qg==\n", b"\xaa"), (memoryview(b"\x07"), b"\x07")):
        older.send("node-1", payload)
        older._client.flush()
        assert arrived(sandbox, older) == expected
    for wrong, words in WRONG:
        with pytest.raises(TypeError, match="payload") as caught:
            older.send("node-1", wrong)
        assert words in str(caught.value)
    older.close()


def test_simulated_uplinks_take_and_refuse_the_same(
    sandbox: Sandbox, application: ApplicationClient, client: MQTTClient
) -> None:
    application.register_device("node-2", {"dev_eui": "0004A30B00AABBCC", "app_eui": "70B3D57ED00000AA"})
    device = sandbox.device("node-2")
    uplinks: deque[bytes | None] = deque()
    client.set_uplink_callback(lambda msg: uplinks.append(msg.payload))
    sent: list[Callable[[Any], object]] = [
        lambda payload: application.simulate_uplink("node-2", payload),
        device.uplink,
    ]
    for send in sent:
        for payload in ([1, 2], "01 02\n", memoryview(b"\x01\x02"), (1, 2)):
            send(payload)
            sandbox.wait_for(lambda: len(uplinks) > 0)
            assert uplinks.popleft() == b"\x01\x02"
        for wrong, words in WRONG[1:]:
            with pytest.raises(TypeError, match="payload") as caught:
                send(wrong)
            assert words in str(caught.value)
    assert application.dry_uplink([1, 2]).payload == b"\x01\x02"
    assert application.dry_downlink([1, 2]).payload == b"\x01\x02"


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    with caplog.at_level(logging.WARNING, "thingslink.client"):
        yield lambda: [record.getMessage() for record in caplog.records if "hex alike" in record.getMessage()]


def test_text_that_is_base64_and_hex_is_warned_of_once_for_each_device(
    sandbox: Sandbox, client: MQTTClient, warnings: Callable[[], list[str]], eventually: Eventually
) -> None:
    client.send("node-1", "0102")
    assert arrived(sandbox, client) == b"\xd3\x5d\x36"
    eventually(lambda: len(warnings()) == 1)
    for clear in (b"\xd3\x5d\x36", "AQ==", "010203", "01 02"):
        client.send("node-3", clear)
    client.device("node-1").send("beef")
    client.send("node-2", "beef\n")
    eventually(lambda: len(warnings()) == 2)
    client.send("node-2", "abcd")
    client.send("node-4", "abcd")
    eventually(lambda: len(warnings()) == 3)
    first, second, third = warnings()
    assert "node-1" in first and 'bytes.fromhex("0102")' in first and "d35d36" in first
    assert "node-2" in second and "node-4" in third


def test_the_older_package_warns_as_well(
    sandbox: Sandbox, warnings: Callable[[], list[str]], eventually: Eventually
) -> None:
    older = v2.MQTTClient(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address)
    older.send("node-1", "0102")
    older.send("node-1", "0102")
    older.send("node-2", "0102")
    eventually(lambda: len(warnings()) == 2)
    older.close()
