"""Programs that cannot be edited: the originals' module names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import thingslink
from harness import PATIENCE
from thingslink import tb_device_mqtt, tb_gateway_mqtt
from thingslink.sandbox import ThingsBoard

from .conftest import TOKEN

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
