"""The extension module. Private: public names are re-exported by ``thingslink`` and ``thingslink.ttn``."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from os import PathLike
from typing import Any, ClassVar, Final, Generic, SupportsIndex, TypeAlias, TypedDict, TypeVar, final, overload

from typing_extensions import Self

__version__: Final[str]

_Element = TypeVar("_Element")
_Seconds: TypeAlias = float | timedelta
_Callback: TypeAlias = Callable[..., object]
_Payload: TypeAlias = str | bytes | bytearray | memoryview | Mapping[str, Any] | list[Any] | float | bool | None

class ThingsError(RuntimeError):
    """Base of the errors of this library."""

class NotConnectedError(ThingsError):
    """There is no session; nothing was queued."""

class LoginRefusedError(ThingsError, ConnectionError):
    """The server refused the login.

    Attributes:
        code: MQTT 3.1.1 CONNACK return code, 1-255; 4 and 5 mean a wrong ID or key.
    """

    code: int

class ConnectionLostError(ThingsError, ConnectionError):
    """A connection ended, or the server broke the protocol."""

class TlsError(ThingsError, ConnectionError):
    """The TLS handshake failed, or a certificate cannot be used."""

class ThingsTimeoutError(ThingsError, TimeoutError):
    """Something did not happen in time."""

class SubscriptionRefusedError(ThingsError):
    """The server refused a subscription; its messages will not arrive."""

class QueueFullError(ThingsError):
    """The bounded queue of unsent messages has no room."""

class DecodeError(ThingsError, ValueError):
    """A message or a payload cannot be decoded."""

class SandboxError(ThingsError):
    """The sandbox cannot do what was asked."""

class MessageTooLargeError(ThingsError, ValueError):
    """A message is larger than a limit."""

class Stats(TypedDict):
    """Counters of a client since it was made; all but the last three only grow.

    Attributes:
        received: Messages taken in from the network.
        delivered: Messages whose callbacks have returned.
        dropped: Messages dropped because callbacks were too slow, the client was closing, or nobody listened.
        undecodable: Messages that were no JSON; raw callbacks got them all the same.
        oversize: Packets over ``max_message_bytes``, skipped.
        callback_errors: Exceptions that callbacks raised.
        sent: Downlinks written (QoS 0) or acknowledged (QoS 1).
        reconnects: Connections made anew after a loss.
        queue_length: Messages between network and callbacks now.
        queue_bytes: Their bytes.
        unsent: Downlinks that are neither written nor acknowledged now.
    """

    received: int
    delivered: int
    dropped: int
    undecodable: int
    oversize: int
    callback_errors: int
    sent: int
    reconnects: int
    queue_length: int
    queue_bytes: int
    unsent: int

class MQTTClient:
    """Receives an application's uplinks and sends its downlinks.

    Callbacks add up and are called in the order in which they were set, one at a time for each client, from threads of
    the library. They get the client as second argument: by keyword if they have a parameter ``client`` elsewhere or
    ``**kwargs``, else by position; a callable with one parameter gets one argument. An exception in a callback is
    logged to ``thingslink.ttn`` and given to the error callbacks; everything goes on. All methods may be called from
    inside callbacks.

    A context manager: connects on enter, closes on exit, and can be used again.

    Args:
        app_id: Application ID. Also accepted as ``appID``.
        access_key: Its access key. Also accepted as ``app_access_key`` and ``appAccessKey``.
        mqtt_address: ``host``, ``host:port``, ``mqtt://host[:port]`` or ``mqtts://host[:port]``; IPv6 in brackets when
            a port follows. ``mqtts`` and port 8883 mean TLS. Read by ``connect``. Also accepted as ``mqttAddress``.
        discovery_address: Server to ask for the address when none is given; the answer is remembered.
        reconnect: Whether to connect anew after a loss, with delays from ``reconnect_min_delay`` doubling up to
            ``reconnect_max_delay``, jittered.
        keep_alive: Seconds of silence before the connection is probed, whole, 0 (never) to 65535.
        client_id: MQTT client identifier; empty lets the server choose.
        clean_session: Whether the server forgets the client when the connection ends. ``False`` needs a ``client_id``.
        qos: 0 or 1, for both directions. At 1 an uplink is acknowledged to the server only after its callbacks have
            returned, and a downlink is sent again after a reconnect until the server acknowledges it.
        tls: Whether to speak TLS where the address does not say.
        ca_certs: Certificates to trust instead of the system's: a path, PEM text or PEM bytes.
        reconnect_min_delay: Seconds before the first attempt after a loss.
        reconnect_max_delay: Longest delay between attempts in seconds.
        max_message_bytes: Larger packets are skipped and counted.
        max_inflight: Downlinks that may wait for their acknowledgement at once (QoS 1).
        queue_messages: Bound of the queue between network and callbacks; by default 100,000, or 4,000 where reading
            stops.
        queue_bytes: Its bound in bytes; by default 128 MiB, or 8 MiB where reading stops.
        overflow: What a full queue does at QoS 0: ``"drop_oldest"`` or ``"stop_reading"``. At QoS 1 reading stops.
        send_queue_messages: Bound of the queue of downlinks; ``send`` waits for room up to 30 s.
        send_queue_bytes: Its bound in bytes.
        insecure_channel: Whether to ask the discovery server in plain text.
        discovery_certificate: PEM text or bytes to trust at the discovery server instead of the system's roots.

    Raises:
        ValueError: A setting that cannot be used, named.
        TypeError: A missing argument, an unknown one, or two spellings of one with different values.
    """

    def __init__(
        self,
        app_id: str,
        access_key: str,
        mqtt_address: str | None = "",
        discovery_address: str = "discovery.thethings.network:1900",
        reconnect: bool = True,
        *,
        keep_alive: _Seconds | None = 60,
        client_id: str = "",
        clean_session: bool = True,
        qos: int = 0,
        tls: bool | None = None,
        ca_certs: str | bytes | PathLike[str] | None = None,
        reconnect_min_delay: _Seconds | None = 0.5,
        reconnect_max_delay: _Seconds | None = 60,
        max_message_bytes: int = 4194304,
        max_inflight: int = 1000,
        queue_messages: int | None = None,
        queue_bytes: int | None = None,
        overflow: str = "drop_oldest",
        send_queue_messages: int = 50000,
        send_queue_bytes: int = 67108864,
        insecure_channel: bool = False,
        discovery_certificate: str | bytes | None = None,
        **aliases: str,
    ) -> None: ...
    @property
    def _last_refusal(self) -> int: ...
    @property
    def app_id(self) -> str:
        """Application ID."""
    @property
    def is_connected(self) -> bool:
        """Whether the client is logged in now."""
    def connect(self, *, timeout: _Seconds | None = None) -> None:
        """Connect, log in and subscribe; returns when the server has answered all of it.

        While connected it connects anew. After ``close`` it works again, with all callbacks. Ctrl-C ends it.

        Args:
            timeout: Seconds for all of it, 30 by default.

        Raises:
            ValueError: The address cannot be read.
            socket.gaierror: The host has no address.
            OSError: No connection, for example ``ConnectionRefusedError``.
            TlsError: The certificate is not trusted, not for this host, or expired.
            LoginRefusedError: Wrong ID or key; the connect callbacks get ``False`` as well.
            ThingsTimeoutError: No answer in time.
        """
    def close(self, *, timeout: _Seconds | None = None) -> None:
        """Deliver what has arrived, send what was accepted, part with the server, call the close callbacks.

        Called from inside one of this client's callbacks it returns at once and is done when the callback has
        returned; deliveries that nobody has begun with are then dropped, or stay with the server at QoS 1.

        Args:
            timeout: Seconds for all of it, 10 by default.
        """
    def stop(self, *, timeout: _Seconds | None = None) -> None:
        """As ``close``."""
    def start(self) -> None:
        """Do nothing: receiving begins with ``connect``. Kept for programs that call it."""
    def send(
        self,
        dev_id: str,
        payload: _Payload,
        port: int = 1,
        confirmation: bool = False,
        schedule: str | None = "replace",
        **aliases: Any,
    ) -> int:
        """Queue a downlink for one device and return at once.

        Args:
            dev_id: Device ID: 2 to 36 of ``a-z 0-9``, single ``-`` or ``_`` between them. Also ``devID``, ``deviceID``.
            payload: Bytes, at most 242; base64 text, sent as it is; hex text that is no base64; or anything that JSON
                can express, for the application's encoder. Also ``pay``.
            port: LoRaWAN FPort, 1 to 223; 1 by default.
            confirmation: Whether the device must acknowledge it. Also ``conf``, ``confirmed``. ``False`` by default.
            schedule: Place in the device's queue: ``"replace"`` (default), ``"first"`` or ``"last"``. Also ``sched``.
            **aliases: The other spellings.

        Returns:
            Message ID, 1 to 65535; the downlink callbacks get it when the message is written (QoS 0) or acknowledged
            by the server (QoS 1).

        Raises:
            NotConnectedError: There is no session. Nothing was queued.
            ValueError: An argument that cannot be sent, named.
            TypeError: Likewise.
            QueueFullError: No room in the queue for 30 s.

        Source: The Things Network V2 MQTT API, downlink messages.
        """
    def flush(self, timeout: _Seconds | None = None) -> None:
        """Wait until every downlink is written (QoS 0) or acknowledged (QoS 1).

        Args:
            timeout: Seconds, 30 by default.

        Raises:
            ThingsTimeoutError: It took longer.
        """
    def stats(self) -> Stats:
        """Give the counters."""
    def device(self, dev_id: str) -> DeviceHandle:
        """Give a handle for one device: ``send`` and the setters without its ID."""
    def set_uplink_callback(self, callback: _Callback, *, dev_id: str | None = None) -> None:
        """Add ``callback(msg, client)`` for uplinks; ``msg`` is an ``UplinkMessage``.

        Args:
            callback: What to call.
            dev_id: Only uplinks of this device.
        """
    def remove_uplink_callback(self, callback: _Callback, *, dev_id: str | None = None) -> None:
        """Take back one ``set_uplink_callback`` with the same arguments.

        Raises:
            ValueError: It is not set.
        """
    def set_uplink_raw_callback(self, callback: _Callback, *, dev_id: str | None = None) -> None:
        """Add ``callback(msg, client)`` for uplinks as they came; ``msg`` is a ``RawMessage``.

        Called behind all uplink callbacks, and for messages that cannot be decoded, too.
        """
    def set_uplink_callback_raw(self, callback: _Callback, *, dev_id: str | None = None) -> None:
        """As ``set_uplink_raw_callback``."""
    def remove_uplink_raw_callback(self, callback: _Callback, *, dev_id: str | None = None) -> None:
        """Take back one ``set_uplink_raw_callback`` with the same arguments."""
    def set_uplink_field_callback(self, callback: _Callback, field: str, *, dev_id: str | None = None) -> None:
        """Add ``callback(value, client)`` for one payload field; ``value`` is a ``FieldValue``.

        Only some networks publish single fields.

        Args:
            callback: What to call.
            field: Name of the field, levels joined by ``/``: ``"tank/level"``.
            dev_id: Only of this device.
        """
    def remove_uplink_field_callback(self, callback: _Callback, field: str, *, dev_id: str | None = None) -> None:
        """Take back one ``set_uplink_field_callback`` with the same arguments."""
    def set_event_callback(self, callback: _Callback, event: str | None = None, dev_id: str | None = None) -> None:
        """Add ``callback(event, client)`` for events of devices; gets a ``DeviceEvent`` or one of its subclasses.

        Args:
            callback: What to call.
            event: Only this one: ``activations``, ``activations/errors``, ``create``, ``update``, ``delete``,
                ``down/scheduled``, ``down/sent``, ``down/acks``, ``down/errors``, ``up/errors``.
            dev_id: Only of this device.
        """
    def remove_event_callback(self, callback: _Callback, event: str | None = None, dev_id: str | None = None) -> None:
        """Take back one ``set_event_callback`` with the same arguments."""
    def set_activation_callback(self, callback: _Callback, *, dev_id: str | None = None) -> None:
        """Add ``callback(event, client)`` for joins; gets an ``ActivationEvent``."""
    def remove_activation_callback(self, callback: _Callback, *, dev_id: str | None = None) -> None:
        """Take back one ``set_activation_callback`` with the same arguments."""
    def _set_topic_callback(self, callback: _Callback, filter: str) -> None:
        """Add ``callback(message, client)`` for any MQTT topic filter; ``message`` is a ``RawMessage``."""
    def _remove_topic_callback(self, callback: _Callback, filter: str) -> None:
        """Take back one ``_set_topic_callback`` with the same arguments."""
    def set_connect_callback(self, callback: _Callback) -> None:
        """Add ``callback(res, client)``: ``True`` after each login, ``False`` when one is refused."""
    def remove_connect_callback(self, callback: _Callback) -> None:
        """Take back one ``set_connect_callback``."""
    def set_close_callback(self, callback: _Callback) -> None:
        """Add ``callback(res, client)``: ``True`` after ``close``, ``False`` when the connection is lost."""
    def remove_close_callback(self, callback: _Callback) -> None:
        """Take back one ``set_close_callback``."""
    def set_downlink_callback(self, callback: _Callback) -> None:
        """Add ``callback(mid, client)``: the downlink with this ID is written (QoS 0) or acknowledged (QoS 1)."""
    def remove_downlink_callback(self, callback: _Callback) -> None:
        """Take back one ``set_downlink_callback``."""
    def set_error_callback(self, callback: _Callback) -> None:
        """Add ``callback(error, client)`` for what stops nothing; ``error`` is the exception.

        These are exceptions in callbacks, undecodable messages, refused subscriptions, messages over the limit.
        """
    def remove_error_callback(self, callback: _Callback) -> None:
        """Take back one ``set_error_callback``."""
    @property
    def _MQTTClient__client(self) -> _Publisher: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        *_exception: object,
    ) -> bool: ...

@final
class _Publisher:
    """What programs reached for in the original's private client."""

    def publish(self, topic: str, payload: str | bytes) -> int:
        """Publish to any topic; gives the message ID."""

