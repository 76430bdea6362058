"""``MQTTClient`` on ChirpStack, whose broker is whatever the operator runs: here a real Mosquitto."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import pickle
import shutil
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from certificates import make
from chirpstack_peer import APPLICATION, DEVICE, NAME, Peer, published, records, token, topic
from harness import PATIENCE, Mosquitto, Recorder
from thingslink import DownlinkError, aio
from thingslink._native import _parse_message
from thingslink.ttn import MQTTClient

if TYPE_CHECKING:
    from collections.abc import Iterator

OTHER = "d49fa6c7-3dc9-4053-b67b-3417d0872f0b"


@pytest.fixture
def peer(mosquitto: Mosquitto) -> Iterator[Peer]:
    peer = Peer(mosquitto.port, (mosquitto.app_id, mosquitto.access_key))
    yield peer
    peer.stop()


def options(broker: Mosquitto, **more: Any) -> dict[str, Any]:
    return {"mqtt_username": broker.app_id, "mqtt_password": broker.access_key, **more}


def client_of(broker: Mosquitto, app_id: str = APPLICATION, key: str | None = None, **more: Any) -> MQTTClient:
    return MQTTClient(app_id, key, broker.address, **options(broker, **more))


def test_every_capture_is_delivered_in_the_shape_of_v2(mosquitto: Mosquitto, peer: Peer, recorder: Recorder) -> None:
    names = ["10-mqtt-login-tls", "20-uplinks", "22-join", "30-downlink-mqtt", "31-downlink-delivery"]
    names += ["50-limits-and-streams", "53-restart-and-protobuf"]
    all_events = [event for name in names for event in published(records(name))]
    # One device is of another application.
    events = [(to, body) for to, body in all_events if to.startswith(f"application/{APPLICATION}/")]
    assert len(events) > 100
    kinds = {to.rpartition("/")[2] for to, _ in events}
    assert kinds >= {"up", "join", "ack", "txack", "log", "status"}
    client = recorder.watch(client_of(mosquitto))
    client.set_event_callback(recorder.on("event"))
    client.set_uplink_raw_callback(recorder.on("raw"))
    client.connect()
    for to, body in events:
        peer.publish(to, body)
    for to, body in events:
        if not to.endswith("/up"):
            event = recorder.expect("event")
            assert event.app_id == NAME and event.dev_id and event.v3 is None
            assert event.chirpstack.deviceInfo.devEui == to.split("/")[3]
            continue
        msg = recorder.expect("uplink")
        raw = recorder.expect("raw")
        assert (raw.topic, raw.payload) == (to, body), "as it came, protobuf as well"
        came = msg.chirpstack
        assert (msg.app_id, msg.port, msg.counter) == (NAME, came.fPort, came.fCnt)
        assert msg.hardware_serial == to.split("/")[3].upper() and msg.v3 is None
        assert msg.metadata.time == came.time.replace("+00:00", "Z")
        assert len(msg.metadata.gateways) == len(came.rxInfo)
        assert (msg.payload or b"") == base64.b64decode(came.data)
        assert msg.payload_raw == (came.data if came.fPort else None)
        copy = pickle.loads(pickle.dumps(msg))
        assert copy == msg and copy.chirpstack.to_dict() == came.to_dict()
    assert client.stats()["undecodable"] == 0
    client.close()


def test_fields_are_numbers_as_v2_wrote_them_and_stay_the_same_objects() -> None:
    body = next(body for to, body in published(records("20-uplinks")) if b'"object":' in body)
    msg = _parse_message(body, "chirpstack")
    fields = msg.payload_fields
    assert msg.payload_fields is fields and msg.metadata is msg.metadata
    whole = [value for value in fields.to_dict().values() if isinstance(value, int | float)]
    assert whole and all(isinstance(value, int) for value in whole)
    assert isinstance(msg.chirpstack.object.to_dict()["len"], float)
    assert json.loads(msg.json())["payload_fields"] == fields.to_dict() == msg.to_dict()["payload_fields"]
    assert msg.received_at is not None and msg.received_at.utcoffset() is not None


def test_devices_are_called_as_their_tags_say(mosquitto: Mosquitto, peer: Peer, recorder: Recorder) -> None:
    client = client_of(mosquitto)
    for dev_id in ("soil_03", DEVICE.upper(), "cellar"):
        client.set_uplink_callback(recorder.on(dev_id), dev_id=dev_id)
    client.set_uplink_field_callback(recorder.on("field"), "level", dev_id="soil_03")
    client.set_event_callback(recorder.on("log"), "log", "soil_03")
    client.set_event_callback(recorder.on("up/errors"), "up/errors")
    client.connect()
    peer.uplink(object={"level": 3.0})
    assert recorder.expect("soil_03").dev_id == recorder.expect(DEVICE.upper()).dev_id == "soil_03"
    value = recorder.expect("field")
    assert (value.value, value.dev_id, value.app_id) == (3, "soil_03", NAME) and isinstance(value.value, int)
    peer.event("log", level="ERROR", code="UPLINK_CODEC", description="JS error", context={})
    for kind in ("log", "up/errors"):
        assert recorder.expect(kind).name == "up/errors"
    assert recorder.skipped == []
    client.close()


def test_an_application_is_known_by_its_name(
    mosquitto: Mosquitto, peer: Peer, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    client = recorder.watch(client_of(mosquitto, NAME, network="chirpstack"))
    client.connect()
    assert "application=" not in repr(client)
    with pytest.raises(ValueError, match="until a message"):
        client.send(DEVICE, b"\1")
    with caplog.at_level(logging.INFO, "thingslink"):
        peer.uplink(application=OTHER, info={"applicationName": "other"}, fCnt=7)
        peer.uplink(fCnt=8)
        assert recorder.expect("uplink").counter == 8, "that of the other application is not heard"
    assert f"application='{APPLICATION}'" in repr(client)
    client.send("soil_03", b"\1")
    assert peer.command()[0] == f"application/{APPLICATION}/device/{DEVICE}/command/down"
    client.close()


def test_two_devices_of_one_name_are_told_apart_by_their_euis(
    mosquitto: Mosquitto, peer: Peer, recorder: Recorder
) -> None:
    client = recorder.watch(client_of(mosquitto))
    client.connect()
    with pytest.raises(ValueError, match="heard since"):
        client.send("soil_03", b"\1")
    for device in (DEVICE, "70b3d57ed005f1a3"):
        peer.uplink(device)
        recorder.expect("uplink")
    with pytest.raises(ValueError, match=f"{DEVICE} and 70b3d57ed005f1a3"):
        client.send("soil_03", b"\1")
    client.send("70B3D57ED005F1A3", b"\1")
    assert json.loads(peer.command()[1])["devEui"] == "70b3d57ed005f1a3"
    client.close()


def test_a_downlink_is_unconfirmed_until_a_gateway_has_sent_it(
    mosquitto: Mosquitto, peer: Peer, recorder: Recorder
) -> None:
    client = recorder.watch(client_of(mosquitto))
    client.set_event_callback(recorder.on("sent"), "down/sent")
    client.set_event_callback(recorder.on("acks"), "down/acks")
    client.set_event_callback(recorder.on("nack"), "down/nack")
    client.connect()
    mid = client.send(DEVICE, b"\2\x0f", port=10, confirmation=True, schedule="last")
    to, body = peer.command()
    command = json.loads(body)
    assert to == f"application/{APPLICATION}/device/{DEVICE}/command/down"
    item = command.pop("id")
    assert command == {"devEui": DEVICE, "confirmed": True, "fPort": 10, "data": "Ag8="}
    handle = client.downlink(mid)
    assert handle.wait("unconfirmed").state == "unconfirmed" and "gateway" in (handle.error or "")
    assert recorder.expect("downlink") == mid
    radio = {"frequency": 868100000, "power": 16, "modulation": {"lora": {"bandwidth": 125000, "spreadingFactor": 7}}}
    peer.event("txack", queueItemId=item, fCntDown=42, gatewayId="0016c001ff10a235", txInfo=radio)
    assert handle.wait("sent") == "sent" and handle.error is None
    sent = recorder.expect("sent")
    assert (sent.gateway_id, sent.config.frequency, sent.config.data_rate, sent.config.counter) == (
        "eui-0016c001ff10a235",
        868100000,
        "SF7BW125",
        42,
    )
    peer.event("ack", queueItemId=item, acknowledged=True, fCntDown=42)
    assert handle.wait("acked") == "acked" and recorder.expect("acks").dev_id == "soil_03"
    assert "downlink" not in dict(recorder.drain()), "that it went out was told once"
    client.close()


def test_a_missing_acknowledgement_is_final(mosquitto: Mosquitto, peer: Peer, recorder: Recorder) -> None:
    client = recorder.watch(client_of(mosquitto))
    client.connect()
    handle = client.downlink(client.send(DEVICE, b"\1", confirmation=True, schedule="last"))
    item = json.loads(peer.command()[1])["id"]
    peer.event("ack", queueItemId=item, acknowledged=False, fCntDown=42)
    with pytest.raises(DownlinkError, match="nacked"):
        handle.wait("acked")
    failing = client.downlink(client.send(DEVICE, b"\1", schedule="last"))
    item = json.loads(peer.command(1)[1])["id"]
    peer.event("log", level="ERROR", code="DOWNLINK_GATEWAY", description="TOO_LATE", context={})
    peer.event("log", level="ERROR", code="EXPIRED", description="expired", context={"queue_item_id": item})
    with pytest.raises(DownlinkError, match="EXPIRED"):
        failing.wait("sent")
    assert isinstance(recorder.expect("error"), DownlinkError)
    client.close()


def test_commands_have_the_form_of_the_servers_events(mosquitto: Mosquitto, peer: Peer, recorder: Recorder) -> None:
    client = recorder.watch(client_of(mosquitto))
    client.connect()
    to, body = next(event for event in published(records("53-restart-and-protobuf")) if event[1][:1] == b"\n")
    peer.publish(to, body)
    recorder.expect("uplink")
    client.send("soil_03", {"on": True}, port=3, schedule="last")
    command = peer.command()[1]
    assert command[:2] == b"\x0a\x24" and f"\x12\x10{DEVICE}\x20\x03".encode() in command
    client.close()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"port": 0}, "1 to 255"),
        ({"port": 257}, "1 to 255"),
        ({"port": True}, "port"),
        ({"payload": b"\0" * 243}, "242"),
        ({"payload": {"text": "x" * 9000}}, "8192"),
        ({"schedule": "first"}, "front"),
        ({"priority": "HIGH"}, "ChirpStack"),
    ],
)
def test_what_would_end_in_silence_is_an_error(
    mosquitto: Mosquitto, peer: Peer, arguments: dict[str, Any], why: str
) -> None:
    with client_of(mosquitto) as client:
        with pytest.raises((ValueError, TypeError, RuntimeError), match=why):
            client.send(DEVICE, **{"payload": b"\1", **arguments})
        mark = client.send(DEVICE, b"\1", port=255, schedule="last")
        assert mark and json.loads(peer.command()[1])["fPort"] == 255, "nothing went out before it"


def test_a_queue_is_not_replaced_and_that_is_said_once(
    mosquitto: Mosquitto, peer: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "thingslink"), client_of(mosquitto) as client:
        for _ in range(3):
            client.send(DEVICE, b"\1")
        client.send(DEVICE, {"on": True})
        peer.command(3)
        client.flush()
    texts = [record.getMessage() for record in caplog.records]
    assert sum("replaces no queue" in text for text in texts) == 1
    assert sum("empty payload" in text for text in texts) == 1


def test_programs_that_publish_by_themselves_are_looked_at(mosquitto: Mosquitto, peer: Peer) -> None:
    with client_of(mosquitto) as client:
        body = json.dumps({"port": 4, "payload_raw": "AQ==", "schedule": "last"})
        client._MQTTClient__client.publish(f"{APPLICATION}/devices/{DEVICE}/down", body)
        assert json.loads(peer.command()[1])["fPort"] == 4
        with pytest.raises(ValueError, match="without a word"):
            client._MQTTClient__client.publish(topic("up"), b"{}")


@contextmanager
def hearing(words: str) -> Iterator[threading.Event]:
    """Give what is set when the log says this."""
    said = threading.Event()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if words in record.getMessage():
                said.set()

    handler = Handler()
    logging.getLogger("thingslink").addHandler(handler)
    try:
        yield said
    finally:
        logging.getLogger("thingslink").removeHandler(handler)


def test_silence_is_explained(mosquitto: Mosquitto, peer: Peer) -> None:
    with hearing("access control list") as said, client_of(mosquitto, OTHER, keep_alive=1) as client:
        client.set_uplink_callback(lambda msg: None)
        peer.uplink()
        assert said.wait(PATIENCE)


def test_the_key_says_which_network_and_goes_to_no_broker(mosquitto: Mosquitto, tmp_path: Path) -> None:
    key = token()
    client = client_of(mosquitto, NAME, key)
    assert client.network == "chirpstack" and key not in repr(client)
    client.connect()
    client.close()
    assert MQTTClient(NAME, token("other"), "h:1").network == "v2"
    assert MQTTClient(APPLICATION, None, "h:1").network == "chirpstack"
    # Without a login of the broker's own there is none: the key is not tried.
    anonymous = MQTTClient(NAME, key, mosquitto.address)
    with pytest.raises(RuntimeError, match="mqtt_username"):
        anonymous.connect()
    assert key not in (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"grpc_address": "chirpstack.example:8080", "tls": False, "tenant_id": "acme"}, "tenant_id"),
        ({"grpc_address": "http://chirpstack.example:8080"}, "without it to this machine alone"),
        ({"grpc_address": "a b"}, "grpc_address"),
        ({"mqtt_password": "x"}, "without mqtt_username"),
        ({"client_key": "-----BEGIN"}, "without client_cert"),
        ({"client_cert": "/no/such/file"}, "No such file"),
        ({"backfill": True}, "backfill"),
        ({"management_address": "h:1"}, "ChirpStack"),
        ({"mqtt_address": "nats://h", "group": "g"}, "NATS"),
    ],
)
def test_settings_that_cannot_be_are_refused(arguments: dict[str, Any], why: str) -> None:
    given = {"mqtt_address": "broker.example", **arguments}
    with pytest.raises((ValueError, OSError), match=why):
        MQTTClient(APPLICATION, token(), **given)


@pytest.mark.parametrize("name", ["mqtt_username", "mqtt_password", "client_cert", "grpc_address", "tenant_id"])
def test_other_networks_do_not_have_them(name: str) -> None:
    given: dict[str, Any] = {name: "x"}
    for key in ("ttn-account-v2.x", "NNSXS.A.B"):
        with pytest.raises(ValueError, match=f"{name} is not valid on The Things"):
            MQTTClient("my-app", key, "localhost", **given)
    with pytest.raises(TypeError, match="access_key must be str"):
        MQTTClient("my-app", None, "localhost")


class Guarded:
    """A Mosquitto as ChirpStack's documentation sets it up: certificates are logins, the ACL is for each message."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.authority = make(common_name="ChirpStack CA", ca=True, names=())
        self.server = make(issuer=self.authority)
        self.ca_certs = self.authority.pem.decode()
        (folder / "clients.pem").write_bytes(self.authority.pem)
        self.broker = Mosquitto(shutil.which("mosquitto") or "/usr/sbin/mosquitto", folder)
        # The server's own user may do everything.
        own = f"user {self.broker.app_id}\ntopic readwrite #\n\n"
        (folder / "acl").write_text(own + "pattern readwrite application/%u/#\n")
        self.broker.with_tls(self.server.pem.decode(), self.server.key_pem.decode())
        with (folder / "mosquitto.conf").open("a") as config:
            config.write(f"require_certificate true\ncafile {folder}/clients.pem\nuse_identity_as_username true\n")
            config.write(f"acl_file {folder}/acl\n")

    def client(self, app_id: str = APPLICATION, holder: str = APPLICATION, **more: Any) -> MQTTClient:
        """Give a client with the certificate of an application."""
        own = make(common_name=holder, issuer=self.authority, names=())
        certificates = {"client_cert": own.pem, "client_key": own.key_pem, "ca_certs": self.ca_certs}
        return MQTTClient(app_id, None, f"localhost:{self.broker.tls_port}", **{**certificates, **more})


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    if shutil.which("mosquitto") is None and not Path("/usr/sbin/mosquitto").exists():
        pytest.skip("mosquitto is not installed")
    guarded = Guarded(tmp_path / "broker")
    with guarded.broker:
        yield guarded


