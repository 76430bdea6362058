"""ChirpStack's API behind a proxy that passes HTTP/1.1 alone is called by gRPC-web."""

from __future__ import annotations

import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from certificates import make
from chirpstack_peer import APPLICATION, VECTORS, token
from harness import PATIENCE, Recorder
from http1_proxy import Http1Proxy
from thingslink import RpcError, StatusCode
from thingslink.sandbox import Sandbox
from thingslink.ttn import MQTTClient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server() -> Iterator[Sandbox]:
    with Sandbox(network="chirpstack", seed=0) as sandbox:
        yield sandbox


@pytest.fixture(params=["plain", "in small pieces", "with TLS"])
def proxy(server: Sandbox, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Http1Proxy]:
    identity = make() if request.param == "with TLS" else None
    piece = 3 if request.param == "in small pieces" else 65536
    proxy = Http1Proxy(server.management_address, identity, tmp_path, piece)
    yield proxy
    proxy.stop()


def client_of(server: Sandbox, proxy: Http1Proxy, tmp_path: Path, app_id: str | None = None, **more: Any) -> MQTTClient:
    certificate = tmp_path / "server.pem"
    if certificate.exists():
        more["ca_certs"] = str(certificate)
    app_id = app_id or server.application_id
    return MQTTClient(app_id, server.access_key, server.mqtt_address, grpc_address=proxy.address, **more)


def test_every_call_goes_by_web(server: Sandbox, proxy: Http1Proxy, tmp_path: Path) -> None:
    device = server.device("node-1")
    with client_of(server, proxy, tmp_path, server.app_id, tenant_id=server.tenant_id) as client:
        assert f"application='{server.application_id}'" in repr(client)
        handle = client.downlink(client.send("node-1", b"\2", port=9, schedule="last"))
        assert handle.state == "queued"
        with pytest.raises(ValueError, match="no codec"):
            client.send("node-1", {"on": True})
        with pytest.raises(RpcError, match="not found, or not allowed") as refused:
            client.send("0102030405060708", b"\1")
        assert refused.value.code() is StatusCode.UNAUTHENTICATED
        device.uplink()
        assert handle.wait("sent", PATIENCE) == "sent"
        assert [one.payload for one in device.received] == [b"\2"]
    assert {kind for _, kind, _ in proxy.requests} == {"application/grpc-web+proto"}
    # One that was turned away, and one for all calls, or two: a refusal without a body may end it.
    assert len(proxy.requests) > 4 and len(proxy.connections) <= 3
    assert {host for _, _, host in proxy.requests} == {proxy.address.partition("://")[2]}


def test_streams_come_by_web(server: Sandbox, proxy: Http1Proxy, tmp_path: Path, recorder: Recorder) -> None:
    device = server.device("node-1")
    options: dict[str, Any] = {"backfill": True, "reconnect_min_delay": 0.01, "reconnect_max_delay": 0.1}
    with recorder.watch(client_of(server, proxy, tmp_path, **options)) as client:
        device.uplink()
        assert recorder.expect("uplink").counter == 0
        server.refuse_connections(True)
        server.cut()
        assert recorder.expect("close") is False
        for _ in range(3):
            device.uplink()
        server.refuse_connections(False)
        assert [recorder.expect("uplink").counter for _ in range(3)] == [1, 2, 3]
        assert client.stats()["backfilled"] == 3
    assert "/api.InternalService/StreamDeviceEvents" in {path for path, _, _ in proxy.requests}


def test_a_proxy_that_is_gone_is_not_called_by_another_name(server: Sandbox, proxy: Http1Proxy, tmp_path: Path) -> None:
    device = server.device("node-1")
    with client_of(server, proxy, tmp_path) as client:
        client.send(device.dev_eui, b"\1", schedule="last")
        proxy.stop()
        with pytest.raises(RpcError) as refused:
            client.send(device.dev_eui, b"\1", schedule="last")
    assert refused.value.code() is StatusCode.UNAVAILABLE
    assert "not gRPC" not in str(refused.value) and "hangs up" not in str(refused.value)


def test_who_speaks_http2_is_called_by_grpc(server: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    address = server.management_address
    with caplog.at_level(logging.INFO, "thingslink"):
        client = MQTTClient(server.application_id, server.access_key, server.mqtt_address, grpc_address=address)
        with client:
            server.device("node-1")
            client.send("node-1", b"\2", schedule="last")
    assert not any("gRPC-web" in record.getMessage() for record in caplog.records)


#: What a running server answered over HTTP/1.1, by what was tried.
ANSWERS = {
    record["note"]: record
    for record in map(json.loads, (VECTORS / "11-ports-and-grpc-web.jsonl").read_text().splitlines())
}


class Recorded:
    """Answers every request over HTTP/1.1 as a capture has it: those of gRPC as such, and those of gRPC-web."""

    def __init__(self, note: str) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = default_request_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                is_web = self.headers["content-type"].startswith("application/grpc-web")
                record = ANSWERS[note if is_web else "gRPC content type over HTTP/1.1"]
                body = bytes.fromhex(record["body_hex"])
                self.send_response_only(record["status"])
                for name, value in record["headers"].items():
                    if name != "transfer-encoding":
                        self.send_header(name, value)
                if "content-length" not in record["headers"]:
                    self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.address = f"127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join(PATIENCE)
        self._server.server_close()


@pytest.mark.parametrize(
    ("note", "words"),
    [
        ("grpc-web, unknown device", "not found, or not allowed"),
        ("grpc-web without a key", "no authorization provided: is access_key an API key"),
        # Neither gRPC nor gRPC-web: what is said of the first attempt holds.
        ("JSON", "port, and not gRPC"),
    ],
)
def test_what_a_running_server_answered_is_told(server: Sandbox, note: str, words: str) -> None:
    recorded = Recorded(note)
    client = MQTTClient(APPLICATION, token(), server.mqtt_address, grpc_address=recorded.address)
    try:
        if note == "JSON":
            # Nobody knows what is there: the broker is asked all the same.
            with client:
                server.device("node-1")
                with pytest.raises(RpcError, match=words):
                    client.send("node-1", b"\1")
        else:
            with pytest.raises(RpcError, match=words) as refused:
                client.connect()
            assert refused.value.code() is StatusCode.UNAUTHENTICATED and token() not in str(refused.value)
    finally:
        recorded.stop()


def test_the_api_where_a_broker_is_expected_and_the_other_way_round(server: Sandbox, recorder: Recorder) -> None:
    wrong = MQTTClient(server.application_id, server.access_key, server.management_address)
    with pytest.raises(RuntimeError, match="HTTP"):
        wrong.connect()
    swapped = recorder.watch(
        MQTTClient(server.application_id, server.access_key, server.mqtt_address, grpc_address=server.mqtt_address)
    )
    with swapped:
        device = server.device("node-1")
        with pytest.raises(RpcError) as refused:
            swapped.send(device.dev_eui, b"\1")
        assert refused.value.code() is StatusCode.UNAVAILABLE and "gRPC" in str(refused.value)
