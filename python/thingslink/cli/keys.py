"""Keys and passwords: read from files that others should not read, or from the system's keyring."""

from __future__ import annotations

import argparse
import os
import stat
import sys
from pathlib import Path
from typing import Any

from thingslink.cli.failure import USAGE, Failure

#: Where container engines put what they call secrets: nobody else is in there, whatever the files' modes say.
_OF_CONTAINERS = (Path("/run/secrets"), Path("/var/run/secrets"))
#: What keys are kept under.
_SERVICE = "thingslink"


class Refuse(argparse.Action):
    """Says what to do in place of giving a key as an option, without showing it."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        """End with what to do."""
        parser.error(
            "a key does not belong on the command line, where others see it: use --access-key-file FILE, the variable "
            "THINGSLINK_ACCESS_KEY, or --keyring"
        )


def read(path: str, what: str) -> str:
    """Read a key from a file, and say on standard error if others may read it, too."""
    warn_of(path, what)
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        raise Failure(f"the file {path!r} has no {what}: it is not text", code=USAGE) from None
    if not text:
        raise Failure(f"the file {path!r} has no {what}: it is empty", code=USAGE)
    if len(text.splitlines()) > 1:
        raise Failure(f"the file {path!r} has no {what}: expected one line, and nothing else", code=USAGE)
    return text


def warn_of(path: str, what: str) -> None:
    """Say on standard error if anybody on the machine may read a file with a secret."""
    file = Path(path).expanduser()
    mode = stat.S_IMODE(file.stat().st_mode)
    # The group is left alone: services share keys by it. On Windows these bits tell nothing.
    is_open = os.name == "posix" and mode & stat.S_IRWXO
    if is_open and not any(folder in file.absolute().parents for folder in _OF_CONTAINERS):
        print(
            f"warning: everybody on this machine may read the {what} in {path}: `chmod 600` keeps it from them",
            file=sys.stderr,
        )


def from_keyring(app_id: str) -> str:
    """Give an application's access key from the system's keyring."""
    setter = f"`keyring set {_SERVICE} {app_id}`"
    try:
        # Loaded here since it takes its time, and is not always there.
        import keyring  # noqa: PLC0415
        from keyring.errors import KeyringError  # noqa: PLC0415
    except ImportError:
        words = "--keyring needs the package keyring, which is not installed"
        raise Failure(words, code=USAGE, hint='`pip install "thingslink[keyring]"` brings it') from None
    try:
        key: Any = keyring.get_password(_SERVICE, app_id)
    except KeyringError as error:
        words = f"the keyring does not give the access key of {app_id}: {error}"
        raise Failure(words, hint="--access-key-file FILE reads it from a file") from None
    if not key:
        raise Failure(f"the keyring has no access key of {app_id}", code=USAGE, hint=f"{setter} puts it there")
    return str(key)
