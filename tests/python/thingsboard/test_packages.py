"""Packages over the air: firmware and software (TB 1.5, 3.8)."""

from __future__ import annotations

import itertools
import json
import logging
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import PATIENCE, RawServer, publish
from thingslink.sandbox import ThingsBoard
from thingslink.tb_device_mqtt import TBDeviceMqttClient, TBFirmwareState
from thingslink.tb_gateway_mqtt import TBGatewayMqttClient
from thingslink.thingsboard import packages
from thingslink.thingsboard.checksum import checksum, verify_checksum

from .conftest import GATEWAY_TOKEN, TOKEN, Calls, Eventually, Maker, published

ALGORITHMS = ("SHA256", "SHA384", "SHA512", "MD5", "CRC32", "MURMUR3_32", "MURMUR3_128")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a package is stored that no callback takes."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def finish(client: TBDeviceMqttClient) -> None:
    """Wait until everything is told that the client has said so far."""
    assert client.send_telemetry({"end": 1}).get(timeout=PATIENCE) == 0


def states(server: ThingsBoard, device: str = "Device 1", kind: str = "fw") -> list[str]:
    key = f"{kind}_state"
    return [entry["values"][key] for entry in server.telemetry_of(device) if key in entry["values"]]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("chunk_size", [0, 100])
def test_a_package_is_downloaded(
    server: ThingsBoard, connected: Maker, calls: Calls, algorithm: str, chunk_size: int
) -> None:
    client = connected(TBDeviceMqttClient(server.host, server.port, TOKEN, chunk_size=chunk_size))
    client.set_on_firmware_received_callback(calls)
    data = bytes(range(256)) * 3
    client.get_firmware_update()
    follower = server.follow()
    server.offer_firmware("Device 1", "pump-fw", "v2", data, algorithm=algorithm)
    assert calls.next() == (client, data, "v2")
    assert client.firmware_data == data and client.firmware_info["fw_title"] == "pump-fw"
    finish(client)
    assert states(server) == ["IDLE", "DOWNLOADING", "DOWNLOADED", "VERIFIED"]
    requests = [topic for topic, _, _ in itertools.islice(published(follower, "v2/fw/"), 8 if chunk_size else 1)]
    assert requests == [f"v2/fw/request/1/chunk/{number}" for number in range(len(requests))]


def test_a_gateway_downloads_its_firmware_too(server: ThingsBoard, connected: Maker, calls: Calls) -> None:
    client = connected(TBGatewayMqttClient(server.host, server.port, GATEWAY_TOKEN, chunk_size=100))
    client.set_on_firmware_received_callback(calls)
    server.offer_firmware("Gateway 1", "gw-fw", "v2", b"x" * 250)
    assert calls.next() == (client, b"x" * 250, "v2")


def test_a_wrong_checksum_is_told(device: TBDeviceMqttClient, server: ThingsBoard, eventually: Eventually) -> None:
    device.get_firmware_update()
    server.offer_firmware("Device 1", "pump-fw", "v2", b"data", checksum="00")
    eventually(lambda: "FAILED" in states(server))
    assert device.current_firmware_info["fw_error"] == "Checksum verification failed!"
    assert device.current_firmware_info["current_fw_version"] == "v0"


def test_without_a_callback_the_package_is_stored(
    device: TBDeviceMqttClient,
    server: ThingsBoard,
    folder: Path,
    eventually: Eventually,
) -> None:
    server.offer_firmware("Device 1", "../../evil", "v2", b"data")
    eventually(lambda: states(server)[-1:] == ["UPDATED"])
    # The title chooses no folder.
    assert (folder / "evil").read_bytes() == b"data"
    assert device.current_firmware_info["current_fw_version"] == "v2"


