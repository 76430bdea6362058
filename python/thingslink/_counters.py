"""What `stats()` gives: a dict that notebooks show as a table."""

from __future__ import annotations

from typing import Any

from thingslink._native import _html_table

__all__ = ["Counters"]


class Counters(dict[str, Any]):
    """Counters by their names."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return _html_table("stats", [(name, str(value)) for name, value in self.items()])
