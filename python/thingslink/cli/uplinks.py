"""``thingslink uplinks``: follow what devices send."""

from __future__ import annotations

import base64
import queue
import sys
from typing import TYPE_CHECKING, Any

from thingslink._blocking import take_from
from thingslink.cli import connection, output, progress

if TYPE_CHECKING:
    import argparse

    from thingslink.ttn import MQTTClient, UplinkMessage

_COLUMNS = ("time", "dev_id", "counter", "port", "payload", "fields", "rssi", "gateway")

#: What they take as a rule, so that the head of a table stands above them.
_WIDTHS = (9, 10, 7, 4, 14, 24, 4, 20)


def add_to(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser(
        "uplinks",
        description="Follow uplinks until Ctrl-C; connections that are lost come back.",
    )
    connection.add_to(command, mqtt=True)
    output.add_format(command)
    command.add_argument("--device", action="append", default=[], metavar="DEV_ID", help="only this one; repeatable")
    command.add_argument("--count", type=output.positive, help="end after so many")
    command.set_defaults(main=main)


def row(msg: UplinkMessage) -> dict[str, Any]:
    """Give what matters of an uplink."""
    plain = msg.to_dict()
    gateways = plain.get("metadata", {}).get("gateways") or [{}]
    best = max(gateways, key=lambda gateway: gateway.get("rssi", -999))
    return {
        "time": plain.get("metadata", {}).get("time"),
        "dev_id": plain.get("dev_id"),
        "counter": plain.get("counter"),
        "port": plain.get("port"),
        "payload": base64.b64decode(plain.get("payload_raw") or "").hex(),
        "fields": plain.get("payload_fields"),
        "rssi": best.get("rssi"),
        "gateway": best.get("gtw_id") or best.get("eui"),
    }


def main(options: argparse.Namespace) -> int:
    """Follow until Ctrl-C or SIGTERM."""
    waiting: queue.SimpleQueue[UplinkMessage] = queue.SimpleQueue()

    def take(msg: UplinkMessage, client: MQTTClient) -> None:  # noqa: ARG001 - the form of callbacks
        waiting.put(msg)

    form = output.chosen(options)
    client = connection.mqtt(options, connection.mqtt_key(options))
    for dev_id in options.device or [None]:
        client.set_uplink_callback(take, dev_id=dev_id)
    with progress.progress("connecting"):
        client.connect()
    print("following", file=sys.stderr, flush=True)
    rows = output.Rows(form, _COLUMNS, _WIDTHS)
    sys.stdout.flush()
    count = 0
    try:
        while options.count is None or count < options.count:
            rows.write(row(take_from(waiting)))
            sys.stdout.flush()
            count += 1
    finally:
        client.close()
    return 0
