"""The ThingsBoard clients for asyncio, against the sandbox's server."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE
from thingslink import (
    LoginRefusedError,
    MessageTooLargeError,
    NotConnectedError,
    ThingsTimeoutError,
    aio,
)
from thingslink.aio.sandbox import ThingsBoard
from thingslink.tb_device_mqtt import TBDeviceMqttClient, TBPublishInfo, TBTimeoutException
from thingslink.tb_gateway_mqtt import TBGatewayMqttClient

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

TOKEN = "A1_TEST_TOKEN"
GATEWAY_TOKEN = "GATEWAY_TEST_TOKEN"


def run(program: Callable[[ThingsBoard], Awaitable[None]]) -> None:
    """Run a program beside a server, in the debug mode of asyncio."""

    async def all_of_it() -> None:
        # A machine that compiles beside it is no complaint.
        asyncio.get_running_loop().slow_callback_duration = PATIENCE
        async with ThingsBoard() as server:
            server.add_device("Pump", TOKEN)
            server.add_device("Gateway", GATEWAY_TOKEN, gateway=True)
            await program(server)

    asyncio.run(all_of_it(), debug=True)


def pump_of(server: ThingsBoard, **options: Any) -> aio.TBDeviceMqttClient:
    client = aio.TBDeviceMqttClient(server.host, server.port, TOKEN, **options)
    client.reconnect_delay_set(0.02, 0.2)
    return client


def gateway_of(server: ThingsBoard) -> aio.TBGatewayMqttClient:
    return aio.TBGatewayMqttClient(server.host, server.port, GATEWAY_TOKEN)


async def soon(awaitable: Awaitable[Any]) -> Any:
    return await asyncio.wait_for(awaitable, PATIENCE)


@pytest.mark.parametrize(
    ("ours", "other"),
    [(aio.TBDeviceMqttClient, TBDeviceMqttClient), (aio.TBGatewayMqttClient, TBGatewayMqttClient)],
)
def test_everything_of_the_other_face_is_there(ours: type[Any], other: type[Any]) -> None:
    #: What has callbacks there is a stream or a decorator here.
    elsewhere = {
        "clean_device_sub_dict",
        "unsubscribe_from_attribute",
        "gw_unsubscribe",
        "on_service_configuration",
        "service_configuration_callback",
        "add_attrs_request_timeout",
        "device_disconnect_callback",
        "devices_server_side_rpc_request_handler",
        "EMPTY_RATE_LIMIT",
    }
    for name in {name for name in dir(other) if not name.startswith("_")} - elsewhere:
        is_for_callbacks = name.startswith(("set_", "gw_set_", "subscribe_to", "gw_subscribe_to"))
        assert is_for_callbacks or hasattr(ours, name), name


def test_telemetry_is_sent_and_acknowledged() -> None:
    async def program(server: ThingsBoard) -> None:
        async with pump_of(server) as pump:
            assert pump.is_connected() and TOKEN not in repr(pump)
            info = await pump.send_telemetry({"temperature": 41.9})
            assert info.is_published() and info.mid()
            await pump.send_attributes({"model": "P1"})
            assert server.telemetry_of("Pump")[-1]["values"] == {"temperature": 41.9}
            assert server.attributes_of("Pump") == {"model": "P1"}
            await asyncio.gather(*(pump.send_telemetry({"n": n}) for n in range(100)))
            found = sorted(entry["values"]["n"] for entry in server.telemetry_of("Pump")[1:])
            assert found == list(range(100))
            await pump.send_telemetry({"quiet": 1}, quality_of_service=0)
        assert not pump.is_connected()

    run(program)


def test_what_becomes_of_a_send_that_fails_is_raised() -> None:
    async def program(server: ThingsBoard) -> None:
        async with pump_of(server) as pump:
            with pytest.raises(TypeError, match="JSON"):
                await pump.send_telemetry({"value": object()})
            # Its own question for the limits is not the message that is meant.
            await server.wait_for(lambda: pump.rate_limits_received, timeout=PATIENCE)
            server.withhold_acks(1)
            with pytest.raises(ThingsTimeoutError, match="not acknowledged yet"):
                await pump.send_telemetry({"value": 1}, timeout=0.2)
            with pytest.raises(MessageTooLargeError):
                await pump.send_attributes({"text": "x" * 70_000})
            # What is not acknowledged is waited for.
            await pump.aclose(timeout=0.1)
        with pytest.raises(NotConnectedError):
            await pump.send_telemetry({"value": 1}, timeout=0.1)

    run(program)


def test_a_send_waits_for_the_connection_and_nothing_else_waits_for_it() -> None:
    async def program(server: ThingsBoard) -> None:
        async with pump_of(server) as pump:
            changes = pump.connections()
            server.refuse_connections()
            server.cut()
            assert (await soon(anext(changes))).code == 7
            waiting = asyncio.ensure_future(pump.send_telemetry({"value": 1}, timeout=PATIENCE))
            withdrawn = asyncio.ensure_future(pump.send_telemetry({"value": 2}, timeout=PATIENCE))
            await asyncio.sleep(0)
            withdrawn.cancel()
            with pytest.raises(asyncio.CancelledError):
                await withdrawn
            assert not waiting.done()
            server.refuse_connections(False)
            assert (await waiting).is_published()
            assert [entry["values"] for entry in server.telemetry_of("Pump")] == [{"value": 1}]
            assert (await soon(anext(changes))).is_connected

    run(program)


def test_a_wrong_token_is_raised_on_enter() -> None:
    async def program(server: ThingsBoard) -> None:
        stranger = aio.TBDeviceMqttClient(server.host, server.port, "WRONG")
        with pytest.raises(LoginRefusedError, match="refused the login") as caught:
            async with stranger:
                raise AssertionError("let in")
        assert caught.value.code in {4, 5, 134, 135} and "WRONG" not in str(caught.value)
        server.go_silent()
        with pytest.raises(ThingsTimeoutError, match="did not answer the login"):
            await pump_of(server).connect(login_timeout=0.2)
        attempt = asyncio.ensure_future(pump_of(server).connect())
        await asyncio.sleep(0)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        server.go_silent(False)
        # None of them goes on.
        await server.wait_for(lambda: not server.connected)
        closed = aio.TBDeviceMqttClient(server.host, 1, TOKEN)
        with pytest.raises(ConnectionRefusedError):
            await closed.connect()

    run(program)


def test_what_handlers_give_is_the_answer() -> None:
    async def program(server: ThingsBoard) -> None:
        async with pump_of(server) as pump:
            entered = asyncio.Event()

            @pump.rpc("stop")
            async def stop(params: Any) -> Any:
                # It may send and ask: others are answered meanwhile.
                entered.set()
                await pump.send_telemetry({"stopped": params})
                found = await pump.request_attributes(shared_keys="limit")
                return {"was": params, **found}

            @pump.rpc("name")
            def name(params: Any) -> str:
                return "5"

            @pump.rpc()
            async def other(method: str, params: Any) -> list[Any]:
                return [method, params]

            server.set_shared("Pump", {"limit": 7})
            assert await server.rpc("Pump", "stop", 3, timeout=PATIENCE) == {"was": 3, "shared": {"limit": 7}}
            assert entered.is_set()
            assert await server.rpc("Pump", "name", timeout=PATIENCE) == "5"
            assert await server.rpc("Pump", "anything", [1], timeout=PATIENCE) == ["anything", [1]]
            both = [server.rpc("Pump", "echo", number, timeout=PATIENCE) for number in range(20)]
            assert await asyncio.gather(*both) == [["echo", number] for number in range(20)]
            with pytest.raises(TypeError, match="handler"):
                pump.rpc("bad")(lambda: None)

    run(program)


def test_a_handler_that_hangs_ends_with_the_client() -> None:
    async def program(server: ThingsBoard) -> None:
        entered, ended = asyncio.Event(), asyncio.Event()
        async with pump_of(server) as pump:

            @pump.rpc("hang")
            async def hang(params: Any) -> None:
                entered.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    ended.set()

            call = asyncio.ensure_future(server.rpc("Pump", "hang", timeout=0.5))
            await soon(entered.wait())
        assert ended.is_set()
        with pytest.raises((ThingsTimeoutError, ValueError)):
            await call

    run(program)


def test_updates_of_attributes_are_a_stream() -> None:
    async def program(server: ThingsBoard) -> None:
        async with pump_of(server) as pump:
            limits, everything = pump.attribute_updates("limit"), pump.attribute_updates()
            server.set_shared("Pump", {"other": 1})
            server.set_shared("Pump", {"limit": 1})
            server.delete_shared("Pump", "limit")
            assert await soon(anext(limits)) == {"limit": 1}
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.shield(asyncio.Event().wait()), 0.001)
            assert await soon(anext(limits)) == {"deleted": ["limit"]}
            assert [await soon(anext(everything)) for _ in range(3)] == [
                {"other": 1},
                {"limit": 1},
                {"deleted": ["limit"]},
            ]
            for number in range(50):
                waiting = asyncio.ensure_future(anext(limits))
                await asyncio.sleep(0)
                waiting.cancel()
                server.set_shared("Pump", {"limit": number})
                with pytest.raises(asyncio.CancelledError):
                    await waiting
                assert await soon(anext(limits)) == {"limit": number}
            await limits.aclose()
            assert [update async for update in limits] == []
        assert len([update async for update in everything]) == 50

    run(program)


def test_requests_give_their_answers() -> None:
    async def program(server: ThingsBoard) -> None:
        server.script("sum", 5)
        server.set_shared("Pump", {"limit": 7})
        async with pump_of(server) as pump:
            await pump.send_attributes({"model": "P1"})
            assert await pump.request_attributes("model", ["limit"]) == {
                "client": {"model": "P1"},
                "shared": {"limit": 7},
            }
            assert await pump.send_rpc_call("sum", [2, 3], timeout=PATIENCE) == 5
            server.leave_unanswered("nothing")
            with pytest.raises(TBTimeoutException):
                await pump.send_rpc_call("nothing", timeout=0.2)
            await pump.claim("secret", 60_000)
            lost = asyncio.ensure_future(pump.send_rpc_call("nothing"))
            # It is accepted in its first step.
            await asyncio.sleep(0)
            server.cut()
            with pytest.raises(ConnectionError, match="no answer"):
                await lost

    run(program)


def test_devices_behind_a_gateway() -> None:
    async def program(server: ThingsBoard) -> None:
        async with gateway_of(server) as gateway:

            @gateway.gw_rpc("open")
            async def open_valve(device: str, params: Any) -> dict[str, Any]:
                return {"device": device, "params": params}

            updates = gateway.gw_attribute_updates("Valve", "limit")
            await gateway.gw_connect_device("Valve")
            await asyncio.gather(*(gateway.gw_send_telemetry("Valve", {"n": n}) for n in range(20)))
            await gateway.gw_send_attributes("Valve", {"model": "V1"})
            assert len(server.telemetry_of("Valve")) == 20
            answer = await server.rpc("Valve", "open", 1, timeout=PATIENCE)
            assert answer == {"device": "Valve", "params": 1}
            server.set_shared("Valve", {"limit": 7})
            assert await soon(anext(updates)) == {"device": "Valve", "data": {"limit": 7}}
            found = await gateway.gw_request_shared_attributes("Valve", "limit")
            assert found["device"] == "Valve" and 7 in {found.get("value"), found.get("values", {}).get("limit")}
            dropped = gateway.gw_dropped_devices()
            server.drop_device("Valve")
            assert (await soon(anext(dropped)))["device"] == "Valve"
            await gateway.gw_disconnect_device("Valve")
            await gateway.send_telemetry({"own": 1})

    run(program)


def test_packages_are_a_stream() -> None:
    async def program(server: ThingsBoard) -> None:
        async with pump_of(server) as pump:
            packages = pump.packages()
            await pump.get_firmware_update()
            server.offer_firmware("Pump", "pump", "2.0", b"\x01" * 1000)
            package = await soon(anext(packages))
            assert (package.kind, package.version, package.data) == ("fw", "2.0", b"\x01" * 1000)

    run(program)


def blocking() -> list[str]:
    """Give the threads to which asyncio gives what would block."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("asyncio_")]


