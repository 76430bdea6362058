"""What belongs to one event loop: the first one that it is used on."""

from __future__ import annotations

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
        running = asyncio.get_running_loop()
        if self.__loop is None:
            self.__loop = running
        elif self.__loop is not running:
            raise RuntimeError(
                f"this client belongs to the event loop {self.__loop!r}, and is used on {running!r}: "
                "make one for each loop"
            )
        return running

    def _part(self) -> None:
        """It may be used on another loop from now on."""
        self.__loop = None
