"""Nothing is lost, and `get` tells the truth (decisions a, c, d, e)."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest
from harness import PATIENCE, V5_CONNACK, RawServer
from thingslink.sandbox import ThingsBoard
from thingslink.tb_device_mqtt import TBDeviceMqttClient, TBPublishInfo
from thingslink.tb_gateway_mqtt import TBGatewayMqttClient

from .conftest import GATEWAY_TOKEN, TOKEN, Calls, Eventually, Maker, published


def test_get_is_0_only_when_acknowledged(device: TBDeviceMqttClient, server: ThingsBoard) -> None:
    server.withhold_acks(1)
    info = device.send_telemetry({"a": 1})
    assert (info.get(timeout=0.05), info.is_published(), info.rc()) == (TBPublishInfo.TB_ERR_AGAIN, False, 0)
    assert device.send_telemetry({"a": 2}).get() == 0
    # Sent again on the next connection, and acknowledged there.
    server.cut()
    assert info.get(timeout=PATIENCE) == 0 and info.get() == 0 and info.is_published()
    assert {entry["values"]["a"] for entry in server.telemetry_of("Device 1")} == {1, 2}


def test_get_tells_of_a_connection_that_is_gone(
    device: TBDeviceMqttClient, server: ThingsBoard, eventually: Eventually
) -> None:
    server.withhold_acks(1)
    info = device.send_telemetry({"a": 1}, timeout=0.05)
    eventually(lambda: server.telemetry_of("Device 1"))
    server.stop()
    eventually(lambda: not device.is_connected())
    assert info.get() == TBPublishInfo.TB_ERR_NO_CONN
    server.start()
    assert info.get(timeout=PATIENCE) == 0


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (131, TBPublishInfo.TB_ERR_UNKNOWN),
        (135, TBPublishInfo.TB_ERR_ACL_DENIED),
        (144, TBPublishInfo.TB_ERR_INVAL),
        (151, TBPublishInfo.TB_ERR_QUEUE_SIZE),
        (153, TBPublishInfo.TB_ERR_INVAL),
    ],
)
def test_a_refused_message_has_a_code(
    device: TBDeviceMqttClient,
    server: ThingsBoard,
    caplog: pytest.LogCaptureFixture,
    eventually: Eventually,
    reason: int,
    code: int,
) -> None:
    server.reject("v1/devices/me/telemetry", reason)
    info = device.send_telemetry({"a": 1})
    assert (info.get(), info.rc(), info.is_published()) == (code, code, False)
    eventually(lambda: f"reason code {reason}" in caplog.text)
    assert TBPublishInfo.ERRORS_DESCRIPTION[code]
    assert device.send_telemetry({"a": 2}).get() == 0


def test_parts_are_all_looked_at(device: TBDeviceMqttClient, server: ThingsBoard) -> None:
    server.reject("v1/devices/me/telemetry", 151)
    info = device.send_telemetry([{"ts": ts, "values": {"text": "x" * 40000}} for ts in range(3)])
    assert len(info.mid()) == 3 and info.get() == TBPublishInfo.TB_ERR_QUEUE_SIZE
    assert len(info.message_info) == 3 and info.message_info[1].is_published()


def test_infos_of_other_clients_are_wrapped() -> None:
    class Foreign:
        rc, mid = 4, 9

        def wait_for_publish(self, timeout: float) -> None:
            assert timeout == 1

    single, several = TBPublishInfo(Foreign()), TBPublishInfo([Foreign(), Foreign()])
    assert (single.rc(), single.mid(), single.get()) == (4, 9, 4)
    assert (several.rc(), several.mid(), several.get()) == (4, [9, 9], 4)
    with pytest.raises(TypeError, match="message_info"):
        TBPublishInfo(5)


def test_sending_waits_for_the_connection(server: ThingsBoard, connected: Maker) -> None:
    client = TBDeviceMqttClient(server.host, server.port, TOKEN)
    outcome: list[int] = []
    thread = threading.Thread(target=lambda: outcome.append(client.send_telemetry({"a": 1}).get()))
    thread.start()
    connected(client)
    thread.join(PATIENCE)
    assert outcome == [0] and server.telemetry_of("Device 1")[0]["values"] == {"a": 1}


def test_sending_waits_no_longer_than_asked(server: ThingsBoard) -> None:
    client = TBDeviceMqttClient(server.host, server.port, TOKEN)
    info = client.send_telemetry({"a": 1}, timeout=0.05)
    assert (info.rc(), info.mid(), info.get()) == (TBPublishInfo.TB_ERR_NO_CONN, [], TBPublishInfo.TB_ERR_NO_CONN)


def test_stop_lets_those_who_wait_go(server: ThingsBoard, eventually: Eventually) -> None:
    client = TBDeviceMqttClient(server.host, server.port, TOKEN)
    outcome: list[int] = []
    threads = [threading.Thread(target=lambda: outcome.append(client.send_telemetry({"a": 1}).get())) for _ in range(3)]
    for thread in threads:
        thread.start()
    client.stop()
    for thread in threads:
        thread.join(PATIENCE)
    assert outcome == [TBPublishInfo.TB_ERR_NO_CONN] * 3 and client.stopped
    # Stopped, it is still of use once connected.
    client.connect()
    eventually(client.is_connected)
    assert client.send_telemetry({"a": 1}).get() == 0
    assert client.disconnect() == 0 and client.disconnect() == 4


def test_a_full_queue_makes_sending_wait(device: TBDeviceMqttClient, server: ThingsBoard) -> None:
    device.max_queued_messages_set(2)
    server.withhold_acks(2)
    infos = [device.send_telemetry({"a": number}) for number in range(2)]
    assert device.send_telemetry({"a": 9}, timeout=0.05).rc() == TBPublishInfo.TB_ERR_QUEUE_SIZE
    server.cut()
    assert device.send_telemetry({"a": 2}).get() == 0
    assert [info.get() for info in infos] == [0, 0]


def test_what_was_not_acknowledged_goes_out_on_the_next_connect(
    server: ThingsBoard, connected: Maker, eventually: Eventually
) -> None:
    client = connected(TBDeviceMqttClient(server.host, server.port, TOKEN))
    server.withhold_acks(1)
    info = client.send_telemetry({"a": 1})
    eventually(lambda: server.telemetry_of("Device 1"))
    assert client.disconnect(timeout=0.05) == 0
    assert info.get(timeout=0) == TBPublishInfo.TB_ERR_NO_CONN
    connected(client)
    assert info.get() == 0


def test_subscriptions_survive_and_do_not_double(server: ThingsBoard, calls: Calls) -> None:
    client = TBDeviceMqttClient(server.host, server.port, TOKEN)
    up = Calls()

    def on_connect(_mqtt: Any, _userdata: Any, _flags: Any, code: Any) -> None:
        client.subscribe_to_attribute("a", calls)
        up(int(code))

    client.connect(on_connect, min_reconnect_delay=0.02)
    assert up.next() == (0,)
    server.cut()
    assert up.next() == (0,)
    server.set_shared("Device 1", {"a": 1})
    assert calls.next() == ({"a": 1}, None)
    assert client.send_telemetry({"a": 1}).get() == 0 and calls.empty
    client.disconnect()


def test_devices_are_announced_again(gateway: TBGatewayMqttClient, server: ThingsBoard) -> None:
    for name in ("Pump 1", "Pump 2"):
        gateway.gw_connect_device(name).get()
    gateway.gw_disconnect_device("Pump 2").get()
    follower = server.follow()
    server.cut()
    assert next(published(follower, "v1/gateway/connect"))[1] == b'{"device":"Pump 1","type":"default"}'
    assert gateway.send_telemetry({"a": 1}).get() == 0
    assert server.connected == ["Gateway 1", "Pump 1"]
    gateway.gw_set_server_side_rpc_request_handler(
        lambda client, number, content: client.gw_send_rpc_reply(content["device"], number, "here")
    )
    assert server.rpc("Pump 1", "where") == "here"


def test_what_the_server_cannot_take_is_refused_at_once(device: TBDeviceMqttClient) -> None:
    info = device.send_telemetry({"text": "x" * 70_000})
    assert (info.rc(), info.get()) == (TBPublishInfo.TB_ERR_PAYLOAD_SIZE,) * 2
    assert device.send_telemetry({"a": 1}).get() == 0


def test_a_message_that_costs_connections_is_given_up(server: ThingsBoard, connected: Maker) -> None:
    """Sent before the server's limits were known: it closes the connection, again and again."""
    client = TBDeviceMqttClient(server.host, server.port, TOKEN)
    client.service_configuration_callback = lambda *arguments: None
    connected(client, limits=False)
    large, small = client.send_telemetry({"text": "x" * 70_000}), client.send_telemetry({"a": 1})
    assert large.get(timeout=PATIENCE) == TBPublishInfo.TB_ERR_PAYLOAD_SIZE
    assert small.get(timeout=PATIENCE) == 0


