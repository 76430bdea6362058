"""Kinds of arguments that several classes take."""

from collections.abc import Callable
from datetime import timedelta
from typing import TypeAlias

_Seconds: TypeAlias = float | timedelta
_Callback: TypeAlias = Callable[..., object]
_Octets: TypeAlias = bytes | bytearray | memoryview | list[int] | tuple[int, ...]

def _whole(name: str, value: object, first: int, last: int, /) -> int:
    """Read an int that is within a range.

    Raises:
        TypeError: It is no int; ``True`` is none.
        ValueError: It is out of the range, which is told.
    """

def _real(name: str, value: object, /) -> float:
    """Read a number.

    Raises:
        TypeError: It is no number; ``True`` is none.
        ValueError: It is larger than any float.
    """
