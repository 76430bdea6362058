"""How telemetry is counted and cut, for programs that call the original's own functions for it (TB 5)."""

from typing import Any

from thingslink._native import _split_entries


def _values(entry: Any) -> int:
    counted = entry
    if isinstance(entry, dict) and entry.get("ts") is not None and entry.get("values") is not None:
        counted = entry["values"]
    try:
        keys = len(counted)
    except TypeError:
        raise TypeError("a telemetry entry must have a length") from None
    return keys + len(str(counted)) // 1000


def count_datapoints(data: Any) -> int:
    """Count the values of a message, and one more for every 1000 characters."""
    if isinstance(data, dict):
        return _values(data)
    return sum(map(_values, data)) if isinstance(data, list) else 1


def split(pack: Any, max_points: int, max_bytes: int) -> list[dict[str, Any]]:
    """Cut telemetry into messages below these limits; 0 points for any number.

    Returns:
        A dict for each message, with its entries as ``data`` and the number of its values as ``datapoints``.
    """
    if not pack:
        return []
    if isinstance(pack, dict) and len(pack) <= len(("device", "data")) and pack.get("device"):
        return [{"data": pack, "datapoints": count_datapoints(pack), "message": pack}]
    return _split_entries(pack if isinstance(pack, list) else [pack], max_points, max_bytes)
