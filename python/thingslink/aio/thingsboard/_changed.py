"""What a message of the server is about."""

from __future__ import annotations

from typing import Any, cast

__all__ = ["changed", "fields"]


def fields(content: object) -> dict[str, Any]:
    """The fields of an object of JSON; none of anything else."""
    return cast("dict[str, Any]", content) if isinstance(content, dict) else {}


def changed(update: object) -> set[str]:
    """The names of the attributes that a push is about: those that it sets, and those that were deleted."""
    told = fields(update)
    deleted = told.get("deleted")
    listed = cast("list[object]", deleted) if isinstance(deleted, list) else []
    return {*told, *(name for name in listed if isinstance(name, str))}
