"""What the library's threads hand to an event loop, which is woken once for whatever has come meanwhile."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ["Post"]

log = logging.getLogger("thingslink.client")

#: Entries that wait for a loop that does nothing else than something long.
_MOST = 10_000


class Post:
    """Calls on their way to the thread of an event loop, in their order."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._entries: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._is_under_way = False
        self._dropped = 0

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Deliver to this loop from now on."""
        with self._lock:
            self._loop = loop
            self._entries.clear()
            self._is_under_way = False

    def put(self, take: Callable[..., None], *arguments: Any) -> None:
        """Have the loop's thread call `take`. From any thread; a loop that is closed is told nothing."""
        with self._lock:
            loop = self._loop
            if loop is None:
                return
            if len(self._entries) >= _MOST:
                self._entries.popleft()
                self._dropped += 1
            self._entries.append((take, arguments))
            if self._is_under_way:
                return
            self._is_under_way = True
        try:
            loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:
            if not loop.is_closed():
                raise

    def _deliver(self) -> None:
        with self._lock:
            entries, self._entries = self._entries, deque()
            self._is_under_way = False
            dropped, self._dropped = self._dropped, 0
        if dropped:
            log.warning("%d messages were dropped: the event loop was held up for too long", dropped)
        for take, arguments in entries:
            take(*arguments)
