"""Coroutine functions as callbacks: what they give is run to its end on an event loop; the thread that called waits.

Imported when a callback first gives something to be awaited. The design stands in ``docs/dev/dispatch.md``.
"""

from __future__ import annotations

import _thread
import asyncio
import logging
import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from thingslink._native import _at_the_end, _callback_failed, _Loan

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from contextvars import Context
    from typing import TypeAlias

    #: An event loop, the context of what runs there, and the loop's thread; 0 where that is not known.
    _Place: TypeAlias = "tuple[asyncio.AbstractEventLoop, Context | None, int]"

__all__ = ["run_to_its_end"]

#: Seconds between two looks whether the loop still runs.
_SLICE = 0.1
#: Seconds after which a loop that does not run counts as ended: programs may run one in turns.
_STANDSTILL = 1.0
#: Seconds after which a loop that runs and takes nothing up is told of.
_STUCK = 5.0
#: Seconds that what is left on the library's loop has to end at the exit.
_FAREWELL = 1.0

log = logging.getLogger("thingslink.client")


def run_to_its_end(awaitable: Awaitable[Any], place: _Place | None) -> None:
    """Run what a callback has given, on the loop where the callback was set, else on the library's own.

    Raises what it raises. On the loop's own thread, which cannot wait for itself, it becomes a task.
    """
    if asyncio.isfuture(awaitable):
        # It belongs to a loop already.
        own = awaitable.get_loop()
        place = place if place is not None and place[0] is own else (own, None, 0)
    if place is not None:
        if asyncio._get_running_loop() is place[0]:  # noqa: SLF001 - documented; the other one raises
            _leave(awaitable, place[0])
            return
        if _Handed(awaitable, place).wait():
            return
        _warn_of(place[0])
    if not _Handed(awaitable, _own.place()).wait():
        _let_go(awaitable)
        raise RuntimeError("the interpreter is exiting: a callback's coroutine was not begun")


class _Handed:
    """What a callback has given, on its way to an event loop and back."""

    def __init__(self, awaitable: Awaitable[Any], place: _Place) -> None:
        self._awaitable = awaitable
        self._loop, self._context, self._thread = place
        #: Held until the end.
        self._over = _thread.allocate_lock()
        self._over.acquire()
        #: Whoever has it decides whether it is begun or withdrawn.
        self._decision = _thread.allocate_lock()
        self._is_decided = False
        self._is_running = False
        self._task: asyncio.Task[None] | None = None
        self._error: BaseException | None = None
        self._loan = _Loan()

    def wait(self) -> bool:
        """Hand it over and wait for its end; ``False`` if the loop has ended without having begun it."""
        # Before it is begun: the loop's thread may be inside of a `close()` that waits for this callback.
        self._loan.to(self._thread)
        try:
            context = None if self._context is None else self._context.copy()
            try:
                self._loop.call_soon_threadsafe(self._begin, context=context)
            except RuntimeError:
                if self._loop.is_closed():
                    return False
                raise
            if not self._is_ended():
                return False
        except BaseException:
            # Ctrl-C, or the interpreter exits.
            self._cancel()
            raise
        finally:
            self._loan.to(0)
        error, self._error = self._error, None
        if isinstance(error, asyncio.CancelledError):
            raise RuntimeError("a callback was cancelled on its event loop") from error  # noqa: TRY004
        if error is not None:
            try:
                raise error
            finally:
                del error
        return True

    def _is_ended(self) -> bool:
        stands_still_since = None
        begun = time.monotonic()
        while not self._over.acquire(timeout=_SLICE):
            now = time.monotonic()
            if self._loop.is_running():
                stands_still_since = None
                if not self._is_decided and now - begun >= _STUCK:
                    _warn_of_blocked(self._loop)
                continue
            stands_still_since = stands_still_since or now
            if self._loop.is_closed() or now - stands_still_since >= _STANDSTILL:
                if self._decide():
                    return False
                raise RuntimeError(f"the event loop {self._loop!r} has ended in the middle of a callback")
        return True

    def _decide(self) -> bool:
        """Tell whether it is for the caller to decide what becomes of it: for one of both threads it is."""
        with self._decision:
            is_first, self._is_decided = not self._is_decided, True
        return is_first

    # On the loop's thread.

    def _begin(self) -> None:
        if not self._decide():
            return
        self._loan.to(_thread.get_ident())
        steps = self._steps()
        try:
            self._task = self._loop.create_task(steps)
        except BaseException as error:
            steps.close()
            self._error = error
            self._end(None)
            raise
        self._task.add_done_callback(self._end)

    async def _steps(self) -> None:
        self._is_running = True
        try:
            await self._awaitable
        except BaseException as error:  # noqa: BLE001 - the caller raises it
            self._error = error

    def _end(self, _task: object) -> None:
        if not self._is_running:
            # Cancelled before its first step.
            _let_go(self._awaitable)
            self._error = self._error or asyncio.CancelledError()
        self._over.release()

    def _cancel(self) -> None:
        if self._decide():
            _let_go(self._awaitable)
            return

        def cancel() -> None:
            if self._task is not None:
                self._task.cancel()

        # A loop that is closed runs nothing.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(cancel)


