"""Bridges and workers whose machine's clock is set while they work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE, running
from nats_fleet import DEVICES, Fleet

if TYPE_CHECKING:
    from nats_server import NatsServer
    from thingslink.sandbox import Sandbox

SOURCE = Path(__file__).parents[1] / "clock.c"
DAY = 24 * 3600


class Clock:
    """The clock of processes that are started in its environment."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if sys.platform != "linux" or compiler is None:
            pytest.skip("a clock that can be set is compiled, for Linux: there is no C compiler")
        library = folder / "clock.so"
        command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"]
        subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
        self.file = folder / "offset"
        self.environment = {**os.environ, "LD_PRELOAD": str(library), "CLOCK_OFFSET": str(self.file)}
        self.set(0)

    def set(self, seconds: int) -> None:
        """Set it, so many seconds off the machine's own."""
        new = self.file.with_suffix(".new")
        new.write_text(str(seconds))
        new.rename(self.file)

    def told(self) -> float:
        """Give the time that a process is told."""
        command = [sys.executable, "-c", "import time; print(time.time())"]
        return float(subprocess.check_output(command, env=self.environment, text=True, timeout=PATIENCE))


@pytest.mark.parametrize("ordered", [False, True])
def test_a_clock_that_jumps_changes_nothing(
    ordered: bool, sandbox: Sandbox, nats_server: NatsServer, tmp_path: Path
) -> None:
    clock = Clock(tmp_path)
    clock.set(400 * DAY)
    assert abs(clock.told() - time.time() - 400 * DAY) < DAY, "it cannot be set"
    clock.set(0)
    command = [sys.executable, "-m", "thingslink", "bridge", "--app", sandbox.app_id, "--mqtt", sandbox.mqtt_address]
    command += ["--nats", nats_server.address, "--name", "one", "--max-bytes", "256M"]
    environment = {**clock.environment, "THINGSLINK_ACCESS_KEY": sandbox.access_key}
    fleet = Fleet(nats_server.address, ordered=ordered)
    fleet.environment = clock.environment
    with running(command, env=environment, stderr=subprocess.PIPE) as bridge:
        try:
            said: Any = bridge.stderr
            while "carrying" not in said.readline():
                assert bridge.poll() is None
            for _ in range(2):
                fleet.start()
            wanted: set[tuple[str, int]] = set()
            for counter, offset in enumerate([0, DAY, -400 * DAY, 0, 10 * 365 * DAY, 0]):
                for number in range(DEVICES):
                    sandbox.device(f"dev-{number}").uplink(b"\x05")
                    wanted.add((f"dev-{number}", counter))
                    if number == DEVICES // 2:
                        clock.set(offset)
                fleet.wait_for(wanted)
            fleet.check(duplicates=0, ordered=ordered)
        finally:
            fleet.stop()
            bridge.terminate()
