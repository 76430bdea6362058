"""What tests stand on: a recorder of callbacks, a raw MQTT server, a real broker."""

from __future__ import annotations

import queue
import re
import socket
import struct
import subprocess
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from thingslink.ttn import MQTTClient
    from typing_extensions import Self

#: No test waits longer than this for anything.
PATIENCE = 20.0
#: Runs a test on V2 and on V3, where callbacks see the same; `client/test_both_networks.py` says where they do not.
on_both_networks = pytest.mark.parametrize("sandbox", ["v2", "v3"], indirect=True)


@contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a program; whatever happens, it ends with the block."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)
    try:
        yield process
    finally:
        process.kill()
        process.wait(PATIENCE)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()


class Recorder:
    """Callbacks that hand what they get to the test's thread."""

    def __init__(self) -> None:
        self.entries: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.skipped: list[tuple[str, Any]] = []

    def on(self, kind: str) -> Any:
        """Give a callback that records under this name."""

        def callback(value: Any, client: Any) -> None:
            self.entries.put((kind, value))

        return callback

    def watch(self, client: MQTTClient) -> MQTTClient:
        """Record everything that the original can tell."""
        client.set_connect_callback(self.on("connect"))
        client.set_close_callback(self.on("close"))
        client.set_uplink_callback(self.on("uplink"))
        client.set_downlink_callback(self.on("downlink"))
        client.set_error_callback(self.on("error"))
        return client

    def expect(self, kind: str) -> Any:
        """Wait for the next entry of this name; others are set aside."""
        return self.expect_each(kind)[0]

    def expect_each(self, *kinds: str) -> list[Any]:
        """Wait for the next entry of each of these names, whichever comes first; others are set aside."""
        deadline = time.monotonic() + PATIENCE
        found: dict[str, Any] = {}
        while len(found) < len(kinds):
            try:
                came, value = self.entries.get(timeout=max(deadline - time.monotonic(), 0))
            except queue.Empty:
                missing = " or ".join(kind for kind in kinds if kind not in found)
                raise AssertionError(f"no {missing} came; there were {self.skipped}") from None
            if came in kinds and came not in found:
                found[came] = value
            else:
                self.skipped.append((came, value))
        return [found[kind] for kind in kinds]

    def drain(self) -> list[tuple[str, Any]]:
        """Give what has come and was not expected."""
        while not self.entries.empty():
            self.skipped.append(self.entries.get())
        return self.skipped


#: Answers to a login, by the version of MQTT that is spoken from then on.
V311_CONNACK = b"\x20\x02\x00\x00"
V5_CONNACK = b"\x20\x03\x00\x00\x00"
#: The question of ThingsBoard's clients for the limits of their session, which they wait for.
LIMITS = re.compile(rb"v1/devices/me/rpc/request/(\d+).*getSessionLimits", re.DOTALL)


class RawServer:
    """An MQTT server of a few lines that keeps every byte it gets and sends what the test says."""

    def __init__(self, connack: bytes = V311_CONNACK) -> None:
        self.connack = connack
        self.packets: queue.Queue[bytes] = queue.Queue()
        self.connections: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        #: Held while an answer is written; a test that writes a packet in pieces holds it.
        self.writing = threading.Lock()
        #: Whether subscriptions, pings and QoS 1 messages are answered.
        self.answers = True
        #: How many filters of each subscription are refused, from the first on.
        self.refused = 0
        #: Messages with this in them are not acknowledged.
        self.unacknowledged: bytes | None = None
        #: Messages with this in them are answered by closing.
        self.hangs_up: bytes | None = None
        #: What is said before that.
        self.farewell = b""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE)
        for connection in self.connections:
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            while packet := read_packet(connection):
                self.packets.put(packet)
                if packet[0] == 0xE0 and self.answers:
                    connection.close()
                    return
                if self.hangs_up is not None and self.hangs_up in packet:
                    connection.sendall(self.farewell)
                    connection.shutdown(socket.SHUT_RDWR)
                    return
                with self.writing:
                    connection.sendall(self._answer(packet))
        except OSError:
            return

    def _answer(self, packet: bytes) -> bytes:
        """Give what a packet is answered with, be it nothing."""
        if packet[0] == 0x10:
            return self.connack
        unacknowledged = self.unacknowledged is not None and self.unacknowledged in packet
        if not self.answers or unacknowledged:
            return b""
        if packet[0] == 0x82:
            filters = packet[4:].count(b"/devices/") or 1
            codes = b"\x80" * self.refused + b"\x00" * (filters - self.refused)
            at = 2 if packet[1] < 0x80 else 3
            return bytes([0x90, 2 + len(self._properties) + filters]) + packet[at : at + 2] + self._properties + codes
        if packet[0] == 0xA2:
            return b"\xb0\x02" + packet[2:4]
        if packet[0] == 0xC0:
            return b"\xd0\x00"
        acknowledged = b"\x40\x02" + packet_id(packet) if packet[0] & 0xF6 == 0x32 else b""
        question = LIMITS.search(packet)
        if question is None:
            return acknowledged
        topic = f"v1/devices/me/rpc/response/{question[1].decode()}"
        return acknowledged + publish(topic, self._properties + b'{"rateLimits":{}}')

    @property
    def _properties(self) -> bytes:
        """No properties, where there may be some."""
        return b"" if len(self.connack) == len(V311_CONNACK) else b"\x00"

    def next(self) -> bytes:
        """Wait for the next packet of any client."""
        return self.packets.get(timeout=PATIENCE)

    def send(self, data: bytes) -> None:
        """Send bytes to the newest client."""
        self.connections[-1].sendall(data)