def _let_go(awaitable: Awaitable[Any]) -> None:
    """Say that it is meant that nobody awaits it."""
    close = getattr(awaitable, "close", None) or getattr(awaitable, "cancel", None)
    if close is not None:
        close()


#: Tasks that nobody waits for; a loop itself keeps no more than weak references.
_left: set[asyncio.Task[None]] = set()


def _leave(awaitable: Awaitable[Any], loop: asyncio.AbstractEventLoop) -> None:
    async def steps() -> None:
        try:
            await awaitable
        except Exception as error:
            log.exception("exception in a callback")
            _callback_failed(awaitable, error)

    task = loop.create_task(steps())
    _left.add(task)
    task.add_done_callback(_left.discard)


_warned: set[int] = set()


def _warn_of(loop: asyncio.AbstractEventLoop) -> None:
    """Say once for each loop that its callbacks run elsewhere now."""
    if id(loop) not in _warned:
        _warned.add(id(loop))
        log.warning(
            "the event loop %r, on which a callback was set, does not run any more: its coroutines run on a loop of "
            "the library's own. Close the client before the loop ends.",
            loop,
        )


_warned_of_blocked: set[int] = set()


def _warn_of_blocked(loop: asyncio.AbstractEventLoop) -> None:
    """Say once for each loop that its callbacks, and all deliveries after them, wait for it."""
    if id(loop) not in _warned_of_blocked:
        _warned_of_blocked.add(id(loop))
        log.warning(
            "a callback has waited for %g s to begin on the event loop %r: something blocks that loop's thread, and "
            "the client's next deliveries wait, too. Run what blocks with `asyncio.to_thread`, or await it.",
            _STUCK,
            loop,
        )


class _OwnLoop:
    """The library's event loop, on a thread of its own from its first use on."""

    def __init__(self) -> None:
        self._lock = _thread.allocate_lock()
        self._place: _Place | None = None
        self._thread: threading.Thread | None = None
        #: Of the process that this one was forked from: closing them would disturb the parent.
        self._inherited: list[_Place | None] = []

    def place(self) -> _Place:
        """Where it runs."""
        with self._lock:
            if self._place is None or self._place[0].is_closed():
                loop = asyncio.new_event_loop()
                # A daemon: the interpreter does not wait for it, but for what ends it.
                self._thread = threading.Thread(target=_serve, args=(loop,), name="thingslink-asyncio", daemon=True)
                self._thread.start()
                self._place = loop, None, self._thread.ident or 0
                _at_the_end(self.end)
            return self._place

    def end(self) -> None:
        """End it, with all that still runs there."""
        with self._lock:
            thread, self._thread = self._thread, None
            place = self._place
        if thread is not None and place is not None:
            with suppress(RuntimeError):
                place[0].call_soon_threadsafe(place[0].stop)
            thread.join(2 * _FAREWELL)

    def after_fork(self) -> None:
        """In a forked child, where its thread does not exist."""
        self._lock = _thread.allocate_lock()
        self._inherited.append(self._place)
        self._place = self._thread = None


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks, timeout=_FAREWELL))
        loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()


_own = _OwnLoop()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_own.after_fork)
