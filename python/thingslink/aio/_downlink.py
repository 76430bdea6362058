"""A downlink that was sent."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Downlink"]


@dataclass(frozen=True)
class Downlink:
    """A downlink that the server has taken.

    Attributes:
        dev_id: Its device.
        mid: Its message ID, 1 to 65535, as callbacks of the sync face get it. ``int(downlink)`` gives it, too.
    """

    dev_id: str
    mid: int

    def __int__(self) -> int:
        return self.mid

    __index__ = __int__
