"""Which NATS server, and as whom: options and environment; and a look at the stream.

Secrets have no options, since command lines are seen by others.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from thingslink._native import _StreamAdmin
from thingslink.cli import connection, keys
from thingslink.cli.failure import NOT_FOUND, USAGE, Failure, meant

if TYPE_CHECKING:
    import argparse


def add_to(command: argparse.ArgumentParser, *, app: bool = False) -> None:
    """Add the options; with ``app`` that of the application, too."""
    if app:
        command.add_argument("--app-id", "--app", metavar="APP_ID", help="application (or THINGSLINK_APP_ID)")
        connection.add_profile(command)
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
        hint = "give --nats nats://host:4222, set THINGSLINK_NATS, or name a profile with --profile"
        raise Failure("which NATS server?", code=USAGE, hint=hint)
    return given


def _credentials(options: argparse.Namespace) -> str | None:
    file = connection.setting(options, "nats_creds")
    if file:
        keys.warn_of(file, "seed")
    return file


def login(options: argparse.Namespace) -> dict[str, Any]:
    """Give the arguments of clients and bridges that say as whom to come, and whom to trust."""
    ca_file = connection.setting(options, "nats_ca_file")
    given = {
        "nats_user": connection.setting(options, "nats_user"),
        "nats_password": connection.secret(options, "nats_password", "password"),
        "nats_token": connection.secret(options, "nats_token", "token"),
        "nats_nkey": connection.secret(options, "nats_nkey", "seed"),
        "nats_credentials": _credentials(options),
        "nats_ca_certs": Path(ca_file) if ca_file else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def admin(options: argparse.Namespace) -> _StreamAdmin:
    """Give a connection to the application's stream."""
    # Subjects are without the tenant that a hosted stack has in its logins.
    app_id = connection.app_id(options).partition("@")[0]
    return _StreamAdmin(app_id, address(options), **login(options))


def check_group(admin: _StreamAdmin, group: str) -> None:
    """Say which groups there are, if there is none of that name."""
    known = [each["group"] for each in admin.backlog()["groups"]]
    if group not in known:
        words = meant(group, known) or f": there is {', '.join(known) or 'none'}"
        hint = "`thingslink backlog` shows all groups"
        raise Failure(f"there is no group {group!r}{words}", code=NOT_FOUND, hint=hint)
