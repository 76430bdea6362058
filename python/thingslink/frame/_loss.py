"""Packet loss by the gaps of counters."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: The largest gap that a LoRaWAN network lets pass (MAX_FCNT_GAP). What is more is a device that began anew.
_MOST = 16_384


class Gaps:
    """The gaps of one device's counter, uplink by uplink."""

    def __init__(self) -> None:
        self.received = 0
        self.lost = 0
        self._before: int | None = None

    def add(self, counter: int) -> tuple[int, int]:
        """Take the next uplink; gives how many came and were lost with it: an uplink that came twice counts once."""
        before, self._before = self._before, counter
        if counter == before:
            return 0, 0
        gap = counter - before - 1 if before is not None else 0
        # A counter that goes back is that of a device which has joined anew.
        lost = gap if 0 <= gap < _MOST else 0
        self.received += 1
        self.lost += lost
        return 1, lost

    @property
    def share(self) -> float | None:
        """Of all uplinks those that did not come, from 0 to 1; ``None`` of a single one, which tells nothing."""
        total = self.received + self.lost
        return self.lost / total if total > 1 else None


def shares(uplinks: Iterable[tuple[int, int]], begin: int, span: int) -> Iterator[tuple[int, float]]:
    """Give the share that was lost in each span of time in which uplinks came, with its middle.

    Args:
        uplinks: Time and counter of one device's uplinks, in the order of their times.
        begin: When the first span begins.
        span: How long each one is.
    """
    gaps = Gaps()
    counted: dict[int, list[int]] = {}
    for time, counter in uplinks:
        received, lost = gaps.add(counter)
        both = counted.setdefault((time - begin) // span, [0, 0])
        both[0] += received
        both[1] += lost
    for place, (received, lost) in counted.items():
        if received + lost:
            yield begin + place * span + span // 2, lost / (received + lost)
