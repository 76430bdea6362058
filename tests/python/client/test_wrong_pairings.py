"""Clients, ports, keys and networks that do not belong together: what is said, and what is said to try."""

from __future__ import annotations

import contextlib
import http.server
import logging
import socket
import threading
from typing import TYPE_CHECKING, Any

import certificates
import pytest
from thingslink import ApplicationError, LoginRefusedError, RpcError, ThingsError
from thingslink.sandbox import Sandbox, ThingsBoard
from thingslink.tb_device_mqtt import TBDeviceMqttClient
from thingslink.ttn import ApplicationClient, DiscoveryClient, HandlerClient, MQTTClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Servers:
    """One of everything: addresses by name."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        secure = stack.enter_context(Sandbox("demo-app", mqtts_port=0))
        plain = stack.enter_context(Sandbox("demo-app", insecure=True))
        assert secure.mqtts_address is not None
        self.ca_certs, self.key = secure.ca_certs, secure.access_key
        self.addresses = {
            "mqtt": secure.mqtt_address,
            "mqtts": secure.mqtts_address.removeprefix("mqtts://"),
            "discovery": secure.discovery_address,
            "handler": secure.handler_address,
            "plain discovery": plain.discovery_address,
            "plain handler": plain.handler_address,
            "web": stack.enter_context(web()),
            "ssh": stack.enter_context(speaking(b"SSH-2.0-OpenSSH_9.2\r\n")),
            "mail": stack.enter_context(speaking(b"220 mail.example ESMTP\r\n")),
            "database": stack.enter_context(speaking(b"J\0\0\0\x0a8.0.33\0")),
            "queue": stack.enter_context(answering(b"AMQP\0\0\x09\x01")),
            "store": stack.enter_context(answering(b"-ERR unknown command 'PRI'\r\n", hangs_up=False)),
            "cache": stack.enter_context(answering(b"ERROR\r\n", hangs_up=False)),
            "word": stack.enter_context(answering(b"?\r\n")),
            "silent": stack.enter_context(answering(b"", hangs_up=False)),
            "mute": stack.enter_context(speaking(b"")),
            "thingsboard": thingsboard(stack),
            "v3": stack.enter_context(Sandbox("demo-app", network="v3")).mqtt_address,
        }


def thingsboard(stack: contextlib.ExitStack) -> str:
    server = stack.enter_context(ThingsBoard())
    return f"{server.host}:{server.port}"


@contextlib.contextmanager
def web() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def parse_request(self) -> bool:
            # As web servers do: whatever comes is answered.
            self.wfile.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            return False

        def handle(self) -> None:
            self.rfile.read(1)
            self.parse_request()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield "127.0.0.1:%d" % server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


@contextlib.contextmanager
def speaking(words: bytes) -> Iterator[str]:
    """Serve words, and hang up when something has come."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.sendall(words)
                connection.recv(4096)

    thread = threading.Thread(target=serve)
    thread.start()
    yield "127.0.0.1:%d" % listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


@contextlib.contextmanager
def answering(words: bytes, *, hangs_up: bool = True) -> Iterator[str]:
    """Say these words when something has come, and hang up or not."""
    listener = socket.create_server(("127.0.0.1", 0))
    kept: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            kept.append(connection)
            with contextlib.suppress(OSError):
                connection.recv(4096)
                connection.sendall(words)
                if hangs_up:
                    connection.shutdown(socket.SHUT_RDWR)

    thread = threading.Thread(target=serve)
    thread.start()
    yield "127.0.0.1:%d" % listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()
    for connection in kept:
        connection.close()


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with contextlib.ExitStack() as stack:
        yield Servers(stack)


def said(use: Callable[[], object]) -> str:
    """Give what the program reads."""
    with pytest.raises((ThingsError, OSError)) as caught:
        use()
    return caught.value.details if isinstance(caught.value, ApplicationError) else str(caught.value)


TLS_PORT = ["speaks TLS at this port"]
NO_TLS = ["does not speak TLS at this port", "connect without TLS"]


