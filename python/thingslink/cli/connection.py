"""Whom to talk to and as whom: options, environment, prompt."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from pathlib import Path
from typing import Any

from thingslink.ttn import ApplicationClient, HandlerClient, MQTTClient


class _Refuse(argparse.Action):
    """Says what to do in place of giving a key here, without showing it."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        parser.error("a key does not belong on the command line: use --access-key-file or THINGSLINK_ACCESS_KEY")


def add_to(command: argparse.ArgumentParser, *, mqtt: bool = False) -> None:
    """Add the options. The access key has none on purpose: command lines are seen by others and kept in histories."""
    group = command.add_argument_group("connection")
    group.add_argument("--app-id", "--app", metavar="APP_ID", help="application (or THINGSLINK_APP_ID)")
    group.add_argument(
        "--access-key-file",
        metavar="FILE",
        help="file with the access key (or THINGSLINK_ACCESS_KEY_FILE, or the key itself in THINGSLINK_ACCESS_KEY; "
        "without any of them it is asked for)",
    )
    group.add_argument("--access-key", "--key", action=_Refuse, help=argparse.SUPPRESS)
    group.add_argument("--discovery", metavar="HOST:PORT", help="discovery server (or THINGSLINK_DISCOVERY)")
    group.add_argument("--handler", metavar="HOST:PORT", help="handler, in place of discovery (or THINGSLINK_HANDLER)")
    group.add_argument(
        "--cluster",
        metavar="NAME",
        help="of The Things Stack V3: eu1, nam1, au1 or a host, in place of discovery (or THINGSLINK_CLUSTER)",
    )
    group.add_argument(
        "--frequency-plan-id",
        metavar="ID",
        help="of The Things Stack V3: the plan of new devices, such as EU_863_870_TTN; by default what the community "
        "uses in the cluster (or THINGSLINK_FREQUENCY_PLAN_ID)",
    )
    group.add_argument("--ca-file", metavar="FILE", help="certificates to trust, PEM (or THINGSLINK_CA_FILE)")
    group.add_argument(
        "--insecure", action="store_true", default=None, help="gRPC in plain text (or THINGSLINK_INSECURE=1)"
    )
    if mqtt:
        group.add_argument("--mqtt", metavar="ADDRESS", help="MQTT server, in place of discovery (or THINGSLINK_MQTT)")


def setting(options: argparse.Namespace, name: str) -> str | None:
    """Give an option, or what the environment has for it."""
    given = getattr(options, name, None) or os.environ.get(f"THINGSLINK_{name.upper()}")
    return str(given) if given else None


def app_id(options: argparse.Namespace) -> str:
    """Give the application's ID."""
    given = setting(options, "app_id")
    if not given:
        raise ValueError("which application? Give --app-id or set THINGSLINK_APP_ID")
    return given


def access_key(options: argparse.Namespace) -> str:
    """Give the access key."""
    file = setting(options, "access_key_file")
    if file:
        key = Path(file).read_text(encoding="utf-8").strip()
        if not key:
            raise ValueError(f"the file {file!r} has no access key")
        return key
    key = os.environ.get("THINGSLINK_ACCESS_KEY", "")
    if not key and sys.stdin.isatty():
        key = getpass.getpass(f"access key of {app_id(options)}: ")
    if not key:
        raise ValueError("no access key: give --access-key-file or set THINGSLINK_ACCESS_KEY")
    return key


def _insecure(options: argparse.Namespace) -> bool:
    if options.insecure is not None:
        return bool(options.insecure)
    return os.environ.get("THINGSLINK_INSECURE", "") not in {"", "0"}


def _handler(options: argparse.Namespace, key: str) -> HandlerClient:
    discovery = setting(options, "discovery")
    where: dict[str, Any] = {"discovery_address": discovery} if discovery else {}
    return HandlerClient(
        app_id(options),
        key,
        cert_path=setting(options, "ca_file") or "",
        insecure_channel=_insecure(options),
        # `health` is bounded as a whole.
        timeout=getattr(options, "patience", 30),
        **where,
    )


def application(options: argparse.Namespace) -> ApplicationClient:
    """Give a client that manages the application."""
    address, cluster, key = setting(options, "handler"), setting(options, "cluster"), access_key(options)
    if not address and not cluster and not key.startswith("NNSXS."):
        return _handler(options, key).application()
    ca_file = setting(options, "ca_file")
    certificate = Path(ca_file).read_bytes() if ca_file else b""
    return ApplicationClient(
        app_id(options),
        key,
        address or "",
        certificate,
        insecure_channel=_insecure(options),
        cluster=cluster,
        frequency_plan_id=setting(options, "frequency_plan_id"),
    )


def is_v3(options: argparse.Namespace, key: str) -> bool:
    """Tell whether MQTT is that of The Things Stack V3."""
    return key.startswith("NNSXS.") or bool(setting(options, "cluster") and not setting(options, "mqtt"))


def mqtt(options: argparse.Namespace, key: str, **settings: Any) -> MQTTClient:
    """Give an MQTT client of the application, not connected yet."""
    ca_file = setting(options, "ca_file")
    if ca_file:
        settings["ca_certs"] = Path(ca_file)
    if is_v3(options, key):
        settings["management_address"] = setting(options, "handler")
        settings["insecure_channel"] = _insecure(options)
    address = setting(options, "mqtt")
    if address:
        return MQTTClient(app_id(options), key, address, **settings)
    cluster = setting(options, "cluster")
    if cluster:
        return MQTTClient(app_id(options), key, cluster=cluster, **settings)
    return _handler(options, key).data(**settings)
