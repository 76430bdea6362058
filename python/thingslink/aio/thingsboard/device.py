"""`TBDeviceMqttClient`: a device of a ThingsBoard server."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, TypeVar

from thingslink import _live, _native
from thingslink._arguments import checked
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
from thingslink.aio._binding import awaited, like, taking
from thingslink.aio._connection import Connection
from thingslink.aio._entering import Entering
from thingslink.aio._following import Following
from thingslink.aio._post import Post
from thingslink.aio.thingsboard._answering import ALL, Answering
from thingslink.aio.thingsboard._changed import changed, fields
from thingslink.aio.thingsboard._packages import PackageClient
from thingslink.thingsboard import constructor
from thingslink.thingsboard import device as _device
from thingslink.thingsboard.constants import CLAIMING_TOPIC
from thingslink.thingsboard.provisioning import client_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import timedelta
    from os import PathLike
    from typing import TypeAlias

    from thingslink.aio._updates import Updates

    _Seconds: TypeAlias = float | timedelta
    _Keys: TypeAlias = str | Iterable[str] | None

__all__ = ["Hearing", "TBDeviceMqttClient"]

F = TypeVar("F", bound="Callable[..., object]")


_ERRORS: dict[int, type[ThingsError]] = {
    TBPublishInfo.TB_ERR_AGAIN: ThingsTimeoutError,
    TBPublishInfo.TB_ERR_NO_CONN: NotConnectedError,
    TBPublishInfo.TB_ERR_CONN_LOST: ConnectionLostError,
    TBPublishInfo.TB_ERR_PAYLOAD_SIZE: MessageTooLargeError,
    TBPublishInfo.TB_ERR_AUTH: LoginRefusedError,
    TBPublishInfo.TB_ERR_QUEUE_SIZE: QueueFullError,
}


class Hearing(_device.TBDeviceMqttClient):
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


@checked
class TBDeviceMqttClient(PackageClient, Entering):
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
        self._begin(Hearing(*arguments, **options), _native.DeviceClient)

    def _begin(self, core: Hearing, view: type[_native.DeviceClient]) -> None:
        self._core = core
        # What it sends is awaited; what the other one sends by itself is not.
        self._view = view.__new__(view)
        self._view._native_await(core)
        self._view.quality_of_service = core.quality_of_service  # type: ignore[attr-defined]
        self._post = Post()
        self._login: asyncio.Future[None] | None = None
        self._login_code = 0
        self._handlers: dict[str, Callable[..., object]] = {}
        self._answering = Answering(core)
        self._following = Following()
        core._heard = self._hear
        core.subscribe_to_attribute(ALL, self._hear_attributes)

    # On the library's threads.

    def _hear(self, take: str, *arguments: Any) -> None:
        self._post.put(getattr(self, take), *arguments)

    def _hear_attributes(self, result: Any, exception: Any) -> None:
        if exception is None:
            self._post.put(self._following.tell, "attributes", result)

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
        login_timeout = _native._real("login_timeout", login_timeout)
        files = (ca_certs, cert_file, key_file, key_password, insecure) if tls else None
        how = self._core._prepare_connection(keepalive, files, port, (min_reconnect_delay, timeout))
        loop = self._belong()
        self._post.begin(loop)
        _live.connecting_on(loop, self)
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
        await self._answering.end()
        closing = self._core._close_async(timeout)
        try:
            return await asyncio.shield(closing)
        finally:
            self._following.end()
            self._part()

    async def aclose(self, *, timeout: _Seconds | None = None) -> None:
        """Send what was accepted, part with the server, end the streams, cancel the handlers."""
        await self.disconnect(timeout=timeout)

    async def _enter(self) -> None:
        if not self.is_connected():
            await self.connect()

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
        self._following.tell("connections", Connection(code == 0, code, reason))

    def _take_end(self, code: int) -> None:
        self._following.tell("connections", Connection(False, code, "The connection was lost" if code else "Closed"))

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

        callback = hear_reply if name == "send_rpc_call" else hear
        try:
            await self._call(name, *arguments, callback, **options)
            return await answer
        finally:
            # An answer that nobody waits for is not waited for here either.
            self._core._native_forget(callback)
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
        claim = {"secretKey": secret_key, "durationMs": constructor.number("duration", duration)}
        info: TBPublishInfo = await self._call("_publish_data", claim, CLAIMING_TOPIC, None)
        return info

    # What the server asks for, and tells.

    def rpc(self, method: str = ALL) -> Callable[[F], F]:
        """Have calls of the server to this method answered by a coroutine function, or a function: ``handler(params)``.

        What it gives, anything that JSON can express, is the answer. Handlers run at the same time, as tasks of the
        loop; they may send and ask themselves. An exception is logged, and the call stays unanswered. Handlers are
        cancelled when the client is closed.

        Args:
            method: Name of the method; ``"*"`` for all others, whose handler is called with the name before the
                parameters.
        """

        def take(handler: F) -> F:
            told = Callback("handler", handler, "method, params" if method == ALL else "params")
            self._handlers[method] = told.function
            self._core.set_server_side_rpc_request_handler(self._hear_call)
            return handler

        return take

    def attribute_updates(self, *keys: str) -> Updates[dict[str, Any]]:
        """Give a stream of changes of shared attributes, from now on: as the server tells them, in dicts.

        Args:
            keys: Names of those that count; without any all do. Deleted ones are in the list ``"deleted"``.
        """
        wanted: frozenset[str] = frozenset() if ALL in keys else frozenset(keys)
        return self._open("attributes", lambda update: not wanted or bool(wanted & changed(update)))

    def _open(self, kind: str, wants: Callable[[Any], bool] = lambda _: True) -> Updates[Any]:
        self._belong()
        return self._following.open(kind, wants)

    def _take_call(self, request_id: str, body: Any) -> None:
        self._answering.answer(
            self._handlers, fields(body), (), lambda answer: self._call("send_rpc_reply", request_id, answer)
        )

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
