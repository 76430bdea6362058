"""The ThingsBoard clients for asyncio: sends and calls are awaited, what the server asks for is answered by coroutines.

The clients of the other face do the work; what their threads hear is handed to the event loop (`_post`).
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from thingslink import _native
from thingslink._native import (
    Callback,
    ConnectionLostError,
    LoginRefusedError,
    MessageTooLargeError,
    NotConnectedError,
    QueueFullError,
    TBPublishInfo,
    ThingsError,
    ThingsTimeoutError,
)
from thingslink.aio._belonging import Belonging
from thingslink.aio._binding import awaited, like, taking
from thingslink.aio._post import Post
from thingslink.aio._updates import Updates
from thingslink.thingsboard import device as _device
from thingslink.thingsboard import gateway as _gateway
from thingslink.thingsboard.constants import CLAIMING_TOPIC
from thingslink.thingsboard.provisioning import client_for

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from datetime import timedelta
    from os import PathLike
    from typing import TypeAlias

    from typing_extensions import Self

    _Seconds: TypeAlias = float | timedelta
    _Keys: TypeAlias = str | Iterable[str] | None

__all__ = ["Connection", "Package", "TBDeviceMqttClient", "TBGatewayMqttClient"]

log = logging.getLogger("tb_connection")

T = TypeVar("T")
F = TypeVar("F", bound="Callable[..., object]")

#: Calls of the server that are being answered at once, at most.
_MOST_CALLS = 1000
#: Seconds that cancelled handlers have to end in.
_FAREWELL = 5.0
_ALL = "*"

_ERRORS: dict[int, type[ThingsError]] = {
    TBPublishInfo.TB_ERR_AGAIN: ThingsTimeoutError,
    TBPublishInfo.TB_ERR_NO_CONN: NotConnectedError,
    TBPublishInfo.TB_ERR_CONN_LOST: ConnectionLostError,
    TBPublishInfo.TB_ERR_PAYLOAD_SIZE: MessageTooLargeError,
    TBPublishInfo.TB_ERR_AUTH: LoginRefusedError,
    TBPublishInfo.TB_ERR_QUEUE_SIZE: QueueFullError,
}


class Connection(NamedTuple):
    """A login that was answered, or a connection that ended."""

    is_connected: bool
    code: int
    """Of the login: 0 when it was let in. Of an end: 0 when it was asked for, 7 when it was lost."""
    reason: str
    """The code in words."""


class Package(NamedTuple):
    """A firmware or software package, or why there is none."""

    kind: Literal["fw", "sw"]
    version: str
    data: bytes | None
    """The package itself."""
    url: str | None
    """Where it lies, if the server does not keep it."""
    error: str | None
    """Why it cannot be had."""


class _Hearing(_device.TBDeviceMqttClient):
    """A client of the other face, which hands on what it hears."""

    _heard: Callable[..., None]

    def _hear_connected(self, code: int, reason: str, session_present: bool) -> None:
        super()._hear_connected(code, reason, session_present)
        self._heard("_take_login", code, reason)

    def _hear_disconnected(self, code: int) -> None:
        super()._hear_disconnected(code)
        self._heard("_take_end", code)

    def _hear_device_dropped(self, content: dict[str, Any]) -> None:
        super()._hear_device_dropped(content)
        self._heard("_take_dropped", content)


class _HearingGateway(_Hearing, _gateway.TBGatewayMqttClient):
    """The same of a gateway."""


class TBDeviceMqttClient(Belonging):
    """A device of a ThingsBoard server, over MQTT, for asyncio.

    The arguments are those of ``thingslink.tb_device_mqtt.TBDeviceMqttClient``. Sends give what became of them, or
    raise: ``NotConnectedError``, ``LoginRefusedError``, ``MessageTooLargeError``, ``QueueFullError`` where the limits
    leave no room in time, ``ThingsTimeoutError`` where the server does not acknowledge in time, another ``ThingsError``
    where it refuses. A send that is cancelled while it waits for the connection or for the limits is not sent; one that
    was accepted stays accepted.

    It belongs to the event loop that it is connected on, until it is closed. An asynchronous context manager: connects
    on enter and waits for the answer to the login, closes on exit.
    """

    @taking(_device.TBDeviceMqttClient)
    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._begin(_Hearing(*arguments, **options), _native.DeviceClient)

    def _begin(self, core: _Hearing, view: type[_native.DeviceClient]) -> None:
        self._core = core
        # What it sends is awaited; what the other one sends by itself is not.
        self._view = view.__new__(view)
        self._view._native_await(core)
        self._view.quality_of_service = core.quality_of_service  # type: ignore[attr-defined]
        self._post = Post()
        self._login: asyncio.Future[None] | None = None
        self._login_code = 0
        self._handlers: dict[str, Callable[..., object]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        #: Streams, each with what it takes; those that nobody holds are forgotten.
        self._streams: WeakKeyDictionary[Updates[Any], tuple[str, Callable[[Any], bool]]] = WeakKeyDictionary()
        core._heard = self._hear
        core.subscribe_to_attribute(_ALL, self._hear_attributes)

    # On the library's threads.

    def _hear(self, take: str, *arguments: Any) -> None:
        self._post.put(getattr(self, take), *arguments)

    def _hear_attributes(self, result: Any, exception: Any) -> None:
        if exception is None:
            self._post.put(self._tell, "attributes", result)

    def _hear_call(self, request_id: str, body: Any) -> None:
        self._post.put(self._take_call, request_id, body)

    # Connecting, and parting.

    async def connect(
        self,
        *,
        min_reconnect_delay: _Seconds | None = None,
        timeout: _Seconds | None = None,
        tls: bool = False,
        ca_certs: str | bytes | PathLike[str] | None = None,
        cert_file: str | PathLike[str] | None = None,
        key_file: str | PathLike[str] | None = None,
        keepalive: _Seconds | None = 120,
        key_password: str | None = None,
        insecure: bool = False,
        port: int | str | None = None,
        login_timeout: float = 30,
    ) -> None:
        """Connect and log in; returns when the server has let the device in. Cancelled, the attempt is given up.

        A connection that is lost later is made anew by itself; ``connections()`` tells of it.

        Args:
            min_reconnect_delay: Seconds before the first attempt after a loss, 1 by default; doubles with each.
            timeout: Longest delay between attempts in seconds, 120 by default.
            tls: Whether to speak TLS.
            ca_certs: Certificates to trust instead of the system's: a path, PEM text or PEM bytes.
            cert_file: PEM file of the client's certificate.
            key_file: PEM file of its key.
            keepalive: Seconds of silence before the connection is probed.
            key_password: What the key is encrypted with.
            insecure: Whether to accept any certificate: no protection against an impostor.
            port: Another port than the constructor's.
            login_timeout: Seconds to wait for the answer to the login, 30 by default.

        Raises:
            OSError: The server cannot be reached, or a file not read.
            TlsError: The handshake failed, or a certificate cannot be used.
            LoginRefusedError: The server does not know the token, or user name and password.
            ThingsTimeoutError: No answer in time.
            ValueError: An argument that cannot be used.
            RuntimeError: The client is connected on another event loop.
        """
        files = (ca_certs, cert_file, key_file, key_password, insecure) if tls else None
        how = self._core._prepare_connection(keepalive, files, port, (min_reconnect_delay, timeout))
        loop = self._belong()
        self._post.begin(loop)
        self._login = loop.create_future()
        try:
            await self._core._native_connect_async(how)
            await asyncio.wait_for(self._login, login_timeout)
        except asyncio.TimeoutError as error:
            self._give_up()
            if isinstance(error, OSError) and isinstance(error, ThingsError):
                raise
            raise ThingsTimeoutError(f"the server did not answer the login within {login_timeout:g} s") from error
        except BaseException:
            self._give_up()
            raise

    def _give_up(self) -> None:
        # It goes on by itself.
        self._core._close_async(0)
        self._part()

    async def disconnect(self, *, timeout: _Seconds | None = None) -> int:
        """Send what was accepted, part with the server, end streams and cancel handlers.

        It goes on by itself when it is cancelled. Gives 0, or 4 when there was no connection.

        Args:
            timeout: Seconds to wait for acknowledgements; 5 by default. What is left goes out on the next connection.
        """
        self._belong()
        await self._end_calls()
        closing = self._core._close_async(timeout)
        try:
            return await asyncio.shield(closing)
        finally:
            for stream in list(self._streams):
                stream._end()
            self._streams.clear()
            self._part()

    async def aclose(self, *, timeout: _Seconds | None = None) -> None:
        """Send what was accepted, part with the server, end the streams, cancel the handlers."""
        await self.disconnect(timeout=timeout)

    async def __aenter__(self) -> Self:
        if not self.is_connected():
            await self.connect()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.aclose()

    def is_connected(self) -> bool:
        """Whether the client is logged in now."""
        return self._core.is_connected()

    def connections(self) -> Updates[Connection]:
        """Give a stream of logins and ends of connections, from now on."""
        return self._open("connections")

    def _take_login(self, code: int, reason: str) -> None:
        self._login_code = code
        if self._login is not None and not self._login.done():
            if code == 0:
                self._login.set_result(None)
            elif self._core._is_refused:
                self._login.set_exception(self._refused(reason))
        self._tell("connections", Connection(code == 0, code, reason))

    def _take_end(self, code: int) -> None:
        self._tell("connections", Connection(False, code, "The connection was lost" if code else "Closed"))

    def _refused(self, reason: str) -> LoginRefusedError:
        error = LoginRefusedError(f"the server refused the login with code {self._login_code} ({reason})")
        error.code = self._login_code
        return error

    # Sending.

    async def _call(self, name: str, *arguments: Any, **options: Any) -> Any:
        self._belong()
        info = getattr(self._view, name)(*arguments, **options)
        if info is None:
            return None
        code = await info
        if code == TBPublishInfo.TB_ERR_SUCCESS:
            return info
        text = TBPublishInfo.ERRORS_DESCRIPTION.get(code, f"code {code}")
        if code == TBPublishInfo.TB_ERR_AUTH:
            raise self._refused(text)
        raise _ERRORS.get(code, ThingsError)(f"{name}: {text}")

    async def _ask(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Call a method whose last argument is a callback, and give what that gets."""
        answer: asyncio.Future[Any] = self._belong().create_future()

        def take(result: Any, exception: BaseException | None) -> None:
            if answer.done():
                return
            if exception is None:
                answer.set_result(result)
            else:
                answer.set_exception(exception)

        def hear(result: Any, exception: Any) -> None:
            self._post.put(take, result, exception)

        def hear_reply(_id: int, result: Any, exception: Any) -> None:
            self._post.put(take, result, exception)

        try:
            await self._call(name, *arguments, hear_reply if name == "send_rpc_call" else hear, **options)
            return await answer
        finally:
            if answer.done() and not answer.cancelled():
                # Seen, whatever it was: the send's own failure is told.
                answer.exception()
            answer.cancel()

    send_telemetry = awaited(_native.DeviceClient.send_telemetry)
    send_attributes = awaited(_native.DeviceClient.send_attributes)
    send_rpc_reply = awaited(_native.DeviceClient.send_rpc_reply)

    async def request_attributes(self, client_keys: _Keys = None, shared_keys: _Keys = None) -> dict[str, Any]:
        """Ask for attributes; gives the answer, with what there is of ``"client"`` and ``"shared"``.

        Args:
            client_keys: Names of client attributes; a text is one name.
            shared_keys: Names of shared attributes. Without any names all attributes are asked for.

        Raises:
            TBTimeoutException: No answer within 20 s.
        """
        answer: dict[str, Any] = await self._ask("request_attributes", client_keys, shared_keys)
        return answer

    async def send_rpc_call(self, method: str, params: Any = None, *, timeout: _Seconds | None = None) -> Any:
        """Call the server, and give its answer.

        Args:
            method: Name of the method.
            params: What JSON can express.
            timeout: Seconds to wait for the answer; without one as long as the connection lasts.

        Raises:
            TBTimeoutException: No answer in time.
            ConnectionError: The connection was lost before the answer.
        """
        return await self._ask("send_rpc_call", method, params, timeout=timeout)

    async def request_service_configuration(self) -> Any:
        """Ask the server for the session's limits, and give its answer."""
        return await self.send_rpc_call("getSessionLimits", {"timeout": 5000})

    async def claim(self, secret_key: str, duration: int = 30000) -> TBPublishInfo:
        """Let a user claim the device with this key within ``duration`` milliseconds."""
        claim = {"secretKey": secret_key, "durationMs": duration}
        info: TBPublishInfo = await self._call("_publish_data", claim, CLAIMING_TOPIC, None)
        return info

    # What the server asks for, and tells.

    def rpc(self, method: str = _ALL) -> Callable[[F], F]:
        """Have calls of the server to this method answered by a coroutine function, or a function: ``handler(params)``.

        What it gives, anything that JSON can express, is the answer. Handlers run at the same time, as tasks of the
        loop; they may send and ask themselves. An exception is logged, and the call stays unanswered. Handlers are
        cancelled when the client is closed.

        Args:
            method: Name of the method; ``"*"`` for all others, whose handler is called with the name before the
                parameters.
        """

        def take(handler: F) -> F:
            checked = Callback("handler", handler, "method, params" if method == _ALL else "params")
            self._handlers[method] = checked.function
            self._core.set_server_side_rpc_request_handler(self._hear_call)
            return handler

        return take

    def attribute_updates(self, *keys: str) -> Updates[dict[str, Any]]:
        """Give a stream of changes of shared attributes, from now on: as the server tells them, in dicts.

        Args:
            keys: Names of those that count; without any all do. Deleted ones are in the list ``"deleted"``.
        """
        wanted = frozenset(keys) - {_ALL} if _ALL not in keys else frozenset()
        return self._open("attributes", lambda update: not wanted or bool(wanted & _changed(update)))

    def _open(self, kind: str, wants: Callable[[Any], bool] = lambda _: True) -> Updates[Any]:
        self._belong()
        stream: Updates[Any] = Updates(self._forget)
        self._streams[stream] = kind, wants
        return stream

    def _forget(self, stream: Updates[Any]) -> None:
        self._streams.pop(stream, None)

    def _tell(self, kind: str, content: Any) -> None:
        for stream, (of, wants) in list(self._streams.items()):
            if of == kind and wants(content):
                stream._put(content)

    def _take_call(self, request_id: str, body: Any) -> None:
        body = body if isinstance(body, dict) else {}
        self._answer(self._handlers, body, (), lambda answer: self._call("send_rpc_reply", request_id, answer))

    def _answer(
        self,
        handlers: dict[str, Callable[..., object]],
        body: dict[str, Any],
        before: tuple[Any, ...],
        reply: Callable[[Any], Coroutine[Any, Any, Any]],
    ) -> None:
        """Have a call answered by its handler, in a task."""
        method = body.get("method")
        handler = handlers.get(str(method))
        arguments = (*before, body.get("params"))
        if handler is None:
            handler, arguments = handlers.get(_ALL), (*before, method, body.get("params"))
        if handler is None:
            log.warning("a call of the server to %r stays unanswered: there is no handler for it", method)
            return
        if len(self._answering) >= _MOST_CALLS:
            log.error("a call of the server to %r stays unanswered: %d are being answered", method, _MOST_CALLS)
            return
        task = asyncio.get_running_loop().create_task(self._run(handler, arguments, reply))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _run(
        self,
        handler: Callable[..., object],
        arguments: tuple[Any, ...],
        reply: Callable[[Any], Coroutine[Any, Any, Any]],
    ) -> None:
        try:
            answer = handler(*arguments)
            if inspect.isawaitable(answer):
                answer = await answer
            # A text that holds JSON would stand for its value.
            await reply(json.dumps(answer) if isinstance(answer, str) else answer)
        except Exception as error:
            log.exception("a call of the server stays unanswered")
            _native._callback_failed(self._core, error)

    async def _end_calls(self) -> None:
        tasks = self._answering - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_FAREWELL)

    # Packages.

    def packages(self) -> Updates[Package]:
        """Give a stream of the firmware and software packages that the server announces, as they are downloaded."""
        core = self._core

        def told(kind: Literal["fw", "sw"], of: str) -> Callable[[object, Any, str], None]:
            def hear(_client: object, value: Any, version: str) -> None:
                fields = {"data": None, "url": None, "error": None, of: value}
                self._post.put(self._tell, "packages", Package(kind, version, **fields))

            return hear

        core.set_on_firmware_received_callback(told("fw", "data"))
        core.set_on_firmware_url_callback(told("fw", "url"))
        core.set_on_firmware_failed_callback(told("fw", "error"))
        core.set_on_software_received_callback(told("sw", "data"))
        core.set_on_software_url_callback(told("sw", "url"))
        core.set_on_software_failed_callback(told("sw", "error"))
        return self._open("packages")

    async def get_firmware_update(self) -> None:
        """Download the firmware package that the shared attributes announce, now and whenever they change."""
        await asyncio.to_thread(self._core.get_firmware_update)

    async def get_software_update(self) -> None:
        """Download the software package that the shared attributes announce, now and whenever they change."""
        await asyncio.to_thread(self._core.get_software_update)

    async def update_firmware_info(
        self, title: str | None = None, version: str | None = None, state: Any = None, error: str | None = None
    ) -> None:
        """Change what is told about the firmware, and send it as telemetry, with the present time."""
        await asyncio.to_thread(self._core.update_firmware_info, title, version, state, error)

    async def update_software_info(
        self, *, title: str | None = None, version: str | None = None, state: Any = None, error: str | None = None
    ) -> None:
        """Change what is told about the software, and send it as telemetry, with the present time."""
        tell = self._core.update_software_info
        await asyncio.to_thread(tell, title=title, version=version, state=state, error=error)

    # Settings.

    @property
    def quality_of_service(self) -> int:
        """0 or 1, for what is sent without a level of its own."""
        return self._core.quality_of_service

    @quality_of_service.setter
    def quality_of_service(self, quality: int) -> None:
        self._core.quality_of_service = quality
        self._view.quality_of_service = quality  # type: ignore[attr-defined]

    @property
    def rate_limits_received(self) -> bool:
        """Whether the session's limits were answered."""
        return self._core.rate_limits_received

    @property
    def max_payload_size(self) -> int:
        """The size of messages in bytes, above which telemetry and attributes are split."""
        return self._core.max_payload_size

    @max_payload_size.setter
    def max_payload_size(self, size: int) -> None:
        self._core.max_payload_size = size

    def reconnect_delay_set(self, min_delay: _Seconds | None = 1, max_delay: _Seconds | None = 120) -> None:
        """Set the delays between attempts to connect, in seconds: doubling from the first to the second."""
        self._core.reconnect_delay_set(min_delay, max_delay)

    def max_inflight_messages_set(self, inflight: int) -> None:
        """Bound the QoS 1 messages that are unacknowledged at once; 0 for any number."""
        self._core.max_inflight_messages_set(inflight)

    def max_queued_messages_set(self, queue_size: int) -> None:
        """Bound the messages that wait at once, after which sending waits, too; 0 for any number."""
        self._core.max_queued_messages_set(queue_size)

    def stop(self) -> None:
        """Make those who wait for a connection give up; the connection itself stays."""
        self._core.stop()

    @property
    def stopped(self) -> bool:
        """Whether ``stop`` was called."""
        return self._core.stopped

    @staticmethod
    @like(_device.TBDeviceMqttClient.provision)
    async def provision(*arguments: Any, **options: Any) -> dict[str, Any] | None:  # noqa: D102 - the other one's
        given = inspect.signature(_device.TBDeviceMqttClient.provision).bind(*arguments, **options).arguments
        within = given.pop("timeout", 60)
        client = client_for(**given)
        await client.provision_async(within)
        return client.get_credentials()

    def __repr__(self) -> str:
        return f"<aio.{type(self).__name__} {repr(self._core).partition(' ')[2]}"


