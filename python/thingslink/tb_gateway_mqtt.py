"""The gateway side of ThingsBoard over MQTT: `tb_gateway_mqtt` of the `tb-mqtt-client` package, in Rust."""

from thingslink._native import RateLimit, TBPublishInfo
from thingslink.thingsboard.constants import (
    GATEWAY_ATTRIBUTES_REQUEST_TOPIC,
    GATEWAY_ATTRIBUTES_RESPONSE_TOPIC,
    GATEWAY_ATTRIBUTES_TOPIC,
    GATEWAY_CLAIMING_TOPIC,
    GATEWAY_DISCONNECT_TOPIC,
    GATEWAY_MAIN_TOPIC,
    GATEWAY_RPC_RESPONSE_TOPIC,
    GATEWAY_RPC_TOPIC,
    GATEWAY_TELEMETRY_TOPIC,
    TBSendMethod,
    log,
)
from thingslink.thingsboard.device import TBDeviceMqttClient
from thingslink.thingsboard.gateway import TBGatewayMqttClient


class TBGatewayAPI:
    """Empty, as in the original."""


__all__ = [
    "GATEWAY_ATTRIBUTES_REQUEST_TOPIC",
    "GATEWAY_ATTRIBUTES_RESPONSE_TOPIC",
    "GATEWAY_ATTRIBUTES_TOPIC",
    "GATEWAY_CLAIMING_TOPIC",
    "GATEWAY_DISCONNECT_TOPIC",
    "GATEWAY_MAIN_TOPIC",
    "GATEWAY_RPC_RESPONSE_TOPIC",
    "GATEWAY_RPC_TOPIC",
    "GATEWAY_TELEMETRY_TOPIC",
    "RateLimit",
    "TBDeviceMqttClient",
    "TBGatewayAPI",
    "TBGatewayMqttClient",
    "TBPublishInfo",
    "TBSendMethod",
    "log",
]
