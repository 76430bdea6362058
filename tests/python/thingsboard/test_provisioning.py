"""Provisioning (TB 1.6, 3.9)."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import certificates
import pytest
from harness import RawServer
from thingslink import ConnectionLostError, ThingsTimeoutError, TlsError
from thingslink.sandbox import ThingsBoard
from thingslink.tb_device_mqtt import ProvisionClient, TBDeviceMqttClient
from thingslink.thingsboard import provisioning as provisioning_module

from .conftest import Maker, published


@pytest.fixture
def provisioning(server: ThingsBoard) -> ThingsBoard:
    server.allow_provisioning("K", "S")
    return server


@pytest.mark.parametrize(
    ("options", "request_part", "answer_part"),
    [
        ({}, {}, {"credentialsType": "ACCESS_TOKEN"}),
        (
            {"access_token": "T"},
            {"token": "T", "credentialsType": "ACCESS_TOKEN"},
            {"credentialsType": "ACCESS_TOKEN", "credentialsValue": "T"},
        ),
        # The original sent nulls for what was missing, which the server fails on.
        (
            {"username": "u", "password": "p"},
            {"username": "u", "password": "p", "credentialsType": "MQTT_BASIC"},
            {
                "credentialsType": "MQTT_BASIC",
                "credentialsValue": {"clientId": "", "userName": "u", "password": "p"},
            },
        ),
        (
            {"hash": "cert"},
            {"hash": "cert", "credentialsType": "X509_CERTIFICATE"},
            {"credentialsType": "X509_CERTIFICATE", "credentialsValue": "cert"},
        ),
        ({"gateway": True}, {"gateway": True}, {}),
    ],
)
def test_every_kind_of_credentials(
    provisioning: ThingsBoard, options: dict[str, Any], request_part: dict[str, Any], answer_part: dict[str, Any]
) -> None:
    follower = provisioning.follow()
    answer = TBDeviceMqttClient.provision(provisioning.host, "K", "S", provisioning.port, device_name="D-7", **options)
    assert answer is not None and answer["status"] == "SUCCESS" and answer_part.items() <= answer.items()
    sent = json.loads(next(published(follower, "/provision/request"))[1])
    expected = {"provisionDeviceKey": "K", "provisionDeviceSecret": "S", "deviceName": "D-7"}
    assert sent == {**expected, **request_part}
    assert provisioning.device("D-7")["gateway"] is bool(options.get("gateway"))  # type: ignore[index]


def test_the_new_device_can_log_in(provisioning: ThingsBoard, connected: Maker) -> None:
    answer = TBDeviceMqttClient.provision(provisioning.host, "K", "S", provisioning.port)
    assert answer is not None
    client = connected(TBDeviceMqttClient(provisioning.host, provisioning.port, answer["credentialsValue"]))
    assert client.send_telemetry({"a": 1}).get() == 0


def test_a_refusal_is_none_and_logged(provisioning: ThingsBoard, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="tb_connection"):
        assert TBDeviceMqttClient.provision(provisioning.host, "K", "geheim", provisioning.port) is None
    assert "Provision data was not found!" in caplog.text and "geheim" not in caplog.text
    client = ProvisionClient(provisioning.host, provisioning.port, {"provisionDeviceKey": "K"})
    assert client.get_credentials() is None
    # Over what is incomplete the server ends the connection.
    with pytest.raises(ConnectionLostError, match=r"closed by the server instead of .* provisionDeviceSecret must be"):
        client.provision(timeout=5)
    assert client.get_credentials() is None


def test_a_server_that_is_not_there_is_told(closed_port: int) -> None:
    with pytest.raises(ConnectionRefusedError):
        TBDeviceMqttClient.provision("127.0.0.1", "K", "S", closed_port)


@pytest.fixture
def secure() -> Iterator[ThingsBoard]:
    with ThingsBoard(tls_port=0) as server:
        server.allow_provisioning("K", "S")
        yield server


def test_only_a_trusted_server_is_told_the_secret(secure: ThingsBoard, tmp_path: Path) -> None:
    assert secure.tls_port is not None
    path = tmp_path / "ca.pem"
    path.write_text(secure.ca_certs)
    trusting: list[dict[str, Any]] = [{"ca_certs": secure.ca_certs}, {"ca_certs": path}, {"insecure": True}]
    for options in trusting:
        answer = TBDeviceMqttClient.provision("localhost", "K", "S", secure.tls_port, **options)
        assert answer is not None and answer["status"] == "SUCCESS"
    follower = secure.follow()
    stranger = certificates.make().pem
    wary: list[dict[str, Any]] = [{"tls": True}, {"ca_certs": stranger}]
    for options in wary:
        with pytest.raises(TlsError, match="certificate"):
            TBDeviceMqttClient.provision("localhost", "K", "S", secure.tls_port, **options)
    # The next that the server hears of is somebody else.
    TBDeviceMqttClient.provision("localhost", "other", "S", secure.tls_port, insecure=True)
    assert b"other" in next(published(follower, "/provision/request"))[1]


def test_the_usual_port_of_tls_is_checked_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[Any, ...]] = []
    monkeypatch.setattr(provisioning_module, "TlsSettings", lambda *given: made.append(given))
    ProvisionClient("h", 8883, {})
    ProvisionClient("h", 1883, {})
    ProvisionClient("h", 8883, {}, tls=False)
    ProvisionClient("h", 1883, {}, tls=True)
    assert made == [(None, None, None, None, False)] * 2
    with pytest.raises(ValueError, match="tls=False"):
        ProvisionClient("h", 8883, {}, tls=False, insecure=True)


def test_certificates_that_cannot_be_had_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        TBDeviceMqttClient.provision("localhost", "K", "S", 8883, ca_certs=tmp_path / "missing.pem")
    with pytest.raises(TlsError, match="ca_certs"):
        TBDeviceMqttClient.provision("localhost", "K", "S", 8883, ca_certs=b"nothing")


def test_a_server_that_does_not_answer_is_given_up(raw_server: RawServer) -> None:
    host, port = raw_server.address.split(":")
    with pytest.raises(ThingsTimeoutError, match="provisioning"):
        TBDeviceMqttClient.provision(host, "K", "S", int(port), timeout=0.2)
