"""Protobuf messages, as Python sees them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final, Generic, SupportsIndex, TypeVar, final, overload

from typing_extensions import Self

_Element = TypeVar("_Element")

@final
class Descriptor:
    """The description of a message type."""

    @property
    def name(self) -> str:
        """Its name, such as ``Device``."""
    @property
    def full_name(self) -> str:
        """Its name with the package, such as ``handler.Device``."""
    @property
    def fields(self) -> list[FieldDescriptor]:
        """Its fields, in the order of their numbers."""
    @property
    def fields_by_name(self) -> dict[str, FieldDescriptor]:
        """Its fields by their names."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class FieldDescriptor:
    """The description of a field."""

    @property
    def name(self) -> str:
        """Its name, such as ``dev_id``."""
    @property
    def full_name(self) -> str:
        """Its name with the message's, such as ``handler.Device.dev_id``."""
    @property
    def json_name(self) -> str:
        """Its name in JSON, such as ``devId``."""
    @property
    def number(self) -> int:
        """Its number on the wire."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class ScalarMap:
    """The map of a message's field, which changes with the message. Sorted by key."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[str]: ...
    def __contains__(self, key: object, /) -> bool: ...
    def __getitem__(self, key: str, /) -> str:
        """The value; a key that is missing is inserted with an empty one, as protobuf does."""
    def __setitem__(self, key: str, value: str, /) -> None: ...
    def __delitem__(self, key: str, /) -> None: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def keys(self) -> list[str]:
        """The keys, sorted."""
    def values(self) -> list[str]:
        """The values, in the order of the keys."""
    def items(self) -> list[tuple[str, str]]:
        """Pairs of key and value."""
    def get(self, key: str, default: Any = None) -> Any:
        """The value, or ``default``; inserts nothing."""
    def pop(self, key: str, *default: Any) -> Any:
        """Remove an entry and give its value."""
    def setdefault(self, key: str, default: str) -> str:
        """Give the value of a key, inserted now if need be."""
    def update(self, entries: Mapping[str, str] | Iterable[tuple[str, str]] | None = None, **more: str) -> None:
        """Insert the entries of a mapping, or of pairs, or keyword arguments."""
    def clear(self) -> None:
        """Remove all entries."""

