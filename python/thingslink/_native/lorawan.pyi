"""The MQTT client of LoRaWAN networks, and its messages."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from os import PathLike
from typing import Any, Final, Literal, SupportsIndex, TypeAlias, TypedDict, final, overload, type_check_only

from thingslink._native.arguments import _Octets, _Seconds
from thingslink.frame import Recorder
from thingslink.typing import (
    CallableWith,
    CallbackFailure,
    ClassBC,
    DownlinkState,
    EventName,
    Level,
    Network,
    Overflow,
    Priority,
    RowOf,
    Schedule,
)
from typing_extensions import NotRequired, Self, Unpack

_Activations: TypeAlias = Literal["activations", "activations/errors", "join"]
_Registrations: TypeAlias = Literal["create", "update", "delete"]
_Downlinks: TypeAlias = Literal[
    "down/scheduled",
    "down/sent",
    "down/acks",
    "down/errors",
    "down/nack",
    "down/invalidated",
    "down/queued",
    "down/ack",
    "down/failed",
]
_Payload: TypeAlias = str | _Octets | Mapping[str, Any] | _Object

@type_check_only
class _DataOptions(TypedDict, total=False):
    """The arguments of ``MQTTClient`` that say how it works, not where it goes."""

    mqtt_address: str | None
    mqttAddress: str | None
    discovery_address: str
    keep_alive: _Seconds | None
    client_id: str
    clean_session: bool
    qos: Level
    tls: bool | None
    ca_certs: str | bytes | PathLike[str] | None
    reconnect_min_delay: _Seconds | None
    reconnect_max_delay: _Seconds | None
    max_message_bytes: int
    max_inflight: int
    queue_messages: int | None
    queue_bytes: int | None
    overflow: Overflow | None
    send_queue_messages: int
    send_queue_bytes: int
    insecure_channel: bool
    discovery_certificate: str | bytes | None
    on_callback_error: CallbackFailure | None
    manual_ack: bool
    network: Network | None
    cluster: str | None
    queue_timeout: _Seconds | None
    follow_downlinks: bool
    group: str | None
    ordered: bool
    ack_wait: _Seconds | None
    nats_user: str | None
    nats_password: str | None
    nats_token: str | None
    nats_nkey: str | None
    nats_credentials: str | PathLike[str] | None
    nats_monitor: str | None
    management_address: str | None
    identity_address: str | None
    backfill: bool
    mqtt_username: str | None
    mqtt_password: str | None
    client_cert: str | bytes | PathLike[str] | None
    client_key: str | bytes | PathLike[str] | None
    grpc_address: str | None
    tenant_id: str | None
    event_topic: str | None
    command_topic: str | None

@type_check_only
class _Options(_DataOptions, total=False):
    """The arguments of ``MQTTClient`` that may be missing."""

    reconnect: bool

@type_check_only
class _SendOptions(TypedDict, total=False):
    """The arguments of ``send`` that may be missing, in every spelling."""

    port: int
    confirmation: bool
    conf: bool
    confirmed: bool
    schedule: Schedule | None
    sched: Schedule | None
    priority: Priority | None
    class_b_c: ClassBC | None
    confirmed_retry: int | dict[str, int] | None
    correlation_ids: list[str] | None

class Stats(TypedDict):
    """Counters of a client since it was made; all but those of now only grow.

    Attributes:
        received: Messages taken in from the network.
        delivered: Messages whose callbacks have returned.
        dropped: Messages dropped because callbacks were too slow, the client was closing, or nobody listened.
        undecodable: Messages that were no JSON; raw callbacks got them all the same.
        oversize: Packets over ``max_message_bytes``, skipped.
        callback_errors: Exceptions that callbacks raised.
        kept: Messages left with the server because a callback raised an exception.
        sent: Downlinks written (QoS 0) or acknowledged (QoS 1).
        reconnects: Connections made anew after a loss.
        queue_length: Messages between network and callbacks now.
        queue_bytes: Their bytes.
        unsent: Downlinks that are neither written nor acknowledged now.
        backfilled: Of the messages taken in, those that were fetched from what the network keeps: see ``backfill``.
        redelivered: Only of a group over NATS, as the two after it: messages that had been delivered before.
        dead: Messages that were put among the dead letters.
        lag: Messages that the group, or in order the lanes of this client, had not been given when it last heard.
    """

    received: int
    delivered: int
    dropped: int
    undecodable: int
    oversize: int
    callback_errors: int
    kept: int
    sent: int
    reconnects: int
    queue_length: int
    queue_bytes: int
    unsent: int
    backfilled: int
    redelivered: NotRequired[int]
    dead: NotRequired[int]
    lag: NotRequired[int]

class MQTTClient:
    """Receives an application's uplinks and sends its downlinks.

    Callbacks add up and are called in the order in which they were set, one at a time, all of a client's on one thread
    of the library (see ``thingslink.callback_threads``). They get the client as second argument: by keyword if they
    have a parameter ``client`` elsewhere or ``**kwargs``, else by position; a callable with one parameter gets one
    argument. An exception in a callback is logged to ``thingslink.ttn`` and given to the error callbacks; everything
    goes on. All methods may be called from inside callbacks.

    A callback may be a coroutine function, or give anything else to be awaited: it is run to its end before the next
    one is called, on the event loop that ran in the thread which set it, else on one of the library's own.

    A context manager: connects on enter, closes on exit, and can be used again.

    Args:
        app_id: Application ID; on The Things Stack V3 ``app`` or ``app@tenant``, where a hosted stack's host name says
            the tenant that is not given; on ChirpStack its UUID, or its name: messages have the name. Also accepted as
            ``appID``.
        access_key: Its access key; on ChirpStack an API key, which goes to ``grpc_address`` and never to the broker, or
            ``None``. Also accepted as ``app_access_key`` and ``appAccessKey``.
        mqtt_address: ``host``, ``host:port``, ``mqtt://host[:port]`` or ``mqtts://host[:port]``; IPv6 in brackets when
            a port follows. ``mqtts`` and port 8883 mean TLS. Read by ``connect``. Also accepted as ``mqttAddress``.
            On V3 an address without scheme and port means TLS, but for this machine, and a key goes to another
            machine without TLS only with ``tls=False``.
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
        queue_messages: Bound of the queue between network and callbacks; by default 100,000.
        queue_bytes: Its bound in bytes; by default 128 MiB.
        overflow: What a full queue does at QoS 0: ``"stop_reading"`` leaves what comes to the kernel and the server
            until there is room, the default on V2; ``"drop_oldest"`` drops, counts and warns, from half of the bound
            on, the default on V3, which would drop without a word. At QoS 1 reading stops.
        send_queue_messages: Bound of the queue of downlinks; ``send`` waits for room up to 30 s.
        send_queue_bytes: Its bound in bytes.
        insecure_channel: Whether to ask the discovery server in plain text.
        discovery_certificate: PEM text or bytes to trust at the discovery server instead of the system's roots.
        on_callback_error: What becomes of an uplink at QoS 1 whose callback raised an exception. ``"acknowledge"``,
            the default, lets the server forget it; ``"keep"`` leaves it with the server, which sends it again on the
            next connection, and counts it in ``stats()["kept"]``. Over NATS ``"keep"`` is the default: see ``group``.
        manual_ack: Whether the program acknowledges uplinks by itself, with ``ack``; needs QoS 1.
        network: ``"v2"`` (The Things Network V2), ``"v3"`` (The Things Stack V3) or ``"chirpstack"`` (ChirpStack v4).
            By default V3 for a key that begins with ``NNSXS.``, for ``cluster``, and for an address of a hosted stack;
            ChirpStack for a key that says so, and for an ``app_id`` that is a UUID; else V2.
        cluster: In place of ``mqtt_address``, on V3: ``"eu1"``, ``"nam1"`` or ``"au1"``, for an ``app_id`` with a
            tenant also ``"eu2"`` and ``"as1"``; or a host name.
        queue_timeout: Seconds, on V3, in which the network has to say that a written downlink is queued; 10 by default.
            After that it counts as ``unconfirmed``, and the error callbacks get a ``DownlinkError``.
        follow_downlinks: Whether to listen to what the network tells of downlinks from the first connect on. On V3 that
            begins with the first ``send`` at the latest, on V2 with the first call of ``downlink``.
        group: Share the application's messages with all clients that name the same group, letters, digits, ``-`` and
            ``_``: each message goes to one of them, by the broker's shared subscriptions (``$share/<group>/…``). What a
            client has in hand when it dies is lost, so this is no queue. Needs ``clean_session``; The Things Stack V3
            has no shared subscriptions. What became of downlinks is not followed further than ``written``.
            With a ``mqtt_address`` of NATS, ``nats://host[:4222]`` or ``tls://…``, several servers separated by
            commas, the group shares the stream that ``thingslink bridge`` fills: each message goes to one client and
            is acknowledged when its callbacks have returned. One that raises has the message come again after 1, 5
            and 30 s, and after five failures it is put among the dead letters. Clients of a group should have the
            same callbacks.
        ordered: Over NATS: whether each device's messages come one after the other, in their order, whichever client
            gets them. A message that fails then holds the 1 in 256 devices that share its lane.
        ack_wait: Over NATS: seconds after which a client that died gives its messages to others; 1 to 3600, 30 by
            default. All clients of a group should have the same.
        nats_user: With ``nats_password``: the login at NATS. Where none is given, ``app_id`` and ``access_key`` are
            it, unless that is an access key of The Things Network or Stack, which goes to no NATS server.
        nats_password: See there.
        nats_token: Instead: a token.
        nats_nkey: Instead: the seed of an nkey.
        nats_credentials: Instead: the path of a credentials file.
        nats_monitor: Monitoring of the NATS server, by default ``http://host:8222``; its settings are looked at there,
            if it lets us, and the log tells what of them could lose messages.
        management_address: On V3, where the stack's gRPC servers are, ``host`` or ``host:port``; known by itself for a
            ``cluster`` and for a hosted ``mqtt_address``. ``schedule="first"`` needs it. With it a downlink of which
            nothing is said has its true reason, ``connect`` waits for an Identity Server that is away instead of
            calling the key wrong, and the error callbacks are told of a key that cannot read traffic. TLS with
            ``discovery_certificate``, else ``ca_certs``, else the system's certificates; plain text with
            ``insecure_channel``.
        identity_address: On V3, where the Identity Server is, if it is not beside the others; for hosted clusters it
            is known by itself.
        backfill: Whether uplinks and events that came while the client was away are fetched after each login,
            on V3 from the storage integration that hosted stacks have (over gRPC, at ``management_address``). They are
            delivered in their order before what comes from then on, none twice, and counted in
            ``stats()["backfilled"]``. The first login fetches nothing: nothing was missed. The integration has to be
            enabled for the application, and keeps messages for a limited time; what cannot be had the error callbacks
            are told. Of a message that is fetched ``v3`` has what the library's definitions know. On ChirpStack the
            same over ``grpc_address`` and with an API key, from the ten events or so that the server keeps of each
            device; of a device with more than these the error callbacks are told that older ones are lost.
        mqtt_username: On ChirpStack, the user of the operator's broker. Without it, and without a certificate, the
            login is anonymous.
        mqtt_password: The user's password.
        client_cert: On ChirpStack, the certificate to show the broker: a path, PEM text or PEM bytes. It means TLS.
        client_key: Its key, likewise, unless it stands beside the certificate.
        grpc_address: On ChirpStack, where its API is, ``host`` or ``host:port``, port 8080 by default; ``https://`` and
            ``http://`` say whether there is TLS. By itself there is, but on this machine: the API key goes without TLS
            to another machine only with ``tls=False`` or ``insecure_channel=True``. With it ``connect`` checks
            application and key, devices are found by their names, and ``send`` returns when a downlink is queued.
            Where a proxy before it passes HTTP/1.1 alone it is called by gRPC-web instead of gRPC.
        tenant_id: On ChirpStack, the tenant's UUID, which the API needs to find an application by its name.
        event_topic: On ChirpStack, how the server writes the topics of its events, where its configuration says
            otherwise than by default: the text of ``event_topic`` there, with ``{{application_id}}``, ``{{dev_eui}}``
            and ``{{event}}``, each a level of its own.
        command_topic: On ChirpStack, likewise the topics of its commands: ``command_topic`` there, with
            ``{{command}}``.

    Raises:
        ValueError: A setting that cannot be used, named.
        TypeError: A missing argument, an unknown one, or two spellings of one with different values.
    """

    @overload
    def __init__(
        self,
        app_id: str,
        access_key: str | None,
        mqtt_address: str | None = "",
        discovery_address: str = "discovery.thethings.network:1900",
        reconnect: bool = True,
        *,
        keep_alive: _Seconds | None = 60,
        client_id: str = "",
        clean_session: bool = True,
        qos: Level = 0,
        tls: bool | None = None,
        ca_certs: str | bytes | PathLike[str] | None = None,
        reconnect_min_delay: _Seconds | None = 0.5,
        reconnect_max_delay: _Seconds | None = 60,
        max_message_bytes: int = 4194304,
        max_inflight: int = 1000,
        queue_messages: int | None = None,
        queue_bytes: int | None = None,
        overflow: Overflow | None = None,
        send_queue_messages: int = 50000,
        send_queue_bytes: int = 67108864,
        insecure_channel: bool = False,
        discovery_certificate: str | bytes | None = None,
        on_callback_error: CallbackFailure | None = None,
        manual_ack: bool = False,
        network: Network | None = None,
        cluster: str | None = None,
        queue_timeout: _Seconds | None = 10,
        follow_downlinks: bool = False,
        group: str | None = None,
        ordered: bool = False,
        ack_wait: _Seconds | None = 30,
        nats_user: str | None = None,
        nats_password: str | None = None,
        nats_token: str | None = None,
        nats_nkey: str | None = None,
        nats_credentials: str | PathLike[str] | None = None,
        nats_monitor: str | None = None,
        management_address: str | None = None,
        identity_address: str | None = None,
        backfill: bool = False,
        mqtt_username: str | None = None,
        mqtt_password: str | None = None,
        client_cert: str | bytes | PathLike[str] | None = None,
        client_key: str | bytes | PathLike[str] | None = None,
        grpc_address: str | None = None,
        tenant_id: str | None = None,
        event_topic: str | None = None,
        command_topic: str | None = None,
        mqttAddress: str | None = ...,
    ) -> None: ...
    @overload
    def __init__(self, app_id: str, *, app_access_key: str, **options: Unpack[_Options]) -> None: ...
    @overload
    def __init__(self, app_id: str, *, appAccessKey: str, **options: Unpack[_Options]) -> None: ...
    @overload
    def __init__(self, *, appID: str, access_key: str, **options: Unpack[_Options]) -> None: ...
    @overload
    def __init__(self, *, appID: str, app_access_key: str, **options: Unpack[_Options]) -> None: ...
    @overload
    def __init__(self, *, appID: str, appAccessKey: str, **options: Unpack[_Options]) -> None: ...
    @property
    def _last_refusal(self) -> int: ...
    @property
    def app_id(self) -> str:
        """Application ID, as messages have it: without a tenant."""
    @property
    def network(self) -> Network:
        """The network that is spoken to: ``"v2"``, ``"v3"`` or ``"chirpstack"``."""
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
        returned; deliveries that nobody has begun with are then dropped, or stay with the server at QoS 1. Called on
        the thread of an event loop on which a callback is to be awaited it does not wait for that one.

        On The Things Stack V3 it waits up to 2 s for the network to say that it has the downlinks that were sent. Those
        of which it says nothing are ``unconfirmed``, which the error callbacks are told.

        Args:
            timeout: Seconds for all of it, 10 by default.
        """
    def _connect_async(self, *, timeout: _Seconds | None = None) -> asyncio.Future[None]:
        """As ``connect``, for the event loop that runs on this thread: the seam for an asynchronous face."""
    def _close_async(self, *, timeout: _Seconds | None = None) -> asyncio.Future[None]:
        """As ``close``, for the event loop that runs on this thread."""
    def stop(self, *, timeout: _Seconds | None = None) -> None:
        """As ``close``."""
    def start(self) -> None:
        """Do nothing: receiving begins with ``connect``. Kept for programs that call it."""
    @overload
    def send(
        self,
        dev_id: str,
        payload: _Payload,
        port: int = 1,
        confirmation: bool = False,
        schedule: Schedule | None = "replace",
        *,
        priority: Priority | None = None,
        class_b_c: ClassBC | None = None,
        confirmed_retry: int | dict[str, int] | None = None,
        correlation_ids: list[str] | None = None,
        conf: bool = ...,
        confirmed: bool = ...,
        sched: Schedule | None = ...,
    ) -> int:
        """Queue a downlink for one device and return at once.

        On The Things Stack V3 the server acknowledges downlinks that it then drops without a word. So what it would
        drop is refused here, and each downlink carries a correlation ID by which the client hears what became of it.

        Args:
            dev_id: Device ID: 2 to 36 of ``a-z 0-9``, single ``-`` or ``_`` between them; on V3 at least 3, and no
                ``_``. Also ``devID``, ``deviceID``.
            payload: Bytes, at most 242 (on V3 1 to 255), or a list of integers from 0 to 255; base64 text, sent as it
                is; hex text that is no base64; or a dict of fields, which JSON can express, for the application's
                encoder. Blanks and line ends in text do not matter. Of text that is base64 and hex alike, such as
                ``"0102"``, a warning in the log ``thingslink.client`` tells once for each device that it was sent as
                base64. Also ``pay``.
            port: LoRaWAN FPort, 1 to 223 (on V3 1 to 255, but not 224); 1 by default.
            confirmation: Whether the device must acknowledge it. ``False`` by default.
            schedule: Place in the device's queue: ``"replace"`` (default), ``"first"`` or ``"last"``.
                ``"first"`` on V3 needs a known management address, and calls it: the queue is read and written anew. If
                the device sends in between, one that was just sent is sent once more; what another program queues in
                between is lost. The queue is looked at again, and a change is logged as a warning. Errors of the stack
                are ``RpcError``.
            priority: Only on V3, as the three after it: ``"LOWEST"`` (default), ``"LOW"``, ``"BELOW_NORMAL"``,
                ``"NORMAL"``, ``"ABOVE_NORMAL"``, ``"HIGH"`` or ``"HIGHEST"`` among what a gateway has to send.
            class_b_c: For devices of class B and C: ``gateways``, a list of gateway IDs or of dicts with
                ``gateway_ids`` (``gateway_id``), ``antenna_index`` and ``group_index``; ``absolute_time``, an aware
                ``datetime`` or RFC 3339 text.
            confirmed_retry: How often a confirmed downlink is sent again at most: 1 to 32, or
                ``{"max_attempts": ...}``.
            correlation_ids: Texts of 1 to 100 characters that all events of the downlink repeat.
            conf: As ``confirmation``.
            confirmed: As ``confirmation``.
            sched: As ``schedule``.

        Returns:
            Message ID, 1 to 65535, also that of its handle: see ``downlink``. The downlink callbacks get it when the
            message is written (QoS 0) or acknowledged by the server (QoS 1); on V3 when the network says that the
            downlink is queued.

        Raises:
            NotConnectedError: There is no session. Nothing was queued.
            ValueError: An argument that cannot be sent, named.
            TypeError: Likewise; the network would drop any other ``payload`` without a word.
            QueueFullError: No room in the queue for 30 s.

        Source: The Things Network V2 MQTT API, downlink messages.
        """
    @overload
    def send(self, dev_id: str, *, pay: _Payload, **options: Unpack[_SendOptions]) -> int: ...
    @overload
    def send(self, *, devID: str, payload: _Payload, **options: Unpack[_SendOptions]) -> int: ...
    @overload
    def send(self, *, devID: str, pay: _Payload, **options: Unpack[_SendOptions]) -> int: ...
    @overload
    def send(self, *, deviceID: str, payload: _Payload, **options: Unpack[_SendOptions]) -> int: ...
    @overload
    def send(self, *, deviceID: str, pay: _Payload, **options: Unpack[_SendOptions]) -> int: ...
    def downlink(self, mid: int) -> DownlinkHandle:
        """Give the handle of a downlink, by the message ID that ``send`` gave.

        On V2 the first call makes the client listen to the events of downlinks from then on; what came before is not
        known, unless it was made with ``follow_downlinks=True``.

        Args:
            mid: Its message ID; the latest 10,000 are known.

        Raises:
            ValueError: No downlink that is known has this ID.
        """
    def ack(self, msg: UplinkMessage | RawMessage | DeviceEvent | FieldValue) -> None:
        """Let the server forget a message, of a client that was made with ``manual_ack=True``.

        From any thread, in any order, any time after the message came. A message that is not acknowledged comes again
        on the next connection. Nothing happens for one that came at QoS 0, or that has been acknowledged.

        Args:
            msg: What a callback got.

        Raises:
            TypeError: It is no message.
            ValueError: It is a part of a message, or the client was made without ``manual_ack``.
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
    def record(
        self,
        into: Recorder | None = None,
        *,
        dev_id: str | None = None,
        per: RowOf | None = None,
        max_rows: int | None = None,
        max_bytes: int | None = None,
    ) -> Recorder:
        """Gather uplinks column by column, from now on.

        They are a table for polars, pandas, DuckDB, pyarrow: see ``thingslink.frame``.

        Args:
            into: What gathers them, of several clients or of earlier ones, too. Recording twice into one changes
                nothing. By default a new one, of the three arguments after ``dev_id``.
            dev_id: Only uplinks of this device.
            per: What a row is of: ``"uplink"``, the default, or ``"gateway"``.
            max_rows: Most rows, 1,000,000 by default; the oldest make room.
            max_bytes: Bytes of memory for them, 256 MiB by default.

        Returns:
            What gathers them. Its ``stop()`` ends it.

        Raises:
            ValueError: An argument that cannot be used, named.
            TypeError: Likewise, or arguments for a new recorder beside ``into``.
        """
    def set_uplink_callback(self, callback: CallableWith[UplinkMessage, Self], *, dev_id: str | None = None) -> None:
        """Add ``callback(msg, client)`` for uplinks; ``msg`` is an ``UplinkMessage``.

        Args:
            callback: What to call.
            dev_id: Only uplinks of this device.
        """
    def remove_uplink_callback(self, callback: CallableWith[UplinkMessage, Self], *, dev_id: str | None = None) -> None:
        """Take back one ``set_uplink_callback`` with the same arguments.

        Raises:
            ValueError: It is not set.
        """
    def set_uplink_raw_callback(self, callback: CallableWith[RawMessage, Self], *, dev_id: str | None = None) -> None:
        """Add ``callback(msg, client)`` for uplinks as they came; ``msg`` is a ``RawMessage``.

        Called after all uplink callbacks, and for messages that cannot be decoded, too.
        """
    def set_uplink_callback_raw(self, callback: CallableWith[RawMessage, Self], *, dev_id: str | None = None) -> None:
        """As ``set_uplink_raw_callback``."""
    def remove_uplink_raw_callback(
        self, callback: CallableWith[RawMessage, Self], *, dev_id: str | None = None
    ) -> None:
        """Take back one ``set_uplink_raw_callback`` with the same arguments."""
    def set_uplink_field_callback(
        self, callback: CallableWith[FieldValue, Self], field: str, *, dev_id: str | None = None
    ) -> None:
        """Add ``callback(value, client)`` for one payload field; ``value`` is a ``FieldValue``.

        Only some networks publish single fields.

        Args:
            callback: What to call.
            field: Name of the field, levels joined by ``/``: ``"tank/level"``.
            dev_id: Only of this device.
        """
    def remove_uplink_field_callback(
        self, callback: CallableWith[FieldValue, Self], field: str, *, dev_id: str | None = None
    ) -> None:
        """Take back one ``set_uplink_field_callback`` with the same arguments."""
    @overload
    def set_event_callback(
        self, callback: CallableWith[DeviceEvent, Self], event: EventName | None = None, dev_id: str | None = None
    ) -> None:
        """Add ``callback(event, client)`` for events of devices; gets a ``DeviceEvent`` or one of its subclasses.

        Args:
            callback: What to call.
            event: Only this one: ``activations``, ``activations/errors``, ``create``, ``update``, ``delete``,
                ``down/scheduled``, ``down/sent``, ``down/acks``, ``down/errors``, ``up/errors``. On V3 also
                ``down/nack``, ``down/invalidated``, ``location/solved``, ``service/data``, ``up/normalized``,
                and V3's own spellings: ``join``, ``down/queued``, ``down/ack``, ``down/failed``; ``event.name``
                is V2's. What V3 tells nobody (``create`` and the like) is warned of.
            dev_id: Only of this device.
        """
    @overload
    def set_event_callback(
        self, callback: CallableWith[ActivationEvent, Self], event: _Activations, dev_id: str | None = None
    ) -> None: ...
    @overload
    def set_event_callback(
        self, callback: CallableWith[RegistrationEvent, Self], event: _Registrations, dev_id: str | None = None
    ) -> None: ...
    @overload
    def set_event_callback(
        self, callback: CallableWith[DownlinkEvent, Self], event: _Downlinks, dev_id: str | None = None
    ) -> None: ...
    @overload
    def remove_event_callback(
        self, callback: CallableWith[DeviceEvent, Self], event: EventName | None = None, dev_id: str | None = None
    ) -> None:
        """Take back one ``set_event_callback`` with the same arguments."""
    @overload
    def remove_event_callback(
        self, callback: CallableWith[ActivationEvent, Self], event: _Activations, dev_id: str | None = None
    ) -> None: ...
    @overload
    def remove_event_callback(
        self, callback: CallableWith[RegistrationEvent, Self], event: _Registrations, dev_id: str | None = None
    ) -> None: ...
    @overload
    def remove_event_callback(
        self, callback: CallableWith[DownlinkEvent, Self], event: _Downlinks, dev_id: str | None = None
    ) -> None: ...
    def set_activation_callback(
        self, callback: CallableWith[ActivationEvent, Self], *, dev_id: str | None = None
    ) -> None:
        """Add ``callback(event, client)`` for joins; gets an ``ActivationEvent``."""
    def remove_activation_callback(
        self, callback: CallableWith[ActivationEvent, Self], *, dev_id: str | None = None
    ) -> None:
        """Take back one ``set_activation_callback`` with the same arguments."""
    def _set_topic_callback(self, callback: CallableWith[RawMessage, Self], filter: str) -> None:
        """Add ``callback(message, client)`` for any MQTT topic filter; ``message`` is a ``RawMessage``."""
    def _remove_topic_callback(self, callback: CallableWith[RawMessage, Self], filter: str) -> None:
        """Take back one ``_set_topic_callback`` with the same arguments."""
    def set_connect_callback(self, callback: CallableWith[bool, Self]) -> None:
        """Add ``callback(res, client)``: ``True`` after each login, ``False`` when one is refused."""
    def remove_connect_callback(self, callback: CallableWith[bool, Self]) -> None:
        """Take back one ``set_connect_callback``."""
    def set_close_callback(self, callback: CallableWith[bool, Self]) -> None:
        """Add ``callback(res, client)``: ``True`` after ``close``, ``False`` when the connection is lost."""
    def remove_close_callback(self, callback: CallableWith[bool, Self]) -> None:
        """Take back one ``set_close_callback``."""
    def set_downlink_callback(self, callback: CallableWith[int, Self]) -> None:
        """Add ``callback(mid, client)``: the downlink with this ID is written (QoS 0) or acknowledged (QoS 1).

        On The Things Stack V3 it is called when the network says that the downlink is queued. If that fails, or is not
        said in time, the error callbacks get a ``DownlinkError`` instead.
        """
    def remove_downlink_callback(self, callback: CallableWith[int, Self]) -> None:
        """Take back one ``set_downlink_callback``."""
    def set_error_callback(self, callback: CallableWith[Exception, Self]) -> None:
        """Add ``callback(error, client)`` for what stops nothing; ``error`` is the exception.

        These are exceptions in callbacks, undecodable messages, refused subscriptions, messages over the limit, and on
        The Things Stack V3 downlinks that failed or were not confirmed (``DownlinkError``).
        """
    def remove_error_callback(self, callback: CallableWith[Exception, Self]) -> None:
        """Take back one ``set_error_callback``."""
    # The original's private names, which programs reach for.
    @property
    def _MQTTClient__client(self) -> Any: ...
    @property
    def _MQTTClient__mqtt_address(self) -> str: ...
    @_MQTTClient__mqtt_address.setter
    def _MQTTClient__mqtt_address(self, address: str | None) -> None: ...
    @property
    def _MQTTClient__discovery_address(self) -> str: ...
    @property
    def _MQTTClient__app_id(self) -> str: ...
    @property
    def _MQTTClient__access_key(self) -> str: ...
    @property
    def _MQTTClient__reconnect(self) -> bool: ...
    def _payload_raw(self, dev_id: str, payload: _Payload) -> str | None: ...
    def _publish(self, topic: str, payload: str | bytes) -> int:
        """Publish to any topic; gives the message ID."""
    def _watch(self, told: Callable[..., object] | None) -> None:
        """Tell ``told(format, *arguments)`` what passes, in place of the log; ``None`` is the log again."""
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        *_exception: object,
    ) -> bool: ...

@final
class DeviceHandle:
    """One device of an application, from ``MQTTClient.device``. Methods as the client's, for this device alone."""

    @property
    def dev_id(self) -> str:
        """Device ID."""
    @overload
    def send(
        self,
        payload: _Payload,
        port: int = 1,
        confirmation: bool = False,
        schedule: Schedule | None = "replace",
        *,
        priority: Priority | None = None,
        class_b_c: ClassBC | None = None,
        confirmed_retry: int | dict[str, int] | None = None,
        correlation_ids: list[str] | None = None,
        conf: bool = ...,
        confirmed: bool = ...,
        sched: Schedule | None = ...,
    ) -> int:
        """As ``MQTTClient.send``."""
    @overload
    def send(self, *, pay: _Payload, **options: Unpack[_SendOptions]) -> int: ...
    def set_uplink_callback(self, callback: CallableWith[UplinkMessage, MQTTClient]) -> None:
        """As ``MQTTClient.set_uplink_callback``."""
    def remove_uplink_callback(self, callback: CallableWith[UplinkMessage, MQTTClient]) -> None:
        """As ``MQTTClient.remove_uplink_callback``."""
    def set_uplink_raw_callback(self, callback: CallableWith[RawMessage, MQTTClient]) -> None:
        """As ``MQTTClient.set_uplink_raw_callback``."""
    def remove_uplink_raw_callback(self, callback: CallableWith[RawMessage, MQTTClient]) -> None:
        """As ``MQTTClient.remove_uplink_raw_callback``."""
    def set_uplink_field_callback(self, callback: CallableWith[FieldValue, MQTTClient], field: str) -> None:
        """As ``MQTTClient.set_uplink_field_callback``."""
    def remove_uplink_field_callback(self, callback: CallableWith[FieldValue, MQTTClient], field: str) -> None:
        """As ``MQTTClient.remove_uplink_field_callback``."""
    @overload
    def set_event_callback(
        self, callback: CallableWith[DeviceEvent, MQTTClient], event: EventName | None = None
    ) -> None:
        """As ``MQTTClient.set_event_callback``."""
    @overload
    def set_event_callback(self, callback: CallableWith[ActivationEvent, MQTTClient], event: _Activations) -> None: ...
    @overload
    def set_event_callback(
        self, callback: CallableWith[RegistrationEvent, MQTTClient], event: _Registrations
    ) -> None: ...
    @overload
    def set_event_callback(self, callback: CallableWith[DownlinkEvent, MQTTClient], event: _Downlinks) -> None: ...
    @overload
    def remove_event_callback(
        self, callback: CallableWith[DeviceEvent, MQTTClient], event: EventName | None = None
    ) -> None:
        """As ``MQTTClient.remove_event_callback``."""
    @overload
    def remove_event_callback(
        self, callback: CallableWith[ActivationEvent, MQTTClient], event: _Activations
    ) -> None: ...
    @overload
    def remove_event_callback(
        self, callback: CallableWith[RegistrationEvent, MQTTClient], event: _Registrations
    ) -> None: ...
    @overload
    def remove_event_callback(self, callback: CallableWith[DownlinkEvent, MQTTClient], event: _Downlinks) -> None: ...
    def set_activation_callback(self, callback: CallableWith[ActivationEvent, MQTTClient]) -> None:
        """As ``MQTTClient.set_activation_callback``."""
    def remove_activation_callback(self, callback: CallableWith[ActivationEvent, MQTTClient]) -> None:
        """As ``MQTTClient.remove_activation_callback``."""