@pytest.mark.parametrize(
    ("scheme", "server", "words"),
    [
        ("mqtt", "mqtts", [*TLS_PORT, "mqtts://"]),
        ("mqtt", "handler", TLS_PORT),
        ("mqtt", "plain handler", ["HTTP/2", "gRPC", "1883"]),
        ("mqtt", "web", ["HTTP", "web server", "1883"]),
        ("mqtt", "ssh", ["SSH", "1883"]),
        ("mqtt", "database", ["as MySQL does", "1883"]),
        ("mqtt", "mail", ["as a mail or FTP server does", "1883"]),
        ("mqtt", "queue", ["AMQP, as RabbitMQ does", "1883"]),
        ("mqtt", "store", ["as Redis does", "1883"]),
        ("mqtt", "word", ["MQTT server's port", "without TLS?"]),
        ("mqtt", "thingsboard", ["not authorised", "ThingsBoard"]),
        ("mqtt", "v3", ["not authorised", "The Things Stack V3", "NNSXS."]),
        ("mqtt", "mute", ["MQTT server's port", "without TLS?"]),
        ("mqtts", "mqtt", ["hangs up over the handshake", "does it speak TLS"]),
        ("mqtts", "handler", ["HTTP/2", "gRPC", "8883"]),
        ("mqtts", "web", NO_TLS),
        ("mqtts", "ssh", NO_TLS),
        ("mqtts", "mute", ["does it speak TLS"]),
    ],
)
def test_a_wrong_port_is_told_to_an_mqtt_client(servers: Servers, scheme: str, server: str, words: list[str]) -> None:
    address = f"{scheme}://{servers.addresses[server]}"
    client = MQTTClient("demo-app", servers.key, address, ca_certs=servers.ca_certs)
    text = said(client.connect)
    assert all(word in text for word in words), text
    assert "boundary" not in text and "InvalidContentType" not in text


@pytest.mark.parametrize(
    ("insecure", "server", "words"),
    [
        (True, "handler", [*TLS_PORT, "insecure_channel"]),
        (True, "mqtt", ["hangs up without a word", "1904"]),
        (True, "mqtts", TLS_PORT),
        (True, "web", ["HTTP", "web server", "1904"]),
        (True, "ssh", ["SSH", "1904"]),
        (True, "mail", ["as a mail or FTP server does", "1904"]),
        (True, "database", ["as MySQL does", "1904"]),
        (True, "queue", ["AMQP, as RabbitMQ does", "1904"]),
        (True, "store", ["as Redis does", "1904"]),
        (True, "cache", ["another protocol", "1904"]),
        (True, "word", ["another protocol", "1904"]),
        (True, "mute", ["hangs up without a word", "1904"]),
        (True, "plain discovery", ["does not have handler.ApplicationManager", "1904"]),
        (False, "discovery", ["does not have handler.ApplicationManager", "1904"]),
        (False, "plain handler", NO_TLS),
        (False, "web", NO_TLS),
        (False, "mqtt", ["does it speak TLS"]),
        (False, "mqtts", ["hangs up without a word", "with TLS", "1904"]),
        (False, "mute", ["does it speak TLS"]),
    ],
)
def test_a_wrong_port_is_told_to_an_application_client(
    servers: Servers, insecure: bool, server: str, words: list[str]
) -> None:
    trust = "" if insecure else servers.ca_certs
    address = servers.addresses[server]
    with ApplicationClient("demo-app", servers.key, address, trust, insecure_channel=insecure) as client:
        text = said(client.get)
    assert all(word in text for word in words), text
    assert "InvalidContentType" not in text


def test_a_server_that_says_nothing_is_told_when_the_time_is_over(servers: Servers) -> None:
    with ApplicationClient("demo-app", servers.key, servers.addresses["silent"], insecure_channel=True) as client:
        text = said(lambda: client.get(timeout=0.3))
    assert text.startswith("Deadline Exceeded: ") and "has not said a word" in text and "1904" in text


def test_a_wrong_port_is_told_to_a_discovery_client(servers: Servers) -> None:
    def ask(server: str, insecure: bool) -> str:
        certificate = None if insecure else servers.ca_certs
        client = DiscoveryClient(servers.addresses[server], certificate, insecure)
        text = said(lambda: client.get_by_app_id("demo-app"))
        client.close()
        return text

    assert "1900" in ask("handler", False) and "1900" in ask("plain handler", True)
    assert "speaks TLS" in ask("discovery", True)
    assert "does not speak TLS" in ask("plain discovery", False)


def test_a_wrong_port_is_told_to_a_thingsboard_device(
    servers: Servers, caplog: pytest.LogCaptureFixture, eventually: Callable[[Callable[[], object]], None]
) -> None:
    for server, words in (("mqtts", "speaks TLS at this port"), ("plain handler", "HTTP/2")):
        host, port = servers.addresses[server].split(":")
        client = TBDeviceMqttClient(host, int(port), "token")
        with caplog.at_level(logging.WARNING):
            client.connect()
            eventually(lambda words=words: words in caplog.text)  # type: ignore[misc]
        client.disconnect()


