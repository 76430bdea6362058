"""The clients that manage applications and their devices over gRPC."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from typing import Any, TypedDict, TypeVar, final, overload, type_check_only

from thingslink._native.arguments import _Octets, _Seconds
from thingslink._native.lorawan import DeviceEvent, MQTTClient, UplinkMessage, _DataOptions
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
from thingslink.typing import DeviceFields, Network, PayloadFormat, Priority
from typing_extensions import Self, Unpack

_T = TypeVar("_T")

@type_check_only
class _ApplicationOptions(TypedDict, total=False):
    """The arguments of ``ApplicationClient`` that may be missing."""

    handler_address: str | None
    net_address: str | None
    cert_content: str | bytes | None
    discovery_address: str
    insecure_channel: bool
    token: str | None
    discovery_certificate: str | bytes | None
    timeout: _Seconds | None
    network: Network | None
    cluster: str | None
    identity_address: str | None
    frequency_plan_id: str | None
    lorawan_version: str | None
    lorawan_phy_version: str | None
    tenant_id: str | None
    profile: str | None
    max_reply_bytes: int
    grpc_address: str | None

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
        cluster: Of The Things Stack V3: ``"eu1"``, ``"nam1"``, ``"au1"``, or a host name. A ``discovery_address`` at a
            hosted network stands for its cluster. It is no server that could be asked: the client answers by itself,
            with the cluster as the one handler, at the usual ports, with TLS unless ``insecure_channel``.
        grpc_address: Of ChirpStack: ``host:port`` of its API. With this or ``mqtt_address`` the client answers by
            itself as well, with the two as those of the one handler.
        mqtt_address: Of ChirpStack: the broker that it publishes to.
        max_reply_bytes: How large a reply may be, 1024 to 1073741824 bytes; a larger one fails with ``OUT_OF_RANGE``.

    Raises:
        ValueError: An address or cluster that cannot be read.
        NotImplementedError: By ``get_by_gateway_id`` on V3 and ChirpStack.
        RpcError: By all calls, whatever went wrong: ``code()`` and ``details()`` tell.
    """

    def __new__(
        cls,
        discovery_address: str = "discovery.thethings.network:1900",
        certificate: str | bytes | None = None,
        insecure_channel: bool = False,
        *,
        cluster: str | None = None,
        grpc_address: str | None = None,
        mqtt_address: str | None = None,
        max_reply_bytes: int = 67108864,
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
    @overload
    def get(
        self,
        /,
        service_name: str | bytes,
        id: str | bytes,
        *,
        timeout: _Seconds | None = None,
    ) -> Announcement:
        """Give the announcement of one component.

        Args:
            service_name: ``"router"``, ``"broker"`` or ``"handler"``.
            id: Its ID. Also accepted as ``ID`` and ``service_id``.
            timeout: Seconds.
        """
    @overload
    def get(
        self, /, service_name: str | bytes, *, ID: str | bytes, timeout: _Seconds | None = None
    ) -> Announcement: ...
    @overload
    def get(
        self, /, service_name: str | bytes, *, service_id: str | bytes, timeout: _Seconds | None = None
    ) -> Announcement: ...
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

    The constructor asks the discovery server; with ``cluster`` it asks nobody. A context manager.

    Args:
        app_id: Application ID.
        access_key: Its access key. Also accepted as ``app_access_key``.
        discovery_address: ``host:port`` of the discovery server, or several separated by commas, tried in order.
        cert_path: Certificates to trust at the discovery server instead of the system's: a path, PEM text or PEM bytes.
        insecure_channel: Whether to ask discovery in plain text. A handler that announces a certificate is spoken to by
            TLS all the same.
        token: Token of the account server, used in place of the key.
        timeout: Seconds for asking the discovery server, connecting included; 60 by default.
        cluster: Of The Things Stack V3, in place of discovery: ``"eu1"``, ``"nam1"``, ``"au1"``, or a host name. Ports
            are the usual ones, with TLS unless ``insecure_channel``; ``cert_path`` is for both clients. A
            ``discovery_address`` at a hosted network stands for its cluster. An API key of V3 needs one of them.
        network: ``"v2"``, ``"v3"`` or ``"chirpstack"``; by default what the other arguments say.
        grpc_address: Of ChirpStack, in place of discovery: ``host:port`` of its API.
        mqtt_address: Of ChirpStack: the broker that it publishes to, for ``data()``.
        tenant_id: Of ChirpStack: the tenant, where ``app_id`` is a name.
        max_reply_bytes: How large a reply may be, of discovery and to the clients from ``application()``.

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

    @overload
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
        cluster: str | None = None,
        network: Network | None = None,
        grpc_address: str | None = None,
        mqtt_address: str | None = None,
        tenant_id: str | None = None,
        max_reply_bytes: int = 67108864,
    ) -> Self: ...
    @overload
    def __new__(
        cls,
        app_id: str,
        *,
        app_access_key: str | None,
        discovery_address: str = ...,
        cert_path: str | bytes | PathLike[str] | None = ...,
        insecure_channel: bool = ...,
        token: str | None = ...,
        timeout: _Seconds | None = ...,
        cluster: str | None = ...,
        network: Network | None = ...,
        grpc_address: str | None = ...,
        mqtt_address: str | None = ...,
        tenant_id: str | None = ...,
        max_reply_bytes: int = ...,
    ) -> Self: ...
    app_id: str
    """Application ID, for the clients made from now on."""
    app_access_key: str | None
    """Access key, for the clients made from now on."""
    insecure_channel: bool
    """Whether discovery was asked without TLS."""
    announcement: Any
    """What the handler has announced."""
    def data(self, reconnect: bool = True, **options: Unpack[_DataOptions]) -> MQTTClient:
        """Give a new MQTT client of the application; keyword arguments are those of ``MQTTClient``."""
    def application(
        self,
        *,
        identity_address: str | None = None,
        frequency_plan_id: str | None = None,
        lorawan_version: str | None = None,
        lorawan_phy_version: str | None = None,
        profile: str | None = None,
    ) -> ApplicationClient:
        """Give a new client that manages the application and its devices.

        The arguments are those of ``ApplicationClient``: ``profile`` is for ChirpStack, the others are for V3.

        Raises:
            ValueError: One of them is given on another network, or is none that there is.
        """
    @staticmethod
    def _given(*arguments: Any, **options: Any) -> _HandlerGiven:
        """Take the arguments, and ask nobody for anything."""
    def _data_as(self, class_: Callable[..., _T], /, reconnect: bool = True, **options: Any) -> _T:
        """Give what ``data`` does, of another class that takes the arguments of ``MQTTClient``."""
    def close(self) -> None:
        """Do nothing: discovery keeps no connection. For symmetry with the other clients."""
    def __enter__(self) -> Self: ...
    def __exit__(self, *_exception: object) -> bool: ...

