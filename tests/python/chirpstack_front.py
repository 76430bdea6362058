"""Stands before the API of a ChirpStack sandbox: keeps what is called, refuses what a test says, adds to answers."""

from __future__ import annotations

import concurrent.futures
import threading
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any

import grpc
from harness import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from thingslink.sandbox import Sandbox

#: A field that no definition has: number 58, with a text.
UNKNOWN = b"\xd2\x03\x08of later"


class Front(grpc.GenericRpcHandler):
    """A server that passes calls on, as bytes."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.calls: list[tuple[str, bytes]] = []
        #: Codes and texts that calls of a method are refused with, first to last.
        self.refusals: dict[str, deque[tuple[str, str]]] = defaultdict(deque)
        #: Methods whose answers have a field more in what they are about.
        self.later: set[str] = set()
        #: What becomes of requests of a method before they are passed on.
        self.rewritten: dict[str, Callable[[bytes], bytes]] = {}
        #: What is done before a call is passed on.
        self.before: dict[str, Callable[[], object]] = {}
        self._lock = threading.Lock()
        self._behind = grpc.insecure_channel(sandbox.management_address)
        self._server = grpc.server(concurrent.futures.ThreadPoolExecutor(8))
        self._server.add_generic_rpc_handlers((self,))
        self.address = "127.0.0.1:%d" % self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def service(self, handler_call_details: Any) -> Any:
        path: str = handler_call_details.method
        name = path.removeprefix("/api.")
        metadata = [pair for pair in handler_call_details.invocation_metadata if pair[0] == "authorization"]

        def answer(request: bytes, context: Any) -> bytes:
            with self._lock:
                self.calls.append((name, request))
                refusal = self.refusals[name].popleft() if self.refusals[name] else None
            self.before.get(name, lambda: None)()
            if refusal is not None:
                context.abort(getattr(grpc.StatusCode, refusal[0]), refusal[1])
            try:
                call: Any = self._behind.unary_unary(path, request_serializer=None, response_deserializer=None)
                request = self.rewritten.get(name, bytes)(request)
                reply: bytes = call(request, timeout=PATIENCE, metadata=metadata)
            except grpc.RpcError as error:
                context.abort(error.code(), error.details())
            return with_unknown(reply) if name in self.later else reply

        return grpc.unary_unary_rpc_method_handler(answer)

    def names(self) -> list[str]:
        with self._lock:
            return [name for name, _ in self.calls]

    def changes(self) -> list[str]:
        """Give the names of the calls that change something."""
        reading = ("Get", "List", "ListDeviceProfiles", "GetKeys", "GetActivation", "GetQueue", "GetRandomDevAddr")
        return [name for name in self.names() if name.rsplit("/", 1)[1] not in reading]

    def told(self, name: str) -> bytes:
        """Give the latest request of a method."""
        with self._lock:
            return next(request for called, request in reversed(self.calls) if called == name)

    def refuse(self, name: str, code: str, details: str = "") -> None:
        self.refusals[name].append((code, details))

    def forget(self) -> None:
        with self._lock:
            self.calls.clear()

    def stop(self) -> None:
        self._server.stop(None).wait(PATIENCE)
        self._behind.close()


def with_unknown(reply: bytes) -> bytes:
    """Add the field to the message at number 1, which comes first."""
    assert reply[:1] == b"\x0a"
    length, place, shift = 0, 1, 0
    while True:
        length |= (reply[place] & 0x7F) << shift
        shift, place = shift + 7, place + 1
        if not reply[place - 1] & 0x80:
            break
    part = reply[place : place + length] + UNKNOWN
    return b"\x0a" + varint(len(part)) + part + reply[place + length :]


def varint(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*written, number])
