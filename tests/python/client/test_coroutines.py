"""Callbacks that give something to be awaited: coroutine functions and their like, in every setter."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import logging
import subprocess
import sys
import textwrap
import threading
import types
from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE, Recorder
from thingslink import _awaiting

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Iterator

    from thingslink.sandbox import Sandbox
    from thingslink.ttn import MQTTClient

    Maker = Callable[..., MQTTClient]

KEEPING: dict[str, Any] = {"qos": 1, "clean_session": False, "client_id": "keeper"}


class Log:
    """What callbacks note, in order, and a way to wait until there is so much of it."""

    def __init__(self) -> None:
        self.entries: list[Any] = []
        self._changed = threading.Condition()

    def note(self, entry: Any) -> None:
        with self._changed:
            self.entries.append(entry)
            self._changed.notify_all()

    def wait_for(self, count: int) -> list[Any]:
        return self.wait_until(lambda: len(self.entries) >= count)

    def wait_until(self, holds: Callable[[], bool]) -> list[Any]:
        with self._changed:
            assert self._changed.wait_for(holds, PATIENCE), self.entries
            return list(self.entries)


@pytest.fixture
def log() -> Log:
    return Log()


# Named first by tests, so that it ends after their clients.
@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that runs on a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="the program's loop")
    thread.start()
    yield loop
    if not loop.is_closed():
        loop.call_soon_threadsafe(loop.stop)
    thread.join(PATIENCE)
    loop.close()


def on(loop: asyncio.AbstractEventLoop, function: Callable[[], Any]) -> Any:
    """Call a function on the loop's thread."""

    async def call() -> Any:
        return function()

    return asyncio.run_coroutine_threadsafe(call(), loop).result(PATIENCE)


async def steps(log: Log, value: Any) -> None:
    log.note(("begins", value))
    await asyncio.sleep(0.001)
    log.note(("ends", value))


class Awaitable:
    def __init__(self, log: Log, value: Any) -> None:
        self._steps = steps(log, value)

    def __await__(self) -> Generator[Any, Any, None]:
        return self._steps.__await__()


class Called:
    def __init__(self, log: Log) -> None:
        self.log = log

    async def __call__(self, msg: Any, client: Any) -> None:
        await steps(self.log, msg.counter)

    async def method(self, msg: Any, client: Any) -> None:
        await steps(self.log, msg.counter)


def of_generator(log: Log) -> Any:
    @types.coroutine
    def callback(msg: Any, client: Any) -> Generator[Any, Any, None]:
        yield from steps(log, msg.counter).__await__()

    return callback


async def plain(log: Log, msg: Any, client: Any) -> None:
    await steps(log, msg.counter)


