"""Devices as the stack's own tools write them: the messages of The Things Stack V3, all servers' in one, as JSON."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What both call by one name.
_SAME = (
    "name",
    "description",
    "attributes",
    "version_ids",
    "lorawan_version",
    "lorawan_phy_version",
    "frequency_plan_id",
    "supports_class_b",
    "supports_class_c",
    "resets_join_nonces",
)
#: Where our keys are there.
_PLACES = {
    "dev_id": "ids.device_id",
    "dev_eui": "ids.dev_eui",
    "app_eui": "ids.join_eui",
    "app_key": "root_keys.app_key.key",
    "nwk_key": "root_keys.nwk_key.key",
    "dev_addr": "session.dev_addr",
    "nwk_s_key": "session.keys.f_nwk_s_int_key.key",
    "app_s_key": "session.keys.app_s_key.key",
    "f_cnt_up": "session.last_f_cnt_up",
    "latitude": "locations.user.latitude",
    "longitude": "locations.user.longitude",
    "altitude": "locations.user.altitude",
}
_INDICES = ("rx1_delay", "rx1_data_rate_offset", "rx2_data_rate_index", "rx2_frequency", "status_count_periodicity")
_FLAGS = ("supports_32_bit_f_cnt", "resets_f_cnt")
_TIMES = ("class_c_timeout", "status_time_periodicity")


def is_one(row: Mapping[str, Any]) -> bool:
    """Tell whether a device is written in this way."""
    return isinstance(row.get("ids"), dict)


def _at(message: Any, path: str) -> Any:
    for name in path.split("."):
        message = message.get(name) if isinstance(message, dict) else None
    return message


def _plain(value: Any) -> Any:
    return value["value"] if isinstance(value, dict) and "value" in value else value


def _number(key: str, value: Any) -> int:
    found = re.search(r"\d+$", str(value))
    if found is None:
        raise ValueError(f"mac_settings.{key} {value!r} is not valid: expected a number, or a name that ends with one")
    return int(found[0])


def _seconds(key: str, value: Any) -> float:
    try:
        return float(str(value).removesuffix("s"))
    except ValueError:
        raise ValueError(f"mac_settings.{key} {value!r} is not valid: expected seconds, such as 5s") from None


def _settings(given: Mapping[str, Any]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for key, wrapped in given.items():
        value = _plain(wrapped)
        if value is None:
            continue
        if key in _INDICES:
            settings[key] = _number(key, value)
        elif key in _FLAGS:
            settings[key] = bool(value)
        elif key in _TIMES:
            settings[key] = _seconds(key, value)
        elif key == "factory_preset_frequencies":
            settings[key] = [_number(key, each) for each in value]
    return settings


def read(row: Mapping[str, Any]) -> dict[str, Any]:
    """Give a device with our keys.

    Raises:
        ValueError: What cannot be read.
    """
    device = {key: row[key] for key in _SAME if row.get(key)}
    for key, path in _PLACES.items():
        value = _at(row, path)
        if value not in (None, ""):
            device[key] = value
    counters = [_at(row, f"session.{name}") or 0 for name in ("last_n_f_cnt_down", "last_a_f_cnt_down")]
    if any(counters):
        device["f_cnt_down"] = max(counters)
    settings = row.get("mac_settings")
    if isinstance(settings, dict) and (read_settings := _settings(settings)):
        device["mac_settings"] = read_settings
    return device
