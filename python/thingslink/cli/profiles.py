"""``thingslink profiles``: what the configuration file has, and what counts."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from thingslink.cli import configuration, connection, output

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

_COLUMNS = ("profile", "is_chosen", "app_id", "server", "access_key")
_SERVERS = ("cluster", "handler", "discovery", "mqtt", "nats")


def add_to(commands: Any) -> None:
    """Add the command."""
    group = commands.add_parser("profiles").add_subparsers(dest="action", required=True, metavar="ACTION")
    list_ = group.add_parser(
        "list",
        help="list the profiles of the configuration file",
        description="List the profiles of the configuration file, ~/.config/thingslink/config.toml unless --config or "
        "THINGSLINK_CONFIG name another one.",
    )
    list_.set_defaults(main=list_profiles)
    show_ = group.add_parser(
        "show",
        help="show what counts, and where each setting is from",
        description="Show the settings that count with a profile, and where each is from: an option, else a variable, "
        "else the profile. Keys are not shown.",
    )
    show_.add_argument("name", nargs="?", metavar="PROFILE", help="by default the one that counts")
    connection.add_to(show_, mqtt=True)
    show_.set_defaults(main=show)
    for command in (list_, show_):
        output.add_format(command)
        if command is list_:
            connection.add_profile(command)


def _shown(value: str) -> str:
    """Give a setting without what may be secret in an address."""
    return re.sub(r"//[^/@]*@", "//***@", value)


def _key(profile: Mapping[str, str]) -> str | None:
    if profile.get("keyring") == "1":
        return "keyring"
    return profile.get("access_key_file")


def list_profiles(options: argparse.Namespace) -> int:
    """List them."""
    found = configuration.load(options)
    usual, _ = configuration.chosen(options)
    print(f"{found.path}{'' if found.path.exists() else ' is not there'}", file=sys.stderr)
    rows = [
        {
            "profile": name,
            "is_chosen": name == usual,
            "app_id": profile.get("app_id"),
            "server": next((_shown(profile[kind]) for kind in _SERVERS if kind in profile), None),
            "access_key": _key(profile),
        }
        for name, profile in found.profiles.items()
    ]
    output.table(rows, _COLUMNS, output.chosen(options))
    return 0


def show(options: argparse.Namespace) -> int:
    """Show what counts."""
    if options.name:
        options.profile = options.name
    form = output.chosen(options)
    profile, named_by = configuration.chosen(options)
    rows = [{"setting": "profile", "value": profile, "from": named_by if profile else None}]
    for called in configuration.SETTINGS:
        value, place = connection.found(options, called.replace("-", "_"))
        if value is not None:
            rows.append({"setting": called, "value": _shown(value), "from": place})
    place = connection.key_place(options)
    rows.append({"setting": "access-key", "value": "***" if place else None, "from": place or "asked for"})
    output.table(rows, ("setting", "value", "from"), form)
    return 0