KINDS: dict[str, Callable[[Log], Any]] = {
    "partial of a coroutine function": lambda log: functools.partial(plain, log),
    "object": Called,
    "bound method": lambda log: Called(log).method,
    "function that gives a coroutine": lambda log: lambda msg: steps(log, msg.counter),
    "function that gives an awaitable": lambda log: lambda msg, client: Awaitable(log, msg.counter),
    "coroutine of a generator": of_generator,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("with_loop", [False, True], ids=["the library's loop", "the program's loop"])
def test_it_ends_before_the_next_delivery_begins(
    loop: asyncio.AbstractEventLoop, sandbox: Sandbox, client_for: Maker, log: Log, kind: str, with_loop: bool
) -> None:
    client, callback = client_for(sandbox), KINDS[kind](log)
    if with_loop:
        on(loop, lambda: client.set_uplink_callback(callback))
    else:
        client.set_uplink_callback(callback)
    client.connect()
    device = sandbox.device("node-1")
    for _ in range(5):
        device.uplink()
    entries = log.wait_for(10)
    counters = sorted({counter for _, counter in entries})
    assert entries == [(what, counter) for counter in counters for what in ("begins", "ends")]


def test_it_runs_on_the_loop_of_the_thread_that_set_it(
    loop: asyncio.AbstractEventLoop, sandbox: Sandbox, client_for: Maker, log: Log
) -> None:
    client = client_for(sandbox)

    async def callback(msg: Any, client: Any) -> None:
        log.note((asyncio.get_running_loop(), threading.current_thread().name))

    on(loop, lambda: client.set_uplink_callback(callback))
    client.connect()
    sandbox.device("node-1").uplink()
    assert log.wait_for(1) == [(loop, "the program's loop")]


def test_without_a_loop_all_clients_share_one_of_the_librarys_own(
    sandbox: Sandbox, client_for: Maker, log: Log
) -> None:
    async def callback(msg: Any, client: Any) -> None:
        log.note((asyncio.get_running_loop(), threading.current_thread().name))

    for _ in range(2):
        client = client_for(sandbox)
        client.set_uplink_callback(callback)
        client.connect()
    sandbox.device("node-1").uplink()
    first, second = log.wait_for(2)
    assert first == second and first[1] == "thingslink-asyncio"


@pytest.mark.thingslink_allow_callback_exceptions
def test_every_setter(sandbox: Sandbox, client_for: Maker, log: Log) -> None:
    client, device = client_for(sandbox), sandbox.device("node-1")

    def noting(name: str) -> Callable[..., Coroutine[Any, Any, None]]:
        async def callback(first: Any, client: Any) -> None:
            await asyncio.sleep(0)
            log.note(name)
            if name == "uplink":
                raise ValueError("mine")

        return callback

    names = ("uplink", "uplink_raw", "event", "activation", "connect", "close", "downlink", "error")
    for name in names:
        getattr(client, f"set_{name}_callback")(noting(name))
    client.set_uplink_field_callback(noting("field"), "led")
    client._set_topic_callback(noting("topic"), f"{sandbox.app_id}/devices/node-1/up")
    private: Any = client
    private._MQTTClient__client.on_log = lambda *_: None
    client.connect()
    device.join()
    device.uplink()
    sandbox.publish_raw(f"{sandbox.app_id}/devices/node-1/up/led", b"true")
    client.send("node-1", b"\x01")
    log.wait_until(lambda: {*names, "field", "topic"} - {"close"} == set(log.entries))
    client.close()
    assert log.entries[-1] == "close"


@pytest.mark.thingslink_allow_callback_exceptions
def test_an_exception_is_treated_as_any_callbacks(
    sandbox: Sandbox, client_for: Maker, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_for(sandbox, **KEEPING, on_callback_error="keep")
    error = ValueError("mine")

    async def callback(msg: Any, client: Any) -> None:
        await asyncio.sleep(0)
        raise error

    client.set_uplink_callback(callback)
    client.set_error_callback(recorder.on("error"))
    client.connect()
    sandbox.device("node-1").uplink()
    assert recorder.expect("error") is error
    client.close()
    assert client.stats()["kept"] == 1 and sandbox.backlog("keeper") == 1
    assert "exception in a callback" in caplog.text and "await" not in str(error)


def test_at_qos_1_it_is_acknowledged_after_the_end(
    loop: asyncio.AbstractEventLoop, sandbox: Sandbox, client_for: Maker, log: Log
) -> None:
    client, goes_on = client_for(sandbox, **KEEPING), asyncio.Event()

    async def callback(msg: Any, client: Any) -> None:
        log.note("begins")
        await goes_on.wait()
        log.note("ends")

    on(loop, lambda: client.set_uplink_callback(callback))
    client.connect()
    sandbox.device("node-1").uplink()
    log.wait_for(1)
    assert sandbox.backlog("keeper") == 1
    loop.call_soon_threadsafe(goes_on.set)
    log.wait_for(2)
    sandbox.wait_for(lambda: sandbox.backlog("keeper") == 0)


@pytest.mark.parametrize("with_loop", [False, True])
def test_close_and_connect_inside_of_one(
    loop: asyncio.AbstractEventLoop, sandbox: Sandbox, client_for: Maker, log: Log, with_loop: bool
) -> None:
    client, device = client_for(sandbox), sandbox.device("node-1")

    async def callback(msg: Any, client: MQTTClient) -> None:
        client.close()
        log.note(client.is_connected)
        client.connect()
        log.note(client.is_connected)

    if with_loop:
        on(loop, lambda: client.set_uplink_callback(callback))
    else:
        client.set_uplink_callback(callback)
    client.connect()
    for count in (2, 4):
        device.uplink()
        assert log.wait_for(count) == [False, True] * (count // 2)


def test_close_on_the_loops_thread_does_not_wait_for_what_needs_that_thread(
    loop: asyncio.AbstractEventLoop, sandbox: Sandbox, client_for: Maker, log: Log
) -> None:
    client = client_for(sandbox)

    async def closed(res: Any, client: Any) -> None:
        log.note(("closed", res))

    async def program() -> None:
        client.set_close_callback(closed)
        await asyncio.get_running_loop().run_in_executor(None, client.connect)
        # It blocks the loop; with a bound of a minute nobody would see the end of this test otherwise.
        client.close(timeout=3 * PATIENCE)
        log.note("close has returned")

    asyncio.run_coroutine_threadsafe(program(), loop).result(PATIENCE)
    assert log.wait_for(2) == ["close has returned", ("closed", True)]


@pytest.mark.thingslink_allow_callback_exceptions
def test_a_callback_that_is_cancelled_ends(
    loop: asyncio.AbstractEventLoop, sandbox: Sandbox, client_for: Maker, log: Log, recorder: Recorder
) -> None:
    client, device = client_for(sandbox), sandbox.device("node-1")

    async def callback(msg: Any, client: Any) -> None:
        log.note(asyncio.current_task())
        await asyncio.sleep(10 * PATIENCE)

    on(loop, lambda: client.set_uplink_callback(callback))
    client.set_error_callback(recorder.on("error"))
    client.connect()
    for count in (1, 2):
        device.uplink()
        loop.call_soon_threadsafe(log.wait_for(count)[-1].cancel)
        error = recorder.expect("error")
        assert isinstance(error, RuntimeError) and "cancelled" in str(error)


@pytest.mark.thingslink_allow_callback_exceptions
def test_a_task_that_is_cancelled_before_its_first_step_ends(
    loop: asyncio.AbstractEventLoop, sandbox: Sandbox, client_for: Maker, recorder: Recorder
) -> None:
    client = client_for(sandbox)

    def factory(loop: Any, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(coroutine, loop=loop, **options)
        task.cancel()
        return task

    async def callback(msg: Any, client: Any) -> None:
        raise AssertionError("never begun")

    on(loop, lambda: client.set_uplink_callback(callback))
    on(loop, lambda: loop.set_task_factory(factory))
    client.set_error_callback(recorder.on("error"))
    client.connect()
    sandbox.device("node-1").uplink()
    assert "cancelled" in str(recorder.expect("error"))
    loop.call_soon_threadsafe(loop.set_task_factory, None)


def test_when_the_loop_has_ended_the_librarys_own_takes_over(
    sandbox: Sandbox, client_for: Maker, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    client, device = client_for(sandbox), sandbox.device("node-1")

    async def callback(msg: Any, client: Any) -> None:
        log.note(threading.current_thread().name)

    async def program() -> None:
        client.set_uplink_callback(callback)
        await asyncio.get_running_loop().run_in_executor(None, client.connect)

    asyncio.run(program())
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            device.uplink()
        assert log.wait_for(3) == ["thingslink-asyncio"] * 3
    assert sum("does not run any more" in record.getMessage() for record in caplog.records) == 1


def test_a_loop_that_is_blocked_is_told_of_once(
    loop: asyncio.AbstractEventLoop,
    sandbox: Sandbox,
    client_for: Maker,
    log: Log,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_awaiting, "_STUCK", 0.2)
    client, device = client_for(sandbox), sandbox.device("node-1")
    told, released = threading.Event(), threading.Event()

    class Telling(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "something blocks that loop's thread" in record.getMessage():
                told.set()

    async def callback(msg: Any, client: Any) -> None:
        log.note(msg.counter)

    on(loop, lambda: client.set_uplink_callback(callback))
    client.connect()
    handler = Telling()
    logging.getLogger("thingslink.client").addHandler(handler)
    try:
        for turn in range(2):
            loop.call_soon_threadsafe(released.wait, PATIENCE)
            device.uplink()
            if turn == 0:
                assert told.wait(PATIENCE)
            else:
                # As long as it took to be told of before.
                assert not released.wait(5 * _awaiting._STUCK)
            released.set()
            assert len(log.wait_for(turn + 1)) == turn + 1
            released.clear()
    finally:
        released.set()
        logging.getLogger("thingslink.client").removeHandler(handler)
    assert sum("something blocks that loop's thread" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.thingslink_allow_callback_exceptions
def test_a_loop_that_ends_in_the_middle_is_an_exception(
    sandbox: Sandbox, client_for: Maker, recorder: Recorder
) -> None:
    client, device = client_for(sandbox), sandbox.device("node-1")
    loop = asyncio.new_event_loop()

    async def callback(msg: Any, client: Any) -> None:
        loop.stop()
        await asyncio.sleep(10 * PATIENCE)

    async def program() -> None:
        client.set_uplink_callback(callback)
        client.set_error_callback(recorder.on("error"))

    loop.run_until_complete(program())
    client.connect()
    device.uplink()
    loop.run_forever()
    error = recorder.expect("error")
    assert isinstance(error, RuntimeError) and "has ended in the middle of a callback" in str(error)
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def test_a_future_is_awaited_on_its_own_loop(
    loop: asyncio.AbstractEventLoop, sandbox: Sandbox, client_for: Maker, log: Log
) -> None:
    client = client_for(sandbox)
    # As programs do it, on the wrong thread: asyncio lets them.
    client.set_uplink_callback(lambda msg, client: loop.create_task(steps(log, msg.counter)))
    client.connect()
    device = sandbox.device("node-1")
    for _ in range(3):
        device.uplink()
    assert [what for what, _ in log.wait_for(6)] == ["begins", "ends"] * 3


def test_it_sees_the_context_in_which_it_was_set(
    loop: asyncio.AbstractEventLoop, sandbox: Sandbox, client_for: Maker, log: Log
) -> None:
    client, device = client_for(sandbox), sandbox.device("node-1")
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")

    async def callback(msg: Any, client: Any) -> None:
        log.note(variable.get())
        # Of this call alone.
        variable.set("changed")

    def set_it() -> None:
        variable.set("set")
        client.set_uplink_callback(callback)

    on(loop, set_it)
    client.connect()
    device.uplink()
    device.uplink()
    assert log.wait_for(2) == ["set", "set"]


def test_what_is_no_awaitable_is_let_be(sandbox: Sandbox, client_for: Maker, log: Log) -> None:
    client = client_for(sandbox)

    def callback(msg: Any, client: Any) -> Iterator[int]:
        log.note("called")
        return iter(range(3))

    client.set_uplink_callback(callback)
    client.connect()
    sandbox.device("node-1").uplink()
    assert log.wait_for(1) == ["called"]


@pytest.mark.thingslink_allow_callback_exceptions
def test_awaiting_on_the_loops_own_thread_makes_a_task(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> None:
        raise ValueError("mine")

    async def program() -> None:
        place = asyncio.get_running_loop(), contextvars.copy_context(), threading.get_ident()
        _awaiting.run_to_its_end(steps(log, 1), place)
        _awaiting.run_to_its_end(fails(), place)
        assert log.entries == []
        await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()}, timeout=PATIENCE)

    asyncio.run(program())
    assert log.entries == [("begins", 1), ("ends", 1)] and "ValueError: mine" in caplog.text


EXITS = """
import asyncio, sys
from thingslink import ttn
from thingslink.sandbox import Sandbox
import threading
begun = threading.Event()

async def callback(msg, client):
    begun.set()
    try:
        await asyncio.sleep(100)
    finally:
        print("let go", flush=True)

sandbox = Sandbox()
sandbox.start()
client = ttn.MQTTClient(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address)
client.set_uplink_callback(callback)
client.connect()
sandbox.device("node-1").uplink()
begun.wait()
"""


def test_a_program_that_exits_in_the_middle_ends_it() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", EXITS],
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "let go\n", "")


FORKS = """
import asyncio, os, sys, threading, warnings
warnings.simplefilter("ignore")
from thingslink import ttn
from thingslink.sandbox import Sandbox

sandbox = Sandbox()
sandbox.start()
account = sandbox.app_id, sandbox.access_key, sandbox.mqtt_address

def listen():
    came = threading.Event()
    async def callback(msg, client):
        await asyncio.sleep(0.001)
        came.set()
    client = ttn.MQTTClient(*account)
    client.set_uplink_callback(callback)
    client.connect()
    return client, came

parent, came = listen()
sandbox.device("node-1").uplink()
assert came.wait(20)
ready = os.pipe()
child = os.fork()
if child == 0:
    client, heard = listen()
    os.write(ready[1], b"1")
    assert heard.wait(20)
    client.close()
    sys.exit(0)
os.close(ready[1])
os.read(ready[0], 1)
came.clear()
sandbox.device("node-1").uplink()
assert came.wait(20), "the parent's loop is disturbed"
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
came.clear()
sandbox.device("node-1").uplink()
assert came.wait(20), "the parent's loop is disturbed"
parent.close()
print("done")
"""


def test_a_forked_child_has_a_loop_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKS], capture_output=True, text=True, timeout=3 * PATIENCE, check=False
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_programs_without_coroutines_do_not_import_asyncio() -> None:
    program = """
        import sys
        from thingslink import ttn
        client = ttn.MQTTClient("app", "key", "127.0.0.1:1")
        client.set_uplink_callback(lambda msg, client: None)
        assert "asyncio" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=PATIENCE)
