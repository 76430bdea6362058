"""Connecting, losing the connection, closing."""

from __future__ import annotations

import signal
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import thingslink
from faces import on_both_faces
from harness import PATIENCE, RawServer, Recorder, running
from thingslink import _native, ttn
from thingslink.ttn import MQTTClient

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from thingslink.sandbox import Sandbox

    Maker = Callable[..., MQTTClient]


@on_both_faces
@pytest.mark.parametrize(
    ("address", "error", "words"),
    [
        ("h:abc", ValueError, "invalid literal for int() with base 10: 'abc'"),
        ("h:", ValueError, "invalid literal for int() with base 10: ''"),
        (":1883", ValueError, "Invalid host."),
        ("http://h", ValueError, "unknown scheme 'http'"),
        ("h:70000", ValueError, "port 70000"),
        ("no-such-host.invalid:1883", socket.gaierror, "no-such-host.invalid"),
    ],
)
def test_a_bad_address_is_told_by_connect(address: str, error: type[Exception], words: str, mqtt_client: Maker) -> None:
    with pytest.raises(error) as caught:
        mqtt_client("app", "key", address).connect()
    assert words in str(caught.value)


@on_both_faces
def test_nothing_listening_is_the_error_that_it_was(closed_port: int, mqtt_client: Maker) -> None:
    client = mqtt_client("app", "key", f"127.0.0.1:{closed_port}")
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError) as caught:
            client.connect()
        assert caught.value.errno == 111 and str(closed_port) in str(caught.value)


TEXTS = {
    1: "connection refused- incorrect protocol version",
    2: "connection refused -invalid client identifier",
    3: "connection refused -server unavailable",
    4: "connection refused -bad app_id or access_key",
    5: "connection refused -not authorised 6-255: currently unused: is this a server of The Things Stack V3, whose API"
    " keys begin with NNSXS., of ThingsBoard, or a broker with users of its own?",
    17: "connection refused -not authorised 6-255: currently unused",
}


@on_both_faces
@pytest.mark.parametrize("code", TEXTS)
def test_a_refused_login_is_raised_and_told(code: int, sandbox: Sandbox, client_for: Maker, recorder: Recorder) -> None:
    client = recorder.watch(client_for(sandbox))
    sandbox.refuse_logins(code)
    with pytest.raises(thingslink.ThingsError) as caught:
        client.connect()
    assert isinstance(caught.value, ConnectionError) and isinstance(caught.value, RuntimeError)
    assert isinstance(caught.value, thingslink.LoginRefusedError)
    assert (str(caught.value), caught.value.code) == (TEXTS[code], code)
    assert recorder.expect("connect") is False
    sandbox.refuse_logins(0)
    client.connect()
    assert recorder.expect("connect") is True


@on_both_faces
def test_a_wrong_key_never_shows(sandbox: Sandbox, caplog: pytest.LogCaptureFixture, mqtt_client: Maker) -> None:
    client = mqtt_client(sandbox.app_id, "very-secret-key", sandbox.mqtt_address)
    with pytest.raises(thingslink.LoginRefusedError) as caught:
        client.connect()
    assert "very-secret" not in repr(caught.value) + repr(client) + str(vars(client)) + caplog.text


@on_both_faces
def test_a_server_that_says_nothing_is_given_up_in_time(raw_server: RawServer, mqtt_client: Maker) -> None:
    raw_server.connack = b""
    with pytest.raises(TimeoutError) as caught:
        mqtt_client("app", "key", raw_server.address).connect(timeout=0.2)
    assert isinstance(caught.value, thingslink.ThingsTimeoutError) and "0.2 s" in str(caught.value)


@on_both_faces
@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20\x02\x00", b"\xf0\x00", b"\x30\x00", b"\xff" * 9]
)
def test_what_is_no_mqtt_server_is_told(answer: bytes, raw_server: RawServer, mqtt_client: Maker) -> None:
    raw_server.connack = answer
    client = mqtt_client("app", "key", raw_server.address)
    with pytest.raises((ConnectionError, TimeoutError)):
        client.connect(timeout=0.5)


