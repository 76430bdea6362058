"""The ThingsBoard clients."""

import asyncio
from collections.abc import Callable, Generator, Iterable, Mapping
from os import PathLike
from typing import Any, ClassVar, TypeAlias, TypeVar, final

from thingslink._native.arguments import _Callback, _Seconds
from thingslink.typing import CallbackFailure, Level
from typing_extensions import Self

_Attributes: TypeAlias = Mapping[str, Any] | list[dict[str, Any]] | str
_Telemetry: TypeAlias = dict[str, Any] | list[dict[str, Any]]
_Client = TypeVar("_Client")
_OfAttributes: TypeAlias = (
    Callable[[Any, Exception | None], object]
    | Callable[[Any], object]
    | Callable[[_Client, Any, Exception | None], object]
)
_OfAnswer: TypeAlias = _OfAttributes[_Client] | tuple[Callable[[Any, Exception | None, Any], object], Any]
_OfCall: TypeAlias = Callable[[Any, Any], object] | Callable[[_Client, Any, Any], object]
_OfReply: TypeAlias = (
    Callable[[int, Any, Exception | None], object] | Callable[[_Client, int, Any, Exception | None], object]
)
_OfDevices: TypeAlias = Callable[[Any], object] | Callable[[_Client, Any], object]
_OfDeviceCall: TypeAlias = Callable[[_Client, Any], object] | Callable[[_Client, Any, Any], object]

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

@final
class ResultCode:
    """A code that is a number and can be called for it: the generations of the API differ in that."""

    def __call__(self) -> int: ...
    def __int__(self) -> int: ...
    def __index__(self) -> int: ...
    def __bool__(self) -> bool: ...
    def __hash__(self) -> int: ...
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __lt__(self, value: int, /) -> bool: ...
    def __le__(self, value: int, /) -> bool: ...
    def __gt__(self, value: int, /) -> bool: ...
    def __ge__(self, value: int, /) -> bool: ...

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
    @property
    def messageInfo(self) -> Any:
        """``message_info`` as the first generation spelled it."""
    @property
    def rc(self) -> ResultCode:
        """The first code that is not 0, without waiting; 0 while nothing has failed. To be called, or compared."""
    def wait_for_publish(self, timeout: _Seconds | None = None) -> None:
        """Wait until everything is written (QoS 0) or acknowledged (QoS 1), at most ``timeout`` seconds."""
    def __await__(self) -> Generator[Any, None, int]:
        """``await`` gives what ``get`` does, and holds no thread up meanwhile."""
    def mid(self) -> Any:
        """The message IDs, 1 to 65535, one for each message."""
    def get(self, timeout: _Seconds | None = None) -> int:
        """Wait for all messages and give a code: 0 only when each is acknowledged (QoS 1) or written (QoS 0).

        May be called again, and from inside callbacks.

        Args:
            timeout: Seconds; by default what the send was given, or 5.

        Returns:
            ``TB_ERR_SUCCESS``; ``TB_ERR_AGAIN`` while an acknowledgement is missing, ``TB_ERR_NO_CONN`` when there is
            no connection, ``TB_ERR_AUTH`` at once while the server refuses the login; for a refusal of the server
            (MQTT 5) ``TB_ERR_ACL_DENIED`` (not authorised), ``TB_ERR_INVAL`` (topic or payload),
            ``TB_ERR_QUEUE_SIZE`` (quota), ``TB_ERR_PAYLOAD_SIZE`` or ``TB_ERR_UNKNOWN``.
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
    def get_rate_limits_by_host(host: str, rate_limit: str, dp_rate_limit: str) -> tuple[str, str]:
        """Give the limits of messages and of data points for a host, as the two after it do."""
    @staticmethod
    def get_rate_limit_by_host(host: str, rate_limit: str) -> str:
        """Give the limit of messages for a host. A default's name is ThingsBoard Cloud's limit there, else none."""
    @staticmethod
    def get_dp_rate_limit_by_host(host: str, dp_rate_limit: str) -> str:
        """Give the limit of data points for a host. A default's name is ThingsBoard Cloud's limit there, else none."""

class TBTimeoutException(Exception):  # noqa: N818 - the original's name
    """A request was not answered in time."""

class TBQoSException(Exception):  # noqa: N818 - the original's name
    """A level of delivery that is neither 0 nor 1."""

@final
class TlsSettings:
    """Whom to trust, and who the client is. Made, it has read its files.

    Raises:
        OSError: A file cannot be read.
        TlsError: A certificate or a key cannot be used.
    """

    def __new__(
        cls,
        ca_certs: str | bytes | PathLike[str] | None,
        cert_file: str | PathLike[str] | None,
        key_file: str | PathLike[str] | None,
        key_password: str | None,
        insecure: bool,
        names: tuple[str, str, str] | None = None,
    ) -> Self: ...

@final
class Will:
    """What the server publishes when the client is lost."""

    def __new__(cls, topic: str, payload: bytes, qos: int, retain: bool) -> Self: ...

@final
class Proxy:
    """The proxy on the way to the server; its kinds are PySocks' numbers, 1 (SOCKS 4a) and 2 (SOCKS 5)."""

    def __new__(
        cls,
        proxy_type: int,
        proxy_addr: str,
        proxy_port: int,
        proxy_username: str | None,
        proxy_password: str | None,
    ) -> Self: ...

