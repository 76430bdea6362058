"""Connecting, refusals, TLS, levels of MQTT, and what programs reach into (TB 7)."""

from __future__ import annotations

import _thread
import functools
import gc
import logging
import socket
import ssl
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import thingslink
from certificates import Identity, make
from cryptography.hazmat.primitives import serialization
from harness import PATIENCE, RawServer
from thingslink.sandbox import ThingsBoard
from thingslink.tb_device_mqtt import TBDeviceMqttClient

from .conftest import TOKEN, Calls, Eventually, Maker, published


def test_errors_of_connect_are_raised(closed_port: int, tmp_path: Path) -> None:
    with pytest.raises(ConnectionRefusedError):
        TBDeviceMqttClient("127.0.0.1", closed_port, TOKEN).connect()
    with pytest.raises(socket.gaierror):
        TBDeviceMqttClient("no-such-host.invalid").connect()
    with pytest.raises(ValueError, match=r"Invalid host\."):
        TBDeviceMqttClient("").connect()
    client = TBDeviceMqttClient("127.0.0.1", closed_port)
    with pytest.raises(FileNotFoundError):
        client.connect(tls=True, ca_certs=str(tmp_path / "no such.pem"))
    with pytest.raises(FileNotFoundError):
        client.connect(tls=True, cert_file=str(tmp_path / "no such.pem"))
    with pytest.raises(ValueError, match="keepalive"):
        client.connect(keepalive=0.5)
    with pytest.raises(TypeError, match="callback"):
        client.connect(5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("protocol", "code", "name"), [(5, 134, "Bad user name or password"), ("3.1.1", 5, "Not authorized")]
)
def test_a_wrong_token_is_told_and_tried_again(
    server: ThingsBoard, calls: Calls, caplog: pytest.LogCaptureFixture, protocol: Any, code: int, name: str
) -> None:
    client = TBDeviceMqttClient(server.host, server.port, "wrong", protocol=protocol)
    client.connect(calls, min_reconnect_delay=0.01)
    for _ in range(2):
        _mqtt, _userdata, _flags, result = calls.next()
        assert result == code and result.is_failure and result.getName() == name
    assert f"Connection failed with result code {code} ({name})" in caplog.text
    assert "wrong" not in caplog.text
    server.add_device("Device 1", "wrong")
    while calls.next()[3] != 0:
        pass
    client.disconnect()


