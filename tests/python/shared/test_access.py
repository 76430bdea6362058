"""Who may come to a NATS server, and what they may do there: workers, bridges and the command line."""

from __future__ import annotations

import json
import os
import queue
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import thingslink
from certificates import make
from harness import PATIENCE
from nats_credentials import NatsKey, operated
from nats_peer import Came, NatsPeer
from nats_server import NatsServer, ask, nats_binary, publish
from thingslink.bridge import Bridge
from thingslink.cli import main
from thingslink.sandbox import Sandbox
from thingslink.ttn import MQTTClient

if TYPE_CHECKING:
    from collections.abc import Callable

ACCOUNTS = Path(__file__).parents[3] / "examples" / "nats" / "accounts.conf"


def worker(sandbox: Sandbox, address: str, login: dict[str, Any]) -> MQTTClient:
    options = {"ca_certs" if name == "nats_ca_certs" else name: value for name, value in login.items()}
    return MQTTClient(sandbox.app_id, "", address, network="v2", group="workers", **options)


def carry(sandbox: Sandbox, address: str, login: dict[str, Any]) -> None:
    """Carry an uplink through a bridge to a worker; both log in this way."""
    came: queue.Queue[bytes] = queue.Queue()
    client = worker(sandbox, address, login)
    client.set_uplink_callback(lambda msg: came.put(msg.payload_raw))
    arguments = (sandbox.app_id, sandbox.access_key, sandbox.mqtt_address, address)
    with Bridge(*arguments, name="one", max_bytes=1 << 28, **login), client:
        sandbox.device("dev-1").uplink(b"\5")
        assert came.get(timeout=PATIENCE)


def refused(sandbox: Sandbox, address: str, login: dict[str, Any], error: type[Exception]) -> None:
    client = worker(sandbox, address, login)
    with pytest.raises(error) as caught:
        client.connect()
    secrets = [value for name, value in login.items() if name not in {"nats_user", "nats_ca_certs", "nats_credentials"}]
    assert not any(secret in str(caught.value) for secret in secrets)


