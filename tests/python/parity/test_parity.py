"""The same program under `ttn==2.1.5` and under thingslink: what its callbacks see and what the wire sees must agree.

Where ours is mended on purpose (MIGRATION.md) the programs keep off; those differences have tests of their own.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE, Mosquitto, RawServer, publish
from parity_program import SCRIPTS, Program, by_kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from thingslink.sandbox import Sandbox

UPLINKS = [
    '{"app_id":"demo-app","dev_id":"node-1","hardware_serial":"0004A30B00AABBCC","port":3,"counter":4711,'
    '"confirmed":true,'
    '"payload_raw":"AWcA6wJoXQ==","payload_fields":{"relative_humidity_2":46.5,"temperature_1":23.5},"metadata":'
    '{"time":"2019-05-14T06:31:07.482913345Z","frequency":867.5,"modulation":"LORA","data_rate":"SF9BW125",'
    '"airtime":205824000,'
    '"coding_rate":"4/5","gateways":[{"gtw_id":"eui-b827ebfffe0a0b0c","gtw_trusted":true,"timestamp":2883310868,"rssi":-103,'
    '"snr":6.25},{"gtw_id":"barn-roof","rssi":-117}]},"attributes":{"row":"12"}}',
    '{"dev_id":"node-1","payload_raw":null,"port":0,"counter":0,"metadata":{"time":""}}',
    '{"dev_id":"node-1","payload_fields":{"text":"a quote \\" and \\u00e9 and \\ud83d\\ude00","list":[1,[2,'
    '{"a":null}],true],"big":123456789012345678901234567890,"small":1e-7,"exp":1E+16,"neg":-0.0}}',
    '{ "dev_id" : "node-1" , "empty" : {} , "none" : [] }',
    '{"dev_id":"node-1","twice":1,"twice":2}',
]

SENDS: list[tuple[list[Any], dict[str, Any]]] = [
    (["node-1", "AQ=="], {}),
    (["node-1", "AQ==", 2, True, "last"], {}),
    (["node-1"], {"pay": {"led": True, "é": [1, 2.5, None]}, "conf": False, "sched": "first"}),
    (["node-1", {"n": 1e16, "m": 1e-7, "nested": {"a": []}}], {"port": 223}),
    (["node-1", "01ff"], {}),
]


def interpreter(which: str, original: Path, script: str) -> list[str]:
    if which == "ttn":
        return [str(original), "-W", "ignore", str(SCRIPTS / script)]
    return [sys.executable, "-m", "thingslink", "run", str(SCRIPTS / script)]


@pytest.fixture(autouse=True)
def _no_program_stays() -> Iterator[None]:
    yield
    Program.end_all()


def test_callbacks_and_wire_agree_on_a_raw_server(original: Path) -> None:
    seen, packets = {}, {}
    for which in ("ttn", "thingslink"):
        with RawServer() as server:
            program = Program(
                [*interpreter(which, original, "session.py"), server.address, "demo-app", "ttn-account-v2.demo"]
            )
            wire = [server.next(), server.next()]
            program.until("connect")
            for text in UPLINKS:
                server.send(publish("demo-app/devices/node-1/up", text.encode()))
            program.order("uplinks", len(UPLINKS))
            program.until("done")
            for args, kwargs in SENDS:
                program.order("send", args, kwargs)
                program.until("done")
                wire.append(server.next())
            program.order("close")
            program.until("done")
            wire.append(server.next())
            program.order("connect")
            program.until("done")
            wire += [server.next(), server.next()]
            program.order("close")
            seen[which] = by_kind(program.end())
            wire.append(server.next())
            packets[which] = wire
    assert seen["thingslink"] == seen["ttn"]
    assert packets["thingslink"] == packets["ttn"]


def run_session(which: str, original: Path, address: str, uplink: Callable[[], None]) -> dict[str, list[Any]]:
    program = Program([*interpreter(which, original, "session.py"), address, "demo-app", "ttn-account-v2.demo"])
    program.until("connect")
    # The original tells of the connection before the broker has answered its subscription: a downlink of its own shows
    # that the broker has got that far.
    for args, kwargs in SENDS:
        program.order("send", args, kwargs)
        program.until("downlink")
    uplink()
    program.order("uplinks", len(UPLINKS))
    program.order("close")
    return by_kind(program.end())


def test_callbacks_agree_on_the_sandbox(original: Path, sandbox: Sandbox) -> None:
    seen, queues = {}, {}
    for which in ("ttn", "thingslink"):
        device = sandbox.device("node-1")
        follower = sandbox.follow()

        def uplink(follower: Any = follower) -> None:
            for _ in SENDS:
                while follower.next(PATIENCE)["kind"] != "published":
                    pass
            for text in UPLINKS:
                sandbox.publish_raw("demo-app/devices/node-1/up", text.encode())

        seen[which] = run_session(which, original, sandbox.mqtt_address, uplink)
        queues[which] = device.downlinks
        device.delete()
    assert seen["thingslink"] == seen["ttn"]
    assert queues["thingslink"] == queues["ttn"] == [base64.b64decode("01ff")]


def test_callbacks_agree_on_mosquitto(original: Path, mosquitto: Mosquitto) -> None:
    login = ["-h", "127.0.0.1", "-p", str(mosquitto.port), "-u", mosquitto.app_id, "-P", mosquitto.access_key]

    def uplink() -> None:
        for text in UPLINKS:
            command = ["mosquitto_pub", *login, "-t", "demo-app/devices/node-1/up", "-m", text]
            subprocess.run(command, check=True, timeout=PATIENCE)

    seen = {which: run_session(which, original, mosquitto.address, uplink) for which in ("ttn", "thingslink")}
    assert seen["thingslink"] == seen["ttn"]


def test_errors_and_helpers_agree(original: Path, closed_port: int) -> None:
    addresses = [f"127.0.0.1:{closed_port}", "no-such-host.invalid:1883", "h:abc", "h:", ":1883"]
    texts = ["{}", '{"a": {"b": [1, {"c": null}]}}', "nope", "", "true", '{"a": NaN}', "[1, {}]", '{"a": 1e400}']
    arguments = [json.dumps(addresses), json.dumps(texts)]
    outputs = [
        subprocess.run(
            [*interpreter(which, original, "failures.py"), *arguments],
            capture_output=True, text=True, timeout=PATIENCE * 2, check=True,
        ).stdout.splitlines()
        for which in ("ttn", "thingslink")
    ]  # fmt: skip
    theirs, ours = ([json.loads(line) for line in output] for output in outputs)
    assert ours == theirs
    assert len(ours) == len(addresses) + len(texts) + 5


@pytest.mark.parametrize("which", ["thingslink", "ttn"])
def test_the_programs_themselves_run(which: str, original: Path, sandbox: Sandbox) -> None:
    device = sandbox.device("node-1")
    follower = sandbox.follow()
    program = Program(
        [*interpreter(which, original, "session.py"), sandbox.mqtt_address, sandbox.app_id, sandbox.access_key]
    )
    # The original tells of the connection before its subscription is answered.
    while (entry := follower.next(PATIENCE)) is not None and entry["kind"] != "subscribed":
        pass
    program.order("send", ["node-1", "AQ=="], {})
    program.until("downlink")
    device.uplink(b"\x01", fields={"led": True})
    program.until("uplink")
    assert "led=True" in program.said[-1][1]
    program.order("close")
    assert by_kind(program.end())["close"] == [[True]]


def test_messages_leave_by_every_way_as_they_did(original: Path) -> None:
    ours, theirs = (
        subprocess.run(interpreter(which, original, "ways_out.py"), capture_output=True, text=True, check=True).stdout
        for which in ("thingslink", "ttn")
    )
    assert ours.splitlines() == theirs.splitlines() and "dumps deep" in ours
