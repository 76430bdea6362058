"""Messages in the hands of ``json``."""

from __future__ import annotations

from thingslink._native import Message, UplinkMessage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from json import JSONEncoder
    from typing import Any

__all__ = ["json_default", "write_messages_as_lists"]


def json_default(value: Any, /) -> Any:
    """Give a message as plain dicts and lists, for ``json.dumps(value, default=thingslink.json_default)``.

    Messages may be anywhere in the value: ``{"received": msg}``, ``msg._asdict()``, ``[msg.metadata]``. So may devices,
    applications and announcements; their bytes become upper-case hex.

    Raises:
        TypeError: Anything else, as ``json`` raises it.
    """
    if isinstance(value, Message):
        return value.to_dict()
    return UplinkMessage._json_default(value)  # noqa: SLF001 - the class's other half


def write_messages_as_lists() -> None:
    """Let ``json`` write a message, at any depth, as it writes a named tuple: as the list of its values.

    Messages do not come before a ``default`` of the program then, as named tuples never did; `json_default` is asked.
    """
    from json import JSONEncoder  # noqa: PLC0415 - few programs come here, all of them import this

    original = JSONEncoder.iterencode
    if original.__module__ == __name__:
        return

    def iterencode(self: JSONEncoder, o: Any, _one_shot: bool = False) -> Iterator[str]:
        if self.default is json_default:
            return original(self, o, _one_shot)
        # A copy: an encoder may be at work on several threads.
        encoder = object.__new__(type(self))
        vars(encoder).update(vars(self), default=_as_list_or(self.default))
        return original(encoder, o, _one_shot)

    JSONEncoder.iterencode = iterencode  # type: ignore[method-assign]


def _as_list_or(default: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def give(value: Any) -> Any:
        return list(value) if type(value) is UplinkMessage else default(value)

    return give
