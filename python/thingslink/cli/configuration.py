"""The configuration file: profiles, each with the settings of an application.

It is TOML, ``~/.config/thingslink/config.toml`` unless another one is named::

    profile = "greenhouse"                  # the one to take where none is named

    [profiles.greenhouse]
    app-id = "greenhouse-1"
    cluster = "eu1"
    access-key-file = "greenhouse.key"      # beside this file

It has no keys: it is the kind of file that is shown around, and kept with others.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thingslink.cli.failure import USAGE, Failure, meant

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

_TEXTS = (
    "app_id", "network", "discovery", "handler", "cluster", "frequency_plan_id", "tenant_id", "device_profile", "mqtt",
    "mqtt_username", "event_topic", "command_topic", "nats", "nats_user", "format",
)  # fmt: skip
#: Paths, which are meant from the file's folder.
_FILES = (
    "access_key_file", "ca_file", "mqtt_password_file", "client_cert", "client_key", "nats_password_file",
    "nats_token_file", "nats_nkey_file", "nats_creds", "nats_ca_file",
)  # fmt: skip
_FLAGS = ("insecure", "keyring")
#: What a profile may have, as options are called.
SETTINGS = tuple(name.replace("_", "-") for name in (*_TEXTS, *_FILES, *_FLAGS))
#: What belongs into a file of its own, and what names that file.
_SECRETS = {
    "access-key": "access-key-file, or keyring = true",
    "mqtt-password": "mqtt-password-file",
    "nats-password": "nats-password-file",
    "nats-token": "nats-token-file",
    "nats-nkey": "nats-nkey-file",
}


class Configuration:
    """What a configuration file has."""

    def __init__(self, path: Path, usual: str | None, profiles: Mapping[str, Mapping[str, str]]) -> None:
        self.path = path
        self.usual = usual
        """The profile to take where none is named."""
        self.profiles = profiles
        """Of each profile its settings, named as attributes are; flags are "1" or "0"."""

    def profile(self, name: str) -> Mapping[str, str]:
        """Give the settings of a profile.

        Raises:
            Failure: There is none of that name.
        """
        if name in self.profiles:
            return self.profiles[name]
        there = "has no profiles" if self.path.exists() else "is not there"
        words = meant(name, self.profiles) or (
            f": there is {', '.join(self.profiles)}" if self.profiles else f": {self.path} {there}"
        )
        raise Failure(
            f"there is no profile {name!r}{words}", code=USAGE, hint="`thingslink profiles list` shows what there is"
        )


def path_of(options: argparse.Namespace) -> Path:
    """Give where the file is, or would be."""
    given = getattr(options, "config", None) or os.environ.get("THINGSLINK_CONFIG")
    if given:
        return Path(given).expanduser()
    if sys.platform == "win32":
        folder = Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    else:
        # What is not absolute does not count, says the XDG Base Directory Specification.
        told = Path(os.environ.get("XDG_CONFIG_HOME", ""))
        folder = told if told.is_absolute() else Path.home() / ".config"
    return folder / "thingslink" / "config.toml"


def load(options: argparse.Namespace) -> Configuration:
    """Read the file, once for each command; it need not be there unless it was named.

    Raises:
        Failure: What is wrong in it.
    """
    found: Configuration | None = getattr(options, "configuration", None)
    if found is None:
        found = options.configuration = _read(path_of(options), is_named=bool(getattr(options, "config", None)))
    return found


def chosen(options: argparse.Namespace) -> tuple[str | None, str]:
    """Give the name of the profile that counts, if any does, and what names it."""
    given = getattr(options, "profile", None)
    if given:
        return str(given), "--profile"
    told = os.environ.get("THINGSLINK_PROFILE")
    return (told, "THINGSLINK_PROFILE") if told else (load(options).usual, "the configuration file")


def of(options: argparse.Namespace) -> Mapping[str, str]:
    """Give the settings of the profile that counts."""
    name, _ = chosen(options)
    return load(options).profile(name) if name else {}


def _read(path: Path, *, is_named: bool) -> Configuration:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        if is_named or "THINGSLINK_CONFIG" in os.environ:
            raise
        return Configuration(path, None, {})
    content = _parsed(path, data)
    profiles = content.pop("profiles", {})
    usual = content.pop("profile", None)
    for name in content:
        words = meant(name, ("profile", "profiles")) or ": expected `profile`, or tables as [profiles.NAME]"
        raise _wrong(path, f"{name!r} is not known{words}")
    if not isinstance(profiles, dict) or not all(isinstance(each, dict) for each in profiles.values()):
        raise _wrong(path, "`profiles` is not valid: expected tables, as [profiles.NAME]")
    if usual is not None and (not isinstance(usual, str) or usual not in profiles):
        raise _wrong(path, f"profile = {usual!r} names none{meant(str(usual), profiles)}")
    return Configuration(path, usual, {name: _settings(path, name, each) for name, each in profiles.items()})


def _parsed(path: Path, data: bytes) -> dict[str, Any]:
    try:
        import tomllib  # noqa: PLC0415 - seldom needed, and Python 3.10 has none
    except ImportError:
        try:
            import tomli as tomllib  # type: ignore[import-not-found, no-redef, unused-ignore]  # noqa: PLC0415
        except ImportError:
            words = f"{path} cannot be read: Python 3.10 reads no TOML by itself"
            raise Failure(words, hint='`pip install "thingslink[cli]"` brings what does') from None
    try:
        return dict(tomllib.loads(data.decode("utf-8-sig")))
    except UnicodeDecodeError:
        raise _wrong(path, "it is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise _wrong(path, f"no TOML: {error}") from None


def _settings(path: Path, profile: str, given: Mapping[str, Any]) -> dict[str, str]:
    settings = {}
    for key, value in given.items():
        name, called = key.replace("-", "_"), key.replace("_", "-")
        place = f"[profiles.{profile}] {key}"
        if called in _SECRETS:
            raise _wrong(path, f"{place}: a secret does not belong here: name a file with {_SECRETS[called]}")
        if called not in SETTINGS:
            words = meant(called, SETTINGS) or f": expected some of {', '.join(SETTINGS)}"
            raise _wrong(path, f"{place} is not known{words}")
        if name in _FLAGS:
            if not isinstance(value, bool):
                raise _wrong(path, f"{place} = {value!r} is not valid: expected true or false")
            settings[name] = "1" if value else "0"
        elif not isinstance(value, str) or not value:
            raise _wrong(path, f"{place} = {value!r} is not valid: expected text in quotes")
        else:
            settings[name] = str(path.parent / Path(value).expanduser()) if name in _FILES else value
    if settings.get("keyring") == "1" and "access_key_file" in settings:
        raise _wrong(path, f"[profiles.{profile}] has access-key-file and keyring = true: expected one of them")
    return settings


def _wrong(path: Path, words: str) -> Failure:
    return Failure(f"{path}: {words}", code=USAGE, hint="docs/guides/command-line.md shows such a file")
