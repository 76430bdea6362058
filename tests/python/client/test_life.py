"""A client's life: what the program wishes last holds, and what was connected once goes on connecting."""

from __future__ import annotations

import queue
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import thingslink
from faces import on_both_faces
from thingslink.ttn import MQTTClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness import RawServer, Recorder
    from thingslink.sandbox import Sandbox

    Maker = Callable[..., MQTTClient]

PATIENCE = 20.0
#: What must not wait for anything is done in less; a wait that should not be took 10 s and more.
AT_ONCE = 4.0
KEEPING: dict[str, Any] = {"qos": 1, "client_id": "keeper", "clean_session": False}


@on_both_faces
def test_a_failed_connect_does_not_end_reconnecting(sandbox: Sandbox, client_for: Maker, recorder: Recorder) -> None:
    client = recorder.watch(client_for(sandbox))
    client.connect()
    assert recorder.expect("connect") is True
    sandbox.stop()
    assert recorder.expect("close") is False
    for _ in range(3):
        with pytest.raises(ConnectionError):
            client.connect(timeout=5)
    sandbox.start()
    assert recorder.expect("connect") is True
    device = sandbox.device("node-1")
    device.uplink(b"\x01")
    assert recorder.expect("uplink").dev_id == "node-1"


def test_a_connect_that_fails_in_the_close_callback_does_not_end_reconnecting(
    sandbox: Sandbox, client_for: Maker, recorder: Recorder
) -> None:
    client = recorder.watch(client_for(sandbox))
    failures: queue.Queue[BaseException] = queue.Queue()

    def connect_again(res: bool, client: MQTTClient) -> None:
        if res:
            return
        try:
            client.connect(timeout=5)
        except OSError as error:
            failures.put(error)

    client.set_close_callback(connect_again)
    client.connect()
    assert recorder.expect("connect") is True
    sandbox.stop()
    failures.get(timeout=PATIENCE)
    sandbox.start()
    assert recorder.expect("connect") is True


def test_a_connect_that_is_refused_leaves_the_connection_that_stands(
    sandbox: Sandbox, client_for: Maker, recorder: Recorder
) -> None:
    client = recorder.watch(client_for(sandbox))
    client.connect()
    assert recorder.expect("connect") is True
    sandbox.refuse_logins(3)
    with pytest.raises(thingslink.LoginRefusedError):
        client.connect()
    assert recorder.expect("connect") is False
    assert client.is_connected
    sandbox.device("node-1").uplink(b"\x01")
    assert recorder.expect("uplink").payload == b"\x01"


def test_a_second_connect_takes_the_place_of_the_first_without_a_word_of_loss(
    sandbox: Sandbox, client_for: Maker, recorder: Recorder
) -> None:
    client = recorder.watch(client_for(sandbox, **KEEPING))
    client.connect()
    assert recorder.expect("connect") is True
    client.connect()
    assert recorder.expect("connect") is True
    sandbox.device("node-1").uplink(b"\x02")
    assert recorder.expect("uplink").payload == b"\x02"
    assert "close" not in [kind for kind, _ in recorder.drain()]
    assert sandbox.clients == ["keeper"]


@pytest.mark.parametrize("by_thread", [False, True])
def test_close_does_not_wait_for_a_close_callback_that_connects(
    by_thread: bool, sandbox: Sandbox, client_for: Maker, recorder: Recorder
) -> None:
    client = client_for(sandbox)
    client.set_connect_callback(recorder.on("connect"))
    outcomes: queue.Queue[object] = queue.Queue()

    def connect(client: MQTTClient) -> None:
        try:
            client.connect(timeout=5)
            outcomes.put(None)
        except OSError as error:
            outcomes.put(error)

    def connect_again(_res: bool, client: MQTTClient) -> None:
        client.remove_close_callback(connect_again)
        if by_thread:
            thread = threading.Thread(target=connect, args=(client,))
            thread.start()
            thread.join()
        else:
            connect(client)

    client.set_close_callback(connect_again)
    client.connect()
    assert recorder.expect("connect") is True
    begun = time.monotonic()
    client.close()
    assert time.monotonic() - begun < AT_ONCE
    # It was asked for after the close, so it holds.
    assert outcomes.get(timeout=PATIENCE) is None
    assert recorder.expect("connect") is True


