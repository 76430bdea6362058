"""``thingslink send`` and ``thingslink simulate``: a message to a device, or as if from one."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from thingslink.cli import connection

if TYPE_CHECKING:
    import argparse


def add_to(commands: Any) -> None:
    """Add the commands."""
    send_ = commands.add_parser(
        "send", help="send a downlink", description="Send a downlink; it goes out after the device's next uplink."
    )
    connection.add_to(send_, mqtt=True)
    send_.add_argument("dev_id")
    send_.add_argument("payload", help="hex, or a JSON object of fields for the application's encoder")
    send_.add_argument("--port", type=int, default=1, help="LoRaWAN FPort (default 1)")
    send_.add_argument("--confirmed", action="store_true", help="ask the device for an acknowledgement")
    send_.add_argument("--schedule", choices=("replace", "first", "last"), default="replace", help="default: replace")
    send_.set_defaults(main=send)
    simulate_ = commands.add_parser(
        "simulate",
        help="have the network handle a payload as if a device had sent it",
        description="Have the network handle a payload as if a device had sent it.",
    )
    connection.add_to(simulate_)
    simulate_.add_argument("dev_id")
    simulate_.add_argument("payload", help="hex")
    simulate_.add_argument("--port", type=int, default=1, help="LoRaWAN FPort (default 1)")
    simulate_.set_defaults(main=simulate)


def _payload(text: str) -> Any:
    if text.lstrip().startswith("{"):
        return json.loads(text)
    return bytes.fromhex(text)


def send(options: argparse.Namespace) -> int:
    """Send a downlink."""
    payload = _payload(options.payload)
    key = connection.access_key(options)
    on_v3 = connection.is_v3(options, key)
    client = connection.mqtt(options, key, qos=0 if on_v3 else 1)
    client.connect()
    try:
        mid = client.send(options.dev_id, payload, options.port, options.confirmed, options.schedule)
        if on_v3:
            # Its server acknowledges what it then drops.
            client.downlink(mid).wait("queued")
        else:
            client.flush()
    finally:
        client.close()
    print(f"sent to {options.dev_id}", file=sys.stderr)
    return 0


def simulate(options: argparse.Namespace) -> int:
    """Simulate an uplink."""
    with connection.application(options) as client:
        client.simulate_uplink(options.dev_id, bytes.fromhex(options.payload), options.port)
    print(f"simulated an uplink of {options.dev_id}", file=sys.stderr)
    return 0
