"""Arguments of what is written in Python: one of a wrong type is told by its name, as the native part tells it."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from os import PathLike
from types import FunctionType

from thingslink._native import UplinkMessage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, TypeAlias, TypeVar

    _C = TypeVar("_C", bound=type)
    #: Place in a call, name, what fits, what is expected.
    _Look: TypeAlias = tuple[int, str, Callable[[Any], bool], str]

#: What an argument may be, by how it is declared. Numbers and times are not here: those who read them tell their range
#: as well. Nor are callbacks, which are judged by what they take.
_KINDS: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    (r"str|Literal\['.*", lambda value: isinstance(value, str), "str"),
    (r"bool", lambda value: isinstance(value, bool), "bool"),
    (r"bytes", lambda value: isinstance(value, bytes | bytearray | memoryview), "bytes"),
    (r"Mapping\[.*", lambda value: isinstance(value, Mapping | UplinkMessage), "dict"),
    (r"Callable\[\[\].*", callable, "callable"),
    (r"str \| PathLike\[str\]", lambda value: isinstance(value, str | PathLike), "str or os.PathLike"),
    (r"(str \| )?Iterable\[.*", lambda value: isinstance(value, Iterable), "iterable"),
)
#: Flag of the code of coroutine functions.
_COROUTINE = 0x80


def checked(cls: _C) -> _C:
    """Have the arguments of a class's public functions looked at before a call, by their declared types."""
    for name, member in [*vars(cls).items()]:
        function = member.__func__ if isinstance(member, staticmethod | classmethod) else member
        is_public = not name.startswith("_") or name in {"__init__", "__new__"}
        # What is wrapped takes other arguments than it declares.
        if is_public and isinstance(function, FunctionType) and not hasattr(function, "__wrapped__"):
            looks = [*_looks(function)]
            if looks:
                guarded = _guarded(function, looks)
                setattr(cls, name, guarded if member is function else type(member)(guarded))
    return cls


def _looks(function: FunctionType) -> Iterator[_Look]:
    by_position = function.__code__.co_varnames[: function.__code__.co_argcount]
    for name, annotation in function.__annotations__.items():
        declared, optional = re.subn(r" \| None$", "", annotation)
        for pattern, fits, expected in _KINDS:
            if name != "return" and re.fullmatch(pattern, declared):
                place = by_position.index(name) if name in by_position else -1
                yield place, name, _or_none(fits) if optional else fits, expected
                break


def _or_none(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or fits(value)


def _guarded(function: FunctionType, looks: list[_Look]) -> Callable[..., Any]:
    def look(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        for place, name, fits, expected in looks:
            if 0 <= place < len(arguments):
                value = arguments[place]
            elif name in keywords:
                value = keywords[name]
            else:
                continue
            if not fits(value):
                raise TypeError(f"{name} must be {expected}, not {type(value).__name__}")

    if function.__code__.co_flags & _COROUTINE:

        @functools.wraps(function)
        async def later(*arguments: Any, **keywords: Any) -> Any:
            look(arguments, keywords)
            return await function(*arguments, **keywords)

        return later

    @functools.wraps(function)
    def at_once(*arguments: Any, **keywords: Any) -> Any:
        look(arguments, keywords)
        return function(*arguments, **keywords)

    return at_once
