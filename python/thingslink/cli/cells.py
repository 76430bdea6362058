"""What text takes on a terminal, and how it is cut to fit."""

from __future__ import annotations

import re
import time
import unicodedata

_ELLIPSIS = "…"
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?Z")


def plain(text: str) -> str:
    """Give text for one line of a terminal: what would move its cursor or change its colours is written out."""
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(letter: str) -> str:
    # Joiners and marks are not printable for Python, and belong to the letter before them.
    if letter.isprintable() or (_width(letter) == 0 and unicodedata.category(letter) != "Cc"):
        # What turns the direction of writing would move all that comes after it.
        return letter if unicodedata.bidirectional(letter) not in _TURNS else repr(letter)[1:-1]
    return " " if unicodedata.category(letter) == "Zs" else repr(letter)[1:-1]


_TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def short(text: str) -> str:
    """Give a time to the second, and without the day if that is today; give any other text as it is."""
    found = _TIME.fullmatch(text)
    if not found:
        return text
    today = time.strftime("%Y-%m-%d", time.gmtime())
    return f"{found[2]}Z" if found[1] == today else f"{found[1]} {found[2]}Z"


def width(text: str) -> int:
    """Tell how many columns a text takes: letters of East Asia and pictures take two, marks upon letters none."""
    return len(text) if text.isascii() else sum(map(_width, text))


def _width(letter: str) -> int:
    if unicodedata.category(letter) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(letter) in {"W", "F"} else 1


def cut(text: str, room: int) -> str:
    """Cut a text to so many columns, with an ellipsis at its end if anything is missing."""
    if width(text) <= room:
        return text
    kept, left = [], room - 1
    for letter in text:
        left -= _width(letter)
        if left < 0:
            break
        kept.append(letter)
    return "".join(kept) + _ELLIPSIS


def padded(text: str, room: int) -> str:
    """Cut or fill a text to exactly so many columns."""
    found = cut(text, room)
    return found + " " * (room - width(found))


def wrapped(text: str, room: int) -> list[str]:
    """Break a text into lines of at most so many columns, within words where it must be."""
    lines, line, left = [], "", room
    for letter in text:
        taken = _width(letter)
        if taken > left and line:
            lines.append(line)
            line, left = "", room
        line += letter
        left -= taken
    return [*lines, line]
