"""Connecting and closing awaited: the seam for an asynchronous face, on the futures that blocking calls wait for."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import TYPE_CHECKING

import pytest
import thingslink
from harness import on_both_networks
from thingslink.ttn import MQTTClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness import RawServer
    from thingslink.sandbox import Sandbox


@on_both_networks
def test_connect_and_close_can_be_awaited(sandbox: Sandbox, client_for: Callable[..., MQTTClient]) -> None:
    client = client_for(sandbox)

    async def main() -> tuple[bool, bool]:
        await client._connect_async(timeout=20)
        connected = client.is_connected
        await client._close_async(timeout=20)
        return connected, client.is_connected

    assert asyncio.run(main(), debug=True) == (True, False)


@on_both_networks
def test_an_awaited_connect_that_is_refused_raises(sandbox: Sandbox) -> None:
    client = MQTTClient(sandbox.app_id, "wrong", sandbox.mqtt_address)

    async def main() -> None:
        await client._connect_async(timeout=20)

    with pytest.raises(thingslink.LoginRefusedError):
        asyncio.run(main())


def test_a_connect_that_is_cancelled_leaves_the_client_usable(raw_server: RawServer) -> None:
    client = MQTTClient("app", "key", raw_server.address)
    raw_server.connack = b""

    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client._connect_async(timeout=20), 0.2)

    asyncio.run(main(), debug=True)
    raw_server.connack = b"\x20\x02\x00\x00"
    client.connect(timeout=20)
    assert client.is_connected
    client.close()


def test_a_connect_that_cannot_be_awaited_lets_the_client_go(raw_server: RawServer) -> None:
    client = MQTTClient("app", "key", raw_server.address)
    with pytest.raises(RuntimeError, match="no running event loop"):
        client._connect_async(timeout=20)
    gone = weakref.ref(client)
    del client
    gc.collect()
    assert gone() is None


def test_a_connect_whose_event_loop_is_closed_lets_the_client_go(
    raw_server: RawServer, eventually: Callable[[Callable[[], object]], None]
) -> None:
    raw_server.connack = b""

    async def main() -> weakref.ref[MQTTClient]:
        client = MQTTClient("app", "key", raw_server.address)
        client._connect_async(timeout=1)
        return weakref.ref(client)

    gone = asyncio.run(main())

    def is_gone() -> bool:
        gc.collect()
        return gone() is None

    eventually(is_gone)
