"""The offline network for asyncio: nothing of it holds the event loop up."""

from __future__ import annotations

from asyncio import to_thread
from typing import TYPE_CHECKING, Any, TypeVar

from thingslink import sandbox as _other
from thingslink._arguments import checked
from thingslink._watching import wait_async
from thingslink.aio._binding import like
from thingslink.aio._entering import Entering
from thingslink.sandbox import ReceivedDownlink

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from typing_extensions import Self

__all__ = ["Follower", "Sandbox", "SandboxDevice", "Stream", "ThingsBoard"]

T = TypeVar("T")

# Of the other face, with the methods that wait as coroutines in their places; type checkers are told so line by line.
# They wait on other threads: they are of servers of tests, whose waits are short. One that is cancelled goes on there.


class Follower:
    """What passes through a sandbox, as it comes: ``async for`` gives the entries, as `thingslink.sandbox.Follower`."""

    def __init__(self, follower: _other.Follower) -> None:
        self._follower = follower

    async def next(self, timeout: float | timedelta | None = None) -> dict[str, Any] | None:
        """Wait for the next entry; ``None`` if there is none within ``timeout`` seconds."""
        return await self._follower._next_async(timeout)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> dict[str, Any]:
        entry = await self.next()
        if entry is None:
            raise StopAsyncIteration
        return entry


class Stream:
    """Uplinks of many devices, sent in the background, from ``Sandbox.stream``."""

    def __init__(self, stream: _other.Stream) -> None:
        self._stream = stream

    async def wait(self) -> int:
        """Wait for the end; gives the number of uplinks.

        Raises:
            RuntimeError: It was stopped, or has been waited for.
        """
        return await self._stream._wait_async()

    def stop(self) -> None:
        """Send no more."""
        self._stream.stop()


@checked
class ThingsBoard(Entering, _other.ThingsBoard):
    """An offline ThingsBoard for asyncio, as `thingslink.sandbox.ThingsBoard`; what waits there is a coroutine here."""

    @like(_other.ThingsBoard.start)
    async def start(self) -> None:  # type: ignore[override]  # noqa: D102 - the other one's, as of those below
        await to_thread(super().start)

    @like(_other.ThingsBoard.stop)
    async def stop(self) -> None:  # type: ignore[override]  # noqa: D102
        await to_thread(super().stop)

    @like(_other.ThingsBoard.restart)
    async def restart(self) -> None:  # type: ignore[override]  # noqa: D102
        await to_thread(super().restart)

    @like(_other.ThingsBoard.rpc)
    async def rpc(self, *arguments: Any, **options: Any) -> Any:  # noqa: D102
        return await to_thread(super().rpc, *arguments, **options)

    def follow(self) -> Follower:  # type: ignore[override]
        """Follow what passes through, from now on."""
        return Follower(super().follow())

    async def wait_for(  # type: ignore[override]
        self,
        holds: Callable[[], T | None],
        *,
        timeout: float = 10,
    ) -> T:
        """Wait until something holds, as `Sandbox.wait_for` does.

        Raises:
            TimeoutError: It did not within ``timeout`` seconds; says what happened last.
        """
        missing = "what is waited for did not come true"
        return await wait_async(
            holds, timeout, follow=super().follow, missing=lambda: missing, journal=lambda: self.journal
        )

    async def _enter(self) -> None:
        await self.start()

    async def aclose(self) -> None:
        """Serve no longer, as ``stop`` does."""
        await self.stop()


@checked
class Sandbox(Entering, _other.Sandbox):
    """An offline network for asyncio: all of `thingslink.sandbox.Sandbox`; what waits there is a coroutine here.

    ``async with`` serves it from enter to exit, its ThingsBoard, too. What is asked without waiting, such as
    ``journal`` and ``cut``, stays as it is.
    """

    _thingsboard: ThingsBoard  # pyright: ignore[reportIncompatibleVariableOverride]
    _of_thingsboard = ThingsBoard

    @property
    def thingsboard(self) -> ThingsBoard:
        """The sandbox's ThingsBoard; serves while the sandbox does."""
        return self._thingsboard

    async def start(self) -> None:  # type: ignore[override]
        """Serve; again on the same ports after a stop.

        Raises:
            SandboxError: An address cannot be listened on.
        """
        await to_thread(super().start)
        await self._thingsboard.start()

    @like(_other.Sandbox.stop)
    async def stop(self) -> None:  # type: ignore[override]  # noqa: D102
        await to_thread(super().stop)

    @like(_other.Sandbox.restart)
    async def restart(self, *arguments: Any, **options: Any) -> None:  # type: ignore[override]  # noqa: D102
        await to_thread(super().restart, *arguments, **options)

    async def _enter(self) -> None:
        await self.start()

    async def aclose(self) -> None:
        """Serve no longer, as ``stop`` does."""
        await self.stop()

    def device(self, dev_id: str, app_id: str | None = None, *, joined: bool = True) -> SandboxDevice:
        """Give a simulated device, registered now if it is new; the arguments are those of the other face."""
        known = super().device(dev_id, app_id, joined=joined)
        return SandboxDevice(self, known.app_id, known.dev_id)

    def stream(self, **how: Any) -> Stream:  # type: ignore[override]
        """Let many devices send, in the background; the arguments are those of the other face."""
        return Stream(super().stream(**how))

    def follow(self) -> Follower:  # type: ignore[override]
        """Follow what passes through, from now on."""
        return Follower(super().follow())

    async def wait_for(  # type: ignore[override]
        self,
        holds: Callable[[], T | None],
        *,
        timeout: float = 10,
    ) -> T:
        """Wait until something holds; other tasks run meanwhile.

        Args:
            holds: Called on the event loop's thread after each entry of the journal, and every 50 ms, until it gives
                something true.
            timeout: Seconds to wait.

        Returns:
            What `holds` gave.

        Raises:
            TimeoutError: It gave nothing true in that time; says what happened last.
        """
        return await self._wait_for(holds, timeout, lambda: "what is waited for did not come true")

    async def _wait_for(  # type: ignore[override]
        self,
        holds: Callable[[], T | None],
        timeout: float,
        missing: Callable[[], str],
    ) -> T:
        return await wait_async(holds, timeout, follow=super().follow, missing=missing, journal=lambda: self.journal)


class SandboxDevice(_other.SandboxDevice):
    """A simulated device of class A, for asyncio: downlinks reach it after its uplinks."""

    _sandbox: Sandbox

    @like(_other.SandboxDevice.uplink)
    async def uplink(self, *arguments: Any, **options: Any) -> int:  # type: ignore[override]  # noqa: D102
        return await to_thread(super().uplink, *arguments, **options)

    @like(_other.SandboxDevice.report_status)
    async def report_status(self, *arguments: Any, **options: Any) -> int:  # type: ignore[override]  # noqa: D102
        return await to_thread(super().report_status, *arguments, **options)

    async def next_downlink(self, *, timeout: float = 10) -> ReceivedDownlink:  # type: ignore[override]
        """Wait for the next downlink that reaches the device, each given once; other tasks run meanwhile.

        Args:
            timeout: Seconds to wait.

        Raises:
            TimeoutError: None came in that time; says how many wait for an uplink.
        """
        return ReceivedDownlink(*await self._sandbox._wait_for(self._next, timeout, self._missing))
