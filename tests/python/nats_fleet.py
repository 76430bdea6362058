"""Workers as processes of their own, numbered messages for them, and a way to their server that can be cut."""

from __future__ import annotations

import collections
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from harness import PATIENCE

PROGRAM = Path(__file__).parent / "nats_worker.py"
DEVICES = 40


def numbered(first: int, last: int) -> list[tuple[str, int]]:
    return [(f"dev-{device}", counter) for counter in range(first, last) for device in range(DEVICES)]


class Fleet:
    """Workers in processes of their own, and what they say they have handled."""

    def __init__(
        self, address: str, *, ordered: bool, ack_wait: float = 2, pause: float = 0, window: int = 1024
    ) -> None:
        self.arguments = [address, "ordered" if ordered else "shared", str(ack_wait), str(pause), str(window)]
        #: Of the processes that are started.
        self.environment: dict[str, str] | None = None
        self.handled: list[tuple[str, int]] = []
        #: The same with the times at which the callbacks ended, by the machine's clock.
        self.times: list[tuple[int, str, int]] = []
        self.told: queue.Queue[None] = queue.Queue()
        self.processes: list[subprocess.Popen[str]] = []
        self.readers: list[threading.Thread] = []

    def start(self, address: str | None = None) -> subprocess.Popen[str]:
        """Start one, and wait until it is connected."""
        arguments = [address or self.arguments[0], *self.arguments[1:]]
        command = [sys.executable, str(PROGRAM), *arguments]
        process = subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        connected = threading.Event()
        reader = threading.Thread(target=self._read, args=(process, connected), daemon=True)
        reader.start()
        self.readers.append(reader)
        assert connected.wait(PATIENCE)
        return process

    def _read(self, process: subprocess.Popen[str], connected: threading.Event) -> None:
        assert process.stdout
        for line in process.stdout:
            if not line.endswith("\n"):
                # Killed in the middle of it.
                break
            dev_id, counter, at = line.split()
            if dev_id == "connected":
                connected.set()
            else:
                self.handled.append((dev_id, int(counter)))
                self.times.append((int(at), dev_id, int(counter)))
                self.told.put(None)

    def wait_for(self, wanted: set[tuple[str, int]], patience: float = PATIENCE) -> None:
        """Wait until all of these are handled."""
        deadline = time.monotonic() + patience
        while missing := wanted - set(self.handled):
            try:
                self.told.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                pytest.fail(f"{len(missing)} are not handled, such as {sorted(missing)[:5]}")

    def stop(self) -> None:
        """End all."""
        for process in self.processes:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait(PATIENCE)
        for reader, process in zip(self.readers, self.processes, strict=True):
            reader.join(PATIENCE)
            assert process.stdout
            process.stdout.close()

    def twice(self) -> int:
        """Give how many messages were handled more than once, each as often as that is."""
        return len(self.handled) - len(set(self.handled))

    def check(self, duplicates: int, *, ordered: bool = True) -> None:
        """Per device first completions never go backwards, and not more are done twice than were in hand."""
        latest: collections.Counter[str] = collections.Counter()
        seen = set()
        for _, dev_id, counter in sorted(self.times):
            if (dev_id, counter) not in seen:
                assert counter >= latest[dev_id] or not ordered, (dev_id, counter, latest[dev_id])
                latest[dev_id] = counter
                seen.add((dev_id, counter))
        assert self.twice() <= duplicates


class Relay:
    """A way to the server that can be cut without either end hearing of it."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"nats://127.0.0.1:{self.listener.getsockname()[1]}"
        self.open = threading.Event()
        self.open.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        try:
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()
        except OSError:
            pass

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self.open.wait()
                sink.sendall(data)
        except OSError:
            pass
        sink.close()

    def close(self) -> None:
        """Take no more."""
        self.listener.close()
