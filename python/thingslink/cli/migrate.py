"""``thingslink migrate devices``: from an export of V2, or a file of the stack's own tools, onto V3 or ChirpStack."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from thingslink.cli import connection, device_file, devices, output, stack_file
from thingslink.cli.failure import USAGE, Failure

if TYPE_CHECKING:
    import argparse

    from thingslink.ttn import ApplicationClient

_COLUMNS = ("dev_id", "activation", "dev_eui", "app_eui", "dev_addr", "outcome")
#: What of a file's devices is for The Things Stack V3 alone.
_OF_THE_STACK = (
    "frequency_plan_id", "lorawan_version", "lorawan_phy_version", "supports_class_b", "supports_class_c",
    "resets_join_nonces", "mac_settings", "version_ids", "formatters",
)  # fmt: skip
_SESSION = ("dev_addr", "nwk_s_key", "app_s_key", "f_cnt_up", "f_cnt_down")


def add_to(commands: Any) -> None:
    """Add the command."""
    group = commands.add_parser("migrate").add_subparsers(dest="action", required=True, metavar="ACTION")
    words = "register the devices of a file, but for those that are there already"
    command = group.add_parser("devices", help=words, description=f"{words[0].upper()}{words[1:]}.")
    connection.add_to(command)
    output.add_format(command)
    command.add_argument(
        "file",
        help="what devices export has written (CSV or JSON), or the JSON of the stack's migration tool; - for stdin",
    )
    command.add_argument("--file-format", choices=("json", "csv"), help="default: what the file looks like")
    command.add_argument("--dry-run", action="store_true", help="show what would be registered, and register nothing")
    command.add_argument(
        "--keep-sessions",
        action="store_true",
        help="have devices that join go on with the session of their old network; by default they join anew",
    )
    command.add_argument(
        "--fix-ids", action="store_true", help="write IDs that V3 does not have with '-' for '_' and in lower case"
    )
    command.add_argument(
        "--jobs", type=output.positive, default=16, help="devices at the same time (default %(default)s)"
    )
    command.set_defaults(main=migrate)


def migrate(options: argparse.Namespace) -> int:
    """Register the devices of a file."""
    entries = device_file.entries(devices.text_of(options.file), options.file_format)
    with connection.application(options) as client:
        if client.network == "v2":
            hint = "give --cluster, or an API key of V3 or ChirpStack, or --network"
            raise Failure("migrating leads to The Things Stack V3 or to ChirpStack", code=USAGE, hint=hint)
        known = devices.known(client)
        rows: list[dict[str, Any]] = []
        left: list[tuple[str, dict[str, Any]]] = []
        seen: set[str] = set()
        for line, entry in entries:
            row, device = _look(client, entry, options)
            row["place"] = f"line {line}: "
            rows.append(row)
            dev_id = row["dev_id"]
            if device is None:
                continue
            if dev_id in known:
                row["outcome"] = "registered already"
            elif dev_id in seen:
                row["outcome"] = "error: the file has this dev_id twice"
            else:
                seen.add(dev_id)
                row["outcome"] = "to be registered"
                left.append((dev_id, device))
        if not options.dry_run:
            failed = dict(devices.register_all(client, left, options.jobs))
            for row in rows:
                if row["outcome"] == "to be registered":
                    why = failed.get(row["dev_id"])
                    row["outcome"] = "registered" if why is None else f"error: {why}"
    return _tell(rows, options)


def _look(
    client: ApplicationClient, entry: dict[str, Any] | ValueError, options: argparse.Namespace
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Give what is to be shown of a device, and the device unless it is wrong."""
    row: dict[str, Any] = {"dev_id": "", "outcome": ""}
    try:
        if isinstance(entry, ValueError):
            raise entry
        device = stack_file.read(entry) if stack_file.is_one(entry) else device_file.flat(entry)
        dev_id = device.pop("dev_id", None) or device.pop("devId", None)
        if not isinstance(dev_id, str):
            raise ValueError("no dev_id")  # noqa: TRY301, TRY004 - the file is at fault
        row["dev_id"] = dev_id
        if options.fix_ids:
            row["dev_id"] = dev_id = dev_id.replace("_", "-").lower()
        joins = bool(device.get("app_key") or device.get("appKey"))
        if joins and not options.keep_sessions:
            device = {key: value for key, value in device.items() if key not in _SESSION}
        row.update({key: device[key] for key in ("dev_eui", "app_eui", "dev_addr") if key in device})
        row["activation"] = "OTAA" if joins else "ABP"
        device = device_file.nested(device)
        device_file.check(device)
        if client.network == "chirpstack":
            # There a device profile has them.
            device = {key: value for key, value in device.items() if key not in _OF_THE_STACK}
        client.check_device(dev_id, device)
    except (ValueError, TypeError) as error:
        row["outcome"] = f"error: {error}"
        return row, None
    return row, device


def _tell(rows: list[dict[str, Any]], options: argparse.Namespace) -> int:
    output.table(rows, _COLUMNS, output.chosen(options))
    outcomes = [row["outcome"] for row in rows]
    wrong = [row for row in rows if row["outcome"].startswith("error: ")]
    done, skipped = outcomes.count("registered"), outcomes.count("registered already")
    verb, count = ("to register", outcomes.count("to be registered")) if options.dry_run else ("registered", done)
    print(f"{count} of {len(rows)} devices {verb}, {skipped} were there already, {len(wrong)} failed", file=sys.stderr)
    for row in wrong:
        named = f"{row['dev_id']}: " if row["dev_id"] else ""
        print(f"{row['place']}{named}{row['outcome'].removeprefix('error: ')}", file=sys.stderr)
    return 1 if wrong else 0
