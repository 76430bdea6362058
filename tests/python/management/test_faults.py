"""What goes wrong on the way: servers that restart, vanish, say nothing or say nonsense."""

from __future__ import annotations

import signal
import socket
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from harness import PATIENCE, running
from peers import PeerServer
from thingslink import ApplicationError, RpcError, StatusCode
from thingslink.sandbox import Sandbox
from thingslink.ttn import ApplicationClient, DiscoveryClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def client_of(address: str) -> ApplicationClient:
    return ApplicationClient("demo-app", "key", address, insecure_channel=True)


class RawPeer:
    """Accepts connections and does what it is told with each."""

    def __init__(self, handle: Callable[[socket.socket], None]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        self.connections: list[socket.socket] = []
        self._handle = handle
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            self._handle(connection)

    def close(self) -> None:
        self._listener.close()
        for connection in self.connections:
            connection.close()


@pytest.fixture
def raw_peer() -> Iterator[Callable[[Callable[[socket.socket], None]], RawPeer]]:
    made: list[RawPeer] = []

    def make(handle: Callable[[socket.socket], None]) -> RawPeer:
        made.append(RawPeer(handle))
        return made[-1]

    yield make
    for peer in made:
        peer.close()


def test_a_restarted_server_is_found_again(sandbox: Sandbox, application: ApplicationClient) -> None:
    for number in range(10):
        application.register_device(f"node-{number}", {"dev_eui": f"{number:016X}"})
        sandbox.restart()
    assert len(application.devices()) == 10
    sandbox.stop()
    with pytest.raises(ApplicationError) as caught:
        application.get()
    assert caught.value.code is StatusCode.UNAVAILABLE and "refused" in caught.value.details.lower()
    sandbox.start()
    assert application.get().app_id == sandbox.app_id


def test_a_deadline_holds_while_the_server_says_nothing(sandbox: Sandbox, application: ApplicationClient) -> None:
    application.get()
    sandbox.go_silent()
    begun = time.monotonic()
    with pytest.raises(ApplicationError) as caught:
        application.get(timeout=0.3)
    assert 0.25 < time.monotonic() - begun < PATIENCE / 2
    assert (
        caught.value.args[1] == " application: DEADLINE_EXCEEDED" and caught.value.code is StatusCode.DEADLINE_EXCEEDED
    )
    sandbox.go_silent(False)
    assert application.get().app_id == sandbox.app_id


def test_a_deadline_holds_while_connecting(raw_peer: Any) -> None:
    # TLS is never answered: the connection is not open yet.
    address = raw_peer(lambda connection: None).address
    with Sandbox() as sandbox:
        client = ApplicationClient("demo-app", "key", address, sandbox.ca_certs)
    with pytest.raises(ApplicationError) as caught:
        client.get(timeout=0.3)
    assert caught.value.code is StatusCode.DEADLINE_EXCEEDED


def test_a_deadline_holds_where_packets_vanish() -> None:
    # A full backlog drops further connection attempts, as a black hole does.
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        filling = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(hole.getsockname())
            filling.append(filler)
        with pytest.raises(ApplicationError) as caught:
            client_of("127.0.0.1:%d" % hole.getsockname()[1]).get(timeout=0.5)
        assert caught.value.code is StatusCode.DEADLINE_EXCEEDED
        with pytest.raises(RpcError, match="DEADLINE_EXCEEDED"):
            DiscoveryClient("127.0.0.1:%d" % hole.getsockname()[1], insecure_channel=True).get_all("x", timeout=0.5)
        for filler in filling:
            filler.close()


@pytest.mark.parametrize(
    "nonsense",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x00" * 64,
        b"\x20\x02\x00\x00",
        b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    ],
)
def test_nonsense_is_an_error_that_can_be_caught(nonsense: bytes, raw_peer: Any) -> None:
    def handle(connection: socket.socket) -> None:
        connection.recv(64)
        connection.sendall(nonsense)
        connection.close()

    with pytest.raises(ApplicationError) as caught:
        client_of(raw_peer(handle).address).get(timeout=PATIENCE)
    assert caught.value.code is StatusCode.UNAVAILABLE and caught.value.details


