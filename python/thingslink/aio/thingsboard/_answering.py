"""Calls of the server, answered by a program's handlers in tasks of the event loop."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from typing import TYPE_CHECKING, Any

from thingslink import _native

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["ALL", "Answering"]

log = logging.getLogger("tb_connection")

#: Stands for all methods, names and devices.
ALL = "*"
#: Calls that are being answered at once, at most.
_MOST_CALLS = 1000
#: Seconds that cancelled handlers have to end in.
_FAREWELL = 5.0


class Answering:
    """The calls that are being answered.

    Args:
        client: The client of the other face, whose handlers they are.
    """

    def __init__(self, client: object) -> None:
        self._client = client
        self._tasks: set[asyncio.Task[None]] = set()

    def answer(
        self,
        handlers: dict[str, Callable[..., object]],
        body: dict[str, Any],
        before: tuple[Any, ...],
        reply: Callable[[Any], Coroutine[Any, Any, Any]],
    ) -> None:
        """Have a call answered by its handler, in a task.

        Args:
            handlers: By method; ``ALL`` for the others.
            body: The call: ``"method"`` and ``"params"``.
            before: What handlers are called with before the rest.
            reply: Sends the answer.
        """
        method = body.get("method")
        handler = handlers.get(str(method))
        arguments = (*before, body.get("params"))
        if handler is None:
            handler, arguments = handlers.get(ALL), (*before, method, body.get("params"))
        if handler is None:
            log.warning("a call of the server to %r stays unanswered: there is no handler for it", method)
            return
        if len(self._tasks) >= _MOST_CALLS:
            log.error("a call of the server to %r stays unanswered: %d are being answered", method, _MOST_CALLS)
            return
        task = asyncio.get_running_loop().create_task(self._run(handler, arguments, reply))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(
        self,
        handler: Callable[..., object],
        arguments: tuple[Any, ...],
        reply: Callable[[Any], Coroutine[Any, Any, Any]],
    ) -> None:
        try:
            answer = handler(*arguments)
            if inspect.isawaitable(answer):
                answer = await answer
            # A text that holds JSON would stand for its value.
            await reply(json.dumps(answer) if isinstance(answer, str) else answer)
        except Exception as error:
            log.exception("a call of the server stays unanswered")
            _native._callback_failed(self._client, error)

    async def end(self) -> None:
        """Cancel the handlers, and wait a while for their end."""
        tasks = self._tasks - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_FAREWELL)