def test_30_kills_lose_nothing(server: ThingsBoard, connected: Maker, eventually: Eventually) -> None:
    """A stream from 50 devices behind a gateway, with the server killed 30 times in the middle of it."""
    client = connected(TBGatewayMqttClient(server.host, server.port, GATEWAY_TOKEN))
    names = [f"Pump {number}" for number in range(50)]
    for name in names:
        client.gw_connect_device(name)
    stop = threading.Event()
    accepted: list[tuple[str, int, TBPublishInfo]] = []

    def stream() -> None:
        number = 0
        while not stop.is_set():
            name = names[number % 50]
            info = client.gw_send_telemetry(name, {"number": number})
            assert info.rc() == 0
            accepted.append((name, number, info))
            number += 1

    client.max_queued_messages_set(500)
    thread = threading.Thread(target=stream)
    thread.start()
    for _ in range(30):
        enough = len(accepted) + 100
        eventually(lambda enough=enough: len(accepted) >= enough)  # type: ignore[misc]
        server.stop()
        # The truth while nobody is there: what is said to have arrived is there.
        truth = {(name, entry["values"]["number"]) for name in names for entry in server.telemetry_of(name)}
        assert all((name, number) in truth for name, number, info in accepted[-50:] if info.get(timeout=0) == 0)
        server.start()
    stop.set()
    thread.join(PATIENCE)
    assert all(info.get(timeout=PATIENCE) == 0 for _, _, info in accepted)
    arrived = Counter((name, entry["values"]["number"]) for name in names for entry in server.telemetry_of(name))
    assert set(arrived) == {(name, number) for name, number, _ in accepted}
    # In order for each device, apart from repetitions.
    for name in names:
        numbers = list(dict.fromkeys(entry["values"]["number"] for entry in server.telemetry_of(name)))
        assert numbers == sorted(numbers)


def test_what_the_server_fails_over_is_ended_and_holds_nothing_back(raw_server: RawServer, connected: Maker) -> None:
    """A real server says 139, "server shutting down", of what it cannot make sense of."""
    raw_server.connack = V5_CONNACK
    raw_server.hangs_up, raw_server.farewell = b'"bad"', b"\xe0\x01\x8b"
    host, port = raw_server.address.split(":")
    client = connected(TBDeviceMqttClient(host, int(port), "t"), limits=False)
    bad = client._client.publish("v1/devices/me/telemetry", '{"ts":"bad","values":{}}', qos=1)
    good = [client.send_telemetry({"a": number}) for number in range(10)]
    assert bad.get(timeout=PATIENCE) == TBPublishInfo.TB_ERR_UNKNOWN
    assert [info.get(timeout=PATIENCE) for info in good] == [0] * 10
    assert len(raw_server.connections) <= 5
