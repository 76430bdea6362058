"""The MQTT client for asyncio: connecting, streams, acknowledgement, cancellation, the end of loops."""

from __future__ import annotations

import asyncio
import gc
import logging
import resource
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest
from faces import run
from harness import PATIENCE, RawServer, publish
from thingslink import MessageTooLargeError, NotConnectedError, aio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from thingslink.sandbox import Sandbox

KEEPING: dict[str, Any] = {"qos": 1, "clean_session": False, "client_id": "keeper"}
QUICK: dict[str, Any] = {"reconnect_min_delay": 0.02, "reconnect_max_delay": 0.2}


def client_of(sandbox: Sandbox, **options: Any) -> aio.MQTTClient:
    address = options.pop("address", sandbox.mqtt_address)
    return aio.MQTTClient(sandbox.app_id, sandbox.access_key, address, **{**QUICK, **options})


def raw_client(server: RawServer, **options: Any) -> aio.MQTTClient:
    return aio.MQTTClient("demo-app", "key", server.address, **{**QUICK, **options})


async def eventually(holds: Callable[[], object]) -> None:
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not holds():
        assert asyncio.get_running_loop().time() < deadline, "it did not come to that"
        await asyncio.sleep(0.005)


def peak_mb() -> float:
    """The most memory that this process ever had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def uplink(number: int, dev_id: str = "node-1", **options: Any) -> bytes:
    body = b'{"app_id":"demo-app","dev_id":"%s","counter":%d}' % (dev_id.encode(), number)
    return publish(f"demo-app/devices/{dev_id}/up", body, **options)


def test_uplinks_come_in_order_and_downlinks_are_acknowledged(sandbox: Sandbox) -> None:
    device = sandbox.device("node-1")

    async def program() -> None:
        client = client_of(sandbox, qos=1)
        stream = client.uplinks()
        assert "not connected" in repr(client) and client.app_id == sandbox.app_id
        async with client:
            assert client.is_connected and "not connected" not in repr(client)
            device.uplink()
            counters = []
            async for msg in stream:
                counters.append(msg.counter)
                downlink = await client.send(msg.dev_id, bytes([msg.counter]), confirmation=True, schedule="last")
                assert int(downlink) == downlink.mid > 0 and downlink.dev_id == "node-1"
                if len(counters) == 5:
                    break
                device.uplink()
            assert counters == sorted(counters)
            await client.flush()
            assert client.stats()["sent"] == 5
        assert not client.is_connected
        with pytest.raises(StopAsyncIteration):
            await stream.__anext__()
        with pytest.raises(NotConnectedError):
            await client.send("node-1", b"\x01")

    run(program())
    assert len(device.received) + len(device.downlinks) == 5


def test_streams_are_subscriptions_of_their_own(raw_server: RawServer) -> None:
    async def program() -> None:
        client = raw_client(raw_server)
        everything, one, other = client.uplinks(), client.uplinks(dev_id="node-1"), client.uplinks(dev_id="node-2")
        events = client.events("down/sent")
        async with client:
            for number, dev_id in enumerate(["node-1", "node-2", "node-1"]):
                raw_server.send(uplink(number, dev_id))
            raw_server.send(publish("demo-app/devices/node-2/events/down/sent", b'{"payload":"AQ=="}'))
            event = await events.__anext__()
            assert (event.dev_id, event.name) == ("node-2", "down/sent")
            assert [(await everything.__anext__()).counter for _ in range(3)] == [0, 1, 2]
            assert [(await one.__anext__()).counter for _ in range(2)] == [0, 2]
            assert (await other.__anext__()).counter == 1
            await other.aclose()
            raw_server.send(uplink(3, "node-2"))
            assert (await everything.__anext__()).counter == 3
            with pytest.raises(StopAsyncIteration):
                await other.__anext__()

    run(program())


def test_a_message_is_acknowledged_when_the_next_is_asked_for(sandbox: Sandbox) -> None:
    device = sandbox.device("node-1")

    async def program() -> None:
        async with client_of(sandbox, **KEEPING) as client:
            for _ in range(3):
                device.uplink()
            stream = client.uplinks()
            assert (await stream.__anext__()).counter == 0
            await asyncio.sleep(0.05)
            assert sandbox.backlog("keeper") == 3
            assert (await stream.__anext__()).counter == 1
            await eventually(lambda: sandbox.backlog("keeper") == 2)
            third = await stream.__anext__()
            await eventually(lambda: sandbox.backlog("keeper") == 1)
            third.ack()
            third.ack()
            await eventually(lambda: sandbox.backlog("keeper") == 0)

    run(program())


def test_what_was_left_in_the_middle_comes_again(sandbox: Sandbox) -> None:
    device = sandbox.device("node-1")

    async def program() -> None:
        async with client_of(sandbox, **KEEPING) as client:
            for _ in range(5):
                device.uplink()
            seen = []
            async for msg in client.uplinks():
                seen.append(msg.counter)
                if msg.counter == 2:
                    break
            gc.collect()
            stream = client.uplinks()
            seen += [(await stream.__anext__()).counter for _ in range(2)]
            assert seen == [0, 1, 2, 2, 3]
        async with client:
            stream = client.uplinks()
            assert [(await stream.__anext__()).counter for _ in range(2)] == [3, 4]
            with pytest.raises(TimeoutError if sys.version_info >= (3, 11) else asyncio.TimeoutError):
                await asyncio.wait_for(stream.__anext__(), 0.05)
        assert sandbox.backlog("keeper") == 0

    run(program())


def test_waiting_that_is_cancelled_loses_nothing(raw_server: RawServer) -> None:
    total, times = 2000, 10_000

    async def program() -> None:
        client = raw_client(raw_server)
        stream = client.uplinks()
        seen: list[int] = []
        async with client:

            async def feed() -> None:
                for number in range(total):
                    raw_server.send(uplink(number))
                    if number % 3 == 0:
                        await asyncio.sleep(0)

            feeding = asyncio.create_task(feed())
            cancelled = 0
            while len(seen) < total or cancelled < times:
                try:
                    seen.append((await asyncio.wait_for(stream.__anext__(), 0.00001)).counter)
                except asyncio.TimeoutError:
                    cancelled += 1
            await feeding
        assert seen == list(range(total))

    asyncio.run(program())


def test_a_flood_arrives_with_default_settings(raw_server: RawServer) -> None:
    total = 600_000

    async def program() -> None:
        client = raw_client(raw_server)
        stream, most, number = client.uplinks(), 0, 0
        async with client:
            everything = b"".join(map(uplink, range(total)))
            before = peak_mb()
            sending = asyncio.get_running_loop().run_in_executor(None, raw_server.send, everything)
            async for msg in stream:
                assert msg.counter == number
                number += 1
                if number % 10_000 == 0:
                    most = max(most, client.stats()["queue_length"])
                if number == total:
                    break
            await sending
        # The bound, and what one read of the socket brings beyond it.
        assert client.stats()["dropped"] == 0 and most <= 110_000
        # Of 128 MiB that may wait no more than what waited of these small ones, and what the allocator keeps of it.
        assert peak_mb() - before < 250

    asyncio.run(program())


def test_batches_are_lists_of_what_is_there(raw_server: RawServer) -> None:
    async def program() -> None:
        client = raw_client(raw_server)
        stream = client.uplinks()
        for wrong, error in ((0, ValueError), (True, TypeError), ("5", TypeError)):
            with pytest.raises(error, match="max"):
                stream.batches(max=wrong)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="within"):
            stream.batches(within=0)
        async with client:
            raw_server.send(b"".join(uplink(number) for number in range(25)))
            batches = stream.batches(max=10, within=0.2)
            for _ in range(5):
                # Cancelled while it gathers: nothing is lost.
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(stream.batches(max=1000, within=PATIENCE).__anext__(), 0.02)
            found = [[msg.counter for msg in await batches.__anext__()] for _ in range(3)]
        assert found == [list(range(10)), list(range(10, 20)), list(range(20, 25))]
        with pytest.raises(StopAsyncIteration):
            await batches.__anext__()

    run(program())


def test_a_batch_is_acknowledged_when_the_next_is_asked_for(sandbox: Sandbox) -> None:
    device = sandbox.device("node-1")

    async def program() -> None:
        async with client_of(sandbox, **KEEPING) as client:
            for _ in range(4):
                device.uplink()
            await eventually(lambda: client.stats()["received"] == 4)
            batches = client.uplinks().batches(max=3, within=0.1)
            assert len(await batches.__anext__()) == 3
            assert sandbox.backlog("keeper") == 4
            assert len(await batches.__anext__()) == 1
            await eventually(lambda: sandbox.backlog("keeper") == 1)
        assert sandbox.backlog("keeper") == 1

    run(program())


def test_a_slow_reader_stops_the_network_and_loses_nothing(raw_server: RawServer) -> None:
    total = 30_000

    async def program() -> None:
        client = raw_client(raw_server, queue_messages=100)
        stream, others = client.uplinks(), 0
        async with client:
            everything = b"".join(uplink(number) for number in range(total))
            sending = asyncio.get_running_loop().run_in_executor(None, raw_server.send, everything)
            seen = []
            for _ in range(total):
                seen.append((await stream.__anext__()).counter)
                # The bound, and what one read of the socket brings beyond it.
                assert client.stats()["queue_length"] <= 8000
                others += 1
                if others % 1000 == 0:
                    await asyncio.sleep(0.001)
            await sending
        assert seen == list(range(total))
        assert client.stats()["dropped"] == 0

    run(program())


def test_a_full_stream_may_drop_the_oldest(raw_server: RawServer, caplog: pytest.LogCaptureFixture) -> None:
    async def program() -> None:
        client = raw_client(raw_server, queue_messages=10, overflow="drop_oldest")
        stream, slow = client.uplinks(), client.uplinks()
        async with client:
            for number in range(50):
                raw_server.send(uplink(number))
                assert (await stream.__anext__()).counter == number
            assert len([await slow.__anext__() for _ in range(10)]) == 10
            assert client.stats()["dropped"] == 40

    with caplog.at_level(logging.WARNING):
        run(program())
    assert "dropping its oldest messages" in caplog.text


def test_a_reader_in_a_flood_lets_others_have_their_turn(raw_server: RawServer) -> None:
    async def program() -> None:
        client = raw_client(raw_server)
        stream = client.uplinks()
        async with client:
            block = b"".join(uplink(number) for number in range(1000))
            ended = False

            def flood() -> None:
                while not ended:
                    raw_server.send(block)

            sending = asyncio.get_running_loop().run_in_executor(None, flood)
            ticks = 0

            async def tick() -> None:
                nonlocal ticks
                while ticks < 20:
                    await asyncio.sleep(0)
                    ticks += 1

            ticking = asyncio.create_task(tick())
            async for _ in stream:
                if ticks == 20:
                    break
            ended = True
            await ticking
            await stream.aclose()
            await sending

    run(program())


def test_what_is_sent_while_the_queue_is_full_waits_for_room(sandbox: Sandbox) -> None:
    device = sandbox.device("node-1")

    async def program() -> None:
        async with client_of(sandbox, qos=1, send_queue_messages=2) as client:
            sent = await asyncio.gather(
                *(client.send("node-1", bytes([number]), schedule="last") for number in range(20))
            )
            assert len({downlink.mid for downlink in sent}) == 20

    run(program())
    assert sorted(device.downlinks) == [bytes([number]) for number in range(20)]


def test_a_reader_that_sends_is_not_held_up_by_what_it_has_not_read(sandbox: Sandbox) -> None:
    devices = [sandbox.device(f"node-{number}") for number in range(2)]

    async def program() -> None:
        async with client_of(sandbox, queue_messages=4, **KEEPING) as client:
            for _ in range(20):
                for device in devices:
                    device.uplink()
            seen = 0
            async for msg in client.uplinks():
                await client.send(msg.dev_id, bytes([seen]), schedule="last")
                seen += 1
                if seen == 40:
                    break

    run(program())
    assert sum(len(device.downlinks) for device in devices) == 40


def test_a_cancelled_send_stays_accepted(sandbox: Sandbox) -> None:
    device = sandbox.device("node-1")

    async def program() -> None:
        async with client_of(sandbox, qos=1) as client:
            sandbox.withhold_acks(1)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.send("node-1", b"\x07"), 0.05)
            assert client.stats()["unsent"] == 1
            sandbox.cut()
            await client.flush(timeout=PATIENCE)
            await client.send("node-1", b"\x08", schedule="last")

    run(program())
    assert b"\x07" in device.downlinks and device.downlinks[-1] == b"\x08"


def test_a_send_that_is_not_acknowledged_before_the_end_says_so(sandbox: Sandbox) -> None:
    sandbox.device("node-1")

    async def program() -> None:
        async with client_of(sandbox, qos=1) as client:
            sandbox.withhold_acks(1)
            sending = asyncio.create_task(client.send("node-1", b"\x07"))
            await eventually(lambda: client.stats()["unsent"] == 1)
            await client.aclose(timeout=0.1)
            with pytest.raises(NotConnectedError):
                await sending

    run(program())


def test_arguments_are_judged_as_by_the_other_client(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="qos"):
        client_of(sandbox, qos=2)
    with pytest.raises(ValueError, match="client_id"):
        client_of(sandbox, clean_session=False)
    with pytest.raises(TypeError):
        client_of(sandbox, colour="blue")

    async def program() -> None:
        client = client_of(sandbox)
        with pytest.raises(NotConnectedError):
            await client.uplinks().__anext__()
        with pytest.raises(ValueError, match="A\\+B"):
            client.uplinks(dev_id="A+B")
        with pytest.raises(ValueError, match="event"):
            client.events("#")  # type: ignore[arg-type]
        async with client:
            with pytest.raises(ValueError, match="port 0"):
                await client.send("node-1", b"\x01", port=0)
            with pytest.raises(MessageTooLargeError):
                await client.send("node-1", bytes(243))
            with pytest.raises(ValueError, match="concurrency"):
                await client.run(print, concurrency=0)  # type: ignore[arg-type]
            with pytest.raises(TypeError, match=r"expected callback\(message\)"):
                await client.run(lambda: None)  # type: ignore[arg-type,misc]
            with pytest.raises(TypeError, match="handler"):
                await client.run(5)  # type: ignore[arg-type]

    run(program())


def test_a_connection_that_is_not_made_anew_ends_streams(raw_server: RawServer) -> None:
    async def program() -> None:
        client = raw_client(raw_server, reconnect=False)
        stream = client.uplinks()
        async with client:
            raw_server.send(uplink(1))
            assert (await stream.__anext__()).counter == 1
            raw_server.connections[-1].shutdown(2)
            with pytest.raises(ConnectionError):
                await stream.__anext__()

    run(program())


def test_connect_that_is_cancelled_leaves_no_connection(raw_server: RawServer) -> None:
    raw_server.answers = False

    async def program() -> None:
        client = raw_client(raw_server)
        # Its subscription is not answered.
        stream = client.uplinks()
        connecting = asyncio.create_task(client.connect())
        await eventually(lambda: raw_server.connections)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        assert not client.is_connected
        raw_server.answers = True
        async with client:
            raw_server.send(uplink(1))
            assert (await stream.__anext__()).counter == 1

    run(program())


def test_aclose_goes_on_when_it_is_cancelled(sandbox: Sandbox) -> None:
    async def program() -> None:
        client = client_of(sandbox)
        await client.connect()
        closing = asyncio.create_task(client.aclose())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        await eventually(lambda: not client.is_connected)
        await client.aclose()
        await client.aclose()

    run(program())


def test_one_stream_has_one_reader(raw_server: RawServer) -> None:
    async def program() -> None:
        client = raw_client(raw_server)
        stream = client.uplinks()
        async with client:
            first = asyncio.ensure_future(stream.__anext__())
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="another task"):
                await stream.__anext__()
            raw_server.send(uplink(1))
            assert (await first).counter == 1

    run(program())


def test_another_loop_is_refused_and_named(sandbox: Sandbox) -> None:
    other = asyncio.new_event_loop()
    sandbox.device("node-1")

    async def program() -> None:
        async with client_of(sandbox) as client:
            stream = client.uplinks()

            def elsewhere() -> None:
                for call in (client.connect, lambda: client.send("node-1", b"\x01"), stream.__anext__, client.aclose):
                    with pytest.raises(RuntimeError, match=r"belongs to the event loop .* and is used on"):
                        other.run_until_complete(call())

            await asyncio.get_running_loop().run_in_executor(None, elsewhere)
            await client.send("node-1", b"\x01")

    try:
        run(program())
    finally:
        other.close()


def test_a_client_may_be_used_on_one_loop_after_the_other(sandbox: Sandbox) -> None:
    client = client_of(sandbox)
    device = sandbox.device("node-1")

    async def program(number: int) -> None:
        stream = client.uplinks()
        async with client:
            device.uplink()
            assert (await stream.__anext__()).counter == number

    for number in range(3):
        run(program(number))


def test_a_loop_that_is_closed_before_its_client_leaves_no_complaint(
    sandbox: Sandbox, recwarn: pytest.WarningsRecorder
) -> None:
    device = sandbox.device("node-1")
    client = client_of(sandbox, **KEEPING)

    async def program() -> None:
        await client.connect()
        stream = client.uplinks()
        device.uplink()
        assert (await stream.__anext__()).counter == 0
        waiting = asyncio.ensure_future(stream.__anext__())
        await asyncio.sleep(0)
        assert not waiting.done()
        kept.append(stream)

    kept: list[Any] = []
    run(program())
    for _ in range(20):
        device.uplink()
    # The server has it back, and nothing was acknowledged that nobody has read.
    sandbox.wait_for(lambda: not client.is_connected, timeout=PATIENCE)
    assert sandbox.backlog("keeper") == 20

    async def again() -> None:
        async with client:
            stream = client.uplinks()
            assert [(await stream.__anext__()).counter for _ in range(20)] == list(range(1, 21))

    run(again())


def test_a_client_that_is_dropped_unclosed_warns(sandbox: Sandbox) -> None:
    async def program() -> None:
        client = client_of(sandbox)
        await client.connect()
        with pytest.warns(ResourceWarning, match="was not closed"):
            del client

    run(program())


def test_programs_leave_in_the_middle_of_everything(sandbox: Sandbox) -> None:
    program = textwrap.dedent("""
        import asyncio, sys
        from thingslink import aio

        async def reading(client):
            async for msg in client.uplinks():
                await client.send(msg.dev_id, b"\\x01")

        async def main():
            asyncio.get_running_loop().slow_callback_duration = 60
            client = aio.MQTTClient(*sys.argv[1:4], qos=1)
            await client.connect()
            tasks = [asyncio.create_task(reading(client)) for _ in range(3)]
            tasks += [asyncio.create_task(client.send("node-1", b"\\x02", schedule="last")) for _ in range(20)]
            tasks += [asyncio.create_task(client.run(print, concurrency=4))]
            for _ in range(int(sys.argv[4])):
                await asyncio.sleep(0)
            return tasks  # asyncio itself does not hold them

        asyncio.run(main(), debug=True)
    """)
    device = sandbox.device("node-1")
    for turns in range(8):
        device.uplink()
        arguments = (sandbox.app_id, sandbox.access_key, sandbox.mqtt_address, str(turns * 7))
        outcome = subprocess.run(
            [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=PATIENCE * 3
        )
        assert outcome.returncode == 0 and outcome.stderr == "", outcome.stderr


def test_loops_end_with_work_pending(sandbox: Sandbox) -> None:
    program = textwrap.dedent("""
        import asyncio, sys
        from thingslink import aio

        async def reading(client):
            async for msg in client.uplinks():
                await client.send(msg.dev_id, b"\\x01")

        async def main(turns):
            asyncio.get_running_loop().slow_callback_duration = 60
            client = aio.MQTTClient(*sys.argv[1:4], qos=1)
            tasks = [asyncio.ensure_future(client.connect())]
            if turns % 4:
                await tasks[0]
                sends = [client.send("node-1", b"\\x02", schedule="last") for _ in range(5)]
                tasks += [asyncio.ensure_future(task) for task in (*sends, reading(client), client.run(print))]
            for _ in range(turns % 30):
                await asyncio.sleep(0)
            return tasks  # asyncio itself does not hold them

        for turns in range(240):
            asyncio.run(main(turns), debug=True)
        print("ended")
    """)
    arguments = (sandbox.app_id, sandbox.access_key, sandbox.mqtt_address)
    sandbox.device("node-1").uplink()
    outcome = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=PATIENCE * 3
    )
    assert (outcome.stderr, outcome.stdout, outcome.returncode) == ("", "ended\n", 0)


def test_the_broker_may_go_inside_a_loop(sandbox: Sandbox) -> None:
    device = sandbox.device("node-1")
    rounds, each = 30, 10

    async def program() -> None:
        counters: list[int] = []
        async with client_of(sandbox, **KEEPING) as client:
            stream = client.uplinks()
            for _ in range(rounds):
                for _ in range(each):
                    device.uplink()
                for number in range(each):
                    counters.append((await stream.__anext__()).counter)
                    if number == each // 2:
                        await asyncio.get_running_loop().run_in_executor(None, sandbox.restart)
            while len(set(counters)) < rounds * each:
                counters.append((await stream.__anext__()).counter)
        assert list(dict.fromkeys(counters)) == list(range(rounds * each))

    run(program())


async def until(client: aio.MQTTClient, handler: Callable[[Any], Awaitable[object]], done: Callable[[], Any]) -> None:
    """Let handlers run until it is done."""
    running = asyncio.create_task(client.run(handler, concurrency=8))
    await eventually(done)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


def test_handlers_of_one_device_run_in_order_and_others_at_the_same_time(sandbox: Sandbox) -> None:
    devices = [sandbox.device(f"node-{number}") for number in range(4)]
    handled: dict[str, list[int]] = {}
    at_once = most = 0

    async def handler(msg: Any) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.001)
        handled.setdefault(msg.dev_id, []).append(msg.counter)
        at_once -= 1

    async def program() -> None:
        async with client_of(sandbox, **KEEPING) as client:
            for _ in range(20):
                for device in devices:
                    device.uplink()
            await until(client, handler, lambda: sum(map(len, handled.values())) == 80)
            await eventually(lambda: sandbox.backlog("keeper") == 0)

    run(program())
    assert handled == {f"node-{number}": list(range(20)) for number in range(4)}
    assert 1 < most <= 4


@pytest.mark.parametrize("keeps", [False, True])
def test_a_handler_that_raises_hangs_or_is_cancelled_holds_up_nobody_else(
    sandbox: Sandbox, keeps: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[BaseException] = []
    monkeypatch.setattr("thingslink.aio._runner._callback_failed", lambda client, error: failures.append(error))
    devices = [sandbox.device(f"node-{number}") for number in range(4)]
    handled: dict[str, list[int]] = {}

    async def handler(msg: Any) -> None:
        if msg.dev_id == "node-0":
            raise OSError("the database is away")
        if msg.dev_id == "node-1":
            await asyncio.Event().wait()
        if msg.dev_id == "node-2":
            raise asyncio.CancelledError
        handled.setdefault(msg.dev_id, []).append(msg.counter)

    async def program() -> None:
        options = {"on_callback_error": "keep"} if keeps else {}
        async with client_of(sandbox, **KEEPING, **options) as client:
            for _ in range(5):
                for device in devices:
                    device.uplink()
            left = 15 if keeps else 5
            await until(client, handler, lambda: len(failures) == 10 and handled and sandbox.backlog("keeper") == left)
            assert client.stats()["callback_errors"] == 10 and client.stats()["kept"] == (10 if keeps else 0)
            assert handled == {"node-3": list(range(5))}
            # What hung comes again, in order.
            stream = client.uplinks(dev_id="node-1")
            assert [(await stream.__anext__()).counter for _ in range(5)] == list(range(5))

    run(program())
    assert caplog.text.count("the database is away") >= 5


def test_run_ends_with_its_client(sandbox: Sandbox) -> None:
    device = sandbox.device("node-1")

    async def program() -> None:
        handled = asyncio.Event()

        async def handler(msg: Any) -> None:
            handled.set()

        async with client_of(sandbox, **KEEPING) as client:
            device.uplink()
            running = asyncio.create_task(client.run(handler))
            await handled.wait()
        await running

    run(program())


def test_it_works_under_uvloop(sandbox: Sandbox) -> None:
    import uvloop

    device = sandbox.device("node-1")

    async def program() -> None:
        client = client_of(sandbox, qos=1)
        stream = client.uplinks()
        async with client:
            for number in range(100):
                device.uplink()
                assert (await stream.__anext__()).counter == number
            await client.send("node-1", b"\x01")

    loop = uvloop.new_event_loop()
    try:
        loop.run_until_complete(asyncio.wait_for(program(), PATIENCE))
    finally:
        loop.close()


def test_messages_of_callbacks_are_acknowledged_by_their_client(sandbox: Sandbox) -> None:
    from thingslink.ttn import MQTTClient

    came: list[Any] = []
    device = sandbox.device("node-1")
    client = MQTTClient(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address)
    client.set_uplink_callback(lambda msg, client: came.append(msg))
    with client:
        device.uplink()
        sandbox.wait_for(lambda: came, timeout=PATIENCE)
        with pytest.raises(ValueError, match="ack\\(\\) of its client"):
            came[0].ack()