@final
class RepeatedContainer(Generic[_Element]):
    """A sequence of messages or values."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[_Element]: ...
    def __contains__(self, value: object, /) -> bool: ...
    @overload
    def __getitem__(self, key: SupportsIndex, /) -> _Element: ...
    @overload
    def __getitem__(self, key: slice, /) -> list[_Element]: ...
    def __setitem__(self, index: int, value: _Element, /) -> None: ...
    def __delitem__(self, key: SupportsIndex | slice, /) -> None: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    @property
    def total(self) -> int | None:
        """How many the server has in all, when this is a page of a list."""
    def add(self, **fields: Any) -> _Element:
        """Append a new message with these fields, and give it."""
    def append(self, value: _Element) -> None:
        """Append a copy of an element."""
    def extend(self, values: Iterable[_Element]) -> None:
        """Append copies of all elements."""
    def MergeFrom(self, values: Iterable[_Element]) -> None:
        """As ``extend``."""
    def insert(self, index: int, value: _Element) -> None:
        """Insert a copy of an element before an index."""
    def pop(self, index: int = -1) -> _Element:
        """Remove an element and give it."""
    def remove(self, value: _Element) -> None:
        """Remove the first element that equals."""
    def index(self, value: _Element) -> int:
        """Give the index of the first element that equals."""
    def count(self, value: _Element) -> int:
        """Count the elements that equal."""
    def sort(self, *, key: Callable[[_Element], Any] | None = None, reverse: bool = False) -> None:
        """Sort in place, with the arguments of ``list.sort``."""
    def reverse(self) -> None:
        """Reverse in place."""
    def clear(self) -> None:
        """Remove all elements."""

class Message:
    """A protobuf message.

    Fields are attributes, and items: ``device.dev_id`` and ``device["dev_id"]``. A field that is not set has its
    default: ``""``, ``0``, ``0.0``, ``b""``, ``False``, or an empty part. Parts, maps and lists are views that change
    with the message. ``str`` is protobuf's text format. Fields of bytes can be read and set in hex under
    their name with ``_hex`` after it. Messages with the same content are equal; they can be copied and pickled.

    Raises:
        AttributeError: No such field, or a part that is assigned as a whole.
        TypeError: A value of the wrong type, the field named.
        ValueError: A number out of range.
    """

    @property
    def DESCRIPTOR(self) -> Descriptor:
        """The description of the message type."""
    def __getattr__(self, name: str, /) -> Any: ...
    def __setattr__(self, name: str, value: Any, /) -> None: ...
    def __getitem__(self, name: str, /) -> Any: ...
    def __setitem__(self, name: str, value: Any, /) -> None: ...
    def __contains__(self, name: object, /) -> bool: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]
    def __copy__(self) -> Self: ...
    def __deepcopy__(self, memo: Any) -> Self: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
    def __dir__(self) -> list[str]: ...
    def keys(self) -> list[str]:
        """Names of the fields, so that ``dict(message)`` works."""
    def to_dict(self) -> dict[str, Any]:
        """Give what is set as a dict that JSON can express; bytes become upper-case hex."""
    def HasField(self, name: str) -> bool:
        """Whether a part is set, or one of a oneof."""
    def WhichOneof(self, name: str) -> str | None:
        """Give the name of the field of a oneof that is set."""
    def ListFields(self) -> list[tuple[FieldDescriptor, Any]]:
        """List the fields that are set, with their values, in the order of their numbers."""
    def SerializeToString(self) -> bytes:
        """Encode."""
    def SerializePartialToString(self) -> bytes:
        """As ``SerializeToString``."""
    def ParseFromString(self, data: bytes | bytearray | memoryview) -> int:
        """Replace the content by an encoded message; gives the number of bytes."""
    def MergeFromString(self, data: bytes | bytearray | memoryview) -> int:
        """Merge an encoded message into this one; gives the number of bytes."""
    @classmethod
    def FromString(cls, data: bytes | bytearray | memoryview) -> Self:
        """Decode a message of this class."""
    def CopyFrom(self, other: Message) -> None:
        """Replace the content by another message's."""
    def MergeFrom(self, other: Message) -> None:
        """Merge another message into this one: set fields replace, lists append, maps merge."""
    def Clear(self) -> None:
        """Make every field empty."""
    def ClearField(self, name: str) -> None:
        """Make one field empty."""
    def ByteSize(self) -> int:
        """Give the encoded size in bytes."""
    def IsInitialized(self) -> bool:
        """Whether all required fields are set; these messages have none."""
    def SetInParent(self) -> None:
        """Set this part in its message, with what it has."""
    def DiscardUnknownFields(self) -> None:
        """Forget what this version of the definitions does not know."""

@final
class Application(Message):
    """An application as its handler knows it.

    Attributes:
        decoder: JavaScript, as the other functions.
        payload_format: ``custom``, ``cayennelpp`` or empty.
        register_on_join_access_key: A secret; masked in ``repr``.
        v3: Of an application on The Things Stack V3: a ``StackApplication`` with its servers' messages.
        chirpstack: Of an application on ChirpStack: a ``ChirpStackApplication`` with the server's messages.
    """

    app_id: str
    decoder: str
    converter: str
    validator: str
    encoder: str
    payload_format: str
    register_on_join_access_key: str
    APP_ID_FIELD_NUMBER: Final = 1
    DECODER_FIELD_NUMBER: Final = 2
    CONVERTER_FIELD_NUMBER: Final = 3
    VALIDATOR_FIELD_NUMBER: Final = 4
    ENCODER_FIELD_NUMBER: Final = 5
    PAYLOAD_FORMAT_FIELD_NUMBER: Final = 6
    REGISTER_ON_JOIN_ACCESS_KEY_FIELD_NUMBER: Final = 7
    DESCRIPTOR: ClassVar[Descriptor]
    def __new__(cls, **fields: Any) -> Self: ...

