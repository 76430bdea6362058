"""How far something is that takes long: one line on the terminal, gone when it is done."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from typing import TYPE_CHECKING

from thingslink.cli import cells, terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: What is done sooner needs no line, in seconds.
_PATIENCE = 1.0
#: How often the line is written anew, in seconds.
_EVERY = 0.1
_BAR = 20
_CLEAR = "\r\x1b[K"


def _is_shown(*, beside_rows: bool) -> bool:
    # The line would stand among the rows of a terminal that gets both.
    return terminal.is_one(sys.stderr) and not (beside_rows and sys.stdout.isatty())


def line(what: str, done: int, total: int | None, seconds: float) -> str:
    """Say how far it is."""
    if not total:
        count = f" {done}" if done else ""
        return f"{what}{count}  {_clock(seconds)}"
    filled = _BAR * min(done, total) // total
    left = f", {_clock(seconds / done * (total - done))} left" if 0 < done < total else ""
    return f"{what} [{'#' * filled}{'.' * (_BAR - filled)}] {done}/{total}  {_clock(seconds)}{left}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"


@contextlib.contextmanager
def progress(what: str, total: int | None = None, *, beside_rows: bool = False) -> Iterator[Callable[..., None]]:
    """Show on the terminal how far something is, if it takes longer than a second; nothing where there is none.

    Args:
        what: What is being done.
        total: How many steps there are, where that is known.
        beside_rows: Rows are written to standard output meanwhile.

    Yields:
        What is to be called after each step, or with the number of steps that were done, and of how many.
    """
    done = 0

    def step(count: int = 1, of: int | None = None) -> None:
        nonlocal done, total
        done += count
        total = total if of is None else of

    if not _is_shown(beside_rows=beside_rows):
        yield step
        return
    start, over = time.monotonic(), threading.Event()

    def show() -> None:
        wait = _PATIENCE
        while not over.wait(wait):
            wait = _EVERY
            # One column stays free: some terminals begin a new line after the last one.
            text = cells.cut(line(what, done, total, time.monotonic() - start), terminal.width() - 1)
            print(f"{_CLEAR}{text}", end="", file=sys.stderr, flush=True)

    shower = threading.Thread(target=show, daemon=True)
    shower.start()
    try:
        yield step
    finally:
        over.set()
        shower.join()
        if time.monotonic() - start >= _PATIENCE:
            print(_CLEAR, end="", file=sys.stderr, flush=True)
