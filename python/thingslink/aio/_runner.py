"""Handlers of several devices at a time, each device's messages in their order."""

from __future__ import annotations

import asyncio
import inspect
import logging
import traceback
from collections import deque
from typing import TYPE_CHECKING, Any

from thingslink._native import _callback_failed

if TYPE_CHECKING:
    from collections.abc import Callable

    from thingslink._native import _Inlet, _Share
    from thingslink.aio._news import News

__all__ = ["Runner"]

log = logging.getLogger("thingslink.ttn")


class Runner:
    """Runs a handler for each message of a stream, of at most ``concurrency`` devices at a time."""

    def __init__(self, news: News, inlet: _Inlet, handler: Callable[[Any], Any], concurrency: int) -> None:
        self._news = news
        self._inlet = inlet
        self._handler = handler
        self._concurrency = concurrency
        #: Of each device whose handler runs: what has come for it since.
        self._lanes: dict[str, deque[tuple[Any, _Share]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._behind = 0
        self._progress: asyncio.Future[None] | None = None
        #: Handlers are being cancelled.
        self._stops = False

    async def run(self) -> None:
        """Run until the stream ends: then those that run end first. Cancelled, all of them are."""
        try:
            try:
                await self._read()
            except StopAsyncIteration:
                await self._rest()
            except Exception:
                await self._rest()
                raise
        finally:
            self._stops = True
            for task in self._tasks:
                task.cancel()
            self._abandon()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _read(self) -> None:
        inlet, bound = self._inlet, self._inlet.bound
        while True:
            while len(self._tasks) >= self._concurrency or self._behind >= bound:
                self._progress = asyncio.get_running_loop().create_future()
                await self._progress
            if (came := inlet.next_by_hand()) is None:
                await inlet.wait()
                continue
            message, dev_id, share = came
            lane = self._lanes.get(dev_id)
            if lane is not None:
                lane.append((message, share))
                self._behind += 1
                continue
            lane = self._lanes[dev_id] = deque[tuple[Any, "_Share"]]()
            task = asyncio.create_task(self._serve(dev_id, lane, message, share))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            task.add_done_callback(self._progressed)

    async def _serve(self, dev_id: str, lane: deque[tuple[Any, _Share]], message: Any, share: _Share) -> None:
        try:
            while True:
                await self._handle(message, share)
                if not lane:
                    return
                message, share = lane.popleft()
                self._behind -= 1
                self._progressed()
        finally:
            del self._lanes[dev_id]

    async def _handle(self, message: Any, share: _Share) -> None:
        try:
            outcome = self._handler(message)
            if inspect.isawaitable(outcome):
                await outcome
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and self._stops:
                share.abandon()
                raise
            log.exception("exception in a handler")
            _callback_failed(self._news, error)
            if isinstance(error, Exception):
                self._news.failed(error)
            share.settle(True, traceback.format_exc())
        except BaseException:
            share.abandon()
            raise
        else:
            share.settle(False)

    def _progressed(self, _task: object = None) -> None:
        if self._progress is not None and not self._progress.done():
            self._progress.set_result(None)

    def _abandon(self) -> None:
        for lane in self._lanes.values():
            for _, share in lane:
                share.abandon()
            lane.clear()
        self._behind = 0

    async def _rest(self) -> None:
        self._abandon()
        if self._tasks:
            await asyncio.wait(self._tasks)
