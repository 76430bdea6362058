"""Watching the servers of the sandbox: which there are, what they saw, waiting for what they will see."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

from thingslink._native import _real

if TYPE_CHECKING:
    from collections.abc import Callable

    from thingslink._native import Follower
    from thingslink.sandbox import Sandbox
    from thingslink.sandbox_thingsboard import ThingsBoard

started: WeakSet[Sandbox | ThingsBoard] = WeakSet()
"""Servers that were started, as long as somebody holds them."""

T = TypeVar("T")

# What a condition looks at may be the program's own, which writes nothing into the journal.
_LOOK_AGAIN = 0.05
_SHOWN = 5
_LONGEST = 200


def wait_for(
    holds: Callable[[], T | None],
    timeout: float,
    *,
    follow: Callable[[], Follower],
    missing: Callable[[], str],
    journal: Callable[[], list[dict[str, Any]]],
) -> T:
    """Call `holds` after each thing that happens until it gives something true, and give that.

    Raises:
        TimeoutError: It did not within ``timeout`` seconds; says what is `missing` and what happened last.
    """
    deadline = time.monotonic() + (timeout := _real("timeout", timeout))
    follower = follow()
    while not (found := holds()):
        left = deadline - time.monotonic()
        if left <= 0:
            raise _late(missing(), timeout, journal())
        follower.next(min(left, _LOOK_AGAIN))
    return found


async def wait_async(
    holds: Callable[[], T | None],
    timeout: float,
    *,
    follow: Callable[[], Follower],
    missing: Callable[[], str],
    journal: Callable[[], list[dict[str, Any]]],
) -> T:
    """Do the same, and let other tasks run meanwhile."""
    deadline = time.monotonic() + (timeout := _real("timeout", timeout))
    follower = follow()
    while not (found := holds()):
        left = deadline - time.monotonic()
        if left <= 0:
            raise _late(missing(), timeout, journal())
        await follower._next_async(min(left, _LOOK_AGAIN))  # noqa: SLF001 - our own seam
    return found


def _late(missing: str, timeout: float, journal: list[dict[str, Any]]) -> TimeoutError:
    lines = [f"{missing} within {timeout:g} s; the last entries of the journal:", *told(journal[-_SHOWN:])]
    return TimeoutError("\n  ".join(lines))


def told(entries: list[dict[str, Any]]) -> list[str]:
    """Give entries of a journal as lines; long payloads are cut."""
    return [
        " ".join([entry["kind"], *(f"{key}={_short(value)}" for key, value in entry.items() if key != "kind")])
        for entry in entries
    ] or ["none"]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(value)} bytes)"
