"""`thingslink top`."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from child_commands import ended, settings, started
from harness import PATIENCE
from thingslink._native import _parse_message
from thingslink.cli import top

if TYPE_CHECKING:
    from thingslink.sandbox import Sandbox


def message(**fields: Any) -> Any:
    return _parse_message(json.dumps({"dev_id": "a", **fields}))


def test_a_table_is_written_once_where_there_is_no_terminal(sandbox: Sandbox) -> None:
    with started(sandbox, "top", "--format", "json", "--for", "2s") as process:
        for dev_id in ("one", "two", "one"):
            sandbox.device(dev_id).uplink(fields={"battery": 3.6})
        code, out, _ = ended(process)
    assert code == 0
    rows = [json.loads(line) for line in out.splitlines()]
    assert [(row["dev_id"], row["uplinks"], row["battery"]) for row in rows] == [("one", 2, "3.6"), ("two", 1, "3.6")]
    assert all(row["rssi"] < 0 and row["seen"].endswith("s") for row in rows)


def test_ctrl_c_is_quiet(sandbox: Sandbox) -> None:
    with started(sandbox, "top", "--for", "1h") as process:
        code, out, errors = ended(process, signal.SIGINT)
    assert (code, out, errors) == (130, "", "")


def test_a_terminal_is_refreshed_until_ctrl_c(sandbox: Sandbox) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "thingslink", "top"]
    environment = settings(sandbox) | {"COLUMNS": "100", "LINES": "24"}
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE, text=True, env=environment) as process:
        os.close(theirs)
        shown = ""

        def look_for(pattern: str) -> None:
            nonlocal shown
            while not re.search(pattern, shown, re.DOTALL):
                assert select.select([ours], [], [], PATIENCE)[0], shown
                shown += os.read(ours, 65536).decode()

        look_for("0 devices of demo-app")
        sandbox.device("one").uplink(b"\x01")
        look_for(r"1 devices of demo-app.*\bone\b")
        assert ended(process, signal.SIGINT)[0] == 130
    os.close(ours)


def test_batteries_are_told_by_the_network_or_by_the_payload() -> None:
    assert top.battery(message(payload_fields={"Battery": 3.3})) == "3.3"
    assert top.battery(message(payload_fields={"vbat": 2, "t": 1})) == "2"
    assert top.battery(message(payload_fields={"battery": "full", "batch": 7})) is None
    assert top.battery(message(payload_fields=[1])) is None
    assert top.battery(message()) is None
    told = {"end_device_ids": {"device_id": "a"}, "uplink_message": {"last_battery_percentage": {"value": 66.5}}}
    assert top.battery(_parse_message(json.dumps(told), "v3")) == "66.5%"


def test_rates_and_losses_are_those_of_the_counter(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.time", lambda: now)
    devices = top.Devices()
    client: Any = None
    for counter in (1, 2, 2, 4):
        devices.take(message(counter=counter, metadata={"gateways": [{"rssi": -100}, {"rssi": -80, "snr": 3}]}), client)
        now += 100
    (row,) = devices.rows()
    assert row["uplinks"] == 3 and row["loss"] == "25.0%" and row["per_hour"] == 24
    assert (row["rssi"], row["snr"], row["gateways"], row["seen"]) == (-80, 3, 2, "1m")


def test_the_devices_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(top, "_MOST", 2)
    devices = top.Devices()
    client: Any = None
    for dev_id in ("a", "b", "a", "c"):
        devices.take(message(dev_id=dev_id), client)
    assert [row["dev_id"] for row in devices.rows()] == ["c", "a"]


@pytest.mark.parametrize(("seconds", "text"), [(-1, "0s"), (59, "59s"), (60, "1m"), (7200, "2h"), (200_000, "2d")])
def test_spans_are_shown_in_one_unit(seconds: float, text: str) -> None:
    assert top.ago(seconds) == text