@pytest.mark.parametrize(("method", "repeated"), [("GetDevice", True), ("DeleteDevice", False)])
def test_a_reset_in_the_middle_of_a_call(method: str, repeated: bool, peer: PeerServer, raw_peer: Any) -> None:
    target = int(peer.address.split(":")[1])
    reached, cut = threading.Event(), threading.Event()

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        reached.set()
        cut.wait(PATIENCE)
        return b""

    peer.answers[method] = answer

    def forward(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(4096):
                sink.sendall(data)
        except OSError:
            pass
        sink.close()

    def relay(connection: socket.socket) -> None:
        """Cut the first connection while its call is under way; leave the others alone."""
        upstream = socket.create_connection(("127.0.0.1", target))
        threading.Thread(target=forward, args=(connection, upstream), daemon=True).start()
        threading.Thread(target=forward, args=(upstream, connection), daemon=True).start()
        if not cut.is_set():
            reached.wait(PATIENCE)
            connection.shutdown(socket.SHUT_RDWR)
            cut.set()

    with client_of(raw_peer(relay).address) as client:
        if repeated:
            assert str(client.device("node-1")) == ""
        else:
            # It may have been deleted: nobody but the caller can decide what to do.
            with pytest.raises(ApplicationError) as caught:
                client.delete_device("node-1")
            assert caught.value.code is StatusCode.UNAVAILABLE and "connection lost" in caught.value.details
    assert len(peer.calls) == (2 if repeated else 1)


def test_undecodable_answers(peer: PeerServer) -> None:
    client = client_of(peer.address)
    peer.answers.update(
        {"GetDevice": b"\x12\xff", "GetDevicesForApplication": b"\x0a\x02\x12\x09", "GetApplication": b"\xff"}
    )
    for act in (client.get, client.devices, lambda: client.device("node-1")):
        with pytest.raises(ValueError, match="cannot decode"):
            act()


@pytest.mark.parametrize("name", [code.name for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_every_status_code_comes_through(name: str, peer: PeerServer) -> None:
    peer.answers["GetApplication"] = lambda request, context: context.abort(grpc.StatusCode[name], "the server's words")
    with pytest.raises(ApplicationError) as caught:
        client_of(peer.address).get(timeout=0.5)
    assert caught.value.code is StatusCode[name] and caught.value.details == "the server's words"


def test_a_busy_server_is_asked_again(peer: PeerServer) -> None:
    calls = 0

    def busy(request: bytes, context: grpc.ServicerContext) -> bytes:
        nonlocal calls
        calls += 1
        if calls < 4:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "slow down")
        return b"\x0a\x02ok"

    peer.answers["GetApplication"] = busy
    assert client_of(peer.address).get().app_id == "ok" and calls == 4


def test_the_sandbox_s_rate_limit_is_lived_with(sandbox: Sandbox, application: ApplicationClient) -> None:
    sandbox.limit_calls(50)
    threads = [threading.Thread(target=application.get) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    sandbox.limit_calls(0.001)
    application.get()
    with pytest.raises(ApplicationError) as caught:
        application.get(timeout=0.5)
    assert caught.value.code in {StatusCode.RESOURCE_EXHAUSTED, StatusCode.DEADLINE_EXCEEDED}


def test_ctrl_c_ends_a_call() -> None:
    code = """
    import socket, threading
    from thingslink.ttn import ApplicationClient
    listener = socket.create_server(("127.0.0.1", 0))
    client = ApplicationClient("demo-app", "key", "127.0.0.1:%d" % listener.getsockname()[1], insecure_channel=True)
    def accept():
        global connection
        connection, _ = listener.accept()
        print("calling", flush=True)
    threading.Thread(target=accept, daemon=True).start()
    try:
        client.get()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    """
    with running([sys.executable, "-c", textwrap.dedent(code)]) as child:
        assert child.stdout and child.stdout.readline() == "calling\n"
        child.send_signal(signal.SIGINT)
        # Its call would end by itself after 30 s.
        output, _ = child.communicate(timeout=PATIENCE)
        assert output == "interrupted\n" and child.returncode == 0


def test_the_interpreter_lock_is_free_during_a_call(sandbox: Sandbox, application: ApplicationClient) -> None:
    sandbox.go_silent()
    done = threading.Event()

    def call() -> None:
        application.get()
        done.set()

    thread = threading.Thread(target=call)
    thread.start()
    # This thread runs; were the lock held it would not come here before the deadline of 30 s.
    assert not done.wait(0.05)
    sandbox.go_silent(False)
    assert done.wait(PATIENCE)
    thread.join()