@final
class DeviceHandle:
    """One device of an application, from ``MQTTClient.device``. Methods as the client's, for this device alone."""

    @property
    def dev_id(self) -> str:
        """Device ID."""
    def send(
        self,
        payload: _Payload,
        port: int = 1,
        confirmation: bool = False,
        schedule: str | None = "replace",
        **aliases: Any,
    ) -> int:
        """As ``MQTTClient.send``."""
    def set_uplink_callback(self, callback: _Callback) -> None:
        """As ``MQTTClient.set_uplink_callback``."""
    def remove_uplink_callback(self, callback: _Callback) -> None:
        """As ``MQTTClient.remove_uplink_callback``."""
    def set_uplink_raw_callback(self, callback: _Callback) -> None:
        """As ``MQTTClient.set_uplink_raw_callback``."""
    def remove_uplink_raw_callback(self, callback: _Callback) -> None:
        """As ``MQTTClient.remove_uplink_raw_callback``."""
    def set_uplink_field_callback(self, callback: _Callback, field: str) -> None:
        """As ``MQTTClient.set_uplink_field_callback``."""
    def remove_uplink_field_callback(self, callback: _Callback, field: str) -> None:
        """As ``MQTTClient.remove_uplink_field_callback``."""
    def set_event_callback(self, callback: _Callback, event: str | None = None) -> None:
        """As ``MQTTClient.set_event_callback``."""
    def remove_event_callback(self, callback: _Callback, event: str | None = None) -> None:
        """As ``MQTTClient.remove_event_callback``."""
    def set_activation_callback(self, callback: _Callback) -> None:
        """As ``MQTTClient.set_activation_callback``."""
    def remove_activation_callback(self, callback: _Callback) -> None:
        """As ``MQTTClient.remove_activation_callback``."""

