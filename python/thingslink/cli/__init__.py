"""The command line. Data goes to standard output, words go to standard error.

`failure.EXIT_CODES` has the exit codes; ``run`` gives the script's own.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from thingslink import __version__
from thingslink.cli import keys
from thingslink.cli.failure import EXIT_CODES, INTERRUPTED, TERMINATED, USAGE, Failure, explain, meant

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

#: Each command with its module, which is imported when the command is asked for and adds it with `add_to`, and with its
#: line in the help.
_COMMANDS = {
    "app": ("application", "show and change the application"),
    "devices": ("devices", "manage the devices of an application"),
    "migrate": ("migrate", "move devices from The Things Network V2 to V3"),
    "uplinks": ("uplinks", "follow what devices send"),
    "top": ("top", "watch devices: last seen, rate, loss, signal, battery"),
    "record": ("record", "record uplinks into files"),
    "plot": ("plot", "draw a field, the signal or packet loss over time"),
    "send": ("downlinks", "send a downlink"),
    "simulate": ("downlinks", "have the network handle a payload as if a device sent it"),
    "bridge": ("bridge", "carry messages into NATS JetStream, for workers to share"),
    "health": ("health", "log in, and tell by the exit code whether that works"),
    "lanes": ("lanes", "show what waits in each lane of groups of workers"),
    "backlog": ("lanes", "show what waits, what is stored and what is dead"),
    "replay": ("replay", "show stored messages, or have a group handle them again"),
    "dead": ("dead", "look after messages whose callbacks failed five times"),
    "sandbox": ("sandbox", "serve an offline network with simulated devices"),
    "run": ("run", "run a script for an original package over this library"),
    "profiles": ("profiles", "show the configuration file's profiles, and what counts"),
    "completion": ("completion", "print a script that completes commands in a shell"),
}


class _Terminated(KeyboardInterrupt):
    """SIGTERM came: everything ends as by Ctrl-C, with another exit code."""


#: What is said of a value that is none.
_EXPECTED: dict[Any, str] = {int: "a whole number", float: "a number"}


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
            self.error(f"{rest[0]!r} is not known here{meant(rest[0].partition('=')[0], self._option_string_actions)}")
        return found, rest

    def _commands(self) -> argparse.Action | None:
        return next((action for action in self._actions if isinstance(action, argparse._SubParsersAction)), None)  # noqa: SLF001

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = [str(choice) for choice in action.choices]
            hint = meant(str(value), known) or f": expected {', '.join(known)}"
            raise argparse.ArgumentError(action, f"{value!r} is not valid{hint}")

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        try:
            return super()._get_value(action, arg_string)
        except argparse.ArgumentError:
            if action.type not in _EXPECTED:
                raise
            words = f"{arg_string!r} is not valid: expected {_EXPECTED[action.type]}"
            raise argparse.ArgumentError(action, words) from None

    def error(self, message: str) -> NoReturn:
        # Without the options, of which there are many.
        wanted = [str(action.metavar or action.dest) for action in self._get_positional_actions()]
        print(f"usage: {' '.join([self.prog, '[OPTIONS]', *wanted])}", file=sys.stderr)
        self.exit(USAGE, f"error: {message.removeprefix('argument ')}\nhint: `{self.prog} --help` tells more\n")


class _Commands:
    """Where modules add their commands, whose lines in the help are known already."""

    def __init__(self, action: Any) -> None:
        self._action = action

    def add_parser(self, name: str, **settings: Any) -> argparse.ArgumentParser:
        """Add a command."""
        words = _COMMANDS[name][1]
        settings.setdefault("description", f"{words[0].upper()}{words[1:]}.")
        parser: argparse.ArgumentParser = self._action.add_parser(name, **{**settings, "help": words})
        return parser


def parser(arguments: Sequence[str] | None = None) -> argparse.ArgumentParser:
    """Describe the command line: all of it, or what these arguments may name, which takes less time."""
    root = _Parser(
        prog="thingslink",
        description='Clients for "Things" platforms, and a sandbox.',
        epilog=f"{EXIT_CODES} A reader that has seen enough, as `head`, is no error. Without a network of your own: "
        "`thingslink sandbox --devices 3` serves one, and says how to look at it.",
    )
    root.add_argument("--version", action="version", version=f"thingslink {__version__}")
    root.add_argument(
        "--profile", metavar="NAME", help="settings to take from the configuration file (or THINGSLINK_PROFILE)"
    )
    root.add_argument(
        "--config",
        metavar="FILE",
        help="in place of ~/.config/thingslink/config.toml (or THINGSLINK_CONFIG)",
    )
    root.add_argument("--access-key", "--key", action=keys.Refuse, help=argparse.SUPPRESS)
    commands = _Commands(root.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND"))
    wanted = dict.fromkeys(module for name, (module, _) in _COMMANDS.items() if arguments is None or name in arguments)
    for name, (module, _) in _COMMANDS.items():
        if module not in wanted:
            commands.add_parser(name)
    for module in wanted:
        importlib.import_module(f"thingslink.cli.{module}").add_to(commands)
    return root


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise _Terminated


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and give its exit code."""
    try:
        options = _parsed(sys.argv[1:] if arguments is None else arguments)
        if options.command != "run":
            return _done(options)
    except _Terminated:
        return TERMINATED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read has seen enough, as `head` does.
        _forget_output()
        return 0
    # A script's exceptions are its own, tracebacks included.
    code: int = options.main(options)
    return code


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    try:
        return parser(arguments).parse_args(arguments)
    finally:
        # Help that is not read: here, not while the interpreter ends, where nobody is told of it.
        sys.stdout.flush()


def _done(options: argparse.Namespace) -> int:
    # A service manager ends programs so.
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        code: int = options.main(options)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except (Failure, OSError, RuntimeError, ValueError, TypeError) as error:
        failure = explain(error, options)
        sys.stdout.flush()
        return failure.tell()
    finally:
        signal.signal(signal.SIGTERM, before)
    return code


def _forget_output() -> None:
    """Have what is still to be written go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BrokenPipeError):
            stream.flush()
            continue
        os.dup2(nowhere, stream.fileno())
