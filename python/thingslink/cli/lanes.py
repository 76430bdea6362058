"""``thingslink lanes`` and ``thingslink backlog``: how far the groups are that share an application's stream."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TYPE_CHECKING, Any

from thingslink import StreamError, ThingsTimeoutError
from thingslink.cli import moments, nats, output, progress, terminal

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from thingslink._native import _StreamAdmin

_LANES = ("group", "lane", "worker", "waiting", "in_hand", "redelivered")
_BACKLOG = (
    "group", "ordered", "workers", "waiting", "in_hand", "oldest", "dead", "stored", "stored_bytes", "downlinks",
)  # fmt: skip
#: Lines of a terminal that are not rows: a summary, the columns' names, what is left out, the cursor's.
_AROUND = 4


def add_to(commands: Any) -> None:
    """Add the commands."""
    for name, function in (("lanes", lanes), ("backlog", backlog)):
        command = commands.add_parser(name, epilog="On a terminal the table is shown anew until Ctrl-C.")
        nats.add_to(command, app=True)
        output.add_format(command)
        command.add_argument("--group", metavar="NAME", help="of this group alone")
        command.add_argument("--once", action="store_true", help="show it once, on a terminal too")
        command.add_argument("--every", type=float, default=2, metavar="SECONDS", help="how often it is shown anew; 2")
        command.set_defaults(main=function)


def _lane_rows(admin: _StreamAdmin, group: str | None) -> list[dict[str, Any]]:
    return admin.lanes(group)


def _backlog_rows(admin: _StreamAdmin, group: str | None) -> list[dict[str, Any]]:
    told = admin.backlog()
    groups = [each for each in told["groups"] if group in {None, each["group"]}]
    stored = {"stored": told["stored"], "stored_bytes": told["bytes"], "downlinks": told["downlinks"]}
    rows = [{**each, "oldest": moments.shown(each.pop("oldest_ns")), **stored} for each in groups]
    # What is stored waits for the first group, if there is none.
    return rows or [dict.fromkeys(_BACKLOG) | stored]


def lanes(options: argparse.Namespace) -> int:
    """Show the lanes."""
    return _show(options, _lane_rows, _LANES)


def backlog(options: argparse.Namespace) -> int:
    """Show what waits."""
    return _show(options, _backlog_rows, _BACKLOG)


def _show(
    options: argparse.Namespace,
    look: Callable[[_StreamAdmin, str | None], list[dict[str, Any]]],
    columns: tuple[str, ...],
) -> int:
    form = output.chosen(options)
    if options.every <= 0:
        raise ValueError(f"--every {options.every} is not valid: expected seconds, more than 0")
    with nats.admin(options) as admin:
        if options.group:
            nats.check_group(admin, options.group)
        if form != "table" or options.once or not terminal.is_one(sys.stdout):
            with progress.progress("looking"):
                rows = look(admin, options.group)
            output.table(rows, columns, form)
            return 0
        while True:
            try:
                _refresh(look(admin, options.group), columns)
            except (StreamError, ThingsTimeoutError, ConnectionError) as error:
                # It comes back by itself.
                print(f"\n{error}", file=sys.stderr, flush=True)
            time.sleep(options.every)


def _refresh(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    waiting, in_hand = (sum(row[name] or 0 for row in rows) for name in ("waiting", "in_hand"))
    room = max(1, (shutil.get_terminal_size().lines - _AROUND) // output.height(rows, columns))
    if len(rows) > room:
        # What waits is what one looks for.
        rows.sort(key=lambda row: -((row["waiting"] or 0) + (row["in_hand"] or 0)))
    print(f"\x1b[H\x1b[J{time.strftime('%H:%M:%S')}  waiting {waiting}  in hand {in_hand}")
    output.table(rows[:room], columns, "table")
    if len(rows) > room:
        print(f"… and {len(rows) - room} more; --once shows all")
    sys.stdout.flush()
