"""What belongs to one event loop: the first one that it is used on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thingslink._native import _same_loop

if TYPE_CHECKING:
    import asyncio

__all__ = ["Belonging"]


class Belonging:
    """Something that is used on one event loop alone."""

    __loop: asyncio.AbstractEventLoop | None = None

    def _belong(self) -> asyncio.AbstractEventLoop:
        """Give the loop that runs here.

        Raises:
            RuntimeError: None does, or it is another one than before; names both.
        """
        self.__loop = loop = _same_loop(self.__loop)
        return loop

    def _part(self) -> None:
        """It may be used on another loop from now on."""
        self.__loop = None
