"""``thingslink dead``: messages with which the callbacks failed again and again."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from thingslink.cli import moments, nats, output, progress
from thingslink.cli.failure import NOT_FOUND, USAGE, Failure
from thingslink.cli.replay import body_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from thingslink._native import _StreamAdmin

_COLUMNS = ("number", "group", "dev_id", "kind", "given_up", "deliveries", "error")


def add_to(commands: Any) -> None:
    """Add the command."""
    group = commands.add_parser("dead").add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, function: Any, words: str) -> argparse.ArgumentParser:
        command: argparse.ArgumentParser = group.add_parser(
            name, help=words, description=f"{words[0].upper()}{words[1:]}."
        )
        nats.add_to(command, app=True)
        command.set_defaults(main=function)
        return command

    def chosen(command: argparse.ArgumentParser) -> None:
        command.add_argument("--group", metavar="NAME", help="of this group alone")
        command.add_argument("--device", metavar="DEV_ID", help="of this device alone")

    list_ = action("list", list_letters, "list the dead letters")
    chosen(list_)
    output.add_format(list_)
    show_ = action("show", show, "show one dead letter, with the traceback and the message")
    show_.add_argument("number", type=int)
    output.add_format(show_)
    retry_ = action("retry", retry, "hand dead letters to their group again")
    drop_ = action("drop", drop, "delete dead letters")
    drop_.add_argument("--yes", action="store_true", help="do not ask")
    for command in (retry_, drop_):
        command.add_argument("number", type=int, nargs="*")
        command.add_argument("--all", action="store_true", help="all of them, or all of a group or a device")
        chosen(command)


def _letters(admin: _StreamAdmin, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    letters = admin.dead_letters(group=options.group, dev_id=options.device)
    while found := letters.next():
        yield from found


def _row(letter: dict[str, Any], *, whole: bool) -> dict[str, Any]:
    lines = letter["error"].strip().splitlines() or [""]
    row = {name: letter[name] for name in ("number", "group", "dev_id", "kind")}
    row["given_up"] = moments.shown(letter["given_up_ns"])
    if whole:
        row["stored_at"] = moments.shown(letter["stored_at_ns"])
        row["sequence"] = letter["sequence"]
    row["deliveries"] = letter["deliveries"]
    row["error"] = letter["error"] if whole else lines[-1]
    if whole:
        row["message"] = body_of(letter["payload"])
    return row


def list_letters(options: argparse.Namespace) -> int:
    """List them."""
    form = output.chosen(options)
    with nats.admin(options) as admin:
        rows = output.Rows(form, _COLUMNS)
        with progress.progress("fetching", beside_rows=True) as step:
            for letter in _letters(admin, options):
                rows.write(_row(letter, whole=False))
                step()
    return 0


def show(options: argparse.Namespace) -> int:
    """Show one."""
    form = output.chosen(options)
    with nats.admin(options) as admin:
        letter = admin.dead_letter(options.number)
    if letter is None:
        raise _missing(options.number)
    row = _row(letter, whole=True)
    if form != "table":
        output.one(row, form)
        return 0
    error, message = row.pop("error"), row.pop("message")
    output.one(row, "table")
    print(f"\n{error.rstrip()}\n\n{json.dumps(message, indent=2, ensure_ascii=False)}")
    return 0


def _missing(*numbers: int) -> Failure:
    words = f"there is no dead letter {', '.join(map(str, numbers))}"
    return Failure(words, code=NOT_FOUND, hint="`thingslink dead list` shows what there is")


def _each(options: argparse.Namespace, act: Callable[[_StreamAdmin, int], bool], done: str) -> int:
    missing = []
    with nats.admin(options) as admin:
        numbers = options.number or [letter["number"] for letter in _letters(admin, options)]
        count = 0
        try:
            with progress.progress(done, len(numbers)) as step:
                for number in numbers:
                    if act(admin, number):
                        count += 1
                    else:
                        missing.append(number)
                    step()
        finally:
            print(f"{count} {done}", file=sys.stderr)
    if missing:
        raise _missing(*missing)
    return 0


def _check(options: argparse.Namespace) -> None:
    if bool(options.number) == options.all:
        hint = "`thingslink dead list` shows their numbers"
        raise Failure("which? Give numbers or --all, and not both", code=USAGE, hint=hint)
    if options.number and (options.group or options.device):
        raise ValueError("--group and --device go together with --all, not with numbers")


def retry(options: argparse.Namespace) -> int:
    """Hand them to their group again."""
    _check(options)
    return _each(options, lambda admin, number: admin.retry(number), "handed to their group again")


def drop(options: argparse.Namespace) -> int:
    """Delete them."""
    _check(options)
    if not options.yes:
        if not sys.stdin.isatty():
            raise ValueError("deleting needs --yes where nobody can be asked")
        which = "all of them" if options.all else ", ".join(map(str, options.number))
        if input(f"delete {which}? [y/N] ").strip().lower() not in {"y", "yes"}:
            print("nothing deleted", file=sys.stderr)
            return 1
    return _each(options, lambda admin, number: admin.drop(number), "deleted")