@final
class Prepared:
    """Everything that a connection needs, found to be of use."""

class MqttHandle:
    """The MQTT side of a client: the native half of ``_client``."""

    _max_inflight_messages: int
    _max_queued_messages: int
    def __new__(cls, client: DeviceClient) -> Self: ...
    def is_connected(self) -> bool:
        """Whether the client is logged in now."""
    def subscribe(self, topic: str, qos: int = 0) -> tuple[int, int | None]:
        """Subscribe to one more filter, now and after every connect."""
    def unsubscribe(self, topic: str) -> tuple[int, int | None]:
        """End a subscription."""
    def _native_is_open(self) -> bool: ...
    def _native_join(self, timeout: _Seconds | None) -> None: ...
    def _native_publish(self, topic: str, payload: bytes, qos: int) -> TBPublishInfo: ...

class DeviceClient:
    """The native half of ``TBDeviceMqttClient``: what happens often.

    Methods called ``_native_…`` are what the Python half builds on. Methods called ``_hear_…``, and
    ``_on_decoded_message``, do nothing here and are overridden there: the client calls them for what happens seldom,
    one at a time and in order, from the thread that serves it. What they raise is logged.
    """

    stopped: bool
    """Whether ``stop`` was called."""
    max_payload_size: int
    """The size of messages in bytes, above which telemetry and attributes are split."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self: ...
    def __init__(
        self,
        *,
        host: str,
        port: int,
        username: str,
        password: str,
        client_id: str,
        qos: int,
        version: int,
        limits: tuple[str, str, str],
        device_limits: tuple[str, str, str] | None,
        max_payload_size: int,
        on_callback_error: CallbackFailure,
    ) -> None: ...
    @property
    def _attr_request_dict(self) -> dict[int, Any]: ...
    _messages_rate_limit: RateLimit
    _telemetry_rate_limit: RateLimit
    _telemetry_dp_rate_limit: RateLimit
    def disconnect(self, *, timeout: _Seconds | None = None) -> int:
        """Send what was accepted and part with the server; gives 0, or 4 when there was no connection.

        Args:
            timeout: Seconds to wait for acknowledgements; 5 by default. What is left goes out on the next connection.
        """
    def stop(self) -> None:
        """Make those who wait for a connection give up; the connection itself stays."""
    def is_connected(self) -> bool:
        """Whether the client is logged in now."""
    def send_telemetry(
        self,
        telemetry: _Telemetry,
        quality_of_service: Level | None = None,
        timeout: _Seconds | None = 5,
    ) -> TBPublishInfo:
        """Send telemetry: a dict of values, ``{"ts": ms, "values": {...}}``, or a list of these.

        Entries of one time are merged; what is over the limits goes in several messages.

        Args:
            telemetry: Values that JSON can express. Also enumerations (their values), dataclasses, ``Decimal`` and
                other numbers (digit by digit), dates and times (ISO text), UUIDs, paths and addresses (text), scalars
                and arrays of numpy; what is no number or no time is null. ``ts`` is milliseconds since 1970 as a
                number or numeric text, or a ``datetime`` (without a zone: local time); ``None`` leaves the time to the
                server.
            quality_of_service: 0 or 1; by default the client's.
            timeout: Seconds to wait for the connection and for rate limits, and later in ``get``. By default ``get``
                waits 5 s, and sending as long as rate limits ask for and 190 s for the connection. While the server
                refuses the login nothing is waited for: the code is ``TB_ERR_AUTH``.

        Raises:
            TypeError: Something that JSON cannot express, or a ``ts`` that is no time, named; nothing was sent.
            TBQoSException: A level that is neither 0 nor 1.
        """
    def send_attributes(
        self,
        attributes: _Attributes,
        quality_of_service: Level | None = None,
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
        client_keys: str | Iterable[str] | None = None,
        shared_keys: str | Iterable[str] | None = None,
        callback: _OfAnswer[Self] | None = None,
    ) -> TBPublishInfo:
        """Ask for attributes; ``callback(result, exception)`` gets the answer, or a ``TBTimeoutException`` after 20 s.

        Args:
            client_keys: Names of client attributes; a text is one name.
            shared_keys: Names of shared attributes. Without any names all attributes are asked for.
            callback: A callable, or a tuple of one and what it gets as its last argument.
        """
    def subscribe_to_attribute(self, key: str, callback: _OfAttributes[Self]) -> int:
        """Have ``callback(result, exception)`` called when a shared attribute changes; gives a number.

        Subscriptions survive a reconnect. The same callback for the same key counts once, and so does what a connect
        callback subscribes to at every login anew.
        """
    def unsubscribe_from_attribute(self, subscription_id: int | str) -> None:
        """End a subscription by its number, or all with ``"*"``."""
    def clean_device_sub_dict(self) -> None:
        """End all subscriptions to attributes."""
    def set_server_side_rpc_request_handler(self, handler: _OfCall[Self] | None) -> None:
        """Set what answers calls of the server: ``handler([client,] request_id, body)``."""
    def send_rpc_reply(
        self, req_id: str | int, resp: Any, quality_of_service: Level | None = None, wait_for_publish: bool = False
    ) -> TBPublishInfo | None:
        """Answer a call from the server with anything that JSON can express.

        Returns:
            What becomes of the answer; ``None`` for a level that is neither 0 nor 1, which is logged.
        """
    def send_rpc_call(
        self, method: str, params: Any, callback: _OfReply[Self] | None, timeout: _Seconds | None = None
    ) -> TBPublishInfo:
        """Call the server; ``callback(id, result, exception)`` gets the answer, or why there is none.

        Args:
            method: Name of the method.
            params: What JSON can express.
            callback: Gets a ``TBTimeoutException`` after ``timeout``, a ``ConnectionError`` when the connection
                is lost or the login refused, a ``ValueError`` when the call is too large.
            timeout: Seconds to wait for the answer; without one as long as the connection lasts.

        Returns:
            What becomes of the call itself.

        Raises:
            TypeError: ``method`` is no text, or ``params`` is nothing that JSON can express.
        """
    def reconnect_delay_set(self, min_delay: _Seconds | None = 1, max_delay: _Seconds | None = 120) -> None:
        """Set the delays between attempts to connect, in seconds: doubling from the first to the second."""
    def add_attrs_request_timeout(self, attr_request_number: int, timeout: float) -> None:
        """Give up waiting for the answer to an attribute request at this time of ``time.monotonic()``."""
    def _native_prepare(
        self,
        keepalive: _Seconds | None,
        tls: TlsSettings | None,
        will: Will | None,
        proxy: Proxy | None,
        other_port: int | None,
    ) -> Prepared: ...
    def _native_pace(self, min_reconnect_delay: _Seconds | None, timeout: _Seconds | None) -> None: ...
    def _native_connect(self, prepared: Prepared) -> None: ...
    def _native_connect_async(self, prepared: Prepared) -> asyncio.Future[None]: ...
    def _close_async(self, timeout: _Seconds | None = None) -> asyncio.Future[int]: ...
    def _native_await(self, client: DeviceClient) -> None:
        """Be another view of this client: what it sends is awaited, and begun by that where it must wait."""
    def _native_forget(self, callback: Callable[..., object]) -> None:
        """Wait no more for the answers that this callback was to get."""
    @property
    def _native_waiting(self) -> int:
        """How many requests and calls wait for their answers."""
    @property
    def _is_refused(self) -> bool:
        """Whether the last login was refused for good."""
    def _native_claim_thread(self) -> None: ...
    def _native_connect_callback(self, running: bool) -> None: ...
    def _native_subscribe(self, topic: str, qos: int | None = None) -> tuple[int, int | None]: ...
    def _native_apply_limits(self, answer: Any) -> bool: ...
    def _native_keep_limits(self, keep: bool) -> None:
        """Whether the session's limits are kept to as soon as they are told, and waited for before anything is sent."""
    def _hear_connected(self, _code: int, _reason: str, _session_present: bool) -> None:
        """A login was answered: with the CONNACK code and its name."""
    def _hear_disconnected(self, _code: int) -> None:
        """A connection ended: 0 when that was asked for, 7 when it was lost."""
    def _hear_limits(self, _number: int, _answer: Any) -> None:
        """The question for the session's limits, which is the client's own, was answered."""
    def _hear_package(self, _kind: str, _attributes: dict[str, Any], _pushed: bool) -> None:
        """Shared attributes name a package of this kind, ``fw`` or ``sw``: pushed by the server, or an answer."""
    def _hear_piece(self, _kind: str, _request: int, _piece: int, _data: bytes) -> None:
        """A piece of a package came."""
    def _hear_piece_refused(self, _reason: Any, _request: int | None) -> None:
        """A piece of a package was refused by the server, or, of this request, given up on its way."""
    def _hear_piece_missing(self) -> None:
        """The time that was given to ``_native_await_piece`` is over."""
    def _native_await_piece(self, patience: _Seconds) -> None:
        """Have ``_hear_piece_missing`` called after so many seconds; what was asked before holds no longer."""
    def _hear_device_dropped(self, _content: dict[str, Any]) -> None:
        """The server dropped a device behind the gateway."""
    def _on_decoded_message(self, _content: Any, _message: Any) -> None:
        """A message came on a topic that the client does not know: its value, and the message itself."""
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
    def _add_attr_request_callback(self, callback: _OfAnswer[Self]) -> int: ...

