"""The bridge, between the sandbox and a real NATS server."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Literal

import pytest
import thingslink
from certificates import make
from harness import PATIENCE, on_both_networks, running
from nats_server import NatsServer, Stored, ask, look, nats_binary, publish
from thingslink.bridge import Bridge
from thingslink.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

STREAM = "THINGS_demo-app"


@pytest.fixture
def bridge_for(nats_server: NatsServer) -> Iterator[Callable[..., Bridge]]:
    """Make bridges that are closed at the end."""
    made: list[Bridge] = []

    def make(sandbox: Sandbox, **options: Any) -> Bridge:
        options = {"name": "one", "network": sandbox.network, "max_bytes": 1 << 28, **options}
        options.setdefault("nats_address", nats_server.address)
        bridge = Bridge(sandbox.username, sandbox.access_key, sandbox.mqtt_address, **options)
        bridge.connect()
        made.append(bridge)
        return bridge

    yield make
    for bridge in made:
        bridge.close(timeout=1)


def counters(stored: list[Stored], dev_id: str) -> list[int]:
    """Give the counters of a device's uplinks, in the order in which they are stored."""
    bodies = [json.loads(each.body) for each in stored if each.subject == f"things.demo-app.{dev_id}.up"]
    return [body.get("counter", body.get("uplink_message", {}).get("f_cnt", 0)) for body in bodies]


def uplinks(sandbox: Sandbox, devices: int, each: int) -> None:
    for _ in range(each):
        for number in range(devices):
            sandbox.device(f"dev-{number}").uplink(b"\x05")


def created(sandbox: Sandbox, devices: int) -> int:
    """Give how many messages tell that so many devices are new: V2 has such events."""
    return devices if sandbox.network == "v2" else 0


@on_both_networks
def test_what_devices_send_is_in_the_stream_as_the_network_has_published_it(
    sandbox: Sandbox, nats_server: NatsServer, bridge_for: Callable[..., Bridge], eventually: Any
) -> None:
    heard: list[bytes] = []
    network: Literal["v2", "v3"] = "v3" if sandbox.network == "v3" else "v2"
    witness = thingslink.MQTTClient(sandbox.username, sandbox.access_key, sandbox.mqtt_address, network=network)
    with witness as client:
        client.set_uplink_raw_callback(lambda msg, client: heard.append(msg.payload))
        bridge = bridge_for(sandbox)
        uplinks(sandbox, 3, 2)
        sandbox.device("dev-1").join()
        eventually(lambda: len(heard) == 6 and bridge.stats()["published"] == 7 + created(sandbox, 3))
    stored = look(nats_server, STREAM)
    assert sorted(each.body for each in stored if each.subject.endswith(".up")) == sorted(heard)
    event = "things.demo-app.dev-1.events." + ("activations" if sandbox.network == "v2" else "join")
    assert [each.subject for each in stored].count(event) == 1
    assert len({(each.subject.split(".")[2], each.lane) for each in stored}) == 3, "a device stays in its lane"
    ids = [each.id for each in stored]
    assert len(set(ids)) == len(ids) and None not in ids
    stats = bridge.stats()
    assert (stats["duplicates"], stats["held"], stats["trouble"]) == (0, 0, "")


@on_both_networks
def test_two_bridges_store_each_message_once(
    sandbox: Sandbox, nats_server: NatsServer, bridge_for: Callable[..., Bridge], eventually: Any, tmp_path: Path
) -> None:
    bridges = [bridge_for(sandbox, name=name, spool=tmp_path / name) for name in ("one", "two")]
    uplinks(sandbox, 20, 10)
    total = 200 + created(sandbox, 20)
    eventually(lambda: all(bridge.stats()["published"] == total for bridge in bridges))
    stored = look(nats_server, STREAM)
    for number in range(20):
        assert counters(stored, f"dev-{number}") == list(range(10))
    assert sum(bridge.stats()["duplicates"] for bridge in bridges) >= 200