def test_a_close_that_is_asked_last_holds_over_a_connect_in_the_close_callback(raw_server: RawServer) -> None:
    client = MQTTClient("app", "key", raw_server.address)
    connecting, outcome = threading.Event(), queue.Queue[object]()

    def connect_again(res: bool, client: MQTTClient) -> None:
        if res:
            return
        connecting.set()
        try:
            client.connect(timeout=PATIENCE)
        except OSError as error:
            outcome.put(error)

    client.set_close_callback(connect_again)
    client.connect()
    raw_server.connack = b""
    raw_server.connections[-1].shutdown(socket.SHUT_RDWR)
    assert connecting.wait(PATIENCE)
    begun = time.monotonic()
    client.close()
    assert time.monotonic() - begun < AT_ONCE
    assert isinstance(outcome.get(timeout=PATIENCE), thingslink.ConnectionLostError)
    assert not client.is_connected


def test_a_connect_callback_that_is_set_after_connect_is_always_called(sandbox: Sandbox, client_for: Maker) -> None:
    for _ in range(50):
        heard: queue.Queue[bool] = queue.Queue()
        client = client_for(sandbox)
        client.connect()
        client.set_connect_callback(lambda res, _client, heard=heard: heard.put(res))
        assert heard.get(timeout=PATIENCE) is True
        client.close()
        assert heard.empty()


def test_a_login_is_told_once_and_only_while_its_connection_stands(
    sandbox: Sandbox, client_for: Maker, recorder: Recorder
) -> None:
    client = client_for(sandbox, reconnect=False)
    client.connect()
    client.set_connect_callback(recorder.on("first"))
    assert recorder.expect("first") is True
    client.set_connect_callback(recorder.on("second"))
    client.close()
    client.connect()
    assert recorder.expect("second") is True
    assert [kind for kind, _ in recorder.drain()].count("first") == 1


def test_all_filters_refused_fails_the_connect_and_leaves_the_client_usable(raw_server: RawServer) -> None:
    raw_server.refused = 1
    client = MQTTClient("app", "key", raw_server.address)
    with pytest.raises(thingslink.SubscriptionRefusedError, match=r"app/devices/\+/up"):
        client.connect(timeout=PATIENCE)
    assert not client.is_connected
    raw_server.refused = 0
    client.connect(timeout=PATIENCE)
    assert client.is_connected
    client.close()


@on_both_faces
def test_a_key_of_the_things_stack_at_a_v2_server_is_told(raw_server: RawServer, mqtt_client: Maker) -> None:
    raw_server.refused = 1
    client = mqtt_client("app", "NNSXS.SECRET.VERYSECRET", raw_server.address)
    client.set_uplink_callback(print)
    with pytest.raises(thingslink.SubscriptionRefusedError, match="The Things Stack V3") as caught:
        client.connect(timeout=PATIENCE)
    assert "SECRET" not in str(caught.value)


def test_some_filters_refused_is_told_to_the_error_callbacks(raw_server: RawServer, recorder: Recorder) -> None:
    raw_server.refused = 1
    client = recorder.watch(MQTTClient("app", "key", raw_server.address))
    client.set_event_callback(recorder.on("event"))
    client.connect(timeout=PATIENCE)
    assert isinstance(recorder.expect("error"), thingslink.SubscriptionRefusedError)
    assert client.is_connected
    client.close()


@pytest.mark.thingslink_allow_callback_exceptions(raises=RuntimeError)
def test_a_message_whose_callback_raised_is_kept_and_comes_again(
    sandbox: Sandbox, client_for: Maker, recorder: Recorder
) -> None:
    client = client_for(sandbox, **KEEPING, on_callback_error="keep")
    client.set_connect_callback(recorder.on("connect"))
    broken = [True]

    def uplink(msg: Any, _client: MQTTClient) -> None:
        recorder.entries.put(("uplink", msg.payload))
        if msg.payload == b"\x01" and broken.pop():
            broken.append(False)
            raise RuntimeError("the database is away")

    client.set_uplink_callback(uplink)
    client.connect()
    device = sandbox.device("node-1")
    device.uplink(b"\x01")
    device.uplink(b"\x02")
    assert [recorder.expect("uplink"), recorder.expect("uplink")] == [b"\x01", b"\x02"]
    client.close()
    assert client.stats()["kept"] == 1
    assert sandbox.backlog("keeper") == 1
    client.connect()
    assert recorder.expect("uplink") == b"\x01"
    client.close()
    assert sandbox.backlog("keeper") == 0
    assert client.stats()["kept"] == 1


