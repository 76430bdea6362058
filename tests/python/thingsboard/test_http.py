"""`tb_device_http`: the device over HTTP, against a server of a few lines."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import decimal
import json
import logging
import queue
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import certificates
import pytest
from harness import PATIENCE
from thingslink import ConnectionLostError, QueueFullError, ThingsTimeoutError, TlsError
from thingslink.tb_device_http import TBHTTPAPIException, TBHTTPClient, TBHTTPDevice, TBProvisionFailure
from thingslink.thingsboard import http_workers
from thingslink.thingsboard.checksum import checksum

from .conftest import Calls

ROOT = Path(__file__).parent.parent.parent.parent
TOKEN = "geheimes/Token"
PREFIX = "/api/v1/geheimes%2FToken/"


class Server(ThreadingHTTPServer):
    """Writes down what it is asked, and answers what the test says."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        #: Method, path and body of each request, and the connection that it came on.
        self.requests: queue.Queue[tuple[str, str, Any, int]] = queue.Queue()
        #: What is answered to paths that begin so: status and body, or something that is asked each time.
        self.answers: dict[str, Any] = {}
        self.open: list[socket.socket] = []

    def next(self) -> tuple[str, str, Any, int]:
        return self.requests.get(timeout=PATIENCE)

    def hang_up(self) -> None:
        """Close all connections that are kept."""
        while self.open:
            with contextlib.suppress(OSError):
                self.open.pop().shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that ended."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.open.append(self.connection)

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        self.server.requests.put((self.command, self.path, json.loads(body) if body else None, self.client_address[1]))
        status, content = 200, b""
        for beginning, given in self.server.answers.items():
            if self.path.startswith(beginning):
                status, content = given(self.path) if callable(given) else given
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", "https://elsewhere.example" + self.path)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = answer  # noqa: N815 - the names are the server's

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def web() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        server.hang_up()
        thread.join(PATIENCE)


@pytest.fixture
def http_device_of(web: Server) -> Iterator[Callable[..., TBHTTPDevice]]:
    made: list[TBHTTPDevice] = []

    def make(**options: Any) -> TBHTTPDevice:
        made.append(TBHTTPDevice(web.url, TOKEN, **options))
        return made[-1]

    yield make
    for device in made:
        device.close(timeout=0.5)


@pytest.fixture
def client(http_device_of: Callable[..., TBHTTPDevice]) -> TBHTTPDevice:
    return http_device_of(name="Pump")


def test_requests_go_over_one_connection(client: TBHTTPDevice, web: Server) -> None:
    moment = datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone.utc)
    web.answers[PREFIX + "rpc"] = (200, b'{"time": 5}')
    web.answers[PREFIX + "attributes?"] = (200, b'{"client": {"a": 1}}')
    client.send_telemetry({"t": decimal.Decimal("1.20")}, moment, queued=False)
    client.send_telemetry({"t": 1}, 17, queued=0)
    client.send_attributes({"model": "X"})
    assert client.send_rpc("getTime") == {"time": 5}
    assert client.send_rpc("done", {"a": 1}, 7) == {"time": 5}
    assert client.request_attributes("one", ["two", "three"]) == {"client": {"a": 1}}
    client.claim("s3", 5)
    came = [web.next() for _ in range(7)]
    assert [request[:3] for request in came] == [
        ("POST", PREFIX + "telemetry", {"ts": 1704153600000, "values": {"t": 1.2}}),
        ("POST", PREFIX + "telemetry", {"ts": 17, "values": {"t": 1}}),
        ("POST", PREFIX + "attributes", {"model": "X"}),
        ("POST", PREFIX + "rpc", {"method": "getTime", "params": {}}),
        ("POST", PREFIX + "rpc/7", {"method": "done", "params": {"a": 1}}),
        ("GET", PREFIX + "attributes?clientKeys=one&sharedKeys=two%2Cthree", None),
        ("POST", PREFIX + "claim", {"secretKey": "s3", "durationMs": 5}),
    ]
    assert len({connection for *_, connection in came}) == 1


def test_a_kept_connection_that_was_closed_is_made_anew(client: TBHTTPDevice, web: Server) -> None:
    connections: set[int] = set()
    for _ in range(3):
        client.send_attributes({"a": 1})
        client.send_rpc("getTime")
        connections.update((web.next()[3], web.next()[3]))
        web.hang_up()
    assert len(connections) == 3


