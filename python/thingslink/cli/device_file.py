"""Files of devices.

JSON is a list, or objects one after the other. CSV has a column for each key, ``attributes.<name>`` for attributes.
"""

from __future__ import annotations

import csv
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from thingslink.cli import spreadsheet
from thingslink.cli.failure import USAGE, Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_PLACES = ("latitude", "longitude")
_WHOLE = ("altitude", "f_cnt_up", "f_cnt_down", "last_seen")
_FLAGS = (
    "disable_f_cnt_check", "uses32_bit_f_cnt", "supports_class_b", "supports_class_c", "resets_join_nonces",
)  # fmt: skip
#: As spreadsheets write them in the languages that they speak.
_TRUE = ("true", "1", "yes", "wahr", "vrai", "verdadero", "verdadeiro", "vero", "waar")
_FALSE = ("false", "0", "no", "falsch", "faux", "falso", "onwaar")
#: Hex digits, and whether they are secret.
_HEX = {
    "dev_eui": (16, False),
    "app_eui": (16, False),
    "dev_addr": (8, False),
    "app_key": (32, True),
    "nwk_key": (32, True),
    "nwk_s_key": (32, True),
    "app_s_key": (32, True),
}
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


#: What a column of a table may be called; the library knows what of it a network takes.
KNOWN = (
    *COLUMNS, "f_cnt_up", "f_cnt_down", "last_seen", "nwk_key", "name", "frequency_plan_id", "lorawan_version",
    "lorawan_phy_version", "supports_class_b", "supports_class_c", "resets_join_nonces",
)  # fmt: skip


def form_of(path: str, given: str | None) -> str:
    """Give the format of a file to be written: as told, or by its name."""
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
    there = {key for row in rows for key, value in row.items() if not isinstance(value, (dict, list))}
    more = [name for name in KNOWN if name in there and name not in {*COLUMNS, "f_cnt_up", "f_cnt_down", "last_seen"}]
    attributes = sorted(key for key in there if key.startswith("attributes."))
    writer = csv.DictWriter(file, [*COLUMNS, *more, *attributes], extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: str(value).lower() if isinstance(value, bool) else value for key, value in row.items()})
    return len(rows)


def nested(row: Mapping[str, Any]) -> dict[str, Any]:
    """Give a device that ``flat`` has made flat with its attributes in one place."""
    device = {key: value for key, value in row.items() if not key.startswith("attributes.")}
    attributes = {key.partition(".")[2]: value for key, value in row.items() if key.startswith("attributes.")}
    return {**device, "attributes": attributes} if attributes else device


def _value(key: str, text: str) -> Any:
    if key in _FLAGS:
        if text.lower() not in (*_TRUE, *_FALSE):
            raise ValueError(f"{key} {text!r} is not valid: expected true or false")
        return text.lower() in _TRUE
    return _number(key, text) if key in (*_PLACES, *_WHOLE) else text


def _number(key: str, text: str) -> float | int:
    """Read a number, with a comma for the point as well, as most of Europe writes it."""
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        raise ValueError(f"{key} {text!r} is not valid: expected a number") from None
    if key in _PLACES:
        return number
    if not number.is_integer():
        raise ValueError(f"{key} {text!r} is not valid: expected a whole number")
    return int(number)


def from_texts(texts: Mapping[str, str]) -> dict[str, Any]:
    """Give a device from texts, as a row or the command line has them; empty ones are left out."""
    return nested({key: _value(key, text) for key, text in texts.items() if text})


SECRETS = {key for key, (_, is_secret) in _HEX.items() if is_secret}


def check(device: Mapping[str, Any]) -> None:
    """Look at hexadecimal that may have been through a spreadsheet.

    Raises:
        ValueError: What is wrong with it.
    """
    for key, (digits, is_secret) in _HEX.items():
        text = device.get(key)
        if isinstance(text, str) and text:
            spreadsheet.check_hex(key, text, digits, is_secret=is_secret)


_EUIS = (("dev_eui", "devEui"), ("app_eui", "appEui"))


class Entry(NamedTuple):
    """A device of a file, or what is wrong with it."""

    line: int
    device: dict[str, Any] | ValueError

    @property
    def dev_id(self) -> str | None:
        """Its ID, if it has one."""
        found = None if isinstance(self.device, ValueError) else self.device.get("dev_id") or self.device.get("devId")
        return found if isinstance(found, str) else None

    def names(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Give what no other device may have: its ID, and its EUIs, which are unique together."""
        if self.dev_id is not None:
            yield "dev_id", (self.dev_id,)
        if isinstance(self.device, ValueError):
            return
        euis = [self.device.get(snake) or self.device.get(camel) for snake, camel in _EUIS]
        plain = tuple(re.sub("^0x|[^0-9a-f]", "", each.lower()) if isinstance(each, str) else "" for each in euis)
        # Devices that do not join need none.
        if plain[0].strip("0"):
            yield "dev_eui", plain if plain[1] else plain[:1]


def entries(text: str, form: str | None) -> list[Entry]:
    """Give each device of a file with its line, or what is wrong with it; the form is seen where it is not told.

    Raises:
        Failure: A file that cannot be read at all.
    """
    if form is None:
        form = "json" if text.lstrip().startswith(("[", "{")) else "csv"
    return _rows(text) if form == "csv" else _objects(text)


def repeated(found: Iterable[Entry]) -> list[Entry]:
    """Give those whose ID, or whose EUIs, an earlier one has, as faults."""
    lines: dict[tuple[str, ...], int] = {}
    faults = []
    for entry in found:
        for what, key in entry.names():
            first = lines.setdefault((what, *key), entry.line)
            if first != entry.line:
                words = f"{what} {', '.join(key)!r} is that of line {first}, too"
                faults.append(Entry(entry.line, ValueError(words)))
    return faults


def _rows(text: str) -> list[Entry]:
    return [
        Entry(line, cells if isinstance(cells, ValueError) else _device(cells))
        for line, cells in spreadsheet.rows(text, KNOWN)
    ]


def _device(cells: dict[str, str]) -> dict[str, Any] | ValueError:
    try:
        return from_texts(cells)
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
        hint = "CSV is read, too: without --format, or with --format csv"
        raise Failure(f"no JSON list and no JSON lines: {error}", code=USAGE, hint=hint) from None


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
