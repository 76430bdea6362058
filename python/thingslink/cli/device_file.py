"""Files of devices.

JSON is a list, or objects one after the other. CSV has a column for each key, ``attributes.<name>`` for attributes.
"""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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
    return "csv" if path.lower().endswith(".csv") else "json"


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


def entries(file: TextIO, form: str) -> list[tuple[str, dict[str, Any] | ValueError]]:
    """Give each device of a file with its place, or what is wrong with it.

    Raises:
        ValueError: A file that cannot be read at all.
    """
    if form == "csv":
        return [(f"line {number}", _row(number, row)) for number, row in enumerate(csv.DictReader(file), start=2)]
    found = enumerate(_objects(file.read()), start=1)
    return [(f"device {place}", row if isinstance(row, dict) else {}) for place, row in found]


def read(file: TextIO, form: str) -> list[tuple[str, dict[str, Any]]]:
    """Give the devices of a file with their IDs.

    Raises:
        ValueError: What cannot be read, with its place.
    """
    devices = []
    for place, (_, row) in enumerate(entries(file, form), start=1):
        if isinstance(row, ValueError):
            raise row
        dev_id = row.get("dev_id") or row.get("devId")
        if not isinstance(dev_id, str):
            raise ValueError(f"device {place} of the file has no dev_id")  # noqa: TRY004 - the file is at fault
        devices.append((dev_id, row))
    return devices


def _row(number: int, row: Mapping[str, str | None]) -> dict[str, Any] | ValueError:
    if None in row:
        return ValueError(f"line {number} of the file has more cells than the head")
    try:
        return from_texts({key: text or "" for key, text in row.items()})
    except ValueError as error:
        return ValueError(f"line {number} of the file: {error}")


def _objects(text: str) -> list[Any]:
    """Give what JSON has: a list, or objects one after the other."""
    decoder, found, at = json.JSONDecoder(), [], 0
    try:
        if text.lstrip().startswith("["):
            return list(json.loads(text))
        end = len(text.rstrip())
        while at < end:
            while text[at].isspace():
                at += 1
            each, at = decoder.raw_decode(text, at)
            found.append(each)
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON list and no JSON lines: {error}") from None
    return found