def test_packages_hold_no_thread_up() -> None:
    async def program(server: ThingsBoard) -> None:
        server.offer_firmware("Pump", "pump", "2.0", b"\x01" * 1000)
        async with pump_of(server) as pump:
            changes, packages = pump.connections(), pump.packages()
            server.refuse_connections()
            server.cut()
            assert not (await soon(anext(changes))).is_connected
            before = blocking()
            tasks = [asyncio.ensure_future(pump.get_firmware_update()) for _ in range(10)]
            tasks += [asyncio.ensure_future(pump.update_software_info(version="v7")) for _ in range(10)]
            await asyncio.sleep(0)
            # The threads to which asyncio gives what would block.
            assert blocking() == before
            for task in tasks:
                task.cancel()
            assert {type(end) for end in await asyncio.gather(*tasks, return_exceptions=True)} == {
                asyncio.CancelledError
            }
            server.refuse_connections(False)
            # What was to be told is told all the same.
            package = await soon(anext(packages))
            assert package.data == b"\x01" * 1000
            told = [entry["values"].get("current_sw_version") for entry in server.telemetry_of("Pump")]
            assert told.count("v7") == 10

    run(program)


def test_what_nobody_waits_for_any_more_is_forgotten() -> None:
    async def program(server: ThingsBoard) -> None:
        server.leave_unanswered("nothing")
        async with pump_of(server) as pump, gateway_of(server) as gateway:
            await gateway.gw_connect_device("Valve")
            asking: list[tuple[Any, Any]] = [
                (pump, lambda: pump.send_rpc_call("nothing")),
                (pump, lambda: pump.request_attributes("model")),
                (gateway, lambda: gateway.gw_request_shared_attributes("Valve", "limit")),
                (gateway, lambda: gateway.gw_request_client_attributes("Valve", "limit")),
            ]
            server.go_silent()
            for client, ask in asking:
                tasks = [asyncio.ensure_future(ask()) for _ in range(20)]
                await asyncio.sleep(0)
                assert client._core._native_waiting == 20
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                assert client._core._native_waiting == 0
            server.go_silent(False)
            # One that was answered, and one that the server does not answer in time.
            await pump.request_attributes("model")
            server.withhold_acks(1)
            with pytest.raises(ThingsTimeoutError):
                await pump.send_rpc_call("nothing", timeout=0.1)
            assert pump._core._native_waiting == 0
            await pump.aclose(timeout=0.1)

    run(program)


