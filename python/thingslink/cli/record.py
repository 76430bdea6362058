"""``thingslink record``: uplinks into files.

While a file is open its name ends in ``.part``, and it is JSON lines, one for each uplink and written at once,
whatever it is to become: what came is there when the process is killed. When its time is over it is turned into what it
is to be, while the next one is written already.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thingslink._blocking import wait_until
from thingslink.cli import connection, output
from thingslink.cli.recorded import FORMS, Files
from thingslink.cli.spans import span

if TYPE_CHECKING:
    from thingslink.ttn import MQTTClient, UplinkMessage


def _file(text: str) -> Path:
    path = Path(text)
    if path.suffix not in FORMS:
        expected = ", ".join(sorted(FORMS))
        raise argparse.ArgumentTypeError(f"{text!r} ends in nothing that is known: expected one of {expected}")
    return path


def add_to(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser(
        "record",
        description="Record uplinks into JSON lines, CSV or Parquet until Ctrl-C or SIGTERM. Each uplink is in a file "
        "at once; what a killed process has left is completed by the next one with the same --out.",
    )
    connection.add_to(command, mqtt=True)
    command.add_argument(
        "--out",
        type=_file,
        required=True,
        metavar="FILE",
        help="what to write: .jsonl (whole messages), .csv or .parquet (a table, which thingslink.frame describes)",
    )
    command.add_argument(
        "--rotate",
        type=span,
        metavar="SPAN",
        help="begin a new file each 30m, 1h, 1d …, at whole multiples of it in UTC; names get the time",
    )
    command.add_argument("--per", choices=("uplink", "gateway"), default="uplink", help="what a row of a table is")
    command.add_argument("--device", action="append", default=[], metavar="DEV_ID", help="only this one; repeatable")
    command.add_argument("--count", type=output.positive, help="end after so many uplinks")
    command.set_defaults(main=main)


class _Recording:
    """What the callback and the main thread share."""

    def __init__(self, files: Files, count: int | None) -> None:
        self.files = files
        self.failure: OSError | None = None
        self.count = 0
        self.ended = threading.Event()
        self._most = count

    def take(self, msg: UplinkMessage, client: MQTTClient) -> None:  # noqa: ARG002 - the form of callbacks
        """Write an uplink, on the client's thread: it is in the file when this returns."""
        if self.ended.is_set():
            return
        try:
            self.files.write(msg.json())
        except OSError as error:
            self.failure = error
            self.ended.set()
            return
        self.count += 1
        if self.count == self._most:
            self.ended.set()


def main(options: argparse.Namespace) -> int:
    """Record until Ctrl-C or SIGTERM."""
    files = Files(options.out, rotates=options.rotate is not None, per=options.per)
    client = connection.mqtt(options, connection.mqtt_key(options))
    recording = _Recording(files, options.count)
    for dev_id in options.device or [None]:
        client.set_uplink_callback(recording.take, dev_id=dev_id)
    try:
        files.recover()
        client.connect()
        print(f"recording into {options.out}", file=sys.stderr, flush=True)
        while not wait_until(recording.ended, _next_turn(options.rotate)):
            files.turn()
            files.complete()
    finally:
        # Twice: an error of the first does not keep the rest from being written.
        try:
            client.close()
        finally:
            files.turn()
            files.complete()
            print(f"{recording.count} uplinks recorded", file=sys.stderr)
    if recording.failure is not None:
        raise recording.failure
    return 0


def _next_turn(span: int | None) -> float | None:
    """Give when the next file begins, by the clock of ``time.monotonic``."""
    if span is None:
        return None
    now = time.time()
    return time.monotonic() + (now // span + 1) * span - now