class TBGatewayMqttClient(TBDeviceMqttClient):
    """A gateway of a ThingsBoard server, with devices behind it, over MQTT, for asyncio.

    A device as well: everything of ``TBDeviceMqttClient`` works for the gateway itself. The arguments are those of
    ``thingslink.tb_gateway_mqtt.TBGatewayMqttClient``. Devices are announced again after a reconnect.
    """

    _core: _HearingGateway
    _view: _native.GatewayClient

    @taking(_gateway.TBGatewayMqttClient)
    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._begin(_HearingGateway(*arguments, **options), _native.GatewayClient)
        self._device_handlers: dict[str, Callable[..., object]] = {}
        self._core.gw_subscribe_to_all_attributes(self._hear_device_attributes)

    def _hear_device_attributes(self, content: Any) -> None:
        self._post.put(self._tell, "device attributes", content)

    def _hear_device_call(self, gateway: object, content: Any) -> None:  # noqa: ARG002 - the form says what is wanted
        self._post.put(self._take_device_call, content)

    @property
    def gateway(self) -> Any:
        """Whatever the constructor was given."""
        return self._core.gateway

    gw_connect_device = awaited(_native.GatewayClient.gw_connect_device)
    gw_disconnect_device = awaited(_native.GatewayClient.gw_disconnect_device)
    gw_send_telemetry = awaited(_native.GatewayClient.gw_send_telemetry)
    gw_send_attributes = awaited(_native.GatewayClient.gw_send_attributes)
    gw_send_rpc_reply = awaited(_native.GatewayClient.gw_send_rpc_reply)
    gw_claim = awaited(_native.GatewayClient.gw_claim)

    async def gw_request_shared_attributes(self, device_name: str, keys: _Keys = None) -> dict[str, Any]:
        """Ask for shared attributes of a device; gives the answer."""
        answer: dict[str, Any] = await self._ask("gw_request_shared_attributes", device_name, keys)
        return answer

    async def gw_request_client_attributes(self, device_name: str, keys: _Keys = None) -> dict[str, Any]:
        """Ask for client attributes of a device; gives the answer."""
        answer: dict[str, Any] = await self._ask("gw_request_client_attributes", device_name, keys)
        return answer

    def gw_rpc(self, method: str = _ALL) -> Callable[[F], F]:
        """Have calls to devices answered, as ``rpc`` does: ``handler(device, params)``.

        Args:
            method: Name of the method; ``"*"`` for all others, whose handler is ``handler(device, method, params)``.
        """

        def take(handler: F) -> F:
            form = "device, method, params" if method == _ALL else "device, params"
            self._device_handlers[method] = Callback("handler", handler, form).function
            self._core.gw_set_server_side_rpc_request_handler(self._hear_device_call)
            return handler

        return take

    def gw_attribute_updates(self, device: str = _ALL, *keys: str) -> Updates[dict[str, Any]]:
        """Give a stream of changes of devices' shared attributes, from now on: dicts with ``"device"`` and ``"data"``.

        Args:
            device: Name of the one that counts; ``"*"`` for all.
            keys: Names of the attributes that count; without any all do.
        """
        wanted = frozenset(keys) if _ALL not in keys else frozenset()

        def wants(content: dict[str, Any]) -> bool:
            is_of_it = device in {_ALL, content.get("device")}
            return is_of_it and (not wanted or bool(wanted & _changed(content.get("data"))))

        return self._open("device attributes", wants)

    def gw_dropped_devices(self) -> Updates[dict[str, Any]]:
        """Give a stream of the devices that the server drops, from now on: dicts with ``"device"`` and ``"reason"``."""
        return self._open("dropped")

    def get_subscriptions_in_progress(self) -> bool:
        """Whether the subscriptions of the connection are still to be answered."""
        return self._core.get_subscriptions_in_progress()

    def _take_dropped(self, content: dict[str, Any]) -> None:
        self._tell("dropped", content)

    def _take_device_call(self, content: Any) -> None:
        data = content.get("data") if isinstance(content, dict) else None
        if not isinstance(data, dict) or "id" not in data:
            log.error('passed over a call to a device: expected an object whose "data" has an "id"')
            return
        device, number = content.get("device"), data["id"]
        self._answer(
            self._device_handlers,
            data,
            (device,),
            lambda answer: self._call("gw_send_rpc_reply", device, number, answer),
        )


def _changed(update: Any) -> set[str]:
    """The names of the attributes that a push is about: those that it sets, and those that were deleted."""
    if not isinstance(update, dict):
        return set()
    deleted = update.get("deleted")
    return (
        set(update) | {name for name in deleted if isinstance(name, str)} if isinstance(deleted, list) else set(update)
    )
