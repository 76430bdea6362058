"""Streams of what comes seldom: each a queue of its own, of the event loop's thread alone."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from thingslink.aio._entering import Entering

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

__all__ = ["Updates"]

log = logging.getLogger("thingslink.client")

T = TypeVar("T")

#: What waits at most for a reader.
_MOST = 10_000


class Updates(Entering, Generic[T]):
    """What comes from now on, with ``async for``, for one task at a time; a wait that is cancelled loses nothing.

    It goes on over reconnects and ends when the client is closed, or with ``aclose``. At most 10,000 wait for the
    reader: then the oldest make room, which is counted in ``dropped`` and told in the log.

    Attributes:
        dropped: How many had to make room.
    """

    def __init__(self, forget: Callable[[Updates[T]], None]) -> None:
        self.dropped = 0
        self._forget = forget
        self._items: deque[T] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._is_over = False

    def _put(self, item: T) -> None:
        if len(self._items) >= _MOST:
            self._items.popleft()
            self.dropped += 1
            if self.dropped == 1:
                log.warning("a stream of a client drops its oldest: nobody has read %d of them", _MOST)
        self._items.append(item)
        self._wake()

    def _end(self) -> None:
        self._is_over = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while not self._items:
            if self._is_over:
                raise StopAsyncIteration
            if self._waiter is not None:
                raise RuntimeError("another task reads this stream: open one for each")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._items.popleft()

    async def aclose(self) -> None:
        """End it: what has come is still given."""
        self._forget(self)
        self._end()