@final
class Device(Message):
    """A device as the handler knows it.

    Attributes:
        latitude: Degrees, in single precision.
        longitude: Degrees, in single precision.
        altitude: Metres.
        v3: Of a device of The Things Stack V3: a ``StackDevice`` with all its servers' messages.
        chirpstack: Of a device of ChirpStack: a ``ChirpStackDevice`` with the server's messages.
    """

    app_id: str
    dev_id: str
    lorawan_device: LorawanDevice
    latitude: float
    longitude: float
    altitude: int
    attributes: ScalarMap
    description: str
    APP_ID_FIELD_NUMBER: Final = 1
    DEV_ID_FIELD_NUMBER: Final = 2
    LORAWAN_DEVICE_FIELD_NUMBER: Final = 3
    LATITUDE_FIELD_NUMBER: Final = 10
    LONGITUDE_FIELD_NUMBER: Final = 11
    ALTITUDE_FIELD_NUMBER: Final = 12
    ATTRIBUTES_FIELD_NUMBER: Final = 13
    DESCRIPTION_FIELD_NUMBER: Final = 20
    DESCRIPTOR: ClassVar[Descriptor]
    def __new__(cls, **fields: Any) -> Self: ...

@final
class LorawanDevice(Message):
    """The LoRaWAN properties of a device.

    Attributes:
        app_eui: 8 bytes, as all EUIs; empty or zero when not set.
        dev_addr: 4 bytes.
        nwk_s_key: 16 bytes, as all keys.
        f_cnt_up: Counter of the last uplink; 0 in lists.
        f_cnt_down: Counter of the next downlink; 0 in lists.
        activation_constraints: Comma separated: ``otaa``, ``abp``, ``world``, ``local``, ``private``, ``testing``.
        last_seen: Unix time in nanoseconds; 0 for never, and in lists.
    """

    app_eui: bytes
    dev_eui: bytes
    app_id: str
    dev_id: str
    dev_addr: bytes
    nwk_s_key: bytes
    app_s_key: bytes
    app_key: bytes
    f_cnt_up: int
    f_cnt_down: int
    disable_f_cnt_check: bool
    uses32_bit_f_cnt: bool
    activation_constraints: str
    used_dev_nonces: RepeatedContainer[bytes]
    used_app_nonces: RepeatedContainer[bytes]
    last_seen: int
    app_eui_hex: str
    dev_eui_hex: str
    dev_addr_hex: str
    nwk_s_key_hex: str
    app_s_key_hex: str
    app_key_hex: str
    APP_EUI_FIELD_NUMBER: Final = 1
    DEV_EUI_FIELD_NUMBER: Final = 2
    APP_ID_FIELD_NUMBER: Final = 3
    DEV_ID_FIELD_NUMBER: Final = 4
    DEV_ADDR_FIELD_NUMBER: Final = 5
    NWK_S_KEY_FIELD_NUMBER: Final = 6
    APP_S_KEY_FIELD_NUMBER: Final = 7
    APP_KEY_FIELD_NUMBER: Final = 8
    F_CNT_UP_FIELD_NUMBER: Final = 9
    F_CNT_DOWN_FIELD_NUMBER: Final = 10
    DISABLE_F_CNT_CHECK_FIELD_NUMBER: Final = 11
    USES32_BIT_F_CNT_FIELD_NUMBER: Final = 12
    ACTIVATION_CONSTRAINTS_FIELD_NUMBER: Final = 13
    USED_DEV_NONCES_FIELD_NUMBER: Final = 14
    USED_APP_NONCES_FIELD_NUMBER: Final = 15
    LAST_SEEN_FIELD_NUMBER: Final = 21
    DESCRIPTOR: ClassVar[Descriptor]
    def __new__(cls, **fields: Any) -> Self: ...

