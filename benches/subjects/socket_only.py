"""The limit: reading the same bytes and doing nothing with them. ``python socket_only.py PORT COUNT``."""

from __future__ import annotations

import json
import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
import feeder


def main() -> None:
    """Read to the end of the flood."""
    port, count = int(sys.argv[1]), int(sys.argv[2])
    size = len(feeder.publish(feeder.encode(feeder.UPLINK)))
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(bytes.fromhex("100c00044d5154540402003c0000"))
        connection.recv(4)
        connection.sendall(bytes.fromhex("8205000100006100")[:7])
        connection.recv(5)
        buffer = bytearray(1 << 17)
        left = count * size
        begin, cpu = time.perf_counter(), time.process_time()
        while left > 0:
            left -= connection.recv_into(buffer)
        seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
        print(json.dumps({"count": count, "per_s": count / seconds, "cpu_us": cpu / count * 1e6}))


if __name__ == "__main__":
    main()
