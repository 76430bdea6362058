"""Tables that fit, the same fields in all forms, and progress on a terminal alone."""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import sys
import unicodedata
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from terminals import Terminal
from thingslink.cli import cells, output, progress
from thingslink.cli.failure import Failure

ROWS: list[dict[str, Any]] = [
    {"dev_id": "node-1", "number": 1, "words": "Küche", "flag": True, "inner": {"a": [1]}, "more": "x"},
    {"dev_id": "温度計", "number": None, "words": "x" * 300, "flag": False, "inner": None, "more": "y"},
]
COLUMNS = ("dev_id", "number", "words", "flag", "inner")


def on_screen(text: str) -> int:
    """Columns that a terminal gives a text, counted in another way than the program does."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def shown(capsys: pytest.CaptureFixture[str], form: str, columns: tuple[str, ...] = COLUMNS) -> list[str]:
    output.table(ROWS, columns, form)
    return capsys.readouterr().out.splitlines()


def test_all_forms_have_the_same_fields(capsys: pytest.CaptureFixture[str]) -> None:
    objects = [json.loads(line) for line in shown(capsys, "json")]
    assert [tuple(each) for each in objects] == [COLUMNS, COLUMNS]
    assert objects[0] == {name: ROWS[0][name] for name in COLUMNS}
    head, *lines = csv.reader(shown(capsys, "csv"))
    assert tuple(head) == COLUMNS and lines[0] == ["node-1", "1", "Küche", "true", '{"a": [1]}']
    assert lines[1][1] == "" and lines[1][2] == "x" * 300
    assert tuple(shown(capsys, "table")[0].split()) == COLUMNS


@pytest.mark.parametrize("room", [42, 60, 80, 200])
def test_a_table_fits_and_has_all_columns(
    room: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(room))
    lines = shown(capsys, "table")
    assert max(map(on_screen, lines)) <= room and len(lines) == 3
    assert [name[:3] for name in lines[0].split()] == [name[:3] for name in COLUMNS]
    # The second row has wide letters, and its columns begin where they do elsewhere.
    head, _, second = lines
    assert on_screen(second[: second.index("xx")]) == on_screen(head[: head.index("wor")]) and "…" in second


def test_eighty_columns_are_taken_where_nobody_tells(capsys: pytest.CaptureFixture[str]) -> None:
    assert max(map(on_screen, shown(capsys, "table"))) == 80


def test_rows_that_cannot_fit_are_stacked(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    text = "\n".join(shown(capsys, "table"))
    first, second = text.rstrip("\n").split("\n\n")
    assert [line.split()[0] for line in first.splitlines()] == list(COLUMNS)
    assert output.height(ROWS, COLUMNS) == 6 and output.height(ROWS, COLUMNS[:1]) == 1
    # Nothing is cut off there.
    assert second.count("x") == 300 and max(map(on_screen, text.splitlines())) <= 20


def test_columns_stand_closer_before_rows_are_stacked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = tuple(f"column-{number:03}" for number in range(5))
    for room, between in ((48, 2), (44, 1)):
        monkeypatch.setenv("COLUMNS", str(room))
        output.table([], columns, "table")
        assert capsys.readouterr().out == (" " * between).join(["column-…"] * 5) + "\n"
    monkeypatch.setenv("COLUMNS", "43")
    output.table([dict.fromkeys(columns, 1)], columns, "table")
    assert len(capsys.readouterr().out.splitlines()) == 6


def test_one_thing_is_wrapped_beside_its_names(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    output.one({"name": "a\nb", "key": "0123456789" * 5}, "table")
    assert capsys.readouterr().out.splitlines() == [
        "name  a",
        "      b",
        "key   0123456789012345678901234567890123",
        "      4567890123456789",
    ]


def test_columns_fit_the_terminal() -> None:
    assert output.fitted([6, 100, 30], 80) == [6, 40, 30] and output.fitted([6, 7], 80) == [6, 7]
    assert output.fitted([100, 30], 50, 1) == [25, 24]
    assert output.fitted([100, 100], 10) == [8, 8] and output.fitted([24, 30, 5], 50) == [24, 17, 5]


@given(st.text(), st.integers(2, 30))
def test_what_is_cut_has_the_room_that_it_was_given(text: str, room: int) -> None:
    plain = cells.plain(text)
    assert cells.width(cells.padded(plain, room)) == room
    assert not any(unicodedata.category(letter) == "Cc" for letter in plain)
    assert cells.cut(plain, room) == plain or cells.cut(plain, room).endswith("…")
    assert "".join(cells.wrapped(plain, room)) == plain
    assert all(cells.width(line) <= room for line in cells.wrapped(plain, room))


def test_what_would_move_the_cursor_is_written_out() -> None:
    assert cells.plain("a\x1b[2Jb\nc\u202ed") == "a\\x1b[2Jb\\nc\\u202ed"
    assert cells.plain("e\u0301 👩\u200d🚀 温") == "e\u0301 👩\u200d🚀 温"
    assert cells.width("e\u0301") == 1 and cells.width("温") == 2


def test_times_are_short_in_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    now, past = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%S}.622697045Z", "2021-11-27T04:00:00Z"
    rows = [{"id": 1, "at": now}, {"id": 2, "at": past}, {"id": 3, "at": "x" + past}]
    output.table(rows, ("id", "at"), "table")
    cells_ = [line.split(maxsplit=1)[1] for line in capsys.readouterr().out.splitlines()[1:]]
    # Midnight may have passed meanwhile.
    assert cells_[0] in {f"{now[11:19]}Z", f"{now[:10]} {now[11:19]}Z"}
    assert cells_[1:] == ["2021-11-27 04:00:00Z", "x" + past]
    output.table(rows, ("id", "at"), "csv")
    assert now in capsys.readouterr().out


def options(**given: Any) -> argparse.Namespace:
    return argparse.Namespace(format=None, fields=None, **given)


def test_fields_are_chosen() -> None:
    assert output.fields(options(), ("a", "b"), ("b", "c")) == ("a", "b")
    asked = options()
    asked.fields = "c, a"
    assert output.fields(asked, ("a", "b"), ("b", "c")) == ("c", "a")
    asked.fields = "all"
    assert output.fields(asked, ("a", "b"), ("b", "c")) == ("a", "b", "c")
    asked.fields = "dev_ix"
    with pytest.raises(Failure, match="did you mean 'dev_id'"):
        output.fields(asked, ("dev_id",), ())


def test_a_format_of_a_variable_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THINGSLINK_FORMAT", "json")
    assert output.chosen(options()) == "json"
    monkeypatch.setenv("THINGSLINK_FORMAT", "yaml")
    with pytest.raises(Failure, match="expected table, json, csv"):
        output.chosen(options())


def test_progress_tells_how_far_it_is() -> None:
    assert progress.line("importing", 50, 200, 10) == "importing [#####...............] 50/200  0:10, 0:30 left"
    assert progress.line("importing", 0, 200, 1) == "importing [....................] 0/200  0:01"
    assert progress.line("fetching", 7, None, 61) == "fetching 7  1:01"
    assert progress.line("asking", 0, None, 2) == "asking  0:02"


#: A program that takes longer than a second to come to its third step.
SLOW = """
import sys, time
from thingslink.cli.progress import progress
with progress("counting", 4, beside_rows="beside" in sys.argv) as step:
    step(2)
    begin = time.monotonic()
    while time.monotonic() < begin + 1.5:
        time.sleep(0.01)
    step(2)