@final
class UplinkMessage:
    """A JSON object from the network: fields as attributes, tuple behaviour in the order of the wire, item access.

    A field hides a method of the same name. Optional fields that did not come raise ``AttributeError``. Nested objects
    are of this class, too; arrays are lists. Names that are no identifiers are reached by item access or ``getattr``.
    Immutable, hashable, comparable with tuples, picklable. No subclass of ``tuple``.

    Source: The Things Network V2 MQTT API, uplink messages.
    """

    @property
    def payload(self) -> bytes | None:
        """The bytes of ``payload_raw``; ``None`` if there are none.

        Raises:
            DecodeError: It is no base64.
        """
    @property
    def received_at(self) -> datetime | None:
        """``metadata.time`` as an aware instant in UTC, to the microsecond; ``None`` if unknown."""
    @property
    def datetime(self) -> datetime | None:
        """This object's own ``time`` as an aware instant in UTC, to the microsecond; ``None`` if unknown."""
    @property
    def _fields(self) -> tuple[str, ...]: ...
    @property
    def _field_defaults(self) -> dict[str, Any]: ...
    def _asdict(self) -> dict[str, Any]:
        """Give the fields as a dict; nested objects stay messages."""
    def _replace(self, **changes: Any) -> UplinkMessage:
        """Give a message with some fields changed."""
    def _make(self, values: Iterable[Any]) -> UplinkMessage:
        """Give a message with this one's names and other values."""
    def count(self, value: Any) -> int:
        """Count a value among the fields."""
    def index(self, value: Any, *range: SupportsIndex) -> int:
        """Give the first place of a value among the fields."""
    def get(self, name: str, default: Any = None) -> Any:
        """Give a field, or ``default``."""
    def keys(self) -> list[str]:
        """Give the names of the fields."""
    def values(self) -> list[Any]:
        """Give the values of the fields."""
    def items(self) -> list[tuple[str, Any]]:
        """Give names and values."""
    def to_dict(self) -> dict[str, Any]:
        """Give plain dicts and lists all the way down."""
    def json(self) -> bytes:
        """Give the JSON text as it was received."""
    @staticmethod
    def _json_default(object: Any) -> dict[str, Any]: ...
    # Fields are attributes that only the message knows.
    def __getattribute__(self, name: str, /) -> Any: ...
    def __setattr__(self, name: str, value: Any, /) -> None: ...
    def __delattr__(self, name: str, /) -> None: ...
    def __dir__(self) -> list[str]: ...
    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, key: str | SupportsIndex, /) -> Any: ...
    @overload
    def __getitem__(self, key: slice, /) -> tuple[Any, ...]: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __contains__(self, key: Any, /) -> bool: ...
    def __add__(self, value: tuple[Any, ...] | UplinkMessage, /) -> tuple[Any, ...]: ...
    def __radd__(self, value: tuple[Any, ...] | UplinkMessage, /) -> tuple[Any, ...]: ...
    def __mul__(self, value: int, /) -> tuple[Any, ...]: ...
    def __rmul__(self, value: int, /) -> tuple[Any, ...]: ...
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __lt__(self, value: tuple[Any, ...] | UplinkMessage, /) -> bool: ...
    def __le__(self, value: tuple[Any, ...] | UplinkMessage, /) -> bool: ...
    def __gt__(self, value: tuple[Any, ...] | UplinkMessage, /) -> bool: ...
    def __ge__(self, value: tuple[Any, ...] | UplinkMessage, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Any, tuple[bytes]]: ...
    def __copy__(self) -> Self: ...
    def __deepcopy__(self, _memo: Any) -> Self: ...

@final
class RawMessage:
    """An uplink as it came over MQTT."""

    @property
    def topic(self) -> str:
        """Topic it was published to."""
    @property
    def payload(self) -> bytes:
        """Its bytes."""
    @property
    def qos(self) -> int:
        """Level of delivery, 0 or 1."""
    @property
    def retain(self) -> int:
        """1 if the server had kept it, else 0."""
    @property
    def mid(self) -> int:
        """MQTT packet ID; 0 at QoS 0."""
    @property
    def timestamp(self) -> float:
        """Time of delivery by the clock of ``time.monotonic``."""

class DeviceEvent:
    """Something that happened to a device."""

    @property
    def name(self) -> str:
        """Name of the event, such as ``down/sent``."""
    @property
    def app_id(self) -> str:
        """Application ID."""
    @property
    def dev_id(self) -> str:
        """Device ID."""
    @property
    def data(self) -> Any:
        """The body: an ``UplinkMessage``, or ``None`` where the network sends none."""
    @property
    def error(self) -> str | None:
        """The network's words, on events that tell of an error."""
    def json(self) -> bytes:
        """Give the JSON text as it was received."""

@final
class ActivationEvent(DeviceEvent):
    """A device joined (``activations``), or failed to (``activations/errors``)."""

    @property
    def app_eui(self) -> str | None:
        """Application EUI, 16 hex digits."""
    @property
    def dev_eui(self) -> str | None:
        """Device EUI, 16 hex digits."""
    @property
    def dev_addr(self) -> str | None:
        """The address given to the device, 8 hex digits; empty on errors."""
    @property
    def metadata(self) -> UplinkMessage | None:
        """How the request was heard."""

@final
class DownlinkEvent(DeviceEvent):
    """A downlink was queued (``down/scheduled``), sent, acknowledged (``down/acks``), or failed (``down/errors``)."""

    @property
    def message(self) -> UplinkMessage | None:
        """The downlink: ``port``, ``payload_raw`` and so on, as far as the network tells."""
    @property
    def payload(self) -> bytes | None:
        """The whole LoRaWAN frame that was sent (``down/sent``).

        Raises:
            DecodeError: It is no base64.
        """
    @property
    def gateway_id(self) -> str | None:
        """The gateway that sent it (``down/sent``)."""
    @property
    def config(self) -> UplinkMessage | None:
        """How it was sent: ``frequency`` in Hz, ``power`` in dBm, ``airtime`` in ns and so on (``down/sent``)."""

@final
class RegistrationEvent(DeviceEvent):
    """A device was registered (``create``), changed (``update``) or removed (``delete``)."""

    @property
    def latitude(self) -> float | None:
        """Degrees, if changed."""
    @property
    def longitude(self) -> float | None:
        """Degrees, if changed."""
    @property
    def altitude(self) -> int | None:
        """Metres, if changed."""

@final
class FieldValue:
    """The value of one payload field of an uplink."""

    @property
    def field(self) -> str:
        """Name, levels joined by ``/``."""
    @property
    def app_id(self) -> str:
        """Application ID."""
    @property
    def dev_id(self) -> str:
        """Device ID."""
    @property
    def value(self) -> Any:
        """The value; objects are ``UplinkMessage``."""

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
    their name with ``_hex`` behind it. Messages with the same content are equal; they can be copied and pickled.

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

@final
class ServiceStub:
    """The methods of a service on a channel."""

    def __getattr__(self, name: str, /) -> ServiceMethod: ...

@final
class ServiceMethod:
    """One method of a service on a channel, called as gRPC's own are: ``(request, timeout=None, metadata=None)``."""

    def __call__(
        self,
        request: Message,
        timeout: _Seconds | None = None,
        metadata: Iterable[tuple[str, str]] | None = None,
    ) -> Any: ...

class DiscoveryClient:
    """Asks a discovery server of The Things Network who serves what.

    A context manager, and safe to share between threads. Without ``timeout`` (seconds) a call may take as long as the
    connection lives; opening one takes 20 s at most.

    Args:
        discovery_address: ``host:port``, or several separated by commas, tried in order.
        certificate: PEM text or bytes to trust instead of the system's roots.
        insecure_channel: Whether to speak plain text in place of TLS.

    Raises:
        ValueError: An address that cannot be read.
        RpcError: By all calls, whatever went wrong: ``code()`` and ``details()`` tell.
    """

    def __new__(
        cls,
        discovery_address: str = "discovery.thethings.network:1900",
        certificate: str | bytes | None = None,
        insecure_channel: bool = False,
    ) -> Self: ...
    client: Any
    """What the calls go through. May be replaced by anything with the service's methods."""
    def get_all(
        self,
        service_name: str | bytes,
        *,
        limit: int | None = None,
        offset: int | None = None,
        timeout: _Seconds | None = None,
    ) -> RepeatedContainer[Announcement]:
        """List the announcements of a service: ``"router"``, ``"broker"`` or ``"handler"``."""
    def get(
        self,
        service_name: str | bytes,
        id: str | bytes,
        *,
        timeout: _Seconds | None = None,
        **aliases: Any,
    ) -> Announcement:
        """Give the announcement of one component.

        Args:
            service_name: ``"router"``, ``"broker"`` or ``"handler"``.
            id: Its ID. Also accepted as ``ID`` and ``service_id``.
            timeout: Seconds.
            aliases: Other spellings.
        """
    def get_by_app_id(self, app_id: str | bytes, *, timeout: _Seconds | None = None) -> Announcement:
        """Give the announcement of the handler that serves an application."""
    def get_by_gateway_id(self, gateway_id: str | bytes, *, timeout: _Seconds | None = None) -> Announcement:
        """Give the announcement of the router that serves a gateway."""
    def get_by_app_eui(self, app_eui: str | bytes, *, timeout: _Seconds | None = None) -> Announcement:
        """Give the announcement of the handler that serves the applications of an AppEUI, in hex or as 8 bytes."""
    def close(self) -> None:
        """Close the connection; later calls fail."""
    def __enter__(self) -> Self: ...
    def __exit__(self, *_exception: object) -> bool: ...