@pytest.fixture
def chirpstack(guarded: Guarded) -> Iterator[Peer]:
    """Give the server, which may do everything."""
    peer = Peer(guarded.broker.port, (guarded.broker.app_id, guarded.broker.access_key))
    yield peer
    peer.stop()


def test_a_certificate_is_the_login_of_its_application(
    guarded: Guarded, chirpstack: Peer, recorder: Recorder, tmp_path: Path
) -> None:
    own = make(common_name=APPLICATION, issuer=guarded.authority, names=())
    (tmp_path / "own").mkdir()
    certificate, key = own.write(tmp_path / "own")
    with recorder.watch(guarded.client(client_cert=certificate, client_key=key)) as client:
        assert client.is_connected
        chirpstack.uplink(application=OTHER, fCnt=7)
        chirpstack.uplink(fCnt=8)
        assert recorder.expect("uplink").counter == 8
        client.send(DEVICE, b"\1", schedule="last")
        assert chirpstack.command()[0] == f"application/{APPLICATION}/device/{DEVICE}/command/down"


def test_filters_of_all_applications_yield_one_s_own(guarded: Guarded, chirpstack: Peer, recorder: Recorder) -> None:
    """Subscriptions are granted whatever they ask for, and each message is looked at."""
    with recorder.watch(guarded.client(NAME, network="chirpstack")) as client:
        chirpstack.uplink(application=OTHER, fCnt=7)
        chirpstack.uplink(fCnt=8)
        assert recorder.expect("uplink").counter == 8
        # Of the same name, and yet nothing of it has come: there is one application.
        assert f"application='{APPLICATION}'" in repr(client) and client.stats()["received"] == 1