@on_both_faces
def test_an_answer_to_the_login_of_more_than_64_kib_is_not_waited_for(
    raw_server: RawServer, mqtt_client: Maker
) -> None:
    # A megabyte is announced, and nothing of it comes.
    raw_server.connack = b"\x20\x80\x80\x40"
    client = mqtt_client("app", "key", raw_server.address)
    with pytest.raises(thingslink.ConnectionLostError, match="1048576 bytes"):
        client.connect(timeout=10 * PATIENCE)


@on_both_faces
def test_all_forms_of_the_address_connect(sandbox: Sandbox, client_for: Maker) -> None:
    host, port = sandbox.mqtt_address.split(":")
    for address in (f"{host}:{port}", f"mqtt://{host}:{port}", f"{host}:{port}:9", f"localhost:{port}"):
        with client_for(sandbox, address=address) as client:
            assert client.is_connected
        assert not client.is_connected


def test_ipv6_connects() -> None:
    from thingslink.sandbox import Sandbox

    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 on this machine")
    with Sandbox(host="::1") as sandbox:
        assert sandbox.mqtt_address.startswith("[::1]:")
        with MQTTClient(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address) as client:
            assert client.is_connected


@on_both_faces
def test_tls_takes_the_certificate_in_every_form(sandbox: Sandbox, client_for: Maker, tmp_path: Path) -> None:
    assert sandbox.ca_certs and sandbox.mqtts_address
    pem = tmp_path / "ca.pem"
    pem.write_text(sandbox.ca_certs)
    address = sandbox.mqtts_address.removeprefix("mqtts://")
    for ca_certs in (sandbox.ca_certs, sandbox.ca_certs.encode(), str(pem), pem):
        with client_for(sandbox, address=address, tls=True, ca_certs=ca_certs) as client:
            assert client.is_connected
    with pytest.raises(thingslink.TlsError, match="certificate") as caught:
        client_for(sandbox, address=sandbox.mqtts_address).connect()
    assert isinstance(caught.value, ConnectionError)
    with pytest.raises(thingslink.TlsError):
        # A plain server where TLS is expected.
        client_for(sandbox, tls=True, ca_certs=sandbox.ca_certs).connect()
    with pytest.raises(ValueError, match="tls"):
        client_for(sandbox, address=sandbox.mqtts_address, tls=False).connect()
    with pytest.raises(thingslink.TlsError, match="ca_certs"):
        client_for(sandbox, address=sandbox.mqtts_address, ca_certs=b"nonsense").connect()


@on_both_faces
def test_connecting_while_connected_connects_anew(sandbox: Sandbox, client_for: Maker, recorder: Recorder) -> None:
    device, client = sandbox.device("node-1"), recorder.watch(client_for(sandbox, client_id="same"))
    for counter in range(20):
        client.connect()
        assert recorder.expect("connect") is True
        device.uplink()
        assert recorder.expect("uplink").counter == counter
    assert sandbox.clients == ["same"]
    assert "close" not in [kind for kind, _ in recorder.drain()]


def test_closing_is_told_once_and_the_client_can_be_used_again(
    sandbox: Sandbox, client_for: Maker, recorder: Recorder
) -> None:
    device, client = sandbox.device("node-1"), recorder.watch(client_for(sandbox))
    client.close()
    client.stop()
    client.start()
    for counter in range(5):
        client.connect()
        assert recorder.expect("connect") is True
        device.uplink()
        assert recorder.expect("uplink").counter == counter
        client.close()
        # It has run when close returns.
        assert recorder.entries.get_nowait() == ("close", True)
        client.close()
    assert recorder.drain() == []


@on_both_faces
def test_a_loss_is_told_and_mended(sandbox: Sandbox, client_for: Maker, recorder: Recorder) -> None:
    device, client = sandbox.device("node-1"), recorder.watch(client_for(sandbox))
    client.connect()
    assert recorder.expect("connect") is True
    for counter in range(10):
        assert sandbox.cut() == 1
        assert recorder.expect("close") is False
        assert recorder.expect("connect") is True
        device.uplink()
        assert recorder.expect("uplink").counter == counter
    assert client.stats()["reconnects"] == 10


@on_both_faces
def test_a_server_that_is_away_is_awaited(sandbox: Sandbox, client_for: Maker, recorder: Recorder) -> None:
    client = recorder.watch(client_for(sandbox))
    client.connect()
    recorder.expect("connect")
    sandbox.stop()
    assert recorder.expect("close") is False
    assert not client.is_connected
    with pytest.raises(thingslink.NotConnectedError):
        client.send("node-1", "AQ==")
    sandbox.start()
    assert recorder.expect("connect") is True


