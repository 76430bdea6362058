"""The sandbox with clients that are not ours: paho-mqtt, mosquitto_pub, mosquitto_sub."""

from __future__ import annotations

import json
import queue
import shutil
import ssl
import subprocess
import time
from typing import TYPE_CHECKING, Any

import paho.mqtt.client as mqtt
import pytest
import thingslink
from harness import PATIENCE
from thingslink.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Paho:
    """A paho client that hands everything to the test's thread."""

    def __init__(self, sandbox: Sandbox, *, client_id: str = "", clean: bool = True, key: str | None = None) -> None:
        self.messages: queue.Queue[Any] = queue.Queue()
        self.answers: queue.Queue[Any] = queue.Queue()
        self.client = mqtt.Client(client_id, clean_session=clean)
        self.client.username_pw_set(sandbox.app_id, key or sandbox.access_key)
        self.client.on_message = lambda _c, _u, message: self.messages.put(message)
        self.client.on_connect = lambda _c, _u, flags, rc: self.answers.put((rc, flags["session present"]))
        self.client.on_subscribe = lambda _c, _u, _m, granted: self.answers.put(granted)
        self.client.on_publish = lambda _c, _u, mid: self.answers.put(mid)
        self.client.on_disconnect = lambda _c, _u, rc: self.answers.put(f"disconnected {rc}")
        self.host, port = sandbox.mqtt_address.split(":")
        self.port = int(port)

    def connect(self) -> Any:
        self.client.connect(self.host, self.port)
        self.client.loop_start()
        return self.answer()

    def answer(self) -> Any:
        return self.answers.get(timeout=PATIENCE)

    def message(self) -> Any:
        return self.messages.get(timeout=PATIENCE)

    def subscribe(self, topic: str, qos: int = 0) -> Any:
        self.client.subscribe(topic, qos)
        return self.answer()

    def stop(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def paho(sandbox: Sandbox) -> Iterator[Callable[..., Paho]]:
    made: list[Paho] = []

    def make(**options: Any) -> Paho:
        made.append(Paho(sandbox, **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def test_another_client_gets_the_network_s_json(sandbox: Sandbox, paho: Callable[..., Paho]) -> None:
    device = sandbox.device("soil-07")
    device.configure(attributes={"row": "12"})
    client = paho()
    assert client.connect() == (0, 0)
    assert client.subscribe("+/devices/+/up") == (0,)
    device.uplink(b"\x01\x67", fields={"temperature_1": 23.5}, port=3, confirmed=True)
    message = client.message()
    assert (message.topic, message.qos, message.retain) == ("demo-app/devices/soil-07/up", 0, False)
    body = json.loads(message.payload)
    assert list(body) == [
        "app_id",
        "dev_id",
        "hardware_serial",
        "port",
        "counter",
        "confirmed",
        "payload_raw",
        "payload_fields",
        "metadata",
        "attributes",
    ]
    assert body["payload_raw"] == "AWc=" and body["attributes"] == {"row": "12"} and body["confirmed"] is True
    assert list(body["metadata"]) == [
        "time",
        "frequency",
        "modulation",
        "data_rate",
        "airtime",
        "coding_rate",
        "gateways",
    ]
    first, second = body["metadata"]["gateways"]
    assert first["gtw_trusted"] is True and "gtw_trusted" not in second and second["time"] == ""
    device.uplink(None, port=0)
    body = json.loads(client.message().payload)
    assert body["payload_raw"] is None and "payload_fields" not in body and "attributes" not in body
    assert body["counter"] == 1


@pytest.mark.parametrize(("key", "code"), [("wrong", 4), ("", 4)])
def test_a_wrong_key_gets_its_code(key: str, code: int, sandbox: Sandbox) -> None:
    client = Paho(sandbox, key=key or " ")
    assert client.connect() == (code, 0)
    client.stop()


def test_foreign_topics_are_refused_and_foreign_messages_never_come(
    sandbox: Sandbox, paho: Callable[..., Paho]
) -> None:
    sandbox.add_application("other-app", "other-key")
    device, foreign = sandbox.device("node-1"), sandbox.device("node-1", "other-app")
    client = paho()
    client.connect()
    assert client.subscribe("other-app/devices/+/up") == (0x80,)
    assert client.subscribe("#") == (0,)
    foreign.uplink(b"\x01")
    device.uplink(b"\x02")
    assert json.loads(client.message().payload)["app_id"] == "demo-app"
    # A key without the right to publish uplinks is not heard; one to another application neither.
    client.client.publish("demo-app/devices/node-1/up", "{}")
    client.client.publish("other-app/devices/node-1/down", '{"payload_raw":"AQ=="}')
    client.client.publish("demo-app/devices/node-1/down", '{"payload_raw":"AQ=="}')
    assert client.message().topic == "demo-app/devices/node-1/down"
    assert (device.downlinks, foreign.downlinks) == ([b"\x01"], [])


def test_the_downlink_queue_keeps_the_network_s_order(sandbox: Sandbox, paho: Callable[..., Paho]) -> None:
    device, client = sandbox.device("node-1"), paho()
    client.connect()
    client.subscribe("demo-app/devices/+/events/#")

    def send(payload: bytes, schedule: str, **more: Any) -> dict[str, Any]:
        import base64

        body = {"payload_raw": base64.b64encode(payload).decode(), "schedule": schedule, **more}
        client.client.publish("demo-app/devices/node-1/down", json.dumps(body))
        message = client.message()
        assert message.topic == "demo-app/devices/node-1/events/down/scheduled"
        event: dict[str, Any] = json.loads(message.payload)
        return event

    send(b"a", "last")
    send(b"b", "last")
    send(b"c", "first")
    assert device.downlinks == [b"c", b"a", b"b"]
    assert send(b"d", "replace", confirmed=True) == {"message": {"port": 1, "confirmed": True, "payload_raw": "ZA=="}}
    assert device.downlinks == [b"d"]
    device.configure(acknowledges=False)
    for _ in range(3):
        device.uplink()
        message = client.message()
        assert message.topic.endswith("/events/down/sent"), "repeated until acknowledged"
        event = json.loads(message.payload)
        assert event["config"]["frequency"] == 867500000 and event["gateway_id"] == "barn-roof"
    device.configure(acknowledges=True)
    device.uplink()
    assert client.message().topic.endswith("/events/down/acks")
    device.uplink()
    client.client.publish("demo-app/devices/node-1/down", '{"payload_raw":""}')
    assert json.loads(client.message().payload) == {"error": "Downlink Payload not valid: empty"}


@pytest.mark.parametrize(
    "body",
    [
        "",
        "nope",
        "[]",
        '{"payload_raw":"01"}',
        '{"port":"1","payload_raw":"AQ=="}',
        '{"port":300,"payload_raw":"AQ=="}',
    ],
)
def test_what_the_network_drops_silently_is_dropped_silently(
    body: str, sandbox: Sandbox, paho: Callable[..., Paho]
) -> None:
    device, client = sandbox.device("node-1"), paho()
    client.connect()
    client.subscribe("demo-app/devices/+/events/#")
    client.client.publish("demo-app/devices/node-1/down", body)
    client.client.publish("demo-app/devices/unknown/down", '{"payload_raw":"AQ=="}')
    client.client.publish("demo-app/devices/node-1/down", '{"payload_raw":"Ag=="}')
    assert client.message().topic.endswith("/events/down/scheduled")
    assert device.downlinks == [b"\x02"]


def test_a_persistent_session_keeps_messages(sandbox: Sandbox, paho: Callable[..., Paho]) -> None:
    device = sandbox.device("node-1")
    client = paho(client_id="keeper", clean=False)
    assert client.connect() == (0, 0)
    assert client.subscribe("demo-app/devices/+/up", 2) == (1,), "QoS 2 is granted as 1"
    client.stop()
    for _ in range(50):
        device.uplink()
    client = paho(client_id="keeper", clean=False)
    assert client.connect() == (0, 1)
    assert [json.loads(client.message().payload)["counter"] for _ in range(50)] == list(range(50))


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_every_level_of_publishing_is_answered(
    qos: int, sandbox: Sandbox, paho: Callable[..., Paho], eventually: Callable[[Callable[[], object]], None]
) -> None:
    device, client = sandbox.device("node-1"), paho()
    client.connect()
    info = client.client.publish("demo-app/devices/node-1/down", '{"payload_raw":"AQ==","schedule":"last"}', qos)
    assert client.answer() == info.mid
    client.stop()
    # At QoS 0 the answer is paho's own: written.
    eventually(lambda: device.downlinks == [b"\x01"])


def test_will_and_retained(sandbox: Sandbox) -> None:
    sandbox.add_application(sandbox.app_id, "all", ["messages:up:r", "messages:down:w", "messages:up:w"])
    going, watching = Paho(sandbox, key="all"), Paho(sandbox, key="all")
    going.client.will_set("demo-app/note", "gone", 1, retain=True)
    going.connect()
    watching.connect()
    watching.subscribe("demo-app/note", 1)
    assert sandbox.cut(sandbox.clients[0]) == 1
    message = watching.message()
    assert (message.payload, message.retain) == (b"gone", False)
    late = Paho(sandbox, key="all")
    late.connect()
    late.subscribe("demo-app/#")
    message = late.message()
    assert (message.payload, message.retain) == (b"gone", True)
    for client in (going, watching, late):
        client.stop()


def test_a_silent_client_is_cut_after_its_keep_alive(sandbox: Sandbox) -> None:
    import socket

    host, port = sandbox.mqtt_address.split(":")
    with socket.create_connection((host, int(port))) as connection:
        name, key = sandbox.app_id.encode(), sandbox.access_key.encode()
        body = b"\x00\x04MQTT\x04\xc2\x00\x01\x00\x00" + bytes([0, len(name)]) + name + bytes([0, len(key)]) + key
        connection.sendall(bytes([0x10, len(body)]) + body)
        assert connection.recv(4) == b"\x20\x02\x00\x00"
        begin = time.monotonic()
        connection.settimeout(PATIENCE)
        assert connection.recv(1) == b""
        assert time.monotonic() - begin > 1, "one and a half of the second that it asked for"


@pytest.mark.parametrize(
    ("connect", "answer"),
    [
        (b"\x10\x0e\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x00", b"\x20\x02\x00\x01"),
        (b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00", b"\x20\x02\x00\x01"),
        (b"\x10\x0c\x00\x04MQTT\x04\x00\x00\x3c\x00\x00", b"\x20\x02\x00\x02"),
        (b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00", b"\x20\x02\x00\x04"),
        (b"GET / HTTP/1.1\r\n\r\n", b""),
        (b"\xc0\x00", b""),
    ],
)
def test_logins_get_the_codes_of_the_protocol(connect: bytes, answer: bytes, sandbox: Sandbox) -> None:
    import socket

    host, port = sandbox.mqtt_address.split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
        connection.sendall(connect)
        got = b""
        while len(got) < 4 and (more := connection.recv(4)):
            got += more
        assert got == answer


def test_tls_with_the_standard_library(sandbox: Sandbox, tmp_path: Path) -> None:
    assert sandbox.ca_certs and sandbox.mqtts_address
    context = ssl.create_default_context(cadata=sandbox.ca_certs)
    client = Paho(sandbox)
    client.port = int(sandbox.mqtts_address.rsplit(":", 1)[1])
    client.client.tls_set_context(context)
    assert client.connect() == (0, 0)
    client.stop()


@pytest.mark.skipif(not shutil.which("mosquitto_sub"), reason="mosquitto-clients are not installed")
def test_mosquitto_s_own_tools_work(sandbox: Sandbox) -> None:
    device = sandbox.device("node-1")
    host, port = sandbox.mqtt_address.split(":")
    login = ["-h", host, "-p", port, "-u", sandbox.app_id, "-P", sandbox.access_key]
    follower = sandbox.follow()
    listening = subprocess.Popen(
        ["mosquitto_sub", *login, "-q", "1", "-t", "demo-app/devices/+/up", "-C", "3"],
        stdout=subprocess.PIPE,
        text=True,
    )
    while (entry := follower.next(PATIENCE)) is not None and entry["kind"] != "subscribed":
        pass
    sending = ["mosquitto_pub", *login, "-q", "1", "-t", "demo-app/devices/node-1/down", "-m", '{"payload_raw":"AQ=="}']
    subprocess.run(sending, check=True, timeout=PATIENCE)
    for _ in range(3):
        device.uplink(b"\x05")
    output, _ = listening.communicate(timeout=PATIENCE)
    assert [json.loads(line)["counter"] for line in output.splitlines()] == [0, 1, 2]
    assert device.downlinks == []


def test_streams_live_through_a_restart_and_end_with_the_sandbox(paho: Callable[..., Paho], sandbox: Sandbox) -> None:
    endless = sandbox.stream(rate=500)
    sandbox.restart()
    client = paho()
    client.connect()
    client.subscribe("demo-app/devices/+/up", 1)
    client.message()
    sandbox.stop()
    with pytest.raises(RuntimeError, match="stopped"):
        endless.wait()


def test_streams_keep_their_count_and_their_seed(sandbox: Sandbox, paho: Callable[..., Paho]) -> None:
    client = paho()
    client.connect()
    client.subscribe("demo-app/devices/+/up", 1)

    def payloads(seed: int) -> list[str]:
        stream = sandbox.stream(rate=100_000, devices=20, count=300, seed=seed)
        assert stream.wait() == 300
        with pytest.raises(RuntimeError):
            stream.wait()
        return [json.loads(client.message().payload)["payload_raw"] for _ in range(300)]

    assert payloads(1) == payloads(1) != payloads(2)
    assert len(sandbox.devices()) == 20
    endless = sandbox.stream(rate=1000)
    client.message()
    endless.stop()
    with pytest.raises(RuntimeError, match="stopped"):
        endless.wait()
    for bad in ({"rate": 0}, {"rate": 1, "devices": 0}, {"rate": 1, "devices": 100_001}):
        with pytest.raises(ValueError, match="expected"):
            sandbox.stream(**bad)  # type: ignore[arg-type]


def test_a_hundred_thousand_devices_fit(sandbox: Sandbox) -> None:
    assert sandbox.stream(rate=1e6, devices=100_000, count=1000).wait() == 1000
    assert len(sandbox.devices()) == 100_000


def test_it_starts_well_under_a_second_and_again_on_the_same_ports() -> None:
    sandbox = Sandbox(mqtts_port=0)
    with pytest.raises(RuntimeError, match="not started"):
        _ = sandbox.mqtt_address
    with sandbox:
        addresses = sandbox.mqtt_address, sandbox.mqtts_address
    with sandbox:
        assert (sandbox.mqtt_address, sandbox.mqtts_address) == addresses
        with pytest.raises(thingslink.SandboxError, match="cannot listen"):
            Sandbox(mqtt_port=int(sandbox.mqtt_address.split(":")[1])).start()


def test_a_restart_without_state_forgets_sessions(sandbox: Sandbox, paho: Callable[..., Paho]) -> None:
    device = sandbox.device("node-1")
    client = paho(client_id="keeper", clean=False)
    client.connect()
    client.subscribe("demo-app/devices/+/up", 1)
    client.stop()
    device.uplink()
    assert sandbox.backlog("keeper") == 1
    sandbox.restart(keep_state=False)
    assert sandbox.backlog("keeper") == 0 and sandbox.devices() == ["node-1"]


def test_what_passes_through_can_be_followed(sandbox: Sandbox, paho: Callable[..., Paho]) -> None:
    follower = sandbox.follow()
    client = paho(client_id="me")
    client.connect()
    client.subscribe("demo-app/devices/+/up")
    sandbox.device("node-1").uplink()
    client.stop()
    kinds = []
    while (entry := follower.next(PATIENCE)) is not None:
        kinds.append((entry["kind"], entry.get("client_id")))
        if entry["kind"] == "disconnected":
            assert entry["clean"] is True
            break
    assert kinds == [
        ("connected", "me"),
        ("subscribed", "me"),
        ("published", None),
        ("published", None),
        ("disconnected", "me"),
    ]
    assert follower.next(0.01) is None


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (lambda s: s.device("Node"), "Node"),
        (lambda s: s.device("node-1", "none"), "none"),
        (lambda s: s.add_application("Bad App", "k"), "Bad App"),
        (lambda s: s.add_application("app-1", "k", ["everything"]), "everything"),
        (lambda s: s.device("node-1").uplink("xyz"), "xyz"),
        (lambda s: s._uplink("demo-app", "gone", b"", None, 1, False, False), "gone"),
    ],
)
def test_bad_requests_are_named(use: Any, words: str, sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match=words):
        use(sandbox)


def test_the_pytest_plugin_gives_a_sandbox(thingslink_sandbox: Sandbox) -> None:
    assert thingslink_sandbox.device("node-1").downlinks == []


def test_where_any_key_is_taken_applications_exist_when_somebody_names_them() -> None:
    with Sandbox(any_key=True) as sandbox:
        for app_id, key in (("one-app", "a"), ("one-app", "b"), ("other-app", "c"), (sandbox.app_id, "d")):
            with thingslink.MQTTClient(app_id, key, sandbox.mqtt_address) as client:
                assert client.is_connected
        sandbox.device("node-1", app_id="third-app")
        found = thingslink.ApplicationClient("third-app", "e", sandbox.handler_address, sandbox.ca_certs)
        assert found.get().app_id == "third-app"
        with pytest.raises(thingslink.LoginRefusedError):
            thingslink.MQTTClient("one-app", "", sandbox.mqtt_address).connect()