def test_a_package_that_lies_elsewhere_is_told_once_and_not_fetched(
    device: TBDeviceMqttClient, server: ThingsBoard, calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    device.set_on_firmware_url_callback(calls)
    follower = server.follow()
    package = {"fw_title": "pump-fw", "fw_version": "v2", "fw_url": "https://cdn.example/pump.bin?sig=secret"}
    with caplog.at_level(logging.WARNING, logger="tb_connection"):
        device.get_firmware_update()
        server.set_shared("Device 1", package)
        assert calls.next() == (device, package["fw_url"], "v2")
        # Whatever way it comes again.
        server.set_shared("Device 1", package)
        device.get_firmware_update()
        asked = Calls()
        device.request_attributes(shared_keys=list(package), callback=asked)
        asked.next()
        finish(device)
    assert calls.empty and caplog.text.count("https://cdn.example/pump.bin") == 1 and "secret" not in caplog.text
    sent = list(itertools.takewhile(lambda entry: b"end" not in entry[1], published(follower, "v")))
    topics = [topic for topic, _, _ in sent]
    assert not [topic for topic in topics if topic.startswith("v2/fw/request")]
    assert len([topic for topic in topics if "attributes/request" in topic]) == 3


def test_a_package_without_a_size_is_asked_for_once(
    device: TBDeviceMqttClient, server: ThingsBoard, caplog: pytest.LogCaptureFixture, eventually: Eventually
) -> None:
    follower = server.follow()
    server.set_shared("Device 1", {"fw_title": "pump-fw", "fw_version": "v2"})
    eventually(lambda: "without its size" in caplog.text)
    finish(device)
    sent = itertools.takewhile(lambda entry: b"end" not in entry[1], published(follower, "v"))
    assert len([topic for topic, _, _ in sent if "attributes/request" in topic]) == 1


ANNOUNCED = (
    b'{"fw_title":"pump-fw","fw_version":"v2","fw_size":250,"fw_checksum":"00","fw_checksum_algorithm":"SHA256"}'
)


def client_of(server: RawServer, chunk_size: int = 0) -> TBDeviceMqttClient:
    host, port = server.address.split(":")
    return TBDeviceMqttClient(host, int(port), TOKEN, chunk_size=chunk_size, protocol="3.1.1")


def until(server: RawServer, text: bytes, wanted: bytes) -> list[bytes]:
    """The packets with this text, until one has what is wanted."""
    found = []
    while wanted not in (packet := server.next()):
        if text in packet:
            found.append(packet)
    return found


def test_a_request_that_the_server_answers_with_an_error_is_not_made_again(
    raw_server: RawServer, connected: Maker, eventually: Eventually
) -> None:
    """The server neither acknowledges it nor stays."""
    raw_server.unacknowledged = b"v2/fw/request/"
    client = connected(client_of(raw_server), limits=False)
    raw_server.send(publish("v1/devices/me/attributes", ANNOUNCED))
    until(raw_server, b"", b"v2/fw/request/1/chunk/0")
    raw_server.send(publish("v2/fw/error", b"NOT_FOUND", qos=1))
    raw_server.connections[-1].shutdown(socket.SHUT_RDWR)
    eventually(lambda: client.current_firmware_info["fw_state"] == "FAILED")
    assert client.current_firmware_info["fw_error"] == "NOT_FOUND"
    finish(client)
    assert until(raw_server, b"\x17v2/fw/request/", b'"end"') == []
    assert len(raw_server.connections) == 2


def test_a_request_that_the_server_answers_by_hanging_up_ends(
    raw_server: RawServer, connected: Maker, eventually: Eventually
) -> None:
    raw_server.hangs_up = b"\x17v2/fw/request/"
    client = connected(client_of(raw_server), limits=False)
    raw_server.send(publish("v1/devices/me/attributes", ANNOUNCED))
    eventually(lambda: client.current_firmware_info["fw_state"] == "FAILED")
    assert "v2/fw/request/1/chunk/0" in client.current_firmware_info["fw_error"]
    finish(client)
    assert len(until(raw_server, b"\x17v2/fw/request/", b'"end"')) == 4
    assert len(raw_server.connections) <= 5


def test_firmware_info_is_told(device: TBDeviceMqttClient, server: ThingsBoard) -> None:
    device.update_firmware_info(title="t", version="v9", state=TBFirmwareState.FAILED, error="broken")
    device.update_firmware_info(state="UPDATED", error="not told")
    finish(device)
    first, second, _ = (entry["values"] for entry in server.telemetry_of("Device 1"))
    assert first == {
        "current_fw_title": "t",
        "current_fw_version": "v9",
        "fw_state": "FAILED",
        "fw_error": "broken",
    }
    assert second["fw_state"] == "UPDATED" and second["fw_error"] == ""


def test_the_checksums_vectors() -> None:
    """TB 1.5."""
    assert checksum(b"hello world", "CRC32") == "85114a0d"
    assert checksum(b"hello world", "MURMUR3_32") == "0f8f925e"
    assert checksum(b"hello world", "MURMUR3_128") == "0e617feb46603f53b163eb607d4697ab"


def test_checksums_with_leading_zeros_hold() -> None:
    """The original dropped them: 1 in 256 valid packages failed."""
    data = next(
        str(number).encode()
        for number in range(10_000)
        if zlib.crc32(str(number).encode()).to_bytes(4, "little")[0] == 0
    )
    full = checksum(data, "CRC32")
    assert full is not None and full.startswith("00")
    assert verify_checksum(data, "crc32", full) and verify_checksum(data, "CRC32", full.lstrip("0"))


@pytest.mark.parametrize(
    "given", [(None, "SHA256", "x"), (b"x", None, "x"), (b"x", "SHA256", None), (b"x", "FOO", "x")]
)
def test_what_cannot_be_verified_is_wrong(given: tuple[bytes | None, str | None, str | None]) -> None:
    assert not verify_checksum(*given)


def test_each_state_has_a_time_of_its_own(device: TBDeviceMqttClient, server: ThingsBoard, calls: Calls) -> None:
    """Those of one millisecond overwrite one another in the server's history."""
    device.set_on_firmware_received_callback(calls)
    for version in ("v2", "v3"):
        server.offer_firmware("Device 1", "pump-fw", version, b"data")
        calls.next()
        for state in (TBFirmwareState.UPDATING, TBFirmwareState.UPDATED):
            device.update_firmware_info(title="pump-fw", version=version, state=state)
    finish(device)
    assert states(server) == ["DOWNLOADING", "DOWNLOADED", "VERIFIED", "UPDATING", "UPDATED"] * 2
    times = [entry["ts"] for entry in server.telemetry_of("Device 1") if "fw_state" in entry["values"]]
    assert times == sorted(set(times))


def test_a_clock_that_was_never_set_gives_no_times(
    device: TBDeviceMqttClient, server: ThingsBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 5_000_000_000)
    device.update_firmware_info(state="UPDATING")
    finish(device)
    (told, _) = server.telemetry_of("Device 1")
    assert told["values"]["fw_state"] == "UPDATING" and told["ts"] > packages.CLOCK_IS_SET_MS


@pytest.mark.parametrize("how", ["call", "announcement"])
def test_a_package_that_has_failed_can_be_had_again(
    device: TBDeviceMqttClient, server: ThingsBoard, calls: Calls, eventually: Eventually, how: str
) -> None:
    device.set_on_firmware_received_callback(calls)
    server.offer_firmware("Device 1", "pump-fw", "v2", b"data", checksum="00")
    eventually(lambda: states(server)[-1:] == ["FAILED"])
    if how == "call":
        device.get_firmware_update()
    else:
        server.offer_firmware("Device 1", "pump-fw", "v2", b"data", checksum="00")
    eventually(lambda: states(server).count("DOWNLOADING") == 2 and states(server)[-1] == "FAILED")
    server.offer_firmware("Device 1", "pump-fw", "v2", b"data")
    assert calls.next() == (device, b"data", "v2")


def test_pieces_are_no_larger_than_the_server_allows(server: ThingsBoard, connected: Maker, calls: Calls) -> None:
    server.limit(payload_bytes=1000)
    client = connected(TBDeviceMqttClient(server.host, server.port, TOKEN, chunk_size=5000))
    client.set_on_firmware_received_callback(calls)
    follower = server.follow()
    server.offer_firmware("Device 1", "pump-fw", "v2", b"x" * 6000)
    assert calls.next() == (client, b"x" * 6000, "v2")
    assert [payload for _, payload, _ in itertools.islice(published(follower, "v2/fw/"), 6)] == [b"1000"] * 6


@pytest.mark.parametrize("chunk_size", [0, 100])
def test_software_is_fetched_as_firmware_is(
    server: ThingsBoard, connected: Maker, calls: Calls, chunk_size: int
) -> None:
    client = connected(TBDeviceMqttClient(server.host, server.port, TOKEN, chunk_size=chunk_size))
    client.set_on_software_received_callback(calls)
    server.offer_software("Device 1", "app", "1.0", b"s" * 250)
    assert calls.next() == (client, b"s" * 250, "1.0")
    assert client.software_data == b"s" * 250 and client.software_info["sw_title"] == "app"
    client.update_software_info(title="app", version="1.0", state=TBFirmwareState.UPDATED)
    finish(client)
    assert states(server, kind="sw") == ["DOWNLOADING", "DOWNLOADED", "VERIFIED", "UPDATED"]
    told = server.telemetry_of("Device 1")[-2]["values"]
    assert told == {
        "current_sw_title": "app",
        # The server reads a text of digits as a number.
        "current_sw_version": 1.0,
        "sw_state": "UPDATED",
        "sw_error": "",
    }


def test_software_that_is_there_already_is_fetched_by_a_call(
    device: TBDeviceMqttClient,
    server: ThingsBoard,
    folder: Path,
    eventually: Eventually,
) -> None:
    server.offer_software("Device 1", "app", "1.0", b"data")
    # Nobody has asked for software: programs of the original's time know of none.
    finish(device)
    assert states(server, kind="sw") == []
    device.get_software_update()
    eventually(lambda: states(server, kind="sw")[-1:] == ["UPDATED"])
    assert (folder / "app").read_bytes() == b"data"


def test_firmware_and_software_wait_for_each_other(server: ThingsBoard, connected: Maker, calls: Calls) -> None:
    client = connected(TBDeviceMqttClient(server.host, server.port, TOKEN, chunk_size=10))
    client.set_on_firmware_received_callback(lambda client, data, version: calls("fw", data, version))
    client.set_on_software_received_callback(lambda client, data, version: calls("sw", data, version))
    follower = server.follow()
    server.offer_firmware("Device 1", "pump-fw", "v2", b"f" * 500)
    server.offer_software("Device 1", "app", "1.0", b"s" * 500)
    assert calls.next() == ("fw", b"f" * 500, "v2")
    assert calls.next() == ("sw", b"s" * 500, "1.0")
    topics = [topic for topic, _, _ in itertools.islice(published(follower, "v2/"), 100)]
    # The server keeps the package under the number of the request: both kinds count on.
    assert topics[:50] == [f"v2/fw/request/1/chunk/{piece}" for piece in range(50)]
    assert topics[50:] == [f"v2/sw/request/2/chunk/{piece}" for piece in range(50)]


def test_what_cannot_be_stored_has_failed(
    device: TBDeviceMqttClient,
    server: ThingsBoard,
    folder: Path,
    eventually: Eventually,
) -> None:
    (folder / "pump-fw").mkdir()
    server.offer_firmware("Device 1", "pump-fw", "v2", b"data")
    eventually(lambda: states(server)[-1:] == ["FAILED"])
    assert "directory" in device.current_firmware_info["fw_error"]
    assert device.current_firmware_info["current_fw_version"] == "v0"


class Pieces:
    """A server that hands out the pieces of a package as the test says."""

    data = b"0123456789"

    def __init__(self, server: RawServer, client: TBDeviceMqttClient) -> None:
        self.server = server
        self.client = client

    def announce(self) -> None:
        attributes = {
            "fw_title": "pump-fw",
            "fw_version": "v2",
            "fw_size": len(self.data),
            "fw_checksum": checksum(self.data, "MD5"),
            "fw_checksum_algorithm": "MD5",
        }
        self.server.send(publish("v1/devices/me/attributes", json.dumps(attributes).encode()))

    def next(self, prefix: str = "v2/fw/request/") -> tuple[str, bytes]:
        """Wait for the client's next message on topics that begin so."""
        while True:
            packet = self.server.next()
            if packet[0] & 0xF0 == 0x30:
                topic, payload = read_publish(packet)
                if topic.startswith(prefix):
                    return topic, payload

    def send(self, request: int, piece: int, data: bytes | None = None) -> None:
        content = self.data[3 * piece : 3 * piece + 3] if data is None else data
        self.server.send(publish(f"v2/fw/response/{request}/chunk/{piece}", content))

    def refuse(self, reason: bytes) -> None:
        self.server.send(publish("v2/fw/error", reason))

    def hang_up(self) -> None:
        """Close the connection and wait for the next one."""
        self.server.connections[-1].shutdown(socket.SHUT_RDWR)
        while self.server.next()[0] != 0x10:
            pass
        # The login and the subscriptions of the new connection are over with the first message.
        self.next("v1/devices/me/rpc/request/")

    def states(self, last: str) -> list[str]:
        """What the client tells until the last of these."""
        told: list[str] = []
        while told[-1:] != [last]:
            for entry in json.loads(self.next("v1/devices/me/telemetry")[1]):
                told += [entry["values"]["fw_state"], entry["values"]["fw_error"]]
                told = [text for text in told if text]
        return told


def read_publish(packet: bytes) -> tuple[str, bytes]:
    at = 1
    while packet[at] & 0x80:
        at += 1
    length = int.from_bytes(packet[at + 1 : at + 3], "big")
    topic_end = at + 3 + length
    begin = topic_end + (2 if packet[0] & 0x06 else 0)
    return packet[at + 3 : topic_end].decode(), packet[begin:]


@pytest.fixture
def pieces(raw_server: RawServer, calls: Calls) -> Iterator[Pieces]:
    client = client_of(raw_server, chunk_size=3)
    client.set_on_firmware_received_callback(lambda _client, data, version: calls(data, version))
    client.connect(min_reconnect_delay=0.01, timeout=0.05)
    pieces = Pieces(raw_server, client)
    pieces.next("v1/devices/me/rpc/request/")
    yield pieces
    client.stop()
    client.disconnect(timeout=0.5)


def test_a_lost_connection_goes_on_at_the_missing_piece(pieces: Pieces, calls: Calls) -> None:
    pieces.announce()
    for piece in range(4):
        assert pieces.next() == (f"v2/fw/request/1/chunk/{piece}", b"3")
        if piece == 2:
            pieces.hang_up()
            assert pieces.next() == ("v2/fw/request/1/chunk/2", b"3")
        pieces.send(1, piece)
    assert calls.next() == (pieces.data, "v2")


def test_what_the_session_sends_again_is_not_asked_for_once_more(
    pieces: Pieces, calls: Calls, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    hear_connected = packages.Packages.hear_connected

    def late(self: packages.Packages, client: TBDeviceMqttClient) -> None:
        # As late as the thread of callbacks may be: what was sent again is acknowledged by then.
        eventually(lambda: self._running is None or not self._running.is_asked_for)
        hear_connected(self, client)

    monkeypatch.setattr(packages.Packages, "hear_connected", late)
    pieces.server.unacknowledged = b"chunk/0"
    pieces.announce()
    assert pieces.next() == ("v2/fw/request/1/chunk/0", b"3")
    pieces.server.unacknowledged = None
    pieces.hang_up()
    for piece in range(4):
        assert pieces.next() == (f"v2/fw/request/1/chunk/{piece}", b"3")
        pieces.send(1, piece)
    assert calls.next() == (pieces.data, "v2")


def test_pieces_that_are_not_awaited_are_passed_over(pieces: Pieces, calls: Calls) -> None:
    pieces.announce()
    for piece in range(4):
        pieces.next()
        for request, other in ((1, piece + 1), (2, piece), (1, 77)):
            pieces.send(request, other, b"no!")
        pieces.server.send(publish(f"v2/fw/response/1/chunk/x{piece}", b"no!"))
        for _ in range(3):
            pieces.send(1, piece)
    assert calls.next() == (pieces.data, "v2")


def test_a_piece_that_does_not_come_is_asked_for_again_and_given_up(
    pieces: Pieces, monkeypatch: pytest.MonkeyPatch, calls: Calls
) -> None:
    monkeypatch.setattr(packages, "PATIENCE", 0.3)
    pieces.announce()
    assert pieces.next() == ("v2/fw/request/1/chunk/0", b"3") == pieces.next()
    pieces.send(1, 0)
    assert pieces.states("Piece 1 was asked for 5 times: it did not come")[0] == "FAILED"
    # Too late.
    pieces.send(1, 1)
    monkeypatch.undo()
    pieces.announce()
    for piece in range(4):
        assert pieces.next() == (f"v2/fw/request/2/chunk/{piece}", b"3")
        pieces.send(2, piece)
    assert calls.next() == (pieces.data, "v2")


def test_the_servers_word_is_told(pieces: Pieces) -> None:
    failed = Calls()
    pieces.client.set_on_firmware_failed_callback(failed)
    pieces.announce()
    pieces.next()
    pieces.refuse(b"NOT_FOUND")
    assert pieces.states("NOT_FOUND") == ["FAILED", "NOT_FOUND"]
    assert failed.next() == (pieces.client, "NOT_FOUND", "v2")


def test_states_that_could_not_be_told_are_told_after_the_next_login(pieces: Pieces, calls: Calls) -> None:
    pieces.announce()
    for piece in range(3):
        pieces.next()
        pieces.send(1, piece)
    pieces.next()
    pieces.send(1, 3)
    pieces.server.connections[-1].shutdown(socket.SHUT_RDWR)
    assert pieces.states("VERIFIED")[-2:] == ["DOWNLOADED", "VERIFIED"]
    assert calls.next() == (pieces.data, "v2")


def test_a_connect_callback_does_not_fetch_without_an_end_what_the_server_refuses(
    raw_server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "TRIES", 2)
    client = client_of(raw_server)
    pieces = Pieces(raw_server, client)
    given_up = threading.Event()
    monkeypatch.setattr(packages.log, "error", lambda text, *_: given_up.set() if "no more" in text else None)
    client.connect(lambda *_: client.get_firmware_update(), min_reconnect_delay=0.01, timeout=0.05)
    attributes = {
        "fw_title": "pump-fw",
        "fw_version": "v2",
        "fw_size": 10,
        "fw_checksum": "00",
        "fw_checksum_algorithm": "MD5",
    }
    for _ in range(2):
        topic, _payload = pieces.next("v1/devices/me/attributes/request/")
        number = topic.rpartition("/")[2]
        body = json.dumps({"shared": attributes}).encode()
        raw_server.send(publish(f"v1/devices/me/attributes/response/{number}", body))
        pieces.next()
        pieces.refuse(b"NOT_FOUND")
        raw_server.connections[-1].shutdown(socket.SHUT_RDWR)
    topic, _payload = pieces.next("v1/devices/me/attributes/request/")
    number = topic.rpartition("/")[2]
    raw_server.send(publish(f"v1/devices/me/attributes/response/{number}", body))
    assert given_up.wait(PATIENCE)
    client.stop()
    client.disconnect(timeout=0.5)
