"""The terminal that is looked at, if there is one."""

from __future__ import annotations

import os
import sys
from typing import TextIO

#: Where nobody tells how wide it is.
_USUAL_WIDTH = 80


def is_one(stream: TextIO) -> bool:
    """Tell whether a stream is a terminal, on which a line can be written anew."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def is_coloured(stream: TextIO) -> bool:
    """Tell whether somebody looks on who likes colours."""
    return is_one(stream) and not os.environ.get("NO_COLOR")


def width() -> int:
    """Give its columns, be it looked at through a pager."""
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told):
        return int(told)
    for stream in (sys.__stdout__, sys.__stderr__):
        try:
            found = os.get_terminal_size(stream.fileno()).columns if stream else 0
        except (OSError, ValueError):
            continue
        if found:
            return found
    return _USUAL_WIDTH