@final
class Announcement(Message):
    """A component of the network, as it announces itself.

    Attributes:
        net_address: gRPC addresses, comma separated.
        public_key: PEM.
        certificate: PEM, for TLS on ``net_address``.
    """

    id: str
    service_name: str
    service_version: str
    description: str
    url: str
    public: bool
    net_address: str
    public_key: str
    certificate: str
    api_address: str
    mqtt_address: str
    amqp_address: str
    metadata: RepeatedContainer[ServiceMetadata]
    ID_FIELD_NUMBER: Final = 1
    SERVICE_NAME_FIELD_NUMBER: Final = 2
    SERVICE_VERSION_FIELD_NUMBER: Final = 3
    DESCRIPTION_FIELD_NUMBER: Final = 4
    URL_FIELD_NUMBER: Final = 5
    PUBLIC_FIELD_NUMBER: Final = 6
    NET_ADDRESS_FIELD_NUMBER: Final = 11
    PUBLIC_KEY_FIELD_NUMBER: Final = 12
    CERTIFICATE_FIELD_NUMBER: Final = 13
    API_ADDRESS_FIELD_NUMBER: Final = 14
    MQTT_ADDRESS_FIELD_NUMBER: Final = 15
    AMQP_ADDRESS_FIELD_NUMBER: Final = 16
    METADATA_FIELD_NUMBER: Final = 22
    DESCRIPTOR: ClassVar[Descriptor]
    def __new__(cls, **fields: Any) -> Self: ...

@final
class ServiceMetadata(Message):
    """What a component is responsible for: one of its fields is set.

    Attributes:
        dev_addr_prefix: One byte of length in bits, then four of address.
        app_eui: 8 bytes.
    """

    gateway_id: str
    dev_addr_prefix: bytes
    app_id: str
    app_eui: bytes
    dev_addr_prefix_hex: str
    app_eui_hex: str
    GATEWAY_ID_FIELD_NUMBER: Final = 10
    DEV_ADDR_PREFIX_FIELD_NUMBER: Final = 20
    APP_ID_FIELD_NUMBER: Final = 30
    APP_EUI_FIELD_NUMBER: Final = 31
    DESCRIPTOR: ClassVar[Descriptor]
    def __new__(cls, **fields: Any) -> Self: ...

@final
class DryUplinkResult(Message):
    """What the payload functions make of an uplink.

    Attributes:
        fields: JSON text.
        valid: What the validator says.
    """

    payload: bytes
    fields: str
    valid: bool
    logs: RepeatedContainer[LogEntry]
    payload_hex: str
    PAYLOAD_FIELD_NUMBER: Final = 1
    FIELDS_FIELD_NUMBER: Final = 2
    VALID_FIELD_NUMBER: Final = 3
    LOGS_FIELD_NUMBER: Final = 4
    DESCRIPTOR: ClassVar[Descriptor]
    def __new__(cls, **fields: Any) -> Self: ...

@final
class DryDownlinkResult(Message):
    """What the payload functions make of a downlink."""

    payload: bytes
    logs: RepeatedContainer[LogEntry]
    payload_hex: str
    PAYLOAD_FIELD_NUMBER: Final = 1
    LOGS_FIELD_NUMBER: Final = 2
    DESCRIPTOR: ClassVar[Descriptor]
    def __new__(cls, **fields: Any) -> Self: ...

@final
class LogEntry(Message):
    """What a payload function printed.

    Attributes:
        fields: JSON texts.
    """

    function: str
    fields: RepeatedContainer[str]
    FUNCTION_FIELD_NUMBER: Final = 1
    FIELDS_FIELD_NUMBER: Final = 2
    DESCRIPTOR: ClassVar[Descriptor]
    def __new__(cls, **fields: Any) -> Self: ...

@final
class PrefixMapping(Message):
    """A block of device addresses.

    Attributes:
        prefix: Such as ``26000000/20``.
    """

    prefix: str
    usage: RepeatedContainer[str]
    PREFIX_FIELD_NUMBER: Final = 1
    USAGE_FIELD_NUMBER: Final = 2
    DESCRIPTOR: ClassVar[Descriptor]
    def __new__(cls, **fields: Any) -> Self: ...

@final
class Empty(Message):
    """A message without content."""

    DESCRIPTOR: ClassVar[Descriptor]
    def __new__(cls, **fields: Any) -> Self: ...

def _parse_proto(full_name: str, data: bytes) -> Message: ...
