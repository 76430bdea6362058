"""What a client hears beside messages: of its connection, and of what failed and stops nothing."""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import TYPE_CHECKING, Any

from thingslink._native import _callback_failed
from thingslink.aio._connection import Connection
from thingslink.aio._following import Following

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["News"]

log = logging.getLogger("thingslink.ttn")


class News:
    """Told on the event loop's thread. It does not know its client, which may be collected."""

    def __init__(self) -> None:
        self.following = Following()
        self.on_error: list[Callable[[Exception], object]] = []
        #: Error callbacks that are coroutine functions.
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, what: str, content: Any) -> None:
        """Hear something."""
        if what == "connection":
            self.following.tell("connections", Connection(*content))
        else:
            self.failed(content)

    def failed(self, error: Exception) -> None:
        """Tell the error callbacks."""
        for callback in self.on_error:
            try:
                outcome = callback(error)
            except Exception as another:  # noqa: BLE001 - told of, and nothing is stopped
                self._complain(another)
                continue
            if inspect.isawaitable(outcome):
                task = asyncio.ensure_future(self._await(outcome))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _await(self, outcome: Any) -> None:
        try:
            await outcome
        except Exception as another:  # noqa: BLE001 - likewise
            self._complain(another)

    def _complain(self, error: Exception) -> None:
        log.error("exception in an error callback", exc_info=error)
        _callback_failed(self, error)