def test_a_server_that_answers_no_login_is_told(caplog: pytest.LogCaptureFixture, eventually: Eventually) -> None:
    """As one that speaks TLS where none is spoken."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closing = threading.Event()

        def refuse() -> None:
            while not closing.is_set():
                listener.accept()[0].close()

        thread = threading.Thread(target=refuse)
        thread.start()
        client = TBDeviceMqttClient("127.0.0.1", listener.getsockname()[1], TOKEN)
        client.connect(min_reconnect_delay=0.01)
        eventually(lambda: "Connection failed: " in caplog.text)
        client.disconnect()
        closing.set()
        socket.create_connection(listener.getsockname()).close()
        thread.join()


def test_a_refused_login_is_logged_in_the_words_of_mqtt_5(
    server: ThingsBoard, caplog: pytest.LogCaptureFixture, eventually: Eventually
) -> None:
    client = TBDeviceMqttClient(server.host, server.port, TOKEN)
    server.refuse_logins(137)
    with caplog.at_level(logging.INFO):
        client.connect(min_reconnect_delay=0.01)
        eventually(lambda: "the server refused the login: Server busy (code 137)" in caplog.text)
    assert "authorised" not in caplog.text
    client.disconnect()


def test_every_way_to_log_in(server: ThingsBoard, connected: Maker) -> None:
    server.add_device("Basic", client_id="c", username="u", password="p")
    client = connected(TBDeviceMqttClient(server.host, server.port, "u", "p", client_id="c"))
    assert client.send_telemetry({"a": 1}).get() == 0 and server.telemetry_of("Basic")


def test_the_wire_of_a_connect(server: ThingsBoard, connected: Maker) -> None:
    follower = server.follow()
    connected(TBDeviceMqttClient(server.host, server.port, TOKEN))
    seen: list[tuple[Any, ...]] = []
    while len(seen) < 6:
        entry = follower.next(PATIENCE)
        assert entry is not None
        seen.append((entry["kind"], entry.get("filter") or entry.get("topic"), entry.get("qos")))
    assert seen == [
        ("connected", None, None),
        ("subscribed", "v1/devices/me/attributes", 1),
        ("subscribed", "v1/devices/me/attributes/response/+", 1),
        ("subscribed", "v1/devices/me/rpc/request/+", 1),
        ("subscribed", "v1/devices/me/rpc/response/+", 1),
        ("published", "v1/devices/me/rpc/request/1", 1),
    ]


def test_a_server_without_level_5_is_spoken_to_in_3_1_1(server: ThingsBoard, connected: Maker) -> None:
    server.refuse_level_5()
    client = connected(TBDeviceMqttClient(server.host, server.port, TOKEN))
    assert client.send_telemetry({"a": 1}).get() == 0
    server.cut()
    assert client.send_telemetry({"a": 2}).get(timeout=PATIENCE) == 0


def test_connect_and_disconnect_at_once_1000_times(server: ThingsBoard) -> None:
    client = TBDeviceMqttClient(server.host, server.port, TOKEN)
    client.connect()
    client.disconnect()
    # Python goes on counting threads of tests before that it has seen and that are gone: what matters is what comes.
    before = threading.active_count(), len(list(Path("/proc/self/task").iterdir()))
    for _ in range(1000):
        client.connect()
        client.disconnect()
    after = threading.active_count(), len(list(Path("/proc/self/task").iterdir()))
    assert after[0] <= before[0] + 3 and after[1] <= before[1] + 3
    client.connect()
    assert client.send_telemetry({"a": 1}).get() == 0
    client.disconnect()


def test_connecting_twice_leaves_one_connection(server: ThingsBoard, connected: Maker) -> None:
    client = connected(TBDeviceMqttClient(server.host, server.port, TOKEN))
    connected(client)
    assert client.send_telemetry({"a": 1}).get() == 0 and server.cut() == 1


def test_delays_between_attempts_can_be_set_on_the_way(server: ThingsBoard, connected: Maker, calls: Calls) -> None:
    client = TBDeviceMqttClient(server.host, server.port, TOKEN)
    client.connect(calls, min_reconnect_delay=3600, timeout=3600)
    assert calls.next()[3] == 0
    client.reconnect_delay_set(0.01, 0.01)
    server.cut()
    assert calls.next()[3] == 0
    client.disconnect()
    client.connect(calls)
    assert calls.next()[3] == 0
    server.cut()
    assert calls.next()[3] == 0
    client.disconnect()
    for wrong in (-1, "x"):
        with pytest.raises((ValueError, TypeError), match=r"^min_delay "):
            client.reconnect_delay_set(min_delay=wrong)  # type: ignore[arg-type]
        with pytest.raises((ValueError, TypeError), match=r"^max_delay "):
            client.reconnect_delay_set(max_delay=wrong)  # type: ignore[arg-type]
        with pytest.raises((ValueError, TypeError), match=r"^min_reconnect_delay "):
            client.connect(min_reconnect_delay=wrong)  # type: ignore[arg-type]
        with pytest.raises((ValueError, TypeError), match=r"^timeout "):
            client.connect(timeout=wrong)  # type: ignore[arg-type]


def test_a_context_manager(server: ThingsBoard) -> None:
    with TBDeviceMqttClient(server.host, server.port, TOKEN) as client:
        assert client.send_telemetry({"a": 1}).get() == 0
    assert not client.is_connected()


def test_clients_without_callbacks_have_no_threads_of_their_own(server: ThingsBoard, eventually: Eventually) -> None:
    def connect() -> TBDeviceMqttClient:
        client = TBDeviceMqttClient(server.host, server.port, TOKEN)
        client.connect()
        eventually(client.is_connected)
        return client

    clients = [connect()]
    before = len(list(Path("/proc/self/task").iterdir()))
    clients += [connect() for _ in range(20)]
    assert len(list(Path("/proc/self/task").iterdir())) <= before + 2
    for client in clients:
        client.disconnect(timeout=0.5)


@pytest.fixture
def secure() -> Iterator[ThingsBoard]:
    with ThingsBoard(tls_port=0) as server:
        server.add_device("Device 1", TOKEN)
        yield server


def client_of(server: ThingsBoard, *arguments: Any) -> TBDeviceMqttClient:
    assert server.tls_port is not None
    return TBDeviceMqttClient("localhost", server.tls_port, *arguments)


def test_tls_with_a_given_certificate(secure: ThingsBoard, connected: Maker, tmp_path: Path) -> None:
    path = tmp_path / "mqttserver.pub.pem"
    path.write_text(secure.ca_certs)
    for given in (str(path), path, secure.ca_certs, secure.ca_certs.encode()):
        client = connected(client_of(secure, TOKEN), tls=True, ca_certs=given)
        assert client.send_telemetry({"a": 1}).get() == 0
        client.disconnect()


def test_an_unknown_certificate_is_refused_unless_asked_for(secure: ThingsBoard, connected: Maker) -> None:
    with pytest.raises(thingslink.TlsError, match="unknown issuer"):
        client_of(secure, TOKEN).connect(tls=True)
    client = connected(client_of(secure, TOKEN), tls=True, insecure=True)
    assert client.send_telemetry({"a": 1}).get() == 0


def encrypted(identity: Identity, form: serialization.PrivateFormat) -> bytes:
    return identity.key.private_bytes(
        serialization.Encoding.PEM, form, serialization.BestAvailableEncryption(b"geheim")
    )


def test_a_client_s_certificate_in_one_file_or_two(secure: ThingsBoard, connected: Maker, tmp_path: Path) -> None:
    identity = make(common_name="device")
    secure.add_device("X509", certificate=identity.pem)
    (tmp_path / "both.pem").write_bytes(identity.pem + identity.key_pem)
    (tmp_path / "cert.pem").write_bytes(identity.pem)
    (tmp_path / "key.pem").write_bytes(identity.key_pem)
    (tmp_path / "locked.pem").write_bytes(encrypted(identity, serialization.PrivateFormat.PKCS8))
    (tmp_path / "old.pem").write_bytes(encrypted(identity, serialization.PrivateFormat.TraditionalOpenSSL))
    options: dict[str, Any] = {"tls": True, "ca_certs": secure.ca_certs}
    accepted: tuple[dict[str, Any], ...] = (
        {"cert_file": str(tmp_path / "both.pem")},
        {"cert_file": str(tmp_path / "cert.pem"), "key_file": str(tmp_path / "key.pem")},
        {
            "cert_file": str(tmp_path / "cert.pem"),
            "key_file": str(tmp_path / "locked.pem"),
            "key_password": "geheim",
        },
    )
    for files in accepted:
        client = connected(client_of(secure), **options, **files)
        assert client.send_telemetry({"a": 1}).get() == 0
        client.disconnect()
    assert len(secure.telemetry_of("X509")) == 3
    refused: tuple[tuple[dict[str, Any], str], ...] = (
        ({"cert_file": str(tmp_path / "cert.pem")}, "no PEM private key"),
        ({"cert_file": str(tmp_path / "cert.pem"), "key_file": str(tmp_path / "locked.pem")}, "give its password"),
        (
            {
                "cert_file": str(tmp_path / "cert.pem"),
                "key_file": str(tmp_path / "locked.pem"),
                "key_password": "falsch",
            },
            "password is wrong",
        ),
        ({"cert_file": str(tmp_path / "cert.pem"), "key_file": str(tmp_path / "old.pem")}, "openssl pkcs8"),
        ({"cert_file": str(tmp_path / "key.pem")}, "no PEM certificate"),
    )
    for files, words in refused:
        with pytest.raises(thingslink.TlsError, match=words) as error:
            client_of(secure).connect(**options, **files)
        assert "falsch" not in str(error.value) and "geheim" not in str(error.value)
    with pytest.raises(ValueError, match="key_file is given without cert_file"):
        client_of(secure).connect(**options, key_file=str(tmp_path / "key.pem"))


def test_the_tutorial_s_order_of_calls(secure: ThingsBoard, tmp_path: Path) -> None:
    """`connect(tls=True, …)` and `disconnect()` at once, which could hang for ever."""
    path = tmp_path / "ca.pem"
    path.write_text(secure.ca_certs)
    for _ in range(50):
        client = client_of(secure)
        client.connect(tls=True, ca_certs=str(path))
        client.disconnect()


def test_what_programs_reach_into(secure: ThingsBoard, calls: Calls, tmp_path: Path) -> None:
    client = client_of(secure, TOKEN)
    mqtt = client._client
    assert mqtt is client._client
    with pytest.raises(ValueError, match="tls_insecure_set"):
        mqtt.tls_insecure_set(True)
    mqtt.tls_set(ca_certs=secure.ca_certs, cert_reqs=ssl.CERT_REQUIRED, tls_version=ssl.PROTOCOL_TLS_CLIENT)
    mqtt.tls_insecure_set(True)
    mqtt.enable_logger()
    mqtt.on_log = print

    def on_connect(*arguments: Any) -> None:
        calls(*arguments)
        client._on_connect(*arguments)

    mqtt._on_connect = on_connect
    gone = Calls()
    mqtt._on_disconnect = gone
    given = Calls()
    client.connect(lambda *arguments: given(*arguments))
    assert calls.next()[3] == 0 and given.next()[3] == 0
    assert mqtt.is_connected()
    follower = secure.follow()
    info = mqtt.publish("v1/devices/me/telemetry", '{"raw": 1}', qos=1)
    assert info.get() == 0 and secure.telemetry_of("Device 1")[-1]["values"] == {"raw": 1}
    assert next(published(follower, "v1/devices/me/telemetry"))[2] == 1
    mqtt.subscribe("v2/fw/response/+/chunk/+", 1)
    entry = follower.next(PATIENCE)
    assert entry is not None and entry["kind"] == "subscribed" and entry["qos"] == 1
    with pytest.raises(ValueError, match="proxy_type 4"):
        mqtt.proxy_set(proxy_type=4, proxy_addr="x", proxy_port=1)
    with pytest.raises(ValueError, match="topic"):
        mqtt.publish("a/#")
    client.disconnect()
    assert gone.next()[3] == 0
    mqtt.loop_stop()


def test_a_will_goes_with_the_login(raw_server: RawServer) -> None:
    host, port = raw_server.address.split(":")
    client = TBDeviceMqttClient(host, int(port), "t")
    client._client.will_set("wills/lost", "gone", qos=1, retain=True)
    client.connect()
    login = raw_server.next()
    # Byte 9 are the flags: user name, will kept at QoS 1, clean start.
    assert login[9] == 0b1010_1110 and b"\x00\x0awills/lost\x00\x04gone" in login
    client.disconnect()


def test_ctrl_c_ends_a_wait(server: ThingsBoard) -> None:
    client = TBDeviceMqttClient(server.host, server.port, TOKEN)
    timer = threading.Timer(0.2, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        client.send_telemetry({"a": 1})
    timer.join()


def test_a_client_that_nobody_holds_is_freed(server: ThingsBoard, eventually: Eventually) -> None:
    client = TBDeviceMqttClient(server.host, server.port, TOKEN)
    holder = [client]
    client.subscribe_to_attribute("a", functools.partial(print, holder))
    client.connect()
    assert client.send_telemetry({"a": 1}).get() == 0
    client.disconnect()
    kept = weakref.ref(client)
    del client, holder

    def gone() -> bool:
        gc.collect()
        return kept() is None

    eventually(gone)