def test_what_the_stream_has_not_acknowledged_stays_with_the_mqtt_server(
    sandbox: Sandbox, nats_server: NatsServer, bridge_for: Callable[..., Bridge], eventually: Any
) -> None:
    bridge = bridge_for(sandbox)
    uplinks(sandbox, 3, 1)
    eventually(lambda: bridge.stats()["published"] >= 6 and bridge.stats()["held"] == 0)
    nats_server.freeze()
    uplinks(sandbox, 3, 5)
    eventually(lambda: bridge.stats()["received"] == 6 + 15)
    bridge.close(timeout=0.1)
    nats_server.kill()
    nats_server.start()
    bridge = bridge_for(sandbox)
    eventually(lambda: len(counters(look(nats_server, STREAM), "dev-2")) == 6)
    stored = look(nats_server, STREAM)
    assert [counters(stored, f"dev-{number}") for number in range(3)] == [list(range(6))] * 3


def test_a_bridge_stops_reading_while_nats_is_away_and_goes_on_when_it_is_back(
    sandbox: Sandbox, nats_server: NatsServer, bridge_for: Callable[..., Bridge], eventually: Any
) -> None:
    bridge = bridge_for(sandbox, window=5)
    sandbox.device("dev-0").uplink(b"\x05")
    eventually(lambda: bridge.stats()["published"] == 2)
    nats_server.kill()
    eventually(lambda: not bridge.stats()["nats_connected"])
    uplinks(sandbox, 10, 20)
    eventually(lambda: bridge.stats()["trouble"])
    assert bridge.stats()["received"] < 100
    nats_server.start()
    eventually(lambda: bridge.stats()["published"] == 2 + 200 + 9)
    stored = look(nats_server, STREAM)
    assert [counters(stored, f"dev-{number}") for number in range(1, 10)] == [list(range(20))] * 9
    assert bridge.stats()["trouble"] == "" and bridge.stats()["dropped"] == 0


def test_v3_s_messages_wait_on_the_disk_and_for_the_next_process_in_their_order(
    nats_server: NatsServer, bridge_for: Callable[..., Bridge], eventually: Any, tmp_path: Path
) -> None:
    with Sandbox(network="v3") as sandbox:
        bridge = bridge_for(sandbox, spool=tmp_path / "spool", window=10)
        uplinks(sandbox, 4, 1)
        eventually(lambda: bridge.stats()["published"] == 4)
        nats_server.kill()
        eventually(lambda: not bridge.stats()["nats_connected"])
        uplinks(sandbox, 4, 30)
        eventually(lambda: bridge.stats()["received"] == 124 and bridge.stats()["spooled"])
        bridge.close(timeout=0.1)
        nats_server.start()
        bridge = bridge_for(sandbox, spool=tmp_path / "spool")
        uplinks(sandbox, 4, 1)
        eventually(lambda: bridge.stats()["published"] >= 124)
        eventually(lambda: not bridge.stats()["spooled"] and not bridge.stats()["held"])
        stored = look(nats_server, STREAM)
        assert [counters(stored, f"dev-{number}") for number in range(4)] == [list(range(32))] * 4
        assert bridge.stats()["spool_bytes"] == 0 and not list((tmp_path / "spool").glob("*.spool"))
        with pytest.raises(ValueError, match="no other bridge has open"):
            bridge_for(sandbox, spool=tmp_path / "spool", name="two")


def test_a_full_spool_drops_and_counts(
    nats_server: NatsServer, bridge_for: Callable[..., Bridge], eventually: Any, tmp_path: Path
) -> None:
    with Sandbox(network="v3") as sandbox:
        bridge = bridge_for(sandbox, spool=tmp_path / "spool", spool_bytes=5000, window=1)
        nats_server.kill()
        eventually(lambda: not bridge.stats()["nats_connected"])
        uplinks(sandbox, 10, 10)
        fates = ("held", "spooled", "dropped")
        # What has been received is on its way to one of them for a moment.
        eventually(lambda: sum(map(bridge.stats().__getitem__, fates)) == bridge.stats()["received"] == 100)
        stats = bridge.stats()
        assert 0 < stats["spool_bytes"] <= 5000 and stats["dropped"] > 0
        nats_server.start()
        eventually(lambda: bridge.stats()["published"] == 100 - stats["dropped"])


