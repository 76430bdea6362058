"""The clients that manage applications, for asyncio: the calls of the other face as coroutines."""

from __future__ import annotations

import asyncio
import inspect
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE
from stack_peer import APP, FULL
from thingslink import ApplicationError, NotConnectedError, RpcError, StatusCode, aio, ttn

if TYPE_CHECKING:
    from collections.abc import Callable

    import grpc
    from peers import PeerServer
    from stack_peer import StackPeer
    from thingslink.sandbox import Sandbox


def client_of(sandbox: Sandbox) -> aio.ApplicationClient:
    return aio.ApplicationClient(sandbox.app_id, sandbox.access_key, sandbox.handler_address, sandbox.ca_certs)


async def elsewhere(wait: Callable[..., object], *arguments: object) -> object:
    return await asyncio.get_running_loop().run_in_executor(None, wait, *arguments)


@pytest.mark.parametrize(
    ("ours", "other"),
    [
        (aio.ApplicationClient, ttn.ApplicationClient),
        (aio.HandlerClient, ttn.HandlerClient),
        (aio.DiscoveryClient, ttn.DiscoveryClient),
    ],
)
def test_everything_of_the_other_face_is_there(ours: type[Any], other: type[Any]) -> None:
    assert str(inspect.signature(ours)) == str(inspect.signature(other))
    for name in [name for name in dir(other) if not name.startswith("_")]:
        theirs, method = getattr(other, name), getattr(ours, name, None)
        assert method is not None, name
        if callable(theirs) and name not in {"close", "devices", "devices_pages", "events", "iter_devices"}:
            assert inspect.iscoroutinefunction(method), name
            assert list(inspect.signature(method).parameters) == list(inspect.signature(theirs).parameters), name
            assert method.__doc__ and method.__name__ == name


def test_calls_are_awaited(sandbox: Sandbox) -> None:
    async def program() -> None:
        async with client_of(sandbox) as application:
            await application.register_device("node-1", {"dev_eui": "1" * 16})
            await application.update_device("node-1", {"description": "a pump"})
            device = await application.device(dev_id="node-1", timeout=5)
            assert device.description == "a pump" and device.lorawan_device.dev_eui == b"\x11" * 8
            await application.set_payload_format("cayennelpp")
            assert (await application.get()).payload_format == "cayennelpp"
            assert len(await application.dev_addr(["abp"])) == 4
            assert application.app_id == sandbox.app_id and application.network == "v2"
            assert sandbox.access_key not in repr(application)
            await application.delete_device("node-1")
            assert len(await application.devices()) == 0
        with pytest.raises(NotConnectedError):
            await application.get()

    asyncio.run(program(), debug=True)


def test_devices_come_page_by_page_and_no_page_before_it_is_needed(sandbox: Sandbox) -> None:
    async def program() -> None:
        async with client_of(sandbox) as application:
            names = [f"node-{number:02}" for number in range(25)]
            await asyncio.gather(*(application.register_device(name, {"dev_eui": name[-2:] * 8}) for name in names))
            asked: list[tuple[Any, ...]] = []
            ask = application._call

            async def counted(name: str, *arguments: Any, **options: Any) -> Any:
                asked.append((options["limit"], options["offset"]))
                return await ask(name, *arguments, **options)

            application._call = counted  # type: ignore[method-assign]
            devices = aiter(application.devices(page_size=10))
            assert asked == []
            assert [(await anext(devices)).dev_id for _ in range(10)] == names[:10]
            assert asked == [(10, 0)]
            assert [device.dev_id async for device in devices] == names[10:]
            assert asked == [(10, 0), (10, 10), (10, 20)]
            found = [device.dev_id async for device in application.devices(limit=7, offset=3, page_size=5)]
            assert found == names[3:10]
            assert [device.dev_id for device in await application.devices(limit=7, offset=3)] == names[3:10]
            assert [len(page) async for page in application.devices_pages(page_size=12)] == [12, 12, 1]
            assert [device.dev_id async for device in application.iter_devices(page_size=25)] == names
            with pytest.raises(ValueError, match="page_size 0 is not valid"):
                application.devices(page_size=0)

    asyncio.run(program())


def test_a_page_whose_wait_was_cancelled_is_not_lost(sandbox: Sandbox) -> None:
    async def program() -> None:
        async with client_of(sandbox) as application:
            for number in range(4):
                await application.register_device(f"node-{number}", {"dev_eui": f"{number}" * 16})
            devices = aiter(application.devices(page_size=2))
            assert [(await anext(devices)).dev_id for _ in range(2)] == ["node-0", "node-1"]
            sandbox.go_silent()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(anext(devices), 0.01)
            sandbox.go_silent(False)
            assert [device.dev_id async for device in devices] == ["node-2", "node-3"]

    asyncio.run(program())


def test_a_cancelled_call_ends_at_the_server_and_the_next_one_works(peer: PeerServer) -> None:
    reached, ended = threading.Event(), threading.Event()

    def answer(_request: bytes, context: grpc.ServicerContext) -> bytes:
        if reached.is_set():
            return b""
        context.add_callback(ended.set)
        reached.set()
        ended.wait(PATIENCE)
        return b""

    peer.answers["GetApplication"] = answer

    async def program() -> None:
        async with aio.ApplicationClient("demo-app", "key", peer.address, insecure_channel=True) as application:
            call = asyncio.ensure_future(application.get())
            assert await elsewhere(reached.wait, PATIENCE)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert await elsewhere(ended.wait, PATIENCE)
            await application.get()

    asyncio.run(program(), debug=True)


