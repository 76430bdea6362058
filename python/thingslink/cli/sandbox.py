"""``thingslink sandbox``: the offline network, showing what passes through."""

from __future__ import annotations

import base64
import json
import sys
import time
from typing import TYPE_CHECKING, Any, Literal

from thingslink._native import _replace_file
from thingslink.cli import cells, terminal
from thingslink.cli.failure import USAGE, Failure
from thingslink.sandbox import Sandbox

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from thingslink._native import Follower

#: Colours for those who look on.
_COLOURS = {"up": "32", "down": "36", "event": "33", "client": "35"}

#: Entries of ThingsBoard in a row, when both have many.
_TURN = 100


def add_to(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser(
        "sandbox",
        description="Serve an offline network until Ctrl-C, and show what passes through.",
    )
    network = command.add_mutually_exclusive_group()
    network.add_argument("--v3", action="store_true", help="The Things Stack V3 in place of The Things Network V2")
    network.add_argument("--chirpstack", action="store_true", help="ChirpStack 4 in place of The Things Network V2")
    command.add_argument("--protobuf", action="store_true", help="with --chirpstack: protobuf in place of JSON")
    command.add_argument(
        "--event-topic", metavar="TEMPLATE", help="with --chirpstack: event_topic of its configuration"
    )
    command.add_argument("--command-topic", metavar="TEMPLATE", help="with --chirpstack: likewise command_topic")
    command.add_argument("--tenant", help="with --v3: the tenant of the application, as on hosted stacks")
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    command.add_argument("--mqtt-port", type=int, default=1883, help="port of MQTT; 0 for a free one (default 1883)")
    command.add_argument("--mqtts-port", type=int, help="port of MQTT over TLS; 0 for a free one (default: none)")
    command.add_argument(
        "--management-port",
        type=int,
        help="port of V3's servers over gRPC (default 8884), or of ChirpStack's API (default 8080); 0 for a free one",
    )
    command.add_argument(
        "--http-port",
        type=int,
        help="with --v3: port of the same over HTTP; 0 for a free one (default 8885, with --insecure 1885)",
    )
    command.add_argument("--discovery-port", type=int, help="port of discovery; 0 for a free one (default 1900)")
    command.add_argument("--handler-port", type=int, help="port of the handler; 0 for a free one (default 1904)")
    command.add_argument("--insecure", action="store_true", help="gRPC and HTTP in plain text in place of TLS")
    command.add_argument("--ca-file", help="write the certificate that TLS clients must trust to this file")
    command.add_argument("--state", metavar="FILE", help="keep applications and devices in this file")
    command.add_argument("--app-id", default="demo-app", help="application (default %(default)s)")
    command.add_argument("--access-key", help="its key (default: one of the network's form, shown at the start)")
    command.add_argument("--any-key", action="store_true", help="take any other application and access key, too")
    command.add_argument(
        "--device", action="append", default=[], metavar="DEV_ID", help="register a device; repeatable"
    )
    command.add_argument("--devices", type=int, default=0, help="simulate so many sending devices (default none)")
    command.add_argument("--rate", type=float, default=1.0, help="their uplinks per second, all together (default 1)")
    command.add_argument("--count", type=int, help="their uplinks in all (default: no end)")
    command.add_argument("--seed", type=int, default=0, help="makes them repeatable (default 0)")
    command.add_argument(
        "--thingsboard",
        type=int,
        nargs="?",
        const=1884,
        metavar="PORT",
        help="serve ThingsBoard's MQTT, too, on this port; 0 for a free one (default 1884)",
    )
    command.add_argument(
        "--tb-device", action="append", default=[], metavar="NAME=TOKEN", help="a device of it; repeatable"
    )
    command.add_argument(
        "--tb-gateway", action="append", default=[], metavar="NAME=TOKEN", help="a gateway of it; repeatable"
    )
    command.add_argument(
        "--max-connections", type=int, default=10_000, help="most connections at a time (default %(default)s)"
    )
    command.add_argument("--json", action="store_true", help="show entries as JSON lines")
    command.add_argument("--quiet", action="store_true", help="show nothing but the address")
    command.set_defaults(main=main)


def describe(entry: dict[str, Any]) -> tuple[str, str]:
    """Give the kind of an entry, for its colour, and its line."""
    who = entry.get("client_id") or "network"
    if entry["kind"] == "connected":
        return "client", f"{who} logged in as {entry['app_id']}"
    if entry["kind"] == "refused":
        name = f"login as {entry['app_id']!r}" if entry["app_id"] else "login"
        return "client", f"{name} refused with code {entry['code']}"
    if entry["kind"] == "disconnected":
        return "client", f"{who} {'said goodbye' if entry['clean'] else 'is gone'}"
    if entry["kind"] == "subscribed":
        answer = "refused" if entry["qos"] is None else f"QoS {entry['qos']}"
        return "client", f"{who} subscribed to {entry['filter']} ({answer})"
    topic = entry["topic"]
    kind = "up"
    if topic.endswith(("/down", "/down/push", "/down/replace")):
        kind = "down"
    elif (
        "/events/" in topic
        or ("/event/" in topic and not topic.endswith("/event/up"))
        or (topic.startswith("v3/") and not topic.endswith("/up"))
    ):
        kind = "event"
    refused = "" if entry["allowed"] else " (not allowed, dropped)"
    return kind, f"{topic} {summary(entry['payload'])}{refused}"


def summary(payload: bytes) -> str:
    """Give what matters of a message in one line."""
    try:
        body = json.loads(payload)
    except ValueError:
        return repr(payload)
    if isinstance(body, dict) and "metadata" in body and "payload_raw" in body:
        raw = base64.b64decode(body["payload_raw"] or "").hex() or "no payload"
        fields = f" {json.dumps(body['payload_fields'])}" if "payload_fields" in body else ""
        return f"#{body['counter']} port {body['port']} {raw}{fields}"
    if isinstance(body, dict) and isinstance(uplink := body.get("uplink_message"), dict):
        raw = base64.b64decode(uplink.get("frm_payload", "")).hex() or "no payload"
        fields = f" {json.dumps(uplink['decoded_payload'])}" if "decoded_payload" in uplink else ""
        return f"#{uplink.get('f_cnt', 0)} port {uplink.get('f_port', 0)} {raw}{fields}"
    if isinstance(body, dict) and "fCnt" in body and "data" in body:
        raw = base64.b64decode(body["data"]).hex() or "no payload"
        fields = f" {json.dumps(body['object'])}" if "object" in body else ""
        return f"#{body['fCnt']} port {body['fPort']} {raw}{fields}"
    return json.dumps(body)


def show(entry: dict[str, Any], *, as_json: bool, coloured: bool) -> None:
    """Print an entry."""
    if as_json:
        payload = entry.get("payload")
        plain = entry if payload is None else {**entry, "payload": payload.decode("utf-8", "backslashreplace")}
        print(json.dumps(plain), flush=True)
        return
    kind, line = describe(entry)
    clock = time.strftime("%H:%M:%S")
    mark = {"up": "↑", "down": "↓", "event": "•", "client": "○"}[kind]
    text = cells.plain(f"{mark} {line}")
    print(f"{clock} \x1b[{_COLOURS[kind]}m{text}\x1b[0m" if coloured else f"{clock} {text}", flush=True)


def thingsboard(sandbox: Sandbox, options: argparse.Namespace) -> Follower | None:
    """Serve ThingsBoard with the devices that were asked for; gives what passes through it."""
    if options.thingsboard is None:
        return None
    server = sandbox.thingsboard
    for given, gateway in [(text, False) for text in options.tb_device] + [(text, True) for text in options.tb_gateway]:
        name, _, token = given.rpartition("=")
        if not name or not token:
            raise Failure(f"{given!r} is not valid: expected NAME=TOKEN", code=USAGE)
        server.add_device(name, token, gateway=gateway)
    print(f"ThingsBoard on {server.host}:{server.port}", file=sys.stderr, flush=True)
    return server.follow()


def entries(network: Follower, beside: Follower | None) -> Iterator[dict[str, Any]]:
    """Give what passes through one or both."""
    if beside is None:
        yield from network
        return
    while True:
        entry = network.next(0.1)
        if entry is not None:
            yield entry
        for _ in range(_TURN):
            if (entry := beside.next(0)) is None:
                break
            yield entry


def _invitation(sandbox: Sandbox) -> str:
    """Give a command that shows what devices send; its key is that of a network of play."""
    return (
        f"THINGSLINK_ACCESS_KEY={sandbox.access_key} thingslink uplinks --app-id {sandbox.username} "
        f"--mqtt {sandbox.mqtt_address}"
    )


def served(sandbox: Sandbox) -> str:
    """Say what is called over gRPC, and the addresses of the rest."""
    if sandbox.network == "chirpstack":
        print(f"tenant {sandbox.tenant_id}, application {sandbox.application_id}", file=sys.stderr)
        return f"API, with gRPC-web, on {sandbox.management_address}"
    if sandbox.network == "v3":
        print(f"the same over HTTP on {sandbox.http_address}/api/v3", file=sys.stderr)
        return f"Identity, Network, Application and Join Server on {sandbox.management_address}"
    return f"discovery on {sandbox.discovery_address}, handler on {sandbox.handler_address}"


def main(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    # Each network has its own, and the sandbox says so.
    network: Literal["v2", "v3", "chirpstack"] = "chirpstack" if options.chirpstack else "v3" if options.v3 else "v2"
    discovery_port, handler_port, management_port, http_port = (
        usual.get(network, 0) if given is None else given
        for given, usual in (
            (options.discovery_port, {"v2": 1900}),
            (options.handler_port, {"v2": 1904}),
            (options.management_port, {"v3": 8884, "chirpstack": 8080}),
            (options.http_port, {"v3": 1885 if options.insecure else 8885}),
        )
    )
    sandbox = Sandbox(
        options.app_id,
        options.access_key,
        network=network,
        tenant=options.tenant,
        host=options.host,
        mqtt_port=options.mqtt_port,
        mqtts_port=options.mqtts_port,
        management_port=management_port,
        http_port=http_port,
        discovery_port=discovery_port,
        handler_port=handler_port,
        insecure=options.insecure,
        state=options.state,
        seed=options.seed,
        any_key=options.any_key,
        thingsboard_port=options.thingsboard or 0,
        max_connections=options.max_connections,
        protobuf=options.protobuf,
        event_topic=options.event_topic,
        command_topic=options.command_topic,
    )
    with sandbox:
        if options.ca_file:
            _replace_file(options.ca_file, sandbox.ca_certs.encode(), mode=0o666)
        print(f"listening on {sandbox.mqtt_address}", file=sys.stderr)
        if sandbox.mqtts_address:
            print(f"listening on {sandbox.mqtts_address}", file=sys.stderr)
        plain = options.insecure or network == "chirpstack"
        print(f"{served(sandbox)} ({'gRPC in plain text' if plain else 'gRPC over TLS'})", file=sys.stderr)
        print(f"application {sandbox.username}, access key {sandbox.access_key}", file=sys.stderr, flush=True)
        for dev_id in options.device:
            sandbox.device(dev_id)
        follower = sandbox.follow()
        if options.devices:
            sandbox.stream(rate=options.rate, devices=options.devices, count=options.count, seed=options.seed)
        try:
            beside = thingsboard(sandbox, options)
            print("ready", file=sys.stderr, flush=True)
            print(f"to look at it: {_invitation(sandbox)}", file=sys.stderr, flush=True)
            for entry in entries(follower, beside):
                if not options.quiet:
                    show(entry, as_json=options.json, coloured=terminal.is_coloured(sys.stdout))
        except KeyboardInterrupt:
            print("stopping", file=sys.stderr)
            raise
    return 0
