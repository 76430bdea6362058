"""The clients that manage applications and their devices over gRPC."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import Any, final

from thingslink._native.arguments import _Octets, _Seconds
from thingslink._native.lorawan import MQTTClient
from thingslink._native.proto import (
    Announcement,
    Application,
    Device,
    DryDownlinkResult,
    DryUplinkResult,
    Empty,
    Message,
    PrefixMapping,
    RepeatedContainer,
)
from typing_extensions import Self

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

    A context manager, safe to share between threads and with forked children. A call takes at most ``timeout`` seconds,
    connecting included; 60 by default, of which the server is not told.

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
    def _call_async(self, name: str, /, *arguments: Any, **options: Any) -> asyncio.Future[Any]:
        """Call a method by its name, and give a future of asyncio in place of waiting.

        The seam for an asynchronous face. For the event loop that runs on this thread. Wrong arguments raise at once,
        everything else when the future is awaited. Cancelling it ends the call.
        """
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
        timeout: Seconds for asking the discovery server, connecting included; 60 by default.

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

    A context manager, safe to share between threads and with forked children. Each call takes at most ``timeout``
    seconds, connecting included: by default 30 (``ttn.application.TIME_OUT``), and 60 for deleting a device. A call
    that the server refuses because of its rate limit is tried again within that time.

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
        timeout: Seconds for asking the discovery server, connecting included; 60 by default.

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
        timeout: _Seconds | None = None,
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
        payload: str | _Octets,
        port: int = 1,
        functions: Mapping[str, str] | Application | None = None,
        *,
        timeout: _Seconds | None = None,
    ) -> DryUplinkResult:
        """Run payload functions on an uplink's payload, without storing anything: the given ones, or the application's.

        Args:
            payload: Bytes, a list of integers from 0 to 255, or text in hex.
            port: LoRaWAN FPort, 0 to 255.
            functions: ``decoder``, ``converter``, ``validator``, and ``payload_format``.
            timeout: Seconds.
        """
    def dry_downlink(
        self,
        fields: Mapping[str, Any] | _Octets,
        port: int = 1,
        functions: Mapping[str, str] | Application | None = None,
        *,
        timeout: _Seconds | None = None,
    ) -> DryDownlinkResult:
        """Run payload functions on a downlink's fields, storing nothing: the given ones, or the application's."""
    def simulate_uplink(
        self, dev_id: str, payload: str | _Octets, port: int = 1, *, timeout: _Seconds | None = None
    ) -> None:
        """Have the network handle a payload as if a device had sent it."""
    def prefixes(self, *, timeout: _Seconds | None = None) -> RepeatedContainer[PrefixMapping]:
        """Give the network's blocks of device addresses: objects with ``prefix`` and ``usage``."""
    def dev_addr(self, usage: Sequence[str] | None = None, *, timeout: _Seconds | None = None) -> bytes:
        """Get a random device address for a usage, such as ``["abp"]``: 4 bytes."""
    def _call_async(self, name: str, /, *arguments: Any, **options: Any) -> asyncio.Future[Any]:
        """Call a method by its name, and give a future of asyncio in place of waiting.

        The seam for an asynchronous face. For the event loop that runs on this thread. Wrong arguments raise at once,
        everything else when the future is awaited. Cancelling it ends the call.
        """
    def close(self) -> None:
        """Close the connection; later calls fail."""
    def __enter__(self) -> Self: ...
    def __exit__(self, *_exception: object) -> bool: ...

@final
class DeviceIterator:
    """The devices of an application, fetched page by page, from ``iter_devices``."""

    def __iter__(self) -> Self: ...
    def __next__(self) -> Device: ...
