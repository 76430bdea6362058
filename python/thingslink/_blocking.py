"""Waits of the main thread that Ctrl-C always ends.

A wait without a timeout can sleep through it: a signal that arrives after the interpreter has looked for signals and
before the thread sleeps wakes nobody. These look again and again.
"""

from __future__ import annotations

import queue
import time
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from typing import TypeVar

    _T = TypeVar("_T")

__all__ = ["take_from", "wait_for", "wait_until"]

#: Seconds between two looks for a signal.
_SLICE = 0.1


def wait_for(event: threading.Event) -> None:
    """Wait until an event is set."""
    while not event.wait(_SLICE):
        pass


def wait_until(event: threading.Event, deadline: float | None) -> bool:
    """Wait until an event is set, or until a time by ``time.monotonic``; tells whether it is set."""
    while True:
        left = _SLICE if deadline is None else min(_SLICE, deadline - time.monotonic())
        if event.wait(max(left, 0)):
            return True
        if left <= 0:
            return False


def take_from(waiting: queue.SimpleQueue[_T]) -> _T:
    """Take the next item of a queue when there is one."""
    while True:
        with suppress(queue.Empty):
            return waiting.get(timeout=_SLICE)