def test_a_device_is_provisioned() -> None:
    async def program(server: ThingsBoard) -> None:
        server.allow_provisioning("key", "secret")
        answer = await aio.TBDeviceMqttClient.provision(server.host, "key", "secret", server.port, "New")
        assert answer is not None and answer["status"] == "SUCCESS"
        async with aio.TBDeviceMqttClient(server.host, server.port, answer["credentialsValue"]) as device:
            await device.send_telemetry({"n": 1})
        assert len(server.telemetry_of("New")) == 1

    run(program)


def test_a_client_belongs_to_one_loop_until_it_is_closed() -> None:
    with __import__("thingslink").sandbox.ThingsBoard() as server:
        server.add_device("Pump", TOKEN)
        pump = aio.TBDeviceMqttClient(server.host, server.port, TOKEN)

        async def use() -> None:
            async with pump:
                await pump.send_telemetry({"n": 1})

        asyncio.run(use())
        asyncio.run(use())
        first = asyncio.new_event_loop()
        first.run_until_complete(pump.connect())
        with pytest.raises(RuntimeError, match="belongs to the event loop") as caught:
            asyncio.run(use())
        assert str(caught.value).count("EventLoop") == 2
        first.run_until_complete(pump.aclose())
        first.close()
        assert len(server.telemetry_of("Pump")) == 2


