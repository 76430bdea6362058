"""Whereto programs are led that name no address, and the Python processes that they start."""

from __future__ import annotations

import json
import os
from pathlib import Path

from thingslink._native import ThingsError, _lead

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

    from thingslink.sandbox import Sandbox

__all__ = ["follow", "hand_down", "lead"]

#: Environment variable that tells the processes that a program starts what was said to it.
_HANDED_DOWN = "_THINGSLINK_LED"
#: What has been said so far, by the native function's keywords.
_said: dict[str, str] = {}
#: The sandbox that programs are led to; held, for it serves as long as it is.
_sandbox: Sandbox | None = None


def lead(
    discovery: str | None = None,
    mqtt: str | None = None,
    ca_file: str | bytes | PathLike[str] | None = None,
    *,
    sandbox: bool = False,
    names: Mapping[str, str] | None = None,
) -> Sandbox | None:
    """Lead clients that are given no address; what is ``None`` stays as it is.

    Args:
        discovery: The discovery server to ask.
        mqtt: The MQTT server, whatever is announced.
        ca_file: Certificates to trust at both: a path, PEM text or PEM bytes.
        sandbox: Start a sandbox that takes any application and key, and lead there.
        names: What these are called in errors, where it is not by their names here.

    Returns:
        The sandbox, if one was started.

    Raises:
        ValueError: One that cannot be used; names it and its value.
    """
    if sandbox:
        if discovery or mqtt or ca_file:
            raise ValueError("a sandbox does not go together with other addresses")
        return _lead_to_sandbox()
    called = {"discovery": "discovery", "mqtt": "mqtt", "ca_file": "ca_file", **(names or {})}
    _say("discovery", called["discovery"], discovery)
    _say("mqtt", called["mqtt"], mqtt)
    if ca_file is not None:
        name = called["ca_file"]
        if not _is_pem(ca_file):
            name += f" {os.fspath(ca_file)!r}"
        _say("ca_certs", name, _pem(name, ca_file))
    return None


def _say(keyword: str, name: str, value: str | None) -> None:
    if value is None:
        return
    try:
        _lead(**{keyword: value})
    except (ValueError, TypeError, ThingsError) as error:
        raise ValueError(f"{name}: {error}") from None
    _said[keyword] = value


def _pem(name: str, given: str | bytes | PathLike[str]) -> str:
    if _is_pem(given):
        return given.decode("ascii", "replace") if isinstance(given, bytes) else os.fspath(given)
    try:
        return Path(os.fsdecode(given)).read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise ValueError(f"{name}: {error.strerror}") from None


def _is_pem(given: str | bytes | PathLike[str]) -> bool:
    return isinstance(given, bytes) or "-----BEGIN" in os.fspath(given)


def _lead_to_sandbox() -> Sandbox:
    global _sandbox  # noqa: PLW0603 - one network for the process
    if _sandbox is None:
        from thingslink.sandbox import Sandbox  # noqa: PLC0415 - few programs need it

        _sandbox = Sandbox("", any_key=True)
        _sandbox.start()
    lead(_sandbox.discovery_address, ca_file=_sandbox.ca_certs)
    return _sandbox


def hand_down() -> None:
    """Tell the Python processes that this one starts whereto they are led."""
    os.environ[_HANDED_DOWN] = json.dumps(_said)


def follow() -> None:
    """Be led as the process that started this one was."""
    for keyword, value in json.loads(os.environ.get(_HANDED_DOWN, "{}")).items():
        _say(keyword, keyword, value)
