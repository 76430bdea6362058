"""A plain client of NATS, written for the tests: it fills streams as a bridge does and looks at what is in them."""

from __future__ import annotations

import base64
import itertools
import json
import socket
from typing import TYPE_CHECKING, Any, NamedTuple

from harness import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from typing_extensions import Self


class Came(NamedTuple):
    """A message."""

    subject: str
    reply: str
    headers: str
    payload: bytes


class NatsPeer:
    """One connection, for one thread."""

    def __init__(self, port: int, app: str = "demo-app", login: dict[str, str] | None = None) -> None:
        """Connect; `login` in the protocol's words."""
        self.app = app
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.file = self.socket.makefile("rb")
        self.inboxes = itertools.count()
        assert self.file.readline().startswith(b"INFO ")
        words = json.dumps({"verbose": False, "headers": True, **(login or {})})
        self.socket.sendall(f"CONNECT {words}\r\nSUB _INBOX.peer.* 1\r\n".encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.file.close()
        self.socket.close()

    def next(self) -> Came:
        """Wait for a message."""
        while True:
            line = self.file.readline().decode().split()
            assert line, "NATS has closed the connection"
            if line[0] == "PING":
                self.socket.sendall(b"PONG\r\n")
            elif line[0] in {"MSG", "HMSG"}:
                size = int(line[-1])
                head = int(line[-2]) if line[0] == "HMSG" else 0
                data = self.file.read(size + 2)[:-2]
                numbers = 2 if line[0] == "HMSG" else 1
                reply = line[3] if len(line) == 4 + numbers else ""
                return Came(line[1], reply, data[:head].decode(), data[head:])
            else:
                assert line[0] in {"+OK", "INFO", "PONG"}, line

    def publish(self, subject: str, payload: bytes, reply: str = "") -> None:
        """Publish without an answer."""
        self.socket.sendall(f"PUB {subject} {reply} {len(payload)}\r\n".encode() + payload + b"\r\n")

    def request(self, subject: str, payload: bytes = b"") -> Came:
        """Publish and wait for the answer."""
        inbox = f"_INBOX.peer.{next(self.inboxes)}"
        self.publish(subject, payload, inbox)
        while (came := self.next()).subject != inbox and not came.reply.startswith("$JS.ACK"):
            pass
        return came

    def api(self, call: str, **body: Any) -> dict[str, Any]:
        """Call JetStream."""
        answer: dict[str, Any] = json.loads(self.request(f"$JS.API.{call}", json.dumps(body).encode()).payload)
        return answer

    def make_streams(self, network: str = "v2", **settings: Any) -> None:
        """Make what a bridge makes, the first stream with more settings."""
        made = self.api(
            f"STREAM.CREATE.THINGS_{self.app}",
            name=f"THINGS_{self.app}",
            subjects=[f"things.{self.app}.*.up", f"things.{self.app}.*.events.>"],
            subject_transform={
                "src": "things.*.*.>",
                "dest": "l.{{partition(256,1,2)}}.things.{{wildcard(1)}}.{{wildcard(2)}}.>",
            },
            retention="limits",
            storage="file",
            num_replicas=1,
            metadata={"thingslink-network": network},
            **settings,
        )
        assert "error" not in made, made
        down = self.api(
            f"STREAM.CREATE.THINGS_{self.app}_DOWN",
            name=f"THINGS_{self.app}_DOWN",
            subjects=[f"things.{self.app}.*.down.*"],
            retention="workqueue",
            storage="file",
            num_replicas=1,
        )
        assert "error" not in down, down

    def uplinks(self, uplinks: Iterable[tuple[str, int]]) -> None:
        """Publish uplinks of V2, by device and counter, and wait until all are stored."""
        sent = 0
        data = bytearray()
        for dev_id, counter in uplinks:
            body = json.dumps({"dev_id": dev_id, "port": 1, "counter": counter, "payload_raw": "AQ=="}).encode()
            data += f"PUB things.{self.app}.{dev_id}.up _INBOX.peer.stored {len(body)}\r\n".encode() + body + b"\r\n"
            sent += 1
        self.socket.sendall(data)
        for _ in range(sent):
            stored = json.loads(self.next().payload)
            assert "seq" in stored, stored

    def consumer(self, name: str) -> dict[str, Any]:
        """Tell of a consumer of the uplinks."""
        return self.api(f"CONSUMER.INFO.THINGS_{self.app}.{name}")

    def stored(self, stream: str) -> list[tuple[str, str, bytes]]:
        """Give what is in a stream: subject, headers, payload."""
        state = self.api(f"STREAM.INFO.{stream}")["state"]
        found = []
        for sequence in range(state["first_seq"], state["last_seq"] + 1):
            message = self.api(f"STREAM.MSG.GET.{stream}", seq=sequence).get("message")
            if message is not None:
                headers = base64.b64decode(message.get("hdrs", "")).decode()
                found.append((message["subject"], headers, base64.b64decode(message.get("data", ""))))
        return found
