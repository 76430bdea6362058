"""How many connections a sandbox takes, and how it tells that there is no more room."""

from __future__ import annotations

import logging
import socket
from contextlib import ExitStack
from typing import Any

import pytest
from harness import PATIENCE, packet, text
from thingslink.sandbox import Sandbox, ThingsBoard


def answers(address: tuple[str, int]) -> bool:
    """Whether a login is answered, be it refused."""
    login = packet(0x10, text("MQTT") + bytes([4, 0x02, 0, 60]) + text("one-more"))
    try:
        with socket.create_connection(address, timeout=PATIENCE) as connection:
            connection.sendall(login)
            return connection.recv(1) != b""
    except ConnectionError:
        return False


def test_more_connections_than_there_is_room_for_are_closed_and_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, logger="thingslink")
    with Sandbox(max_connections=3) as sandbox, ExitStack() as held:
        host, port = sandbox.mqtt_address.split(":")
        for _ in range(3):
            held.enter_context(socket.create_connection((host, int(port)), timeout=PATIENCE))
        assert not any(answers((host, int(port))) for _ in range(5))
        handler_host, handler_port = sandbox.handler_address.split(":")
        assert not answers((handler_host, int(handler_port))), "all ports of the network have the room together"
        thingsboard = sandbox.thingsboard
        assert answers((thingsboard.host, thingsboard.port)), "ThingsBoard has a room of its own"
        sandbox.wait_for(lambda: "max_connections" in caplog.text)
    told = [record.getMessage() for record in caplog.records if "max_connections" in record.getMessage()]
    assert told == ["all 3 connections are taken (max_connections): more are closed until some end"]


@pytest.mark.parametrize("make", [Sandbox, ThingsBoard])
@pytest.mark.parametrize("most", [0, -1])
def test_a_sandbox_without_any_room_is_refused(make: Any, most: int) -> None:
    with pytest.raises(ValueError, match=f"max_connections {most} is not valid: expected 1 to"):
        make(max_connections=most)
