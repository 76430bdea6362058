"""What the original took from its MQTT client: the client itself, as ``_client``, and what connect callbacks get."""

# ruff: noqa: PLR0917, SLF001 - the parameters and the private names are the original's

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from thingslink._native import Callback, MqttHandle, Proxy, TlsSettings, Will

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike
    from typing import TypeAlias

    from thingslink._native import DeviceClient, TBPublishInfo

    _Callback: TypeAlias = Callable[..., object]
    _Payload: TypeAlias = str | bytes | bytearray | float | None
    _File: TypeAlias = str | PathLike[str]

#: PySocks' numbers of SOCKS 5 and of HTTP, and the port that each kind of proxy has by default.
_SOCKS5, _HTTP = 2, 3
_ON_CONNECT = "client, userdata, flags, reason_code, properties"
_ON_DISCONNECT = "client, userdata, disconnect_flags, reason_code, properties"
_PROXY_PORTS = {1: 1080, _SOCKS5: 1080, _HTTP: 8080}


class ConnectFlags(NamedTuple):
    """Flags of an answered login."""

    session_present: bool


class DisconnectFlags(NamedTuple):
    """Flags of an ended connection."""

    is_disconnect_packet_from_server: bool


class ReasonCode:
    """A code of MQTT, equal to its number and to its name."""

    __slots__ = ("_name", "value")

    def __init__(self, value: int, name: str) -> None:
        self.value = value
        self._name = name

    @property
    def is_failure(self) -> bool:
        """Whether it tells of a failure: up to 5 by MQTT 3.1.1, from 128 on by MQTT 5."""
        return self.value != 0

    def getName(self) -> str:  # noqa: N802 - the original's name
        """The code in words."""
        return self._name

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ReasonCode):
            return self.value == other.value
        if isinstance(other, int):
            return self.value == other
        if isinstance(other, str):
            return self._name == other
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.value)

    def __int__(self) -> int:
        return self.value

    def __str__(self) -> str:
        return self._name

    def __repr__(self) -> str:
        return f"ReasonCode({self.value}, {self._name!r})"


def taken(name: str, callback: _Callback | None, *forms: str) -> Callback | None:
    """Take a callback that can be called in one of these forms; ``None`` for none."""
    return None if callback is None else Callback(name, callback, *forms)


def given(callback: Callback | None) -> _Callback | None:
    """Give a callback back as the program gave it."""
    return None if callback is None else callback.function


def _body(payload: _Payload) -> bytes:
    if isinstance(payload, bytes | bytearray):
        return bytes(payload)
    return b"" if payload is None else str(payload).encode()


class TlsSetup(NamedTuple):
    """What ``tls_set`` was given."""

    files: tuple[Any, Any, Any, str | None]
    insecure: bool


class NetworkThread:
    """What keeps a connection, for programs that ask whether it lives; there is no thread of its own.

    Attributes:
        name: Name of the client's own thread in the original.
        daemon: It does not keep a program from ending.
    """

    name = "paho-mqtt-client-"
    daemon = True

    def __init__(self, client: MqttClient) -> None:
        self._client = client

    def is_alive(self) -> bool:
        """Whether the connection is kept, or made anew when it is lost."""
        return self._client._native_is_open()

    def join(self, timeout: float | None = None) -> None:
        """Wait until the connection is kept no longer, at most ``timeout`` seconds.

        Raises:
            RuntimeError: In a callback of the client, which would wait for itself.
        """
        # As of a thread: no time at all is left of a negative one.
        self._client._native_join(None if timeout is None else max(timeout, 0.0))


