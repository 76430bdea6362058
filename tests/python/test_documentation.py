"""What the documentation shows is executed: README, docstrings, examples."""

from __future__ import annotations

import asyncio
import os
import queue
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness import PATIENCE
from thingslink.sandbox import Sandbox

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples"


def blocks(path: Path, section: int = 1) -> list[str]:
    """Give the programs of the README: of its beginning, which is V3's (0), or of all the rest (1)."""
    text = path.read_text(encoding="utf-8").split("\n## Scripts over the old packages\n")[section]
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def test_the_readme_s_examples_run(sandbox: Sandbox, tmp_path: Path) -> None:
    first, older, second, asyncio_block, device_block, gateway_block, third = blocks(ROOT / "README.md")
    seen: queue.Queue[str] = queue.Queue()
    (tmp_path / "ca.pem").write_text(sandbox.ca_certs)
    names: dict[str, Any] = {
        "app_id": sandbox.app_id,
        "access_key": sandbox.access_key,
        "discovery_address": sandbox.discovery_address,
        "cert_path": str(tmp_path / "ca.pem"),
        "print": lambda *args: seen.put(" ".join(map(str, args))),
    }
    before, after = first.split("...\n")
    exec(before, names)
    assert seen.get(timeout=PATIENCE) == "['soil-07']"
    device = sandbox.device("soil-07")
    device.uplink(b"\x05")
    assert seen.get(timeout=PATIENCE) == "soil-07 b'\\x05'"
    exec(after, names)
    names["mqtt_address"] = sandbox.mqtt_address
    exec(older, names)
    device.uplink(b"\x05")
    lines = {seen.get(timeout=PATIENCE)}
    assert lines == {"older: soil-07"}
    names["older"].close()
    before, after = second.replace("eu.thethings.network:1883", sandbox.mqtt_address).split("...\n")
    exec(before, names)
    assert seen.get(timeout=PATIENCE) == "connected: True"
    device.uplink(b"\x05")
    assert seen.get(timeout=PATIENCE).startswith("soil-07 b'\\x05' -")
    exec(after, names)
    assert seen.get(timeout=PATIENCE) == "closed: True"
    assert device.downlinks == [b"\x01"]
    asyncio.run(answering(asyncio_block, names, sandbox))
    server = sandbox.thingsboard
    server.add_device("Pump 1", "A1_TEST_TOKEN")
    server.add_device("Gateway", "GATEWAY_TEST_TOKEN", gateway=True)
    names |= {"host": server.host, "port": server.port}
    exec(device_block, names)
    assert seen.get(timeout=PATIENCE) == "True"
    server.set_shared("Pump 1", {"limit": 5})
    assert seen.get(timeout=PATIENCE) == "limit: 5"
    assert server.rpc("Pump 1", "stop") == {"done": "stop"}
    exec(gateway_block, names)
    assert seen.get(timeout=PATIENCE) == "0" and server.telemetry_of("Pump 2")[0]["values"] == {"rpm": 900}
    for name in ("pump", "gateway"):
        names[name].disconnect()
    exec(third, names)
    assert seen.get(timeout=PATIENCE) == "23.5"
    assert seen.get(timeout=PATIENCE) == "b'\\x01'"


async def answering(block: str, names: dict[str, Any], sandbox: Sandbox) -> None:
    """Run the README's program of asyncio until it has answered."""
    program, run = block.rsplit("\n\n\n", 1)
    assert run == "asyncio.run(answer())\n"
    exec(program, names)
    device = sandbox.device("soil-07")
    before = len(device.received)
    running = asyncio.create_task(names["answer"]())
    deadline = asyncio.get_running_loop().time() + PATIENCE
    # Two: the first uplink that is heard is answered after itself.
    while len(device.received) < before + 2:
        assert not running.done() and asyncio.get_running_loop().time() < deadline
        device.uplink(b"\x05")
        await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def served(sandbox: Sandbox, script: str, *arguments: str) -> subprocess.Popen[str]:
    """Start an example and wait until it has subscribed."""
    follower = sandbox.follow()
    command = [sys.executable, str(EXAMPLES / script), sandbox.mqtt_address, sandbox.app_id, sandbox.access_key]
    process = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True)
    while (entry := follower.next(PATIENCE)) is not None and entry["kind"] != "subscribed":
        pass
    assert entry is not None
    return process


def output(process: subprocess.Popen[str]) -> str:
    text, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    return text


def test_the_example_that_prints_uplinks(sandbox: Sandbox) -> None:
    device = sandbox.device("node-1")
    process = served(sandbox, "uplinks.py", "2")
    device.uplink(b"\x01\xff")
    device.uplink(None, port=0)
    lines = output(process).splitlines()
    assert lines[0].endswith("node-1 port 1: 01ff") and lines[1].endswith("node-1 port 0: ")


def test_the_example_that_stores_uplinks(sandbox: Sandbox, tmp_path: Path) -> None:
    device = sandbox.device("node-1")
    for total in (3, 6):
        process = served(sandbox, "at_least_once.py", str(tmp_path / "uplinks.db"), str(total))
        for _ in range(3):
            device.uplink()
        output(process)


def test_the_example_that_answers(sandbox: Sandbox) -> None:
    device = sandbox.device("node-1")
    process = served(sandbox, "answer.py", "1")
    # Its downlink goes out after the uplink that follows it.
    follower = sandbox.follow()
    device.uplink()
    while (entry := follower.next(PATIENCE)) is not None and not str(entry.get("topic")).endswith("down/scheduled"):
        pass
    device.uplink()
    text = output(process)
    assert "node-1: answering frame 0 with downlink 2" in text and "node-1: down/sent" in text


