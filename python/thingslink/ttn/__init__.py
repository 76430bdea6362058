"""The Things Network SDK: what programs find under ``import ttn``."""

from collections.abc import Sequence

from thingslink._native import (
    ActivationEvent,
    Announcement,
    Application,
    ApplicationClient,
    Device,
    DeviceEvent,
    DeviceHandle,
    DiscoveryClient,
    DownlinkEvent,
    DownlinkHandle,
    DownlinkOutcome,
    DryDownlinkResult,
    DryUplinkResult,
    Empty,
    FieldValue,
    HandlerClient,
    LogEntry,
    LorawanDevice,
    Message,
    MQTTClient,
    PrefixMapping,
    RawMessage,
    RegistrationEvent,
    ServiceMetadata,
    UplinkMessage,
    _private_client_from,
)
from thingslink._paho import PahoClient
from thingslink.ttn import application, discovery, handler, ttnmqtt, utils

__all__ = [
    "ActivationEvent",
    "Announcement",
    "Application",
    "ApplicationClient",
    "Device",
    "DeviceEvent",
    "DeviceHandle",
    "DiscoveryClient",
    "DownlinkEvent",
    "DownlinkHandle",
    "DownlinkOutcome",
    "DryDownlinkResult",
    "DryUplinkResult",
    "Empty",
    "FieldValue",
    "HandlerClient",
    "LogEntry",
    "LorawanDevice",
    "MQTTClient",
    "Message",
    "PrefixMapping",
    "RawMessage",
    "RegistrationEvent",
    "ServiceMetadata",
    "UplinkMessage",
    "application",
    "discovery",
    "handler",
    "ttnmqtt",
    "utils",
]

# As the original's named tuples were: for those who ask, and for `case [dev_id, *_]`.
Sequence.register(UplinkMessage)
_private_client_from(PahoClient)
