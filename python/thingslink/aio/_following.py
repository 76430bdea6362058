"""The streams of a client, each with what it takes of what the server tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from thingslink.aio._updates import Updates

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Following"]


class Following:
    """The streams of a client; those that nobody holds are forgotten."""

    def __init__(self) -> None:
        self._streams: WeakKeyDictionary[Updates[Any], tuple[str, Callable[[Any], bool]]] = WeakKeyDictionary()

    def open(self, kind: str, wants: Callable[[Any], bool] = lambda _: True) -> Updates[Any]:
        """Give a stream of this kind, from now on."""
        stream: Updates[Any] = Updates(self._forget)
        self._streams[stream] = kind, wants
        return stream

    def _forget(self, stream: Updates[Any]) -> None:
        self._streams.pop(stream, None)

    def tell(self, kind: str, content: Any) -> None:
        """Tell the streams of this kind that want it."""
        for stream, (of, wants) in list(self._streams.items()):
            if of == kind and wants(content):
                stream._put(content)

    def end(self) -> None:
        """End them all."""
        for stream in list(self._streams):
            stream._end()
        self._streams.clear()
