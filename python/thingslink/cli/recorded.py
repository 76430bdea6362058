"""The files of ``thingslink record``."""

from __future__ import annotations

import csv
import os
import re
import sys
import threading
from contextlib import suppress
from datetime import datetime, timezone
from importlib import import_module
from typing import TYPE_CHECKING, Any, BinaryIO

from thingslink._native import DecodeError
from thingslink.frame import Recorder, uplink_of_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from thingslink.frame import Table
    from thingslink.typing import RowOf

try:
    import fcntl
except ImportError:  # Windows, where an open file can be neither renamed nor taken by another process
    fcntl = None  # type: ignore[assignment]

#: Rows, and their bytes, that are in memory while a file is turned into another form.
_ROWS, _BYTES = 50_000, 64 << 20
#: A time in a name, and a number where two files begin within a second.
_TIME = r"-\d{8}T\d{6}Z(-\d+)?"


class Files:
    """The file that is written, and those that are complete.

    Args:
        out: Name of the files; with ``rotates`` each gets the time at which it begins.
        rotates: Whether there are several.
        per: What a row of a table is.

    Raises:
        ValueError: There is such a file, or what its form needs is not installed.
        OSError: The folder cannot be written to.
    """

    def __init__(self, out: Path, *, rotates: bool, per: RowOf) -> None:
        self._out = out
        self._rotates = rotates
        self._per = per
        self._convert = FORMS[out.suffix]
        self._lock = threading.Lock()
        self._part: Path | None = None
        self._file: BinaryIO | None = None
        #: Parts that nothing is added to any more.
        self._closed: list[Path] = []
        if out.suffix == ".parquet":
            _pyarrow(out)
        if not rotates and out.exists():
            raise ValueError(f"{out} is there already: give another name, or --rotate, with which names get the time")
        if not out.parent.is_dir():
            raise ValueError(f"{out}: there is no folder {out.parent}")

    def recover(self) -> None:
        """Complete what a killed process has left; without rotation, go on with it."""
        if not self._rotates:
            if _part_of(self._out).exists():
                with self._lock:
                    self._open()
            return
        name = re.compile(re.escape(self._out.stem) + _TIME + re.escape(self._out.suffix) + r"\.part")
        for part in sorted(self._out.parent.iterdir()):
            if name.fullmatch(part.name):
                with part.open("rb") as file:
                    if not _lock(file):
                        continue
                self._closed.append(part)
        self.complete()

    def write(self, message: bytes) -> None:
        """Append a message. It is with the operating system when this returns.

        Raises:
            OSError: It could not be written; nothing of it is left.
        """
        # Between the values of JSON a line may end.
        line = message.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n"
        with self._lock:
            file = self._file or self._open()
            end = file.tell()
            rest = memoryview(line)
            try:
                while rest:
                    rest = rest[file.write(rest) :]
            except OSError:
                with suppress(OSError):
                    file.truncate(end)
                raise

    def _open(self) -> BinaryIO:
        part = self._named() if self._rotates else _part_of(self._out)
        file = part.open("ab", buffering=0)
        if not _lock(file):
            file.close()
            raise BlockingIOError(f"{part} is being written by another process")
        _end_line(part, file)
        self._part, self._file = part, file
        return file

    def _named(self) -> Path:
        """Give a name that no file has."""
        begin = f"{self._out.stem}-{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}"
        number = 1
        while True:
            path = self._out.with_name(f"{begin}{f'-{number}' if number > 1 else ''}{self._out.suffix}")
            if not path.exists() and not _part_of(path).exists():
                return _part_of(path)
            number += 1

    def turn(self) -> None:
        """Let the next message begin a new file."""
        with self._lock:
            part, file, self._part, self._file = self._part, self._file, None, None
            if part is not None:
                self._closed.append(part)
        if file is not None:
            os.fsync(file.fileno())
            file.close()

    def complete(self) -> None:
        """Turn what is closed into what it is to be. What is interrupted here is done by the next call."""
        while self._closed:
            part = self._closed[0]
            if part.exists():
                self._complete(part)
            self._closed.pop(0)

    def _complete(self, part: Path) -> None:
        path = part.with_suffix("")
        if self._convert is None:
            part.replace(path)
        else:
            half = path.with_name(f"{path.name}.half")
            self._convert(part, half, self._per)
            with half.open("rb+") as file:
                os.fsync(file.fileno())
            half.replace(path)
            part.unlink()
        print(path, file=sys.stderr, flush=True)


def _part_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _lock(file: BinaryIO) -> bool:
    """Take a file for this process, unless another one has it."""
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _end_line(part: Path, file: BinaryIO) -> None:
    """Cut off a line that a killed machine has left without its end."""
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        return
    with part.open("rb") as whole:
        whole.seek(size - 1)
        if whole.read(1) == b"\n":
            return
        whole.seek(0)
        file.truncate(sum(len(line) for line in whole if line.endswith(b"\n")))
    file.seek(0, os.SEEK_END)


def _tables(part: Path, per: RowOf) -> Iterator[Table]:
    """Give the messages of a part as tables that all have the same columns, the first one without rows.

    It is read twice: which columns there are, and of what, is known at its end.
    """
    recorder = Recorder(per=per, max_rows=sys.maxsize, max_bytes=sys.maxsize)
    for reading in range(2):
        if reading:
            yield recorder.take()
        with part.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    recorder.add(uplink_of_line(line, f"line {number} of {part}"))
                except DecodeError as error:
                    if not reading:
                        print(f"left out: {error}", file=sys.stderr)
                if len(recorder) >= _ROWS or recorder.nbytes >= _BYTES:
                    table = recorder.take()
                    if reading:
                        yield table
        if not reading:
            recorder.take()
    yield recorder.take()


def _pyarrow(path: Path) -> Any:
    try:
        import_module("pyarrow.parquet")
        return import_module("pyarrow")
    except ImportError:
        raise ValueError(f"{path.name}: Parquet needs pyarrow: pip install pyarrow") from None


def _to_parquet(part: Path, path: Path, per: RowOf) -> None:
    pa = _pyarrow(path)
    tables = _tables(part, per)
    first = next(tables)
    with pa.parquet.ParquetWriter(path, pa.schema(first), compression="zstd") as writer:
        for table in tables:
            writer.write_table(pa.table(table))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return str(value)


def _to_csv(part: Path, path: Path, per: RowOf) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        for place, table in enumerate(_tables(part, per)):
            columns = table.to_dict()
            if place == 0:
                writer.writerow(columns)
            writer.writerows([_cell(value) for value in row] for row in zip(*columns.values(), strict=True))


#: What makes of a part, which is JSON lines, a file that ends so; nothing has to be made of JSON lines.
FORMS: dict[str, Callable[[Path, Path, RowOf], None] | None] = {
    ".csv": _to_csv,
    ".jsonl": None,
    ".parquet": _to_parquet,
}
