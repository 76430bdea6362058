"""The gateway side of ThingsBoard over MQTT: `tb_gateway_mqtt` of the `tb-mqtt-client` package, in Rust."""

from thingslink._native import RateLimit, TBPublishInfo
from thingslink.thingsboard.constants import TBSendMethod, log
from thingslink.thingsboard.device import TBDeviceMqttClient
from thingslink.thingsboard.gateway import TBGatewayMqttClient

GATEWAY_MAIN_TOPIC = "v1/gateway/"
GATEWAY_ATTRIBUTES_TOPIC = GATEWAY_MAIN_TOPIC + "attributes"
GATEWAY_TELEMETRY_TOPIC = GATEWAY_MAIN_TOPIC + "telemetry"
GATEWAY_DISCONNECT_TOPIC = GATEWAY_MAIN_TOPIC + "disconnect"
GATEWAY_ATTRIBUTES_REQUEST_TOPIC = GATEWAY_MAIN_TOPIC + "attributes/request"
GATEWAY_ATTRIBUTES_RESPONSE_TOPIC = GATEWAY_MAIN_TOPIC + "attributes/response"
GATEWAY_RPC_TOPIC = GATEWAY_MAIN_TOPIC + "rpc"
GATEWAY_RPC_RESPONSE_TOPIC = GATEWAY_MAIN_TOPIC + "rpc/response"
GATEWAY_CLAIMING_TOPIC = GATEWAY_MAIN_TOPIC + "claim"


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