class MqttClient(MqttHandle):
    """The MQTT client behind a ThingsBoard client, as far as programs reach into it."""

    __module__ = "thingslink.tb_device_mqtt"

    def __init__(self, client: DeviceClient) -> None:  # noqa: ARG002 - taken by __new__
        self._will: Will | None = None
        self._proxy: Proxy | None = None
        # Kept as they were given: the files are read for each `connect` anew.
        self._tls: tuple[Any, Any, Any, str | None] | None = None
        self._tls_insecure = False
        self._told_of_connect: Callback | None = None
        self._told_of_disconnect: Callback | None = None

    def publish(self, topic: str, payload: _Payload = None, qos: int = 0, retain: bool = False) -> TBPublishInfo:
        """Publish bytes or text to any topic."""
        if retain:
            raise ValueError("retain is not valid: ThingsBoard keeps no messages")
        return self._native_publish(topic, _body(payload), qos)

    def will_set(self, topic: str, payload: _Payload = None, qos: int = 0, retain: bool = False) -> None:
        """Set what the server publishes when the client is lost; holds from the next ``connect`` on."""
        self._will = Will(topic, _body(payload), qos, retain)

    def tls_set(
        self,
        ca_certs: str | bytes | PathLike[str] | None = None,
        certfile: _File | None = None,
        keyfile: _File | None = None,
        cert_reqs: int | None = None,
        tls_version: Any = None,  # noqa: ARG002 - 1.2 and 1.3 are spoken, whichever is asked for
        ciphers: str | None = None,
        keyfile_password: str | None = None,
    ) -> None:
        """Speak TLS from the next ``connect`` on."""
        if ciphers is not None:
            raise ValueError("ciphers is not valid: they cannot be chosen")
        files = (ca_certs, certfile, keyfile, keyfile_password)
        insecure = cert_reqs == 0
        # Made to tell at once of what cannot be used.
        TlsSettings(*files, insecure, ("certfile", "keyfile", "keyfile_password"))
        self._tls, self._tls_insecure = files, insecure

    def tls_insecure_set(self, value: bool) -> None:
        """Accept any certificate, or check it again: with ``True`` there is no protection against an impostor."""
        if self._tls is None:
            raise ValueError("Must configure SSL context before using tls_insecure_set.")
        self._tls_insecure = value

    def _tls_settings(self) -> TlsSettings | None:
        return None if self._tls is None else TlsSettings(*self._tls, self._tls_insecure)

    def proxy_set(
        self,
        proxy_type: int | None = None,
        proxy_addr: str | None = None,
        proxy_port: int | None = None,
        proxy_rdns: bool | None = None,  # noqa: ARG002 - the proxy resolves names in any case
        proxy_username: str | None = None,
        proxy_password: str | None = None,
    ) -> None:
        """Go through a proxy from the next ``connect`` on; without an address no longer.

        Args:
            proxy_type: PySocks' numbers: 2 (SOCKS 5, the default), 1 (SOCKS 4a) or 3 (HTTP, with CONNECT).
            proxy_addr: Name or address of the proxy, which also resolves the server's name.
            proxy_port: Its port; by default 8080 of HTTP, 1080 of SOCKS.
            proxy_rdns: Of no effect.
            proxy_username: User name, where the proxy wants one.
            proxy_password: Password.
        """
        if proxy_addr is None:
            self._proxy = None
            return
        kind = _SOCKS5 if proxy_type is None else proxy_type
        port = _PROXY_PORTS.get(kind, 0) if proxy_port is None else proxy_port
        self._proxy = Proxy(kind, proxy_addr, port, proxy_username, proxy_password)

    def enable_logger(self, logger: Any = None) -> None:
        """Do nothing: the log goes to the loggers ``tb_connection`` and ``thingslink`` in any case."""

    def loop_start(self) -> None:
        """Do nothing: there is no thread to start."""

    def loop_stop(self, *_args: Any, **_kwargs: Any) -> None:
        """Do nothing: there is no thread to stop."""

    @property
    def _thread(self) -> NetworkThread | None:
        """What keeps the connection, between ``connect`` and ``disconnect``; ``None`` otherwise."""
        thread = NetworkThread(self)
        return thread if thread.is_alive() else None

    @property
    def _ssl(self) -> bool:
        """Whether TLS is spoken; may be switched off for the next ``connect``, and on again."""
        return self._tls is not None

    @_ssl.setter
    def _ssl(self, on: bool) -> None:
        self._tls = (self._tls or (None, None, None, None)) if on else None

    @property
    def _ssl_context(self) -> TlsSetup | None:
        """What ``tls_set`` was given, to be handed to another client."""
        return None if self._tls is None else TlsSetup(self._tls, self._tls_insecure)

    @_ssl_context.setter
    def _ssl_context(self, setup: TlsSetup | None) -> None:
        if isinstance(setup, TlsSetup):
            self._tls, self._tls_insecure = setup
        elif setup is not None:
            raise TypeError(f"_ssl_context must be that of another client, not {type(setup).__name__}: use tls_set")

    @property
    def _on_connect(self) -> _Callback | None:
        """What is told of connections instead of the client's own ``_on_connect``."""
        return given(self._told_of_connect)

    @_on_connect.setter
    def _on_connect(self, callback: _Callback | None) -> None:
        self._told_of_connect = taken("callback", callback, _ON_CONNECT)

    @property
    def _on_disconnect(self) -> _Callback | None:
        """What is told when a connection is lost or closed."""
        return given(self._told_of_disconnect)

    @_on_disconnect.setter
    def _on_disconnect(self, callback: _Callback | None) -> None:
        self._told_of_disconnect = taken("callback", callback, _ON_DISCONNECT)

    on_connect = _on_connect
    on_disconnect = _on_disconnect

    if TYPE_CHECKING:
        # Programs keep whatever they like here.
        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...
