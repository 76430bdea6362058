"""Kinds of arguments that several classes take."""

from collections.abc import Callable
from datetime import timedelta
from typing import TypeAlias

_Seconds: TypeAlias = float | timedelta
_Callback: TypeAlias = Callable[..., object]
_Octets: TypeAlias = bytes | bytearray | memoryview | list[int] | tuple[int, ...]