@final
class DownlinkHandle:
    """A downlink on its way, from ``MQTTClient.downlink``, and what ``send`` of the asyncio face gives is made of.

    The states, of which each one has those before it in it:

    - ``"waiting"``: with the client.
    - ``"written"``: to the connection; at QoS 1, acknowledged by the server.
    - ``"queued"``: in the device's queue, as the network says.
    - ``"sent"``: by a gateway.
    - ``"acked"``: by the device; final.
    - ``"nacked"``: not acknowledged by the device; The Things Stack V3 sends it again.
    - ``"failed"``: will not be sent; final. ``error`` says why.
    - ``"unconfirmed"``: on V3, written and not said to be queued within ``queue_timeout``; ``error`` says what may be
      behind it. If the network says it later, the state goes on.

    V2's events name no downlink. There the client takes an event for the next downlink of the device, with the port
    that the event names, to which it can apply: in the order in which they were sent, those with ``schedule="first"``
    before the others; what a later ``"replace"`` has taken out of the queue stays ``"queued"``. Downlinks that other
    programs send to the same device and port are mistaken for those of this client. A new state is there before the
    callbacks of the message that brought it are called.
    """

    @property
    def mid(self) -> int:
        """Message ID."""
    @property
    def state(self) -> DownlinkState | Literal["waiting"]:
        """Where it is, as far as is known.

        Raises:
            ValueError: There were 10,000 downlinks after it.
        """
    @property
    def error(self) -> str | None:
        """Why it has failed, or what may be behind the network's silence; ``None`` of others."""
    def wait(self, state: DownlinkState = "queued", timeout: _Seconds | None = None) -> DownlinkOutcome:
        """Wait until it is, or has been, in a state; Ctrl-C ends it.

        Args:
            state: Any but ``"waiting"``.
            timeout: Seconds, 30 by default.

        Returns:
            What has become of it then, which may be more: equal to the name of the state that it is in.

        Raises:
            DownlinkError: It has failed, is unconfirmed or acknowledged and will not come into that state, or the
                client is closed.
            ThingsTimeoutError: It took longer.
            ValueError: No such state, or there were 10,000 downlinks after it.
        """
    def _wait_async(
        self, state: DownlinkState = "queued", timeout: _Seconds | None = None
    ) -> asyncio.Future[DownlinkOutcome]:
        """As ``wait``, for the event loop that runs on this thread."""

