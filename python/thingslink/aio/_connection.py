"""What a client's connection does."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Connection"]


class Connection(NamedTuple):
    """A login that was answered, or a connection that ended."""

    is_connected: bool
    code: int
    """Of the login: 0 when it was let in. Of an end: 0 when it was asked for, 7 when it was lost."""
    reason: str
    """The code in words."""
