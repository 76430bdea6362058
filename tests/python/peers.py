"""gRPC's own Python: our definitions compiled by protobuf, and a server that keeps what it is asked."""

from __future__ import annotations

import concurrent.futures
import importlib
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.message_factory import GetMessageClass
from grpc_tools import protoc

if TYPE_CHECKING:
    from certificates import Identity

PROTO = Path(__file__).parent.parent.parent / "proto"


class Generated:
    """The modules of protobuf's own compiler."""

    def __init__(self, folder: Path) -> None:
        included = str(Path(str(protoc.__file__)).parent / "_proto")
        names = sorted(str(path) for path in PROTO.rglob("*.proto"))
        outs = [f"--python_out={folder}", f"--grpc_python_out={folder}"]
        assert protoc.main(["protoc", f"-I{PROTO}", f"-I{included}", *outs, *names]) == 0
        sys.path.insert(0, str(folder))
        modules = ("discovery_pb2", "handler_pb2", "lorawan_pb2")
        self.discovery, self.handler, self.lorawan = map(importlib.import_module, modules)
        # What protobuf knows by its full name from then on.
        for name in ("google.rpc.status", *(f"v3.{path.stem}" for path in sorted((PROTO / "v3").glob("*.proto")))):
            importlib.import_module(f"{name}_pb2")
        self.handler_grpc = importlib.import_module("handler_pb2_grpc")
        self.discovery_grpc = importlib.import_module("discovery_pb2_grpc")
        self.lorawan_grpc = importlib.import_module("lorawan_pb2_grpc")

    def message(self, full_name: str) -> Any:
        return GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(full_name))


class PeerServer:
    """A server of gRPC's own that keeps every call and answers what the test says."""

    #: gRPC's own settings.
    options: tuple[tuple[str, int], ...] = ()

    def __init__(self, identity: Identity | None = None) -> None:
        self.calls: list[tuple[str, bytes, dict[str, str], float | None]] = []
        self.answers: dict[str, Any] = {}
        self.lock = threading.Lock()
        self._server = grpc.server(concurrent.futures.ThreadPoolExecutor(8), options=self.options)
        self._server.add_generic_rpc_handlers((_Everything(self),))
        if identity is None:
            self.address = "127.0.0.1:%d" % self._server.add_insecure_port("127.0.0.1:0")
        else:
            credentials = grpc.ssl_server_credentials([(identity.key_pem, identity.pem)])
            self.address = "localhost:%d" % self._server.add_secure_port("127.0.0.1:0", credentials)
        self._server.start()

    def answer(self, path: str, request: bytes, context: grpc.ServicerContext) -> bytes:
        metadata = {str(key): str(value) for key, value in context.invocation_metadata()}
        with self.lock:
            self.calls.append((path, request, metadata, context.time_remaining()))
        answer = self.answers.get(path.rpartition("/")[2], b"")
        return bytes(answer(request, context) if callable(answer) else answer)

    def handler(self, path: str) -> grpc.RpcMethodHandler[bytes, bytes]:
        """Give what handles calls of this method."""
        return grpc.unary_unary_rpc_method_handler(lambda request, context: self.answer(path, request, context))

    def stop(self) -> None:
        self._server.stop(None).wait()


class _Everything(grpc.GenericRpcHandler):
    def __init__(self, server: PeerServer) -> None:
        self._server = server

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        return self._server.handler(str(details.method))
