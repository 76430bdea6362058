"""One HTTP connection to a server, kept alive from request to request."""

from __future__ import annotations

import http.client
import os
import select
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from thingslink._native import ConnectionLostError, MessageTooLargeError, ThingsTimeoutError, TlsError, _masked

if TYPE_CHECKING:
    from os import PathLike

#: Largest body that is taken in.
_MAX_BYTES = 256 << 20
#: Bytes in a second below which nothing is expected to work.
_SLOWEST_PACE = 1000


class Answer(NamedTuple):
    """What a request was answered with."""

    status: int
    reason: str
    body: bytes
    location: str


class Server(NamedTuple):
    """Where a server is, read from its root URL, and whom to trust there."""

    host: str
    port: int | None
    path: str
    context: ssl.SSLContext | None

    @classmethod
    def of(cls, url: object, ca_certs: str | bytes | PathLike[str] | None, *, insecure: bool) -> Server:
        """Read a root URL.

        Raises:
            ValueError: It is none.
        """
        if not isinstance(url, str):
            raise TypeError(f"host must be str, not {type(url).__name__}")
        parts = urlsplit(url.strip())
        if "@" in parts.netloc:
            raise ValueError("host is not valid: it holds credentials, and a device is known by its token alone")
        expected = (
            f"host {_masked(url)!r} is not valid: expected the URL of the server, such as https://thingsboard.example"
        )
        try:
            port = parts.port
        except ValueError:
            raise ValueError(expected) from None
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(expected)
        secured = _context(ca_certs, insecure=insecure) if parts.scheme == "https" else None
        return cls(parts.hostname, port, parts.path.rstrip("/"), secured)

    def __str__(self) -> str:
        scheme = "http" if self.context is None else "https"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}" if self.port is None else f"{scheme}://{host}:{self.port}"


def _context(ca_certs: str | bytes | PathLike[str] | None, *, insecure: bool) -> ssl.SSLContext:
    if not isinstance(ca_certs, str | bytes | os.PathLike | None):
        raise TypeError(f"ca_certs must be a path, PEM text or PEM bytes, not {type(ca_certs).__name__}")
    text = ca_certs.decode() if isinstance(ca_certs, bytes) else ca_certs
    try:
        if isinstance(text, str) and "-----BEGIN" in text:
            context = ssl.create_default_context(cadata=text)
        else:
            context = ssl.create_default_context(cafile=text)
    except ssl.SSLError as error:
        raise TlsError(f"ca_certs: {error.reason or error}") from None
    if insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class HttpConnection:
    """One connection, made when it is needed. Its requests come one after the other, from whatever threads."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._link: http.client.HTTPConnection | None = None
        self._aborted = False

    def request(
        self, method: str, path: str, body: bytes | None, *, what: str, timeout: float, repeatable: bool
    ) -> Answer:
        """Send a request and wait for its answer.

        Args:
            method: GET or POST.
            path: Below the server's root; may hold the token, and so is in no error.
            body: JSON, or ``None``.
            what: The request as errors call it.
            timeout: Seconds to wait for the connection, and for each part of the answer.
            repeatable: Whether it may be sent twice, where a kept connection turns out to be closed.

        Raises:
            OSError: The server cannot be reached.
            TlsError: It does not show a certificate that is trusted.
            ConnectionLostError: It hung up, or does not speak HTTP.
            ThingsTimeoutError: No answer in time.
        """
        sent = (method, path, body)
        where = f"{what} at {self._server}"
        with self._lock:
            if self._link is None or self._is_stale(self._link):
                self._drop()
                return self._try(sent, where, timeout)
            try:
                return self._try(sent, where, timeout)
            except ConnectionLostError:
                # It was closed before the request came, if nothing worse is true.
                if not repeatable or self._aborted:
                    raise
            return self._try(sent, where, timeout)

    def _try(self, sent: tuple[str, str, bytes | None], where: str, timeout: float) -> Answer:
        try:
            return self._exchange(*sent, timeout)
        except TimeoutError:
            error: Exception = ThingsTimeoutError(f"{where}: no answer within {timeout:g} s")
        except ssl.SSLError as failure:
            error = TlsError(f"{where}: {getattr(failure, 'verify_message', None) or failure.reason or failure}")
        except (http.client.HTTPException, ConnectionResetError, BrokenPipeError) as failure:
            error = ConnectionLostError(f"{where}: {_words(failure)}")
        except BaseException:
            self._drop()
            raise
        self._drop()
        raise error

    def _exchange(self, method: str, path: str, body: bytes | None, timeout: float) -> Answer:
        if self._link is None:
            self._link = self._connect(timeout)
        link = self._link
        # In this order: `abort` says so before it looks at the connection.
        if self._aborted:
            raise ConnectionResetError
        link.sock.settimeout(timeout)
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        link.request(method, self._server.path + path, body, headers)
        response = link.getresponse()
        taken, deadline = bytearray(), time.monotonic() + timeout
        while piece := response.read1(1 << 16):
            taken += piece
            if len(taken) > _MAX_BYTES:
                raise MessageTooLargeError(f"an answer of more than {_MAX_BYTES} bytes")
            if time.monotonic() > deadline + len(taken) / _SLOWEST_PACE:
                raise TimeoutError
        if response.length:
            # It ended in the middle.
            raise ConnectionResetError
        response.close()
        if response.will_close:
            self._drop()
        return Answer(response.status, response.reason, bytes(taken), response.getheader("Location", ""))

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        host, port, _, context = self._server
        link: http.client.HTTPConnection
        if context is None:
            link = http.client.HTTPConnection(host, port, timeout=timeout)
        else:
            link = http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
        link.connect()
        link.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return link

    @staticmethod
    def _is_stale(link: http.client.HTTPConnection) -> bool:
        """Whether the server has closed a kept connection: nothing else may be there to read."""
        if link.sock is None:
            return True
        poll = select.poll()
        poll.register(link.sock, select.POLLIN)
        return bool(poll.poll(0))

    def _drop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def abort(self) -> None:
        """End a request that is under way in another thread, and all later ones, by a `ConnectionLostError`."""
        self._aborted = True
        link = self._link
        held: Any = None if link is None else link.sock
        if held is not None:
            try:
                held.shutdown(socket.SHUT_RDWR)
            except OSError:
                # It has ended by itself.
                return

    def close(self) -> None:
        """Close the connection; the next request makes another."""
        with self._lock:
            self._drop()


def _words(error: Exception) -> str:
    if isinstance(error, http.client.RemoteDisconnected | ConnectionError):
        return "the server hung up"
    return f"the server does not speak HTTP ({type(error).__name__})"
