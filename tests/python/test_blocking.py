"""Waits that Ctrl-C ends even when it wakes nobody."""

from __future__ import annotations

import _thread
import queue
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE
from thingslink import _blocking

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("wait", ["wait_for", "take_from"])
def test_a_signal_that_breaks_off_no_system_call_is_noticed(
    wait: str, eventually: Callable[[Callable[[], object]], None]
) -> None:
    event = threading.Event()
    items: queue.SimpleQueue[None] = queue.SimpleQueue()
    main = threading.get_ident()
    asleep: Any = {"wait_for": threading.Condition.wait, "take_from": _blocking.take_from}[wait]
    begun = threading.Event()

    def interrupt() -> None:
        begun.wait(PATIENCE)
        eventually(lambda: sys._current_frames()[main].f_code is asleep.__code__)
        _thread.interrupt_main()

    given_up = threading.Timer(PATIENCE, lambda: (event.set(), items.put(None)))
    given_up.start()
    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    with pytest.raises(KeyboardInterrupt):
        begun.set()
        _blocking.wait_for(event) if wait == "wait_for" else _blocking.take_from(items)
    assert not event.is_set(), "it ended because somebody gave up"
    given_up.cancel()
    interrupting.join(PATIENCE)


def test_what_comes_is_taken_in_order() -> None:
    items: queue.SimpleQueue[int] = queue.SimpleQueue()
    threading.Timer(0.3, lambda: (items.put(1), items.put(2))).start()
    assert [_blocking.take_from(items), _blocking.take_from(items)] == [1, 2]
