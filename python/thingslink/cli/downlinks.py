"""``thingslink send`` and ``thingslink simulate``: a message to a device, or as if from one."""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING, Any

from thingslink import ApplicationError, DownlinkError, RpcError
from thingslink.cli import connection, progress
from thingslink.cli.failure import NOT_FOUND, REFUSED, UNREACHED, USAGE, Failure, code_of

if TYPE_CHECKING:
    import argparse

    from thingslink.typing import DownlinkState

#: What can be waited for, and what the client calls it.
_STATES: dict[str, DownlinkState] = {"written": "written", "scheduled": "queued", "sent": "sent", "acked": "acked"}


def add_to(commands: Any) -> None:
    """Add the commands."""
    send_ = commands.add_parser("send", description="Send a downlink; it goes out after the device's next uplink.")
    connection.add_to(send_, mqtt=True)
    send_.add_argument("dev_id")
    send_.add_argument("payload", help="hex, or a JSON object of fields for the application's encoder")
    send_.add_argument("--port", type=int, default=1, help="LoRaWAN FPort (default 1)")
    send_.add_argument("--confirmed", action="store_true", help="ask the device for an acknowledgement")
    send_.add_argument("--schedule", choices=("replace", "first", "last"), default="replace", help="default: replace")
    send_.add_argument(
        "--wait",
        choices=tuple(_STATES),
        help="what to wait for: that the downlink is written (default on V2), in the device's queue (default on V3), "
        "sent by a gateway, or acknowledged by the device, as the network tells it; exit code 1 if it failed, 3 if "
        "nothing was told in time (5 if there is no such device, 4 if the key may not send)",
    )
    send_.add_argument("--timeout", type=float, default=30, metavar="SECONDS", help="for waiting (default 30)")
    send_.add_argument("--no-check", action="store_true", help="do not ask first whether there is such a device")
    send_.set_defaults(main=send)
    simulate_ = commands.add_parser("simulate")
    connection.add_to(simulate_)
    simulate_.add_argument("dev_id")
    simulate_.add_argument("payload", help="hex")
    simulate_.add_argument("--port", type=int, default=1, help="LoRaWAN FPort (default 1)")
    simulate_.set_defaults(main=simulate)


def _frame(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        words = f"payload {text!r} is not valid: expected hexadecimal, two digits for each byte"
        hint = """fields for the application's encoder are a JSON object, as in '{"led": true}'"""
        raise Failure(words, code=USAGE, hint=hint) from None


def _payload(text: str) -> Any:
    if not text.lstrip().startswith("{"):
        return _frame(text)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"payload {text!r} is not valid: expected a JSON object ({error})") from None


def send(options: argparse.Namespace) -> int:
    """Send a downlink, and wait for what was asked."""
    payload = _payload(options.payload)
    if options.timeout <= 0:
        raise ValueError(f"--timeout {options.timeout:g} is not valid: expected seconds, more than 0")
    if options.wait == "acked" and not options.confirmed:
        raise ValueError("--wait acked goes together with --confirmed: the device acknowledges nothing else")
    # What the log would say is told as the error that it leads to.
    logging.getLogger("thingslink").addHandler(logging.NullHandler())
    key = connection.mqtt_key(options)
    on_v3 = connection.is_v3(options, key)
    # A server of V3 acknowledges what it then drops, and ChirpStack's API tells at once.
    is_told = on_v3 or (connection.is_chirpstack(options, key) and connection.setting(options, "handler"))
    wait = options.wait or ("scheduled" if is_told else "written")
    state: DownlinkState = _STATES[wait]
    client = connection.mqtt(options, key, qos=0 if on_v3 else 1, follow_downlinks=state != "written")
    try:
        with progress.progress("connecting"):
            # Of ChirpStack the broker may be all that is known.
            if is_told or not connection.is_chirpstack(options, key):
                _look_up(options)
            client.connect()
        mid = client.send(options.dev_id, payload, options.port, options.confirmed, options.schedule)
        with progress.progress(f"waiting until it is {wait}"):
            client.downlink(mid).wait(state, options.timeout)
    except DownlinkError as error:
        if error.state != "unconfirmed":
            raise
        raise _unconfirmed(error, options) from error
    finally:
        client.close()
    print(f"{wait}: the downlink to {options.dev_id}", file=sys.stderr)
    return 0


def _look_up(options: argparse.Namespace) -> None:
    """Have the network say that there is no such device, which MQTT would not; who may not ask sends all the same."""
    if options.no_check:
        return
    try:
        with connection.application(options) as client:
            client.device(options.dev_id, timeout=10)
    except (ApplicationError, RpcError) as error:
        code = error.code if isinstance(error, ApplicationError) else error.code()
        if code.name in {"NOT_FOUND", "INVALID_ARGUMENT"}:
            raise
        print(f"the device was not looked up: {code.value[1]}", file=sys.stderr)


def _unconfirmed(error: DownlinkError, options: argparse.Namespace) -> Failure:
    """Tell of a downlink of which the network says nothing: whoever may ask is told whether there is such a device."""
    hints = {
        NOT_FOUND: "`thingslink devices list` shows what there is",
        REFUSED: "is that key for this application? `thingslink profiles show` tells where both are from",
        UNREACHED: "is there such a device? `thingslink devices list` shows what there is",
    }
    code = UNREACHED
    try:
        with connection.application(options) as client:
            client.device(options.dev_id, timeout=10)
    except (ApplicationError, RpcError) as reason:
        code = code_of(reason)
    code = code if code in hints else UNREACHED
    return Failure(str(error), code=code, hint=hints[code])


def simulate(options: argparse.Namespace) -> int:
    """Simulate an uplink."""
    frame = _frame(options.payload)
    with connection.application(options) as client, progress.progress("simulating"):
        client.simulate_uplink(options.dev_id, frame, options.port)
    print(f"simulated an uplink of {options.dev_id}", file=sys.stderr)
    return 0
