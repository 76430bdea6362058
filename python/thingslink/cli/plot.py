"""``thingslink plot``: a field, the signal or packet loss over time, as a picture."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thingslink._blocking import wait_until
from thingslink.cli import connection
from thingslink.cli.spans import span

if TYPE_CHECKING:
    import argparse

    from thingslink.frame import Recorder
    from thingslink.typing import RowOf


def add_to(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser(
        "plot",
        description="Draw a payload field by device, rssi or snr by gateway, or loss: uplinks that did not come, by "
        "the gaps of counters. Of files of `thingslink record --out NAME.jsonl`, or else of what comes from now on. "
        "Needs matplotlib.",
    )
    connection.add_to(command, mqtt=True)
    command.add_argument("field", help="name of a column, such as temperature, gps.lat, rssi, snr; or loss")
    command.add_argument("files", nargs="*", type=Path, metavar="FILE", help="recorded uplinks, JSON lines")
    command.add_argument(
        "--for",
        type=span,
        default=60,
        dest="span",
        metavar="SPAN",
        help="without files: how long to listen (default: 60s)",
    )
    command.add_argument(
        "--by", metavar="COLUMN", help="what tells lines apart (default: dev_id; of rssi and snr gateway)"
    )
    command.add_argument(
        "--per", choices=("uplink", "gateway"), help="what a point is (default: uplink; of rssi and snr gateway)"
    )
    command.add_argument(
        "--out", type=Path, metavar="FILE", help="the picture: .png, .svg or .pdf (default: FIELD.png)"
    )
    command.set_defaults(main=main)


def _listen(options: argparse.Namespace, recorder: Recorder) -> None:
    client = connection.mqtt(options, connection.mqtt_key(options))
    client.record(recorder)
    client.connect()
    print(f"listening for {options.span} s; Ctrl-C draws what has come", file=sys.stderr, flush=True)
    try:
        wait_until(threading.Event(), time.monotonic() + options.span)
    except KeyboardInterrupt as interrupt:
        # SIGTERM means to end, and nothing else.
        if type(interrupt) is not KeyboardInterrupt:
            raise
    finally:
        client.close()


def main(options: argparse.Namespace) -> int:
    """Draw."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - not everyone has it
    except ImportError:
        raise ValueError("plots need matplotlib: pip install matplotlib") from None
    from thingslink.frame import Recorder  # noqa: PLC0415 - with what it needs

    out = options.out or Path(f"{options.field}.png")
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    if out.suffix[1:] not in figure.canvas.get_supported_filetypes():
        known = ", ".join(f".{suffix}" for suffix in sorted(figure.canvas.get_supported_filetypes()))
        raise ValueError(f"--out {out} ends in no form of pictures: expected one of {known}")
    per: RowOf = options.per or ("gateway" if options.field in {"rssi", "snr"} else "uplink")
    recorder = Recorder(per=per, max_rows=sys.maxsize)
    for file in options.files:
        recorder.read(file)
    if not options.files:
        _listen(options, recorder)
    if not recorder:
        raise RuntimeError("no uplinks: there is nothing to draw")
    recorder.plot(options.field, by=options.by, ax=figure.add_subplot())
    figure.savefig(out, dpi=150)
    print(out)
    return 0
