"""Programs that cannot be edited: the originals' module names."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import thingslink
from harness import PATIENCE
from thingslink import tb_device_mqtt, tb_gateway_mqtt
from thingslink.sandbox import ThingsBoard

from .conftest import GATEWAY_TOKEN, TOKEN, Calls

PROGRAM = """
import sys
from tb_device_mqtt import TBDeviceMqttClient, TBPublishInfo, TBTimeoutException
from tb_gateway_mqtt import TBGatewayMqttClient, GATEWAY_MAIN_TOPIC
client = TBDeviceMqttClient(sys.argv[1], sys.argv[2], int(sys.argv[3]))
client.connect()
print(client.send_telemetry({"a": 1}).get() == TBPublishInfo.TB_ERR_SUCCESS, GATEWAY_MAIN_TOPIC)
client.disconnect()
"""


def test_install_as_puts_ours_under_the_old_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, ours in (("tb_device_mqtt", tb_device_mqtt), ("tb_gateway_mqtt", tb_gateway_mqtt)):
        monkeypatch.delitem(sys.modules, name, raising=False)
        thingslink.install_as(name)
        assert sys.modules.pop(name) is ours


def test_an_unmodified_program_runs(server: ThingsBoard, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    outcome = subprocess.run(
        [sys.executable, "-m", "thingslink", "run", "program.py", server.host, TOKEN, str(server.port)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert outcome.stdout == "True v1/gateway/\n" and outcome.stderr == ""
    assert server.telemetry_of("Device 1")


def test_what_programs_import_is_there() -> None:
    """TB 3.1 and 4."""
    names = "RPC_RESPONSE_TOPIC RPC_REQUEST_TOPIC ATTRIBUTES_TOPIC ATTRIBUTES_TOPIC_REQUEST ATTRIBUTES_TOPIC_RESPONSE"
    names += " TELEMETRY_TOPIC CLAIMING_TOPIC PROVISION_TOPIC_REQUEST PROVISION_TOPIC_RESPONSE FW_TITLE_ATTR"
    names += " FW_VERSION_ATTR FW_CHECKSUM_ATTR FW_CHECKSUM_ALG_ATTR FW_SIZE_ATTR FW_STATE_ATTR FW_ERROR_ATTR"
    names += " REQUIRED_SHARED_KEYS DEFAULT_TIMEOUT DEFAULT_RATE_LIMIT_PERCENTAGE RESULT_CODES log TBSendMethod"
    names += " TBFirmwareState TBTimeoutException TBQoSException TBPublishInfo RateLimit GreedyTokenBucket"
    names += " TBDeviceMqttClient ProvisionClient"
    assert all(hasattr(tb_device_mqtt, name) for name in names.split())
    names = "GATEWAY_MAIN_TOPIC GATEWAY_ATTRIBUTES_TOPIC GATEWAY_TELEMETRY_TOPIC GATEWAY_DISCONNECT_TOPIC"
    names += " GATEWAY_ATTRIBUTES_REQUEST_TOPIC GATEWAY_ATTRIBUTES_RESPONSE_TOPIC GATEWAY_RPC_TOPIC"
    names += " GATEWAY_RPC_RESPONSE_TOPIC GATEWAY_CLAIMING_TOPIC TBGatewayAPI TBDeviceMqttClient TBSendMethod RateLimit"
    assert all(hasattr(tb_gateway_mqtt, name) for name in names.split())
    assert tb_device_mqtt.REQUIRED_SHARED_KEYS == "fw_checksum,fw_checksum_algorithm,fw_size,fw_title,fw_version"
    assert tb_device_mqtt.log.name == "tb_connection" and tb_device_mqtt.DEFAULT_TIMEOUT == 5
    assert issubclass(tb_device_mqtt.TBQoSException, Exception)


def test_importing_costs_no_packages_and_no_other_names() -> None:
    program = "import sys; before = set(sys.modules); import thingslink.tb_gateway_mqtt as m\n"
    program += "print({'utils', 'sdk_utils', 'requests', 'paho', 'orjson'} & set(sys.modules))"
    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert outcome.stdout == "set()\n"


def test_the_first_generation_names_the_port_when_it_connects(tmp_path: Path) -> None:
    with ThingsBoard(tls_port=0) as server:
        server.add_device("Device 1", TOKEN)
        path = tmp_path / "ca.pem"
        path.write_text(server.ca_certs)
        assert server.tls_port is not None
        for arguments, keywords in (
            ((), {"port": server.port}),
            ((None, 1, 120, False, server.port), {}),
            ((None, 1, 120, True, server.tls_port, str(path), None, None), {}),
            ((), {"tls": True, "port": str(server.tls_port), "ca_certs": path}),
        ):
            client = tb_device_mqtt.TBDeviceMqttClient("localhost", TOKEN)
            client.connect(*arguments, **keywords)
            info = client.send_telemetry({"a": 1}, 1)
            assert info.get() == 0 and info.messageInfo[0].rc == 0
            client.disconnect()
        with pytest.raises(ValueError, match="port 70000"):
            client.connect(port=70000)


def test_a_connection_seems_to_have_a_thread(server: ThingsBoard) -> None:
    client = tb_device_mqtt.TBDeviceMqttClient(server.host, server.port, TOKEN)
    assert client._client._thread is None
    client.connect()
    thread = client._client._thread
    assert thread is not None and thread.is_alive() and thread.daemon
    thread.join(-1)
    thread.join(0.001)
    assert thread.is_alive()
    with ThreadPoolExecutor() as pool:
        ends = [pool.submit(thread.join, timeout) for timeout in (None, PATIENCE)]
        client.disconnect()
        assert [end.result(PATIENCE) for end in ends] == [None] * 2
    assert not thread.is_alive() and client._client._thread is None
    thread.join()


def test_the_thread_of_a_connection_cannot_be_waited_for_by_its_callbacks(server: ThingsBoard, calls: Calls) -> None:
    client = tb_device_mqtt.TBDeviceMqttClient(server.host, server.port, TOKEN)

    threads: list[Any] = []

    def callback(*_arguments: Any) -> None:
        threads.append(client._client._thread)
        with pytest.raises(RuntimeError, match="cannot join current thread"):
            threads[0].join()
        calls()

    client.connect(callback)
    assert calls.next() == ()
    client.disconnect()


def test_limits_may_be_replaced_by_others(server: ThingsBoard) -> None:
    client = tb_gateway_mqtt.TBGatewayMqttClient(server.host, server.port, TOKEN)
    for name in (
        "_messages_rate_limit",
        "_telemetry_rate_limit",
        "_telemetry_dp_rate_limit",
        "_devices_connected_through_gateway_messages_rate_limit",
        "_devices_connected_through_gateway_telemetry_messages_rate_limit",
        "_devices_connected_through_gateway_telemetry_datapoints_rate_limit",
    ):
        assert not getattr(client, name).has_limit()
        setattr(client, name, tb_device_mqtt.RateLimit("10:60", "mine", 100))
        assert getattr(client, name).get_minimal_limit() == 10
        with pytest.raises(TypeError):
            setattr(client, name, "10:60")


def test_subscriptions_are_in_progress_until_they_are_answered(server: ThingsBoard) -> None:
    client = tb_gateway_mqtt.TBGatewayMqttClient(server.host, server.port, TOKEN)
    assert client._gw_subscriptions == {} and not client.get_subscriptions_in_progress()


def test_tls_settings_are_handed_from_client_to_client() -> None:
    first, second = (tb_device_mqtt.TBDeviceMqttClient("h", 8883, TOKEN)._client for _ in range(2))
    assert first._ssl is False and first._ssl_context is None
    first.tls_set(cert_reqs=0)
    second._ssl_context = first._ssl_context
    assert second._ssl is True and second._ssl_context == first._ssl_context
    second._ssl_context = None
    assert second._ssl is True
    second._ssl = False
    assert second._ssl_context is None
    with pytest.raises(TypeError, match="tls_set"):
        second._ssl_context = object()  # type: ignore[assignment]


def test_callbacks_of_the_client_behind_have_public_names_too(server: ThingsBoard, calls: Calls) -> None:
    client = tb_device_mqtt.TBDeviceMqttClient(server.host, server.port, TOKEN)
    gone = Calls()
    client._client.on_connect, client._client.on_disconnect = calls, gone
    client.connect()
    assert calls.next()[3] == 0
    client.disconnect()
    assert gone.next()[3] == 0


def test_subclasses_may_hear_of_the_end_of_a_connection(server: ThingsBoard, calls: Calls) -> None:
    class Watched(tb_device_mqtt.TBDeviceMqttClient):
        def _on_disconnect(self, *arguments: object) -> None:
            super()._on_disconnect(*arguments)
            calls(*arguments)

    client = Watched(server.host, server.port, TOKEN)
    client.connect(lambda *_: client.disconnect())
    assert calls.next()[3] == 0


def test_results_of_every_generation(server: ThingsBoard) -> None:
    client = tb_gateway_mqtt.TBGatewayMqttClient(server.host, server.port, GATEWAY_TOKEN)
    client.connect()
    info = client.gw_claim("Pump 1", "s3", 5)
    info.wait_for_publish()
    # Once it was a number, now it is called.
    assert info.rc == 0 and info.rc() == 0 and not info.rc and info.rc != 4 and info.rc < 1 and f"{info.rc}" == "0"
    assert {0: "sent"}[info.rc] == "sent" and info.rc == client.gw_claim(claiming_request={"P": {}}).rc  # type: ignore[index]
    with pytest.raises(TypeError, match="claiming_request"):
        client.gw_claim("Pump 1")
    client.disconnect()
    client.stop()
    assert client.send_telemetry({"a": 1}).rc == tb_device_mqtt.TBPublishInfo.TB_ERR_NO_CONN
