"""What the clients that manage things over gRPC have in common: a client of the other face, made when it is needed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from thingslink._native import NotConnectedError
from thingslink.aio._belonging import Belonging
from thingslink.aio._entering import Entering

if TYPE_CHECKING:
    from collections.abc import Awaitable

__all__ = ["Calling", "Managing"]


class _Closable(Protocol):
    def close(self) -> None: ...


class _Callable(_Closable, Protocol):
    def _call_async(self, name: str, /, *arguments: Any, **options: Any) -> Awaitable[Any]: ...


N = TypeVar("N", bound=_Closable)
C = TypeVar("C", bound=_Callable)


class Managing(Belonging, Entering, Generic[N]):
    """A client over one of the other face.

    The constructor asks nobody for anything; what it needs to know is asked for by the first call, or on enter.
    """

    def __init__(self) -> None:
        self._native: N | None = None
        self._opening = asyncio.Lock()
        self._is_closed = False

    async def _make(self) -> N:
        """Give the client of the other face, made just for this one."""
        raise NotImplementedError

    async def _open(self) -> N:
        self._belong()
        async with self._opening:
            if self._is_closed:
                raise NotConnectedError(f"{self!r} is closed")
            if self._native is None:
                self._native = await self._make()
            return self._native

    async def aclose(self) -> None:
        """Close the connection; later calls fail, and so do those that are under way."""
        self._is_closed = True
        if self._native is not None:
            self._native.close()

    async def close(self) -> None:
        """Close the connection, as ``aclose`` does."""
        await self.aclose()

    async def _enter(self) -> None:
        await self._open()

    def _known(self) -> N:
        if self._native is None:
            raise RuntimeError(f"{self!r} does not know its server yet: enter it, or await a call, first")
        return self._native

    def __repr__(self) -> str:
        if self._native is None:
            return f"<aio.{type(self).__name__}, not opened yet>"
        return f"<aio.{repr(self._native)[1:]}"


class Calling(Managing[C]):
    """The same, over one whose calls give futures."""

    async def _call(self, name: str, *arguments: Any, **options: Any) -> Any:
        native = self._native
        if native is None or self._is_closed:
            native = await self._open()
        else:
            self._belong()
        return await native._call_async(name, *arguments, **options)
