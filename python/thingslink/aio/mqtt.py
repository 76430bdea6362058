"""``MQTTClient`` for asyncio."""

from __future__ import annotations

import asyncio
import sys
import warnings
from typing import TYPE_CHECKING, Any, TypeVar

from thingslink import _live
from thingslink._native import Callback, QueueFullError, _AioClient, _whole
from thingslink.aio._device import Device
from thingslink.aio._downlink import Downlink
from thingslink.aio._entering import Entering
from thingslink.aio._news import News
from thingslink.aio._runner import Runner
from thingslink.aio._stream import Stream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta
    from os import PathLike

    from thingslink._native import ActivationEvent, DeviceEvent, FieldValue, RawMessage, UplinkMessage
    from thingslink._native.lorawan import Stats, _Payload
    from thingslink.aio._connection import Connection
    from thingslink.aio._updates import Updates
    from thingslink.frame import Recorder
    from thingslink.typing import CallbackFailure, EventName, Level, Network, Overflow, Priority, RowOf, Schedule

__all__ = ["MQTTClient"]

C = TypeVar("C", bound="Callable[[Exception], object]")


class MQTTClient(Entering):
    """Receives an application's uplinks and sends its downlinks, in a program of asyncio.

    The arguments are those of ``thingslink.ttn.MQTTClient``. It belongs to the event loop that it is first used on,
    until it is closed; all of its methods are for that loop's thread. A context manager: connects on enter, closes on
    exit, and can be used again.

    Args:
        app_id: Application ID; on The Things Stack V3 ``app`` or ``app@tenant``, on ChirpStack its UUID or its name.
        access_key: Its access key; on ChirpStack an API key, or ``None``.
        mqtt_address: As of the other client; so are all others.
        queue_messages: Messages that are not dealt with, of all streams together; by default 100,000.
        queue_bytes: Their bytes; by default 128 MiB.
        overflow: What becomes of more at QoS 0: ``"stop_reading"`` leaves it to the kernel and the server, the default
            on V2; ``"drop_oldest"`` drops the oldest of each stream and of the queue, counts them in ``stats()`` and
            tells of it in the log, the default on V3.
        on_callback_error: What becomes of an uplink at QoS 1 whose handler, of ``run``, raised an exception:
            ``"acknowledge"`` or ``"keep"``.
        manual_ack: Whether messages at QoS 1 are acknowledged by their ``ack()`` alone.

    Raises:
        ValueError: A setting that cannot be used, named.
    """

    def __init__(
        self,
        app_id: str,
        access_key: str | None,
        mqtt_address: str | None = "",
        discovery_address: str = "discovery.thethings.network:1900",
        reconnect: bool = True,
        *,
        keep_alive: float | timedelta | None = 60,
        client_id: str = "",
        clean_session: bool = True,
        qos: Level = 0,
        tls: bool | None = None,
        ca_certs: str | bytes | PathLike[str] | None = None,
        reconnect_min_delay: float | timedelta | None = 0.5,
        reconnect_max_delay: float | timedelta | None = 60,
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
        queue_timeout: float | timedelta | None = 10,
        follow_downlinks: bool = False,
        group: str | None = None,
        ordered: bool = False,
        ack_wait: float | timedelta | None = 30,
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
    ) -> None:
        self._news = News()
        self._place = _live.maker()
        self._client = _AioClient(
            self._news,
            app_id=app_id,
            access_key=access_key,
            mqtt_address=mqtt_address,
            discovery_address=discovery_address,
            reconnect=reconnect,
            keep_alive=keep_alive,
            client_id=client_id,
            clean_session=clean_session,
            qos=qos,
            tls=tls,
            ca_certs=ca_certs,
            reconnect_min_delay=reconnect_min_delay,
            reconnect_max_delay=reconnect_max_delay,
            max_message_bytes=max_message_bytes,
            max_inflight=max_inflight,
            queue_messages=queue_messages,
            queue_bytes=queue_bytes,
            overflow=overflow,
            send_queue_messages=send_queue_messages,
            send_queue_bytes=send_queue_bytes,
            insecure_channel=insecure_channel,
            discovery_certificate=discovery_certificate,
            on_callback_error=on_callback_error,
            manual_ack=manual_ack,
            network=network,
            cluster=cluster,
            queue_timeout=queue_timeout,
            follow_downlinks=follow_downlinks,
            group=group,
            ordered=ordered,
            ack_wait=ack_wait,
            nats_user=nats_user,
            nats_password=nats_password,
            nats_token=nats_token,
            nats_nkey=nats_nkey,
            nats_credentials=nats_credentials,
            nats_monitor=nats_monitor,
            management_address=management_address,
            identity_address=identity_address,
            backfill=backfill,
            mqtt_username=mqtt_username,
            mqtt_password=mqtt_password,
            client_cert=client_cert,
            client_key=client_key,
            grpc_address=grpc_address,
            tenant_id=tenant_id,
            event_topic=event_topic,
            command_topic=command_topic,
        )

    @property
    def app_id(self) -> str:
        """Application ID, as messages have it: without a tenant."""
        return self._client.app_id

    @property
    def network(self) -> Network:
        """The network that is spoken to: ``"v2"``, ``"v3"`` or ``"chirpstack"``."""
        return self._client.network

    @property
    def is_connected(self) -> bool:
        """Whether the client is logged in now."""
        return self._client.is_connected

    async def connect(self, *, timeout: float | timedelta | None = None) -> None:
        """Connect, log in and subscribe; returns when the server has answered all of it.

        Cancelled, the attempt is given up.

        Args:
            timeout: Seconds for all of it, 30 by default.

        Raises:
            ValueError: The address cannot be read.
            OSError: No connection, for example ``ConnectionRefusedError`` or ``socket.gaierror``.
            TlsError: The certificate is not trusted, not for this host, or expired.
            LoginRefusedError: Wrong ID or key.
            ThingsTimeoutError: No answer in time.
            RuntimeError: The client is connected on another event loop.
        """
        _live.connecting_on(asyncio.get_running_loop(), self)
        if (subject := self._client.subject) is not None:
            _live.connecting(self, self._place, subject)
        await self._client.connect(timeout)

    async def aclose(self, *, timeout: float | timedelta | None = None) -> None:
        """End the streams, send what was accepted, part with the server.

        Streams give what has come at QoS 0 and end. What was not acknowledged at QoS 1 comes again on the next
        connection. It goes on by itself when it is cancelled.

        Args:
            timeout: Seconds for all of it, 10 by default; what is not sent by then is not sent.
        """
        closing = self._client.close(timeout)
        closing.add_done_callback(lambda _: self._news.following.end())
        await asyncio.shield(closing)

    async def close(self, *, timeout: float | timedelta | None = None) -> None:
        """Close the client, as ``aclose`` does."""
        await self.aclose(timeout=timeout)

    async def _enter(self) -> None:
        await self.connect()

    def uplinks(self, *, dev_id: str | None = None) -> Stream[UplinkMessage]:
        """Give a stream of uplinks, of one device or of all: a subscription of its own, from now on.

        Raises:
            ValueError: ``dev_id`` is no device ID.
        """
        return Stream(self._client.uplinks(dev_id), f"uplinks of {dev_id or 'all devices'}")

    async def record(
        self,
        into: Recorder | None = None,
        *,
        dev_id: str | None = None,
        per: RowOf | None = None,
        max_rows: int | None = None,
        max_bytes: int | None = None,
    ) -> Recorder:
        """Gather uplinks column by column until the client is closed, as ``MQTTClient.record`` of the other face does.

        To look at them meanwhile, give a ``Recorder`` and await this in a task of its own. At QoS 1 an uplink is
        acknowledged when it is gathered. Cancelled, it ends.

        Raises:
            LoginRefusedError: And others, as of the streams.
        """
        from thingslink.frame import recorder_of  # noqa: PLC0415 - for those who record

        given = {"per": per, "max_rows": max_rows, "max_bytes": max_bytes}
        recorder = recorder_of(into, {name: value for name, value in given.items() if value is not None})
        async with self.uplinks(dev_id=dev_id) as uplinks:
            async for msg in uplinks:
                recorder.add(msg)
        return recorder

    def raw_uplinks(self, *, dev_id: str | None = None) -> Stream[RawMessage]:
        """Give a stream of uplinks as they came, those too that cannot be decoded."""
        return Stream(self._client.raw_uplinks(dev_id), f"raw uplinks of {dev_id or 'all devices'}")

    def uplink_fields(self, field: str, *, dev_id: str | None = None) -> Stream[FieldValue]:
        """Give a stream of the values of one payload field.

        Args:
            field: Name of the field, levels joined by ``/``: ``"tank/level"``.
            dev_id: One device.

        Raises:
            ValueError: ``field`` is no name, or ``dev_id`` no device ID.
        """
        return Stream(self._client.uplink_fields(field, dev_id), f"{field} of {dev_id or 'all devices'}")

    def connections(self) -> Updates[Connection]:
        """Give a stream of logins and ends of connections, from now on."""
        return self._news.following.open("connections")

    def on_error(self, callback: C) -> C:
        """Have ``callback(error)`` called for what stops nothing, on the event loop's thread; a decorator, too.

        These are exceptions of the handlers of ``run``, undecodable messages, refused subscriptions, messages over the
        limit, and downlinks that failed and that nobody awaits (``DownlinkError``). Several are called in the order in
        which they were given.

        Args:
            callback: A function or a coroutine function.

        Raises:
            TypeError: It cannot be called with an error.
        """
        Callback("callback", callback, "error")
        self._news.on_error.append(callback)
        return callback

    def device(self, dev_id: str) -> Device:
        """Give a handle for one device: the streams and ``send`` without its ID.

        Raises:
            ValueError: ``dev_id`` is no device ID.
        """
        return Device(self, self._client.checked(dev_id))

    def events(self, kind: EventName | None = None, *, dev_id: str | None = None) -> Stream[DeviceEvent]:
        """Give a stream of events.

        Args:
            kind: Name of an event such as ``"down/sent"``, in any network's words; ``None`` for all.
            dev_id: One device.

        Raises:
            ValueError: ``kind`` is no event, or one that the network never tells of; ``dev_id`` is no device ID.
        """
        return Stream(self._client.events(kind, dev_id), f"events {kind or ''} of {dev_id or 'all devices'}")

    def activations(self, *, dev_id: str | None = None) -> Stream[ActivationEvent]:
        """Give a stream of joins."""
        return Stream(self._client.events("activations", dev_id), f"activations of {dev_id or 'all devices'}")

    async def run(
        self,
        handler: Callable[[UplinkMessage], Awaitable[object]],
        *,
        concurrency: int = 1,
        dev_id: str | None = None,
    ) -> None:
        """Await ``handler(msg)`` for each uplink, of several devices at a time; of one device in order, one at a time.

        At QoS 1 an uplink is acknowledged when its handler has returned. An exception is logged to ``thingslink.ttn``
        and counted, ``on_callback_error`` decides what becomes of the uplink, and the next one has its turn. A handler
        that does not return holds up its device alone, and takes one of the ``concurrency`` places.

        Returns when the client is closed and the handlers that run have returned. Cancelled, it cancels them: what they
        had comes again.

        Args:
            handler: A coroutine function.
            concurrency: Devices whose handlers run at a time.
            dev_id: One device.

        Raises:
            TypeError: ``handler`` cannot be called with a message, or ``concurrency`` is no number.
            ValueError: ``concurrency`` is not 1 or more.
            LoginRefusedError: And others, as of the streams.
        """
        concurrency = _whole("concurrency", concurrency, 1, sys.maxsize)
        Callback("handler", handler, "message")
        inlet = self._client.uplinks(dev_id)
        try:
            await Runner(self._news, inlet, handler, concurrency).run()
        finally:
            inlet.close()

    async def send(
        self,
        dev_id: str,
        payload: _Payload,
        port: int = 1,
        confirmation: bool = False,
        schedule: Schedule = "replace",
        *,
        priority: Priority | None = None,
        class_b_c: dict[str, Any] | None = None,
        confirmed_retry: int | dict[str, int] | None = None,
        correlation_ids: list[str] | None = None,
    ) -> Downlink:
        """Send a downlink to one device; returns when it is written (QoS 0) or the server has acknowledged it (QoS 1).

        On The Things Stack V3, which acknowledges what it then drops, it returns when the network says that the
        downlink is queued. What becomes of it later tells the downlink that is given: ``await downlink.wait("acked")``.
        The client listens to that from the first ``send`` on, on V2, too.

        Cancelled, nobody waits for that any more, and the downlink stays accepted. At QoS 1 it is sent again after a
        reconnect until it is acknowledged.

        Args:
            dev_id: Device ID.
            payload: As of the other client.
            port: LoRaWAN FPort, 1 to 223.
            confirmation: Whether the device must acknowledge it.
            schedule: Place in the device's queue: ``"replace"``, ``"first"`` or ``"last"``. On V3 ``"first"`` is asked
                of ``management_address``.
            priority: Only on V3, as the three after it, and as of the other client.
            class_b_c: For devices of class B and C.
            confirmed_retry: How often a confirmed downlink is sent again at most.
            correlation_ids: Texts that all events of the downlink repeat.

        Raises:
            ValueError: An argument that cannot be used, named.
            TypeError: Likewise.
            MessageTooLargeError: More than 242 bytes.
            NotConnectedError: There is no connection, or the client was closed before the server has acknowledged it.
            QueueFullError: The queue of downlinks had no room for 30 s.
            DownlinkError: On V3, the network has not taken it, or has not said so within ``queue_timeout``.
        """
        given = (dev_id, payload, port, confirmation, schedule, priority, class_b_c, confirmed_retry, correlation_ids)
        try:
            sent = self._client.send(*given)
        except QueueFullError:
            sent = await self._send_later(*given)
        return Downlink(dev_id, self._client.downlink(await sent, dev_id))

    async def _send_later(self, *arguments: Any) -> asyncio.Future[int]:
        while True:
            await self._client.room()
            try:
                return self._client.send(*arguments)
            except QueueFullError:
                continue

    async def flush(self, timeout: float | timedelta | None = None) -> None:
        """Wait until every downlink is written (QoS 0) or acknowledged (QoS 1).

        Raises:
            ThingsTimeoutError: It took longer than ``timeout``, 30 s by default.
        """
        await self._client.flush(timeout)

    def stats(self) -> Stats:
        """Give the counters, as of the other client."""
        return self._client.stats()

    def __repr__(self) -> str:
        client = self._client
        state = "connected" if client.is_connected else "not connected"
        application = f" application='{client.application}'" if client.application else ""
        where = f"network='{client.network}' mqtt_address='{client.mqtt_address}'"
        return f"<aio.{type(self).__name__} app_id='{client.app_id}'{application} {where} {state}>"

    def __del__(self) -> None:
        client = getattr(self, "_client", None)
        if client is not None and client.is_open:
            warnings.warn(f"{self!r} was not closed: use async with, or aclose()", ResourceWarning, 2, source=self)
