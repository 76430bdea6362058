"""Helpers that programs reach for under ``ttn.utils``."""

from __future__ import annotations

from thingslink._native import _parse_message
from thingslink.ttn.utils import stubs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["json2obj", "read_key", "split_address", "stubs"]


def split_address(address: str) -> dict[str, Any]:
    """Split ``host[:port]``.

    Returns:
        ``address`` (``str``), and ``port`` (``int``) if there is one. What follows a second colon is ignored.

    Raises:
        ValueError: The port is no number.
    """
    host, *rest = address.split(":")
    return {"address": host, "port": int(rest[0])} if rest else {"address": host}


def json2obj(data: str | bytes) -> Any:
    """Read a JSON text as uplink callbacks get it: objects become ``UplinkMessage``, anything else the plain value.

    Raises:
        DecodeError: The text is no JSON (a ``ValueError``).
    """
    return _parse_message(data)


def read_key(filename: str) -> str:
    """Give a file's text as it is, line ends included.

    Raises:
        OSError: The file cannot be read.
    """
    # Without pathlib, which would double the time that importing this library takes.
    with open(filename, encoding="utf-8") as file:  # noqa: PTH123
        return file.read()
