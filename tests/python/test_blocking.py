"""Waits that Ctrl-C ends even when it wakes nobody."""

from __future__ import annotations

import _thread
import queue
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE
from thingslink import _blocking

if TYPE_CHECKING:
    from collections.abc import Callable


WAITS: dict[str, tuple[Any, Any]] = {
    # The wait, and the function that the thread sleeps in.
    "wait_for": (_blocking.wait_for, threading.Condition.wait),
    "take_from": (_blocking.take_from, _blocking.take_from),
}


@pytest.mark.parametrize("name", WAITS)
def test_a_signal_that_breaks_off_no_system_call_is_noticed(
    name: str, eventually: Callable[[Callable[[], object]], None]
) -> None:
    wait, sleeping = WAITS[name]
    event = threading.Event()
    items: queue.SimpleQueue[None] = queue.SimpleQueue()
    main = threading.get_ident()

    def asleep() -> bool:
        stack = [frame.f_code for frame, _ in traceback.walk_stack(sys._current_frames()[main])]
        return wait.__code__ in stack and stack[0] is sleeping.__code__

    def interrupt() -> None:
        eventually(asleep)
        _thread.interrupt_main()

    def give_up() -> None:
        event.set()
        items.put(None)

    given_up = threading.Timer(PATIENCE, give_up)
    given_up.start()
    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    with pytest.raises(KeyboardInterrupt):
        wait(event if name == "wait_for" else items)
    assert not event.is_set(), "it ended because somebody gave up"
    given_up.cancel()
    interrupting.join(PATIENCE)


def test_what_comes_is_taken_in_order() -> None:
    items: queue.SimpleQueue[int] = queue.SimpleQueue()

    def put() -> None:
        for number in (1, 2):
            items.put(number)

    threading.Timer(0.3, put).start()
    assert [_blocking.take_from(items), _blocking.take_from(items)] == [1, 2]
