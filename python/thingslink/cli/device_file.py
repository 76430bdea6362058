"""Files of devices.

JSON is a list, or objects one after the other. CSV has a column for each key, ``attributes.<name>`` for attributes;
comma, semicolon or tab separate its cells, as spreadsheets like it.
"""

from __future__ import annotations

import codecs
import csv
import json
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_NUMBERS = {
    "latitude": float,
    "longitude": float,
    "altitude": int,
    "f_cnt_up": int,
    "f_cnt_down": int,
    "last_seen": int,
}
_FLAGS = ("disable_f_cnt_check", "uses32_bit_f_cnt")
_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_DELIMITERS = (",", ";", "\t")
#: Columns that an export always has, in this order.
COLUMNS = (
    "dev_id",
    "dev_eui",
    "app_eui",
    "dev_addr",
    "app_key",
    "nwk_s_key",
    "app_s_key",
    "activation_constraints",
    "disable_f_cnt_check",
    "uses32_bit_f_cnt",
    "latitude",
    "longitude",
    "altitude",
    "description",
)


def form_of(path: str, given: str | None) -> str:
    """Give the format of a file: as told, or by its name."""
    if given:
        return given
    return "csv" if path.lower().endswith((".csv", ".tsv", ".txt")) else "json"


def flat(device: Mapping[str, Any]) -> dict[str, Any]:
    """Give a device's keys on one level, without what is not set and without what only the network writes."""
    row = {key: value for key, value in device.items() if key not in {"lorawan_device", "attributes", "app_id"}}
    for key, value in device.get("lorawan_device", {}).items():
        unset = isinstance(value, str) and not value.strip("0")
        if key not in {"app_id", "dev_id", "last_seen"} and not unset:
            row[key] = value
    row.update({f"attributes.{name}": value for name, value in device.get("attributes", {}).items()})
    return row


def write(file: TextIO, devices: Iterable[Mapping[str, Any]], form: str) -> int:
    """Write devices, given as ``to_dict()`` gives them; tells how many."""
    rows = [flat(device) for device in devices]
    if form == "json":
        json.dump([nested(row) for row in rows], file, indent=2, ensure_ascii=False)
        file.write("\n")
        return len(rows)
    attributes = sorted({key for row in rows for key in row if key.startswith("attributes.")})
    writer = csv.DictWriter(file, [*COLUMNS, *attributes], extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return len(rows)


def nested(row: Mapping[str, Any]) -> dict[str, Any]:
    """Give a device that ``flat`` has made flat with its attributes in one place."""
    device = {key: value for key, value in row.items() if not key.startswith("attributes.")}
    attributes = {key.partition(".")[2]: value for key, value in row.items() if key.startswith("attributes.")}
    return {**device, "attributes": attributes} if attributes else device


def _value(key: str, text: str) -> Any:
    if key in _FLAGS:
        if text.lower() not in _WORDS:
            raise ValueError(f"{key} {text!r} is not valid: expected true or false")
        return _WORDS[text.lower()]
    try:
        return _NUMBERS.get(key, str)(text)
    except ValueError:
        raise ValueError(f"{key} {text!r} is not valid: expected a number") from None


def from_texts(texts: Mapping[str, str]) -> dict[str, Any]:
    """Give a device from texts, as a row or the command line has them; empty ones are left out."""
    return nested({key: _value(key, text) for key, text in texts.items() if text})


class Entry(NamedTuple):
    """A device of a file, or what is wrong with it."""

    line: int
    device: dict[str, Any] | ValueError

    @property
    def dev_id(self) -> str | None:
        """Its ID, if it has one."""
        found = None if isinstance(self.device, ValueError) else self.device.get("dev_id") or self.device.get("devId")
        return found if isinstance(found, str) else None


def decoded(data: bytes) -> str:
    """Give a file's text: UTF-8, UTF-16 with its mark, or what spreadsheets on Windows write in western Europe."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def entries(text: str, form: str) -> list[Entry]:
    """Give each device of a file with its line, or what is wrong with it.

    Raises:
        ValueError: A file that cannot be read at all.
    """
    return _rows(text) if form == "csv" else _objects(text)


def repeated(found: Iterable[Entry]) -> list[Entry]:
    """Give those whose ID an earlier one has, as faults."""
    lines: dict[str, int] = {}
    faults = []
    for entry in found:
        if entry.dev_id is None:
            continue
        first = lines.setdefault(entry.dev_id, entry.line)
        if first != entry.line:
            faults.append(Entry(entry.line, ValueError(f"dev_id {entry.dev_id!r} is that of line {first}, too")))
    return faults


def _delimiter(head: str) -> str:
    """Give what separates the cells: of comma, semicolon and tab the one that the head has most of."""
    unquoted = "".join(head.split('"')[::2])
    return max(_DELIMITERS, key=unquoted.count)


def _rows(text: str) -> list[Entry]:
    lines = text.splitlines(keepends=True)
    first = 1
    if lines and lines[0].lower().startswith("sep="):
        # What a spreadsheet is told that way is told us, too.
        lines, first = lines[1:], 2
    reader = csv.reader(lines, delimiter=_delimiter(lines[0] if lines else ""))
    head: list[str] | None = None
    found = []
    line = first
    try:
        for row in reader:
            place, line = line, first + reader.line_num
            cells = [cell.strip() for cell in row]
            # Spreadsheets write lines of nothing but separators, too.
            if not any(cells):
                continue
            if head is None:
                head = cells
            else:
                found.append(Entry(place, _row(head, cells)))
    except csv.Error as error:
        raise ValueError(f"line {line} of the file cannot be read as CSV: {error}") from None
    return found


def _row(head: list[str], cells: list[str]) -> dict[str, Any] | ValueError:
    if len(cells) != len(head):
        which = "more" if len(cells) > len(head) else "fewer"
        return ValueError(f"has {which} cells than the head: {len(cells)}, not {len(head)}")
    try:
        return from_texts({key: text for key, text in zip(head, cells, strict=True) if key or text})
    except ValueError as error:
        return error


def _objects(text: str) -> list[Entry]:
    """Give what JSON has: a list, or objects one after the other."""
    try:
        return [
            Entry(text.count("\n", 0, at) + 1, each if isinstance(each, dict) else ValueError("is no JSON object"))
            for at, each in _values(text)
        ]
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON list and no JSON lines: {error}") from None


def _values(text: str) -> Iterator[tuple[int, Any]]:
    """Give the values and where each begins."""
    decoder, at = json.JSONDecoder(), _after_blanks(text, 0)
    is_list = text.startswith("[", at)
    if is_list:
        at = _after_blanks(text, at + 1)
    is_first = True
    while at < len(text):
        if is_list and text[at] == "]":
            is_list, at = False, _after_blanks(text, at + 1)
            break
        if is_list and not is_first:
            if text[at] != ",":
                raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
            at = _after_blanks(text, at + 1)
        each, end = decoder.raw_decode(text, at)
        yield at, each
        is_first, at = False, _after_blanks(text, end)
    if is_list or at < len(text):
        raise json.JSONDecodeError("Expecting ']'" if is_list else "Extra data", text, at)


def _after_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at