def test_the_example_that_registers_devices(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(sandbox.ca_certs)
    rows = ["dev_id,dev_eui,description,latitude", "node-1,0004A30B00AABBCC,attic,52.25", "node-2,0004A3,,"]
    (tmp_path / "devices.csv").write_text("\n".join(rows))
    arguments = [sandbox.discovery_address, sandbox.app_id, str(tmp_path / "devices.csv"), str(tmp_path / "ca.pem")]
    outcome = subprocess.run(
        [sys.executable, str(EXAMPLES / "devices.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
        env={**os.environ, "THINGSLINK_ACCESS_KEY": sandbox.access_key},
    )
    refused, listed = outcome.stdout.splitlines()
    assert refused.startswith("node-2: dev_eui is not valid") and listed == "node-1 0004A30B00AABBCC attic"


def test_the_example_of_the_older_package(sandbox: Sandbox) -> None:
    follower = sandbox.follow()
    host, port = sandbox.mqtt_address.split(":")
    arguments = [sandbox.app_id, "70B3D57ED00000AA", sandbox.access_key, host, port, "1"]
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLES / "older.py"), *arguments], stdout=subprocess.PIPE, text=True
    )
    while (entry := follower.next(PATIENCE)) is not None and entry["kind"] != "subscribed":
        pass
    device = sandbox.device("node-1")
    device.uplink(b"\x01")
    assert "node-1 AQ==" in output(process) and device.downlinks == [b"\x00"]


def test_the_example_of_a_thingsboard_device(sandbox: Sandbox) -> None:
    server = sandbox.thingsboard
    server.add_device("Pump 1", "A1_TEST_TOKEN")
    server.set_shared("Pump 1", {"uploadFrequency": 100})
    follower = server.follow()
    arguments = [server.host, "A1_TEST_TOKEN", str(server.port)]
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLES / "telemetry.py"), *arguments], stdout=subprocess.PIPE, text=True
    )
    while (entry := follower.next(PATIENCE)) is not None and entry.get("topic") != "v1/devices/me/telemetry":
        pass
    server.set_shared("Pump 1", {"uploadFrequency": 50})
    while (entry := follower.next(PATIENCE)) is not None and entry.get("topic") != "v1/devices/me/telemetry":
        pass
    assert server.rpc("Pump 1", "stop") == {"method": "stop", "period": 0.02}
    text = output(process)
    assert "arrived" in text and "sending every 0.02 s" in text


def test_the_example_of_a_thingsboard_gateway(sandbox: Sandbox) -> None:
    server = sandbox.thingsboard
    server.add_device("Gateway", "GATEWAY_TEST_TOKEN", gateway=True)
    command = [sys.executable, str(EXAMPLES / "gateway.py"), server.host, "GATEWAY_TEST_TOKEN", str(server.port)]
    lines = "Pump 1,rpm,900\nPump 2,rpm,0\nPump 1,rpm,901\n"
    outcome = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert outcome.stdout == "3 of 3 arrived\n"
    assert [entry["values"] for entry in server.telemetry_of("Pump 1")] == [{"rpm": 900.0}, {"rpm": 901.0}]


def test_the_demo_runs_from_end_to_end() -> None:
    command = [sys.executable, str(EXAMPLES / "demo.py")]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE * 2, check=True)
    for words in (
        "discovered over gRPC and TLS",
        "under the apple tree",
        "connected: True",
        "23.5 °C",
        "acknowledged by the device: True",
        "1000 uplinks",
        "closed: True",
    ):
        assert words in outcome.stdout


def test_every_example_has_a_test() -> None:
    here = Path(__file__)
    tests = here, here.parent / "aio" / "test_aio_examples.py", here.parent / "shared" / "test_workers.py"
    tested = "".join(path.read_text(encoding="utf-8") for path in tests)
    untested = [
        path for path in EXAMPLES.glob("*.py") if not any(f'"{name}"' in tested for name in (path.name, path.stem))
    ]
    assert untested == []


def test_the_readme_s_examples_of_v3_run() -> None:
    receiving, managing = blocks(ROOT / "README.md", section=0)
    seen: queue.Queue[str] = queue.Queue()
    with Sandbox(network="v3") as stack:
        names: dict[str, Any] = {
            "app_id": stack.username,
            "api_key": stack.access_key,
            "print": lambda *args: seen.put(" ".join(map(str, args))),
            "stack": stack,
        }
        cluster = 'cluster="eu1"'
        assert cluster in receiving and cluster in managing
        from_there = (
            'handler_address=stack.management_address, cert_content=stack.ca_certs, frequency_plan_id="EU_863_870"'
        )
        before, after = receiving.replace(cluster, "mqtt_address=stack.mqtt_address").split("...\n")
        exec("from thingslink import ttn\n" + managing.replace(cluster, from_there), names)
        assert seen.get(timeout=PATIENCE) == "['soil-07']"
        device = stack.device("soil-07")
        device.join()
        exec(before, names)
        device.uplink(b"\x05")
        assert seen.get(timeout=PATIENCE).startswith("soil-07 b'\\x05' -")
        stack.wait_for(lambda: device.downlinks, timeout=PATIENCE)
        exec(after, names)
        device.uplink(b"\x06")
        assert device.next_downlink().payload == b"\x01"


def test_the_repository_names_nobody_s_machine() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    for name in listed.stdout.split():
        text = (ROOT / name).read_text(encoding="utf-8", errors="ignore")
        assert "/ro" + "ot/" not in text and "/wo" + "rk/" not in text, name
