"""The device side of ThingsBoard over HTTP: `tb_device_http` of the `tb-mqtt-client` package."""

from thingslink.thingsboard.constants import (
    FW_CHECKSUM_ALG_ATTR,
    FW_CHECKSUM_ATTR,
    FW_SIZE_ATTR,
    FW_STATE_ATTR,
    FW_TITLE_ATTR,
    FW_VERSION_ATTR,
)
from thingslink.thingsboard.constants import REQUIRED_SHARED_KEYS as _JOINED
from thingslink.thingsboard.http_answer import TBHTTPAPIException, TBProvisionFailure
from thingslink.thingsboard.http_device import TBHTTPClient, TBHTTPDevice

REQUIRED_SHARED_KEYS = _JOINED.split(",")

__all__ = [
    "FW_CHECKSUM_ALG_ATTR",
    "FW_CHECKSUM_ATTR",
    "FW_SIZE_ATTR",
    "FW_STATE_ATTR",
    "FW_TITLE_ATTR",
    "FW_VERSION_ATTR",
    "REQUIRED_SHARED_KEYS",
    "TBHTTPAPIException",
    "TBHTTPClient",
    "TBHTTPDevice",
    "TBProvisionFailure",
]
