"""Commands that listen to a sandbox, in child processes."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from harness import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from thingslink.sandbox import Sandbox


def settings(sandbox: Sandbox) -> dict[str, str]:
    return {
        **os.environ,
        "THINGSLINK_APP_ID": sandbox.app_id,
        "THINGSLINK_ACCESS_KEY": sandbox.access_key,
        "THINGSLINK_MQTT": sandbox.mqtt_address,
    }


@contextmanager
def started(sandbox: Sandbox, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start a command, and wait until it listens."""
    command = [sys.executable, "-m", "thingslink", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=settings(sandbox)
    ) as process:
        assert process.stderr
        try:
            words = [process.stderr.readline()]
            while words[-1] and not words[-1].startswith(("recording", "listening")):
                words.append(process.stderr.readline())
            assert words[-1], words
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str], how: int | None = None) -> tuple[int, str, str]:
    """End it; gives exit code and what it wrote."""
    if how is not None:
        process.send_signal(how)
    out, errors = process.communicate(timeout=PATIENCE)
    assert "Traceback" not in errors, errors
    return process.returncode, out, errors
