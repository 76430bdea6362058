"""Data for people and for programs: the same fields as a table that fits the terminal, as JSON lines and as CSV."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from typing import TYPE_CHECKING, Any

from thingslink.cli import cells, connection, terminal
from thingslink.cli.failure import USAGE, Failure, meant

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FORMATS = ("table", "json", "csv")
#: No column of a table is cut to less; where that does not fit, rows are shown one field a line.
_NARROWEST = 8
_BETWEEN = "  "
#: Where columns stand so close, they may still all be there.
_CLOSE = " "


def add_format(command: argparse._ActionsContainer, *, fields: bool = False) -> None:
    """Add the options: ``--format``, and ``--fields`` where rows have more to show than is usual."""
    command.add_argument(
        "--format",
        choices=FORMATS,
        help="table, JSON lines or CSV (or THINGSLINK_FORMAT; default: table on a terminal, CSV in a pipe)",
    )
    if fields:
        command.add_argument(
            "--fields", metavar="NAME,…", help="what to show of each, in this order; `all` for everything there is"
        )


def positive(text: str) -> int:
    """Read a number of things, of which there is one at least."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not valid: expected a whole number, 1 or more")
    return int(text)


def chosen(options: argparse.Namespace) -> str:
    """Give the format."""
    form = connection.setting(options, "format") or ("table" if sys.stdout.isatty() else "csv")
    if form not in FORMATS:
        raise Failure(f"format {form!r} is not valid: expected {', '.join(FORMATS)}", code=USAGE)
    return form


def fields(options: argparse.Namespace, usual: Sequence[str], known: Iterable[str]) -> tuple[str, ...]:
    """Give the fields to show: the usual ones, unless others of those that are `known` were asked for."""
    everything = tuple(dict.fromkeys([*usual, *known]))
    if options.fields is None:
        return tuple(usual)
    if options.fields == "all":
        return everything
    asked = tuple(name.strip() for name in options.fields.split(","))
    for name in asked:
        if name not in everything:
            words = meant(name, everything) or f": expected some of {', '.join(everything)}"
            raise Failure(f"--fields: {name!r} is not known here{words}", code=USAGE)
    return asked


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _for_table(text: str) -> str:
    return cells.plain(cells.short(text))


def fitted(widths: Sequence[int], room: int, between: int = len(_BETWEEN)) -> list[int]:
    """Take from the widest columns what is too much for a line.

    The first one, which names things, stays whole as long as it leaves half of the room to the others.
    """
    found = list(widths)
    while sum(found) + between * (len(found) - 1) > room and max(found) > _NARROWEST:
        widest = max(found[1:], default=0)
        is_first = widest <= _NARROWEST or found[0] >= max(widest, room // 2 + 1)
        found[0 if is_first else found.index(widest, 1)] -= 1
    return found


class Rows:
    """Writes rows as they come."""

    def __init__(self, form: str, columns: Sequence[str], widths: Sequence[int] = ()) -> None:
        """Begin; `widths` are those that the columns of a table will want, as far as they are known."""
        self._form = form
        self._columns = columns
        self._csv = csv.writer(sys.stdout, lineterminator="\n")
        self._widths = [cells.width(column) for column in columns]
        if widths:
            self._widths = list(map(max, self._widths, widths))
        self._room = terminal.width()
        self._between = _between(self._widths, self._room)
        if form == "csv":
            self._csv.writerow(columns)
        elif form == "table" and self._between is not None:
            line = self._line(columns, self._between)
            print(f"\x1b[1m{line}\x1b[0m" if terminal.is_coloured(sys.stdout) else line)

    def _line(self, texts: Sequence[str], between: str) -> str:
        # Columns of a stream grow with what comes, as far as there is room; the last one needs no padding.
        self._widths = list(map(max, self._widths, map(cells.width, texts)))
        shown = map(cells.padded, texts, fitted(self._widths, self._room, len(between)))
        return between.join(shown).rstrip()

    def write(self, row: Mapping[str, Any]) -> None:
        """Write one row."""
        if self._form == "json":
            print(json.dumps({column: row.get(column) for column in self._columns}, ensure_ascii=False))
            return
        texts = [_text(row.get(column)) for column in self._columns]
        if self._form == "csv":
            self._csv.writerow(texts)
        elif self._between is None:
            _stack(dict(zip(self._columns, texts, strict=True)), self._room)
            print()
        else:
            print(self._line(list(map(_for_table, texts)), self._between))


def _between(widths: Sequence[int], room: int) -> str | None:
    """Give what stands between columns, if they fit beside each other."""
    least = sum(min(_NARROWEST, each) for each in widths)
    return next((each for each in (_BETWEEN, _CLOSE) if least + len(each) * (len(widths) - 1) <= room), None)


def _wanted(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[int]:
    def wanted(name: str) -> int:
        return max([cells.width(name), *(cells.width(_for_table(_text(row.get(name)))) for row in rows)])

    return [wanted(name) for name in columns]


def height(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> int:
    """Tell how many lines of the terminal each row of a table takes."""
    return len(columns) + 1 if _between(_wanted(rows, columns), terminal.width()) is None else 1


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], form: str) -> None:
    """Write rows that are all known: in a table each column is as wide as it needs to be."""
    writer = Rows(form, columns, _wanted(rows, columns))
    for row in rows:
        writer.write(row)


def one(row: Mapping[str, Any], form: str) -> None:
    """Write one thing with all of its fields: one below the other in a table, where nothing is cut off."""
    if form == "table":
        _stack({name: _text(value) for name, value in row.items()}, terminal.width())
        return
    writer = Rows(form, tuple(row))
    writer.write(row)


def _stack(texts: Mapping[str, str], room: int) -> None:
    """Write names with what they have beside them, in as many lines as that takes."""
    names = max(map(cells.width, texts), default=0)
    left = max(room - names - len(_BETWEEN), _NARROWEST)
    for name, text in texts.items():
        lines = [part for line in text.splitlines() or [""] for part in cells.wrapped(cells.plain(line), left)]
        for number, line in enumerate(lines):
            print(f"{cells.padded('' if number else name, names)}{_BETWEEN}{line}".rstrip())
