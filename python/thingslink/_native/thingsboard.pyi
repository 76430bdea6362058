"""The ThingsBoard clients."""

from collections.abc import Callable, Iterable, Mapping
from os import PathLike
from typing import Any, ClassVar, TypeAlias, final

from thingslink._native.arguments import _Callback, _Seconds
from typing_extensions import Self

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

def _provision(host: str, port: int, request: Mapping[str, Any], timeout: _Seconds) -> bytes: ...
def _murmur3_32(data: bytes) -> int: ...
def _murmur3_128(data: bytes) -> int: ...