def test_a_local_time_is_one(client: TBHTTPDevice, web: Server) -> None:
    moment = datetime.datetime(2024, 1, 2, 3, 4, 5)  # noqa: DTZ001
    client.send_telemetry({"t": 1}, moment, queued=False)
    assert web.next()[2]["ts"] == moment.timestamp() * 1000
    client.send_telemetry({"t": 1}, queued=False)
    now = datetime.datetime.now(datetime.timezone.utc).timestamp() * 1000
    assert abs(web.next()[2]["ts"] - now) < 60_000


def test_queued_telemetry_goes_in_order_and_again(
    client: TBHTTPDevice, web: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_workers, "_FIRST_DELAY", 0.01)
    client.send_telemetry({"n": 0}, 1)
    client.send_telemetry({"n": 1}, 2)
    assert web.requests.empty()
    assert client.connect() is True
    assert web.next()[2] == {}
    assert [web.next()[2]["values"]["n"] for _ in range(2)] == [0, 1]
    answers = iter([503, 429, 200])
    web.answers[PREFIX + "telemetry"] = lambda _path: (next(answers, 200), b"")
    client.send_telemetry({"n": 2}, 3)
    client.send_telemetry({"n": 3}, 4)
    assert [web.next()[2]["values"]["n"] for _ in range(4)] == [2, 2, 2, 3]
    client.stop_publish_worker()
    client.start_publish_worker()
    client.send_telemetry({"n": 4}, 5)
    assert web.next()[2]["values"]["n"] == 4
    client.send_telemetry({"n": 5}, 6)
    client.close(PATIENCE)
    assert web.next()[2]["values"]["n"] == 5


