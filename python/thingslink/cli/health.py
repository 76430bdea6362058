"""``thingslink health``: whether the network is there for a program, for service managers and container engines."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from thingslink.cli import connection, output, progress

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable


def add_to(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser(
        "health",
        description="Log in to the MQTT server as an application, and part again: exit code 0 when it works, 3 when "
        "the server is not reached in time, 4 when it refuses the key. It disturbs no other client.",
    )
    connection.add_to(command, mqtt=True)
    output.add_format(command)
    command.add_argument(
        "--management", action="store_true", help="ask for the application, too, which the key must have the right to"
    )
    command.add_argument(
        "--timeout",
        dest="patience",
        type=seconds,
        default=10.0,
        metavar="SECONDS",
        help="for each of them (default 10)",
    )
    command.set_defaults(main=main)


def seconds(text: str) -> float:
    """Read a time that something may take."""
    number = float(text)
    if not 0 < number < 1e6:  # noqa: PLR2004 - within what clocks can wait
        raise ValueError(text)
    return number


def main(options: argparse.Namespace) -> int:
    """Try it; what does not work is raised."""
    form, key = output.chosen(options), connection.mqtt_key(options)
    rows = [_tried("mqtt", lambda: _log_in(options, key))]
    try:
        if options.management:
            rows.append(_tried("management", lambda: _ask(options)))
    finally:
        output.table(rows, ("check", "outcome", "seconds"), form)
    return 0


def _tried(what: str, use: Callable[[], str]) -> dict[str, Any]:
    start = time.monotonic()
    with progress.progress(f"asking {what}"):
        words = use()
    return {"check": what, "outcome": words, "seconds": round(time.monotonic() - start, 3)}


def _log_in(options: argparse.Namespace, key: str) -> str:
    client = connection.mqtt(options, key, reconnect=False)
    try:
        client.connect(timeout=options.patience)
    finally:
        client.close(timeout=1)
    return f"logged in as {client.app_id}"


def _ask(options: argparse.Namespace) -> str:
    with connection.application(options) as client:
        client.get(timeout=options.patience)
    return "answered"
