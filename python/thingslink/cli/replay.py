"""``thingslink replay``: look at what is stored, or have a group handle it again."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from thingslink import DecodeError
from thingslink._native import _parse_message
from thingslink.cli import moments, nats, output, progress, uplinks

if TYPE_CHECKING:
    import argparse

_COLUMNS = ("stored_at", "sequence", "dev_id", "kind", "counter", "port", "payload", "fields")
#: What they take as a rule, so that the head of a table stands above them.
_WIDTHS = {"stored_at": 9, "sequence": 8, "dev_id": 10, "kind": 4, "payload": 14, "fields": 24}
_MORE = ("rssi", "gateway", "lane", "group", "message")


def add_to(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser(
        "replay",
        description="Show the messages that the stream has of a time; with --group hand them to the workers of that "
        "group again. Each is then stored once more, after all others, for that group alone.",
    )
    nats.add_to(command, app=True)
    output.add_format(command, fields=True)
    command.add_argument(
        "--since",
        type=moments.moment,
        required=True,
        metavar="TIME",
        help="from when on: how long ago, as in 90s, 30m, 2h, 7d, or 2026-11-27T04:00:00Z",
    )
    command.add_argument("--until", type=moments.moment, metavar="TIME", help="up to when; by default until now")
    command.add_argument("--device", metavar="DEV_ID", help="of this device alone")
    command.add_argument("--group", metavar="NAME", help="hand them to the workers of this group")
    command.set_defaults(main=main)


def body_of(payload: bytes) -> Any:
    """Give a message as JSON has it; as text, where it is none."""
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode(errors="replace")


def _row(message: dict[str, Any]) -> dict[str, Any]:
    row = {"stored_at": moments.shown(message["stored_at_ns"])}
    row |= {name: message[name] for name in ("sequence", "dev_id", "kind")}
    if message["kind"] == "up":
        try:
            told = uplinks.row(_parse_message(message["payload"], message["network"]))
            row |= {name: told[name] for name in ("counter", "port", "payload", "fields", "rssi", "gateway")}
        except (DecodeError, AttributeError):
            row["payload"] = message["payload"].hex()
    return row | {"lane": message["lane"], "group": message["group"], "message": body_of(message["payload"])}


def main(options: argparse.Namespace) -> int:
    """Show them, or hand them to a group."""
    if options.until is not None and options.until <= options.since:
        raise ValueError("--until is not after --since")
    with nats.admin(options) as admin:
        if options.group:
            nats.check_group(admin, options.group)
        stored = admin.stored(since_ns=options.since, until_ns=options.until, dev_id=options.device)
        if options.group:
            total = 0
            try:
                with progress.progress("handing over") as step:
                    while (count := stored.hand_to(options.group)) is not None:
                        total += count
                        step(count)
            finally:
                print(f"{total} messages handed to {options.group} again", file=sys.stderr)
            return 0
        columns = output.fields(options, _COLUMNS, _MORE)
        rows = output.Rows(output.chosen(options), columns, [_WIDTHS.get(name, 0) for name in columns])
        with progress.progress("fetching", beside_rows=True) as step:
            while messages := stored.next():
                for message in messages:
                    rows.write(_row(message))
                step(len(messages))
    return 0
