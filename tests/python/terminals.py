"""A terminal that programs of the tests run in."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
from typing import TYPE_CHECKING

from harness import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Terminal:
    """A program of the command line whose standard streams are a terminal, or some of them."""

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        columns: int = 80,
        stdout: bool = True,
        program: Sequence[str] = (sys.executable, "-m", "thingslink"),
    ) -> None:
        self.descriptor, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen(
            [*program, *arguments],
            stdin=theirs,
            stdout=theirs if stdout else subprocess.DEVNULL,
            stderr=theirs,
            env=dict(environment),
            start_new_session=True,
        )
        os.close(theirs)
        # Nothing waits for ever.
        self._end = threading.Timer(PATIENCE, self.process.kill)
        self._end.start()
        self.seen = ""

    def read(self) -> bool:
        """Read what there is, and wait for some; false at the end."""
        try:
            found = os.read(self.descriptor, 65536)
        except OSError:
            # Linux says so when the other side is closed.
            return False
        self.seen += found.decode(errors="replace")
        return bool(found)

    def read_until(self, done: Callable[[str], bool]) -> None:
        """Read until something is seen."""
        while not done(self.seen):
            assert self.read(), self.seen

    def finish(self) -> int:
        """Read to the end; gives the exit code."""
        try:
            while self.read():
                pass
            return self.process.wait(PATIENCE)
        finally:
            self._end.cancel()
            self.process.kill()
            self.process.wait()
            os.close(self.descriptor)