class GatewayClient(DeviceClient):
    """The native half of ``TBGatewayMqttClient``; it adds methods alone."""

    devices_server_side_rpc_request_handler: _Callback | None
    """What is called for calls to devices."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self: ...
    _devices_connected_through_gateway_messages_rate_limit: RateLimit
    _devices_connected_through_gateway_telemetry_messages_rate_limit: RateLimit
    _devices_connected_through_gateway_telemetry_datapoints_rate_limit: RateLimit
    def gw_connect_device(self, device_name: str, device_type: str = "default") -> TBPublishInfo:
        """Tell the server that a device is there; needed for its calls and attribute updates."""
    def gw_disconnect_device(self, device_name: str) -> TBPublishInfo:
        """Tell the server that a device is gone."""
    def gw_send_telemetry(
        self, device: str, telemetry: _Telemetry, quality_of_service: Level | None = 1, timeout: _Seconds | None = 5
    ) -> TBPublishInfo:
        """Send telemetry of a device, in the forms of ``send_telemetry``."""
    def gw_send_attributes(
        self, device: str, attributes: _Attributes, quality_of_service: Level | None = 1, timeout: _Seconds | None = 5
    ) -> TBPublishInfo:
        """Send client attributes of a device, in the forms of ``send_attributes``."""
    def gw_request_shared_attributes(
        self, device_name: str, keys: str | Iterable[str] | None, callback: _OfAnswer[Self] | None
    ) -> TBPublishInfo:
        """Ask for shared attributes of a device; ``callback(result, exception)`` gets the answer."""
    def gw_request_client_attributes(
        self, device_name: str, keys: str | Iterable[str] | None, callback: _OfAnswer[Self] | None
    ) -> TBPublishInfo:
        """Ask for client attributes of a device; ``callback(result, exception)`` gets the answer."""
    def gw_subscribe_to_attribute(self, device: str, attribute: str, callback: _OfDevices[Self]) -> int:
        """Have ``callback(content)`` called when a shared attribute of a device changes; gives a number.

        Gives ``False`` for a device that is not connected. A second subscription for the same device and attribute
        takes the place of the first.
        """
    def gw_unsubscribe(self, subscription_id: int | str) -> None:
        """End a subscription by its number, those of a device by its name, or all with ``"*"``."""
    def gw_set_server_side_rpc_request_handler(self, handler: _OfDeviceCall[Self] | None) -> None:
        """Set what answers calls to devices: ``handler(gateway, [request_id,] content)``."""
    def gw_send_rpc_reply(
        self, device: str, req_id: int, resp: Any, quality_of_service: Level | None = None
    ) -> TBPublishInfo | None:
        """Answer a call to a device with anything that JSON can express."""
    def gw_claim(
        self,
        device_name: str | None = None,
        secret_key: str | None = None,
        duration: int | None = None,
        claiming_request: dict[str, Any] | None = None,
    ) -> TBPublishInfo:
        """Let a user claim a device with this key within ``duration`` milliseconds; or several, by a whole request."""
    def get_subscriptions_in_progress(self) -> bool:
        """Whether the subscriptions of the connection are still to be answered."""

def _set_rate_limit_percentage(percentage: int) -> None: ...
def _has_parameter(callable: _Callback, name: str) -> bool: ...
def _split_entries(items: list[Any], max_points: int, max_bytes: int) -> list[dict[str, Any]]: ...
def _provision(
    host: str, port: int, tls: TlsSettings | None, request: Mapping[str, Any], timeout: _Seconds
) -> bytes: ...
def _provision_async(
    host: str, port: int, tls: TlsSettings | None, request: Mapping[str, Any], timeout: _Seconds
) -> asyncio.Future[bytes]: ...
def _to_json(value: Any) -> bytes: ...
def _murmur3_32(data: bytes) -> int: ...
def _murmur3_128(data: bytes) -> int: ...