class HandlerClient:
    """Finds the handler of an application and gives the clients that talk to it.

    The constructor asks the discovery server. A context manager.

    Args:
        app_id: Application ID.
        access_key: Its access key. Also accepted as ``app_access_key``.
        discovery_address: ``host:port`` of the discovery server, or several separated by commas, tried in order.
        cert_path: Certificates to trust at the discovery server instead of the system's: a path, PEM text or PEM bytes.
        insecure_channel: Whether to ask discovery in plain text. A handler that announces a certificate is spoken to by
            TLS all the same.
        token: Token of the account server, used in place of the key.
        timeout: Seconds that discovery may take; by default as long as the connection lives.

    Attributes:
        app_id: Application ID, for the clients made from now on.
        app_access_key: Access key, for the clients made from now on.
        insecure_channel: Whether discovery was asked without TLS.
        announcement: What the handler has announced.

    Raises:
        RpcError: Discovery failed: ``code()`` and ``details()`` tell.
        OSError: The file of ``cert_path`` cannot be read.
        ValueError: An address, ID or key that cannot be used.
    """

    def __new__(
        cls,
        app_id: str,
        access_key: str | None,
        discovery_address: str = "discovery.thethings.network:1900",
        cert_path: str | bytes | PathLike[str] | None = "",
        insecure_channel: bool = False,
        *,
        token: str | None = None,
        timeout: _Seconds | None = None,
        **aliases: Any,
    ) -> Self: ...
    app_id: str
    """Application ID, for the clients made from now on."""
    app_access_key: str | None
    """Access key, for the clients made from now on."""
    insecure_channel: bool
    """Whether discovery was asked without TLS."""
    announcement: Any
    """What the handler has announced."""
    def data(self, reconnect: bool = True, **options: Any) -> MQTTClient:
        """Give a new MQTT client of the application; keyword arguments are those of ``MQTTClient``."""
    def application(self) -> ApplicationClient:
        """Give a new client that manages the application and its devices."""
    def close(self) -> None:
        """Do nothing: discovery keeps no connection. For symmetry with the other clients."""
    def __enter__(self) -> Self: ...
    def __exit__(self, *_exception: object) -> bool: ...

class ApplicationClient:
    """Manages an application and its devices on the handler that serves it.

    A context manager, and safe to share between threads. Each call takes at most ``timeout`` seconds, connecting
    included: by default 30 (``ttn.application.TIME_OUT``), and 60 for deleting a device. A call that the server refuses
    because of its rate limit is tried again within that time.

    Args:
        app_id: Application ID.
        access_key: Its access key. Also accepted as ``app_access_key``.
        handler_address: ``host:port``, or several separated by commas, tried in order; empty asks the discovery server,
            which announces the certificate, too. Also accepted as ``net_address``.
        cert_content: PEM text or bytes to trust, needed with an address; the handlers' self-signed certificates are
            accepted.
        discovery_address: Server to ask when no address is given.
        insecure_channel: Whether to speak plain text in place of TLS.
        token: Token of the account server, used in place of the key.
        discovery_certificate: PEM text or bytes to trust at the discovery server instead of the system's roots.

    Attributes:
        app_id: Application ID; read at each call.
        app_access_key: Access key; read at each call.

    Raises:
        ApplicationError: By all calls: a ``RuntimeError`` with the original's two ``args``, and ``code`` and
            ``details``; the call's own error is its cause.
        ValueError: An ID, a key of a device or a value that cannot be used, named before anything is sent.
        TypeError: A value of the wrong type, named before anything is sent.
        RuntimeError: No certificate to trust is given or announced.
        RpcError: The handler was not discovered.
    """

    def __new__(
        cls,
        app_id: str,
        access_key: str | None,
        handler_address: str | None = "",
        cert_content: str | bytes | None = "",
        discovery_address: str = "discovery.thethings.network:1900",
        *,
        insecure_channel: bool = False,
        token: str | None = None,
        discovery_certificate: str | bytes | None = None,
        **aliases: Any,
    ) -> Self: ...
    app_id: str
    """Application ID; read at each call."""
    app_access_key: str | None
    """Access key; read at each call."""
    client: Any
    """What the calls go through. May be replaced by anything with the service's methods."""
    def get(self, *, timeout: _Seconds | None = None) -> Application:
        """Give the application."""
    def register(self, *, timeout: _Seconds | None = None) -> Empty:
        """Register the application on the handler."""
    def unregister(self, *, timeout: _Seconds | None = None) -> Empty:
        """Delete the application on the handler, with all its devices."""
    def set_payload_format(self, payload_format: str, *, timeout: _Seconds | None = None, **aliases: Any) -> None:
        """Set the payload format: ``"custom"``, ``"cayennelpp"`` or ``""`` for none. The functions stay.

        Also accepted as ``payloadf``.
        """
    def set_custom_payload_functions(
        self,
        encoder: str | None = "",
        decoder: str | None = "",
        validator: str | None = "",
        converter: str | None = "",
        *,
        payload_format: str | None = None,
        register_on_join_access_key: str | None = None,
        timeout: _Seconds | None = None,
    ) -> None:
        """Set JavaScript payload functions and the format ``"custom"``. What is omitted or empty stays as it is.

        Args:
            encoder: ``function Encoder(object, port)``, giving an array of bytes.
            decoder: ``function Decoder(bytes, port)``, giving an object.
            validator: ``function Validator(converted, port)``, giving a boolean; ``false`` drops the uplink.
            converter: ``function Converter(decoded, port)``, giving an object.
            payload_format: Another format than ``"custom"``.
            register_on_join_access_key: As for ``set_register_on_join_access_key``.
            timeout: Seconds for each of the two calls.
        """
    def clear_custom_payload_functions(self, *names: str, timeout: _Seconds | None = None) -> None:
        """Remove payload functions: the named ones, or all."""
    def set_register_on_join_access_key(self, access_key: str, *, timeout: _Seconds | None = None) -> None:
        """Set the key with which devices register themselves when they join; ``""`` for none."""
    def device(self, dev_id: str, *, timeout: _Seconds | None = None, **aliases: Any) -> Device:
        """Give a device.

        Args:
            dev_id: Its ID. Also accepted as ``devID``.
            timeout: Seconds.
            aliases: Other spellings.
        """
    def devices(
        self, *, limit: int | None = None, offset: int | None = None, timeout: _Seconds | None = None
    ) -> RepeatedContainer[Device]:
        """List the devices, all or a page of them, sorted by ID. Frame counters and ``last_seen`` are 0 in lists.

        Args:
            limit: Devices at most.
            offset: Devices to skip.
            timeout: Seconds.

        Returns:
            A sequence; ``total`` tells how many devices there are in all.
        """
    def iter_devices(self, *, page_size: int = 1000, timeout: _Seconds | None = None) -> DeviceIterator:
        """Iterate over the devices, asking the handler for one page after the other."""
    def register_device(
        self, dev_id: str, device: Mapping[str, Any] | Device, *, timeout: _Seconds | None = None
    ) -> Empty:
        """Register a device, or replace one: a dict with the keys of ``Device`` and ``LorawanDevice``, or a ``Device``.

        Args:
            dev_id: 2 to 36 of ``a-z 0-9``, single ``-`` or ``_`` between them.
            device: Keys in snake_case or camelCase, those of ``LorawanDevice`` also in a nested ``lorawan_device``.
                EUIs, addresses and keys are hex (any case, with or without ``:``, ``-``, blanks and ``0x``), or bytes
                of the exact length.
            timeout: Seconds.
        """
    def update_device(
        self, dev_id: str, updates: Mapping[str, Any] | Device, *, timeout: _Seconds | None = None
    ) -> Empty:
        """Change a device: what is given is changed, the rest stays. An attribute with the value ``None`` is removed.

        Reads the device once and writes it once, with all that the server knows of it.
        """
    def delete_device(self, dev_id: str, *, timeout: _Seconds | None = None) -> Empty:
        """Delete a device."""
    def personalize(
        self,
        dev_id: str,
        *,
        nwk_s_key: str | bytes | None = None,
        app_s_key: str | bytes | None = None,
        usage: Sequence[str] | None = None,
        timeout: _Seconds | None = None,
    ) -> Device:
        """Make a device one that is activated by personalisation (ABP), and give it.

        Its address comes from the network; frame counters begin at 0; the key for joining is dropped.

        Args:
            dev_id: The device.
            nwk_s_key: Network session key; random by default.
            app_s_key: Application session key; random by default.
            usage: What the address is for; ``["abp"]`` by default.
            timeout: Seconds for each of the three calls.
        """
    def move_device(self, dev_id: str, to: ApplicationClient, *, timeout: _Seconds | None = None) -> None:
        """Move a device to the application of another client. If that fails the device is put back."""
    def dry_uplink(
        self,
        payload: str | bytes | bytearray,
        port: int = 1,
        functions: Mapping[str, str] | Application | None = None,
        *,
        timeout: _Seconds | None = None,
    ) -> DryUplinkResult:
        """Run payload functions on an uplink's payload, without storing anything: the given ones, or the application's.

        Args:
            payload: Bytes, or text in hex.
            port: LoRaWAN FPort, 0 to 255.
            functions: ``decoder``, ``converter``, ``validator``, and ``payload_format``.
            timeout: Seconds.
        """
    def dry_downlink(
        self,
        fields: Mapping[str, Any] | bytes,
        port: int = 1,
        functions: Mapping[str, str] | Application | None = None,
        *,
        timeout: _Seconds | None = None,
    ) -> DryDownlinkResult:
        """Run payload functions on a downlink's fields, storing nothing: the given ones, or the application's."""
    def simulate_uplink(
        self, dev_id: str, payload: str | bytes | bytearray, port: int = 1, *, timeout: _Seconds | None = None
    ) -> None:
        """Have the network handle a payload as if a device had sent it."""
    def prefixes(self, *, timeout: _Seconds | None = None) -> RepeatedContainer[PrefixMapping]:
        """Give the network's blocks of device addresses: objects with ``prefix`` and ``usage``."""
    def dev_addr(self, usage: Sequence[str] | None = None, *, timeout: _Seconds | None = None) -> bytes:
        """Get a random device address for a usage, such as ``["abp"]``: 4 bytes."""
    def close(self) -> None:
        """Close the connection; later calls fail."""
    def __enter__(self) -> Self: ...
    def __exit__(self, *_exception: object) -> bool: ...

