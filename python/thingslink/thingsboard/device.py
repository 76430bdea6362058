"""The device's client: what happens often is native, what happens seldom is here."""

# ruff: noqa: SLF001, PLR0917 - the private names and the parameters are the original's

from __future__ import annotations

import sys
from types import MethodType
from typing import TYPE_CHECKING, Any

from thingslink._native import Callback, RateLimit, TBPublishInfo, TlsSettings, _has_parameter, _whole

from . import constructor
from .constants import CLAIMING_TOPIC, log
from .constructor import MESSAGES, POINTS, TELEMETRY
from .mqtt import ConnectFlags, DisconnectFlags, ReasonCode, taken
from .package_client import PackageClient
from .provisioning import provision

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta
    from os import PathLike
    from typing import Protocol, TypeAlias

    from typing_extensions import Self, Unpack

    from thingslink._native import Prepared
    from thingslink._native.thingsboard import _OfAttributes, _OfReply
    from thingslink.typing import CallbackFailure, Level

    _Callback: TypeAlias = Callable[..., object]
    _Seconds: TypeAlias = float | timedelta

    class _WithClient(Protocol):
        def __call__(
            self, client: Any, userdata: Any, flags: Any, result_code: Any, /, *, tb_client: Any
        ) -> object: ...

    class _WithPropertiesAndClient(Protocol):
        def __call__(
            self, client: Any, userdata: Any, flags: Any, result_code: Any, properties: Any, /, *, tb_client: Any
        ) -> object: ...

    _OfConnect: TypeAlias = (
        Callable[[Any, Any, Any, Any], object]
        | Callable[[Any, Any, Any, Any, Any], object]
        | _WithClient
        | _WithPropertiesAndClient
    )


#: Forms of the connect callback: without the client, and with it by name.
_CONNECTED = "client, userdata, flags, result_code"
_WITH_PROPERTIES = _CONNECTED + ", properties"
_WITH_CLIENT = _WITH_PROPERTIES + ", tb_client=", _CONNECTED + ", tb_client="


def _told_of_connect(callback: _OfConnect) -> Callback:
    without = _CONNECTED, _WITH_PROPERTIES
    # What takes any keyword is given the client only where it has no other way.
    wants_client = callable(callback) and _has_parameter(callback, "tb_client")
    forms = (*_WITH_CLIENT, *without) if wants_client else (*without, *_WITH_CLIENT)
    return Callback("callback", callback, *forms)


class _Default(int):
    """A number that stands in a signature, told from the same number given by a program."""


_MIN_DELAY = _Default(1)
_MAX_DELAY = _Default(120)