def test_another_application_is_silence_and_then_a_warning(guarded: Guarded, chirpstack: Peer) -> None:
    with hearing("access control list") as said, guarded.client(OTHER, keep_alive=1) as client:
        client.set_uplink_callback(lambda msg: None)
        chirpstack.uplink(application=OTHER)
        chirpstack.uplink()
        assert said.wait(PATIENCE)
        assert client.is_connected and client.stats()["received"] == 0


def test_a_downlink_to_another_application_is_acknowledged_and_dropped(guarded: Guarded, chirpstack: Peer) -> None:
    with guarded.client(OTHER, qos=1) as foreign, guarded.client(qos=1) as own:
        handle = foreign.downlink(foreign.send(DEVICE, b"\1", schedule="last"))
        assert handle.wait("unconfirmed", PATIENCE).state == "unconfirmed"
        own.send(DEVICE, b"\2", schedule="last")
        assert json.loads(chirpstack.command()[1])["data"] == "Ag==", "the first that came"
        assert handle.state == "unconfirmed"


def test_without_a_certificate_there_is_no_login(guarded: Guarded) -> None:
    address = f"localhost:{guarded.broker.tls_port}"
    with pytest.raises((RuntimeError, OSError)) as without:
        MQTTClient(APPLICATION, None, address, tls=True, ca_certs=guarded.ca_certs).connect()
    with pytest.raises((RuntimeError, OSError)) as plain:
        MQTTClient(APPLICATION, None, address, tls=False).connect()
    stranger = make(common_name=APPLICATION, ca=True, names=())
    with pytest.raises((RuntimeError, OSError)) as unknown:
        guarded.client(client_cert=stranger.pem, client_key=stranger.key_pem).connect()
    for refused in (without, plain, unknown):
        assert address in str(refused.value)


