"""Whom to talk to and as whom: an option, else a variable, else the profile; a key may be asked for."""

from __future__ import annotations

import argparse
import base64
import getpass
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thingslink.cli import configuration, keys, progress
from thingslink.cli.failure import USAGE, Failure
from thingslink.ttn import ApplicationClient, HandlerClient, MQTTClient

if TYPE_CHECKING:
    from thingslink.typing import Network

#: Begins the place of a setting that is from a profile.
_PROFILE = "profile "


def add_profile(command: argparse._ActionsContainer) -> None:
    """Add the option that names a profile, which may stand before the command, too."""
    command.add_argument(
        "--profile",
        metavar="NAME",
        # What was given before the command stays.
        default=argparse.SUPPRESS,
        help="of the configuration file (or THINGSLINK_PROFILE); what is given here or in variables goes before it",
    )
    command.add_argument("--config", metavar="FILE", default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def add_to(command: argparse.ArgumentParser, *, mqtt: bool = False) -> None:
    """Add the options. The access key has none on purpose: command lines are seen by others and kept in histories."""
    group = command.add_argument_group("connection")
    add_profile(group)
    group.add_argument("--app-id", "--app", metavar="APP_ID", help="application (or THINGSLINK_APP_ID)")
    group.add_argument(
        "--access-key-file",
        metavar="FILE",
        help="file with the access key (or THINGSLINK_ACCESS_KEY_FILE, or the key itself in THINGSLINK_ACCESS_KEY; "
        "without any of them it is asked for)",
    )
    group.add_argument(
        "--keyring",
        action="store_true",
        default=None,
        help="take the key from the system's keyring, as `keyring set thingslink APP_ID` puts it there (or "
        "THINGSLINK_KEYRING=1)",
    )
    group.add_argument("--access-key", "--key", action=keys.Refuse, help=argparse.SUPPRESS)
    group.add_argument("--discovery", metavar="HOST:PORT", help="discovery server (or THINGSLINK_DISCOVERY)")
    group.add_argument(
        "--handler",
        metavar="HOST:PORT",
        help="handler, in place of discovery; of ChirpStack the server's API (or THINGSLINK_HANDLER)",
    )
    group.add_argument(
        "--network",
        choices=("v2", "v3", "chirpstack"),
        help="by default what key, address and application tell (or THINGSLINK_NETWORK)",
    )
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
    group.add_argument(
        "--tenant-id",
        metavar="UUID",
        help="of ChirpStack: the tenant, where --app-id is a name (or THINGSLINK_TENANT_ID)",
    )
    group.add_argument(
        "--device-profile",
        metavar="NAME",
        help="of ChirpStack: the profile of new devices, and whose codec is meant; by default the only one that fits "
        "(or THINGSLINK_DEVICE_PROFILE)",
    )
    group.add_argument("--ca-file", metavar="FILE", help="certificates to trust, PEM (or THINGSLINK_CA_FILE)")
    group.add_argument(
        "--insecure", action="store_true", default=None, help="gRPC in plain text (or THINGSLINK_INSECURE=1)"
    )
    if mqtt:
        group.add_argument("--mqtt", metavar="ADDRESS", help="MQTT server, in place of discovery (or THINGSLINK_MQTT)")
        group.add_argument(
            "--mqtt-username",
            metavar="NAME",
            help="of ChirpStack: user of the broker, which knows no access key (or THINGSLINK_MQTT_USERNAME)",
        )
        group.add_argument(
            "--mqtt-password-file",
            metavar="FILE",
            help="file with the user's password (or THINGSLINK_MQTT_PASSWORD_FILE, or the password itself in "
            "THINGSLINK_MQTT_PASSWORD)",
        )
        group.add_argument(
            "--client-cert",
            metavar="FILE",
            help="of ChirpStack: certificate to show to the broker, PEM (or THINGSLINK_CLIENT_CERT)",
        )
        group.add_argument(
            "--client-key", metavar="FILE", help="the certificate's private key, PEM (or THINGSLINK_CLIENT_KEY)"
        )
        group.add_argument(
            "--event-topic",
            metavar="TEMPLATE",
            help="of ChirpStack: event_topic of its configuration, where that is not the default (or "
            "THINGSLINK_EVENT_TOPIC)",
        )
        group.add_argument(
            "--command-topic", metavar="TEMPLATE", help="likewise command_topic (or THINGSLINK_COMMAND_TOPIC)"
        )


def found(options: argparse.Namespace, name: str) -> tuple[str | None, str | None]:
    """Give a setting and where it is from: an option, a variable or the profile."""
    given = getattr(options, name, None)
    if given:
        return ("1" if given is True else str(given)), f"--{name.replace('_', '-')}"
    variable = f"THINGSLINK_{name.upper()}"
    told = os.environ.get(variable)
    if told:
        return told, variable
    value = configuration.of(options).get(name)
    return value, None if value is None else f"{_PROFILE}{configuration.chosen(options)[0]}"


def is_of_profile(place: str | None) -> bool:
    """Tell whether a setting is from a profile."""
    return place is not None and place.startswith(_PROFILE)


def setting(options: argparse.Namespace, name: str) -> str | None:
    """Give an option, or what the environment has for it, or the profile."""
    return found(options, name)[0]


def flag(options: argparse.Namespace, name: str) -> bool:
    """Tell whether something is switched on."""
    return setting(options, name) not in {None, "0"}


def app_id(options: argparse.Namespace) -> str:
    """Give the application's ID."""
    given = setting(options, "app_id")
    if not given:
        hint = "give --app-id, set THINGSLINK_APP_ID, or name a profile with --profile"
        raise Failure("which application?", code=USAGE, hint=hint)
    return given


#: What says where the access key is: what comes first goes before the others, and all of it before a profile.
_KEY_PLACES = (
    "--access-key-file", "--keyring", "THINGSLINK_ACCESS_KEY_FILE", "THINGSLINK_ACCESS_KEY", "THINGSLINK_KEYRING",
)  # fmt: skip


def key_place(options: argparse.Namespace) -> str | None:
    """Tell what says where the access key is, if it need not be asked for."""
    there = [
        found(options, "access_key_file")[1],
        found(options, "keyring")[1] if flag(options, "keyring") else None,
        "THINGSLINK_ACCESS_KEY" if os.environ.get("THINGSLINK_ACCESS_KEY") else None,
    ]
    ranks = {place: rank for rank, place in enumerate(_KEY_PLACES)}
    return min(filter(None, there), key=lambda place: ranks.get(place, len(ranks)), default=None)


def access_key(options: argparse.Namespace) -> str:
    """Give the access key."""
    place = key_place(options)
    if place == "THINGSLINK_ACCESS_KEY":
        return os.environ[place]
    file, file_from = found(options, "access_key_file")
    if file and file_from == place:
        return keys.read(file, "access key")
    if place:
        return keys.from_keyring(app_id(options))
    key = getpass.getpass(f"access key of {app_id(options)}: ") if sys.stdin.isatty() else ""
    if not key:
        hint = "give --access-key-file FILE or --keyring, or set THINGSLINK_ACCESS_KEY"
        raise Failure("no access key", code=USAGE, hint=hint)
    return key


def _handler(options: argparse.Namespace, key: str) -> HandlerClient:
    discovery = setting(options, "discovery")
    where: dict[str, Any] = {"discovery_address": discovery} if discovery else {}
    return HandlerClient(
        app_id(options),
        key,
        cert_path=setting(options, "ca_file") or "",
        insecure_channel=flag(options, "insecure"),
        # `health` is bounded as a whole.
        timeout=getattr(options, "patience", 30),
        **where,
    )


def application(options: argparse.Namespace) -> ApplicationClient:
    """Give a client that manages the application."""
    address, cluster, key = setting(options, "handler"), setting(options, "cluster"), access_key(options)
    on_chirpstack = is_chirpstack(options, key)
    if on_chirpstack and not address:
        raise Failure("no address", code=USAGE, hint="give --handler HOST:PORT, the address of ChirpStack's API")
    if not address and not cluster and not key.startswith("NNSXS."):
        with progress.progress("asking where the handler is"):
            return _handler(options, key).application()
    ca_file = setting(options, "ca_file")
    certificate = Path(ca_file).read_bytes() if ca_file else b""
    return ApplicationClient(
        app_id(options),
        key,
        address or "",
        certificate,
        insecure_channel=flag(options, "insecure"),
        network=network(options),
        cluster=cluster,
        frequency_plan_id=setting(options, "frequency_plan_id"),
        tenant_id=setting(options, "tenant_id"),
        profile=setting(options, "device_profile"),
    )


def network(options: argparse.Namespace) -> Network | None:
    """Give the network, if it is said outright."""
    said = setting(options, "network")
    if said not in {None, "v2", "v3", "chirpstack"}:
        raise Failure(f"network {said!r} is not valid: expected v2, v3 or chirpstack", code=USAGE)
    return said  # type: ignore[return-value]


def is_chirpstack(options: argparse.Namespace, key: str) -> bool:
    """Tell whether it is a ChirpStack."""
    said = network(options)
    if said or setting(options, "cluster"):
        return said == "chirpstack"
    try:
        claims = json.loads(base64.urlsafe_b64decode(key.split(".")[1] + "=="))
    except (IndexError, ValueError):
        claims = None
    is_of_it = isinstance(claims, dict) and claims.get("iss") == "chirpstack"
    return is_of_it or re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", app_id(options).lower()) is not None


def mqtt_key(options: argparse.Namespace) -> str:
    """Give the access key for MQTT; of ChirpStack it may be empty, since its broker knows none."""
    return "" if key_place(options) is None and is_chirpstack(options, "") else access_key(options)


def is_v3(options: argparse.Namespace, key: str) -> bool:
    """Tell whether MQTT is that of The Things Stack V3."""
    said = network(options)
    if said:
        return said == "v3"
    return key.startswith("NNSXS.") or bool(setting(options, "cluster") and not setting(options, "mqtt"))


def secret(options: argparse.Namespace, name: str, what: str) -> str | None:
    """Give what a variable has, or a file that an option, another variable or the profile names."""
    told = os.environ.get(f"THINGSLINK_{name.upper()}")
    file, place = found(options, f"{name}_file")
    # A variable goes before a profile.
    if file is None or (told and is_of_profile(place)):
        return told or None
    return keys.read(file, what)


def _broker(options: argparse.Namespace) -> dict[str, Any]:
    """Give as whom to come to a broker of one's own."""
    certificate, private = setting(options, "client_cert"), setting(options, "client_key")
    if private:
        keys.warn_of(private, "private key")
    given = {
        "mqtt_username": setting(options, "mqtt_username"),
        "mqtt_password": secret(options, "mqtt_password", "password"),
        "client_cert": Path(certificate) if certificate else None,
        "client_key": Path(private) if private else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def mqtt(options: argparse.Namespace, key: str, **settings: Any) -> MQTTClient:
    """Give an MQTT client of the application, not connected yet."""
    settings |= _broker(options)
    ca_file = setting(options, "ca_file")
    if ca_file:
        settings["ca_certs"] = Path(ca_file)
    if is_v3(options, key):
        settings["management_address"] = setting(options, "handler")
        settings["insecure_channel"] = flag(options, "insecure")
    address = setting(options, "mqtt")
    if is_chirpstack(options, key):
        if not address:
            hint = "give --mqtt ADDRESS, the broker that ChirpStack publishes to"
            raise Failure("no address", code=USAGE, hint=hint)
        settings["grpc_address"] = setting(options, "handler")
        settings["tenant_id"] = setting(options, "tenant_id")
        settings["event_topic"] = setting(options, "event_topic")
        settings["command_topic"] = setting(options, "command_topic")
        settings["insecure_channel"] = flag(options, "insecure")
    settings["network"] = network(options)
    if address:
        return MQTTClient(app_id(options), key or None, address, **settings)
    cluster = setting(options, "cluster")
    if cluster:
        return MQTTClient(app_id(options), key, cluster=cluster, **settings)
    with progress.progress("asking where the handler is"):
        return _handler(options, key).data(**settings)