print("done", file=sys.stderr)
"""


def slow(*arguments: str, stdout: bool = True, columns: int = 80, **variables: str) -> str:
    terminal = Terminal(
        arguments,
        {**os.environ, "TERM": "xterm", **variables},
        stdout=stdout,
        columns=columns,
        program=(sys.executable, "-c", SLOW),
    )
    assert terminal.finish() == 0
    return terminal.seen


def test_progress_is_shown_on_a_terminal_and_gone_at_the_end() -> None:
    seen = slow()
    assert "counting [##########..........] 2/4  0:01" in seen and "\x1b[3" not in seen
    # The line is cleared before anything else is said.
    assert seen.endswith("\r\x1b[Kdone\r\n")
    assert max(len(part) for part in slow(columns=30).split("\r\x1b[K")) < 30


def test_progress_leaves_rows_alone() -> None:
    assert slow("beside") == "done\r\n"
    assert "counting" in slow("beside", stdout=False)
    assert slow(TERM="dumb") == "done\r\n"


def test_progress_is_silent_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = io.StringIO()
    monkeypatch.setattr(sys, "stderr", heard)
    with progress.progress("counting", 2) as step:
        step()
    assert heard.getvalue() == ""


#: A program with a row of a table.
TABLE = "from thingslink.cli import output; output.table([{'a': 1}], ('a',), 'table')"


@pytest.mark.parametrize(
    ("variables", "is_coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colours_are_for_those_who_want_them(variables: dict[str, str], is_coloured: bool) -> None:
    environment = {**{k: v for k, v in os.environ.items() if k != "NO_COLOR"}, "TERM": "xterm", **variables}
    terminal = Terminal([], environment, program=(sys.executable, "-c", TABLE))
    assert terminal.finish() == 0 and ("\x1b[" in terminal.seen) is is_coloured