def test_a_client_that_nobody_holds_is_collected() -> None:
    seen: list[weakref.ref[Any]] = []

    async def program(server: ThingsBoard) -> None:
        async with pump_of(server) as pump:
            pump.rpc("stop")(lambda params: None)
            updates = pump.attribute_updates("limit")
            # Also in the middle of its life.
            gc.collect()
            server.set_shared("Pump", {"limit": 1})
            assert await soon(anext(updates)) == {"limit": 1}
        seen.append(weakref.ref(pump))
        idle = pump_of(server)
        seen.append(weakref.ref(idle))
        forgotten = weakref.ref(idle.connections())
        gc.collect()
        assert forgotten() is None

    run(program)
    for _ in range(3):
        gc.collect()
    assert [one() for one in seen] == [None, None]


def test_the_info_of_the_other_face_can_be_awaited() -> None:
    async def program(server: ThingsBoard) -> None:
        pump = TBDeviceMqttClient(server.host, server.port, TOKEN)
        await asyncio.to_thread(pump.connect)
        try:
            info = pump.send_telemetry({"n": 1})
            assert await info == TBPublishInfo.TB_ERR_SUCCESS == await info
            assert info.is_published()
            server.withhold_acks(1)
            assert await pump.send_telemetry({"n": 2}, timeout=0.2) == TBPublishInfo.TB_ERR_AGAIN
            codes = await asyncio.gather(*(pump.send_telemetry({"n": n}) for n in range(100)))
            assert set(codes) == {0}
        finally:
            await asyncio.to_thread(pump.disconnect, timeout=1)
        with pytest.raises(TypeError, match="can be awaited"):
            await TBPublishInfo(info.message_info)

    run(program)