def test_a_full_stream_holds_the_bridge_up_and_loses_nothing(
    sandbox: Sandbox, nats_server: NatsServer, bridge_for: Callable[..., Bridge], eventually: Any
) -> None:
    bridge = bridge_for(sandbox, max_bytes=20_000, window=10)
    uplinks(sandbox, 5, 20)
    eventually(lambda: "full" in str(bridge.stats()["trouble"]))
    seen = look(nats_server, STREAM)
    assert 0 < len(seen) < 105
    ask(nats_server, f"STREAM.UPDATE.{STREAM}", config_of(nats_server) | {"max_bytes": 10_000_000})
    eventually(lambda: bridge.stats()["published"] == 105)
    stored = look(nats_server, STREAM)
    assert [counters(stored, f"dev-{number}") for number in range(5)] == [list(range(20))] * 5


def config_of(server: NatsServer) -> dict[str, Any]:
    config: dict[str, Any] = ask(server, f"STREAM.INFO.{STREAM}")["config"]
    return config


def test_a_message_that_nats_never_takes_is_counted_and_holds_nothing_up(
    sandbox: Sandbox, nats_server: NatsServer, bridge_for: Callable[..., Bridge], eventually: Any
) -> None:
    nats_server.stop()
    nats_server.configure("max_payload: 1000")
    nats_server.start()
    bridge = bridge_for(sandbox)
    device = sandbox.device("dev-0")
    device.uplink(b"\x05" * 200)
    device.join()
    eventually(lambda: bridge.stats()["refused"] == 1 and bridge.stats()["published"] == 2)


@on_both_networks
def test_downlinks_come_back_and_leave_their_stream_when_the_network_has_them(
    sandbox: Sandbox, nats_server: NatsServer, bridge_for: Callable[..., Bridge], eventually: Any
) -> None:
    device = sandbox.device("dev-0")
    bridge_for(sandbox, name="two")
    bridge = bridge_for(sandbox)
    one = b'{"port":2,"payload_raw":"AQ=="}'
    if sandbox.network == "v3":
        one = b'{"downlinks":[{"f_port":2,"frm_payload":"AQ==","correlation_ids":["thingslink:00000000000000ff"]}]}'
    publish(nats_server, "things.demo-app.dev-0.down.push", one)
    eventually(lambda: ask(nats_server, f"STREAM.INFO.{STREAM}_DOWN")["state"]["messages"] == 0)
    device.uplink(b"\x05")
    assert device.next_downlink().payload == b"\x01"
    assert bridge.stats()["downlinks_refused"] == 0


def test_a_downlink_that_nobody_can_read_is_told_and_leaves_the_queue(
    sandbox: Sandbox, nats_server: NatsServer, bridge_for: Callable[..., Bridge], eventually: Any
) -> None:
    bridge = bridge_for(sandbox)
    for subject, body in [("dev-0.down.push", b"no"), ("Not+one.down.push", b"{}"), ("dev-0.down.replace", b"{}")]:
        publish(nats_server, f"things.demo-app.{subject}", body)
    eventually(lambda: bridge.stats()["downlinks_refused"] == 3)
    eventually(lambda: ask(nats_server, f"STREAM.INFO.{STREAM}_DOWN")["state"]["messages"] == 0)


