"""The command line. Data goes to standard output, words go to standard error.

Exit codes: 0 done, 1 failed, 2 wrong usage or input, 3 server not reached, 4 key refused, 5 not found, 130 ended by
Ctrl-C; ``run`` gives the script's own.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from thingslink import ApplicationError, LoginRefusedError, RpcError, ThingsTimeoutError, __version__
from thingslink.cli import application, bridge, devices, downlinks, migrate, run, sandbox, uplinks

if TYPE_CHECKING:
    from collections.abc import Sequence

_FAILED, _USAGE, _UNREACHED, _REFUSED, _NOT_FOUND, _INTERRUPTED = 1, 2, 3, 4, 5, 130
_CODES = {
    "UNAVAILABLE": _UNREACHED,
    "DEADLINE_EXCEEDED": _UNREACHED,
    "PERMISSION_DENIED": _REFUSED,
    "UNAUTHENTICATED": _REFUSED,
    "NOT_FOUND": _NOT_FOUND,
    "INVALID_ARGUMENT": _USAGE,
}


class _Parser(argparse.ArgumentParser):
    """Takes options in full only: a key behind `--access-key` must not be taken for the name of a file."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, allow_abbrev=False)


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    root = _Parser(
        prog="thingslink",
        description='Clients for "Things" platforms, and a sandbox.',
        epilog="Exit codes: 0 done, 1 failed, 2 wrong usage or input, 3 server not reached, 4 key refused, "
        "5 not found, 130 ended by Ctrl-C.",
    )
    root.add_argument("--version", action="version", version=f"thingslink {__version__}")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    application.add_to(commands)
    devices.add_to(commands)
    migrate.add_to(commands)
    uplinks.add_to(commands)
    downlinks.add_to(commands)
    bridge.add_to(commands)
    sandbox.add_to(commands)
    run.add_to(commands)
    return root


def explain(error: Exception) -> tuple[int, str]:
    """Give the exit code for an error, and its words."""
    if isinstance(error, (ApplicationError, RpcError)):
        code = error.code if isinstance(error, ApplicationError) else error.code()
        details = error.details if isinstance(error, ApplicationError) else error.details()
        return _CODES.get(code.name, _FAILED), f"{code.value[1]}: {details}"
    if isinstance(error, LoginRefusedError):
        return _REFUSED, str(error)
    if isinstance(error, (ThingsTimeoutError, ConnectionError)):
        return _UNREACHED, str(error)
    if isinstance(error, (ValueError, TypeError)):
        return _USAGE, str(error)
    return _FAILED, str(error)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and give its exit code."""
    options = parser().parse_args(arguments)
    if options.command == "run":
        # A script's exceptions are its own, tracebacks included.
        return run.main(options)
    try:
        code: int = options.main(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read has seen enough, as `head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        code, words = explain(error)
        print(f"error: {words}", file=sys.stderr)
        hint = getattr(options, "hint", None)
        if hint:
            print(f"hint: {hint}", file=sys.stderr)
    return code
