"""Pictures of a table, with matplotlib."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Protocol

from thingslink.frame._loss import shares

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: What is drawn by gateway.
_OF_GATEWAYS = {"rssi", "snr"}
#: Units, as far as the network says them.
_UNITS = {"rssi": "dBm", "snr": "dB", "frequency": "MHz", "airtime": "ns"}
_NUMBERS = {"int", "float", "bool"}
#: Spans of time that packet loss is told for.
_SPANS = 48
#: Lines that have a name in the legend.
_NAMED = 20


class Source(Protocol):
    """What has columns."""

    @property
    def columns(self) -> list[tuple[str, str]]:
        """Names of the columns, and what their values are."""

    def column(self, name: str) -> list[Any] | None:
        """Give the values of a column: times in microseconds since 1970."""


def plot(source: Source, field: str, by: str | None, ax: Axes | None) -> Axes:
    """Draw a field over time; see ``Recorder.plot``."""
    kinds = dict(source.columns)
    by = by or ("gateway" if field in _OF_GATEWAYS else "dev_id")
    _check("by", by, set(kinds), kinds)
    if field == "loss" and field not in kinds:
        if by != "dev_id":
            raise ValueError(f"by {by!r} is not valid for loss: counters are those of devices, expected 'dev_id'")
        return _draw(_losses(source), "lost uplinks, %", by, ax or _axes())
    _check("field", field, {name for name, kind in kinds.items() if kind in _NUMBERS}, kinds)
    unit = _UNITS.get(field)
    return _draw(_points(source, field, by), f"{field}, {unit}" if unit else field, by, ax or _axes())


def _axes() -> Axes:
    try:
        import matplotlib.pyplot as plt  # noqa: PLC0415 - not everyone has it
    except ImportError:
        raise ImportError("plots need matplotlib: pip install matplotlib") from None
    return plt.subplots(figsize=(9, 4.5))[1]


def _check(argument: str, name: str, allowed: set[str], kinds: dict[str, str]) -> None:
    if name in allowed:
        return
    if name in kinds:
        raise ValueError(f"{argument} {name!r} is not valid: the column is of {kinds[name]}, expected numbers")
    near = difflib.get_close_matches(name, list(kinds), 1)
    hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(sorted(allowed)) or 'none yet'}"
    raise ValueError(f"{argument} {name!r} is not valid: there is no such column; {hint}")


def _points(source: Source, field: str, by: str) -> dict[str, list[tuple[int, Any]]]:
    """Give time and value, in the order of time, by the values of another column; without those that are null."""
    found: dict[str, list[tuple[int, Any]]] = {}
    columns = (source.column(name) or [] for name in (by, "time", field))
    for group, time, value in zip(*columns, strict=True):
        if time is not None and value is not None:
            found.setdefault("" if group is None else str(group), []).append((time, value))
    for points in found.values():
        points.sort(key=lambda point: point[0])
    return dict(sorted(found.items()))


def _losses(source: Source) -> dict[str, list[tuple[int, float]]]:
    counters = _points(source, "counter", "dev_id")
    times = [time for points in counters.values() for time, _ in points]
    if not times:
        return {}
    span = max((max(times) - min(times)) // _SPANS + 1, 1)
    return {
        name: [(time, share * 100) for time, share in shares(points, min(times), span)]
        for name, points in counters.items()
    }


def _draw(lines: dict[str, list[tuple[int, float]]], label: str, by: str, ax: Axes) -> Axes:
    import numpy as np  # noqa: PLC0415 - comes with matplotlib

    for place, (name, points) in enumerate(lines.items()):
        times = np.array([time for time, _ in points], dtype="datetime64[us]")
        values = np.array([value for _, value in points], dtype=float)
        # A name that begins with an underscore is kept out of legends.
        ax.plot(times, values, marker=".", linewidth=1, label=name if place < _NAMED else "_")
    ax.set_ylabel(label)
    ax.set_xlabel("time, UTC")
    ax.grid(visible=True, alpha=0.3)
    if lines:
        ax.legend(title=by, fontsize="small")
    ax.figure.autofmt_xdate()
    return ax
