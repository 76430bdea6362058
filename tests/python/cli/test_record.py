"""`thingslink record` and `plot`."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from child_commands import ended, settings, started
from harness import PATIENCE, on_both_networks
from thingslink.cli import main
from thingslink.cli.recorded import Files
from thingslink.frame import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable

    from thingslink.sandbox import Sandbox


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def send_until(sandbox: Sandbox, holds: Callable[[], object], eventually: Any) -> None:
    """Send one uplink, and wait for what it brings about."""
    sandbox.device("one").uplink(b"\x01", fields={"temperature": 20.5})
    eventually(holds)


@on_both_networks
def test_uplinks_are_recorded_until_there_are_enough(sandbox: Sandbox, tmp_path: Path) -> None:
    out = tmp_path / "up.jsonl"
    with started(sandbox, "record", "--out", str(out), "--count", "3") as process:
        device = sandbox.device("one")
        for number in range(3):
            device.uplink(b"\x01", fields={"n": number})
        code, written, errors = ended(process)
    assert (code, written) == (0, "") and "3 uplinks recorded" in errors
    assert [line["payload_fields"] for line in lines_of(out)] == [{"n": number} for number in range(3)]
    assert list(tmp_path.iterdir()) == [out]
    recorder = Recorder()
    assert recorder.read(out) == 3 and recorder.to_dict()["n"] == [0, 1, 2]


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("form", [".csv", ".parquet"])
def test_a_table_is_written_when_it_is_ended(
    sandbox: Sandbox, tmp_path: Path, eventually: Any, form: str, how: int, code: int
) -> None:
    if form == ".parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    out, part = tmp_path / f"up{form}", tmp_path / f"up{form}.part"
    with started(sandbox, "record", "--out", str(out), "--per", "gateway") as process:
        send_until(sandbox, lambda: part.exists() and part.read_bytes().endswith(b"\n"), eventually)
        gateways = len(lines_of(part)[0]["metadata"]["gateways"])
        assert ended(process, how)[0] == code
    assert list(tmp_path.iterdir()) == [out]
    if form == ".parquet":
        rows = pytest.importorskip("pyarrow.parquet").read_table(out).to_pylist()
        assert [row["temperature"] for row in rows] == [20.5] * gateways
        assert [row["payload"] for row in rows] == [b"\x01"] * gateways
    else:
        with out.open(newline="") as file:
            table = list(csv.DictReader(file))
        assert [row["temperature"] for row in table] == ["20.5"] * gateways
        assert {row["payload"] for row in table} == {"01"} and table[0]["time"].endswith("Z")
        assert all(row["is_retry"] == "" for row in table)


def written(folder: Path) -> int:
    """Count the uplinks in all files: complete ones begin with the names of columns, others are JSON lines."""
    count = 0
    for path in folder.iterdir():
        try:
            lines = path.read_bytes().count(b"\n")
        except FileNotFoundError:
            # It was completed just now, and has another name.
            return 0
        count += lines - (path.suffix == ".csv")
    return count


def test_no_uplink_is_lost_at_the_change_of_file(sandbox: Sandbox, tmp_path: Path, eventually: Any) -> None:
    out = tmp_path / "up.csv"

    def complete() -> list[Path]:
        return sorted(path for path in tmp_path.iterdir() if path.suffix == ".csv")

    sent = 0
    with started(sandbox, "record", "--out", str(out), "--rotate", "1s") as process:
        device = sandbox.device("one")

        def several_files() -> bool:
            nonlocal sent
            for _ in range(20):
                device.uplink(b"\x01")
                sent += 1
            return len(complete()) >= 3

        eventually(several_files)
        # At QoS 0 what is under way when the client closes may be lost.
        eventually(lambda: written(tmp_path) == sent)
        assert ended(process, signal.SIGTERM)[0] == 143
    counters: list[int] = []
    for path in complete():
        with path.open(newline="") as file:
            counters += [int(row["counter"]) for row in csv.DictReader(file)]
    assert len(counters) == sent and counters == sorted(set(counters))
    assert {path.suffix for path in tmp_path.iterdir()} == {".csv"}
    assert all(path.name.startswith("up-2") for path in tmp_path.iterdir())


@pytest.mark.parametrize("rotation", [(), ("--rotate", "1d")])
def test_what_a_killed_process_has_left_is_completed(
    sandbox: Sandbox, tmp_path: Path, eventually: Any, rotation: tuple[str, ...]
) -> None:
    out = tmp_path / "up.csv"
    arguments = ("record", "--out", str(out), *rotation)

    def parts() -> list[Path]:
        return [path for path in tmp_path.iterdir() if path.suffix == ".part" and path.stat().st_size]

    with started(sandbox, *arguments) as process:
        send_until(sandbox, parts, eventually)
        process.kill()
        process.wait(PATIENCE)
    (part,) = parts()
    with part.open("ab") as file:
        # As a machine leaves it that loses its power.
        file.write(b'{"dev_id": "hal')
    with started(sandbox, *arguments, "--count", "1") as process:
        sandbox.device("one").uplink(b"\x02")
        assert ended(process)[0] == 0
    payloads = []
    for path in sorted(tmp_path.iterdir()):
        assert path.suffix == ".csv", path
        with path.open(newline="") as table:
            payloads += [row["payload"] for row in csv.DictReader(table)]
    assert sorted(payloads) == ["01", "02"]


def test_two_processes_do_not_write_into_one_file(sandbox: Sandbox, tmp_path: Path, eventually: Any) -> None:
    out, part = tmp_path / "up.jsonl", tmp_path / "up.jsonl.part"
    with started(sandbox, "record", "--out", str(out)) as process:
        send_until(sandbox, part.exists, eventually)
        command = [sys.executable, "-m", "thingslink", "record", "--out", str(out)]
        other = subprocess.run(
            command, capture_output=True, text=True, env=settings(sandbox), timeout=PATIENCE, check=False
        )
        assert other.returncode == 1 and "up.jsonl.part is being written by another process" in other.stderr
        assert ended(process, signal.SIGINT)[0] == 130
    assert len(lines_of(out)) == 1


def test_what_cannot_be_recorded_is_told_before_anything_is_connected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: str) -> str:
        try:
            code = main(["record", *arguments, "--mqtt", "127.0.0.1:1"])
        except SystemExit as end:
            code = int(str(end.code))
        assert code == 2
        return capsys.readouterr().err

    there = tmp_path / "there.csv"
    there.touch()
    assert "there.csv is there already" in refused("--out", str(there))
    assert "there is no folder" in refused("--out", str(tmp_path / "no" / "up.csv"))
    assert "expected one of .csv, .jsonl, .parquet" in refused("--out", "up.xlsx")
    assert "'1 fortnight' is no span of time" in refused("--out", "up.csv", "--rotate", "1 fortnight")
    assert "'0' is not valid: expected a whole number" in refused("--out", "up.csv", "--count", "0")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "Parquet needs pyarrow: pip install pyarrow" in refused("--out", str(tmp_path / "up.parquet"))


def test_a_line_that_does_not_fit_on_the_disk_leaves_nothing(tmp_path: Path) -> None:
    class Full:
        """A disk that takes a few bytes."""

        def __init__(self, file: Any) -> None:
            self.file, self.room = file, 5

        def write(self, data: memoryview) -> int:
            if not self.room:
                raise OSError(28, "No space left on device")
            written = self.file.write(data[: self.room])
            self.room -= written
            return int(written)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

    files = Files(tmp_path / "up.jsonl", rotates=False, per="uplink")
    files.write(b'{"a":\n1}')
    files._file = Full(files._file)  # type: ignore[assignment]
    with pytest.raises(OSError, match="No space left"):
        files.write(b'{"b": 2}')
    files.turn()
    files.complete()
    assert (tmp_path / "up.jsonl").read_bytes() == b'{"a": 1}\n'


def test_a_picture_is_drawn_of_recorded_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    file, picture = tmp_path / "up.jsonl", tmp_path / "t.png"
    uplink = {"dev_id": "a", "payload_fields": {"t": 1}, "metadata": {"time": "2026-11-27T00:00:00Z"}}
    file.write_text(json.dumps(uplink) + "\n")
    assert main(["plot", "t", str(file), "--out", str(picture)]) == 0
    assert capsys.readouterr().out == f"{picture}\n"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert main(["plot", "u", str(file), "--out", str(picture)]) == 2
    assert "there is no such column" in capsys.readouterr().err
    assert main(["plot", "t", str(file), "--out", str(tmp_path / "t.xyz")]) == 2
    assert "ends in no form of pictures" in capsys.readouterr().err
    file.write_text("")
    assert main(["plot", "t", str(file), "--out", str(picture)]) == 1
    assert "no uplinks: there is nothing to draw" in capsys.readouterr().err


def test_a_picture_is_drawn_of_what_comes_until_ctrl_c(sandbox: Sandbox, tmp_path: Path, eventually: Any) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    picture = tmp_path / "rssi.svg"
    sandbox_follower = sandbox.follow()
    with started(sandbox, "plot", "rssi", "--out", str(picture), "--for", "1h") as process:
        sandbox.device("one").uplink(b"\x01")
        while (entry := sandbox_follower.next(PATIENCE)) is not None and entry["kind"] != "uplink":
            pass
        code, out, _ = ended(process, signal.SIGINT)
    assert (code, out) == (0, f"{picture}\n") and "<svg" in picture.read_text()


def test_without_matplotlib_the_error_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["plot", "t"]) == 2
    assert "plots need matplotlib: pip install matplotlib" in capsys.readouterr().err
