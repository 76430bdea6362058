"""Waits of the main thread that Ctrl-C always ends.

A wait without a timeout can sleep through it: a signal that arrives after the interpreter has looked for signals and
before the thread sleeps wakes nobody. These look again and again.
"""

from __future__ import annotations

import queue
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from typing import TypeVar

    _T = TypeVar("_T")

__all__ = ["take_from", "wait_for"]

#: Seconds between two looks for a signal.
_SLICE = 0.1


def wait_for(event: threading.Event) -> None:
    """Wait until an event is set."""
    while not event.wait(_SLICE):
        pass


def take_from(waiting: queue.SimpleQueue[_T]) -> _T:
    """Take the next item of a queue when there is one."""
    while True:
        with suppress(queue.Empty):
            return waiting.get(timeout=_SLICE)
