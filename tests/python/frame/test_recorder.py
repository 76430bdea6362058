"""`thingslink.frame`: what is gathered of clients, on both networks and both faces."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import threading
import weakref
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE, on_both_networks
from thingslink import aio
from thingslink._native import DecodeError, _parse_message
from thingslink.frame import Recorder, Table
from thingslink.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from thingslink.ttn import MQTTClient, UplinkMessage

ROOT = Path(__file__).parent.parent.parent.parent


def message(dev_id: str = "a", *, network: str = "v2", **fields: Any) -> UplinkMessage:
    text = json.dumps({"app_id": "app", "dev_id": dev_id, "port": 1, "counter": 1, "payload_fields": fields})
    return _parse_message(text, network)  # type: ignore[no-any-return]


@on_both_networks
def test_a_client_records_what_its_devices_send(
    sandbox: Sandbox, client_for: Callable[..., MQTTClient], eventually: Callable[[Callable[[], object]], None]
) -> None:
    client = client_for(sandbox)
    recorder = client.record()
    client.connect()
    one, two = sandbox.device("one"), sandbox.device("two")
    before = datetime.now(timezone.utc)
    one.uplink(b"\x01\x02", fields={"temperature": 20, "gps": {"lat": 52.5}}, port=7)
    two.uplink(b"\x03", fields={"temperature": 21.5, "counter": "mine"})
    eventually(lambda: len(recorder) == 2)
    table = recorder.to_dict()
    assert table["app_id"] == [sandbox.app_id] * 2
    assert table["dev_id"] == ["one", "two"]
    assert table["port"] == [7, 1]
    assert table["payload"] == [b"\x01\x02", b"\x03"]
    assert table["temperature"] == [20.0, 21.5]
    assert table["gps.lat"] == [52.5, None]
    assert table["payload_fields.counter"] == [None, "mine"]
    assert all(abs((time - before).total_seconds()) < PATIENCE for time in table["time"])
    assert all(isinstance(rssi, float) and rssi < 0 for rssi in table["rssi"])
    assert all(850 < frequency < 950 for frequency in table["frequency"])
    assert recorder.columns["time"] == "time" and recorder.columns["temperature"] == "float"
    assert (recorder.dropped, recorder.unreadable) == (0, 0)


def test_recording_may_be_of_one_device_and_ends_when_it_is_told_to(
    sandbox: Sandbox, client_for: Callable[..., MQTTClient], eventually: Callable[[Callable[[], object]], None]
) -> None:
    client = client_for(sandbox)
    all_of_them, recorder = client.record(), client.record(dev_id="one")
    # As in a cell of a notebook that is run again.
    assert client.record(recorder, dev_id="one") is recorder
    client.connect()
    one, two = sandbox.device("one"), sandbox.device("two")
    one.uplink()
    two.uplink()
    eventually(lambda: len(all_of_them) == 2)
    recorder.stop()
    recorder.stop()
    one.uplink()
    eventually(lambda: len(all_of_them) == 3)
    assert recorder.to_dict()["dev_id"] == ["one"]
    client.record(recorder)
    two.uplink()
    eventually(lambda: len(all_of_them) == 4)
    assert recorder.to_dict()["dev_id"] == ["one", "two"]


def test_several_clients_record_into_one_table(
    sandbox: Sandbox, client_for: Callable[..., MQTTClient], eventually: Callable[[Callable[[], object]], None]
) -> None:
    recorder = Recorder(per="gateway")
    for client in (client_for(sandbox), client_for(sandbox)):
        assert client.record(into=recorder) is recorder
        client.connect()
    sandbox.device("one").uplink()
    eventually(lambda: len(recorder) >= 2 and recorder.to_dict()["dev_id"].count("one") == len(recorder))


def test_neither_keeps_the_other(sandbox: Sandbox, client_for: Callable[..., MQTTClient]) -> None:
    from thingslink.ttn import MQTTClient as Client

    client = Client(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address)
    recorder = client.record()
    gone = weakref.ref(client)
    del client
    gc.collect()
    assert gone() is None
    recorder.stop()
    assert len(recorder) == 0


def test_what_cannot_be_recorded_is_refused(sandbox: Sandbox, client_for: Callable[..., MQTTClient]) -> None:
    client = client_for(sandbox)
    with pytest.raises(TypeError, match=r"into must be a thingslink.frame.Recorder, not list"):
        client.record([])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="takes no 'per' together with into"):
        client.record(Recorder(), per="gateway")
    with pytest.raises(ValueError, match=r"per 'device' is not valid: expected \"uplink\" or \"gateway\""):
        client.record(per="device")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_rows 0 is not valid"):
        Recorder(max_rows=0)
    with pytest.raises(TypeError, match="max_bytes must be int"):
        Recorder(max_bytes=1.5)  # type: ignore[arg-type]
    recorder = Recorder()
    with pytest.raises(TypeError, match="msg must be UplinkMessage, not dict"):
        recorder.add({"dev_id": "a"})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a part of a message"):
        recorder.add(message(x=1).payload_fields)
    assert len(recorder) == 0


def test_rows_are_taken_once() -> None:
    recorder = Recorder()
    recorder.extend(message(x=number) for number in range(3))
    table = recorder.take()
    assert isinstance(table, Table) and len(table) == 3 and len(recorder) == 0
    recorder.add(message(x=0.5))
    assert table.to_dict()["x"] == [0, 1, 2] and table.columns["x"] == "int"
    assert recorder.take().to_dict()["x"] == [0.5]
    assert recorder.columns["x"] == "float"


def test_the_oldest_rows_make_room_and_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder(max_rows=100)
    recorder.extend(message(x=number) for number in range(250))
    assert len(recorder) == 100 and recorder.dropped == 150
    assert recorder.to_dict()["x"] == list(range(150, 250))
    small = Recorder(max_bytes=200_000)
    small.extend(message(x="y" * 1000) for _ in range(1000))
    assert small.nbytes <= 200_000 and small.dropped + len(small) == 1000 and len(small) > 50


def test_threads_add_and_read_at_once() -> None:
    recorder, messages = Recorder(), [message(dev_id, x=1, y="z") for dev_id in "abcd"]
    failures: list[BaseException] = []
    taken: list[int] = []

    def add(msg: UplinkMessage) -> None:
        try:
            for _ in range(5000):
                recorder.add(msg)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=add, args=(msg,)) for msg in messages]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        columns = recorder.to_dict()
        assert len({len(values) for values in columns.values()}) == 1
        taken.append(len(recorder.take()))
    for thread in threads:
        thread.join(PATIENCE)
    assert not failures and sum(taken) + len(recorder) == 20_000


def test_files_of_json_lines_are_read(tmp_path: Path) -> None:
    file = tmp_path / "up.jsonl"
    file.write_bytes(message("a", x=1).json() + b"\n" + message("b", x=2).json() + b"\n")
    recorder = Recorder()
    assert recorder.read(file) == 2
    assert recorder.to_dict()["dev_id"] == ["a", "b"]
    with file.open("a") as more:
        more.write('{"no": "uplink"}\n')
    with pytest.raises(DecodeError, match=r"line 3 of .*up.jsonl is no uplink: expected a JSON object with dev_id"):
        recorder.read(file)
    file.write_text("{")
    with pytest.raises(DecodeError, match=r"line 1 of .*up.jsonl is no uplink: "):
        recorder.read(file)
    with pytest.raises(FileNotFoundError):
        recorder.read(tmp_path / "none")


def test_captures_of_a_real_stack_are_rows() -> None:
    recorder, per_gateway = Recorder(), Recorder(per="gateway")
    gateways = 0
    with (ROOT / "tests/vectors/tts_v3_uplink.jsonl").open() as lines:
        for line in lines:
            entry = json.loads(line)
            msg = _parse_message(json.dumps(entry["v3"]), "v3")
            gateways += len(msg.metadata.gateways) or 1
            recorder.add(msg)
            per_gateway.add(msg)
    assert len(recorder) > 0 and len(per_gateway) == gateways
    assert (recorder.unreadable, per_gateway.unreadable) == (0, 0)
    assert all(recorder.to_dict()["dev_id"])


def test_it_shows_itself() -> None:
    recorder = Recorder()
    recorder.add(message(x=1))
    assert repr(recorder) == "<Recorder of 1 rows, 23 columns>"
    assert repr(recorder.take()) == "<Table of 1 rows, 23 columns>"
    assert "<th>x</th><td>int</td>" in recorder._repr_html_()


def test_batches_of_asyncio_are_tables(sandbox: Sandbox) -> None:
    async def main() -> None:
        client = aio.MQTTClient(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address)
        async with client:
            stream = client.uplinks()
            device = sandbox.device("one")
            for number in range(3):
                device.uplink(fields={"n": number})
            batch = await anext(stream.batches(max=3, within=PATIENCE))
            recorder = Recorder()
            recorder.extend(batch)
            assert isinstance(batch, list) and recorder.to_dict()["n"] == [0, 1, 2]
            assert batch.table().to_dict()["n"] == [0, 1, 2]
            assert set(batch.table(per="gateway").to_dict()["n"]) == {0, 1, 2}
            assert type(batch.__arrow_c_stream__()).__name__ == "PyCapsule"
            assert type(batch.__arrow_c_schema__()).__name__ == "PyCapsule"
            with pytest.raises(TypeError, match="msg must be UplinkMessage, not str"):
                aio.Batch(["no uplink"]).__arrow_c_stream__()

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_a_client_of_asyncio_records_until_it_is_closed(sandbox: Sandbox) -> None:
    async def main() -> None:
        client = aio.MQTTClient(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address)
        recorder = Recorder()
        with pytest.raises(TypeError, match="into must be"):
            await client.record("x")  # type: ignore[arg-type]
        await client.connect()
        recording = asyncio.create_task(client.record(recorder, dev_id="one"))
        device = sandbox.device("one")
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while not len(recorder):
            assert asyncio.get_running_loop().time() < deadline
            device.uplink(fields={"n": 1})
            await asyncio.sleep(0.02)
        await client.aclose()
        assert await recording is recorder
        assert set(recorder.to_dict()["n"]) == {1}

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_who_does_not_record_does_not_import_it() -> None:
    program = "import sys, thingslink; sys.exit('thingslink.frame' in sys.modules or 'pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=PATIENCE, check=False).returncode == 0
