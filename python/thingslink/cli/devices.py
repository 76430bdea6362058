"""``thingslink devices``: list, show, register, update, delete, export, import."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thingslink import ApplicationError
from thingslink._native import _replace_file
from thingslink.cli import connection, device_file, jobs, output, progress, spreadsheet
from thingslink.cli.failure import USAGE, Failure

if TYPE_CHECKING:
    import argparse

    from thingslink.ttn import ApplicationClient

#: What V3 says of it, in our words.
_THERE = "it is registered already: --update changes it, --skip-existing leaves it alone"
_COLUMNS = ("dev_id", "dev_eui", "app_eui", "dev_addr", "description")


def add_to(commands: Any) -> None:
    """Add the command."""
    group = commands.add_parser("devices").add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, function: Any, words: str) -> argparse.ArgumentParser:
        command: argparse.ArgumentParser = group.add_parser(
            name, help=words, description=f"{words[0].upper()}{words[1:]}."
        )
        connection.add_to(command)
        command.set_defaults(main=function)
        return command

    output.add_format(action("list", list_, "list the devices"), fields=True)
    show_ = action("show", show, "show one device with all that the network has of it, keys included")
    show_.add_argument("dev_id")
    shown = show_.add_mutually_exclusive_group()
    output.add_format(shown)
    shown.add_argument("--json", action="store_true", help="as JSON, in the form that the network's messages have")
    for name, function, words in (
        ("register", register, "register a device, or replace one"),
        ("update", update, "change a device; what is not mentioned stays"),
    ):
        command = action(name, function, words)
        command.add_argument("dev_id")
        command.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="KEY=VALUE",
            help="dev_eui, app_eui, app_key, latitude, …, attributes.NAME; repeatable",
        )
        command.add_argument(
            "--file", metavar="FILE", help="a JSON object with the device's keys; - for standard input"
        )
    delete_ = action("delete", delete, "delete devices")
    delete_.add_argument("dev_id", nargs="+")
    delete_.add_argument("--yes", action="store_true", help="do not ask")
    export_ = action("export", export, "write all devices to a file, keys included")
    export_.add_argument("--format", choices=("json", "csv"), help="default: by the file's name, else JSON")
    export_.add_argument("--output", metavar="FILE", default="-", help="default: standard output")
    import_ = action("import", import_devices, "register the devices of a file")
    import_.add_argument(
        "file", help="JSON (a list, or an object a line) or CSV of any spreadsheet; - for standard input"
    )
    import_.add_argument("--format", choices=("json", "csv"), help="default: what the file looks like")
    import_.add_argument(
        "--jobs", type=output.positive, default=16, help="calls at the same time (default %(default)s)"
    )
    import_.add_argument("--dry-run", action="store_true", help="check the file and say what would be done")
    existing = import_.add_mutually_exclusive_group()
    existing.add_argument(
        "--skip-existing", action="store_true", help="leave devices alone that are registered already"
    )
    existing.add_argument(
        "--update",
        action="store_true",
        help="change devices that are registered already; without either V2 replaces them, and the others refuse them",
    )


def list_(options: argparse.Namespace) -> int:
    """List the devices."""
    form = output.chosen(options)
    with connection.application(options) as client:
        rows = [device_file.flat(device) for device in _everything(client)]
    there = (name for row in rows for name in row)
    output.table(rows, output.fields(options, _COLUMNS, [*device_file.KNOWN, *there]), form)
    return 0


def _everything(client: ApplicationClient) -> list[dict[str, Any]]:
    """Give all devices with all that the network has of them."""
    found: list[dict[str, Any]] = []
    with progress.progress("fetching devices") as step:
        for page in client.devices_pages(page_size=1000, complete=True):
            found += [device.to_dict() for device in page]
            step(len(page), page.total)
    return found


def show(options: argparse.Namespace) -> int:
    """Show one device."""
    form = output.chosen(options)
    with connection.application(options) as client:
        device = client.device(options.dev_id)
    if options.json:
        print(json.dumps(device.to_dict(), indent=2, ensure_ascii=False))
        return 0
    output.one(device_file.flat(device.to_dict()), form)
    return 0


def _given(options: argparse.Namespace) -> dict[str, Any]:
    device: dict[str, Any] = {}
    if options.file:
        loaded = _json(options.file)
        if not isinstance(loaded, dict):
            raise Failure(f"{options.file}: expected one JSON object", code=USAGE)
        device = loaded
    texts: dict[str, str] = {}
    for pair in options.set:
        key, separator, value = pair.partition("=")
        if not separator:
            raise ValueError(f"--set {pair!r} is not valid: expected KEY=VALUE")
        texts[key] = value
    for key in device_file.SECRETS & texts.keys():
        words = f"others see the {key} of --set on the command line: `--file -` reads a device from standard input"
        print(f"warning: {words}", file=sys.stderr)
    changes = device_file.from_texts(texts)
    device_file.check(changes)
    if "attributes" in changes:
        changes["attributes"] = {**device.get("attributes", {}), **changes["attributes"]}
    return {**device, **changes}


def _json(path: str) -> Any:
    try:
        return json.loads(text_of(path))
    except json.JSONDecodeError as error:
        raise Failure(f"{path}: no JSON: {error}", code=USAGE) from None


def text_of(path: str) -> str:
    """Give the text of a file that was named, or of standard input."""
    if path == "-":
        return spreadsheet.decoded(sys.stdin.buffer.read(), "standard input")
    return spreadsheet.decoded(Path(path).read_bytes(), path)


def register(options: argparse.Namespace) -> int:
    """Register one device."""
    device = _given(options)
    with connection.application(options) as client:
        client.register_device(options.dev_id, device)
    print(f"registered {options.dev_id}", file=sys.stderr)
    return 0


def update(options: argparse.Namespace) -> int:
    """Change one device."""
    updates = _given(options)
    if not updates:
        raise ValueError("nothing to change: give --set or --file")
    with connection.application(options) as client:
        client.update_device(options.dev_id, updates)
    print(f"updated {options.dev_id}", file=sys.stderr)
    return 0


def delete(options: argparse.Namespace) -> int:
    """Delete devices."""
    if not options.yes:
        if not sys.stdin.isatty():
            raise ValueError("deleting needs --yes where nobody can be asked")
        if input(f"delete {', '.join(options.dev_id)}? [y/N] ").strip().lower() not in {"y", "yes"}:
            print("nothing deleted", file=sys.stderr)
            return 1
    deleted = []
    try:
        with connection.application(options) as client, progress.progress("deleting", len(options.dev_id)) as step:
            for dev_id in options.dev_id:
                client.delete_device(dev_id)
                deleted.append(dev_id)
                step()
    finally:
        for dev_id in deleted:
            print(f"deleted {dev_id}", file=sys.stderr)
    return 0


def export(options: argparse.Namespace) -> int:
    """Write all devices to a file."""
    form = device_file.form_of(options.output, options.format)
    with connection.application(options) as client:
        devices = _everything(client)
    if options.output == "-":
        device_file.write(sys.stdout, devices, form)
        return 0
    text = io.StringIO()
    count = device_file.write(text, devices, form)
    # Keys of devices are in it: for the owner alone from its first moment.
    _replace_file(options.output, text.getvalue().encode(), mode=0o600)
    print(f"{count} devices in {options.output}", file=sys.stderr)
    return 0


def import_devices(options: argparse.Namespace) -> int:
    """Register the devices of a file, if there is nothing wrong with any of them."""
    entries = device_file.entries(text_of(options.file), options.format)
    with connection.application(options) as client:
        faults = [*device_file.repeated(entries), *filter(None, (_fault(client, entry) for entry in entries))]
        if faults:
            for line, error in sorted(faults, key=lambda fault: fault.line):
                print(f"line {line}: {error}", file=sys.stderr)
            lines = len({fault.line for fault in faults})
            print(f"nothing was sent: {lines} of {len(entries)} devices are wrong in the file", file=sys.stderr)
            if any(isinstance(fault.device, spreadsheet.DamagedError) for fault in faults):
                print(f"hint: {spreadsheet.DamagedError.HINT}", file=sys.stderr)
            return USAGE
        devices = {str(entry.dev_id): entry.device for entry in entries if isinstance(entry.device, dict)}
        before = known(client)
        there = {dev_id: device for dev_id, device in devices.items() if dev_id in before}
        new = {dev_id: device for dev_id, device in devices.items() if dev_id not in before}
        # Without a word on it those that are there are registered anew, which is the network's to refuse.
        again = {} if options.skip_existing else there
        if options.dry_run:
            is_refused = client.network != "v2" and not options.update and not options.skip_existing
            refused = dict.fromkeys(there, _THERE) if is_refused else {}
            return _summary(options, len(devices), len(new), len(there) - len(refused), refused)
        failed = dict(
            [
                *register_all(client, list(new.items()), options.jobs),
                *register_all(client, list(again.items()), options.jobs, update=options.update),
            ]
        )
        missing = devices.keys() - known(client) - failed.keys()
    failed.update(dict.fromkeys(sorted(missing), "the network took it, and does not list it"))
    return _summary(options, len(devices), len(new.keys() - failed.keys()), len(there.keys() - failed.keys()), failed)


def known(client: ApplicationClient) -> set[str]:
    """Give the IDs of the devices that are registered."""
    found = set()
    with progress.progress("looking at what is there") as step:
        for device in client.iter_devices():
            found.add(device.dev_id)
            step()
    return found


def _fault(client: ApplicationClient, entry: device_file.Entry) -> device_file.Entry | None:
    """Look at a device of the file without asking the network; gives what is wrong with it."""
    if isinstance(entry.device, ValueError):
        return entry
    if entry.dev_id is None:
        return device_file.Entry(entry.line, ValueError("has no dev_id"))
    try:
        device_file.check(entry.device)
        client.check_device(entry.dev_id, entry.device)
    except spreadsheet.DamagedError as error:
        return device_file.Entry(entry.line, spreadsheet.DamagedError(f"{entry.dev_id}: {error}"))
    except (ValueError, TypeError) as error:
        return device_file.Entry(entry.line, ValueError(f"{entry.dev_id}: {error}"))
    return None


def _summary(options: argparse.Namespace, total: int, new: int, there: int, failed: dict[str, str]) -> int:
    """Say what became of a file's devices: `new` ones, and those that were `there`."""
    if options.skip_existing:
        what = "were there already"
    elif options.update:
        what = "to update" if options.dry_run else "updated"
    else:
        what = "to replace" if options.dry_run else "replaced"
    done = "to register" if options.dry_run else "registered"
    words = f"{new} of {total} devices {done}, {there} {what}, {len(failed)} failed"
    print(f"{words}; nothing was sent" if options.dry_run else words, file=sys.stderr)
    for dev_id, why in failed.items():
        print(f"{dev_id}: {why}", file=sys.stderr)
    return 1 if failed else 0


def register_all(
    client: ApplicationClient, devices: list[tuple[str, dict[str, Any]]], at_once: int, *, update: bool = False
) -> list[tuple[str, str]]:
    """Register or update devices, so many at the same time; gives those that failed, and why."""
    failed: dict[int, tuple[str, str]] = {}

    def one(item: tuple[str, dict[str, Any]]) -> tuple[str, str] | None:
        dev_id, device = item
        try:
            if update:
                client.update_device(dev_id, device)
            else:
                client.register_device(dev_id, device)
        except ApplicationError as error:
            return dev_id, f"{error.code.value[1]}: {error.details}"
        except (ValueError, TypeError) as error:
            return dev_id, str(error)
        return None

    done = 0
    try:
        with (
            progress.progress("updating" if update else "registering", len(devices)) as step,
            contextlib.closing(jobs.outcomes(one, devices, at_once)) as outcomes,
        ):
            for place, fault in outcomes:
                done += 1
                step()
                if fault is not None:
                    failed[place] = fault
    except KeyboardInterrupt:
        told = f"interrupted: the network has at least {done - len(failed)} of these {len(devices)} devices"
        print(told, file=sys.stderr)
        raise
    return [fault for _, fault in sorted(failed.items())]
