"""Methods of the other face as coroutines: their names, arguments, results and docstrings, written nowhere twice."""

from __future__ import annotations

import inspect
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

P = ParamSpec("P")
T = TypeVar("T")

__all__ = ["awaited", "like", "taking"]


def awaited(method: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """Give a coroutine function in place of a method: what it is called with goes to ``_call`` of its object."""
    name = method.__name__

    async def call(self: Any, /, *arguments: P.args, **options: P.kwargs) -> T:
        result: T = await self._call(name, *arguments, **options)
        return result

    return wraps(method)(call)


def like(
    method: Callable[P, T],
) -> Callable[[Callable[..., Coroutine[Any, Any, T]]], Callable[P, Coroutine[Any, Any, T]]]:
    """Have a coroutine function take the arguments of another function, under its name and with its docstring."""

    def adapt(function: Callable[..., Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        return wraps(method)(function)

    return adapt


def taking(
    made: Callable[P, object],
) -> Callable[[Callable[..., None]], Callable[Concatenate[Any, P], None]]:
    """Have a constructor take the arguments of another class, and say so."""

    def adapt(constructor: Callable[..., None]) -> Callable[Concatenate[Any, P], None]:
        signature = inspect.signature(made)
        own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
        signature = signature.replace(parameters=[own, *signature.parameters.values()])
        constructor.__signature__ = signature  # type: ignore[attr-defined]
        return constructor

    return adapt
