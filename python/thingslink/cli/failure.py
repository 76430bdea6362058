"""What keeps a command from being done: its words, one hint, its exit code."""

from __future__ import annotations

import os
import re
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from thingslink import ApplicationError, LoginRefusedError, RpcError, ThingsTimeoutError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

FAILED, USAGE, UNREACHED, REFUSED, NOT_FOUND, INTERRUPTED, TERMINATED = 1, 2, 3, 4, 5, 130, 143
#: For those who ask for help.
EXIT_CODES = (
    "Exit codes: 0 done, 1 failed, 2 wrong usage or input, 3 server not reached, 4 key refused, 5 not found, "
    "130 ended by Ctrl-C, 143 by SIGTERM."
)
_CODES = {
    "UNAVAILABLE": UNREACHED,
    "DEADLINE_EXCEEDED": UNREACHED,
    "PERMISSION_DENIED": REFUSED,
    "UNAUTHENTICATED": REFUSED,
    "NOT_FOUND": NOT_FOUND,
    "INVALID_ARGUMENT": USAGE,
}

_HINTS = {
    UNREACHED: "is that the right address? `thingslink profiles show` tells where it is from",
    REFUSED: "is that key for this application? `thingslink profiles show` tells where both are from",
    NOT_FOUND: "is that the application's ID? `thingslink profiles show` tells where it is from",
}
_HINTS_FOR_WORDS = {
    (FAILED, "cannot listen on"): "is the port taken? 0 takes a free one, as in --mqtt-port 0",
    (UNREACHED, "to be queued"): "is there such a device? `thingslink devices list` shows what there is",
    (UNREACHED, "waiting for downlink"): "it goes out after the device's next uplink; --timeout waits longer",
    (NOT_FOUND, "evice"): "`thingslink devices list` shows what there is",
}


class Failure(Exception):  # noqa: N818 - it is no error of the program's
    """A command cannot be done."""

    def __init__(self, words: str, *, code: int = FAILED, hint: str | None = None) -> None:
        super().__init__(words)
        self.code = code
        self.hint = hint

    def tell(self) -> int:
        """Say it on standard error; gives the exit code."""
        print(f"error: {self}", file=sys.stderr)
        if self.hint:
            print(f"hint: {self.hint}", file=sys.stderr)
        return self.code


def meant(given: str, known: Iterable[str]) -> str:
    """Give a question for what is nearest, if anything is near."""
    import difflib  # noqa: PLC0415 - for mistakes alone

    near = difflib.get_close_matches(given, list(known), 1)
    return f": did you mean {near[0]!r}?" if near else ""


def explain(error: Exception, options: argparse.Namespace) -> Failure:
    """Give an error of the library, or of the operating system, as it is told to whoever typed the command."""
    if isinstance(error, Failure):
        error.hint = error.hint or _help(options)
        return error
    code, words = _told(error)
    # What is an argument to a program is an option here.
    words = re.sub(r"as the certificate to trust: \w+", "with --ca-file", words)
    return Failure(words, code=code, hint=_hint(error, code, words, options))


def code_of(error: ApplicationError | RpcError) -> int:
    """Give the exit code for what a server answers."""
    code = error.code if isinstance(error, ApplicationError) else error.code()
    return _CODES.get(code.name, FAILED)


def _told(error: Exception) -> tuple[int, str]:
    if isinstance(error, (ApplicationError, RpcError)):
        code = error.code if isinstance(error, ApplicationError) else error.code()
        details = error.details if isinstance(error, ApplicationError) else error.details()
        return code_of(error), f"{code.value[1]}: {details}"
    if isinstance(error, LoginRefusedError):
        return REFUSED, str(error)
    if isinstance(error, (ThingsTimeoutError, ConnectionError, TimeoutError, socket.gaierror)):
        return UNREACHED, _without_number(str(error))
    if isinstance(error, (ValueError, TypeError)):
        return USAGE, str(error)
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return FAILED, f"{os.fspath(error.filename)}: {error.strerror}"
    return FAILED, _without_number(str(error))


def _without_number(words: str) -> str:
    return re.sub(r"^\[Errno -?\d+\] ", "", words)


def _hint(error: Exception, code: int, words: str, options: argparse.Namespace) -> str | None:
    if "`thingslink " in words:
        # It says by itself what to do.
        return None
    if code == UNREACHED and hasattr(options, "nats"):
        return "is that the right address? It is from --nats, THINGSLINK_NATS or a profile"
    for (of, part), hint in _HINTS_FOR_WORDS.items():
        if of == code and part in words:
            return hint
    if code in _HINTS:
        return _HINTS[code]
    if isinstance(error, FileNotFoundError) and error.filename and not Path(error.filename).is_absolute():
        return f"it was looked for in {Path.cwd()}"
    return _help(options)


def _help(options: argparse.Namespace) -> str:
    words = [options.command, getattr(options, "action", None)]
    return f"`{' '.join(['thingslink', *filter(None, words)])} --help` tells more"