@final
class DeviceIterator:
    """The devices of an application, fetched page by page, from ``iter_devices``."""

    def __iter__(self) -> Self: ...
    def __next__(self) -> Device: ...

class _Sandbox:
    def __new__(
        cls,
        host: str = "127.0.0.1",
        mqtt_port: int = 0,
        mqtts_port: int | None = None,
        discovery_port: int = 0,
        handler_port: int = 0,
        insecure: bool = False,
        state: str | PathLike[str] | None = None,
        seed: int | None = None,
    ) -> Self: ...
    @property
    def mqtt_address(self) -> str:
        """``host:port`` of plain MQTT."""
    @property
    def mqtts_address(self) -> str | None:
        """``mqtts://host:port``, if TLS is served."""
    @property
    def discovery_address(self) -> str:
        """``host:port`` of the discovery service."""
    @property
    def handler_address(self) -> str:
        """``host:port`` of the handler, over gRPC."""
    @property
    def ca_certs(self) -> str:
        """The PEM certificate that TLS clients must trust."""
    def limit_calls(self, per_second: float | None) -> None:
        """Let the handler answer so many calls a second for each application; ``None`` for any number."""
    @property
    def clients(self) -> list[str]:
        """Identifiers of the clients that are connected, sorted."""
    def backlog(self, client_id: str) -> int:
        """Count the messages that wait for a client or are unacknowledged by it."""
    def publish_raw(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish bytes as they are, as if the network did: for tests of what a network should not send."""
    def follow(self) -> Follower:
        """Follow what passes through, from now on."""
    def cut(self, client_id: str | None = None) -> int:
        """Cut the connections of one client, or of all; gives how many there were."""
    def refuse_logins(self, code: int) -> None:
        """Refuse every login with this CONNACK code, 1 to 255; 0 ends it."""
    def refuse_connections(self, on: bool = True) -> None:
        """Close every new connection at once, or no longer."""
    def go_silent(self, on: bool = True) -> None:
        """Neither read nor write on any connection, or go on."""
    def delay(self, delay: _Seconds) -> None:
        """Hold every message to clients back for so many seconds."""
    def duplicate(self, count: int = 1) -> None:
        """Send the next messages to clients twice."""
    def garble(self, count: int = 1) -> None:
        """Garble the payload of the next messages to clients."""
    def withhold_acks(self, count: int = 1) -> None:
        """Do not acknowledge the next QoS 1 messages of clients."""
    def clear_faults(self) -> None:
        """Switch all faults off."""
    def _start(self) -> None: ...
    def _stop(self, streams: bool) -> None: ...
    def _forget(self, devices: bool) -> None: ...
    def _add_application(self, app_id: str, access_key: str, rights: list[str]) -> None: ...
    def _register(self, app_id: str, dev_id: str) -> None: ...
    def _delete(self, app_id: str, dev_id: str) -> None: ...
    def _devices(self, app_id: str) -> list[str]: ...
    def _locate(self, app_id: str, dev_id: str, latitude: float, longitude: float, altitude: int) -> None: ...
    def _configure(
        self,
        app_id: str,
        dev_id: str,
        attributes: dict[str, str] | None = None,
        acknowledges: bool | None = None,
    ) -> None: ...
    def _join(self, app_id: str, dev_id: str) -> None: ...
    def _uplink(
        self,
        app_id: str,
        dev_id: str,
        payload: bytes | str | None,
        fields: Mapping[str, Any] | None,
        port: int,
        confirmed: bool,
        is_retry: bool,
    ) -> int: ...
    def _downlinks(self, app_id: str, dev_id: str) -> list[str]: ...
    def _stream(self, app_id: str, devices: int, rate: float, count: int | None, seed: int) -> Stream: ...

@final
class Stream:
    """Uplinks of many devices, sent in the background, from ``Sandbox.stream``."""

    def wait(self) -> int:
        """Wait for the end; gives the number of uplinks. Ctrl-C stops the stream.

        Raises:
            RuntimeError: It was stopped, or has been waited for.
        """
    def stop(self) -> None:
        """Send no more."""

@final
class Follower:
    """What passes through a sandbox, from ``Sandbox.follow``. Iterating waits for each entry.

    An entry is a dict with ``kind``: ``connected``, ``refused``, ``disconnected``, ``subscribed`` or ``published``, and
    what belongs to it: ``client_id``, ``app_id``, ``code``, ``clean``, ``filter``, ``topic``, ``payload``, ``qos``,
    ``allowed``. The network's own messages have ``None`` as ``client_id``.
    """

    def next(self, timeout: _Seconds | None = None) -> dict[str, Any] | None:
        """Wait for the next entry; ``None`` if there is none within ``timeout`` seconds."""
    def __iter__(self) -> Self: ...
    def __next__(self) -> dict[str, Any]: ...

_Attributes: TypeAlias = Mapping[str, Any] | list[dict[str, Any]] | str
_Telemetry: TypeAlias = dict[str, Any] | list[dict[str, Any]]
_WithUserdata: TypeAlias = Callable[..., object] | tuple[Callable[..., object], Any]

@final
class MessageInfo:
    """One message on its way."""

    @property
    def mid(self) -> int:
        """Message ID, 1 to 65535."""
    @property
    def rc(self) -> int:
        """0, or a ``TB_ERR_…`` code once the server has refused the message."""
    def wait_for_publish(self, timeout: _Seconds | None = None) -> None:
        """Wait until the message is written (QoS 0) or acknowledged (QoS 1), at most ``timeout`` seconds."""
    def is_published(self) -> bool:
        """Whether the message is written (QoS 0) or acknowledged (QoS 1)."""

class TBPublishInfo:
    """What became of a send: one message, or several when it was split.

    Args:
        message_info: A message info (with ``rc``, ``mid`` and ``wait_for_publish``), or a list of them.
    """

    TB_ERR_AGAIN: ClassVar[int]
    TB_ERR_SUCCESS: ClassVar[int]
    TB_ERR_NOMEM: ClassVar[int]
    TB_ERR_PROTOCOL: ClassVar[int]
    TB_ERR_INVAL: ClassVar[int]
    TB_ERR_NO_CONN: ClassVar[int]
    TB_ERR_CONN_REFUSED: ClassVar[int]
    TB_ERR_NOT_FOUND: ClassVar[int]
    TB_ERR_CONN_LOST: ClassVar[int]
    TB_ERR_TLS: ClassVar[int]
    TB_ERR_PAYLOAD_SIZE: ClassVar[int]
    TB_ERR_NOT_SUPPORTED: ClassVar[int]
    TB_ERR_AUTH: ClassVar[int]
    TB_ERR_ACL_DENIED: ClassVar[int]
    TB_ERR_UNKNOWN: ClassVar[int]
    TB_ERR_ERRNO: ClassVar[int]
    TB_ERR_QUEUE_SIZE: ClassVar[int]
    ERRORS_DESCRIPTION: ClassVar[dict[int, str]]

    def __new__(cls, message_info: Any) -> Self: ...
    @property
    def message_info(self) -> Any:
        """The single messages."""
    def rc(self) -> int:
        """The first code that is not 0, without waiting; 0 while nothing has failed."""
    def mid(self) -> Any:
        """The message IDs, 1 to 65535, one for each message."""
    def get(self, timeout: _Seconds | None = None) -> int:
        """Wait for all messages and give a code: 0 only when each is acknowledged (QoS 1) or written (QoS 0).

        May be called again, and from inside callbacks.

        Args:
            timeout: Seconds; by default what the send was given, or 5.

        Returns:
            ``TB_ERR_SUCCESS``; ``TB_ERR_AGAIN`` while an acknowledgement is missing, ``TB_ERR_NO_CONN`` when there is
            no connection; for a refusal of the server (MQTT 5) ``TB_ERR_ACL_DENIED`` (not authorised), ``TB_ERR_INVAL``
            (topic or payload), ``TB_ERR_QUEUE_SIZE`` (quota), ``TB_ERR_PAYLOAD_SIZE`` or ``TB_ERR_UNKNOWN``.
        """
    def is_published(self) -> bool:
        """Whether every message is acknowledged (QoS 1) or written (QoS 0), without waiting."""

class GreedyTokenBucket:
    """A bucket of tokens that fills at an even rate.

    Args:
        capacity: Tokens when full, which it is at the start.
        duration_sec: Seconds from empty to full.
    """

    tokens: float
    """Tokens when they were counted last."""
    def __new__(cls, capacity: float, duration_sec: float) -> Self: ...
    @property
    def capacity(self) -> float:
        """Tokens when full."""
    @property
    def duration(self) -> float:
        """Seconds from empty to full."""
    @property
    def last_updated(self) -> float:
        """When the tokens were counted last, by ``time.monotonic()``."""
    def refill(self) -> None:
        """Count the tokens."""
    def can_consume(self, amount: float = 1.0) -> bool:
        """Whether there are so many tokens."""
    def consume(self, amount: float = 1.0) -> bool:
        """Take so many tokens if there are that many; tells whether."""
    def get_remaining_tokens(self) -> float:
        """Count the tokens and give their number."""

class RateLimit:
    """A limit of one or more windows, ``"count:seconds,…"``, all kept at once.

    Args:
        rate_limit: The windows as text, separated by ``,`` or ``;`` (empty or ``0:0`` for none), or what ``__dict__``
            gave.
        name: What it limits, for the log.
        percentage: The part of each count that is used.
    """

    def __new__(
        cls, rate_limit: str | dict[str, Any], name: str | None = None, percentage: int | None = 80
    ) -> Self: ...
    @property
    def name(self) -> str | None:
        """What it limits."""
    @property
    def percentage(self) -> int:
        """The part of each count that is used, in percent."""
    @property
    def _no_limit(self) -> bool: ...
    def increase_rate_limit_counter(self, amount: float = 1.0) -> None:
        """Take tokens, as far as there are any."""
    def check_limit_reached(self, amount: float = 1.0) -> Any:
        """``False``, or capacity and seconds of a window that has not so many tokens."""
    def get_minimal_limit(self) -> float:
        """The smallest capacity; 0 without a limit."""
    def get_minimal_timeout(self) -> int:
        """Seconds of the shortest window and one more, at most 5; 0 without a limit."""
    def has_limit(self) -> bool:
        """Whether there is a limit."""
    def set_limit(self, rate_limit: str, percentage: int | None = 80) -> None:
        """Replace the windows; tokens used of equal windows stay used."""
    def reach_limit(self) -> int | None:
        """Empty one window, the shortest first and the next one each time, since the server reports a limit."""
    @staticmethod
    def get_rate_limits_by_host(host: str, rate_limit: str, dp_rate_limit: str) -> tuple[str, str]: ...
    @staticmethod
    def get_rate_limit_by_host(host: str, rate_limit: str) -> str: ...
    @staticmethod
    def get_dp_rate_limit_by_host(host: str, dp_rate_limit: str) -> str: ...

@final
class MqttClient:
    """The MQTT client behind a ThingsBoard client, as far as programs reach into it."""

    _max_inflight_messages: int
    _max_queued_messages: int
    _on_connect: _Callback | None
    _on_disconnect: _Callback | None
    def is_connected(self) -> bool:
        """Whether the client is logged in now."""
    def publish(
        self, topic: str, payload: str | bytes | bytearray | float | None = None, qos: int = 0, retain: bool = False
    ) -> TBPublishInfo:
        """Publish bytes or text to any topic."""
    def subscribe(self, topic: str, qos: int = 0) -> tuple[int, int | None]:
        """Subscribe to one more filter, now and after every connect."""
    def unsubscribe(self, topic: str) -> tuple[int, int | None]:
        """End a subscription."""
    def will_set(
        self, topic: str, payload: str | bytes | bytearray | float | None = None, qos: int = 0, retain: bool = False
    ) -> None:
        """Set what the server publishes when the client is lost; holds from the next ``connect`` on."""
    def tls_set(
        self,
        ca_certs: str | bytes | PathLike[str] | None = None,
        certfile: str | PathLike[str] | None = None,
        keyfile: str | PathLike[str] | None = None,
        cert_reqs: int | None = None,
        tls_version: Any = None,
        ciphers: str | None = None,
        keyfile_password: str | None = None,
    ) -> None:
        """Speak TLS from the next ``connect`` on."""
    def tls_insecure_set(self, value: bool) -> None:
        """Accept any certificate, or check it again: with ``True`` there is no protection against an impostor."""
    def proxy_set(
        self,
        proxy_type: int | None = None,
        proxy_addr: str | None = None,
        proxy_port: int | None = None,
        proxy_rdns: bool | None = None,
        proxy_username: str | None = None,
        proxy_password: str | None = None,
    ) -> None:
        """Go through a SOCKS proxy from the next ``connect`` on; without an address no longer.

        Args:
            proxy_type: PySocks' numbers: 2 (SOCKS 5, the default) or 1 (SOCKS 4a).
            proxy_addr: Name or address of the proxy, which also resolves the server's name.
            proxy_port: Its port, 1080 by default.
            proxy_rdns: Of no effect.
            proxy_username: User name, where the proxy wants one.
            proxy_password: Password.
        """
    def enable_logger(self, logger: Any = None) -> None:
        """Do nothing: the log goes to the loggers ``tb_connection`` and ``thingslink`` in any case."""
    def loop_start(self) -> None:
        """Do nothing: there is no thread to start."""
    def loop_stop(self, *_args: Any, **_kwargs: Any) -> None:
        """Do nothing: there is no thread to stop."""
    def __getattr__(self, name: str) -> Any: ...
    def __setattr__(self, name: str, value: Any) -> None: ...

class TBDeviceMqttClient:
    """A device of a ThingsBoard server, over MQTT.

    Every generation of arguments is understood: ``(host)``, ``(host, token)``, ``(host, token, port)`` and
    ``(host, port, username, password, …)``; ``token=`` is another name of ``username``.

    Callbacks are called one at a time and in order, from threads of the library; how many parameters a callback has
    decides what it gets. An exception in a callback is logged to ``tb_connection``; everything goes on. All methods may
    be called from inside callbacks.

    Sending waits while there is no connection: until ``stop`` is called, or as long as ``timeout`` allows. What was
    accepted at QoS 1 is sent again after a reconnect until the server acknowledges it.

    A context manager: connects on enter, disconnects on exit.

    Args:
        host: Name or address of the server.
        port: Its port; 8883 is the usual one for TLS.
        username: Access token, or user name.
        password: Password, with basic credentials.
        quality_of_service: 0 or 1 (the default), for subscriptions and for what is sent without one of its own.
        client_id: MQTT client identifier; empty lets the server choose.
        chunk_size: Bytes of the pieces of a firmware download; 0 asks for the whole.
        messages_rate_limit: Limit of messages that are no telemetry, ``"count:seconds,…"``.
        telemetry_rate_limit: Limit of telemetry and attributes.
        telemetry_dp_rate_limit: Limit of the values in them.
        max_payload_size: Bytes above which telemetry and attributes are split.
        protocol: 5, with a step back to 3.1.1 when the server refuses it, or ``"3.1.1"``.

    Raises:
        ValueError: An argument that cannot be used, named.
        TypeError: A missing argument, or one of the wrong type.
    """

    EMPTY_RATE_LIMIT: ClassVar[RateLimit]
    stopped: bool
    """Whether ``stop`` was called."""
    max_payload_size: int
    """The size of messages in bytes, above which telemetry and attributes are split."""
    quality_of_service: int
    """0 or 1, for what is sent without a level of its own."""
    current_firmware_info: dict[str, str]
    """What is told about the installed firmware."""
    firmware_info: dict[str, Any]
    """The shared attributes that came last; there after the first ones."""
    firmware_data: bytes
    """The firmware package that came last; there after the first one."""
    firmware_received: bool
    """Whether a package is complete and being handled."""
    rate_limits_received: bool
    """Whether the session's limits were answered."""
    service_configuration_callback: _Callback | None
    """What gets the answer of ``getSessionLimits`` after every connect."""

    def __init__(
        self,
        host: str,
        port: int | str = 1883,
        username: str | int | None = None,
        password: str | int | None = None,
        quality_of_service: int | None = None,
        client_id: str = "",
        chunk_size: int = 0,
        messages_rate_limit: str = "DEFAULT_MESSAGES_RATE_LIMIT",
        telemetry_rate_limit: str = "DEFAULT_TELEMETRY_RATE_LIMIT",
        telemetry_dp_rate_limit: str = "DEFAULT_TELEMETRY_DP_RATE_LIMIT",
        max_payload_size: int = 8196,
        protocol: int | str = 5,
        **kwargs: Any,
    ) -> None: ...
    @property
    def _client(self) -> MqttClient: ...
    @property
    def _attr_request_dict(self) -> dict[int, Any]: ...
    @property
    def _messages_rate_limit(self) -> RateLimit: ...
    @property
    def _telemetry_rate_limit(self) -> RateLimit: ...
    @property
    def _telemetry_dp_rate_limit(self) -> RateLimit: ...
    def connect(
        self,
        callback: _Callback | None = None,
        min_reconnect_delay: _Seconds | None = 1,
        timeout: _Seconds | None = 120,
        tls: bool = False,
        ca_certs: str | bytes | PathLike[str] | None = None,
        cert_file: str | PathLike[str] | None = None,
        key_file: str | PathLike[str] | None = None,
        keepalive: _Seconds | None = 120,
        *,
        key_password: str | None = None,
        insecure: bool = False,
    ) -> None:
        """Open the connection; the login is answered to ``callback``, for every connection anew.

        Returns when the connection is open, without waiting for the answer. A refused login is logged, told to the
        callback and tried again.

        Args:
            callback: ``callback(client, userdata, flags, result_code)``, or with ``properties`` and ``tb_client``
                behind if it has a parameter of that name. ``result_code`` equals 0 on success.
            min_reconnect_delay: Seconds before the first attempt after a loss; doubles with each.
            timeout: Longest delay between attempts in seconds.
            tls: Whether to speak TLS (1.2 or 1.3). The port stays as it is.
            ca_certs: Certificates to trust instead of the system's: a path, PEM text or PEM bytes.
            cert_file: PEM file of the client's certificate, which may hold its key, too.
            key_file: PEM file of its key.
            keepalive: Seconds of silence before the connection is probed, whole, 0 (never) to 65535.
            key_password: What the key is encrypted with.
            insecure: Whether to accept any certificate: no protection against an impostor.

        Raises:
            OSError: The server cannot be reached (``ConnectionRefusedError``, ``socket.gaierror``, …),
                or a file not read.
            TlsError: The handshake failed, or a certificate cannot be used.
            ValueError: An argument that cannot be used.
        """
    def disconnect(self, *, timeout: _Seconds | None = None) -> int:
        """Send what was accepted and part with the server; gives 0, or 4 when there was no connection.

        Args:
            timeout: Seconds to wait for acknowledgements; 5 by default. What is left goes out on the next connection.
        """
    def stop(self) -> None:
        """Make those who wait for a connection give up; the connection itself stays."""
    def is_connected(self) -> bool:
        """Whether the client is logged in now."""
    def __enter__(self) -> Self: ...
    def __exit__(self, _type: object, _value: object, _traceback: object) -> None: ...
    def send_telemetry(
        self,
        telemetry: _Telemetry,
        quality_of_service: int | None = None,
        timeout: _Seconds | None = 5,
    ) -> TBPublishInfo:
        """Send telemetry: a dict of values, ``{"ts": ms, "values": {...}}``, or a list of these.

        Entries of one time are merged; what is over the limits goes in several messages.

        Args:
            telemetry: Values that JSON can express; dates, UUIDs, enumerations and dataclasses, too.
            quality_of_service: 0 or 1; by default the client's.
            timeout: Seconds to wait for the connection and for rate limits, and later in ``get``. By default ``get``
                waits 5 s, and sending as long as it takes.

        Raises:
            TypeError: Something that JSON cannot express, named; nothing was sent.
            TBQoSException: A level that is neither 0 nor 1.
        """
    def send_attributes(
        self,
        attributes: _Attributes,
        quality_of_service: int | None = None,
        timeout: _Seconds | None = 5,
    ) -> TBPublishInfo:
        """Send client attributes: a dict, or a list of dicts.

        Args:
            attributes: Values that JSON can express; a text is taken as JSON.
            quality_of_service: As in ``send_telemetry``.
            timeout: As in ``send_telemetry``.
        """
    def request_attributes(
        self,
        client_keys: Iterable[str] | None = None,
        shared_keys: Iterable[str] | None = None,
        callback: _WithUserdata | None = None,
    ) -> TBPublishInfo:
        """Ask for attributes; ``callback(result, exception)`` gets the answer, or a ``TBTimeoutException`` after 20 s.

        Args:
            client_keys: Names of client attributes.
            shared_keys: Names of shared attributes. Without any names all attributes are asked for.
            callback: A callable, or a tuple of one and what it gets as its last argument.
        """
    def subscribe_to_attribute(self, key: str, callback: _Callback) -> int:
        """Have ``callback(result, exception)`` called when a shared attribute changes; gives a number.

        Subscriptions survive a reconnect. The same callback for the same key counts once.
        """
    def subscribe_to_all_attributes(self, callback: _Callback) -> int:
        """Have ``callback(result, exception)`` called when any shared attribute changes; gives a number."""
    def unsubscribe_from_attribute(self, subscription_id: int | str) -> None:
        """End a subscription by its number, or all with ``"*"``."""
    def clean_device_sub_dict(self) -> None:
        """End all subscriptions to attributes."""
    def set_server_side_rpc_request_handler(self, handler: _Callback | None) -> None:
        """Set what answers calls of the server: ``handler([client,] request_id, body)``."""
    def send_rpc_reply(
        self, req_id: str | int, resp: Any, quality_of_service: int | None = None, wait_for_publish: bool = False
    ) -> None:
        """Answer a call from the server with anything that JSON can express."""
    def send_rpc_call(
        self, method: str, params: Any, callback: _Callback | None, timeout: _Seconds | None = None
    ) -> None:
        """Call the server; ``callback(id, result, exception)`` gets the answer, or why there is none.

        Args:
            method: Name of the method.
            params: What JSON can express.
            callback: Gets a ``TBTimeoutException`` after ``timeout``, a ``ConnectionError`` when the connection
                is lost.
            timeout: Seconds to wait for the answer; without one as long as the connection lasts.
        """
    def claim(self, secret_key: str, duration: int = 30000) -> TBPublishInfo:
        """Let a user claim the device with this key within ``duration`` milliseconds."""
    def max_inflight_messages_set(self, inflight: int) -> None:
        """Bound the QoS 1 messages that are unacknowledged at once; 0 for any number."""
    def max_queued_messages_set(self, queue_size: int) -> None:
        """Bound the messages that wait at once, after which sending waits, too; 0 for any number."""
    def reconnect_delay_set(self, min_delay: _Seconds | None = 1, max_delay: _Seconds | None = 120) -> None:
        """Set the delays between attempts to connect, in seconds: doubling from the first to the second."""
    def request_service_configuration(self, callback: _Callback) -> None:
        """Ask the server for the session's limits; ``callback`` gets the answer of the call."""
    def on_service_configuration(self, _request: object, response: Any, *_args: Any, **_kwargs: Any) -> None:
        """Keep to the session's limits, the answer of ``getSessionLimits``."""
    def get_firmware_update(self) -> None:
        """Download the firmware package that the shared attributes announce, now and whenever they change."""
    def update_firmware_info(
        self, title: str | None = None, version: str | None = None, state: Any = None, error: str | None = None
    ) -> None:
        """Change what is told about the firmware, and send it as telemetry."""
    def set_on_firmware_received_callback(self, cb: _Callback | None) -> None:
        """Set what gets a downloaded package: ``cb(client, data, version)``."""
    @staticmethod
    def provision(
        host: str,
        provision_device_key: str,
        provision_device_secret: str,
        port: int = 1883,
        device_name: str | None = None,
        access_token: str | None = None,
        client_id: str | None = None,
        username: str | None = None,
        password: str | None = None,
        hash: str | None = None,
        gateway: bool | None = None,
    ) -> dict[str, Any] | None:
        """Ask a server for credentials of a new device; gives its answer, or ``None`` when it refuses.

        Raises:
            OSError: The server cannot be reached.
            ThingsTimeoutError: No answer within a minute.
        """
    def add_attrs_request_timeout(self, attr_request_number: int, timeout: float) -> None:
        """Give up waiting for the answer to an attribute request at this time of ``time.monotonic()``."""
    def _on_connect(
        self,
        client: object,
        userdata: object,
        flags: object,
        result_code: object,
        properties: object = None,
        *extra_params: Any,
    ) -> None: ...
    def _on_decoded_message(self, _content: Any, _message: Any, **_kwargs: Any) -> None: ...
    @staticmethod
    def _decode(message: Any) -> Any: ...
    @staticmethod
    def _split_message(message_pack: Any, datapoints_max_count: int, max_payload_size: int) -> list[dict[str, Any]]: ...
    @staticmethod
    def _count_datapoints_in_message(data: Any, device: str | None = None) -> int: ...
    def _publish_data(
        self,
        data: Any,
        topic: str,
        qos: int | None,
        timeout: _Seconds | None = 5,
        device: str | None = None,
        msg_rate_limit: RateLimit | None = None,
        dp_rate_limit: RateLimit | None = None,
    ) -> TBPublishInfo: ...
    def _subscribe_to_topic(
        self, topic: str, qos: int | None = None, timeout: _Seconds | None = 5
    ) -> tuple[int, int | None]: ...
    def _add_attr_request_callback(self, callback: _WithUserdata) -> int: ...
    def __getattr__(self, name: str) -> Any: ...

class TBGatewayMqttClient(TBDeviceMqttClient):
    """A gateway of a ThingsBoard server, with devices behind it, over MQTT.

    A device as well: everything of ``TBDeviceMqttClient`` works for the gateway itself. Devices are announced again
    after a reconnect.

    Args:
        host: As in ``TBDeviceMqttClient``, like everything that is not told here.
        gateway: Kept as the attribute ``gateway``; of no other use.
        device_messages_rate_limit: Limit of messages of the devices that are no telemetry.
        device_telemetry_rate_limit: Limit of their telemetry and attributes.
        device_telemetry_dp_rate_limit: Limit of the values in them.
    """

    gateway: Any
    """Whatever the constructor was given."""
    devices_server_side_rpc_request_handler: _Callback | None
    """What is called for calls to devices."""
    device_disconnect_callback: _Callback | None
    """What is called, as ``callback(gateway, content)``, when the server drops a device."""

    def __init__(
        self,
        host: str,
        port: int | str = 1883,
        username: str | int | None = None,
        password: Any = None,
        gateway: Any = None,
        quality_of_service: int = 1,
        client_id: str = "",
        messages_rate_limit: str = "DEFAULT_MESSAGES_RATE_LIMIT",
        telemetry_rate_limit: str = "DEFAULT_TELEMETRY_RATE_LIMIT",
        telemetry_dp_rate_limit: str = "DEFAULT_TELEMETRY_DP_RATE_LIMIT",
        device_messages_rate_limit: str = "DEFAULT_MESSAGES_RATE_LIMIT",
        device_telemetry_rate_limit: str = "DEFAULT_TELEMETRY_RATE_LIMIT",
        device_telemetry_dp_rate_limit: str = "DEFAULT_TELEMETRY_DP_RATE_LIMIT",
        **kwargs: Any,
    ) -> None: ...
    @property
    def _devices_connected_through_gateway_messages_rate_limit(self) -> RateLimit: ...
    @property
    def _devices_connected_through_gateway_telemetry_messages_rate_limit(self) -> RateLimit: ...
    @property
    def _devices_connected_through_gateway_telemetry_datapoints_rate_limit(self) -> RateLimit: ...
    def gw_connect_device(self, device_name: str, device_type: str = "default") -> TBPublishInfo:
        """Tell the server that a device is there; needed for its calls and attribute updates."""
    def gw_disconnect_device(self, device_name: str) -> TBPublishInfo:
        """Tell the server that a device is gone."""
    def gw_send_telemetry(
        self, device: str, telemetry: _Telemetry, quality_of_service: int | None = 1, timeout: _Seconds | None = 5
    ) -> TBPublishInfo:
        """Send telemetry of a device, in the forms of ``send_telemetry``."""
    def gw_send_attributes(
        self, device: str, attributes: _Attributes, quality_of_service: int | None = 1, timeout: _Seconds | None = 5
    ) -> TBPublishInfo:
        """Send client attributes of a device, in the forms of ``send_attributes``."""
    def gw_request_shared_attributes(
        self, device_name: str, keys: list[str], callback: _WithUserdata | None
    ) -> TBPublishInfo:
        """Ask for shared attributes of a device; ``callback(result, exception)`` gets the answer."""
    def gw_request_client_attributes(
        self, device_name: str, keys: list[str], callback: _WithUserdata | None
    ) -> TBPublishInfo:
        """Ask for client attributes of a device; ``callback(result, exception)`` gets the answer."""
    def gw_subscribe_to_all_attributes(self, callback: _Callback) -> int:
        """Have ``callback(content)`` called when a shared attribute of any device changes; gives a number."""
    def gw_subscribe_to_all_device_attributes(self, device: str, callback: _Callback) -> int:
        """Have ``callback(content)`` called when any shared attribute of a device changes; gives a number."""
    def gw_subscribe_to_attribute(self, device: str, attribute: str, callback: _Callback) -> int:
        """Have ``callback(content)`` called when a shared attribute of a device changes; gives a number.

        Gives ``False`` for a device that is not connected. A second subscription for the same device and attribute
        takes the place of the first.
        """
    def gw_unsubscribe(self, subscription_id: int | str) -> None:
        """End a subscription by its number, those of a device by its name, or all with ``"*"``."""
    def gw_set_server_side_rpc_request_handler(self, handler: _Callback | None) -> None:
        """Set what answers calls to devices: ``handler(gateway, [request_id,] content)``."""
    def gw_send_rpc_reply(
        self, device: str, req_id: int, resp: Any, quality_of_service: int | None = None
    ) -> TBPublishInfo | None:
        """Answer a call to a device with anything that JSON can express."""
    def gw_claim(
        self, device_name: str, secret_key: str, duration: int, claiming_request: dict[str, Any] | None = None
    ) -> TBPublishInfo:
        """Let a user claim a device with this key within ``duration`` milliseconds."""
    def get_subscriptions_in_progress(self) -> bool:
        """Whether the subscriptions of the connection are still to be answered."""

class _ThingsBoard:
    def __new__(cls, host: str = "127.0.0.1", port: int = 0, tls_port: int | None = None) -> Self: ...
    @property
    def host(self) -> str:
        """Address that it listens on."""
    @property
    def port(self) -> int:
        """Port of plain MQTT."""
    @property
    def tls_port(self) -> int | None:
        """Port of MQTT over TLS, if it is served."""
    @property
    def ca_certs(self) -> str:
        """The PEM certificate that TLS clients must trust."""
    @property
    def devices(self) -> list[str]:
        """Names of the devices, sorted."""
    @property
    def connected(self) -> list[str]:
        """Names of the devices that are connected, themselves or through a gateway, sorted."""
    def allow_provisioning(self, key: str | None = None, secret: str | None = None) -> None:
        """Let devices be provisioned with this key and secret; without them no longer."""
    def limit(
        self,
        *,
        messages: str = "",
        telemetry_messages: str = "",
        telemetry_data_points: str = "",
        in_flight: int = 0,
        payload_bytes: int = 0,
    ) -> None:
        """Tell sessions these limits, ``"count:seconds,…"``, and hold them to it; empty texts and zeros for none."""
    def reject(self, topic: str, reason: int, count: int = 1) -> None:
        """Acknowledge the next messages on topics that begin so with this reason code, 128 to 255 (MQTT 5)."""
    def refuse_level_5(self, on: bool = True) -> None:
        """Refuse level 5 of MQTT, or no longer."""
    def drop_device(self, device: str, reason: int = 150) -> None:
        """Drop a device behind a gateway, as the server does: for a reason such as 150, its rate."""
    def push_raw(self, device: str, topic: str, payload: bytes) -> int:
        """Send bytes to a device as they are, for tests of what no server should send; gives the sessions reached."""
    def cut(self) -> int:
        """Cut all connections; gives how many there were."""
    def refuse_logins(self, code: int) -> None:
        """Refuse every login with this CONNACK code, 1 to 255; 0 ends it."""
    def refuse_connections(self, on: bool = True) -> None:
        """Close every new connection at once, or no longer."""
    def go_silent(self, on: bool = True) -> None:
        """Neither read nor write on any connection, or go on."""
    def withhold_acks(self, count: int = 1) -> None:
        """Do not acknowledge the next QoS 1 messages of clients."""
    def follow(self) -> Follower:
        """Follow what passes through, from now on."""
    def _start(self) -> None: ...
    def _stop(self) -> None: ...
    def _add_device(
        self,
        name: str,
        profile: str,
        gateway: bool,
        token: str | None,
        client_id: str | None,
        username: str | None,
        password: str | None,
        certificate: bytes | None,
    ) -> None: ...
    def _device(self, name: str) -> str | None: ...
    def _telemetry(self, device: str) -> str: ...
    def _attributes(self, device: str, scope: str) -> str: ...
    def _set_attributes(self, device: str, scope: str, values: str) -> None: ...
    def _delete_shared(self, device: str, keys: list[str]) -> None: ...
    def _call(self, device: str, method: str, params: str, timeout: _Seconds) -> str: ...
    def _script(self, method: str, answer: str | None) -> None: ...
    def _offer_firmware(self, device: str, attributes: str, data: bytes) -> None: ...

def _provision(host: str, port: int, request: Mapping[str, Any], timeout: _Seconds) -> bytes: ...
def _murmur3_32(data: bytes) -> int: ...
def _murmur3_128(data: bytes) -> int: ...
def _parse_message(data: str | bytes) -> Any: ...
def _parse_proto(full_name: str, data: bytes) -> Message: ...
def _after_fork() -> None: ...
def _shut_down() -> None: ...