def test_an_unanswered_login_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = MQTTClient("demo-app", "key", "127.0.0.1:%d" % listener.getsockname()[1])
        text = said(lambda: client.connect(timeout=0.3))
    assert "answers no login" in text and "without TLS?" in text


def test_certificates_that_do_not_do_are_told_with_what_to_try(servers: Servers) -> None:
    address, other = servers.addresses["handler"], certificates.make(ca=True).pem
    with ApplicationClient("demo-app", servers.key, address, other) as client:
        text = said(client.get)
    assert "unknown issuer" in text and text.endswith("as the certificate to trust: cert_content")


def test_the_argument_that_takes_the_certificate_is_named(servers: Servers) -> None:
    discovery, mqtts = servers.addresses["discovery"], "mqtts://" + servers.addresses["mqtts"]
    port = int(mqtts.rpartition(":")[2])
    uses: dict[str, Any] = {
        "cert_path": lambda: HandlerClient("demo-app", servers.key, discovery).application(),
        "discovery_certificate": MQTTClient("demo-app", servers.key, discovery_address=discovery).connect,
        "certificate": lambda: DiscoveryClient(discovery).get_all("handler"),
        "ca_certs": MQTTClient("demo-app", servers.key, mqtts).connect,
        "ca_certs ": lambda: TBDeviceMqttClient("127.0.0.1", port, "T").connect(tls=True),
    }
    for argument, use in uses.items():
        assert said(use).endswith(f"as the certificate to trust: {argument.strip()}"), argument


@pytest.mark.parametrize(
    ("key", "words"), [("NNSXS.5ec7e7", "The Things Stack V3"), ("", "empty"), (" ttn-account-v2.5ec7e7", "blanks")]
)
def test_a_key_of_another_network_is_told(servers: Servers, key: str, words: str) -> None:
    client = MQTTClient("demo-app", key, servers.addresses["mqtt"])
    with pytest.raises(LoginRefusedError, match=words) as caught:
        client.connect()
    assert "5ec7e7" not in str(caught.value)
    if not key:
        return  # The handler's own words say that there is none.
    with ApplicationClient("demo-app", key, servers.addresses["handler"], servers.ca_certs) as application:
        text = said(application.get)
    assert words in text and "5ec7e7" not in text


def test_a_payload_function_that_fails_is_told_with_its_name_and_what_to_try(servers: Servers) -> None:
    broken: Any = {"decoder": "function Decoder(b) { return nothing; }", "encoder": "function Encoder(o) { o.x(); }"}
    with ApplicationClient("demo-app", servers.key, servers.addresses["handler"], servers.ca_certs) as client:
        for name, call in (
            ("Decoder", lambda: client.dry_uplink(b"\x01", functions=broken)),
            ("Encoder", lambda: client.dry_downlink({"a": 1}, functions=broken)),
        ):
            text = said(call)
            assert f"{name} threw error: " in text and "dry_uplink" in text


def test_fields_that_are_missing_are_explained(sandbox: Sandbox, client_for: Any, recorder: Any) -> None:
    client = recorder.watch(client_for(sandbox))
    client.connect()
    sandbox.device("node-1").uplink(b"\x01")
    msg = recorder.expect("uplink")
    with pytest.raises(AttributeError, match="up/errors"):
        _ = msg.payload_fields
    assert not hasattr(msg, "payload_fields")


def test_discovery_errors_are_of_one_family(servers: Servers) -> None:
    with DiscoveryClient(servers.addresses["mute"], insecure_channel=True) as client, pytest.raises(RpcError):
        client.get_all("handler")


@pytest.mark.parametrize("network", ["v3", "chirpstack"])
def test_calls_of_v2_at_another_network_say_how_that_is_named(network: Any) -> None:
    insecure: Any = {"insecure": True} if network == "v3" else {}
    with Sandbox(network=network, **insecure) as sandbox:
        address = sandbox.management_address
        with DiscoveryClient(address, insecure_channel=True) as discovery:
            text = said(lambda: discovery.get_all("handler"))
        assert "cluster=" in text and "grpc_address=" in text
        with ApplicationClient("demo-app", "ttn-account-v2.k", address, insecure_channel=True) as application:
            assert "network=" in said(application.get)
