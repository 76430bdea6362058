"""The same programs under `tb-mqtt-client==1.13.14` and under thingslink: what callbacks see and what the wire sees.

Where ours is mended on purpose (MIGRATION.md) the programs keep off; those differences have tests of their own.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from harness import PATIENCE
from thingslink.sandbox import ThingsBoard

ROOT = Path(__file__).parent.parent.parent.parent
SCRIPTS = Path(__file__).parent / "scripts"


@pytest.fixture(scope="module")
def original() -> list[str]:
    python = ROOT / ".venvs" / "tb-mqtt-client" / "bin" / "python"
    probe = [str(python), "-c", "import tb_gateway_mqtt"]
    if not python.exists() or subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        pytest.skip("the tb-mqtt-client package 1.13.14 is not installed in .venvs (make originals)")
    return [str(python)]


OURS = [sys.executable, "-m", "thingslink", "run"]


class Run:
    """A program against a server of its own: what it says, and what the wire sees."""

    def __init__(self, command: list[str]) -> None:
        self.said: list[str] = []
        self.wire: list[tuple[Any, ...]] = []
        with ThingsBoard() as server:
            server.add_device("Device", "A1_TEST_TOKEN")
            server.add_device("Gateway", "GATEWAY_TEST_TOKEN", gateway=True)
            server.add_device("Pump 1")
            server.set_client("Device", {"model": "X"})
            server.set_shared("Device", {"limit": [1, {"a": None}]})
            server.set_shared("Pump 1", {"a": 5, "b": "x"})
            server.script("getTime", {"now": 17})
            follower = server.follow()
            script = str(SCRIPTS / "thingsboard.py")
            self.process = subprocess.Popen(
                [*command, script, server.host, str(server.port)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            try:
                self.drive(server)
            finally:
                self.process.kill()
                self.process.communicate()
            while (entry := follower.next(0)) is not None:
                if entry["kind"] in ("published", "subscribed"):
                    self.wire.append((entry.get("filter"), entry.get("topic"), entry.get("payload"), entry["qos"]))

    def until(self, words: str, count: int = 1) -> None:
        assert self.process.stdout
        while count:
            line = self.process.stdout.readline().strip()
            assert line, f"the program ended after {self.said}"
            self.said.append(line)
            count -= words in line

    def go_on(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("on\n")
        self.process.stdin.flush()

    def drive(self, server: ThingsBoard) -> None:
        self.until('["claim"')
        self.until('["answer"', 2 - sum('["answer"' in line for line in self.said))
        self.until('["reply"', 1 - sum('["reply"' in line for line in self.said))
        server.set_shared("Device", {"a": 1, "b": 2})
        self.until('["b"')
        assert server.rpc("Device", "echo", {"x": [1]}) == {"echo": {"method": "echo", "params": {"x": [1]}}}
        self.until('["call"')
        self.go_on()
        self.until('["unsubscribed"')
        server.set_shared("Device", {"b": 3, "c": None})
        server.delete_shared("Device", ["b"])
        self.until('["all"', 2)
        self.go_on()
        self.until('["disconnect"')
        self.until('["claim"')
        self.until('["gw answer"', 2 - sum('["gw answer"' in line for line in self.said))
        server.set_shared("Pump 1", {"a": 6, "z": 7})
        self.until('["gw a"')
        assert server.rpc("Pump 1", "stop") == {"ok": True}
        self.until('["gw call"')
        self.go_on()
        self.until('["disconnect"')
        assert self.process.wait(PATIENCE) == 0


def test_a_device_and_a_gateway_agree(original: list[str]) -> None:
    theirs, ours = Run([*original, "-W", "ignore"]), Run(OURS)
    # Callbacks come from other threads than the script's own lines: each in their own order.
    for kind in sorted({json.loads(line)[0] for line in theirs.said + ours.said}):
        of_kind = [[line for line in run.said if json.loads(line)[0] == kind] for run in (theirs, ours)]
        assert of_kind[0] == of_kind[1], kind
    assert ours.wire == theirs.wire and len(ours.wire) > 40


def random_value(choice: random.Random) -> Any:
    return choice.choice(
        [
            choice.randrange(10**9),
            choice.random(),
            "x" * choice.randrange(60),
            choice.random() < 0.5,
            None,
            [1, "a", {"b": 2.5}],
            {"nested": {"x": "ü" * choice.randrange(20)}},
        ]
    )


def random_pack(choice: random.Random) -> Any:
    def entry() -> dict[str, Any]:
        values = {f"k{choice.randrange(14)}": random_value(choice) for _ in range(choice.randrange(9))}
        form = choice.randrange(4)
        if form == 0:
            return values
        if form == 1:
            return {"values": values}
        stamped: dict[str, Any] = {"ts": choice.randrange(3) + 1_700_000_000_000, "values": values}
        if form == 3:
            stamped["metadata"] = {"unit": choice.choice(["C", "F"]), "n": 1}
        return stamped

    return entry() if choice.random() < 0.3 else [entry() for _ in range(choice.randrange(9))]


def test_splitting_counting_and_limits_agree(original: list[str]) -> None:
    choice = random.Random(20261121)
    packs = [random_pack(choice) for _ in range(600)]
    cases = {
        "split": [(pack, choice.choice([0, 1, 2, 3, 8]), choice.choice([60, 120, 400, 8196])) for pack in packs],
        "count": [pack for pack in packs if pack],
        "limits": ["10:1", "10:1,60:60,", " 5:2 ; 30:60", "", "0:0", "0:0,", "1000:3600", "10:1;abc"],
    }

    def ask(command: list[str]) -> Any:
        script = str(SCRIPTS / "thingsboard_pure.py")
        outcome = subprocess.run(
            [*command, script], input=json.dumps(cases), capture_output=True, text=True, check=True, timeout=PATIENCE
        )
        return json.loads(outcome.stdout)

    theirs, ours = ask([*original, "-W", "ignore"]), ask(OURS)
    assert ours.keys() == theirs.keys()
    for kind in ("count", "limits", "constants", "enums"):
        assert ours[kind] == theirs[kind], kind
    for case, our_parts, their_parts in zip(cases["split"], ours["split"], theirs["split"], strict=True):
        assert our_parts == their_parts, case
