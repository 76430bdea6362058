"""The clients for asyncio, driven like those of the other face: what a test says of one holds for both."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import threading
from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE
from thingslink import ThingsError, aio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from types import TracebackType

    from typing_extensions import Self

#: Runs a test with `thingslink.ttn.MQTTClient` and with that of `thingslink.aio`.
on_both_faces = pytest.mark.parametrize("mqtt_client", ["callbacks", "asyncio"], indirect=True)
#: The same with `ApplicationClient`.
managed_by_both_faces = pytest.mark.parametrize("application", ["waiting", "asyncio"], indirect=True)
#: The same with the clients of ThingsBoard.
device_of_both_faces = pytest.mark.parametrize("device", ["waiting", "asyncio"], indirect=True)
gateway_of_both_faces = pytest.mark.parametrize("gateway", ["waiting", "asyncio"], indirect=True)


def run(program: Coroutine[Any, Any, Any]) -> Any:
    """Run a program in asyncio's debug mode, and no longer than any test waits."""

    async def bounded() -> Any:
        return await asyncio.wait_for(program, PATIENCE * 2)

    return asyncio.run(bounded(), debug=True)


class Loop:
    """An event loop, in its debug mode, on a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_debug(True)
        # A machine that compiles beside it is no complaint, nor is a callback that waits.
        self._loop.slow_callback_duration = 10 * PATIENCE
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def run(self, awaitable: Awaitable[Any]) -> Any:
        """Await something there, and give what it gives."""

        async def awaited() -> Any:
            return await awaitable

        return asyncio.run_coroutine_threadsafe(awaited(), self._loop).result(10 * PATIENCE)

    def call(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Call a function there, and give what it gives."""
        if threading.current_thread() is self._thread:
            return function(*arguments, **options)

        async def called() -> Any:
            return function(*arguments, **options)

        return self.run(called())

    def task(self, awaitable: Awaitable[None]) -> asyncio.Future[None]:
        """Begin something there."""
        return self.call(asyncio.ensure_future, awaitable, loop=self._loop)  # type: ignore[no-any-return]

    def end(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()


class OnLoop:
    """A client of `thingslink.aio`, whose coroutines are run to their ends."""

    def __init__(self, client: Any) -> None:
        vars(self).update(_client=client, _loop=Loop())

    def __getattr__(self, name: str) -> Any:
        value = self._loop.call(getattr, self._client, name)
        if not callable(value):
            return value

        def call(*arguments: Any, **options: Any) -> Any:
            given = [one._client if isinstance(one, OnLoop) else one for one in arguments]
            result = self._loop.call(value, *given, **options)
            return self._loop.run(result) if inspect.isawaitable(result) else result

        return call

    def __setattr__(self, name: str, value: Any) -> None:
        self._loop.call(setattr, self._client, name, value)

    def __repr__(self) -> str:
        return repr(self._client)

    def __enter__(self) -> Self:
        self._loop.run(self._client.__aenter__())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.run(self._client.aclose())

    def end(self) -> None:
        """Close it, and end its loop."""
        self._loop.run(self._client.aclose())
        self._loop.end()


class _Handle:
    """What stands in the place of a handle for one device."""

    def __init__(self, client: CallbackClient, dev_id: str) -> None:
        self._client, self._dev_id = client, dev_id
        self._device = client._loop.call(client._client.device, dev_id)
        self.dev_id = self._device.dev_id

    def set_uplink_callback(self, callback: Any) -> None:
        self._client._listen(self._device.uplinks, callback)

    def set_uplink_raw_callback(self, callback: Any) -> None:
        self._client._listen(self._device.raw_uplinks, callback)

    def set_event_callback(self, callback: Any, event: Any = None) -> None:
        self._client._listen(lambda: self._device.events(event), callback)

    def set_activation_callback(self, callback: Any) -> None:
        self._client._listen(self._device.activations, callback)

    def send(self, *arguments: Any, **options: Any) -> int:
        return self._client.send(self._dev_id, *arguments, **options)

    def __repr__(self) -> str:
        return repr(self._device)


class _DownlinkHandle:
    """What stands in the place of a handle for a downlink."""

    def __init__(self, loop: Loop, downlink: aio.Downlink) -> None:
        self._loop, self._downlink = loop, downlink
        self.mid = downlink.mid

    @property
    def state(self) -> str:
        return self._downlink.state

    @property
    def error(self) -> str | None:
        return self._downlink.error

    def wait(self, *arguments: Any, **options: Any) -> Any:
        return self._loop.run(self._downlink.wait(*arguments, **options))

    def __repr__(self) -> str:
        return repr(self._downlink)


class _Reader:
    """A stream that is read for a callback, and another one in its place after its end."""

    def __init__(self, open_stream: Callable[[], Any], callback: Callable[..., Any]) -> None:
        self.open_stream = open_stream
        self.callback = _taking(callback)
        self.stream: Any = None
        self.task: asyncio.Future[None] | None = None

    async def read(self, client: CallbackClient) -> None:
        """Read to the end."""
        try:
            async for message in self.stream:
                self.callback(message, client)
        except ThingsError:
            # There is no callback to be told by.
            pass
        finally:
            self.stream = self.task = None


class CallbackClient(OnLoop):
    """`aio.MQTTClient` with the callbacks of the other one: each is called with what a stream of its own gives."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(aio.MQTTClient(*arguments, **options))
        vars(self).update(_told={"connect": [], "close": [], "downlink": []}, _downlinks={}, _readers=[])
        vars(self).update(_connections=_Reader(self._client.connections, self._hear_connection), _is_read=False)

    def _listen(self, open_stream: Callable[[], Any], callback: Callable[..., Any]) -> None:
        reader = _Reader(open_stream, callback)
        self._open(reader)
        self._readers.append(reader)
        if self._is_read:
            self._read(reader)

    def _open(self, reader: _Reader) -> None:
        if reader.stream is None:
            reader.stream = self._loop.call(reader.open_stream)

    def _read(self, reader: _Reader) -> None:
        if reader.task is None:
            reader.task = self._loop.task(reader.read(self))

    def _hear_connection(self, change: aio.Connection, _client: Any) -> None:
        # The end of a connection has the codes 0 and 7, of which no login that was refused has one.
        is_end = not change.is_connected and change.code in {0, 7}
        for callback in self._told["close" if is_end else "connect"]:
            callback(change.code == 0, self)

    def connect(self, **options: Any) -> None:
        for reader in (self._connections, *self._readers):
            self._open(reader)
        self._read(self._connections)
        self._loop.run(self._client.connect(**options))
        # Before, whoever reads a stream is told that there is no connection.
        vars(self).update(_is_read=True)
        for reader in self._readers:
            self._read(reader)

    def close(self, **options: Any) -> None:
        vars(self).update(_is_read=False)
        self._loop.run(self._client.aclose(**options))
        tasks = [reader.task for reader in (self._connections, *self._readers) if reader.task is not None]
        if tasks:
            self._loop.run(asyncio.wait(tasks, timeout=PATIENCE))

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def end(self) -> None:
        self.close(timeout=2)
        self._loop.end()

    def set_connect_callback(self, callback: Any) -> None:
        self._told["connect"].append(_taking(callback))

    def set_close_callback(self, callback: Any) -> None:
        self._told["close"].append(_taking(callback))

    def set_downlink_callback(self, callback: Any) -> None:
        self._told["downlink"].append(_taking(callback))

    def set_error_callback(self, callback: Any) -> None:
        adapted = _taking(callback)
        self._client.on_error(lambda error: adapted(error, self))

    def set_uplink_callback(self, callback: Any, dev_id: str | None = None) -> None:
        self._listen(lambda: self._client.uplinks(dev_id=dev_id), callback)

    def set_uplink_raw_callback(self, callback: Any) -> None:
        self._listen(self._client.raw_uplinks, callback)

    def set_uplink_field_callback(self, callback: Any, field: str, dev_id: str | None = None) -> None:
        self._listen(lambda: self._client.uplink_fields(field, dev_id=dev_id), callback)

    def set_event_callback(self, callback: Any, event: Any = None, dev_id: str | None = None) -> None:
        self._listen(lambda: self._client.events(event, dev_id=dev_id), callback)

    def set_activation_callback(self, callback: Any) -> None:
        self._listen(self._client.activations, callback)

    def device(self, dev_id: str) -> _Handle:
        return _Handle(self, dev_id)

    def send(self, *arguments: Any, **options: Any) -> int:
        """Send, and wait until it is sent, as the other one does not."""
        if "sched" in options:
            options["schedule"] = options.pop("sched")
        downlink = self._loop.run(self._client.send(*arguments, **options))
        self._downlinks[downlink.mid] = downlink
        for callback in self._told["downlink"]:
            self._loop.call(callback, downlink.mid, self)
        return int(downlink)

    def downlink(self, mid: int) -> _DownlinkHandle:
        return _DownlinkHandle(self._loop, self._downlinks[mid])

    def ack(self, message: Any) -> None:
        self._loop.call(message.ack)


def _taking(callback: Callable[..., Any]) -> Callable[..., Any]:
    """Have a callback called with as much as it takes."""
    try:
        parameters = inspect.signature(callback).parameters.values()
    except ValueError:
        # `print` does not say, on CPython 3.10.
        return lambda value, _client: callback(value)
    taken = sum(1 for one in itertools.islice(parameters, 2) if one.kind is not one.KEYWORD_ONLY)
    return callback if taken == 2 else lambda value, _client: callback(value)
