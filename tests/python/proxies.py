"""Proxies for one connection, with a login."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading

from harness import PATIENCE


def pass_between(client: socket.socket, server: socket.socket) -> None:
    """Pass everything on, in both directions, until both have ended."""
    back = threading.Thread(target=_pass_on, args=(server, client))
    back.start()
    _pass_on(client, server)
    back.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    # Either side may have gone first.
    with contextlib.suppress(OSError):
        while data := source.recv(4096):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


class Socks5:
    """A proxy for one connection, with a login."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.target = ""
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self) -> None:
        client, _ = self.listener.accept()
        with client, client.makefile("rb") as stream:
            _version, count = stream.read(2)
            assert 2 in stream.read(count)
            client.sendall(b"\x05\x02")
            assert stream.read(1) == b"\x01"
            login = [stream.read(stream.read(1)[0]) for _ in range(2)]
            client.sendall(b"\x01\x00" if login == [b"u", b"p"] else b"\x01\x01")
            if login != [b"u", b"p"]:
                return
            assert stream.read(4) == b"\x05\x01\x00\x03"
            host = stream.read(stream.read(1)[0]).decode()
            port = int.from_bytes(stream.read(2), "big")
            self.target = f"{host}:{port}"
            with socket.create_connection(("127.0.0.1", port)) as server:
                client.sendall(b"\x05\x00\x00\x01" + bytes(6))
                pass_between(client, server)

    def close(self) -> None:
        self.thread.join(PATIENCE)
        self.listener.close()


class HttpProxy:
    """Speaks HTTP and knows CONNECT; whatever name it is asked for, the server is on this machine."""

    def __init__(
        self, answer: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n", login: str | None = None
    ) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.answer = answer
        self.login = login
        self.requests: list[list[str]] = []
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._tunnel, args=(client,), daemon=True).start()

    def _tunnel(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as stream:
            head = []
            while line := stream.readline().strip():
                head.append(line.decode())
            self.requests.append(head)
            if self.login is not None:
                expected = "Basic " + base64.b64encode(self.login.encode()).decode()
                if f"Proxy-Authorization: {expected}" not in head:
                    client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                    return
            client.sendall(self.answer)
            if b" 200 " in self.answer:
                port = int(head[0].split()[1].rpartition(":")[2])
                with socket.create_connection(("127.0.0.1", port)) as server:
                    pass_between(client, server)

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(PATIENCE)
