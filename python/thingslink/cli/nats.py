"""Which NATS server, and as whom: options and environment; and a look at the stream.

Secrets have no options, since command lines are seen by others.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thingslink._native import _StreamAdmin
from thingslink.cli import connection

if TYPE_CHECKING:
    import argparse


def add_to(command: argparse.ArgumentParser, *, app: bool = False) -> None:
    """Add the options; with ``app`` that of the application, too."""
    if app:
        command.add_argument("--app-id", "--app", metavar="APP_ID", help="application (or THINGSLINK_APP_ID)")
    group = command.add_argument_group(
        "NATS",
        "The password is in THINGSLINK_NATS_PASSWORD, a token in THINGSLINK_NATS_TOKEN, the seed of an nkey in "
        "THINGSLINK_NATS_NKEY; or they are in files.",
    )
    group.add_argument(
        "--nats",
        metavar="ADDRESS",
        help="nats://host:4222 or tls://…, several servers of a cluster separated by commas (or THINGSLINK_NATS)",
    )
    group.add_argument("--nats-user", metavar="NAME", help="user (or THINGSLINK_NATS_USER)")
    for name, what in (("password", "password"), ("token", "token"), ("nkey", "seed of an nkey")):
        group.add_argument(f"--nats-{name}-file", metavar="FILE", help=f"file with the {what}")
    group.add_argument(
        "--nats-creds", metavar="FILE", help="credentials file, with JWT and seed (or THINGSLINK_NATS_CREDS)"
    )
    group.add_argument("--nats-ca-file", metavar="FILE", help="certificates to trust, PEM (or THINGSLINK_NATS_CA_FILE)")


def address(options: argparse.Namespace) -> str:
    """Give the servers' address."""
    given = connection.setting(options, "nats")
    if not given:
        raise ValueError("which NATS server? Give --nats nats://host:4222 or set THINGSLINK_NATS")
    return given


def _secret(options: argparse.Namespace, name: str) -> str | None:
    file = connection.setting(options, f"nats_{name}_file")
    if file:
        text = Path(file).read_text(encoding="utf-8").strip()
        if not text:
            raise ValueError(f"the file {file!r} is empty")
        return text
    return os.environ.get(f"THINGSLINK_NATS_{name.upper()}") or None


def login(options: argparse.Namespace) -> dict[str, Any]:
    """Give the arguments of clients and bridges that say as whom to come, and whom to trust."""
    ca_file = connection.setting(options, "nats_ca_file")
    given = {
        "nats_user": connection.setting(options, "nats_user"),
        "nats_password": _secret(options, "password"),
        "nats_token": _secret(options, "token"),
        "nats_nkey": _secret(options, "nkey"),
        "nats_credentials": connection.setting(options, "nats_creds"),
        "nats_ca_certs": Path(ca_file) if ca_file else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def admin(options: argparse.Namespace) -> _StreamAdmin:
    """Give a connection to the application's stream."""
    # Subjects are without the tenant that a hosted stack has in its logins.
    app_id = connection.app_id(options).partition("@")[0]
    return _StreamAdmin(app_id, address(options), **login(options))


def check_group(admin: _StreamAdmin, group: str) -> bool:
    """Tell whether there is such a group; say which there are, if there is none."""
    known = [each["group"] for each in admin.backlog()["groups"]]
    if group in known:
        return True
    print(f"error: there is no group {group!r}: there is {', '.join(known) or 'none'}", file=sys.stderr)
    return False
