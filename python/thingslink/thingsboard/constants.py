"""Names of the device and gateway API, as the original spells them."""

import enum
import logging
import os

from thingslink._native import _set_rate_limit_percentage

log = logging.getLogger("tb_connection")

RPC_REQUEST_TOPIC = "v1/devices/me/rpc/request/"
RPC_RESPONSE_TOPIC = "v1/devices/me/rpc/response/"
ATTRIBUTES_TOPIC = "v1/devices/me/attributes"
ATTRIBUTES_TOPIC_REQUEST = "v1/devices/me/attributes/request/"
ATTRIBUTES_TOPIC_RESPONSE = "v1/devices/me/attributes/response/"
TELEMETRY_TOPIC = "v1/devices/me/telemetry"
CLAIMING_TOPIC = "v1/devices/me/claim"
PROVISION_TOPIC_REQUEST = "/provision/request"
PROVISION_TOPIC_RESPONSE = "/provision/response"

GATEWAY_MAIN_TOPIC = "v1/gateway/"
GATEWAY_ATTRIBUTES_TOPIC = GATEWAY_MAIN_TOPIC + "attributes"
GATEWAY_TELEMETRY_TOPIC = GATEWAY_MAIN_TOPIC + "telemetry"
GATEWAY_DISCONNECT_TOPIC = GATEWAY_MAIN_TOPIC + "disconnect"
GATEWAY_ATTRIBUTES_REQUEST_TOPIC = GATEWAY_MAIN_TOPIC + "attributes/request"
GATEWAY_ATTRIBUTES_RESPONSE_TOPIC = GATEWAY_MAIN_TOPIC + "attributes/response"
GATEWAY_RPC_TOPIC = GATEWAY_MAIN_TOPIC + "rpc"
GATEWAY_RPC_RESPONSE_TOPIC = GATEWAY_MAIN_TOPIC + "rpc/response"
GATEWAY_CLAIMING_TOPIC = GATEWAY_MAIN_TOPIC + "claim"

FW_TITLE_ATTR = "fw_title"
FW_VERSION_ATTR = "fw_version"
FW_CHECKSUM_ATTR = "fw_checksum"
FW_CHECKSUM_ALG_ATTR = "fw_checksum_algorithm"
FW_SIZE_ATTR = "fw_size"
FW_STATE_ATTR = "fw_state"
FW_ERROR_ATTR = "fw_error"
REQUIRED_SHARED_KEYS = f"{FW_CHECKSUM_ATTR},{FW_CHECKSUM_ALG_ATTR},{FW_SIZE_ATTR},{FW_TITLE_ATTR},{FW_VERSION_ATTR}"

#: Seconds that ``TBPublishInfo.get`` waits unless it is told otherwise.
DEFAULT_TIMEOUT = 5

#: Answers to a login by MQTT 3.1.1.
RESULT_CODES = {
    1: "incorrect protocol version",
    2: "invalid client identifier",
    3: "server unavailable",
    4: "bad username or password",
    5: "not authorised",
}


def _percentage() -> int:
    given = os.environ.get("TB_DEFAULT_RATE_LIMIT_PERCENTAGE", "80")
    if not given.strip().isdecimal():
        log.warning("TB_DEFAULT_RATE_LIMIT_PERCENTAGE %r is not valid: expected 0 or more; 80 is used", given)
        return 80
    return int(given)


#: The part of the server's rate limits that is used, in percent.
DEFAULT_RATE_LIMIT_PERCENTAGE = _percentage()
# Handed in: the native layer reads neither the environment nor this module.
_set_rate_limit_percentage(DEFAULT_RATE_LIMIT_PERCENTAGE)


class TBSendMethod(enum.Enum):
    """What is asked of the MQTT client."""

    SUBSCRIBE = 0
    PUBLISH = 1
    UNSUBSCRIBE = 2


class TBFirmwareState(enum.Enum):
    """What is told of a firmware update."""

    IDLE = "IDLE"
    DOWNLOADING = "DOWNLOADING"
    DOWNLOADED = "DOWNLOADED"
    VERIFIED = "VERIFIED"
    UPDATING = "UPDATING"
    UPDATED = "UPDATED"
    FAILED = "FAILED"
