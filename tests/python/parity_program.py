"""A running program of `tests/python/parity/scripts` that takes orders and says what it sees, both in lines of JSON."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, ClassVar

from harness import PATIENCE

SCRIPTS = Path(__file__).parent / "parity" / "scripts"


class Program:
    """A running script."""

    running: ClassVar[list[subprocess.Popen[str]]] = []

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.running.append(self.process)
        self.said: list[Any] = []

    def read(self) -> Any:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, f"the program ended after {self.said}"
        entry = json.loads(line)
        self.said.append(entry)
        return entry

    def until(self, *kinds: str) -> None:
        """Read on until one of these comes; nothing may be refused before."""
        while (entry := self.read())[0] not in kinds:
            assert entry[0] != "refused", entry

    def order(self, *order: Any) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def end(self) -> list[Any]:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        # Not with communicate(), which misses what readline() has read ahead.
        rest = [json.loads(line) for line in self.process.stdout]
        self.process.wait(PATIENCE)
        return self.said + rest

    @classmethod
    def end_all(cls) -> None:
        """Leave no program behind."""
        while cls.running:
            process = cls.running.pop()
            process.kill()
            process.wait(PATIENCE)
            for stream in (process.stdin, process.stdout):
                if stream:
                    stream.close()


def by_kind(said: list[Any]) -> dict[str, list[Any]]:
    """Group what was said: threads interleave the kinds at will."""
    kinds: dict[str, list[Any]] = {}
    for kind, *values in said:
        kinds.setdefault(kind, []).append(values)
    return kinds