@pytest.mark.thingslink_allow_callback_exceptions(raises=RuntimeError)
def test_without_a_wish_a_message_whose_callback_raised_is_acknowledged(
    sandbox: Sandbox, client_for: Maker, recorder: Recorder
) -> None:
    client = client_for(sandbox, **KEEPING)

    def uplink(msg: Any, _client: MQTTClient) -> None:
        recorder.entries.put(("uplink", msg.payload))
        raise RuntimeError("a mistake")

    client.set_uplink_callback(uplink)
    client.connect()
    sandbox.device("node-1").uplink(b"\x01")
    assert recorder.expect("uplink") == b"\x01"
    client.close()
    assert (client.stats()["kept"], sandbox.backlog("keeper")) == (0, 0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"on_callback_error": "ignore", "qos": 1}, 'on_callback_error "ignore".*"acknowledge" or "keep"'),
        ({"on_callback_error": "keep"}, "qos=1"),
        ({"manual_ack": True}, "qos=1"),
    ],
)
def test_what_cannot_be_wished_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MQTTClient("app", "key", "localhost", **options)


@on_both_faces
def test_by_default_a_queue_that_is_full_stops_reading_and_loses_nothing(sandbox: Sandbox, client_for: Maker) -> None:
    go, payloads = threading.Event(), queue.Queue[bytes]()

    def uplink(msg: Any, _client: MQTTClient) -> None:
        go.wait(PATIENCE)
        payloads.put(msg.payload)

    client = client_for(sandbox, queue_messages=10)
    client.set_uplink_callback(uplink)
    client.connect()
    device = sandbox.device("node-1")
    sent = [number.to_bytes(2, "big") for number in range(500)]
    for payload in sent:
        device.uplink(payload)
    go.set()
    assert [payloads.get(timeout=PATIENCE) for _ in sent] == sent
    assert client.stats()["dropped"] == 0


@on_both_faces
def test_a_program_acknowledges_by_itself_from_any_thread_in_any_order(
    sandbox: Sandbox, client_for: Maker, eventually: Callable[[Callable[[], object]], None]
) -> None:
    messages: queue.Queue[Any] = queue.Queue()
    client = client_for(sandbox, **KEEPING, manual_ack=True)
    client.set_uplink_callback(lambda msg, _client: messages.put(msg))
    client.connect()
    device = sandbox.device("node-1")
    for number in range(3):
        device.uplink(bytes([number]))
    first, second, third = (messages.get(timeout=PATIENCE) for _ in range(3))
    assert sandbox.backlog("keeper") == 3
    client.ack(third)
    client.ack(first)
    eventually(lambda: sandbox.backlog("keeper") == 1)
    client.ack(third)
    client.close()
    client.connect()
    again = messages.get(timeout=PATIENCE)
    assert again.payload == second.payload == b"\x01"
    client.ack(again)
    eventually(lambda: sandbox.backlog("keeper") == 0)
    assert messages.empty()


@on_both_faces
def test_every_form_of_a_message_can_be_acknowledged(
    sandbox: Sandbox, client_for: Maker, eventually: Callable[[Callable[[], object]], None]
) -> None:
    client = client_for(sandbox, **KEEPING, manual_ack=True)
    client.set_uplink_raw_callback(lambda msg, client: client.ack(msg))
    client.set_event_callback(lambda event, client: client.ack(event), "activations")
    client.set_uplink_field_callback(lambda value, client: client.ack(value), "level")
    client.connect()
    device = sandbox.device("node-1")
    device.uplink(b"\x01")
    device.join()
    sandbox.publish_raw(f"{sandbox.app_id}/devices/node-1/up/level", b"7")
    eventually(lambda: client.stats()["delivered"] == 3 and sandbox.backlog("keeper") == 0)


def test_what_cannot_be_acknowledged_is_said(sandbox: Sandbox, client_for: Maker, recorder: Recorder) -> None:
    client = client_for(sandbox, **KEEPING, manual_ack=True)
    client.set_uplink_callback(recorder.on("uplink"))
    client.connect()
    sandbox.device("node-1").uplink(b"\x01")
    msg = recorder.expect("uplink")
    with pytest.raises(ValueError, match="part of a message"):
        client.ack(msg.metadata)
    with pytest.raises(TypeError, match="msg must be what a callback got, not str"):
        client.ack("soil-07")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="manual_ack=True"):
        client_for(sandbox).ack(msg)
    client.ack(msg)
