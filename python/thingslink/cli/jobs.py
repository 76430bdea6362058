"""Calls for many things, some of them at the same time."""

from __future__ import annotations

import queue
from _thread import start_new_thread
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

__all__ = ["outcomes"]

T = TypeVar("T")
R = TypeVar("R")


def outcomes(call: Callable[[T], R], things: Sequence[T], jobs: int) -> Generator[tuple[int, R], None, None]:
    """Give what ``call`` gives for each thing, beside its place, as it comes. To be closed.

    When it is closed, or interrupted, no more calls begin, and those under way are waited for. Ctrl-C may come between
    any two steps of it: nothing is counted here that would be lost then, and no lock is held that is Python code, which
    would stay locked. `concurrent.futures` takes several for each call, so that now and then nothing ended any more.

    Args:
        call: What is called, on other threads.
        things: What it is called with, each.
        jobs: How many calls at the same time.

    Raises:
        BaseException: Whatever a call has raised.
    """
    waiting: queue.SimpleQueue[tuple[int, T]] = queue.SimpleQueue()
    done: queue.SimpleQueue[Callable[[], tuple[int, R]] | None] = queue.SimpleQueue()
    ended: list[bool] = []
    for item in enumerate(things):
        waiting.put(item)

    def work() -> None:
        while (item := _next_of(waiting)) is not None:
            done.put(_outcome(call, *item))
        ended.append(True)
        # It only wakes who waits.
        done.put(None)

    working = 0
    try:
        for _ in range(min(jobs, len(things))):
            start_new_thread(work, ())
            working += 1
        while len(ended) < working or not done.empty():
            if (take := done.get()) is not None:
                yield take()
    finally:
        while _next_of(waiting) is not None:
            pass
        while len(ended) < working:
            done.get()


def _next_of(waiting: queue.SimpleQueue[T]) -> T | None:
    try:
        return waiting.get_nowait()
    except queue.Empty:
        return None


def _outcome(call: Callable[[T], R], place: int, thing: T) -> Callable[[], tuple[int, R]]:
    """Give what raises or returns what the call did."""
    try:
        result = call(thing)
    except BaseException as error:  # noqa: BLE001 - it is raised where the outcome is taken
        raised = error

        def fail() -> tuple[int, R]:
            raise raised

        return fail
    return lambda: (place, result)
