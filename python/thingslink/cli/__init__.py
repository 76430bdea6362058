"""The command line. Data goes to standard output, words go to standard error.

Exit codes: 0 done, 1 failed, 2 wrong usage or input, 3 server not reached, 4 key refused, 5 not found, 130 ended by
Ctrl-C, 143 by SIGTERM; ``run`` gives the script's own.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from thingslink import ApplicationError, LoginRefusedError, RpcError, ThingsTimeoutError, __version__
from thingslink.cli import (
    application,
    bridge,
    completion,
    dead,
    devices,
    downlinks,
    health,
    lanes,
    migrate,
    replay,
    run,
    sandbox,
    uplinks,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import FrameType

_FAILED, _USAGE, _UNREACHED, _REFUSED, _NOT_FOUND, _INTERRUPTED, _TERMINATED = 1, 2, 3, 4, 5, 130, 143
_CODES = {
    "UNAVAILABLE": _UNREACHED,
    "DEADLINE_EXCEEDED": _UNREACHED,
    "PERMISSION_DENIED": _REFUSED,
    "UNAUTHENTICATED": _REFUSED,
    "NOT_FOUND": _NOT_FOUND,
    "INVALID_ARGUMENT": _USAGE,
}


class _Terminated(KeyboardInterrupt):
    """SIGTERM came: everything ends as by Ctrl-C, with another exit code."""


class _Parser(argparse.ArgumentParser):
    """Takes options in full only: a key after `--access-key` must not be taken for the name of a file.

    What is wrong is told by the command that it is given to, with what may be meant; a group of commands without one
    shows its help.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, allow_abbrev=False)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        given = list(sys.argv[1:] if args is None else args)
        if not given and self._commands() is not None:
            self.print_help()
            self.exit()
        found, rest = super().parse_known_args(given, namespace)
        if rest:
            self.error(f"{rest[0]!r} is not known here{_meant(rest[0].partition('=')[0], self._option_string_actions)}")
        return found, rest

    def _commands(self) -> argparse.Action | None:
        return next((action for action in self._actions if isinstance(action, argparse._SubParsersAction)), None)  # noqa: SLF001

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = [str(choice) for choice in action.choices]
            hint = _meant(str(value), known) or f": expected {', '.join(known)}"
            raise argparse.ArgumentError(action, f"{value!r} is not valid{hint}")

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(_USAGE, f"error: {message}\nhint: {self.prog} --help tells more\n")


def _meant(given: str, known: Iterable[str]) -> str:
    """Give a question for what is nearest, if anything is near."""
    import difflib  # noqa: PLC0415 - for mistakes alone

    near = difflib.get_close_matches(given, list(known), 1)
    return f": did you mean {near[0]!r}?" if near else ""


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    root = _Parser(
        prog="thingslink",
        description='Clients for "Things" platforms, and a sandbox.',
        epilog="Exit codes: 0 done, 1 failed, 2 wrong usage or input, 3 server not reached, 4 key refused, "
        "5 not found, 130 ended by Ctrl-C, 143 by SIGTERM.",
    )
    root.add_argument("--version", action="version", version=f"thingslink {__version__}")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    application.add_to(commands)
    devices.add_to(commands)
    migrate.add_to(commands)
    uplinks.add_to(commands)
    downlinks.add_to(commands)
    bridge.add_to(commands)
    health.add_to(commands)
    lanes.add_to(commands)
    replay.add_to(commands)
    dead.add_to(commands)
    sandbox.add_to(commands)
    run.add_to(commands)
    completion.add_to(commands)
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
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return _FAILED, f"{os.fspath(error.filename)}: {error.strerror}"
    return _FAILED, re.sub(r"^\[Errno \d+\] ", "", str(error))


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise _Terminated


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and give its exit code."""
    options = parser().parse_args(arguments)
    if options.command == "run":
        # A script's exceptions are its own, tracebacks included.
        return run.main(options)
    # A service manager ends programs so.
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        code: int = options.main(options)
        sys.stdout.flush()
    except _Terminated:
        return _TERMINATED
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read has seen enough, as `head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        code, words = explain(error)
        # What is an argument to a program is an option here.
        words = re.sub(r"as the certificate to trust: \w+", "with --ca-file", words)
        print(f"error: {words}", file=sys.stderr)
        hint = getattr(options, "hint", None)
        if hint:
            print(f"hint: {hint}", file=sys.stderr)
    finally:
        signal.signal(signal.SIGTERM, before)
    return code
