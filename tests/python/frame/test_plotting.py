"""Pictures of a table, and packet loss."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from harness import PATIENCE
from thingslink._native import _parse_message
from thingslink.frame import Recorder
from thingslink.frame._loss import Gaps, shares


def recorded(per: Any = "uplink") -> Recorder:
    recorder = Recorder(per=per)
    for dev_id, counters in (("a", (1, 2, 4, 8)), ("b", (7, 8, 9, 10))):
        for minute, counter in enumerate(counters):
            heard = [("g1", -100 + counter), ("g2", -80)][: 1 + (dev_id == "b")]
            uplink = {
                "dev_id": dev_id,
                "counter": counter,
                "payload_fields": {"temperature": 20 + counter, "state": "ok"},
                "metadata": {
                    "time": f"2026-11-27T00:0{minute}:00Z",
                    "gateways": [{"gtw_id": name, "rssi": rssi} for name, rssi in heard],
                },
            }
            recorder.add(_parse_message(json.dumps(uplink)))
    return recorder


def lines(ax: Any) -> dict[str, list[float]]:
    return {line.get_label(): [round(value, 6) for value in line.get_ydata()] for line in ax.get_lines()}


def axes() -> Any:
    figure = pytest.importorskip("matplotlib.figure", reason="matplotlib is not installed")
    return figure.Figure().add_subplot()


def test_a_field_is_drawn_by_device() -> None:
    ax: Any = recorded().plot("temperature", ax=axes())
    assert lines(ax) == {"a": [21, 22, 24, 28], "b": [27, 28, 29, 30]}
    assert ax.get_ylabel() == "temperature"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]


def test_the_signal_is_drawn_by_gateway() -> None:
    ax = recorded("gateway").plot("rssi", ax=axes())
    found = lines(ax)
    assert found["g2"] == [-80] * 4 and sorted(found["g1"]) == sorted([-99, -98, -96, -92, -93, -92, -91, -90])
    assert ax.get_ylabel() == "rssi, dBm"
    assert set(lines(recorded().plot("rssi", by="dev_id", ax=axes()))) == {"a", "b"}


def test_loss_is_drawn_by_gaps_of_counters() -> None:
    found = lines(recorded().plot("loss", ax=axes()))
    # Of the third minute half is lost, of the fourth three of four.
    assert found == {"a": [0, 0, 50, 75], "b": [0, 0, 0, 0]}


def test_a_new_figure_is_made_where_there_is_none() -> None:
    plt = pytest.importorskip("matplotlib.pyplot", reason="matplotlib is not installed")
    # It would look for a display, and for a window to draw in.
    plt.switch_backend("agg")
    ax: Any = recorded().take().plot("temperature")
    assert ax.figure.number in plt.get_fignums()
    plt.close(ax.figure)


def test_what_cannot_be_drawn_is_told() -> None:
    ax = axes()
    with pytest.raises(ValueError, match=r"field 'temprature' is not valid: .* did you mean 'temperature'"):
        recorded().plot("temprature", ax=ax)
    with pytest.raises(ValueError, match="field 'state' is not valid: the column is of text, expected numbers"):
        recorded().plot("state", ax=ax)
    with pytest.raises(ValueError, match=r"by 'gatway' is not valid: .* did you mean 'gateway'"):
        recorded().plot("rssi", by="gatway", ax=ax)
    with pytest.raises(ValueError, match=r"by 'gateway' is not valid for loss: .* expected 'dev_id'"):
        recorded().plot("loss", by="gateway", ax=ax)
    assert lines(Recorder().plot("loss", ax=ax)) == {}


def test_without_matplotlib_the_error_says_what_to_install() -> None:
    program = (
        "import sys\n"
        "sys.modules['matplotlib'] = None\n"
        "from thingslink.frame import Recorder\n"
        "try:\n    Recorder().plot('rssi')\n"
        "except ImportError as error:\n    print(error)\n"
    )
    command = [sys.executable, "-c", program]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert outcome.stdout == "plots need matplotlib: pip install matplotlib\n"


def test_gaps_of_counters_are_losses_and_jumps_are_not() -> None:
    gaps = Gaps()
    assert gaps.share is None
    # Twice the same is a repetition; back is a new session, and so is far ahead.
    told = [gaps.add(counter) for counter in (5, 5, 6, 9, 0, 1, 60_000, 60_001)]
    assert told == [(1, 0), (0, 0), (1, 0), (1, 2), (1, 0), (1, 0), (1, 0), (1, 0)]
    assert (gaps.received, gaps.lost) == (7, 2)
    assert gaps.share == pytest.approx(2 / 9)


def test_loss_is_told_for_spans_of_time() -> None:
    assert list(shares([(0, 1), (5, 3), (25, 4), (26, 4)], 0, 10)) == [(5, 1 / 3), (25, 0.0)]
