"""``thingslink bridge``: carry an application's messages into a stream of NATS JetStream, and its downlinks back."""

from __future__ import annotations

import os
import re
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from thingslink.bridge import Bridge
from thingslink.cli import connection, nats

if TYPE_CHECKING:
    import argparse

#: What is shown of the counters, in this order.
_SHOWN = ("received", "published", "duplicates", "held", "spooled", "dropped", "refused", "downlinks")
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def _size(text: str) -> int:
    found = re.fullmatch(r"(\d+)\s*([KMGT]?)(i?B)?", text)
    if not found:
        raise ValueError(text)
    return int(found[1]) * _UNITS[found[2]]


def add_to(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser(
        "bridge",
        description="Carry what devices send into a stream of NATS JetStream, and downlinks back, until Ctrl-C or "
        "SIGTERM. Any number of bridges may run for one application: the stream keeps one of each message.",
    )
    connection.add_to(command, mqtt=True)
    nats.add_to(command)
    command.add_argument(
        "--nats-monitor", metavar="URL", help="monitoring of the NATS server; http://host:8222 by default"
    )
    command.add_argument(
        "--name",
        default=socket.gethostname(),
        help="of this bridge: another one for each, the same one after a restart; by default the machine's name",
    )
    command.add_argument(
        "--pubsub",
        metavar="SUBJECT",
        help="where a stack of one's own publishes over NATS itself (base topic of its Pub/Sub integration), in place "
        "of --mqtt or beside it",
    )
    command.add_argument("--window", type=int, default=1000, help="messages that may wait for JetStream; 1000")
    command.add_argument(
        "--spool",
        metavar="FOLDER",
        type=Path,
        help="where messages of V3 are kept while NATS takes none; a folder of this bridge alone, by default below "
        "~/.local/state/thingslink",
    )
    command.add_argument("--spool-bytes", type=_size, default="1G", metavar="SIZE", help="its bound; 1G")
    command.add_argument("--max-age", type=float, default=7 * 24, metavar="HOURS", help="of a stream to be made; 168")
    command.add_argument("--max-bytes", type=_size, default="10G", metavar="SIZE", help="of a stream to be made; 10G")
    command.add_argument("--replicas", type=int, default=1, help="of a stream to be made, in a cluster; 1")
    command.add_argument("--every", type=float, default=60, metavar="SECONDS", help="how often counters are shown; 60")
    command.set_defaults(main=main)


def _spool(options: argparse.Namespace) -> Path:
    if options.spool:
        return Path(options.spool)
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return state / "thingslink" / f"{connection.app_id(options)}-{options.name}"


def _line(stats: dict[str, Any]) -> str:
    shown = "  ".join(f"{name} {stats[name]}" for name in _SHOWN)
    return f"{shown}  trouble: {stats['trouble']}" if stats["trouble"] else shown


def main(options: argparse.Namespace) -> NoReturn:
    """Carry until Ctrl-C or SIGTERM."""
    address, cluster = connection.setting(options, "mqtt"), connection.setting(options, "cluster")
    if not (address or cluster or options.pubsub):
        raise ValueError("which MQTT server? Give --mqtt or --cluster, or set THINGSLINK_MQTT; or give --pubsub")
    network = connection.network(options)
    if network == "chirpstack":
        raise ValueError("network chirpstack is not valid: no bridge carries messages of ChirpStack to NATS yet")
    key = connection.access_key(options) if address or cluster or options.handler else ""
    is_v3 = options.pubsub or connection.is_v3(options, key)
    management = connection.setting(options, "handler") if is_v3 else None
    ca_file = connection.setting(options, "ca_file")
    bridge = Bridge(
        connection.app_id(options),
        key,
        address or "",
        nats.address(options),
        name=options.name,
        network=network,
        cluster=None if address else cluster,
        ca_certs=Path(ca_file) if ca_file else None,
        pubsub=options.pubsub,
        nats_monitor=options.nats_monitor,
        window=options.window,
        spool=_spool(options),
        spool_bytes=options.spool_bytes,
        max_age=options.max_age * 3600,
        max_bytes=options.max_bytes,
        replicas=options.replicas,
        management_address=management,
        insecure_channel=connection.flag(options, "insecure"),
        **nats.login(options),
    )
    with bridge:
        print(f"carrying {bridge.app_id}", file=sys.stderr, flush=True)
        try:
            while True:
                time.sleep(options.every)
                print(_line(bridge.stats()), file=sys.stderr, flush=True)
        finally:
            print(_line(bridge.stats()), file=sys.stderr, flush=True)
