"""Answers that cannot be read, and answers that do not come: one family of errors, and a bound for every wait."""

from __future__ import annotations

import asyncio
import pickle
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
from thingslink import (
    ApplicationDecodeError,
    ApplicationError,
    DecodeError,
    RpcDecodeError,
    RpcError,
    StatusCode,
)
from thingslink.ttn import ApplicationClient, DiscoveryClient, HandlerClient, MQTTClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from peers import PeerServer

#: No message of any type: the first field goes on beyond the end.
NONSENSE = b"\x0a\x7f\x01"


@pytest.mark.parametrize(
    ("method", "call"),
    [
        ("GetApplication", lambda client: client.get()),
        ("GetApplication", lambda client: client.set_payload_format("custom")),
        ("GetDevice", lambda client: client.device("node-1")),
        ("GetDevice", lambda client: client.update_device("node-1", {"description": "x"})),
        ("GetDevicesForApplication", lambda client: client.devices()),
        ("DryUplink", lambda client: client.dry_uplink(b"\x01")),
        ("DryDownlink", lambda client: client.dry_downlink(b"\x01")),
        ("GetPrefixes", lambda client: client.prefixes()),
        ("GetDevAddr", lambda client: client.dev_addr()),
        ("GetDevAddr", lambda client: client.personalize("node-1")),
        ("GetApplication", lambda client: asyncio.run(awaited(client, "get"))),
    ],
)
def test_an_unreadable_answer_to_an_application_is_an_application_error(
    method: str, call: Callable[[ApplicationClient], object], peer: PeerServer
) -> None:
    peer.answers[method] = NONSENSE
    with ApplicationClient("demo-app", "key", peer.address, insecure_channel=True) as client:
        with pytest.raises(ApplicationError) as caught:
            call(client)
        assert isinstance(caught.value, ApplicationDecodeError) and isinstance(caught.value, DecodeError)
        assert caught.value.code is StatusCode.INTERNAL and "cannot decode" in caught.value.details
        assert isinstance(caught.value.__cause__, RpcDecodeError)
        assert pickle.loads(pickle.dumps(caught.value)).args == caught.value.args


async def awaited(client: Any, name: str) -> object:
    return await client._call_async(name)


@pytest.mark.parametrize(
    ("method", "call"),
    [
        ("GetAll", lambda address: DiscoveryClient(address, insecure_channel=True).get_all("handler")),
        ("Get", lambda address: DiscoveryClient(address, insecure_channel=True).get("handler", "h")),
        ("GetByAppID", lambda address: HandlerClient("demo-app", "key", address, insecure_channel=True)),
        ("GetByAppID", lambda address: ApplicationClient("demo-app", "key", discovery_address=address,
                                                         insecure_channel=True)),
        ("GetByAppID", lambda address: MQTTClient("demo-app", "key", discovery_address=address,
                                                  insecure_channel=True).connect()),
    ],
)  # fmt: skip
def test_an_unreadable_answer_of_discovery_is_an_rpc_error(
    method: str, call: Callable[[str], object], peer: PeerServer
) -> None:
    peer.answers[method] = NONSENSE
    with pytest.raises(RpcError) as caught:
        call(peer.address)
    assert isinstance(caught.value, RpcDecodeError) and isinstance(caught.value, DecodeError)
    assert caught.value.code() is StatusCode.INTERNAL and "cannot decode" in caught.value.details()


@pytest.fixture
def silent() -> Iterator[str]:
    """Give the address of a server that accepts connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield "127.0.0.1:%d" % server.getsockname()[1]


@pytest.mark.parametrize(
    "call",
    [
        lambda address, timeout: ApplicationClient(
            "demo-app", "key", discovery_address=address, insecure_channel=True, timeout=timeout
        ),
        lambda address, timeout: HandlerClient("demo-app", "key", address, insecure_channel=True, timeout=timeout),
        lambda address, timeout: DiscoveryClient(address, insecure_channel=True).get_all("handler", timeout=timeout),
        lambda address, timeout: DiscoveryClient(address, insecure_channel=True).get_by_app_id("a", timeout=timeout),
    ],
)
def test_waiting_for_discovery_has_a_bound_that_can_be_set(call: Callable[[str, float], object], silent: str) -> None:
    begun = time.monotonic()
    with pytest.raises(RpcError) as caught:
        call(silent, 0.3)
    assert caught.value.code() is StatusCode.DEADLINE_EXCEEDED
    # Far below what there is without a setting.
    assert time.monotonic() - begun < 20


def test_a_timeout_beyond_all_measure_is_taken(peer: PeerServer) -> None:
    with ApplicationClient("demo-app", "key", peer.address, insecure_channel=True) as client:
        client.get(timeout=1e15)