class TBDeviceMqttClient(PackageClient):
    """A device of a ThingsBoard server, over MQTT.

    Every generation of arguments is understood: ``(host)``, ``(host, token)``, ``(host, token, port)`` and
    ``(host, port, username, password, …)``; ``token=`` is another name of ``username``.

    Callbacks are called one at a time and in order, all of them on one thread of the library; how many parameters a
    callback has decides what it gets. An exception in a callback is logged to ``tb_connection``; everything goes on.
    All methods may be called from inside callbacks. A callback may be a coroutine function, too: it is run to its end
    before the next one is called, on the event loop that ran in the thread which set it, else on one of the library's
    own.

    Sending waits while there is no connection: until ``stop`` is called, as long as ``timeout`` allows, or 190 s. What
    was accepted at QoS 1 is sent again after a reconnect until the server acknowledges it.

    A wrong token is told by the callback of ``connect`` (its result code is 134, 135 or 133, and 5, 4 or 2 by
    MQTT 3.1.1) and in the log, for each attempt; ``is_connected`` is false. Until a login is let in nothing is waited
    for: what is sent, and ``get`` of what was sent before, gives ``TB_ERR_AUTH`` at once, and requests are answered to
    their callbacks with a ``ConnectionError``.

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
        on_callback_error: What becomes of a message at QoS 1 whose callback raised an exception. ``"acknowledge"``
            tells the server that it has arrived, ``"keep"`` does not: persistent one-way calls then come again with the
            next login, until the server's retries are used up. To everything else it makes no difference.

    Raises:
        ValueError: An argument that cannot be used, named.
        TypeError: A missing argument, or one of the wrong type.
    """

    __module__ = "thingslink.tb_device_mqtt"

    EMPTY_RATE_LIMIT = RateLimit("0:0", "EMPTY_RATE_LIMIT", 100)

    quality_of_service: int
    """0 or 1, for what is sent without a level of its own."""
    rate_limits_received: bool
    """Whether the session's limits were answered."""

    # Double underscores keep these apart from whatever a program's subclass calls its own.
    __connect_callback: Callback | None = None
    __limits_callback: Callback | None = None

    @constructor.of_every_generation("username", "port", "quality_of_service")
    def __init__(
        self,
        host: str,
        port: int | str = 1883,
        username: str | int | None = None,
        password: str | int | None = None,
        quality_of_service: Level | None = None,
        client_id: str = "",
        chunk_size: int = 0,
        messages_rate_limit: str = MESSAGES,
        telemetry_rate_limit: str = TELEMETRY,
        telemetry_dp_rate_limit: str = POINTS,
        max_payload_size: int = 8196,
        protocol: int | str = 5,
        *,
        on_callback_error: CallbackFailure = "acknowledge",
        **kwargs: Unpack[constructor.OtherArguments],
    ) -> None:
        own = {
            "messages_rate_limit": messages_rate_limit,
            "telemetry_rate_limit": telemetry_rate_limit,
            "telemetry_dp_rate_limit": telemetry_dp_rate_limit,
        }
        more = {
            **kwargs,
            "chunk_size": chunk_size,
            "max_payload_size": max_payload_size,
            "protocol": protocol,
            "on_callback_error": on_callback_error,
        }
        self._make_native(host, port, username, password, quality_of_service, client_id, own, None, more)

    def _make_native(
        self,
        host: str,
        port: int | str,
        username: str | int | None,
        password: str | int | None,
        quality_of_service: int | None,
        client_id: str,
        own: dict[str, Any],
        devices: dict[str, Any] | None,
        more: dict[str, Any],
    ) -> None:
        """Make the native client; `devices` are the limits of a gateway's devices."""
        host = constructor.text("host", host)
        quality = 1 if quality_of_service is None else quality_of_service
        if username == "":
            log.warning("token is not set, connection without tls wont be established")
        PackageClient.__init__(
            self,
            host=host,
            port=constructor.port(port),
            username="" if username is None else constructor.text("username", username),
            password="" if password is None else constructor.text("password", password),
            client_id=constructor.text("client_id", client_id),
            qos=int(quality != 0),
            version=constructor.version(more.get("protocol", 5)),
            limits=constructor.limits(host, own, more),
            device_limits=None if devices is None else constructor.limits(host, devices, more),
            max_payload_size=constructor.number("max_payload_size", more.get("max_payload_size", 8196)),
            on_callback_error=constructor.text("on_callback_error", more.get("on_callback_error", "acknowledge")),
            chunk_size=constructor.number("chunk_size", more.get("chunk_size", 0)),
        )
        self.quality_of_service = quality
        self.rate_limits_received = False

    def connect(
        self,
        callback: _OfConnect | None = None,
        min_reconnect_delay: _Seconds | None = _MIN_DELAY,
        timeout: _Seconds | None = _MAX_DELAY,
        tls: bool = False,
        ca_certs: str | bytes | PathLike[str] | int | None = None,
        cert_file: str | PathLike[str] | None = None,
        key_file: str | PathLike[str] | None = None,
        keepalive: _Seconds | None = 120,
        *,
        key_password: str | None = None,
        insecure: bool = False,
        port: int | str | None = None,
    ) -> None:
        """Open the connection; the login is answered to ``callback``, for every connection anew.

        Returns when the connection is open, without waiting for the answer. A refused login is logged, told to the
        callback and tried again, more and more rarely; meanwhile calls that would wait end at once (see the class).

        Args:
            callback: ``callback(client, userdata, flags, result_code)``, or with ``properties`` and ``tb_client``
                after them if it has a parameter of that name. ``result_code`` equals 0 on success.
            min_reconnect_delay: Seconds before the first attempt after a loss; doubles with each.
            timeout: Longest delay between attempts in seconds.
            tls: Whether to speak TLS (1.2 or 1.3). The port stays as it is.
            ca_certs: Certificates to trust instead of the system's: a path, PEM text or PEM bytes.
            cert_file: PEM file of the client's certificate, which may hold its key, too.
            key_file: PEM file of its key.
            keepalive: Seconds of silence before the connection is probed, whole, 0 (never) to 65535.
            key_password: What the key is encrypted with.
            insecure: Whether to accept any certificate: no protection against an impostor.
            port: Another port than the constructor's. In the first generation it stood, by position, before
                ``ca_certs``.

        Raises:
            OSError: The server cannot be reached (``ConnectionRefusedError``, ``socket.gaierror``, …),
                or a file not read.
            TlsError: The handshake failed, or a certificate cannot be used.
            ValueError: An argument that cannot be used.
        """
        told = None if callback is None else _told_of_connect(callback)
        if isinstance(ca_certs, int):
            # The first generation had the port in its place, and no time at the end.
            older_key: Any = keepalive if isinstance(keepalive, str) else None
            port, ca_certs, cert_file, key_file = ca_certs, cert_file, key_file, older_key
            keepalive = 120 if older_key is not None else keepalive
        files = (ca_certs, cert_file, key_file, key_password, insecure) if tls else None
        how = self._prepare_connection(keepalive, files, port, (min_reconnect_delay, timeout))
        self.__connect_callback = told
        self._native_connect(how)

    def _prepare_connection(
        self,
        keepalive: _Seconds | None,
        files: tuple[Any, ...] | None,
        port: int | str | None,
        delays: tuple[_Seconds | None, _Seconds | None],
    ) -> Prepared:
        """Put together what a connection needs; `files` are the arguments of `TlsSettings`, if TLS is asked for."""
        mqtt = self._client
        # As in the original: what was set there before holds.
        secured = mqtt._tls_settings()
        if secured is None and files is not None:
            secured = TlsSettings(*files)
        how = self._native_prepare(
            keepalive, secured, mqtt._will, mqtt._proxy, None if port is None else constructor.port(port)
        )
        given = [one for one in delays if one is not None and not isinstance(one, _Default)]
        # Without either of them, what `reconnect_delay_set` has said holds.
        if given:
            self._native_pace(*delays)
        self.__keep_limits()
        return how

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(self, _type: object, _value: object, _traceback: object) -> None:
        self.disconnect()

    def claim(self, secret_key: str, duration: int = 30000) -> TBPublishInfo:
        """Let a user claim the device with this key within ``duration`` milliseconds."""
        within = 30000 if duration is None else constructor.number("duration", duration)
        claim = {"secretKey": constructor.text("secret_key", secret_key), "durationMs": within}
        return self._publish_data(claim, CLAIMING_TOPIC, None)

    def subscribe_to_all_attributes(self, callback: _OfAttributes[Self]) -> int:
        """Have ``callback(result, exception)`` called when any shared attribute changes; gives a number."""
        return self.subscribe_to_attribute("*", callback)

    def max_inflight_messages_set(self, inflight: int) -> None:
        """Bound the QoS 1 messages that are unacknowledged at once; 0 for any number."""
        if _whole("inflight", inflight, -sys.maxsize, sys.maxsize) < 0:
            log.error("Inflight messages number must be equal or greater than 0")
        else:
            self._client._max_inflight_messages = inflight

    def max_queued_messages_set(self, queue_size: int) -> None:
        """Bound the messages that wait at once, after which sending waits, too; 0 for any number."""
        if _whole("queue_size", queue_size, -sys.maxsize, sys.maxsize) < 0:
            raise ValueError(f"Invalid queue size {queue_size}: expected 0 or more")
        self._client._max_queued_messages = queue_size

    # The session's limits.

    @property
    def service_configuration_callback(self) -> _Callback | None:
        """What gets the answer of ``getSessionLimits`` after every connect."""
        return self.on_service_configuration if self.__limits_callback is None else self.__limits_callback.function

    @service_configuration_callback.setter
    def service_configuration_callback(self, callback: _Callback | None) -> None:
        self.__limits_callback = taken("callback", callback, "request_id, result, exception")
        self.__keep_limits()

    def __keep_limits(self) -> None:
        """Have the limits kept to at once, natively, unless the program has a way of its own with them."""
        own = MethodType(TBDeviceMqttClient.on_service_configuration, self)
        self._native_keep_limits(self.service_configuration_callback == own)

    def request_service_configuration(self, callback: _OfReply[Self]) -> TBPublishInfo:
        """Ask the server for the session's limits; ``callback`` gets the answer of the call."""
        return self.send_rpc_call("getSessionLimits", {"timeout": 5000}, callback)

    def on_service_configuration(self, _request: object, response: Any, *_args: Any, **_kwargs: Any) -> None:
        """Keep to the session's limits, the answer of ``getSessionLimits``."""
        if isinstance(response, dict) and "error" in response:
            log.warning("Timeout while waiting for service configuration!, session will use default configuration.")
            self.rate_limits_received = True
        elif self._native_apply_limits(response):
            log.info("Service configuration was successfully retrieved and applied.")
            self.rate_limits_received = True
        else:
            log.warning("Cannot retrieve service configuration, session will use default configuration.")

    provision = staticmethod(provision)

    def _on_connect(
        self,
        client: object,
        userdata: object,
        flags: object,
        result_code: object,
        properties: object = None,
        *extra_params: Any,
    ) -> None:
        """Told of every connection; calls what ``connect`` was given."""
        callback = self.__connect_callback
        if callback is None:
            return
        extras = (properties, *extra_params) if "properties" in callback.form else extra_params
        keywords = {"tb_client": self} if callback.form in _WITH_CLIENT else {}
        callback(client, userdata, flags, result_code, *extras, **keywords)

    # Called by the native client, one at a time, from the thread that serves this client.

    def _hear_connected(self, code: int, reason: str, session_present: bool) -> None:
        super()._hear_connected(code, reason, session_present)
        mqtt = self._client
        told = mqtt._told_of_connect or self._on_connect
        # Without a callback nobody else is called: no reason for a thread of its own.
        if told != self._on_connect or self.__connect_callback is not None:
            self._native_claim_thread()
        self._is_connect_callback_running = True
        self._native_connect_callback(running=True)
        try:
            told(mqtt, None, ConnectFlags(session_present), ReasonCode(code, reason), None)
        finally:
            self._is_connect_callback_running = False
            self._native_connect_callback(running=False)

    def _hear_disconnected(self, code: int) -> None:
        super()._hear_disconnected(code)
        told = self._client._told_of_disconnect or self._on_disconnect
        if told != TBDeviceMqttClient._on_disconnect.__get__(self):
            self._native_claim_thread()
            reason = ReasonCode(code, "The connection was lost" if code else "Normal disconnection")
            told(self._client, None, DisconnectFlags(is_disconnect_packet_from_server=False), reason, None)

    def _hear_limits(self, number: int, answer: Any) -> None:
        most = answer.get("maxPayloadSize") if isinstance(answer, dict) else None
        self._most_bytes_told = most if isinstance(most, int) and most > 0 else 0
        if self.__limits_callback is not None:
            self._native_claim_thread()
            self.__limits_callback(number, answer, None)
        else:
            self.on_service_configuration(number, answer, None)

    if TYPE_CHECKING:
        # Programs keep whatever they like here.
        def __getattr__(self, name: str) -> Any: ...