def test_what_a_stack_publishes_over_nats_itself_is_carried_once_by_any_number_of_bridges(
    nats_server: NatsServer, eventually: Any
) -> None:
    body = {
        "end_device_ids": {"device_id": "dev-0", "application_ids": {"application_id": "demo-app"}},
        "received_at": "2026-01-01T00:00:00Z",
    }
    settings: dict[str, Any] = {"pubsub": "plant.v1", "nats_address": nats_server.address, "max_bytes": 1 << 28}
    with Bridge("demo-app", "", **settings) as one, Bridge("demo-app", "", **settings) as two:
        for counter in range(50):
            send_core(nats_server, "plant.v1.up", body | {"uplink_message": {"f_cnt": counter, "f_port": 1}})
        eventually(lambda: one.stats()["published"] + two.stats()["published"] == 50)
        assert one.stats()["duplicates"] == two.stats()["duplicates"] == 0
    assert sorted(counters(look(nats_server, STREAM), "dev-0")) == list(range(50))


def send_core(server: NatsServer, subject: str, body: dict[str, Any]) -> None:
    """Publish as the stack does: without an acknowledgement."""
    with socket.create_connection(("127.0.0.1", server.port)) as peer:
        text = json.dumps(body).encode()
        peer.sendall(b'CONNECT {"verbose":false}\r\nPUB %s %d\r\n%s\r\nPING\r\n' % (subject.encode(), len(text), text))
        answer = b""
        while b"PONG" not in answer:
            answer += peer.recv(4096)