def test_tls(sandbox: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    certificate, key = make(names=("localhost",)).write(tmp_path)
    config = f'tls {{ cert_file: "{certificate}", key_file: "{key}" }}\nauthorization {{ token: "S3CRET" }}'
    with NatsServer(nats_binary(), tmp_path / "nats", config) as server:
        address = f"tls://localhost:{server.port}"
        carry(sandbox, address, {"nats_token": "S3CRET", "nats_ca_certs": certificate})
        refused(sandbox, address, {"nats_token": "S3CRET"}, thingslink.TlsError)
        refused(sandbox, address, {"nats_token": "WR0NG", "nats_ca_certs": certificate}, thingslink.LoginRefusedError)
        (tmp_path / "token").write_text("S3CRET\n")
        command = ["backlog", "--app", sandbox.app_id, "--nats", address, "--nats-ca-file", certificate]
        assert main([*command, "--nats-token-file", str(tmp_path / "token"), "--format", "json"]) == 0
        assert json.loads(capsys.readouterr().out)["group"] == "workers"


def test_nkey(sandbox: Sandbox, tmp_path: Path, monkeypatch: Any) -> None:
    key, other = NatsKey("user"), NatsKey("user")
    config = f"authorization {{ users: [{{ nkey: {key.public} }}] }}"
    with NatsServer(nats_binary(), tmp_path / "nats", config) as server:
        carry(sandbox, server.address, {"nats_nkey": key.seed})
        refused(sandbox, server.address, {"nats_nkey": other.seed}, thingslink.LoginRefusedError)
        monkeypatch.setenv("THINGSLINK_NATS_NKEY", key.seed)
        assert main(["lanes", "--app", sandbox.app_id, "--nats", server.address]) == 0


def test_credentials_file(sandbox: Sandbox, tmp_path: Path) -> None:
    config, credentials = operated()
    file, other = tmp_path / "worker.creds", tmp_path / "other.creds"
    file.write_text(credentials)
    other.write_text(operated()[1])
    with NatsServer(nats_binary(), tmp_path / "nats", config) as server:
        carry(sandbox, server.address, {"nats_credentials": file})
        refused(sandbox, server.address, {"nats_credentials": other}, thingslink.LoginRefusedError)
        command = ["lanes", "--app", sandbox.app_id, "--nats", server.address, "--nats-creds"]
        assert main([*command, str(file)]) == 0
        assert main([*command, str(other)]) == 4


@pytest.mark.thingslink_allow_callback_exceptions(raises=ValueError)
@pytest.mark.parametrize("ordered", [False, True])
def test_the_example_lets_each_do_its_own_and_no_more(
    ordered: bool, tmp_path: Path, monkeypatch: Any, eventually: Callable[[Callable[[], object]], None], capsys: Any
) -> None:
    logins: dict[str, dict[str, Any]] = {}
    for user in ("bridge", "worker", "operator"):
        monkeypatch.setenv(f"THINGS_{user.upper()}_PASSWORD", f"{user}-S3CRET")
        logins[user] = {"nats_user": user, "nats_password": f"{user}-S3CRET"}
    came: queue.Queue[int] = queue.Queue()
    # Relative to the file that includes it.
    included = os.path.relpath(ACCOUNTS, tmp_path / "nats")
    with (
        NatsServer(nats_binary(), tmp_path / "nats", f'include "{included}"') as server,
        Sandbox(network="v2", app_id="my-app", seed=0) as sandbox,
    ):
        client = MQTTClient(
            "my-app", "", server.address, network="v2", group="workers", ordered=ordered, ack_wait=5, **logins["worker"]
        )

        def on_uplink(msg: thingslink.UplinkMessage) -> None:
            came.put(msg.counter)
            if not raised and msg.counter == 1:
                raised.append(msg.counter)
                raise ValueError("once")

        raised: list[int] = []
        client.set_uplink_callback(on_uplink)
        arguments = ("my-app", sandbox.access_key, sandbox.mqtt_address, server.address)
        with Bridge(*arguments, name="one", max_bytes=1 << 28, **logins["bridge"]) as bridge, client:
            device = sandbox.device("dev-1")
            device.uplink(b"\5")
            device.uplink(b"\6")
            assert sorted(came.get(timeout=PATIENCE) for _ in range(3)) == [0, 1, 1]
            client.send("dev-1", b"\1")
            eventually(lambda: bridge.stats()["downlinks"] == 1)
            monkeypatch.setenv("THINGSLINK_NATS_PASSWORD", "operator-S3CRET")
            common = ["--app", "my-app", "--nats", server.address, "--nats-user", "operator"]
            assert main(["lanes", *common]) == 0 and main(["backlog", *common]) == 0
            assert main(["replay", "--since", "1h", "--group", "workers", *common]) == 0
            assert sorted(came.get(timeout=PATIENCE) for _ in range(2)) == [0, 1]
            assert main(["dead", "list", *common]) == 0
        plain: dict[str, Any] = {"user": "worker", "password": "worker-S3CRET"}
        with pytest.raises(Exception, match=r"(?i)permission|timeout"):
            publish(server, "things.my-app.dev-1.up", b"{}", timeout=0.5, **plain)
        with pytest.raises(Exception, match=r"(?i)permission|timeout"):
            ask(server, "STREAM.DELETE.THINGS_my-app", within=0.5, **plain)


def next_message(peer: NatsPeer) -> Came:
    return peer.request("$JS.API.CONSUMER.MSG.NEXT.THINGS_my-app.workers", b"1")


@pytest.mark.thingslink_allow_callback_exceptions(raises=ValueError)
def test_a_worker_of_the_example_may_bury_dead_messages(
    tmp_path: Path, monkeypatch: Any, eventually: Callable[[Callable[[], object]], None], capsys: Any
) -> None:
    for user in ("BRIDGE", "WORKER", "OPERATOR"):
        monkeypatch.setenv(f"THINGS_{user}_PASSWORD", f"{user}-S3CRET")
    login: dict[str, Any] = {"nats_user": "worker", "nats_password": "WORKER-S3CRET"}
    included = os.path.relpath(ACCOUNTS, tmp_path / "nats")
    with (
        NatsServer(nats_binary(), tmp_path / "nats", f'include "{included}"') as server,
        Sandbox(network="v2", app_id="my-app", seed=0) as sandbox,
    ):
        bridging: dict[str, Any] = {"nats_user": "bridge", "nats_password": "BRIDGE-S3CRET", "max_bytes": 1 << 28}
        client = MQTTClient("my-app", "", server.address, network="v2", group="workers", ack_wait=5, **login)
        with Bridge(
            "my-app", sandbox.access_key, sandbox.mqtt_address, server.address, name="one", **bridging
        ) as bridge:
            # The stream is there, and now the group.
            with client:
                pass
            for payload in (b"\1", b"\2"):
                sandbox.device("dev-1").uplink(payload)
            # Two uplinks, and the creation of the device.
            eventually(lambda: bridge.stats()["published"] == 3)
        # Four tries of another worker that has failed with them, on behalf of the same user.
        with NatsPeer(server.port, "my-app", {"user": "worker", "pass": "WORKER-S3CRET"}) as peer:
            eventually(lambda: peer.consumer("workers")["num_waiting"] == 0)
            nobody_listens_to = next_message(peer)
            assert peer.request(nobody_listens_to.reply, b"+ACK").payload == b""
            for _ in range(4):
                for held in [next_message(peer), next_message(peer)]:
                    assert peer.request(held.reply, b"-NAK").payload == b""

        def on_uplink(msg: thingslink.UplinkMessage) -> None:
            raise ValueError("poison")

        client.set_uplink_callback(on_uplink)
        client.set_error_callback(lambda error: None)
        with client:
            # The stream of dead letters is made by the first, and is there for the second.
            eventually(lambda: client.stats()["dead"] == 2)
        monkeypatch.setenv("THINGSLINK_NATS_PASSWORD", "OPERATOR-S3CRET")
        common = ["--app", "my-app", "--nats", server.address, "--nats-user", "operator", "--format", "json"]
        assert main(["dead", "list", *common]) == 0
        dead = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [letter["dev_id"] for letter in dead] == ["dev-1", "dev-1"]
