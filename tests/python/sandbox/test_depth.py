"""Depth that somebody else decides on: levels of topics and filters, values in values. None of it may cost a stack."""

from __future__ import annotations

import enum
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE, packet, publish, read_packet, text
from thingslink._native import _parse_message
from thingslink.sandbox import Sandbox, ThingsBoard
from thingslink.tb_device_mqtt import TBDeviceMqttClient

if TYPE_CHECKING:
    from thingslink.ttn import ApplicationClient, MQTTClient

#: Most levels that are taken.
MOST = 128
#: As many levels as a packet has room for.
ALL = 65_000


def levels(first: str, count: int) -> str:
    """Give a topic of so many levels."""
    return "/".join([first, *"a" * (count - 1)])


@contextmanager
def logged_in(sandbox: Sandbox, will: str = "") -> Iterator[socket.socket]:
    """A login by hand, which need not succeed."""
    host, port = sandbox.mqtt_address.split(":")
    flags, said = (0xC6, text(will) + text("gone")) if will else (0xC2, b"")
    body = text("MQTT") + bytes([4, flags, 0, 60]) + text("deep") + said
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
        connection.sendall(packet(0x10, body + text(sandbox.app_id) + text(sandbox.access_key)))
        yield connection


def is_closed(connection: socket.socket) -> bool:
    """Wait for the end of a connection on which nothing else comes."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize(("count", "code"), [(MOST, 0), (MOST + 1, 0x80), (ALL // 2, 0x80)])
def test_filters_of_too_many_levels_are_refused(sandbox: Sandbox, count: int, code: int) -> None:
    name = levels("+", count)
    with logged_in(sandbox) as connection:
        assert read_packet(connection) == b"\x20\x02\x00\x00"
        connection.sendall(packet(0x82, b"\0\1" + text(name) + b"\0"))
        assert read_packet(connection) == bytes([0x90, 3, 0, 1, code])
        connection.sendall(packet(0xA2, b"\0\2" + text(name)))
        assert read_packet(connection) == b"\xb0\x02\x00\x02"
        connection.sendall(b"\xc0\x00")
        assert read_packet(connection) == b"\xd0\x00"
    # The network lives on, and so does whoever else is there.
    with logged_in(sandbox) as connection:
        assert read_packet(connection) == b"\x20\x02\x00\x00"


def test_a_message_on_a_topic_of_too_many_levels_ends_the_connection(sandbox: Sandbox) -> None:
    with logged_in(sandbox) as connection:
        assert read_packet(connection) == b"\x20\x02\x00\x00"
        connection.sendall(publish(levels(sandbox.app_id, MOST), b"{}", qos=1))
        assert read_packet(connection) == b"\x40\x02\x00\x01"
        connection.sendall(publish(levels(sandbox.app_id, MOST + 1), b"{}", qos=1))
        assert is_closed(connection)


def test_a_will_on_a_topic_of_too_many_levels_is_not_let_in(sandbox: Sandbox) -> None:
    with logged_in(sandbox, will=levels(sandbox.app_id, MOST + 1)) as connection:
        assert is_closed(connection)
    with logged_in(sandbox, will=levels(sandbox.app_id, MOST)) as connection:
        assert read_packet(connection) == b"\x20\x02\x00\x00"


@pytest.mark.parametrize("level", [4, 5])
def test_thingsboard_takes_no_topic_of_too_many_levels(level: int) -> None:
    more = b"\0" if level == 5 else b""
    with (
        ThingsBoard() as server,
        socket.create_connection((server.host, server.port), timeout=PATIENCE) as connection,
    ):
        server.add_device("Device", "token")
        body = text("MQTT") + bytes([level, 0x82, 0, 60]) + more + text("") + text("token")
        connection.sendall(packet(0x10, body))
        assert read_packet(connection)[0] == 0x20
        connection.sendall(packet(0x82, b"\0\1" + more + text(levels("v1", ALL // 2)) + b"\0"))
        assert read_packet(connection)[-1] == (143 if level == 5 else 128)
        name = levels("v1", MOST + 1)
        connection.sendall(packet(0x30, text(name) + more + b"{}"))
        assert read_packet(connection) == (b"\xe0\x02\x90\x00" if level == 5 else b"")


def cyclic() -> dict[str, Any]:
    """A value that holds itself."""
    value: dict[str, Any] = {}
    value["again"] = [value]
    return value


def deep() -> dict[str, Any]:
    """A value that is nested far deeper than any stack."""
    value: Any = {}
    for _ in range(100_000):
        value = {"a": [value]}
    return dict(value)


@pytest.mark.parametrize("make", [cyclic, deep])
def test_values_that_hold_themselves_or_never_end_are_refused(
    sandbox: Sandbox,
    client_for: Callable[..., MQTTClient],
    application: ApplicationClient,
    make: Callable[[], dict[str, Any]],
) -> None:
    device, value = sandbox.device("node-1"), make()
    for use in (
        lambda: device.uplink(fields=value),
        lambda: application.dry_downlink(value, functions={}),
        lambda: client_for(sandbox).send("node-1", value),
    ):
        with pytest.raises(ValueError, match=r"(fields|payload) cannot be sent: .*([Cc]ircular|recursion)"):
            use()


class Endless(enum.Enum):
    """Its value is itself."""

    ONE = 1

    @property
    def value(self) -> Any:
        return self


def test_telemetry_that_holds_itself_is_refused() -> None:
    with ThingsBoard() as server:
        server.add_device("Device", "token")
        client = TBDeviceMqttClient(server.host, server.port, "token")
        client.connect()
        wrong: list[Any] = [cyclic(), deep(), {Endless.ONE: 1}, {"a": Endless.ONE}]
        for telemetry in wrong:
            with pytest.raises(ValueError, match="nested too deeply for JSON, or holds itself"):
                client.send_telemetry(telemetry)
        client.disconnect()


def test_nested_messages_are_read_on_the_smallest_stack() -> None:
    depth = 500
    objects = _parse_message(b'{"a":' * depth + b"[1]" + b"}" * depth)
    arrays = _parse_message(b'{"a":' + b"[" * depth + b"1" + b"]" * depth + b"}")
    read: list[Any] = []

    def work() -> None:
        read.extend((objects.to_dict(), arrays.a, arrays.to_dict()["a"]))

    before = threading.stack_size(64 << 10)
    try:
        thread = threading.Thread(target=work)
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join(PATIENCE)
    nested, *lists = read
    for _ in range(depth):
        nested = nested["a"]
    assert nested == [1]
    for found in lists:
        for _ in range(depth):
            (found,) = found
        assert found == 1
