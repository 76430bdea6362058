"""The seam for asyncio: the calls of the management clients as futures of the event loop that asks for them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE
from thingslink import ApplicationError, NotConnectedError, RpcError, StatusCode
from thingslink.ttn import ApplicationClient, DiscoveryClient

if TYPE_CHECKING:
    from collections.abc import Callable

    import grpc
    from peers import PeerServer
    from thingslink.sandbox import Sandbox


def client_of(address: str) -> ApplicationClient:
    return ApplicationClient("demo-app", "key", address, insecure_channel=True)


def test_calls_can_be_awaited(sandbox: Sandbox, application: ApplicationClient) -> None:
    async def program() -> None:
        call = application._call_async
        assert str(await call("register_device", "node-1", {"dev_eui": "1" * 16})) == ""
        await call("update_device", "node-1", {"description": "a pump"})
        device = await call("device", dev_id="node-1", timeout=5)
        assert device.description == "a pump" and device.lorawan_device.dev_eui == b"\x11" * 8
        assert await call("set_payload_format", "cayennelpp") is None
        assert (await call("get")).payload_format == "cayennelpp"
        made = await call("personalize", "node-1")
        assert len(made.lorawan_device.dev_addr) == 4
        assert len(await call("dev_addr", ["abp"])) == 4
        assert await call("prefixes")
        assert await call("simulate_uplink", "node-1", b"\x01") is None
        await call("delete_device", "node-1")
        assert len(await call("devices")) == 0
        with DiscoveryClient(sandbox.discovery_address, sandbox.ca_certs) as directory:
            announcement = await directory._call_async("get_by_app_id", sandbox.app_id)
            assert announcement.net_address == sandbox.handler_address
            assert len(await directory._call_async("get_all", "handler")) == 1

    asyncio.run(program(), debug=True)
    assert application.get().payload_format == "cayennelpp"


def test_many_calls_run_at_the_same_time(sandbox: Sandbox, application: ApplicationClient) -> None:
    async def program() -> list[str]:
        await asyncio.gather(
            *(application._call_async("register_device", f"node-{n:02}", {"dev_eui": f"{n:016X}"}) for n in range(50))
        )
        devices = await asyncio.gather(*(application._call_async("device", f"node-{n:02}") for n in range(50)))
        return [device.dev_id for device in devices]

    assert asyncio.run(program()) == [f"node-{n:02}" for n in range(50)]


def test_the_loop_runs_while_a_call_waits(sandbox: Sandbox, application: ApplicationClient) -> None:
    async def program() -> None:
        sandbox.go_silent()
        call = application._call_async("get")
        for _ in range(3):
            await asyncio.sleep(0)
            assert not call.done()
        sandbox.go_silent(False)
        assert (await call).app_id == sandbox.app_id

    asyncio.run(program())


def test_failures_are_raised_where_they_are_awaited(sandbox: Sandbox, application: ApplicationClient) -> None:
    async def program() -> None:
        with pytest.raises(ApplicationError) as caught:
            await application._call_async("update_device", "node-9", {"description": "x"})
        assert caught.value.code is StatusCode.NOT_FOUND and isinstance(caught.value.__cause__, RpcError)
        with pytest.raises(TypeError, match="dev_id must be str"):
            await application._call_async("device", 7)
        directory = DiscoveryClient(sandbox.discovery_address, sandbox.ca_certs)
        with pytest.raises(RpcError, match="NOT_FOUND"):
            await directory._call_async("get_by_app_id", "nobody")
        directory.close()
        with pytest.raises(NotConnectedError):
            await directory._call_async("get_by_app_id", "nobody")

    asyncio.run(program(), debug=True)


def test_without_an_event_loop_it_is_said(application: ApplicationClient) -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        application._call_async("get")


def test_what_stands_in_the_clients_place_is_called(application: ApplicationClient) -> None:
    class Stub:
        def __getattr__(self, name: str) -> Any:
            return lambda request, timeout, metadata: (name, request.app_id)

    application.client = Stub()

    async def program() -> Any:
        return await application._call_async("get")

    assert asyncio.run(program()) == ("GetApplication", "demo-app")


def test_a_cancelled_call_ends_at_the_server(peer: PeerServer) -> None:
    reached, ended = threading.Event(), threading.Event()

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        context.add_callback(ended.set)
        reached.set()
        ended.wait(PATIENCE)
        return b""

    peer.answers["GetApplication"] = answer

    async def program() -> None:
        with client_of(peer.address) as client:
            call = client._call_async("get")
            await asyncio.get_running_loop().run_in_executor(None, reached.wait, PATIENCE)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(call, 0.01)
            assert call.cancelled()
            assert await asyncio.get_running_loop().run_in_executor(None, ended.wait, PATIENCE)

    asyncio.run(program(), debug=True)


def test_a_device_whose_move_is_cancelled_is_put_back(peer: PeerServer, eventually: Callable[..., None]) -> None:
    reached, over = threading.Event(), threading.Event()
    names: list[str] = []

    def written(request: bytes, context: grpc.ServicerContext) -> bytes:
        names.append("other-app" if b"other-app" in request else "demo-app")
        if names == ["other-app"]:
            reached.set()
            over.wait(PATIENCE)
        return b""

    peer.answers["SetDevice"] = written

    async def program() -> None:
        client = client_of(peer.address)
        other = ApplicationClient("other-app", "key", peer.address, insecure_channel=True)
        move = client._call_async("move_device", "node-1", other)
        await asyncio.get_running_loop().run_in_executor(None, reached.wait, PATIENCE)
        move.cancel()
        with pytest.raises(asyncio.CancelledError):
            await move
        over.set()
        await asyncio.get_running_loop().run_in_executor(None, eventually, lambda: names[1:] == ["demo-app"])

    asyncio.run(program(), debug=True)


HEAD = """
import asyncio, faulthandler, gc, socket, weakref
faulthandler.dump_traceback_later(20, exit=True)
from thingslink import ttn
# Accepts connections and says nothing.
listener = socket.create_server(("127.0.0.1", 0))
address = "127.0.0.1:%d" % listener.getsockname()[1]
client = ttn.ApplicationClient("demo-app", "key", address, insecure_channel=True)
"""


@pytest.mark.parametrize(
    "body",
    [
        # Nobody awaits it: the loop is closed long before the call is over.
        "client._call_async('get', timeout=0.2)",
        "tasks.append(asyncio.ensure_future(client._call_async('get')))",
        "tasks.append(asyncio.create_task(awaits(client._call_async('get'))))\n    await asyncio.sleep(0)",
        "tasks.extend(client._call_async('get') for _ in range(100))",
    ],
)
@pytest.mark.parametrize("tail", ["", "import time; time.sleep(0.4); gc.collect()", "asyncio.run(program())"])
def test_a_loop_that_is_closed_first_is_no_error(body: str, tail: str) -> None:
    code = f"""
tasks = []
async def awaits(call):
    await call
async def program():
    asyncio.get_running_loop().slow_callback_duration = 60  # It would be told on standard error.
    {body}
asyncio.run(program(), debug=True)
{tail}
"""
    child = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "ignore::ResourceWarning", "-c", HEAD + code],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (child.stderr, child.returncode) == ("", 0)


def test_a_future_that_is_over_is_let_go(sandbox: Sandbox) -> None:
    arguments = (sandbox.app_id, sandbox.access_key, sandbox.handler_address, sandbox.ca_certs)
    code = f"""
import weakref, gc, asyncio
from thingslink import ttn
client = ttn.ApplicationClient(*{arguments!r})
async def program():
    call = client._call_async("get")
    seen = weakref.ref(call)
    await call
    del call
    for _ in range(3):
        await asyncio.sleep(0)
    gc.collect()
    assert seen() is None
asyncio.run(program())
"""
    child = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (child.stderr, child.returncode) == ("", 0)