@on_both_networks
def test_the_command_line_carries_until_it_is_ended(
    sandbox: Sandbox, nats_server: NatsServer, eventually: Any, tmp_path: Path
) -> None:
    environment = {**os.environ, "THINGSLINK_ACCESS_KEY": sandbox.access_key, "XDG_STATE_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "thingslink", "bridge", "--app", sandbox.username, "--mqtt", sandbox.mqtt_address]
    command += ["--nats", nats_server.address, "--name", "one", "--max-bytes", "256M", "--every", "0.05"]
    with running(command, env=environment, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        while "carrying" not in process.stderr.readline():
            assert process.poll() is None
        uplinks(sandbox, 2, 3)
        # With V2 the creation of the devices is a message, too.
        messages = 6 if sandbox.network == "v3" else 8
        while f"published {messages} " not in process.stderr.readline():
            assert process.poll() is None
        process.terminate()
        rest = process.stderr.read()
        assert process.wait(PATIENCE) == 143, rest
    assert counters(look(nats_server, STREAM), "dev-1") == [0, 1, 2]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], "which NATS server"),
        (["--nats", "nats://me:S3CRET@h"], "no credentials in the address"),
        (["--nats", "nats://localhost:1", "--mqtt", ""], "which MQTT server"),
    ],
)
def test_the_command_line_says_what_it_misses(options: list[str], expected: str) -> None:
    environment = {**os.environ, "THINGSLINK_ACCESS_KEY": "ttn-account-v2.x"}
    command = [sys.executable, "-m", "thingslink", "bridge", "--app", "demo-app", "--mqtt", "h:1", *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 2 and expected in done.stderr and "S3CRET" not in done.stderr, done.stderr


NKEY = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"
NKEY_USER = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"
LOGINS: list[tuple[str, dict[str, str]]] = [
    ('authorization { user: me, password: "S3CRET" }', {"nats_user": "me", "nats_password": "S3CRET"}),
    ('authorization { token: "S3CRET" }', {"nats_token": "S3CRET"}),
    (f"authorization {{ users: [{{ nkey: {NKEY_USER} }}] }}", {"nats_nkey": NKEY}),
]


@pytest.mark.parametrize(("config", "login"), LOGINS)
def test_logins(config: str, login: dict[str, Any], tmp_path: Path, sandbox: Sandbox, caplog: Any) -> None:
    with NatsServer(nats_binary(), tmp_path / "nats", config) as server:
        options: dict[str, Any] = {"name": "one", "nats_address": server.address, "max_bytes": 1 << 28}
        with Bridge(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address, **options, **login) as bridge:
            assert bridge.stats()["nats_connected"]
        wrong = {"nats_user": "me", "nats_password": "WR0NG"} if "nats_user" in login else {"nats_token": "WR0NG"}
        both: list[dict[str, Any]] = [{}, wrong]
        for given in both:
            with pytest.raises(thingslink.LoginRefusedError, match="refuses the login") as caught:
                Bridge(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address, **options, **given).connect()
            assert "WR0NG" not in str(caught.value)
    told = caplog.text + repr(bridge)
    assert not any(secret in told for secret in ("S3CRET", "WR0NG", NKEY))


def test_what_keeps_a_bridge_from_starting_is_told(
    sandbox: Sandbox, nats_server: NatsServer, closed_port: int, tmp_path: Path
) -> None:
    def start(address: str = nats_server.address, **options: Any) -> None:
        options = {"name": "one", "max_bytes": 1 << 28, **options}
        Bridge(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address, address, **options).connect()

    with pytest.raises(ConnectionRefusedError, match=str(closed_port)):
        start(f"nats://127.0.0.1:{closed_port}")
    with pytest.raises(ValueError, match="name"):
        start(name="")
    with pytest.raises(ValueError, match="several ways"):
        start(nats_token="x", nats_nkey=NKEY)
    with pytest.raises(FileNotFoundError):
        start(nats_credentials=tmp_path / "none")
    with pytest.raises(thingslink.StreamError, match="smaller max_bytes"):
        start(max_bytes=1 << 60)
    with pytest.raises(thingslink.StreamError, match="fewer servers"):
        start(replicas=3)
    ask(nats_server, f"STREAM.CREATE.{STREAM}", {"name": STREAM, "subjects": ["other"]})
    with pytest.raises(thingslink.StreamError, match="lanes"):
        start()
    ask(nats_server, f"STREAM.DELETE.{STREAM}")
    with Bridge("demo-app", "", "", nats_server.address, pubsub="plant.v1", max_bytes=1 << 28):
        pass
    with pytest.raises(thingslink.StreamError, match="messages of a v3 network, and this is v2"):
        start()
    with NatsServer(nats_binary(), tmp_path / "other") as other:
        other.stop()
        text = (other.folder / "nats.conf").read_text()
        (other.folder / "nats.conf").write_text(text[: text.index("jetstream")])
        other.start()
        with pytest.raises(thingslink.StreamError, match="JetStream is not enabled"):
            start(other.address)


def test_a_refused_mqtt_login_leaves_nothing_behind(sandbox: Sandbox, nats_server: NatsServer) -> None:
    bridge = Bridge(
        sandbox.app_id, "ttn-account-v2.no", sandbox.mqtt_address, nats_server.address, name="one", max_bytes=1 << 28
    )
    with pytest.raises(thingslink.LoginRefusedError):
        bridge.connect()
    with pytest.raises(RuntimeError, match="not connected"):
        bridge.stats()


def test_settings_of_the_server_that_may_lose_messages_are_told(sandbox: Sandbox, nats_server: NatsServer) -> None:
    def advice() -> list[str]:
        options: dict[str, Any] = {"name": "one", "max_bytes": 1 << 28, "nats_monitor": nats_server.monitor}
        with Bridge(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address, nats_server.address, **options) as bridge:
            return bridge.advice

    (said,) = advice()
    assert "every 120 s" in said and "sync_interval: always" in said
    nats_server.stop()
    nats_server.configure("", jetstream="sync_interval: always")
    nats_server.start()
    assert advice() == []


def test_tls_with_a_certificate_of_one_s_own(sandbox: Sandbox, tmp_path: Path) -> None:
    certificate, key = make(names=("localhost",)).write(tmp_path)
    config = f'tls {{ cert_file: "{certificate}", key_file: "{key}" }}'
    with NatsServer(nats_binary(), tmp_path / "nats", config) as server:
        options: dict[str, Any] = {"name": "one", "max_bytes": 1 << 28}
        options["nats_address"] = f"tls://localhost:{server.port}"
        arguments = (sandbox.app_id, sandbox.access_key, sandbox.mqtt_address)
        with Bridge(*arguments, **options, nats_ca_certs=certificate) as bridge:
            assert bridge.stats()["nats_connected"]
        with pytest.raises(thingslink.TlsError):
            Bridge(*arguments, **options).connect()