class ApplicationClient:
    """Manages an application and its devices: on its handler of The Things Network V2, a Things Stack V3, a ChirpStack.

    An API key that begins with ``NNSXS.``, a host of the hosted networks or ``cluster`` mean V3; a key whose issuer
    says so, or a UUID as ``app_id``, mean ChirpStack; ``network`` overrides. All methods and messages have V2's shape
    on all of them; what is one call to the program may be several to V3 and to ChirpStack. A context manager, safe to
    share between threads and with forked children. Each call takes at most ``timeout`` seconds, connecting included: by
    default 30 (``ttn.application.TIME_OUT``), and 60 for deleting a device. A call that the server refuses because of
    its rate limit is tried again within that time; on V3 calls wait within it until the limit, which the server tells,
    has room for them.

    Args:
        app_id: Application ID; on V3 also ``app@tenant``; on ChirpStack its UUID, or its name and ``tenant_id``.
        access_key: Its access key, or an API key of V3 or ChirpStack. Also accepted as ``app_access_key``.
        handler_address: ``host:port``, or several separated by commas, tried in order; empty asks the discovery server,
            which announces the certificate, too. Also accepted as ``net_address``. On V3 the address of the cluster's
            gRPC servers, by default at port 8884, or 1884 without TLS; on ChirpStack, where it is accepted as
            ``grpc_address``, too, that of its API, by default at port 8080, without TLS to this machine alone unless
            ``insecure_channel``.
        cert_content: PEM text or bytes to trust, needed with an address; the handlers' self-signed certificates are
            accepted. On V3 and ChirpStack the system's roots are trusted by default.
        discovery_address: Server to ask when no address is given.
        insecure_channel: Whether to speak plain text in place of TLS.
        token: Token of the account server, used in place of the key.
        discovery_certificate: PEM text or bytes to trust at the discovery server instead of the system's roots.
        timeout: Seconds for asking the discovery server, connecting included; 60 by default.
        network: ``"v2"``, ``"v3"`` or ``"chirpstack"``; by default what key, address and application say.
        cluster: Of V3: ``"eu1"``, ``"nam1"``, ``"au1"`` of the community network, with a tenant those of the
            industry's, or a host name.
        identity_address: Of V3: ``host:port`` of the Identity Server; by default in ``eu1`` on hosted networks, beside
            the others elsewhere.
        frequency_plan_id: Of V3: what new devices are given, such as ``"EU_863_870_TTN"``; by default what the
            community uses in the cluster.
        lorawan_version: Of V3: what new devices are given, such as ``"1.0.2"`` or ``"MAC_V1_0_2"``, which is the
            default.
        lorawan_phy_version: Of V3: what new devices are given, such as ``"PHY_V1_0_2_REV_B"``, which is the default.
        tenant_id: Of ChirpStack: the tenant, by its UUID. An API key does not know its tenant.
        profile: Of ChirpStack: the device profile of new devices that it fits, and the one whose codec is the
            application's, by its name or UUID; by default the only one that there is.
        max_reply_bytes: How large a reply may be, 1024 to 1073741824 bytes; a larger one fails with ``OUT_OF_RANGE``.

    Attributes:
        app_id: Application ID; read at each call.
        app_access_key: Access key; read at each call.
        network: The network that is spoken to: ``"v2"``, ``"v3"`` or ``"chirpstack"``.

    Raises:
        ApplicationError: By all calls: a ``RuntimeError`` with the original's two ``args``, and ``code`` and
            ``details``, on V3 ``namespace``, ``name`` and ``attributes``, too; the call's own error is its cause.
        NotImplementedError: What the network does not have.
        ValueError: An ID, a key of a device or a value that cannot be used, named before anything is sent.
        TypeError: A value of the wrong type, named before anything is sent.
        RuntimeError: No certificate to trust is given or announced.
        RpcError: The handler was not discovered.
    """

    @overload
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
        network: Network | None = None,
        cluster: str | None = None,
        identity_address: str | None = None,
        frequency_plan_id: str | None = None,
        lorawan_version: str | None = None,
        lorawan_phy_version: str | None = None,
        tenant_id: str | None = None,
        profile: str | None = None,
        max_reply_bytes: int = 67108864,
        net_address: str | None = ...,
        grpc_address: str | None = ...,
    ) -> Self: ...
    @overload
    def __new__(cls, app_id: str, *, app_access_key: str | None, **options: Unpack[_ApplicationOptions]) -> Self: ...
    app_id: str
    """Application ID; read at each call."""
    app_access_key: str | None
    """Access key; read at each call."""
    client: Any
    """What the calls go through. May be replaced by anything with the service's methods."""
    @property
    def network(self) -> Network:
        """The network that is spoken to: ``"v2"``, ``"v3"`` or ``"chirpstack"``."""
    def get(self, *, profile: str | None = None, timeout: _Seconds | None = None) -> Application:
        """Give the application.

        On ChirpStack each device profile has a codec of its own: the functions are those of the one profile that its
        devices have, of ``profile``, or empty where there are several; ``chirpstack.profiles`` has them all.
        """
    def register(self, *, timeout: _Seconds | None = None) -> Empty:
        """Register the application on the handler.

        On V3 and ChirpStack it must be there already, which is checked.
        """
    def unregister(self, *, confirm: bool = False, timeout: _Seconds | None = None) -> Empty:
        """Delete the application on the handler, with all its devices.

        On V3 and ChirpStack ``confirm`` must be true: the application goes as a whole, and on V3 its ID cannot be used
        again.
        """
    def rights(self, *, timeout: _Seconds | None = None) -> list[str]:
        """List the rights of the access key, on The Things Stack V3.

        Names such as ``"RIGHT_APPLICATION_TRAFFIC_READ"``.
        """
    def gateways(
        self, *, limit: int | None = None, offset: int | None = None, timeout: _Seconds | None = None
    ) -> RepeatedContainer[Message]:
        """List the gateways of the application's tenant, on ChirpStack.

        Messages with ``gateway_id``, ``name``, ``description``, ``location``, ``state`` and ``last_seen_at``, sorted by
        ID; ``total`` tells how many there are in all.
        """
    def events(self, dev_id: str, *, timeout: _Seconds | None = None) -> EventIterator:
        """Iterate over the events of a device, on ChirpStack: some ten that the server has kept, then new ones.

        Each as a callback of ``MQTTClient`` gets it: an ``UplinkMessage`` or a ``DeviceEvent``.

        Args:
            dev_id: The device.
            timeout: Seconds: the iteration ends when nothing has come for so long.
        """
    @overload
    def set_payload_format(
        self, /, payload_format: PayloadFormat, *, profile: str | None = None, timeout: _Seconds | None = None
    ) -> None:
        """Set the payload format: ``"custom"``, ``"cayennelpp"`` or ``""`` for none. The functions stay.

        Also accepted as ``payloadf``. ``profile`` is as for ``set_custom_payload_functions``.
        """
    @overload
    def set_payload_format(
        self, /, *, payloadf: PayloadFormat, profile: str | None = None, timeout: _Seconds | None = None
    ) -> None: ...
    def set_custom_payload_functions(
        self,
        encoder: str | None = "",
        decoder: str | None = "",
        validator: str | None = "",
        converter: str | None = "",
        *,
        payload_format: PayloadFormat | None = None,
        register_on_join_access_key: str | None = None,
        profile: str | None = None,
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
            profile: Of ChirpStack: the device profile whose codec is meant, by its name or UUID. Without it there must
                be one alone that the application's devices have, and no other application's: a codec is all their
                devices'. ``Encoder`` is not told the port there, and gets 1.
            timeout: Seconds for each of the two calls.
        """
    def clear_custom_payload_functions(
        self, *names: str, profile: str | None = None, timeout: _Seconds | None = None
    ) -> None:
        """Remove payload functions: the named ones, or all."""
    def set_register_on_join_access_key(self, access_key: str, *, timeout: _Seconds | None = None) -> None:
        """Set the key with which devices register themselves when they join; ``""`` for none."""
    @overload
    def device(self, /, dev_id: str, *, timeout: _Seconds | None = None) -> Device:
        """Give a device.

        Args:
            dev_id: Its ID. Also accepted as ``devID``.
            timeout: Seconds.
        """
    @overload
    def device(self, /, *, devID: str, timeout: _Seconds | None = None) -> Device: ...
    def devices(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        complete: bool = False,
        timeout: _Seconds | None = None,
    ) -> RepeatedContainer[Device]:
        """List the devices, all or a page of them, sorted by ID. Frame counters and ``last_seen`` are 0 in lists.

        On V3 the last is in lists, too; a list has what the Identity Server knows: IDs, EUIs, description, place,
        attributes. The rest of a device, up to three calls, is asked for when its ``lorawan_device`` or ``v3`` is
        looked at, or the device itself is printed or encoded. So it is on ChirpStack, where lists are sorted by DevEUI.

        Args:
            limit: Devices at most.
            offset: Devices to skip.
            complete: Whether to ask for the rest of all devices at once, a few at a time; for programs that may not
                wait later, in an event loop, say.
            timeout: Seconds, for each call.

        Returns:
            A sequence; ``total`` tells how many devices there are in all.
        """
    def devices_pages(
        self, *, page_size: int = 100, complete: bool = False, timeout: _Seconds | None = None
    ) -> PageIterator:
        """Iterate over the pages of the list of devices: lists, whose ``total`` tells how far it is."""
    def iter_devices(self, *, page_size: int = 1000, timeout: _Seconds | None = None) -> DeviceIterator:
        """Iterate over the devices, asking the handler for one page after the other."""
    def register_device(
        self, dev_id: str, device: DeviceFields | Mapping[str, object] | Device, *, timeout: _Seconds | None = None
    ) -> Empty:
        """Register a device, or replace one: a dict with the keys of ``Device`` and ``LorawanDevice``, or a ``Device``.

        Args:
            dev_id: 2 to 36 of ``a-z 0-9``, single ``-`` or ``_`` between them; on ChirpStack any name.
            device: Keys in snake_case or camelCase, those of ``LorawanDevice`` also in a nested ``lorawan_device``; for
                type checkers, ``thingslink.typing.DeviceFields`` has them all. EUIs, addresses and keys are hex (any
                case, with or without ``:``, ``-``, blanks and ``0x``), or bytes of the exact length. On V3 also
                ``name``, ``frequency_plan_id``, ``lorawan_version``, ``lorawan_phy_version``, ``supports_class_b``,
                ``supports_class_c``, ``resets_join_nonces``, ``nwk_key``, ``mac_settings`` (a dict; times in seconds,
                frequencies in hertz), ``version_ids`` (a dict) and ``formatters`` (a dict with the payload functions'
                names). On ChirpStack also ``name``, ``profile`` (a name or UUID) or ``device_profile_id``,
                ``is_disabled``, ``variables`` (a dict of texts, for the codec), and ``nwk_key`` of LoRaWAN 1.1.
            timeout: Seconds, for each call.

        On V3 an ``app_key`` makes a device that joins (OTAA); an address and both session keys one that does not (ABP),
        or together with an ``app_key`` one that goes on without joining anew. A device is not replaced there:
        ``ALREADY_EXISTS``. Where a server refuses it, what the others had taken is deleted again. All this holds on
        ChirpStack, too, where every device has a ``dev_eui``; its profile is the given one, else the only one that
        fits. Its tag ``dev_id`` and its name are the ID; attributes are its other tags.
        """
    def check_device(self, dev_id: str, device: DeviceFields | Mapping[str, object] | Device) -> None:
        """Check a device as ``register_device`` does before it asks anybody, and ask nobody.

        Raises:
            ValueError: A value that is no good, a key that is unknown, or one that is missing.
            TypeError: A value of another type.
        """
    def update_device(
        self, dev_id: str, updates: DeviceFields | Mapping[str, object] | Device, *, timeout: _Seconds | None = None
    ) -> Empty | list[str]:
        """Change a device: what is given is changed, the rest stays. An attribute with the value ``None`` is removed.

        Reads the device once and writes it once, with all that the server knows of it.

        Returns:
            On V3 the servers that were told something: ``"IS"``, ``"JS"``, ``"NS"``, ``"AS"``. If one refuses, those
            before it keep the change, which the error's ``details`` say; on ChirpStack device, keys and session, which
            are told one after the other.
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
        """Move a device to the application of another client. If that fails the device is put back.

        On ChirpStack it keeps its session, and the other application is one of the same tenant.

        Raises:
            ApplicationError: A server has refused it; on V3 also for a key without the right to read the device's keys
                (``RIGHT_APPLICATION_DEVICES_READ_KEYS``): without them it would be of no use there.
        """
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
    def downlinks(self, dev_id: str, *, timeout: _Seconds | None = None) -> RepeatedContainer[Message]:
        """List the downlinks that wait for a device, on The Things Stack V3 and on ChirpStack.

        Messages with ``f_port``, ``frm_payload``, ``confirmed``, ``priority``, ``correlation_ids`` and ``f_cnt``; on
        ChirpStack ``id``, ``f_port``, ``data``, ``confirmed``, ``is_pending`` and ``f_cnt_down``.
        """
    def push_downlink(
        self,
        dev_id: str,
        payload: str | _Octets | Mapping[str, Any],
        port: int = 1,
        *,
        confirmed: bool = False,
        priority: Priority | None = None,
        correlation_ids: Sequence[str] | None = None,
        timeout: _Seconds | None = None,
    ) -> str | None:
        """Append a downlink to a device's queue, on The Things Stack V3 and on ChirpStack.

        Unlike over MQTT, what the server has against it is told.

        Args:
            dev_id: The device.
            payload: 1 to 255 bytes, on ChirpStack to 242, in any form or as base64 text; or a dict of fields for the
                encoder.
            port: LoRaWAN FPort, 1 to 255, but on V3 not 224.
            confirmed: Whether the device is to acknowledge it.
            priority: Of V3: from ``"LOWEST"``, the default, to ``"HIGHEST"``.
            correlation_ids: Of V3: texts of at most 100 characters that its events come with.
            timeout: Seconds.

        Returns:
            On ChirpStack the ID that its events have.
        """
    def replace_downlinks(
        self, dev_id: str, downlinks: Iterable[Mapping[str, Any]], *, timeout: _Seconds | None = None
    ) -> list[str] | None:
        """Replace a device's queue by these downlinks, on The Things Stack V3 and on ChirpStack.

        Dicts with the arguments of ``push_downlink``. All are taken, or none; on ChirpStack they go one after the
        other, their IDs are returned, and what was sent and waits for its acknowledgement stays.
        """
    def clear_downlinks(self, dev_id: str, *, timeout: _Seconds | None = None) -> None:
        """Drop the downlinks that wait for a device, on The Things Stack V3 and on ChirpStack.

        On ChirpStack also what was sent and waits for its acknowledgement.
        """
    def prefixes(self, *, timeout: _Seconds | None = None) -> RepeatedContainer[PrefixMapping]:
        """Give the network's blocks of device addresses: objects with ``prefix`` and ``usage``."""
    def dev_addr(self, usage: Sequence[str] | None = None, *, timeout: _Seconds | None = None) -> bytes:
        """Get a random device address for a usage, such as ``["abp"]``: 4 bytes."""
    @staticmethod
    def _given(*arguments: Any, **options: Any) -> _ApplicationGiven:
        """Take the arguments, and ask nobody for anything."""
    def _call_async(self, name: str, /, *arguments: Any, **options: Any) -> asyncio.Future[Any]:
        """Call a method by its name, and give a future of asyncio in place of waiting.

        The seam for an asynchronous face. For the event loop that runs on this thread. Wrong arguments raise at once,
        everything else when the future is awaited. Cancelling it ends the call.
        """
    def close(self) -> None:
        """Close the connection; later calls fail."""
    def __enter__(self) -> Self: ...
    def __exit__(self, *_exception: object) -> bool: ...

@type_check_only
class _ApplicationGiven:
    """The arguments of an ``ApplicationClient``."""

    @property
    def app_id(self) -> str: ...
    def known(self) -> ApplicationClient | None:
        """Give a client, if nothing is missing."""
    def open_async(self) -> asyncio.Future[ApplicationClient]:
        """Give a client, when what was missing is known."""

@type_check_only
class _HandlerGiven:
    """The arguments of a ``HandlerClient``."""

    @property
    def app_id(self) -> str: ...
    def open_async(self) -> asyncio.Future[HandlerClient]:
        """Give a client, when the handler is known."""

@final
class DeviceIterator:
    """The devices of an application, fetched page by page, from ``iter_devices``."""

    def __iter__(self) -> Self: ...
    def __next__(self) -> Device: ...

@final
class PageIterator:
    """The pages of the list of an application's devices, from ``devices_pages``."""

    def __iter__(self) -> Self: ...
    def __next__(self) -> RepeatedContainer[Device]: ...

@final
class StackApplication:
    """The messages that the servers of The Things Stack V3 have of an application, from its ``v3``."""

    @property
    def identity(self) -> Message:
        """The Identity Server's."""
    @property
    def link(self) -> Message | None:
        """The Application Server's; ``None`` where none was ever set."""

@final
class StackDevice:
    """The messages that the servers of The Things Stack V3 have of a device, from its ``v3``."""

    @property
    def identity(self) -> Message | None:
        """The Identity Server's."""
    @property
    def network(self) -> Message | None:
        """The Network Server's; ``None`` if it has nothing or may not tell."""
    @property
    def application(self) -> Message | None:
        """The Application Server's; ``None`` if it has nothing or may not tell."""
    @property
    def join(self) -> Message | None:
        """The Join Server's; ``None`` if it has nothing or may not tell."""

@final
class EventIterator:
    """The events of a device, from ``events``.

    It ends when nothing has come for the timeout. Nothing is read while nobody asks. Safe to share between threads.
    """

    def __iter__(self) -> Self: ...
    def __next__(self) -> UplinkMessage | DeviceEvent: ...
    def _next_async(self) -> asyncio.Future[UplinkMessage | DeviceEvent | None]:
        """The next one, for asyncio; ``None`` after the last."""

@final
class ChirpStackApplication:
    """The messages that a ChirpStack server has of an application, from its ``chirpstack``."""

    @property
    def application(self) -> Message:
        """The application itself."""
    @property
    def profiles(self) -> list[Message]:
        """The device profiles that its devices have, each with its codec; the one that was asked for."""

@final
class ChirpStackDevice:
    """The messages that a ChirpStack server has of a device, from its ``chirpstack``."""

    @property
    def device(self) -> Message | None:
        """The device itself."""
    @property
    def keys(self) -> Message | None:
        """Its keys; ``None`` if it has none, or this API key may not read them."""
    @property
    def activation(self) -> Message | None:
        """Its session; ``None`` if it has none, or this API key may not read it."""