@final
class DownlinkOutcome:
    """What has become of a downlink, from ``wait``: ``outcome == "acked"``, ``str(outcome)``, ``outcome.time``.

    Equal to the name of its state, and to other outcomes with that state.
    """

    @property
    def mid(self) -> int:
        """Message ID of the downlink."""
    @property
    def state(self) -> DownlinkState:
        """The state that it was in, as of `DownlinkHandle`."""
    @property
    def error(self) -> str | None:
        """Why it has failed, or what may be behind the network's silence; at most 4,096 bytes. ``None`` of others."""
    @property
    def time(self) -> datetime | None:
        """When the client heard that it is in this state, in UTC; ``None`` while the network has not said a word."""
    @property
    def correlation_ids(self) -> tuple[str, ...]:
        """The correlation IDs of the network's last word on it, those of ``send`` among them; at most 2,048 bytes.

        Empty on V2, which has none.
        """
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@type_check_only
class _Object:
    """An object of a message: fields as attributes, tuple behaviour in the order of the wire, item access."""

    @property
    def v3(self) -> Fields | None:
        """The whole message as The Things Stack V3 sent it; ``None`` for those of other networks, and for parts."""
    @property
    def chirpstack(self) -> Fields | None:
        """The whole message as ChirpStack sent it; ``None`` for those of other networks, and for parts."""
    @property
    def payload(self) -> bytes | None:
        """The bytes of ``payload_raw``; ``None`` if there are none.

        Raises:
            DecodeError: It is no base64.
        """
    @property
    def received_at(self) -> datetime | None:
        """``metadata.time`` as an aware instant in UTC, to the microsecond; ``None`` if unknown (year 1, too)."""
    @property
    def datetime(self) -> datetime | None:
        """This object's own ``time``, as ``received_at`` has it."""
    @property
    def _fields(self) -> tuple[str, ...]: ...
    @property
    def _field_defaults(self) -> dict[str, Any]: ...
    def _asdict(self) -> dict[str, Any]:
        """Give the fields as a dict; nested objects stay messages."""
    def _replace(self, **changes: Any) -> Self:
        """Give a message with some fields changed."""
    def _make(self, values: Iterable[Any]) -> Self:
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
        """Give the JSON text of the fields: as received, but for uplinks whose ``v3`` or ``chirpstack`` has that."""
    def ack(self) -> None:
        """Let the server forget it, before the stream that it came of does so by itself. Nothing happens at QoS 0.

        Raises:
            ValueError: It came of a callback: that client has an ``ack``.
        """
    @staticmethod
    def _json_default(object: Any) -> dict[str, Any]: ...
    def __setattr__(self, name: str, value: Any, /) -> None: ...
    def __delattr__(self, name: str, /) -> None: ...
    def __dir__(self) -> list[str]: ...
    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, key: str | SupportsIndex, /) -> Any: ...
    @overload
    def __getitem__(self, key: slice, /) -> tuple[Any, ...]: ...
    def __reversed__(self) -> Iterator[Any]: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __contains__(self, key: Any, /) -> bool: ...
    def __add__(self, value: tuple[Any, ...] | _Object, /) -> tuple[Any, ...]: ...
    def __radd__(self, value: tuple[Any, ...] | _Object, /) -> tuple[Any, ...]: ...
    def __mul__(self, value: int, /) -> tuple[Any, ...]: ...
    def __rmul__(self, value: int, /) -> tuple[Any, ...]: ...
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __lt__(self, value: tuple[Any, ...] | _Object, /) -> bool: ...
    def __le__(self, value: tuple[Any, ...] | _Object, /) -> bool: ...
    def __gt__(self, value: tuple[Any, ...] | _Object, /) -> bool: ...
    def __ge__(self, value: tuple[Any, ...] | _Object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Any, tuple[bytes, str]]: ...
    def __copy__(self) -> Self: ...
    def __deepcopy__(self, _memo: Any) -> Self: ...