def test_what_the_server_will_not_have_is_given_up(
    client: TBHTTPDevice, web: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(http_workers, "_FIRST_DELAY", 0.01)
    client.connect()
    web.next()
    answers = iter([400, *[401] * 5])
    web.answers[PREFIX + "telemetry"] = lambda _path: (next(answers, 200), b"")
    for number in range(3):
        client.send_telemetry({"n": number}, 1)
    assert [web.next()[2]["values"]["n"] for _ in range(7)] == [0, 1, 1, 1, 1, 1, 2]
    assert caplog.text.count("given up") == 2 and TOKEN not in caplog.text and "geheim" not in caplog.text


def test_the_queue_is_bounded(client: TBHTTPDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_workers, "_MOST_QUEUED", 3)
    for _ in range(3):
        client.send_telemetry({"a": 1})
    with pytest.raises(QueueFullError, match="3 messages"):
        client.send_telemetry({"a": 1})


@pytest.mark.parametrize("endpoint", ["attributes", "rpc"])
@pytest.mark.thingslink_allow_callback_exceptions(raises=RuntimeError)
def test_subscriptions_call_and_wait_on(
    http_device_of: Callable[..., TBHTTPDevice],
    web: Server,
    calls: Calls,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    endpoint: str,
) -> None:
    monkeypatch.setattr(http_workers, "_FIRST_DELAY", 0.0)
    client = http_device_of(timeout=7)
    path = PREFIX + ("attributes/updates" if endpoint == "attributes" else "rpc")
    news: queue.Queue[tuple[int, bytes]] = queue.Queue()
    web.answers[path] = lambda _path: news.get(timeout=PATIENCE)

    def callback(content: Any) -> None:
        calls(content)
        raise RuntimeError("of the program's own")

    client.subscribe(endpoint, callback)
    assert web.next()[:2] == ("GET", f"{path}?timeout=7000")
    for answer in ((200, b'{"a": 1}'), (408, b""), (504, b""), (500, b""), (200, b"no JSON"), (200, b'{"a": 2}')):
        news.put(answer)
    assert calls.next() == ({"a": 1},) and calls.next() == ({"a": 2},)
    assert "of the program's own" in caplog.text and "geheim" not in caplog.text
    other = Calls()
    client.subscribe(endpoint, other)
    news.put((200, b'{"a": 3}'))
    assert other.next() == ({"a": 3},)
    ended = client._subscriptions[endpoint]._thread
    client.unsubscribe(endpoint)
    # It does not wait for the server's answer.
    ended.join(PATIENCE)
    assert not ended.is_alive()
    client.unsubscribe(endpoint)
    client.subscribe(endpoint)
    news.put((200, b'{"a": 4}'))
    news.put((200, b'{"a": 4}'))
    assert other.next() == ({"a": 4},)
    client.unsubscribe(endpoint)
    news.put((200, b"{}"))


@pytest.mark.parametrize("chunk_size", [0, 100, 5000])
def test_firmware_is_downloaded(
    http_device_of: Callable[..., TBHTTPDevice],
    web: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    chunk_size: int,
) -> None:
    monkeypatch.chdir(tmp_path)
    data = bytes(range(250))
    info = {
        "fw_title": "../pump-fw",
        "fw_version": "v2",
        "fw_size": len(data),
        "fw_checksum": checksum(data, "SHA256"),
        "fw_checksum_algorithm": "SHA256",
    }

    def piece(path: str) -> tuple[int, bytes]:
        options = dict(pair.split("=") for pair in path.partition("?")[2].split("&"))
        size, number = int(options["size"]) or len(data), int(options["chunk"])
        return 200, data[number * size : (number + 1) * size]

    web.answers[PREFIX + "attributes"] = (200, json.dumps({"shared": info}).encode())
    web.answers[PREFIX + "firmware"] = piece
    client = http_device_of(chunk_size=chunk_size)
    client.get_firmware_update()
    assert (tmp_path / "pump-fw").read_bytes() == data
    told, pieces = [], 0
    while not web.requests.empty():
        _, path, body, _ = web.next()
        pieces += path.startswith(PREFIX + "firmware")
        if path.endswith("telemetry"):
            told.append(body)
    states = [entry["values"].get("fw_state") for entry in told]
    assert states == [None, "DOWNLOADING", "DOWNLOADED", "VERIFIED", "UPDATING", "UPDATED"]
    times = [entry["ts"] for entry in told]
    assert times == sorted(set(times)) and pieces == {0: 1, 100: 3, 5000: 1}[chunk_size]
    # It is installed now.
    client.get_firmware_update()
    assert not any(web.next()[1].startswith(PREFIX + "firmware") for _ in range(web.requests.qsize()))


def test_firmware_that_cannot_be_had_has_failed(client: TBHTTPDevice, web: Server) -> None:
    info = {"fw_title": "t", "fw_version": "v2", "fw_size": 3, "fw_checksum": "00", "fw_checksum_algorithm": "MD5"}
    web.answers[PREFIX + "attributes"] = (200, json.dumps({"shared": info}).encode())
    web.answers[PREFIX + "firmware"] = (404, b"")
    with pytest.raises(TBHTTPAPIException, match="404"):
        client.get_firmware_update()
    assert client.current_firmware_info["fw_state"] == "FAILED" and "404" in client.current_firmware_info["fw_error"]
    web.answers[PREFIX + "firmware"] = (200, b"abc")
    client.get_firmware_update()
    assert client.current_firmware_info["fw_error"] == "Checksum verification failed!"
    assert client.current_firmware_info["current_fw_version"] is None


def test_provisioning(web: Server) -> None:
    answer = {"status": "SUCCESS", "credentialsType": "ACCESS_TOKEN", "credentialsValue": "new"}
    web.answers["/api/v1/provision"] = (200, json.dumps(answer).encode())
    device = TBHTTPDevice.provision(web.url, "D-7", "K", "S")
    assert (device.token, device.name, device.host) == ("new", "D-7", web.url)
    request = {"deviceName": "D-7", "provisionDeviceKey": "K", "provisionDeviceSecret": "S"}
    assert web.next()[:3] == ("POST", "/api/v1/provision", request)
    answer = {"status": "SUCCESS", "credentialsType": "MQTT_BASIC", "credentialsValue": "geheim"}
    web.answers["/api/v1/provision"] = (200, json.dumps(answer).encode())
    with pytest.raises(TBProvisionFailure, match="MQTT_BASIC") as refused:
        TBHTTPDevice.provision(web.url, "D-7", "K", "S")
    assert "geheim" not in str(refused.value)
    web.answers["/api/v1/provision"] = (200, b'{"status": "NOT_FOUND", "errorMsg": "Provision data was not found!"}')
    with pytest.raises(TBProvisionFailure, match="Provision data was not found!"):
        TBHTTPDevice.provision(web.url, "D-7", "K", "S")


@pytest.mark.parametrize(("status", "words"), [(400, "400"), (401, "401"), (500, "500"), (302, "https://elsewhere")])
def test_what_the_server_refuses_is_told_without_the_token(
    client: TBHTTPDevice, web: Server, status: int, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    web.answers[PREFIX] = (status, b"")
    with pytest.raises(TBHTTPAPIException, match=words) as refused:
        client.send_attributes({"a": 1})
    assert refused.value.status == status and "geheim" not in str(refused.value)
    with caplog.at_level(logging.ERROR, logger="TBHTTPDevice"):
        assert client.connect() is False
    assert words in caplog.text and "geheim" not in caplog.text
    assert ("is the access token right?" in caplog.text) is (status == 401)


def test_servers_that_are_none_are_told(closed_port: int) -> None:
    device = TBHTTPDevice(f"http://127.0.0.1:{closed_port}", TOKEN)
    with pytest.raises(ConnectionRefusedError):
        device.send_attributes({"a": 1})
    assert device.test_connection() is False
    with socket.create_server(("127.0.0.1", 0)) as silent:
        device = TBHTTPDevice(f"http://127.0.0.1:{silent.getsockname()[1]}", TOKEN, timeout=0.1)
        with pytest.raises(ThingsTimeoutError, match="attributes at http://127") as late:
            device.send_attributes({"a": 1})
        assert "geheim" not in str(late.value)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"SSH-2.0-OpenSSH_9\r\n", "does not speak HTTP"),
        (b"", "hung up"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf", "hung up"),
    ],
)
def test_what_is_no_answer_is_told(answer: bytes, words: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)
                connection.recv(4096)

        thread = threading.Thread(target=serve)
        thread.start()
        device = TBHTTPDevice(f"http://127.0.0.1:{listener.getsockname()[1]}", TOKEN)
        with pytest.raises(ConnectionLostError, match=words):
            device.send_attributes({"a": 1})
        thread.join(PATIENCE)


