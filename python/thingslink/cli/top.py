"""``thingslink top``: devices as they are now."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from thingslink._blocking import wait_until
from thingslink.cli import connection, output
from thingslink.cli.spans import span
from thingslink.frame._loss import Gaps

if TYPE_CHECKING:
    import argparse

    from thingslink.ttn import MQTTClient, UplinkMessage

_COLUMNS = ("dev_id", "seen", "uplinks", "per_hour", "loss", "rssi", "snr", "gateways", "battery")
#: Devices that are remembered. Of more, those go that were not seen for the longest time.
_MOST = 10_000
#: Seconds between two tables.
_REFRESH = 1.0
#: Lines of a screen that are not rows.
_AROUND = 4


class _Device:
    """What is known of a device."""

    def __init__(self) -> None:
        self.first = self.last = time.time()
        self.gaps = Gaps()
        self.rssi: float | None = None
        self.snr: float | None = None
        self.gateways = 0
        self.battery: str | None = None

    def heard(self, msg: UplinkMessage) -> None:
        """Take an uplink in."""
        self.last = time.time()
        counter = msg.get("counter")
        if isinstance(counter, int):
            self.gaps.add(counter)
        metadata = msg.get("metadata")
        gateways = (metadata.get("gateways") if metadata is not None else None) or []
        self.gateways = len(gateways)
        best = max(gateways, key=lambda gateway: gateway.get("rssi", -999), default=None)
        if best is not None:
            self.rssi, self.snr = best.get("rssi"), best.get("snr")
        self.battery = battery(msg) or self.battery

    def row(self, dev_id: str, now: float) -> dict[str, Any]:
        """Give what is shown."""
        seconds, share = self.last - self.first, self.gaps.share
        return {
            "dev_id": dev_id,
            "seen": ago(now - self.last),
            "uplinks": self.gaps.received,
            # One uplink has no rate.
            "per_hour": round((self.gaps.received - 1) / seconds * 3600)
            if seconds > 0 and self.gaps.received > 1
            else None,
            "loss": None if share is None else f"{share:.1%}",
            "rssi": self.rssi,
            "snr": self.snr,
            "gateways": self.gateways,
            "battery": self.battery,
        }


def ago(seconds: float) -> str:
    """Give a span in the largest unit that it has one of."""
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return f"{int(max(seconds, 0))}s"


def battery(msg: UplinkMessage) -> str | None:
    """Give what a message says of the battery: the network's word on V3, else a payload field of that name."""
    whole = msg.v3
    uplink = whole.get("uplink_message") if whole is not None else None
    told = uplink.get("last_battery_percentage") if uplink is not None else None
    if told is not None and (value := told.get("value")) is not None:
        return f"{value:g}%"
    fields = msg.get("payload_fields")
    if fields is None or not hasattr(fields, "items"):
        return None
    for name, value in fields.items():
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if is_number and name.lower().startswith(("batt", "vbat", "bat_")):
            return f"{value:g}"
    return None


class Devices:
    """The devices that were heard, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: dict[str, _Device] = {}

    def take(self, msg: UplinkMessage, client: MQTTClient) -> None:  # noqa: ARG002 - the form of callbacks
        """Take an uplink in."""
        with self._lock:
            # The one that was heard last is at the end.
            device = self._all.pop(msg.dev_id, None) or _Device()
            device.heard(msg)
            self._all[msg.dev_id] = device
            if len(self._all) > _MOST:
                del self._all[next(iter(self._all))]

    def rows(self) -> list[dict[str, Any]]:
        """Give what is shown, the device that was heard last first."""
        with self._lock:
            now = time.time()
            return [device.row(dev_id, now) for dev_id, device in reversed(self._all.items())]


def add_to(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser(
        "top",
        description="Watch devices. On a terminal the table is shown anew until Ctrl-C; elsewhere one is written after "
        "a while.",
    )
    connection.add_to(command, mqtt=True)
    output.add_format(command)
    command.add_argument("--once", action="store_true", help="write one table, on a terminal too")
    command.add_argument(
        "--for",
        type=span,
        default=10,
        dest="span",
        metavar="SPAN",
        help="of one table: how long to listen before; 10s",
    )
    command.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    """Watch until Ctrl-C, or write one table."""
    form = output.chosen(options)
    client = connection.mqtt(options, connection.mqtt_key(options))
    devices = Devices()
    client.set_uplink_callback(devices.take)
    never = threading.Event()
    client.connect()
    try:
        if form == "table" and sys.stdout.isatty() and not options.once:
            while True:
                _refresh(devices.rows(), client.app_id)
                wait_until(never, time.monotonic() + _REFRESH)
        print(f"listening for {options.span} s", file=sys.stderr, flush=True)
        wait_until(never, time.monotonic() + options.span)
    finally:
        client.close()
    output.table(devices.rows(), _COLUMNS, form)
    return 0


def _refresh(rows: list[dict[str, Any]], app_id: str) -> None:
    room = max(1, shutil.get_terminal_size().lines - _AROUND)
    print(f"\x1b[H\x1b[J{time.strftime('%H:%M:%S')}  {len(rows)} devices of {app_id}")
    output.table(rows[:room], _COLUMNS, "table")
    if len(rows) > room:
        print(f"… and {len(rows) - room} more; --once shows all")
    sys.stdout.flush()