def test_asyncio_has_all_of_it(mosquitto: Mosquitto, peer: Peer) -> None:
    async def program() -> None:
        client = aio.MQTTClient(APPLICATION, None, mosquitto.address, **options(mosquitto))
        assert client.network == "chirpstack"
        # What is opened before is subscribed to when the client is connected.
        uplinks, activations = client.uplinks(dev_id="soil_03"), client.activations()
        async with client:
            await asyncio.to_thread(peer.uplink)
            msg = await anext(uplinks)
            assert msg.dev_id == "soil_03" and msg.chirpstack is not None and msg.chirpstack.fPort == 2
            await asyncio.to_thread(peer.event, "join", devAddr="01020304")
            event = await anext(activations)
            assert (event.dev_eui, event.dev_addr) == (DEVICE.upper(), "01020304")
            downlink = await client.send("soil_03", b"\1", confirmation=True, schedule="last")
            item = json.loads((await asyncio.to_thread(peer.command))[1])["id"]
            await asyncio.to_thread(peer.event, "txack", queueItemId=item, fCntDown=1)
            await asyncio.to_thread(peer.event, "ack", queueItemId=item, acknowledged=True)
            await downlink.wait("acked")
            with pytest.raises(ValueError, match="ChirpStack"):
                client.events("create")

    asyncio.run(program())