def test_failures_are_raised_where_they_are_awaited(sandbox: Sandbox) -> None:
    async def program() -> None:
        async with client_of(sandbox) as application:
            with pytest.raises(ApplicationError) as caught:
                await application.device("nobody")
            assert caught.value.code is StatusCode.NOT_FOUND
            with pytest.raises(TypeError, match="dev_id must be str"):
                await application.device(7)  # type: ignore[call-overload]
            with pytest.raises(TypeError, match="to must be an ApplicationClient"):
                await application.move_device("node-1", "other")  # type: ignore[arg-type]

    asyncio.run(program())
    with pytest.raises(TypeError, match="access_key"):
        aio.ApplicationClient("demo-app")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="a/b"):
        aio.ApplicationClient("a/b", "key")


def test_a_device_is_moved_between_clients(sandbox: Sandbox) -> None:
    sandbox.add_application("other-app", "key-2")

    async def program() -> None:
        async with (
            client_of(sandbox) as application,
            aio.ApplicationClient("other-app", "key-2", sandbox.handler_address, sandbox.ca_certs) as other,
        ):
            await application.register_device("node-1", {"dev_eui": "1" * 16})
            await application.move_device("node-1", other)
            assert (await other.device("node-1")).app_id == "other-app"

    asyncio.run(program())


def test_the_handler_is_discovered_without_holding_the_loop_up(sandbox: Sandbox) -> None:
    arguments = {"discovery_address": sandbox.discovery_address, "discovery_certificate": sandbox.ca_certs}

    async def program() -> None:
        application = aio.ApplicationClient(sandbox.app_id, sandbox.access_key, **arguments)  # type: ignore[arg-type]
        assert application.app_id == sandbox.app_id and "not discovered yet" in repr(application)
        sandbox.go_silent()
        waiting = [asyncio.ensure_future(application.get()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        sandbox.go_silent(False)
        assert [found.app_id for found in await asyncio.gather(*waiting[1:])] == [sandbox.app_id] * 2
        await application.aclose()
        handler = aio.HandlerClient(sandbox.app_id, sandbox.access_key, sandbox.discovery_address, sandbox.ca_certs)
        async with handler, await handler.application() as found:
            assert handler.announcement.net_address == sandbox.handler_address
            assert (await found.get()).app_id == sandbox.app_id
            async with await handler.data(client_id="by-discovery", ca_certs=sandbox.ca_certs) as client:
                assert client.is_connected and "by-discovery" in sandbox.clients
            handler.insecure_channel = not handler.insecure_channel
            handler.announcement = announcement = handler.announcement
            assert handler.announcement == announcement
        unknown = aio.HandlerClient("nobody", "key", sandbox.discovery_address, sandbox.ca_certs)
        with pytest.raises(RpcError, match="NOT_FOUND"):
            await unknown.application()
        async with aio.DiscoveryClient(sandbox.discovery_address, sandbox.ca_certs) as directory:
            assert len(await directory.get_all("handler")) == 1
            assert (await directory.get_by_app_id(sandbox.app_id)).net_address == sandbox.handler_address

    asyncio.run(program(), debug=True)


def test_a_client_belongs_to_one_loop(sandbox: Sandbox) -> None:
    application = client_of(sandbox)
    loops: list[asyncio.AbstractEventLoop] = []

    async def program() -> None:
        loops.append(asyncio.get_running_loop())
        await application.get()

    asyncio.run(program())
    with pytest.raises(RuntimeError, match="belongs to the event loop") as caught:
        asyncio.run(program())
    assert all(repr(loop).split()[0] in str(caught.value) for loop in loops)
    assert str(caught.value).count("EventLoop") == 2


def test_on_a_stack_lists_are_complete(stack: StackPeer) -> None:
    arguments = (APP, FULL, stack.address)
    options: dict[str, Any] = {"insecure_channel": True, "frequency_plan_id": "EU_863_870_TTN"}
    with ttn.ApplicationClient(*arguments, **options) as other:
        expected = [(device.dev_id, bytes(device.lorawan_device.dev_eui)) for device in other.devices(complete=True)]

    async def program() -> None:
        async with aio.ApplicationClient(*arguments, **options) as application:
            assert application.network == "v3"
            assert await application.rights()
            devices = [device async for device in application.devices()]
            calls = len(stack.requests)
            found = [(device.dev_id, bytes(device.lorawan_device.dev_eui)) for device in devices]
            assert found == expected
            # Nothing had to be asked for in the middle of the loop.
            assert len(stack.requests) == calls

    asyncio.run(program())


SILENT = """
import asyncio
from thingslink import aio
async def program():
    asyncio.get_running_loop().slow_callback_duration = 60
    client = aio.ApplicationClient("demo-app", "key", {address!r}, insecure_channel=True)
    tasks.extend(asyncio.ensure_future(client.get()) for _ in range(20))
    await asyncio.sleep(0)
tasks = []
asyncio.run(program(), debug=True)
"""


def test_a_program_may_end_with_calls_under_way() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        code = SILENT.format(address=f"127.0.0.1:{listener.getsockname()[1]}")
        child = subprocess.run(
            [sys.executable, "-X", "dev", "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    assert (child.stderr, child.returncode) == ("", 0)