def test_certificates_are_checked(web: Server, tmp_path: Path) -> None:
    identity = certificates.make()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*identity.write(tmp_path))
    web.socket = context.wrap_socket(web.socket, server_side=True)
    url = f"https://localhost:{web.server_address[1]}"
    trusting: tuple[dict[str, Any], ...] = (
        {"ca_certs": identity.pem},
        {"ca_certs": identity.pem.decode()},
        {"ca_certs": tmp_path / "server.pem"},
        {"insecure": True},
    )
    for options in trusting:
        with TBHTTPDevice(url, TOKEN, **options) as device:
            device.send_attributes({"a": 1})
    strangers: tuple[dict[str, Any], ...] = ({}, {"ca_certs": certificates.make().pem})
    for wary in strangers:
        with pytest.raises(TlsError, match="certificate"):
            TBHTTPDevice(url, TOKEN, **wary).send_attributes({"a": 1})
    assert web.requests.qsize() == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("thingsboard.example", TOKEN), "expected the URL"),
        (("ftp://x", TOKEN), "expected the URL"),
        (("http://x:70000", TOKEN), "expected the URL"),
        (("http://", TOKEN), "expected the URL"),
        (("https://u:geheim@x", TOKEN), "holds credentials"),
        (("http://x", ""), "token is not valid"),
    ],
)
def test_arguments_that_cannot_be_used_are_told_at_once(arguments: tuple[Any, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words) as error:
        TBHTTPDevice(*arguments)
    assert "geheim" not in str(error.value)
    assert "Token" not in repr(TBHTTPDevice("http://x", TOKEN))


def test_values_and_callbacks_that_cannot_be_used_are_named(client: TBHTTPDevice) -> None:
    with pytest.raises(TypeError, match=r"telemetry 'bad' cannot be sent: .*bytes"):
        client.send_telemetry({"good": 1, "bad": b"x"})
    with pytest.raises(TypeError, match=r"attribute 'bad' cannot be sent: .*bytes"):
        client.send_attributes({"good": 1, "bad": b"x"})
    with pytest.raises(TypeError, match="timestamp must be"):
        client.send_telemetry({}, "now")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="endpoint 'telemetry'"):
        client.subscribe("telemetry", print)
    with pytest.raises(ValueError, match="endpoint 'telemetry'"):
        client.unsubscribe("telemetry")
    with pytest.raises(TypeError, match="callback must be callable"):
        client.subscribe("rpc", 5)  # type: ignore[arg-type]


