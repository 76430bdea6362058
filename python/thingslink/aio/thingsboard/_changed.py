"""Which attributes a push of the server is about."""

from __future__ import annotations

from typing import Any

__all__ = ["changed"]


def changed(update: Any) -> set[str]:
    """The names of the attributes that a push is about: those that it sets, and those that were deleted."""
    if not isinstance(update, dict):
        return set()
    deleted = update.get("deleted")
    return (
        set(update) | {name for name in deleted if isinstance(name, str)} if isinstance(deleted, list) else set(update)
    )
