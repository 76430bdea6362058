"""Every code block of the originals' documents, executed with only the import, host and token changed.

The documents are not part of the repository: where they do not lie beside it, these tests are skipped.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import thingslink
from certificates import make
from harness import PATIENCE
from thingslink.sandbox import Sandbox, ThingsBoard

ROOT = Path(__file__).parent.parent.parent.parent
DOCUMENTS = ROOT.parent / "shared" / "originals"
#: An address of this machine's own on which the usual port is free.
HOST = "127.77.18.83"


def blocks(number: str) -> list[str]:
    found = list(DOCUMENTS.glob(f"{number}_*.txt"))
    if not found:
        pytest.skip(f"the document {number} of the originals does not lie beside the repository")
    return re.findall(r"```python\n(.*?)```", found[0].read_text(encoding="utf-8"), re.DOTALL)


# -- 004: ThingsBoard, one program a block --


@pytest.fixture
def server() -> Iterator[ThingsBoard]:
    server = ThingsBoard(host=HOST, port=1883)
    try:
        server.start()
    except thingslink.SandboxError as error:
        pytest.skip(f"port 1883 cannot be had: {error}")
    with server:
        server.add_device("Device", "A1_TEST_TOKEN")
        server.add_device("Gateway", "GATEWAY_TEST_TOKEN", gateway=True)
        yield server


@contextmanager
def running(folder: Path, block: str) -> Iterator[subprocess.Popen[str]]:
    """Run a block as a program of its own; it is ended at the end if it does not end by itself."""
    program = re.sub(r"from (tb_\w+)", r"from thingslink.\1", block).replace("127.0.0.1", HOST)
    program = program.replace("gethostname()", repr(HOST)).replace("TEST_GATEWAY_TOKEN", "GATEWAY_TEST_TOKEN")
    (folder / "program.py").write_text(program)
    # What one block asks of the machine; not our business.
    (folder / "psutil.py").write_text(
        "class virtual_memory: percent = 41.0\ndef cpu_percent(): return 7.5\n", encoding="utf-8"
    )
    process = subprocess.Popen(
        [sys.executable, "-u", "program.py"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def finished(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    return output


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def choose(words: str, *others: str) -> str:
    (block,) = [block for block in blocks("004") if words in block and not any(other in block for other in others)]
    return block


def until_subscribed(follower: Any, topic: str) -> None:
    while (entry := follower.next(PATIENCE)) is not None and entry.get("filter") != topic:
        pass
    assert entry is not None


def test_every_block_of_the_tutorial_is_covered() -> None:
    assert len(blocks("004")) == 9


def test_client_initialization_and_telemetry_publishing(server: ThingsBoard, tmp_path: Path) -> None:
    with running(tmp_path, choose('"currentFirmwareVersion"')) as process:
        finished(process)
    values = {"temperature": 41.9, "enabled": False, "currentFirmwareVersion": "v1.2.2"}
    assert [entry["values"] for entry in server.telemetry_of("Device")] == [values, values]


def test_connection_using_tls(tmp_path: Path) -> None:
    identity = make(common_name="device")
    with ThingsBoard(host=HOST, tls_port=1883) as server:
        server.add_device("Device", certificate=identity.pem)
        (tmp_path / "mqttserver.pub.pem").write_text(server.ca_certs)
        (tmp_path / "mqttclient.nopass.pem").write_bytes(identity.pem + identity.key_pem)
        with running(tmp_path, choose("tls=True")) as process:
            finished(process)


def test_subscription_to_attributes(
    server: ThingsBoard, tmp_path: Path, eventually: Callable[[Callable[[], object]], None]
) -> None:
    with running(tmp_path, choose("subscribe_to_attribute(")) as process:
        eventually(lambda: server.connected == ["Device"])
        heard = threading.Event()

        def push() -> None:
            # Again and again: nothing tells when the program has subscribed.
            while not heard.wait(0.05):
                server.set_shared("Device", {"uploadFrequency": 15})

        thread = threading.Thread(target=push)
        thread.start()
        try:
            assert [line(process), line(process)] == ["{'uploadFrequency': 15}"] * 2
        finally:
            heard.set()
            thread.join()


def test_telemetry_pack_sending(server: ThingsBoard, tmp_path: Path) -> None:
    with running(tmp_path, choose("max_inflight_messages_set")) as process:
        assert finished(process) == "Result True\n"
    assert len(server.telemetry_of("Device")) == 100


def test_request_of_attributes(server: ThingsBoard, tmp_path: Path) -> None:
    server.set_client("Device", {"configuration": {"a": 1}, "targetFirmwareVersion": "v2"})
    with running(tmp_path, choose("request_attributes", "gw_request")) as process:
        assert line(process) == "{'client': {'configuration': {'a': 1}, 'targetFirmwareVersion': 'v2'}}"


def test_replies_to_calls(server: ThingsBoard, tmp_path: Path) -> None:
    follower = server.follow()
    with running(tmp_path, choose("send_rpc_reply", "gw_send")) as process:
        until_subscribed(follower, "v1/devices/me/rpc/response/+")
        assert server.rpc("Device", "getCPULoad", timeout=PATIENCE) == {"CPU percent": 7.5}
        assert server.rpc("Device", "getMemoryUsage", timeout=PATIENCE) == {"Memory": 41.0}
        assert line(process).endswith("{'method': 'getCPULoad', 'params': None}")


def test_gateway_telemetry(server: ThingsBoard, tmp_path: Path) -> None:
    with running(tmp_path, choose("gw_send_telemetry")) as process:
        finished(process)
    (entry,) = server.telemetry_of("Test Device A1")
    assert entry["values"] == {"temperature": 42.2} and entry["ts"] > 1_700_000_000_000
    assert server.attributes_of("Test Device A1") == {"firmwareVersion": "2.3.1"}


def test_gateway_requests(server: ThingsBoard, tmp_path: Path) -> None:
    server.add_device("Test Device A1")
    server.set_shared("Test Device A1", {"temperature": 21})
    with running(tmp_path, choose("gw_request_shared_attributes")) as process:
        assert line(process) == "{'device': 'Test Device A1', 'id': 1, 'value': 21}"


def test_gateway_replies(
    server: ThingsBoard, tmp_path: Path, eventually: Callable[[Callable[[], object]], None]
) -> None:
    with running(tmp_path, choose("gw_send_rpc_reply")) as process:
        eventually(lambda: "Test Device A1" in server.connected)
        assert server.rpc("Test Device A1", "getCPULoad", timeout=PATIENCE) == {"CPU load": 7.5}
        assert server.rpc("Test Device A1", "getMemoryLoad", timeout=PATIENCE) == {"Memory": 41.0}
        assert "getCPULoad" in line(process)


# -- 001 and 003: the older ttnmqtt, fragments that stand one after the other --


def execute(block: str, names: dict[str, Any]) -> None:
    # What is in brackets is optional, as the documents say.
    program = block.replace("from ttnmqtt", "from thingslink.ttnmqtt").replace("[", "").replace("]", "")
    if program.startswith("mqtt("):
        program = "client = " + program
    exec(program, names)


def test_the_second_generation(sandbox: Sandbox) -> None:
    seen: dict[str, threading.Event] = {name: threading.Event() for name in ("uplink", "connect", "downlink", "close")}

    def note(name: str) -> Callable[[Any, Any], None]:
        return lambda value, client: seen[name].set()

    names: dict[str, Any] = {
        "appID": sandbox.app_id,
        "appAccessKey": sandbox.access_key,
        "mqttAddress": sandbox.mqtt_address,
        "deviceID": "node-1",
        "payload": "AQ==",
        "port": 1,
        "confirmation": False,
        "schedule": "replace",
        **{f"{name}Callback": note(name) for name in seen},
    }
    device = sandbox.device("node-1")
    texts = blocks("001")
    order = [block.strip().split("(")[0] for block in texts]
    by_name = dict(zip(order, texts, strict=True))
    assert len(by_name) == 12
    for first in ("from ttnmqtt import MQTTClient as mqtt", "mqtt"):
        execute(by_name.pop(first), names)
    # "They should be set right after the MQTT client creation."
    for setter in ("setUplinkCallback", "setDownlinkCallback", "setCloseCallback", "setConnectCallback"):
        execute(by_name.pop(f"client.{setter}"), names)
    assert seen["connect"].wait(PATIENCE)
    device.uplink(b"\x01")
    assert seen["uplink"].wait(PATIENCE)
    execute(by_name.pop("client.send"), names)
    assert seen["downlink"].wait(PATIENCE)
    execute(by_name.pop("client.close"), names)
    assert seen["close"].wait(PATIENCE)
    execute(by_name.pop("client.connect"), names)
    execute(by_name.pop("client.start"), names)
    # It stays until somebody closes the client.
    threading.Timer(0.2, names["client"].close).start()
    execute(by_name.pop("client.startForever"), names)
    execute(by_name.pop("client.connect", "client.connect()"), names)
    execute(by_name.pop("client.stop"), names)
    assert not by_name
    assert [payload.hex() for payload in device.downlinks] == ["01"]


def test_the_first_generation(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], eventually: Callable[[Callable[[], object]], None]
) -> None:
    host, port = sandbox.mqtt_address.split(":")
    messages: list[Any] = []
    came = threading.Event()

    def custom_message(client: Any, userdata: Any, message: Any) -> None:
        messages.append(message)
        came.set()

    names: dict[str, Any] = {
        "APPID": sandbox.app_id,
        "APPEUI": "70B3D57ED00000AA",
        "PSW": sandbox.access_key,
        "DEVID": "node-1",
        "region": host,
        "port": int(port),
        "message": '{"port": 1, "confirmed": false, "payload_raw": "AA=="}',
        "client": None,
        "userdata": None,
        "falgs": {},
        "rc": 0,
        "mid": 1,
        "custom_message": custom_message,
        "custom_connect": lambda client, userdata, flags, rc: None,
        "custom_publish": lambda client, userdata, mid: None,
        "custom_function": lambda *arguments: None,
    }
    device = sandbox.device("node-1")
    texts = blocks("003")
    executed = 0

    def run(words: str) -> None:
        nonlocal executed
        (block,) = [text for text in texts if words in text]
        texts.remove(block)
        executed += 1
        # The network's own address is this sandbox's.
        execute(block.replace("client.connect()", "client.connect(region, port)"), names)

    run("import MQTTClient")
    run("mqtt(APPID")
    run("setDeviceID")
    run("client.connect()")
    run("startBackground")
    run("setMessageHandler")
    device.uplink(b"\x01")
    eventually(lambda: names["client"].getAllMessages())
    run("getLastMessage")
    run("publish(message)")
    run("custom_message(client")
    run("setConnectBehavior")
    came.clear()
    device.uplink(b"\x02")
    assert came.wait(PATIENCE)
    run("stopBackground")
    run("customConnect")
    threading.Timer(0.2, names["client"].disconnect).start()
    run("client.start()")
    run("client.disconnect()")
    assert not texts and executed == 14
    assert "My personnal handler!" in capsys.readouterr().out