@type_check_only
class Fields(_Object):
    """An object whose names only the message knows."""

    def __getattr__(self, name: str, /) -> Any: ...

@type_check_only
class Gateway(_Object):
    """How one gateway heard an uplink. What it does not tell of raises ``AttributeError``."""

    gtw_id: Final[str]
    """ID of the gateway."""
    eui: Final[str]
    """Its EUI, 16 hex digits; on V3."""
    gtw_trusted: Final[bool]
    """Whether the network knows it; on V2."""
    timestamp: Final[int]
    """Microseconds of the gateway's own clock, which begins anew after 71 minutes."""
    fine_timestamp: Final[int]
    """Nanoseconds within the second, of gateways with GPS."""
    fine_timestamp_encrypted: Final[str]
    """The same, encrypted by the gateway; base64."""
    time: Final[str]
    """When it heard the uplink, RFC 3339; empty where the gateway does not know the time."""
    antenna: Final[int]
    """Number of the antenna."""
    channel: Final[int]
    """Number of the channel."""
    rssi: Final[float]
    """Signal strength, dBm."""
    snr: Final[float]
    """Signal to noise, dB."""
    rf_chain: Final[int]
    """Number of the radio."""
    latitude: Final[float]
    """Degrees, north positive."""
    longitude: Final[float]
    """Degrees, east positive."""
    altitude: Final[float]
    """Metres above the sea."""
    location_accuracy: Final[int]
    """Metres."""
    location_source: Final[str]
    """Where the place is known from, such as ``"registry"``."""

