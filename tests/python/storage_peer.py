"""Between a client and what a sandbox keeps: passes calls on, and does with messages what a test says."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any

import grpc
from harness import PATIENCE
from peers import PeerServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from thingslink.sandbox import Sandbox

#: What gives messages one after the other: the storage integration of V3, and the events of a device of ChirpStack.
STREAMS = ("/ttn.lorawan.v3.ApplicationUpStorage/GetStoredApplicationUp", "/api.InternalService/StreamDeviceEvents")


class StoragePeer(PeerServer):
    """A server in front of a sandbox's own, in plain text."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._channel: Any = grpc.insecure_channel(sandbox.management_address)
        # Before the sandbox refuses connections for a while.
        grpc.channel_ready_future(self._channel).result(PATIENCE)
        #: The times that were asked for messages.
        self.asked = 0
        #: What becomes of streams to come, each of one: gets the messages and the context, and gives messages.
        self.scripts: list[Callable[[Iterator[bytes], grpc.ServicerContext], Iterator[bytes]]] = []
        #: Set when a stream waits at a gate, and what lets it go on.
        self.waits, self.gate = threading.Event(), threading.Event()
        super().__init__()

    def handler(self, path: str) -> grpc.RpcMethodHandler[bytes, bytes]:
        if path in STREAMS:
            return grpc.unary_stream_rpc_method_handler(lambda request, context: self._stream(path, request, context))
        return super().handler(path)

    def answer(self, path: str, request: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            return bytes(self._channel.unary_unary(path)(request, metadata=self._metadata(context), timeout=PATIENCE))
        except grpc.RpcError as error:
            return bytes(self._pass_on(error, context))

    def _stream(self, path: str, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        with self.lock:
            self.asked += 1
            script = self.scripts.pop(0) if self.scripts else None
        call = self._channel.unary_stream(path)(request, metadata=self._metadata(context), timeout=PATIENCE)
        # Those of ChirpStack end with their reader alone.
        context.add_callback(call.cancel)
        try:
            yield from script(call, context) if script else call
        except grpc.RpcError as error:
            self._pass_on(error, context)

    @staticmethod
    def _metadata(context: grpc.ServicerContext) -> list[tuple[str, Any]]:
        return [(key, value) for key, value in context.invocation_metadata() if key == "authorization"]

    @staticmethod
    def _pass_on(error: Any, context: grpc.ServicerContext) -> Any:
        context.set_trailing_metadata(error.trailing_metadata() or ())
        context.abort(error.code(), error.details())

    def look_late(self, messages: Iterator[bytes], _context: grpc.ServicerContext) -> Iterator[bytes]:
        """Look the messages up when the gate is open, and not before."""
        self.waits.set()
        assert self.gate.wait(PATIENCE)
        yield from messages

    def wait(self, messages: Iterator[bytes], _context: grpc.ServicerContext) -> Iterator[bytes]:
        """Look the messages up, and give none before the gate is open."""
        found = list(messages)
        self.waits.set()
        assert self.gate.wait(PATIENCE)
        yield from found

    @staticmethod
    def fail(code: grpc.StatusCode, after: int = 0) -> Callable[[Iterator[bytes], Any], Iterator[bytes]]:
        """Fail when so many messages were given."""

        def script(messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            yield from itertools.islice(messages, after)
            context.abort(code, "as the test says")

        return script

    @staticmethod
    def forget(count: int) -> Callable[[Iterator[bytes], Any], Iterator[bytes]]:
        """Have no more of the oldest messages."""
        return lambda messages, _context: iter(list(messages)[count:])

    def stop(self) -> None:
        self.gate.set()
        super().stop()
        self._channel.close()
