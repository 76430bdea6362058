"""Against a real Mosquitto, the independent witness."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import paho.mqtt.client as mqtt
import pytest
import thingslink
from harness import PATIENCE, Mosquitto, Recorder
from thingslink.ttn import MQTTClient

if TYPE_CHECKING:
    from collections.abc import Iterator

KEEPING: dict[str, Any] = {"qos": 1, "clean_session": False, "client_id": "keeper"}


def client_of(broker: Mosquitto, **options: Any) -> MQTTClient:
    options = {"reconnect_min_delay": 0.02, "reconnect_max_delay": 0.2, **options}
    return MQTTClient(broker.app_id, broker.access_key, options.pop("address", broker.address), **options)


class Network:
    """A paho client that publishes what the network would, each message acknowledged by the broker."""

    def __init__(self, broker: Mosquitto) -> None:
        self.client = mqtt.Client()
        self.client.username_pw_set(broker.app_id, broker.access_key)
        self.client.max_inflight_messages_set(1000)
        self.client.connect("127.0.0.1", broker.port)
        self.client.loop_start()
        self.counter = 0

    def uplinks(self, count: int, qos: int = 1) -> None:
        sent = []
        for _ in range(count):
            body = json.dumps({"dev_id": "node-1", "counter": self.counter})
            sent.append(self.client.publish("demo-app/devices/node-1/up", body, qos))
            self.counter += 1
        for message in sent:
            message.wait_for_publish(PATIENCE)

    def stop(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def network(mosquitto: Mosquitto) -> Iterator[Network]:
    network = Network(mosquitto)
    yield network
    network.stop()


def test_a_paho_peer_and_we_understand_each_other(mosquitto: Mosquitto, network: Network, recorder: Recorder) -> None:
    arrived = threading.Event()
    payloads: list[bytes] = []

    def on_message(_client: Any, _userdata: Any, message: Any) -> None:
        payloads.append(message.payload)
        arrived.set()

    network.client.on_message = on_message
    subscribed = threading.Event()
    network.client.on_subscribe = lambda *_: subscribed.set()
    network.client.subscribe("demo-app/devices/+/down")
    assert subscribed.wait(PATIENCE)
    client = recorder.watch(client_of(mosquitto))
    client.connect()
    network.uplinks(100, qos=0)
    assert [recorder.expect("uplink").counter for _ in range(100)] == list(range(100))
    mid = client.send("node-1", {"led": True}, confirmation=True)
    assert recorder.expect("downlink") == mid and arrived.wait(PATIENCE)
    assert payloads == [b'{"port": 1, "confirmed": true, "schedule": "replace", "payload_fields": {"led": true}}']
    client.close()
    assert recorder.expect("close") is True


@pytest.mark.parametrize(("app_id", "key"), [("demo-app", "wrong"), ("other", "ttn-account-v2.demo")])
def test_a_wrong_login_is_told(app_id: str, key: str, mosquitto: Mosquitto) -> None:
    with pytest.raises(thingslink.LoginRefusedError) as caught:
        MQTTClient(app_id, key, mosquitto.address).connect()
    assert caught.value.code in {4, 5}


def test_tls(mosquitto: Mosquitto, recorder: Recorder) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    mosquitto.stop()
    pems = {}
    for name in ("localhost", "elsewhere"):
        certificate, key = self_signed(name, x509, hashes, ec)
        pems[name] = (
            certificate.public_bytes(serialization.Encoding.PEM).decode(),
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ).decode(),
        )
    mosquitto.with_tls(*pems["localhost"])
    mosquitto.start()
    address = f"mqtts://localhost:{mosquitto.tls_port}"
    with recorder.watch(client_of(mosquitto, address=address, ca_certs=pems["localhost"][0])) as client:
        assert client.is_connected
    for wrong in (
        {"ca_certs": pems["elsewhere"][0]},
        {"address": f"mqtts://127.0.0.1:{mosquitto.tls_port}", "ca_certs": pems["localhost"][0]},
    ):
        with pytest.raises(thingslink.TlsError, match="certificate"):
            client_of(mosquitto, **{"address": address, **wrong}).connect()


def self_signed(name: str, x509: Any, hashes: Any, ec: Any) -> Any:
    """Make a certificate of the handlers' form: self-signed, CA:TRUE, P-256."""
    import datetime

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    )
    return builder.sign(key, hashes.SHA256()), key


def test_a_persistent_session_survives_a_restart_of_the_broker(mosquitto: Mosquitto, recorder: Recorder) -> None:
    client = recorder.watch(client_of(mosquitto, **KEEPING))
    client.connect()
    client.close()
    network = Network(mosquitto)
    network.uplinks(200)
    network.stop()
    mosquitto.stop()
    mosquitto.start()
    client.connect()
    assert [recorder.expect("uplink").counter for _ in range(200)] == list(range(200))
    client.close()


def test_a_restart_under_way_loses_nothing(mosquitto: Mosquitto) -> None:
    counters: list[int] = []
    complete = threading.Event()
    total = 5 * 200

    def uplink(msg: Any, client: Any) -> None:
        counters.append(msg.counter)
        if msg.counter == total - 1:
            complete.set()

    client = client_of(mosquitto, **KEEPING)
    client.set_uplink_callback(uplink)
    client.connect()
    number = 0
    for _ in range(5):
        network = Network(mosquitto)
        network.counter = number
        network.uplinks(200)
        number = network.counter
        network.stop()
        mosquitto.stop()
        mosquitto.start()
    assert complete.wait(PATIENCE), len(set(counters))
    assert list(dict.fromkeys(counters)) == list(range(total))
    client.close()


def test_qos_1_downlinks_are_all_delivered_when_closed_at_once(mosquitto: Mosquitto, network: Network) -> None:
    arrived: list[bytes] = []
    complete, subscribed = threading.Event(), threading.Event()

    def on_message(_client: Any, _userdata: Any, message: Any) -> None:
        arrived.append(message.payload)
        if len(arrived) == 500:
            complete.set()

    network.client.on_message = on_message
    network.client.on_subscribe = lambda *_: subscribed.set()
    network.client.subscribe("demo-app/devices/+/down", 1)
    assert subscribed.wait(PATIENCE)
    client = client_of(mosquitto, qos=1)
    client.connect()
    for number in range(500):
        client.send("node-1", {"n": number})
    client.close()
    assert complete.wait(PATIENCE), len(arrived)


def test_a_thousand_clients(mosquitto: Mosquitto, network: Network) -> None:
    arrived = threading.Semaphore(0)
    clients = []
    for _ in range(1000):
        client = client_of(mosquitto)
        client.set_uplink_callback(lambda msg, client: arrived.release())
        client.connect()
        clients.append(client)
    network.uplinks(3)
    for _ in range(3000):
        assert arrived.acquire(timeout=PATIENCE)
    for client in clients:
        client.close()
