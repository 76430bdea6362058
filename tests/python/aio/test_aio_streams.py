"""Streams of the asyncio face beside uplinks: raw ones, single fields, connections; and what is told of errors."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from faces import run
from harness import PATIENCE, RawServer, publish
from thingslink import DecodeError, DownlinkError, LoginRefusedError, aio

if TYPE_CHECKING:
    pass

QUICK: dict[str, Any] = {"reconnect_min_delay": 0.02, "reconnect_max_delay": 0.2}


def client_of(sandbox: aio.Sandbox, **options: Any) -> aio.MQTTClient:
    return aio.MQTTClient(sandbox.username, sandbox.access_key, sandbox.mqtt_address, **{**QUICK, **options})


async def soon(awaitable: Any) -> Any:
    return await asyncio.wait_for(awaitable, PATIENCE)


@pytest.mark.parametrize("network", ["v2", "v3"])
def test_raw_uplinks_and_single_fields(network: Any) -> None:
    async def program() -> None:
        async with aio.Sandbox(network=network, seed=0) as sandbox:
            device = sandbox.device("soil-07")
            client = client_of(sandbox)
            of_device = client.device("soil-07")
            assert of_device.dev_id == "soil-07"
            uplinks, raw = of_device.uplinks(), of_device.raw_uplinks()
            fields, deep = client.uplink_fields("temperature"), of_device.uplink_fields("deep/a")
            async with client:
                await device.uplink(b"\x01\x67", fields={"temperature": 23.5, "deep": {"a": [1, None]}}, port=3)
                msg = await soon(uplinks.__anext__())
                came = await soon(raw.__anext__())
                assert came.topic.endswith("devices/soil-07/up") and b"soil-07" in came.payload
                assert msg.payload == b"\x01\x67"
                value = await soon(fields.__anext__())
                assert (value.dev_id, value.field, value.value) == ("soil-07", "temperature", 23.5)
                assert (await soon(deep.__anext__())).value == [1, None]
                # Nothing to acknowledge, and nothing to complain of.
                for one in (msg, came, value):
                    one.ack()
            with pytest.raises(ValueError, match="field"):
                client.uplink_fields("tank//level")
            with pytest.raises(ValueError, match="NODE"):
                client.device("NODE 7")

    run(program())


def test_a_coroutine_function_may_be_told_of_errors(raw_server: RawServer) -> None:
    errors: list[Exception] = []

    async def program() -> None:
        client = aio.MQTTClient("demo-app", "key", raw_server.address, **QUICK)
        told = asyncio.Event()

        @client.on_error
        async def hear(error: Exception) -> None:
            errors.append(error)
            told.set()

        uplinks = client.uplinks()
        async with client:
            raw_server.send(publish("demo-app/devices/node-1/up", b"no JSON"))
            await soon(told.wait())
        assert "0 waiting" in repr(uplinks)
        for wrong in (7, lambda: None):
            with pytest.raises(TypeError, match=r"callback must be callable|expected callback\(error\)"):
                client.on_error(wrong)  # type: ignore[type-var]

    run(program())
    assert len(errors) == 1 and isinstance(errors[0], DecodeError) and "node-1" in str(errors[0])


@pytest.mark.thingslink_allow_callback_exceptions
def test_errors_of_handlers_are_told_and_so_are_those_of_what_tells_them(caplog: pytest.LogCaptureFixture) -> None:
    errors: list[Exception] = []

    async def program() -> None:
        async with aio.Sandbox() as sandbox, client_of(sandbox) as client:
            device = sandbox.device("soil-07")
            told = asyncio.Event()

            @client.on_error
            def fails(error: Exception) -> None:
                raise OSError("no pager")

            @client.on_error
            def hear(error: Exception) -> None:
                errors.append(error)
                told.set()

            async def handler(msg: Any) -> None:
                raise KeyError(msg.dev_id)

            running = asyncio.ensure_future(client.run(handler))
            await asyncio.sleep(0)
            await client.send("soil-07", b"\x01")  # what was subscribed to is, by then
            await device.uplink(b"\x01")
            await soon(told.wait())
            running.cancel()
            await asyncio.wait([running])

    run(program())
    assert [repr(error) for error in errors] == ["KeyError('soil-07')"]
    assert "exception in an error callback" in caplog.text and "no pager" in caplog.text


def test_a_downlink_that_nobody_awaits_is_told_of_when_it_fails() -> None:
    async def program() -> None:
        async with aio.Sandbox(network="v3") as sandbox, client_of(sandbox, queue_timeout=0.2) as client:
            told: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
            client.on_error(told.set_result)
            sending = asyncio.ensure_future(client.send("nobody", b"\x01"))
            await asyncio.sleep(0)
            sending.cancel()
            error = await soon(told)
            assert isinstance(error, DownlinkError) and error.dev_id == "nobody"

    run(program())


def test_connections_are_a_stream() -> None:
    async def program() -> None:
        async with aio.Sandbox() as sandbox:
            client = client_of(sandbox)
            connections = client.connections()
            async with client:
                assert (await soon(connections.__anext__())).is_connected
                sandbox.cut()
                lost = await soon(connections.__anext__())
                assert (lost.is_connected, lost.code) == (False, 7) and lost.reason
                assert (await soon(connections.__anext__())).is_connected
            assert await soon(connections.__anext__()) == aio.Connection(False, 0, "Closed")
            with pytest.raises(StopAsyncIteration):
                await soon(connections.__anext__())
            wrong = aio.MQTTClient(sandbox.app_id, "wrong", sandbox.mqtt_address)
            refusals = wrong.connections()
            with pytest.raises(LoginRefusedError):
                await wrong.connect()
            refused = await soon(refusals.__anext__())
            assert (refused.is_connected, refused.code) == (False, 4) and "access_key" in refused.reason
            await wrong.close()

    run(program())


def test_a_client_whose_error_callback_holds_it_is_collected() -> None:
    class Watcher:
        pass

    def program() -> weakref.ref[Watcher]:
        watcher = Watcher()
        client = aio.MQTTClient("demo-app", "key", "127.0.0.1:1")

        def hear(error: Exception, kept: Any = (client, watcher)) -> None: ...

        client.on_error(hear)
        return weakref.ref(watcher)

    watched = program()
    gc.collect()
    assert watched() is None
