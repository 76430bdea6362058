"""Attributes of a client that are those of the one behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Known"]

T = TypeVar("T")


class Known(Generic[T]):
    """An attribute of the client of the other face, as far as there is one.

    Args:
        doc: Its docstring.
        given: Whether it is known before there is one, from what the constructor was given.
    """

    def __init__(self, doc: str, *, given: bool = False) -> None:
        self.__doc__ = doc
        self._is_given = given

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, client: None, owner: type[Any]) -> Self: ...

    @overload
    def __get__(self, client: Any, owner: type[Any]) -> T: ...

    def __get__(self, client: Any, owner: type[Any]) -> Self | T:
        if client is None:
            return self
        source = client._given if self._is_given and client._native is None else client._known()
        value: T = getattr(source, self._name)
        return value

    def __set__(self, client: Any, value: T) -> None:
        setattr(client._known(), self._name, value)
