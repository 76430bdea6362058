"""``thingslink app``: show and set an application's payload format and functions."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thingslink.cli import connection

if TYPE_CHECKING:
    import argparse

    from thingslink.typing import PayloadFormat

_FUNCTIONS = ("decoder", "converter", "validator", "encoder")


def add_to(commands: Any) -> None:
    """Add the command."""
    group = commands.add_parser("app", help="show and change the application").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    show_ = group.add_parser("show", help="show payload format and functions", description="Show the application.")
    connection.add_to(show_)
    show_.add_argument("--json", action="store_true", help="as JSON")
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
    with connection.application(options) as client:
        application = client.get().to_dict()
    if "register_on_join_access_key" in application:
        application["register_on_join_access_key"] = "***"
    if options.json:
        print(json.dumps(application, indent=2, ensure_ascii=False))
        return 0
    for name, value in application.items():
        print(f"{name}:\n{value}\n" if name in _FUNCTIONS else f"{name}: {value}")
    return 0


def set_application(options: argparse.Namespace) -> int:
    """Change the application."""
    files = {name: getattr(options, name) for name in _FUNCTIONS if getattr(options, name)}
    functions = {name: Path(file).read_text(encoding="utf-8") for name, file in files.items()}
    if not (functions or options.clear or options.payload_format):
        raise ValueError("nothing to change: give --payload-format, a function or --clear")
    payload_format: PayloadFormat = "" if options.payload_format == "none" else options.payload_format
    with connection.application(options) as client:
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
