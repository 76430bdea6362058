"""Tables as spreadsheets write them: encodings, separators, heads in the words of people, and what is done to numbers.

A cell that a spreadsheet has taken for a number has lost digits for good: that is told, and never guessed.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from typing import TYPE_CHECKING, NamedTuple

from thingslink.cli.failure import USAGE, Failure, meant

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_DELIMITERS = (",", ";", "\t", "|")
#: Files that are no text, by their first bytes.
_WORKBOOKS = {
    b"PK\x03\x04": "a workbook, or another archive",
    b"\xd0\xcf\x11\xe0": "a workbook of an old kind",
    b"%PDF": "a PDF",
    b"\x1f\x8b": "compressed",
}
#: Blanks that do not look like any, and marks that do not show.
_UNSEEN = " \t\r\n\f\v\u00a0\u202f\u2007\u200b\u200c\u200d\u2060\ufeff"
#: What people and other tools call the columns, without blanks and in lower case.
_CALLED = {
    "id": "dev_id",
    "deviceid": "dev_id",
    "enddeviceid": "dev_id",
    "deviceeui": "dev_eui",
    "hardwareserial": "dev_eui",
    "joineui": "app_eui",
    "applicationeui": "app_eui",
    "applicationkey": "app_key",
    "deviceaddress": "dev_addr",
    "networksessionkey": "nwk_s_key",
    "appskey": "app_s_key",
    "nwkskey": "nwk_s_key",
    "applicationsessionkey": "app_s_key",
}
_ATTRIBUTE = "attributes."


class Row(NamedTuple):
    """A line of a table: what its cells say, by column, or what is wrong with it."""

    line: int
    cells: dict[str, str] | ValueError


def decoded(data: bytes, path: str) -> str:
    """Give a file's text: UTF-8, UTF-16, or what spreadsheets on Windows write in western Europe.

    Raises:
        Failure: It is no text.
    """
    for mark, what in _WORKBOOKS.items():
        if data.startswith(mark):
            raise Failure(f"{path} is {what}, not text", code=USAGE, hint="save the sheet as CSV, and import that")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    head = data[:1000]
    if b"\0" in head:
        # Of the letters that ASCII has, every other byte of UTF-16 is zero.
        even, odd = head[0::2].count(0), head[1::2].count(0)
        if max(even, odd) > len(head) // 4 and min(even, odd) == 0:
            return data.decode("utf-16-be" if even else "utf-16-le", "replace")
        raise Failure(f"{path} is not text", code=USAGE, hint="expected CSV or JSON")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _delimiter(head: str) -> str:
    """Give what separates the cells: that which the head has most of."""
    unquoted = "".join(head.split('"')[::2])
    return max(_DELIMITERS, key=unquoted.count)


def rows(text: str, known: Iterable[str]) -> list[Row]:
    """Give the lines of a table after its head.

    Args:
        text: The table.
        known: The names of columns; ``attributes.NAME`` is another one.

    Raises:
        Failure: A table that cannot be read, or whose head is wrong.
    """
    first, _, rest = text.partition("\n")
    offset = 0
    if first.lower().startswith("sep="):
        # What a spreadsheet is told that way is told us, too.
        text, offset = rest, 1
    lines = list(io.StringIO(text, newline=""))
    delimiter = _delimiter(next(filter(str.strip, lines), ""))
    head: list[str] | None = None
    found = []
    for number, texts in _split(lines, delimiter):
        line = number + offset
        cells = [_cell(each) for each in texts]
        # Spreadsheets write lines of nothing but separators, too.
        if not any(cells):
            continue
        if head is None:
            head = _head(line, cells, tuple(known))
        else:
            found.append(Row(line, _by_column(head, cells)))
    if head is None:
        raise Failure("the file is empty: expected a line with the columns' names, and one for each device", code=USAGE)
    return found


def _split(lines: Sequence[str], delimiter: str) -> list[tuple[int, list[str]]]:
    """Give the cells of each line of the table, and where it begins."""
    found: list[tuple[int, list[str]]] = []
    # What is strange in quotes does no harm, but for one that is never closed: it takes in all that is left.
    for strict in (True, False):
        found, begin = [], 1
        reader = csv.reader(lines, delimiter=delimiter, strict=strict)
        try:
            for texts in reader:
                found.append((begin, texts))
                begin = reader.line_num + 1
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                raise Failure(f"line {begin}: a quotation mark is opened and never closed", code=USAGE) from None
            if not strict:
                raise Failure(f"line {begin} cannot be read as CSV: {error}", code=USAGE) from None
            continue
        break
    return found


def _cell(text: str) -> str:
    """Give what a cell says: without what spreadsheets put around text that is to stay text."""
    text = text.strip(_UNSEEN)
    formula = re.fullmatch(r'="([^"]*)"', text)
    if formula:
        return formula[1].strip(_UNSEEN)
    return text.removeprefix("'")


def _squeezed(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _head(line: int, names: Sequence[str], known: Sequence[str]) -> list[str]:
    """Give the columns as we call them; one without a name is one for notes, if it stays empty."""
    called = {**_CALLED, **{_squeezed(name): name for name in known}}
    columns, faults = [], []
    for name in names:
        if name.lower().startswith(_ATTRIBUTE):
            column: str | None = _ATTRIBUTE + name[len(_ATTRIBUTE) :]
        else:
            column = called.get(_squeezed(name)) if name else ""
        if column is None:
            faults.append(f"column {name!r} is not known{meant(name.lower(), known)}")
        elif column and column in columns:
            faults.append(f"column {column!r} is there twice")
        columns.append(column or "")
    if "dev_id" not in columns:
        raise Failure(
            # Without what there is in their place, which may be keys.
            f"line {line}: expected the columns' names, with dev_id among them",
            code=USAGE,
            hint="the first line names the columns: dev_id, dev_eui, app_eui, app_key, description, …",
        )
    if faults:
        hint = f"what the network does not know is kept in columns called {_ATTRIBUTE}NAME"
        raise Failure(f"line {line}: {'; '.join(faults)}", code=USAGE, hint=hint)
    return columns


def _by_column(head: Sequence[str], cells: Sequence[str]) -> dict[str, str] | ValueError:
    if len(cells) < len(head):
        return ValueError(f"has fewer cells than the head: {len(cells)}, not {len(head)}")
    if any(cells[len(head) :]):
        return ValueError(f"has more cells than the head: {len(cells)}, not {len(head)}")
    found = {}
    for column, text in zip(head, cells, strict=False):
        if column:
            found[column] = text
        elif text:
            return ValueError("has something in a column without a name")
    return found


class DamagedError(ValueError):
    """A value that a spreadsheet has made a number of."""

    HINT = "give these columns the format of text in the spreadsheet, and fill them anew: the digits are lost"


def check_hex(key: str, text: str, digits: int, *, is_secret: bool) -> None:
    """Look at hexadecimal that a spreadsheet may have taken for a number.

    Raises:
        ValueError: It is none, or has lost digits. Keys are not shown.
    """
    shown = key if is_secret else f"{key} {text!r}"
    plain = re.sub(r"^0[xX]|[\s:.-]", "", text)
    is_hex = re.fullmatch("[0-9a-fA-F]*", plain) is not None
    if re.fullmatch(r"\d(?:[.,]\d+)?[eE]\+?\d+", text) and (len(plain) != digits or not is_hex):
        raise DamagedError(f"{shown} is a number that a spreadsheet has made of it: expected {digits} hex digits")
    if not is_hex:
        raise ValueError(f"{shown} is not valid: expected {digits} hex digits, 0-9 and a-f")
    if len(plain) < digits and "0" not in plain[:1]:
        raise DamagedError(
            f"{shown} has {len(plain)} hex digits, not {digits}: a spreadsheet may have taken zeros from its front"
        )
    if len(plain) != digits:
        raise ValueError(f"{shown} is not valid: expected {digits} hex digits, got {len(plain)}")
