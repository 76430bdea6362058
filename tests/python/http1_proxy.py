"""A proxy that speaks HTTP/1.1 and nothing else, as many do that stand before a ChirpStack."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from harness import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

    from certificates import Identity

#: What belongs to a connection, and not to what is passed on.
OWN = {"connection", "content-length", "host", "keep-alive", "te", "transfer-encoding"}


class _Passing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # A first line that cannot be read is refused in the same words as others.
    default_request_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.proxy.connections.append(self.connection)

    def do_POST(self) -> None:
        proxy = self.server.proxy
        body = self.rfile.read(int(self.headers["content-length"]))
        proxy.requests.append((self.path, self.headers["content-type"], self.headers["host"]))
        backend = http.client.HTTPConnection(proxy.backend, timeout=PATIENCE)
        try:
            backend.request(
                "POST", self.path, body, {key: it for key, it in self.headers.items() if key.lower() not in OWN}
            )
            answer = backend.getresponse()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in OWN:
                    self.send_header(name, value)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            # As it comes: streams have no end.
            while part := answer.read1(proxy.piece):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            # Whoever reads a stream leaves when it is enough.
            self.close_connection = True
        finally:
            backend.close()

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    proxy: Http1Proxy

    def handle_error(self, request: object, client_address: object) -> None:
        """Leave out what a client means that hangs up."""


class Http1Proxy:
    """Passes requests on to `backend`, with TLS where there is a certificate, in pieces of so many bytes."""

    def __init__(
        self, backend: str, identity: Identity | None = None, folder: Path | None = None, piece: int = 65536
    ) -> None:
        self.backend, self.piece = backend, piece
        #: Path, content type and host of each request.
        self.requests: list[tuple[str, str, str]] = []
        #: Those that were made, the first one first.
        self.connections: list[socket.socket] = []
        self._server = _Server(("127.0.0.1", 0), _Passing)
        self._server.proxy = self
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        if identity is not None:
            assert folder is not None
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*identity.write(folder))
            context.set_alpn_protocols(["http/1.1"])
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self.address = f"https://localhost:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def stop(self) -> None:
        """End, and cut every connection."""
        self._server.shutdown()
        self._thread.join(PATIENCE)
        self._server.server_close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
