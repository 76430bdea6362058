"""Disks that are full: the NATS server's, and that of the bridge's spool."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest
from harness import PATIENCE
from nats_server import NatsServer, look, nats_binary
from thingslink.bridge import Bridge
from thingslink.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

STREAM = "THINGS_demo-app"
DEVICES = 20


class Disk:
    """A file system of its own with so many kilobytes, in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def resize(self, kib: int) -> None:
        """Give it another size."""
        command = ["mount", "-o", f"remount,size={kib}k", str(self.folder)]
        subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)


@contextmanager
def mounted(folder: Path, kib: int) -> Iterator[Disk]:
    if os.geteuid() != 0:
        pytest.skip("a small disk is mounted, which root may")
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(folder)]
    tried = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE)
    if tried.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {tried.stderr.strip()}")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True, timeout=PATIENCE)


def uplinks(sandbox: Sandbox, each: int) -> None:
    for _ in range(each):
        for number in range(DEVICES):
            sandbox.device(f"dev-{number}").uplink(b"\x05")


def is_up_to_date_or_in_trouble(bridge: Bridge, sent: int) -> bool:
    stats = bridge.stats()
    return bool(stats["trouble"]) or stats["published"] >= sent * DEVICES


def counters(server: NatsServer) -> dict[str, list[int]]:
    """Give the counters that are stored of each device, in their order."""
    found: dict[str, list[int]] = {}
    for each in look(server, STREAM):
        if each.subject.endswith(".up"):
            body = json.loads(each.body)
            counter = body.get("counter", body.get("uplink_message", {}).get("f_cnt", 0))
            found.setdefault(each.subject.split(".")[2], []).append(counter)
    return found


def test_a_full_disk_of_the_nats_server_holds_the_bridge_up_and_loses_nothing(
    sandbox: Sandbox, tmp_path: Path, eventually: Callable[[Callable[[], object]], None]
) -> None:
    with mounted(tmp_path / "small", 2048) as disk, NatsServer(nats_binary(), disk.folder / "nats") as server:
        # It believes to have more than there is.
        server.stop()
        server.configure("", jetstream="max_file: 1G")
        server.start()
        arguments = (sandbox.app_id, sandbox.access_key, sandbox.mqtt_address, server.address)
        with Bridge(*arguments, name="one", max_bytes=1 << 28, window=10) as bridge:
            sent = 0
            while not bridge.stats()["trouble"]:
                uplinks(sandbox, 10)
                sent += 10
                assert sent < 2000, "the disk is never full"
                # That it takes no more is known when an acknowledgement has not come for its time.
                eventually(partial(is_up_to_date_or_in_trouble, bridge, sent))
            uplinks(sandbox, 20)
            sent += 20
            stats = bridge.stats()
            assert stats["received"] <= stats["published"] + 4 * 10 < sent * DEVICES, "it reads no more"
            # There is room again; a server that has given JetStream up has it again when it is started anew.
            server.kill()
            disk.resize(65_536)
            server.start()
            total = sent * DEVICES
            eventually(lambda: sum(map(len, counters(server).values())) >= total)
            assert counters(server) == {f"dev-{number}": list(range(sent)) for number in range(DEVICES)}
            assert (bridge.stats()["dropped"], bridge.stats()["refused"]) == (0, 0)


def test_a_full_disk_of_the_spool_is_counted_and_what_is_on_it_is_carried(
    nats_server: NatsServer, tmp_path: Path, eventually: Callable[[Callable[[], object]], None]
) -> None:
    with (
        mounted(tmp_path / "small", 64) as disk,
        Sandbox(network="v3", seed=0) as sandbox,
        Bridge(
            sandbox.username,
            sandbox.access_key,
            sandbox.mqtt_address,
            nats_server.address,
            name="one",
            network="v3",
            max_bytes=1 << 28,
            window=1,
            spool=disk.folder / "spool",
        ) as bridge,
    ):
        nats_server.kill()
        eventually(lambda: not bridge.stats()["nats_connected"])
        uplinks(sandbox, 20)
        fates = ("held", "spooled", "dropped")
        eventually(lambda: sum(bridge.stats()[fate] for fate in fates) == bridge.stats()["received"] == 20 * DEVICES)
        stats = bridge.stats()
        assert stats["dropped"] > 0 and stats["spooled"] > 0
        nats_server.start()
        kept = 20 * DEVICES - stats["dropped"]
        eventually(lambda: bridge.stats()["published"] == kept)
        stored = counters(nats_server)
        assert sum(map(len, stored.values())) == kept and all(one == sorted(one) for one in stored.values())
