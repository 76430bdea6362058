"""Streams of what arrives: one message after the other, or many at once."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from thingslink._native import _real, _whole
from thingslink.aio._entering import Entering

if TYPE_CHECKING:
    from typing_extensions import Self

    from thingslink._native import UplinkMessage, _Inlet
    from thingslink.frame import Table
    from thingslink.typing import RowOf

__all__ = ["Batch", "Batches", "Stream"]

T = TypeVar("T")


class Stream(Entering, Generic[T]):
    """A subscription of its own: ``async for`` gives its messages, in the order in which they came.

    It listens from the moment on in which it is made, ends with ``aclose`` of it or of its client, and goes on after a
    reconnect. What is not read yet waits in it; when ``queue_messages`` or ``queue_bytes`` of the client are reached,
    ``overflow`` decides: by default nothing more is read from the network (V2), or the oldest messages are dropped,
    counted and told of (V3).

    At QoS 1 a message is acknowledged when the next one is asked for, or by its ``ack()`` before. Leaving the loop by
    ``break``, an exception or cancellation leaves the last one unacknowledged: it comes again, to the next stream that
    takes it or on the next connection. Being cancelled while it waits loses no message.

    Raises:
        LoginRefusedError: The server refuses the key on a reconnect, which no other reconnect cures.
        ConnectionLostError: The connection was lost, of a client with ``reconnect=False``.
        NotConnectedError: The client is not connected, nor about to be.
        RuntimeError: Another task waits for the same stream, or the client belongs to another event loop.
    """

    def __init__(self, inlet: _Inlet, what: str) -> None:
        self._inlet = inlet
        self._what = what

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        inlet = self._inlet
        while (message := inlet.next()) is ...:
            await inlet.wait()
        return cast("T", message)

    def batches(self, *, max: int = 500, within: float = 1.0) -> Batches[T]:  # noqa: A002 - reads as what it is
        """Give lists of messages in place of single ones, for databases and data frames.

        Args:
            max: Most messages of a list.
            within: Seconds after which a list is given that has not as many. It begins with the first message: a list
                is never empty. At QoS 1 many servers have no more than 20 messages on the way at once, which is all
                that comes within this time.

        Raises:
            TypeError: One of them is no number.
            ValueError: ``max`` is not 1 or more, or ``within`` is not above 0.
        """
        return Batches(self, self._inlet, max, within)

    async def aclose(self) -> None:
        """End the subscription. Messages at QoS 1 that were not acknowledged come again."""
        self._inlet.close()

    def __repr__(self) -> str:
        return f"<Stream of {self._what}, {len(self._inlet)} waiting>"


class Batch(list[T]):
    """A list of messages; of uplinks, a table as well: ``polars.DataFrame(batch.table())``.

    It has Arrow's PyCapsule interface itself, too, for ``pyarrow.RecordBatchReader.from_stream(batch)``; but libraries
    whose constructors take lists look no further when they are given one.
    """

    __slots__ = ()

    def table(self, *, per: RowOf = "uplink") -> Table:
        """Give the uplinks as a table, whose columns are those of these uplinks: see ``thingslink.frame``.

        A ``Recorder`` gives the same columns for all batches: ``extend(batch)``.

        Args:
            per: What a row is of: ``"uplink"`` or ``"gateway"``.

        Raises:
            TypeError: These are no uplinks.
            ValueError: ``per`` is another.
        """
        from thingslink.frame import Recorder  # noqa: PLC0415 - for those who want tables

        recorder = Recorder(per=per, max_rows=sys.maxsize, max_bytes=sys.maxsize)
        recorder.extend(cast("list[UplinkMessage]", self))
        return recorder.take()

    def __arrow_c_schema__(self) -> object:
        """Give Arrow's schema of ``table()``, for other libraries."""
        return self.table().__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Give Arrow's stream of ``table()``, for other libraries. Another schema cannot be had."""
        return self.table().__arrow_c_stream__(requested_schema)


class Batches(Generic[T]):
    """Lists of the messages of a stream. At QoS 1 all of one are acknowledged when the next one is asked for."""

    def __init__(self, stream: Stream[T], inlet: _Inlet, most: int, within: float) -> None:
        most = _whole("max", most, 1, sys.maxsize)
        within = _real("within", within)
        if not within > 0:
            raise ValueError(f"within {within!r} is not valid: expected seconds, more than 0")
        self._stream = stream
        self._inlet = inlet
        self._most = most
        self._within = within

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Batch[T]:
        inlet = self._inlet
        while True:
            while not inlet.look():
                await inlet.wait()
            await self._gather()
            if batch := inlet.take(self._most):
                return Batch(batch)

    async def _gather(self) -> None:
        # Messages stay where they are until they are given: being cancelled here loses none.
        inlet = self._inlet
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._within
        timer = loop.call_at(deadline, inlet.wake)
        try:
            while len(inlet) < self._most and loop.time() < deadline and inlet.may_grow():
                await inlet.wait(self._most)
        finally:
            timer.cancel()

    def __repr__(self) -> str:
        return f"<Batches of at most {self._most} of {self._stream!r}>"
