"""What arguments, callbacks and messages look like, for annotations; nothing of the library needs it at run time.

```python
if TYPE_CHECKING:
    from thingslink.typing import DeviceFields, Gateway
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypedDict, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from thingslink._native import LorawanDevice
    from thingslink._native.lorawan import Fields, Gateway, Metadata
else:
    # One class for all of them: which names an object has, only its place in a message tells.
    from thingslink._native import UplinkMessage as Fields
    from thingslink._native import UplinkMessage as Gateway
    from thingslink._native import UplinkMessage as Metadata

__all__ = [
    "CallableWith",
    "CallbackFailure",
    "ClassBC",
    "DeviceFields",
    "DownlinkState",
    "EventName",
    "Fields",
    "Gateway",
    "GatewayAntenna",
    "Level",
    "MacSettings",
    "Metadata",
    "Network",
    "Overflow",
    "PayloadFormat",
    "Priority",
    "RowOf",
    "Schedule",
]

Network: TypeAlias = Literal["v2", "v3", "chirpstack"]
"""A LoRaWAN network: The Things Network V2, The Things Stack V3, or ChirpStack v4."""

Level: TypeAlias = Literal[0, 1]
"""How dependably MQTT delivers (QoS)."""

Schedule: TypeAlias = Literal["replace", "first", "last"]
"""Place in a device's queue of downlinks."""

Priority: TypeAlias = Literal["LOWEST", "LOW", "BELOW_NORMAL", "NORMAL", "ABOVE_NORMAL", "HIGH", "HIGHEST"]
"""Of a downlink, among what a gateway of The Things Stack V3 has to send."""

Overflow: TypeAlias = Literal["stop_reading", "drop_oldest"]
"""What a full queue does."""

CallbackFailure: TypeAlias = Literal["acknowledge", "keep"]
"""What becomes of a message whose callback raised an exception."""

RowOf: TypeAlias = Literal["uplink", "gateway"]
"""What a row of a table is: an uplink, or an uplink as one gateway heard it."""

PayloadFormat: TypeAlias = Literal["custom", "cayennelpp", ""]
"""How an application's payloads are decoded."""

DownlinkState: TypeAlias = Literal["written", "queued", "sent", "acked", "nacked", "failed", "unconfirmed"]
"""A state of a downlink that can be waited for."""

EventName: TypeAlias = Literal[
    "activations",
    "activations/errors",
    "create",
    "update",
    "delete",
    "down/scheduled",
    "down/sent",
    "down/acks",
    "down/errors",
    "up/errors",
    "down/nack",
    "down/invalidated",
    "location/solved",
    "service/data",
    "up/normalized",
    "join",
    "down/queued",
    "down/ack",
    "down/failed",
    "txack",
    "ack",
    "log",
    "status",
    "location",
    "integration",
]
"""An event of a device, in the words of any network."""

T_contra = TypeVar("T_contra", contravariant=True)
C_contra = TypeVar("C_contra", contravariant=True)


class _Both(Protocol[T_contra, C_contra]):
    def __call__(self, first: T_contra, client: C_contra, /) -> object:
        """Take both by position."""


class _Named(Protocol[T_contra, C_contra]):
    def __call__(self, first: T_contra, /, *, client: C_contra) -> object:
        """Take the client by keyword."""


class _Alone(Protocol[T_contra]):
    def __call__(self, first: T_contra, /) -> object:
        """Take no client."""


CallableWith: TypeAlias = _Both[T_contra, C_contra] | _Named[T_contra, C_contra] | _Alone[T_contra]
"""A callback that is given this and the client, or this alone. It may be a coroutine function."""


class GatewayAntenna(TypedDict, total=False):
    """A gateway that is to send a downlink."""

    gateway_id: str
    """Its ID."""
    gateway_ids: Mapping[str, str]
    """Instead: a dict that has ``gateway_id``."""
    antenna_index: int
    """Number of the antenna."""
    group_index: int
    """Number of the group of antennas."""


class ClassBC(TypedDict, total=False):
    """How a downlink reaches a device of class B or C."""

    gateways: Sequence[str | GatewayAntenna]
    """Those that are to send it: IDs, or `GatewayAntenna`."""
    absolute_time: str | datetime
    """When, for devices of class B: an aware ``datetime``, or RFC 3339 text."""


class MacSettings(TypedDict, total=False):
    """What the Network Server of The Things Stack V3 is told of a device; times in seconds, frequencies in hertz."""

    rx1_delay: int
    rx1_data_rate_offset: int
    rx2_data_rate_index: int
    rx2_frequency: int
    factory_preset_frequencies: Sequence[int]
    supports_32_bit_f_cnt: bool
    resets_f_cnt: bool
    class_c_timeout: float
    status_count_periodicity: int
    status_time_periodicity: float


class _LorawanFields(TypedDict, total=False):
    app_eui: str | bytes
    appEui: str | bytes
    dev_eui: str | bytes
    devEui: str | bytes
    dev_addr: str | bytes
    devAddr: str | bytes
    nwk_s_key: str | bytes
    nwkSKey: str | bytes
    app_s_key: str | bytes
    appSKey: str | bytes
    app_key: str | bytes
    appKey: str | bytes
    f_cnt_up: int
    fCntUp: int
    f_cnt_down: int
    fCntDown: int
    disable_f_cnt_check: bool
    disableFCntCheck: bool
    uses32_bit_f_cnt: bool
    uses32BitFCnt: bool
    activation_constraints: str
    activationConstraints: str
    used_dev_nonces: Sequence[str | bytes]
    usedDevNonces: Sequence[str | bytes]
    used_app_nonces: Sequence[str | bytes]
    usedAppNonces: Sequence[str | bytes]
    last_seen: int
    lastSeen: int
    app_id: str
    appId: str
    dev_id: str
    devId: str


class DeviceFields(_LorawanFields, total=False):
    """What a device is registered with, or what is changed of one; EUIs, addresses and keys in hex or as bytes."""

    latitude: float
    longitude: float
    altitude: int
    description: str
    attributes: Mapping[str, str | None]
    lorawan_device: _LorawanFields | LorawanDevice
    lorawanDevice: _LorawanFields | LorawanDevice
    # Of The Things Stack V3 and of ChirpStack.
    name: str
    nwk_key: str | bytes
    # Of ChirpStack alone.
    profile: str
    device_profile_id: str
    is_disabled: bool
    variables: Mapping[str, str]
    # Of The Things Stack V3 alone.
    frequency_plan_id: str
    lorawan_version: str
    lorawan_phy_version: str
    supports_class_b: bool
    supports_class_c: bool
    resets_join_nonces: bool
    mac_settings: MacSettings
    version_ids: Mapping[str, Any]
    formatters: Mapping[str, Any]
