"""What a socket alone reaches, its packets encoded beforehand, with a window of 100. Prints figures as JSON."""

from __future__ import annotations

import json
import socket
import struct
import sys
import time

WINDOW = 100
COUNT = 20_000
BODY = b'[{"ts":1700000000123,"values":{"temperature":42.1,"humidity":70}}]'


def packet(first: int, body: bytes) -> bytes:
    """Put the fixed header before a packet's body."""
    length, header = len(body), bytearray([first])
    while True:
        length, digit = divmod(length, 128)
        header.append(digit | (128 if length else 0))
        if not length:
            return bytes(header) + body


def text(value: bytes) -> bytes:
    """Put its length before a text."""
    return struct.pack(">H", len(value)) + value


def main() -> None:
    """Send, and count what comes back."""
    connection = socket.create_connection((sys.argv[1], int(sys.argv[2])))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    login = text(b"MQTT") + b"\x05\x82\x00\x78\x00" + text(b"") + text(b"A1_TEST_TOKEN")
    connection.sendall(packet(0x10, login))
    assert connection.recv(1000)[0] == 0x20
    topic = text(b"v1/devices/me/telemetry")
    packets = [packet(0x32, topic + struct.pack(">H", number % 60_000 + 1) + b"\0" + BODY) for number in range(COUNT)]
    sent = acknowledged = 0
    rest = b""
    start, cpu = time.perf_counter(), time.process_time()
    while acknowledged < COUNT:
        until = min(COUNT, acknowledged + WINDOW)
        if until > sent:
            connection.sendall(b"".join(packets[sent:until]))
            sent = until
        rest += connection.recv(65536)
        while len(rest) >= 2 and len(rest) >= 2 + rest[1]:
            rest = rest[2 + rest[1] :]
            acknowledged += 1
    spent, used = time.perf_counter() - start, time.process_time() - cpu
    print(json.dumps({"per_s": COUNT / spent, "cpu_us": used / COUNT * 1e6}))


if __name__ == "__main__":
    main()