def read_packet(connection: socket.socket) -> bytes:
    """Read one packet, as it is; empty at the end."""
    head = connection.recv(1)
    if not head:
        return b""
    length = shift = 0
    while True:
        byte = connection.recv(1)
        head += byte
        length |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80:
            break
    body = b""
    while len(body) < length:
        body += connection.recv(length - len(body))
    return head + body


def packet_id(publish: bytes) -> bytes:
    """Give the packet ID of a message at QoS 1."""
    at = 1
    while publish[at] & 0x80:
        at += 1
    at += 1
    (topic,) = struct.unpack(">H", publish[at : at + 2])
    return publish[at + 2 + topic : at + 4 + topic]


def publish(topic: str, payload: bytes, *, qos: int = 0, mid: int = 1, flags: int = 0) -> bytes:
    """Frame a message."""
    body = text(topic) + (struct.pack(">H", mid) if qos else b"") + payload
    return packet(0x30 | qos << 1 | flags, body)


def text(value: str) -> bytes:
    """Frame a text: its length in two bytes, and itself."""
    return struct.pack(">H", len(value.encode())) + value.encode()


def packet(head: int, body: bytes) -> bytes:
    """Frame a packet."""
    length, rest = b"", len(body)
    while True:
        rest, low = divmod(rest, 128)
        length += bytes([low | (0x80 if rest else 0)])
        if not rest:
            return bytes([head]) + length + body


class Mosquitto:
    """A real broker on ports of its own, with a user for the application."""

    app_id = "demo-app"
    access_key = "ttn-account-v2.demo"

    def __init__(self, binary: str, folder: Path) -> None:
        self.binary = binary
        self.folder = folder
        # Kept until the end, so that no server of another test gets them before the broker, or while it is away.
        self._taken = [taken_port(), taken_port()]
        self.port: int = self._taken[0].getsockname()[1]
        self.tls_port: int = self._taken[1].getsockname()[1]
        self.ports = [self.port]
        self.address = f"127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        (folder / "passwords").write_text("")
        subprocess.run(
            ["mosquitto_passwd", "-b", str(folder / "passwords"), self.app_id, self.access_key],
            check=True,
            capture_output=True,
        )
        (folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous false\npassword_file {folder}/passwords\n"
            # Its default limits drop messages of a flood.
            "max_queued_messages 0\nmax_inflight_messages 0\nset_tcp_nodelay true\n"
            f"persistence true\npersistence_location {folder}/\nuser root\nlog_dest file {folder}/log\n"
        )

    def with_tls(self, certificate: str, key: str) -> None:
        """Serve TLS, too, with PEM texts; before the start."""
        (self.folder / "cert.pem").write_text(certificate)
        (self.folder / "key.pem").write_text(key)
        self.ports.append(self.tls_port)
        with (self.folder / "mosquitto.conf").open("a") as config:
            config.write(
                f"listener {self.tls_port} 127.0.0.1\ncertfile {self.folder}/cert.pem\nkeyfile {self.folder}/key.pem\n"
            )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        for port in self._taken:
            port.close()

    def start(self) -> None:
        """Start, and wait until it listens."""
        self.process = subprocess.Popen(
            [self.binary, "-c", str(self.folder / "mosquitto.conf")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                for port in self.ports:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                assert time.monotonic() < deadline, "mosquitto does not listen"
                assert self.process.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.01)
            else:
                return

    def stop(self) -> None:
        """Stop in good order: what it keeps is written to disk."""
        if self.process:
            self.process.terminate()
            self.process.wait(PATIENCE)
            self.process = None


def taken_port() -> socket.socket:
    """Take a port, of which a broker may be the listener."""
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken.bind(("127.0.0.1", 0))
    return taken
