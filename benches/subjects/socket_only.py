"""The limit: reading the same bytes and doing nothing with them. ``python socket_only.py flood|latency PORT COUNT``."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
import feeder
import measure


def flood(connection: socket.socket, count: int) -> None:
    """Read to the end."""
    left = count * len(feeder.publish(feeder.encode(feeder.UPLINK)))
    buffer = bytearray(1 << 17)
    with measure.timed(count):
        while left > 0:
            left -= connection.recv_into(buffer)


def latency(connection: socket.socket, count: int) -> None:
    """Answer each uplink at once."""
    meter = measure.Latency()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    answer = feeder.publish(b"", topic=b"a")
    for _ in range(count):
        uplink = connection.recv(65536)
        meter.note(int(uplink.rpartition(b'"sent_ns":')[2].partition(b"}")[0]))
        connection.sendall(answer)
    meter.report()


def main() -> None:
    """Log in, and run what the command line says."""
    what, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(bytes.fromhex("100c00044d5154540402003c0000"))
        connection.recv(4)
        connection.sendall(bytes.fromhex("8205000100006100")[:7])
        connection.recv(5)
        {"flood": flood, "latency": latency}[what](connection, count)


if __name__ == "__main__":
    main()