def test_the_older_name_and_the_loggers_level(web: Server, caplog: pytest.LogCaptureFixture) -> None:
    device = TBHTTPClient(web.url, TOKEN, "Pump")
    assert "deprecated" in caplog.text and repr(device) == f"<ThingsBoard ({web.url}) HTTP device Pump>"
    before = device.logger.level
    device.log_level = "DEBUG"
    assert device.log_level == "DEBUG" and device.timeout == 30
    assert device.api_base_url == f"{web.url}/api/v1/{TOKEN}"
    device.logger.setLevel(before)


@pytest.mark.thingslink_allow_callback_exceptions
def test_a_coroutine_function_is_awaited_before_the_next_question(
    http_device_of: Callable[..., TBHTTPDevice], web: Server, calls: Calls
) -> None:
    client = http_device_of(timeout=7)
    news: queue.Queue[tuple[int, bytes]] = queue.Queue()
    web.answers[PREFIX + "rpc"] = lambda _path: news.get(timeout=PATIENCE)

    async def callback(content: Any) -> None:
        await asyncio.sleep(0)
        calls(content)
        raise asyncio.CancelledError

    client.subscribe("rpc", callback)
    for number in (1, 2):
        news.put((200, b'{"a": %d}' % number))
        assert calls.next() == ({"a": number},)
    client.unsubscribe("rpc")
    news.put((200, b"{}"))


def test_a_subscription_without_a_callback_is_none(client: TBHTTPDevice, caplog: pytest.LogCaptureFixture) -> None:
    client.subscribe("rpc")
    assert "No callback set for rpc subscription" in caplog.text and client._subscriptions == {}


SCRIPT = """
import sys, datetime, logging
if sys.argv[1] == "ours":
    import thingslink
    thingslink.install_as("tb_device_http")
from tb_device_http import TBHTTPDevice, TBProvisionFailure
device = TBHTTPDevice(sys.argv[2], "T", "Pump")
print(device, device.name, device.host, device.token, device.api_base_url, device.timeout)
print(device.test_connection())
moment = datetime.datetime(2024, 1, 2, 3, 4, 5, 678000, tzinfo=datetime.timezone.utc)
print(device.send_telemetry({"a": 1, "b": "x"}, moment, queued=False))
print(device.send_attributes({"model": "X"}))
print(device.send_rpc("getTime"), device.send_rpc("set", {"a": 1}, 5))
print(device.request_attributes())
print(TBHTTPDevice.provision(sys.argv[2], "D", "K", "S"))
for method, wrong in (("subscribe", "x"), ("unsubscribe", "x")):
    try:
        getattr(device, method)(wrong)
    except ValueError:
        print("ValueError")
"""


def test_the_original_sees_and_sends_the_same(web: Server, tmp_path: Path) -> None:
    python = ROOT / ".venvs" / "tb-mqtt-client" / "bin" / "python"
    probe = [str(python), "-c", "import tb_device_http"]
    if not python.exists() or subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("the tb-mqtt-client package 1.13.14 is not installed in .venvs (make originals)")
    answer = b'{"status": "SUCCESS", "credentialsType": "ACCESS_TOKEN", "credentialsValue": "new"}'
    web.answers |= {"/api/v1/provision": (200, answer), "/api/v1/T/rpc": (200, b'{"r": 1}')}
    web.answers["/api/v1/T/attributes"] = (200, b"{}")
    outcomes = []
    for which, interpreter in (("ours", sys.executable), ("original", str(python))):
        command = [interpreter, "-c", SCRIPT, which, web.url]
        run = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True, cwd=tmp_path)
        sent = [web.next()[:3] for _ in range(web.requests.qsize())]
        outcomes.append((run.stdout, sent))
    assert outcomes[0] == outcomes[1] and len(outcomes[0][1]) == 7