@type_check_only
class Metadata(_Object):
    """How an uplink was heard. What the network does not tell of raises ``AttributeError``."""

    time: Final[str]
    """When the network had it, RFC 3339; ``received_at`` of the message is the same as a ``datetime``."""
    frequency: Final[float]
    """MHz."""
    modulation: Final[str]
    """``"LORA"`` or ``"FSK"``."""
    data_rate: Final[str]
    """Spreading factor and bandwidth in kHz, ``"SF7BW125"``; of LoRa."""
    bit_rate: Final[int]
    """Bits per second; of FSK."""
    airtime: Final[int]
    """How long it was in the air, nanoseconds."""
    coding_rate: Final[str]
    """Such as ``"4/5"``."""
    gateways: Final[list[Gateway]]
    """Those that heard it."""
    latitude: Final[float]
    """Place of the device, if it is known: degrees, north positive."""
    longitude: Final[float]
    """Degrees, east positive."""
    altitude: Final[float]
    """Metres above the sea."""
    location_accuracy: Final[int]
    """Metres."""
    location_source: Final[str]
    """Where the place is known from, such as ``"registry"``."""

@final
class UplinkMessage(_Object):
    """A JSON object from the network: fields as attributes, tuple behaviour in the order of the wire, item access.

    A field hides a method of the same name. Optional fields that did not come raise ``AttributeError``. Nested objects
    are of this class, too; arrays are lists. Names that are no identifiers are reached by item access or ``getattr``.
    Immutable, hashable, comparable with tuples, picklable. No subclass of ``tuple``.

    An uplink of The Things Stack V3 has the fields that V2 would have had: zeros that V3 leaves out, ``frequency`` in
    MHz, ``airtime`` in ns, ``data_rate`` as text; gateways have ``eui`` as well. ``v3`` is the message as it came.

    Source: The Things Network V2 MQTT API, uplink messages.
    """

    app_id: Final[str]
    """Application ID."""
    dev_id: Final[str]
    """Device ID."""
    hardware_serial: Final[str]
    """The device's EUI, 16 hex digits."""
    port: Final[int]
    """LoRaWAN FPort, 0 to 255."""
    counter: Final[int]
    """Frame counter."""
    is_retry: Final[bool]
    """Whether the device has sent the frame before; only then it is there, on V2."""
    confirmed: Final[bool]
    """Whether the device asks for an acknowledgement; only then it is there."""
    payload_raw: Final[str]
    """Base64 text; ``payload`` is it as bytes."""
    payload_fields: Final[Any]
    """What the application's decoder made of it; not there if there is none."""
    metadata: Final[Metadata]
    """When and how it was heard."""
    attributes: Final[Any]
    """Of the device, if it has any."""
    downlink_url: Final[str]
    """Where HTTP integrations answer to; on V2."""

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
    def ack(self) -> None:
        """Let the server forget it, before the stream that it came of does so by itself. Nothing happens at QoS 0.

        Raises:
            ValueError: It came of a callback: that client has an ``ack``.
        """

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
        """Give the JSON text of ``data``: as received, but for events whose ``v3`` or ``chirpstack`` has that."""
    def ack(self) -> None:
        """Let the server forget it, before the stream that it came of does so by itself. Nothing happens at QoS 0.

        Raises:
            ValueError: It came of a callback: that client has an ``ack``.
        """
    @property
    def v3(self) -> Fields | None:
        """The whole message as The Things Stack V3 sent it; ``None`` for events of other networks."""
    @property
    def chirpstack(self) -> Fields | None:
        """The whole message as ChirpStack sent it; ``None`` for events of other networks."""

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
    def metadata(self) -> Metadata | None:
        """How the request was heard."""

@final
class DownlinkEvent(DeviceEvent):
    """A downlink was queued (``down/scheduled``), sent, acknowledged (``down/acks``), or failed (``down/errors``)."""

    @property
    def message(self) -> Fields | None:
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
    def config(self) -> Fields | None:
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
    def ack(self) -> None:
        """Let the server forget it, before the stream that it came of does so by itself. Nothing happens at QoS 0.

        Raises:
            ValueError: It came of a callback: that client has an ``ack``.
        """

def _parse_message(data: str | bytes, network: str = "v2") -> Any: ...