@on_both_faces
def test_logins_refused_while_reconnecting_are_told_and_tried_again(
    sandbox: Sandbox, client_for: Maker, recorder: Recorder
) -> None:
    client = recorder.watch(client_for(sandbox))
    client.connect()
    recorder.expect("connect")
    sandbox.refuse_logins(5)
    sandbox.cut()
    assert recorder.expect("connect") is False
    assert recorder.expect("connect") is False
    sandbox.refuse_logins(0)
    while not recorder.expect("connect"):
        pass


@on_both_faces
def test_without_reconnect_a_loss_is_final(sandbox: Sandbox, client_for: Maker, recorder: Recorder) -> None:
    client = recorder.watch(client_for(sandbox, reconnect=False))
    client.connect()
    recorder.expect("connect")
    sandbox.cut()
    assert recorder.expect("close") is False
    client.close()
    assert [kind for kind, _ in recorder.drain()] == []
    client.connect()
    assert recorder.expect("connect") is True


def test_closing_ends_reconnecting(sandbox: Sandbox, client_for: Maker, recorder: Recorder) -> None:
    client = recorder.watch(client_for(sandbox, reconnect_min_delay=30, reconnect_max_delay=30))
    client.connect()
    sandbox.cut()
    assert recorder.expect("close") is False
    begin = time.monotonic()
    client.close()
    assert time.monotonic() - begin < 10
    assert [entry for entry in recorder.drain() if entry[0] == "close"] == []


def test_a_half_open_connection_is_noticed(sandbox: Sandbox, client_for: Maker, recorder: Recorder) -> None:
    client = recorder.watch(client_for(sandbox, keep_alive=1))
    client.connect()
    recorder.expect("connect")
    sandbox.go_silent()
    assert recorder.expect("close") is False
    sandbox.go_silent(False)
    assert recorder.expect("connect") is True


def test_closing_from_another_thread_ends_a_connect(raw_server: RawServer) -> None:
    raw_server.connack = b""
    client = MQTTClient("app", "key", raw_server.address)
    outcome: list[BaseException] = []

    def connect() -> None:
        try:
            client.connect()
        except thingslink.ConnectionLostError as error:
            outcome.append(error)

    thread = threading.Thread(target=connect)
    thread.start()
    assert raw_server.next()[0] == 0x10
    client.close()
    thread.join(PATIENCE)
    assert "closed while connecting" in str(outcome[0])
    assert client not in [one for one, _ in _native._open_clients()], "nothing keeps it alive any more"


def test_ctrl_c_ends_a_connect(raw_server: RawServer) -> None:
    raw_server.connack = b""
    code = f"""
from thingslink import ttn
try:
    ttn.MQTTClient("app", "key", "{raw_server.address}").connect()
except KeyboardInterrupt:
    print("interrupted")
"""
    with running([sys.executable, "-c", code]) as child:
        assert raw_server.next()[0] == 0x10
        child.send_signal(signal.SIGINT)
        output, _ = child.communicate(timeout=PATIENCE)
        assert output == "interrupted\n" and child.returncode == 0


def test_many_threads_may_share_a_client(sandbox: Sandbox, client_for: Maker) -> None:
    sandbox.device("node-1")
    client = client_for(sandbox)
    client.connect()
    mids: list[int] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            mids.extend(client.send("node-1", b"\x01", schedule="last") for _ in range(50))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    client.flush(PATIENCE)
    assert errors == [] and len(set(mids)) == 400


def test_private_seam_of_the_original_s_tests(sandbox: Sandbox, client_for: Maker, recorder: Recorder) -> None:
    import json

    sandbox.add_application(sandbox.app_id, "all", ["messages:up:r", "messages:down:w", "messages:up:w"])
    client: Any = recorder.watch(MQTTClient(sandbox.app_id, "all", sandbox.mqtt_address))
    client.connect()
    client._MQTTClient__client.publish(f"{sandbox.app_id}/devices/guest/up", json.dumps(ttn.utils.stubs.uplink))
    assert recorder.expect("uplink").payload_fields.led is True
    client.close()
