"""The device side of ThingsBoard over MQTT: `tb_device_mqtt` of the `tb-mqtt-client` package, in Rust."""

import sys
from types import ModuleType
from typing import Any

from thingslink._native import (
    GreedyTokenBucket,
    RateLimit,
    TBPublishInfo,
    TBQoSException,
    TBTimeoutException,
    _set_rate_limit_percentage,
)
from thingslink.thingsboard.constants import (
    ATTRIBUTES_TOPIC,
    ATTRIBUTES_TOPIC_REQUEST,
    ATTRIBUTES_TOPIC_RESPONSE,
    CLAIMING_TOPIC,
    DEFAULT_RATE_LIMIT_PERCENTAGE,
    DEFAULT_TIMEOUT,
    FW_CHECKSUM_ALG_ATTR,
    FW_CHECKSUM_ATTR,
    FW_ERROR_ATTR,
    FW_SIZE_ATTR,
    FW_STATE_ATTR,
    FW_TITLE_ATTR,
    FW_VERSION_ATTR,
    PROVISION_TOPIC_REQUEST,
    PROVISION_TOPIC_RESPONSE,
    REQUIRED_SHARED_KEYS,
    RESULT_CODES,
    RPC_REQUEST_TOPIC,
    RPC_RESPONSE_TOPIC,
    TELEMETRY_TOPIC,
    TBFirmwareState,
    TBSendMethod,
    log,
)
from thingslink.thingsboard.constructor import number
from thingslink.thingsboard.device import TBDeviceMqttClient
from thingslink.thingsboard.provisioning import ProvisionClient

__all__ = [
    "ATTRIBUTES_TOPIC",
    "ATTRIBUTES_TOPIC_REQUEST",
    "ATTRIBUTES_TOPIC_RESPONSE",
    "CLAIMING_TOPIC",
    "DEFAULT_RATE_LIMIT_PERCENTAGE",
    "DEFAULT_TIMEOUT",
    "FW_CHECKSUM_ALG_ATTR",
    "FW_CHECKSUM_ATTR",
    "FW_ERROR_ATTR",
    "FW_SIZE_ATTR",
    "FW_STATE_ATTR",
    "FW_TITLE_ATTR",
    "FW_VERSION_ATTR",
    "PROVISION_TOPIC_REQUEST",
    "PROVISION_TOPIC_RESPONSE",
    "REQUIRED_SHARED_KEYS",
    "RESULT_CODES",
    "RPC_REQUEST_TOPIC",
    "RPC_RESPONSE_TOPIC",
    "TELEMETRY_TOPIC",
    "GreedyTokenBucket",
    "ProvisionClient",
    "RateLimit",
    "TBDeviceMqttClient",
    "TBFirmwareState",
    "TBPublishInfo",
    "TBQoSException",
    "TBSendMethod",
    "TBTimeoutException",
    "log",
]


class _Module(ModuleType):
    """A module whose percentage holds for what is made after a program has changed it."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "DEFAULT_RATE_LIMIT_PERCENTAGE":
            _set_rate_limit_percentage(number(name, value))
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Module
