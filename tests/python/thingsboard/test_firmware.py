"""Firmware downloads (TB 1.5, 3.8)."""

from __future__ import annotations

import itertools
import logging
import socket
import zlib
from pathlib import Path

import pytest
from harness import PATIENCE, RawServer, publish
from thingslink.sandbox import ThingsBoard
from thingslink.tb_device_mqtt import TBDeviceMqttClient, TBFirmwareState
from thingslink.tb_gateway_mqtt import TBGatewayMqttClient
from thingslink.thingsboard.checksum import checksum, verify_checksum

from .conftest import GATEWAY_TOKEN, TOKEN, Calls, Eventually, Maker, published

ALGORITHMS = ("SHA256", "SHA384", "SHA512", "MD5", "CRC32", "MURMUR3_32", "MURMUR3_128")


def states(server: ThingsBoard, device: str = "Device 1") -> list[str]:
    return [entry["values"]["fw_state"] for entry in server.telemetry_of(device) if "fw_state" in entry["values"]]


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
    client.send_telemetry({"end": 1}).get()
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
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    eventually: Eventually,
) -> None:
    monkeypatch.chdir(tmp_path)
    server.offer_firmware("Device 1", "../../evil", "v2", b"data")
    eventually(lambda: states(server)[-1:] == ["UPDATED"])
    # The title chooses no folder.
    assert (tmp_path / "evil").read_bytes() == b"data"
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
        device.send_telemetry({"end": 1}).get()
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
    device.send_telemetry({"end": 1}).get()
    sent = itertools.takewhile(lambda entry: b"end" not in entry[1], published(follower, "v"))
    assert len([topic for topic, _, _ in sent if "attributes/request" in topic]) == 1


ANNOUNCED = (
    b'{"fw_title":"pump-fw","fw_version":"v2","fw_size":250,"fw_checksum":"00","fw_checksum_algorithm":"SHA256"}'
)


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
    host, port = raw_server.address.split(":")
    client = connected(TBDeviceMqttClient(host, int(port), "t", protocol="3.1.1"), limits=False)
    raw_server.send(publish("v1/devices/me/attributes", ANNOUNCED))
    until(raw_server, b"", b"v2/fw/request/1/chunk/0")
    raw_server.send(publish("v2/fw/error", b"NOT_FOUND", qos=1))
    raw_server.connections[-1].shutdown(socket.SHUT_RDWR)
    eventually(lambda: client.current_firmware_info["fw_state"] == "FAILED")
    assert client.current_firmware_info["fw_error"] == "NOT_FOUND"
    assert client.send_telemetry({"end": 1}).get(timeout=PATIENCE) == 0
    assert until(raw_server, b"\x17v2/fw/request/", b'"end"') == []
    assert len(raw_server.connections) == 2


def test_a_request_that_the_server_answers_by_hanging_up_ends(
    raw_server: RawServer, connected: Maker, eventually: Eventually
) -> None:
    raw_server.hangs_up = b"\x17v2/fw/request/"
    host, port = raw_server.address.split(":")
    client = connected(TBDeviceMqttClient(host, int(port), "t", protocol="3.1.1"), limits=False)
    raw_server.send(publish("v1/devices/me/attributes", ANNOUNCED))
    eventually(lambda: client.current_firmware_info["fw_state"] == "FAILED")
    assert "v2/fw/request/1/chunk/0" in client.current_firmware_info["fw_error"]
    assert client.send_telemetry({"end": 1}).get(timeout=PATIENCE) == 0
    assert len(until(raw_server, b"\x17v2/fw/request/", b'"end"')) == 4
    assert len(raw_server.connections) <= 5


def test_firmware_info_is_told(device: TBDeviceMqttClient, server: ThingsBoard) -> None:
    device.update_firmware_info(title="t", version="v9", state=TBFirmwareState.FAILED, error="broken")
    device.update_firmware_info(state="UPDATED", error="not told")
    device.send_telemetry({"end": 1}).get()
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
