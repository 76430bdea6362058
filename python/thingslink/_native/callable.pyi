"""Callbacks that the library's Python part calls."""

from typing import Any, final

from thingslink._native.arguments import _Callback
from typing_extensions import Self

@final
class Callback:
    """A callback of the program, to be called as it likes.

    Args:
        name: What the argument is called that the program gave it as.
        callback: What the program gave.
        forms: Ways to call it, the first one that it takes counts: ``"msg, client="`` gives the client by keyword.

    Raises:
        TypeError: It is not callable, or in none of these forms; or a call of it would run nothing, as that of a
            generator function.
    """

    def __new__(cls, name: str, callback: _Callback, /, *forms: str) -> Self: ...
    @property
    def form(self) -> str:
        """The form that it is to be called in."""
    @property
    def function(self) -> _Callback:
        """What the program gave."""
    def __call__(self, *arguments: Any, **keywords: Any) -> None: ...