PENDING = """
import asyncio, contextlib, logging
from thingslink import aio
from thingslink.sandbox import ThingsBoard

# That the server goes is told there, and no complaint.
for name in ("thingslink", "tb_connection"):
    logging.getLogger(name).setLevel(60)

async def quietly(awaitable):
    # That a closed client sends no more is raised, and a stream's end.
    with contextlib.suppress(RuntimeError, StopAsyncIteration, ConnectionError):
        await awaitable

async def program(host, port):
    asyncio.get_running_loop().slow_callback_duration = 60
    pump = aio.TBDeviceMqttClient(host, port, "A1_TEST_TOKEN")
    await pump.connect()
    updates = pump.attribute_updates()
    server.withhold_acks(1000)
    work = [pump.send_telemetry({"n": n}, timeout=60) for n in range(50)]
    work += [anext(updates), pump.send_rpc_call("nothing")]
    tasks = [asyncio.ensure_future(quietly(one)) for one in work]
    await asyncio.sleep(0)
    {end}
    keep.extend(tasks)

keep = []
with ThingsBoard() as server:
    server.add_device("Pump", "A1_TEST_TOKEN")
    asyncio.run(program(server.host, server.port), debug=True)
    {tail}
"""


@pytest.mark.parametrize("end", ["pass", "await pump.aclose(timeout=0.1)", "asyncio.ensure_future(pump.aclose())"])
@pytest.mark.parametrize("tail", ["pass", 'server.set_shared("Pump", {"limit": 1})'])
def test_a_program_may_end_with_work_pending(end: str, tail: str) -> None:
    child = subprocess.run(
        [
            sys.executable,
            "-X",
            "dev",
            "-c",
            PENDING.replace("{end}", end).replace("{tail}", tail),
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (child.stderr, child.returncode) == ("", 0)
