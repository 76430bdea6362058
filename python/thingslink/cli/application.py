"""``thingslink app``: show and set an application's payload format and functions."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thingslink.cli import connection, output, progress
from thingslink.cli.failure import USAGE, Failure

if TYPE_CHECKING:
    from thingslink.typing import PayloadFormat

_FUNCTIONS = ("decoder", "converter", "validator", "encoder")


def add_to(commands: Any) -> None:
    """Add the command."""
    group = commands.add_parser("app").add_subparsers(dest="action", required=True, metavar="ACTION")
    show_ = group.add_parser("show", help="show payload format and functions", description="Show the application.")
    connection.add_to(show_)
    output.add_format(show_)
    show_.add_argument("--json", dest="format", action="store_const", const="json", help=argparse.SUPPRESS)
    show_.set_defaults(main=show)
    set_ = group.add_parser(
        "set",
        help="change payload format and functions",
        description="Change the application; what is not mentioned stays.",
    )
    connection.add_to(set_)
    set_.add_argument("--payload-format", choices=("custom", "cayennelpp", "none"))
    for name in _FUNCTIONS:
        set_.add_argument(f"--{name}", metavar="FILE", help=f"JavaScript file with the {name}")
    set_.add_argument("--clear", action="append", default=[], choices=_FUNCTIONS, help="remove a function; repeatable")
    set_.set_defaults(main=set_application)


def show(options: argparse.Namespace) -> int:
    """Show the application."""
    form = output.chosen(options)
    with connection.application(options) as client, progress.progress("asking"):
        application = client.get().to_dict()
    if "register_on_join_access_key" in application:
        application["register_on_join_access_key"] = "***"
    output.one(application, form)
    return 0


def set_application(options: argparse.Namespace) -> int:
    """Change the application."""
    files = {name: getattr(options, name) for name in _FUNCTIONS if getattr(options, name)}
    functions = {name: Path(file).read_text(encoding="utf-8") for name, file in files.items()}
    if not (functions or options.clear or options.payload_format):
        hint = "give --payload-format, a function or --clear"
        raise Failure("nothing to change", code=USAGE, hint=hint)
    payload_format: PayloadFormat = "" if options.payload_format == "none" else options.payload_format
    with connection.application(options) as client, progress.progress("changing"):
        if options.clear:
            client.clear_custom_payload_functions(*options.clear)
        if functions:
            client.set_custom_payload_functions(
                functions.get("encoder"),
                functions.get("decoder"),
                functions.get("validator"),
                functions.get("converter"),
                payload_format=payload_format,
            )
        elif options.payload_format:
            client.set_payload_format(payload_format)
    print(f"changed {connection.app_id(options)}", file=sys.stderr)
    return 0
