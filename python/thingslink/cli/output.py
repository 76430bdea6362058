"""Rows for people and for programs: tables on a terminal, plain data in a pipe, progress of what takes long."""

from __future__ import annotations

import contextlib
import csv
import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping, Sequence

FORMATS = ("table", "json", "csv")
#: No column of a table is cut to less.
_NARROWEST = 4


def add_format(command: argparse._ActionsContainer) -> None:
    """Add the option."""
    command.add_argument(
        "--format",
        choices=FORMATS,
        help="table, JSON lines or CSV (default: table on a terminal, CSV in a pipe)",
    )


def chosen(options: argparse.Namespace) -> str:
    """Give the format."""
    return str(options.format or ("table" if sys.stdout.isatty() else "csv"))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def fitted(widths: Sequence[int], room: int) -> list[int]:
    """Take from the widest columns what is too much for a line."""
    found = list(widths)
    while sum(found) + 2 * (len(found) - 1) > room and max(found) > _NARROWEST:
        found[found.index(max(found))] -= 1
    return found


def _cut(cell: str, width: int) -> str:
    return cell if len(cell) <= width else cell[: width - 1] + "…"


class Rows:
    """Writes rows as they come."""

    def __init__(self, form: str, columns: Sequence[str]) -> None:
        self._form = form
        self._columns = columns
        self._csv = csv.writer(sys.stdout, lineterminator="\n")
        self._widths = [len(column) for column in columns]
        # In a pipe nothing is cut off.
        self._room = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
        if form == "csv":
            self._csv.writerow(columns)
        elif form == "table":
            self._line(columns)

    def _line(self, cells: Sequence[str]) -> None:
        # Columns of a stream grow with what comes, as far as there is room; the last one needs no padding.
        self._widths = [max(width, len(cell)) for width, cell in zip(self._widths, cells, strict=True)]
        widths = fitted(self._widths, self._room)
        padded = [_cut(cell, width).ljust(width) for cell, width in zip(cells, widths, strict=True)]
        print("  ".join(padded).rstrip())

    def write(self, row: Mapping[str, Any]) -> None:
        """Write one row."""
        if self._form == "json":
            print(json.dumps(row, ensure_ascii=False))
            return
        cells = [_text(row.get(column)) for column in self._columns]
        if self._form == "csv":
            self._csv.writerow(cells)
        else:
            self._line(cells)


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], form: str) -> None:
    """Write rows that are all known: on a terminal as wide as they need."""
    if form == "table":
        with contextlib.suppress(ImportError):
            _rich_table(rows, columns)
            return
    writer = Rows(form, columns)
    for row in rows:
        writer.write(row)


def one(row: Mapping[str, Any], form: str) -> None:
    """Write one thing with all of its fields: one below the other in a table."""
    if form == "table":
        width = max(map(len, row), default=0)
        for name, value in row.items():
            print(f"{name.ljust(width)}  {_text(value)}".rstrip())
        return
    writer = Rows(form, tuple(row))
    writer.write(row)


def _rich_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    from rich.console import Console  # noqa: PLC0415 - comes with the extra
    from rich.table import Table  # noqa: PLC0415

    grid = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        grid.add_column(column, no_wrap=column == columns[0])
    for row in rows:
        grid.add_row(*(_text(row.get(column)) for column in columns))
    # In a pipe nothing is cut off to fit a terminal.
    Console(width=None if sys.stdout.isatty() else 10_000, markup=False, highlight=False).print(grid)


@contextlib.contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    """Show on standard error how far something is; gives what is to be called after each step."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    try:
        from rich.console import Console  # noqa: PLC0415 - comes with the extra
        from rich.progress import Progress  # noqa: PLC0415
    except ImportError:
        done = 0

        def step() -> None:
            nonlocal done
            done += 1
            print(f"\r{what} {done}/{total}", end="", file=sys.stderr, flush=True)

        yield step
        print(file=sys.stderr)
        return
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)
