"""All that the other classes can do is in the asyncio face: each public member, or what stands in its place."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from thingslink import aio, sandbox, ttn
from thingslink._native import DeviceHandle, DownlinkHandle
from thingslink.aio import sandbox as aio_sandbox

#: What stands in the place of a member of the other class, and why.
ELSEWHERE = {
    "ack": "RawMessage.ack",  # each message of a stream has it
    "downlink": "Downlink.wait",  # send gives the downlink itself
    "start": "MQTTClient.connect",  # it does nothing there
    "stop": "MQTTClient.aclose",
    "set_uplink_callback": "MQTTClient.uplinks",
    "set_uplink_raw_callback": "MQTTClient.raw_uplinks",
    "set_uplink_callback_raw": "MQTTClient.raw_uplinks",
    "set_uplink_field_callback": "MQTTClient.uplink_fields",
    "set_event_callback": "MQTTClient.events",
    "set_activation_callback": "MQTTClient.activations",
    "set_connect_callback": "MQTTClient.connections",
    "set_close_callback": "MQTTClient.connections",
    "set_downlink_callback": "MQTTClient.send",  # it is awaited
    "set_error_callback": "MQTTClient.on_error",
}


def instead(name: str) -> str | None:
    """What stands in the place of a member, as ``Class.member``. A callback is taken back by leaving its stream."""
    if name.startswith("remove_"):
        return "Stream.aclose" if "set_" + name.removeprefix("remove_") in ELSEWHERE else None
    return ELSEWHERE.get(name)


def exists(place: str) -> bool:
    owner, _, member = place.partition(".")
    return hasattr(getattr(aio, owner, None) or getattr(ttn, owner), member)


@pytest.mark.parametrize(
    ("ours", "other"),
    [
        (aio.MQTTClient, ttn.MQTTClient),
        (aio.Device, DeviceHandle),
        (aio.Downlink, DownlinkHandle),
        (aio.Sandbox, sandbox.Sandbox),
        (aio_sandbox.SandboxDevice, sandbox.SandboxDevice),
        (aio_sandbox.ThingsBoard, sandbox.ThingsBoard),
        (aio_sandbox.Follower, sandbox.Follower),
        (aio_sandbox.Stream, sandbox.Stream),
    ],
)
def test_each_member_is_there_or_something_in_its_place(ours: type[Any], other: type[Any]) -> None:
    members = [name for name in dir(other) if not name.startswith("_")]
    assert members
    missing = [name for name in members if not hasattr(ours, name) and not ((place := instead(name)) and exists(place))]
    assert missing == []


@pytest.mark.parametrize("name", ["__init__", "send", "connect", "close", "flush", "stats"])
def test_arguments_are_the_same(name: str) -> None:
    def shown(owner: type[Any]) -> list[tuple[str, Any, Any]]:
        function = owner if name == "__init__" else getattr(owner, name)
        parameters = inspect.signature(function).parameters.values()
        return [(one.name, one.default, one.kind) for one in parameters if one.name not in {"self", "aliases"}]

    assert shown(aio.MQTTClient) == shown(ttn.MQTTClient)
    if name == "send":
        assert shown(aio.Device) == shown(DeviceHandle)
