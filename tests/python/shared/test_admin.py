"""`thingslink lanes`, `backlog`, `replay` and `dead`, against a real server."""

from __future__ import annotations

import json
import os
import pty
import queue
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE
from nats_peer import NatsPeer
from thingslink.cli import main
from thingslink.ttn import MQTTClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import thingslink
    from nats_server import NatsServer


@pytest.fixture
def peer(nats_server: NatsServer) -> Iterator[NatsPeer]:
    with NatsPeer(nats_server.port) as peer:
        peer.make_streams()
        yield peer


@pytest.fixture
def tell(nats_server: NatsServer, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Give what the command line says: exit code, output, words."""

    def run(*arguments: str, nats: str = nats_server.address, app: str = "demo-app") -> tuple[int, str, str]:
        code = main([*arguments, "--app", app, "--nats", nats])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def rows(told: tuple[int, str, str]) -> list[dict[str, Any]]:
    code, out, err = told
    assert (code, err) == (0, "")
    return [json.loads(line) for line in out.splitlines()]


def worker(server: NatsServer, group: str, came: queue.Queue[Any], **options: Any) -> MQTTClient:
    client = MQTTClient("demo-app", "", server.address, network="v2", group=group, ack_wait=5, **options)

    def on_uplink(msg: thingslink.UplinkMessage) -> None:
        came.put((msg.dev_id, msg.counter))

    client.set_uplink_callback(on_uplink)
    return client


def consumer(peer: NatsPeer, group: str, **config: Any) -> None:
    """Make a group whose workers are away."""
    config = {"durable_name": group, "ack_policy": "explicit", "deliver_policy": "all", "max_deliver": -1, **config}
    made = peer.api(
        f"CONSUMER.DURABLE.CREATE.THINGS_{peer.app}.{group}", stream_name=f"THINGS_{peer.app}", config=config
    )
    assert "error" not in made, made


def bury(peer: NatsPeer, server: NatsServer, counter: int, dev_id: str = "dev-1") -> None:
    """Let a message die in the group `workers`: it fails for the fifth time."""
    deadline = time.monotonic() + PATIENCE
    # What a worker that is closed has asked for would still be given to it, until the server has seen it go.
    while peer.consumer("workers")["num_waiting"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    peer.uplinks([(dev_id, counter)])
    for _ in range(4):
        held = peer.request("$JS.API.CONSUMER.MSG.NEXT.THINGS_demo-app.workers", b"1")
        assert peer.request(held.reply, b"-NAK").payload == b""
    client = MQTTClient("demo-app", "", server.address, network="v2", group="workers", ack_wait=5)

    def on_uplink(msg: thingslink.UplinkMessage) -> None:
        raise ValueError(f"unlucky {msg.counter}")

    client.set_uplink_callback(on_uplink)
    with client:
        while client.stats()["dead"] < 1:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_lanes_and_backlog_show_what_waits_for_whom(
    nats_server: NatsServer, peer: NatsPeer, tell: Callable[..., tuple[int, str, str]]
) -> None:
    assert rows(tell("lanes", "--format", "json")) == []
    (empty,) = rows(tell("backlog", "--format", "json"))
    assert (empty["group"], empty["stored"], empty["downlinks"]) == (None, 0, 0)
    consumer(peer, "workers")
    peer.uplinks([("dev-1", 1), ("dev-1", 2), ("dev-2", 1)])
    peer.request("$JS.API.CONSUMER.MSG.NEXT.THINGS_demo-app.workers", b"1")
    expected = {"group": "workers", "lane": None, "worker": None, "waiting": 2, "in_hand": 1, "redelivered": 0}
    assert rows(tell("lanes", "--format", "json")) == [expected]
    came: queue.Queue[Any] = queue.Queue()
    with worker(nats_server, "inorder", came, ordered=True):
        for _ in range(3):
            came.get(timeout=PATIENCE)
        peer.request("things.demo-app.dev-1.down.push", b"{}")
        lanes = rows(tell("lanes", "--format", "json", "--group", "inorder"))
        assert [lane["lane"] for lane in lanes] == list(range(256))
        assert len({lane["worker"] for lane in lanes}) == 1 and lanes[0]["worker"]
        inorder, workers = rows(tell("backlog", "--format", "json"))
    assert (inorder["group"], inorder["ordered"], inorder["workers"], inorder["waiting"]) == ("inorder", True, 1, 0)
    told = {name: workers[name] for name in ("group", "ordered", "waiting", "in_hand", "stored", "downlinks", "dead")}
    assert told == {
        "group": "workers",
        "ordered": False,
        "waiting": 2,
        "in_hand": 1,
        "stored": 3,
        "downlinks": 1,
        "dead": 0,
    }
    stored = peer.api("STREAM.MSG.GET.THINGS_demo-app", seq=1)["message"]["time"]
    assert workers["oldest"][:19] == stored[:19] and workers["stored_bytes"] > 0
    code, out, err = tell("lanes")
    assert code == 0 and out.splitlines()[0] == "group,lane,worker,waiting,in_hand,redelivered" and err == ""


def test_replay_shows_and_hands_to_one_group_alone(
    nats_server: NatsServer, peer: NatsPeer, tell: Callable[..., tuple[int, str, str]]
) -> None:
    peer.uplinks([("dev-1", 1), ("dev-2", 1), ("dev-1", 2)])
    peer.request("things.demo-app.dev-1.events.down.sent", b"{}")
    came: queue.Queue[Any] = queue.Queue()
    others: queue.Queue[Any] = queue.Queue()
    with worker(nats_server, "workers", came), worker(nats_server, "others", others):
        assert sorted(came.get(timeout=PATIENCE) for _ in range(3)) == [("dev-1", 1), ("dev-1", 2), ("dev-2", 1)]
        shown = rows(tell("replay", "--since", "1h", "--device", "dev-1", "--format", "json", "--fields", "all"))
        assert [(row["dev_id"], row["kind"], row.get("counter")) for row in shown] == [
            ("dev-1", "up", 1),
            ("dev-1", "up", 2),
            ("dev-1", "events.down.sent", None),
        ]
        assert shown[0]["message"]["counter"] == 1 and shown[0]["payload"] == "01" and came.empty()
        code, out, err = tell("replay", "--since", "1h", "--device", "dev-1", "--group", "workers")
        assert (code, out, err) == (0, "", "3 messages handed to workers again\n")
        assert sorted(came.get(timeout=PATIENCE) for _ in range(2)) == [("dev-1", 1), ("dev-1", 2)]
        # Neither is a copy copied, nor does the other group get one.
        code, _, err = tell("replay", "--since", "1h", "--group", "workers")
        assert err == "4 messages handed to workers again\n"
        assert sorted(came.get(timeout=PATIENCE) for _ in range(3)) == [("dev-1", 1), ("dev-1", 2), ("dev-2", 1)]
        peer.uplinks([("dev-3", 9)])
        assert came.get(timeout=PATIENCE) == ("dev-3", 9)
        assert max(others.get(timeout=PATIENCE) for _ in range(4)) == ("dev-3", 9) and others.empty()
    assert rows(tell("replay", "--since", "2h", "--until", "1h", "--format", "json")) == []
    late = tell("replay", "--since", "1h", "--group", "nobody")
    assert late[0] == 5 and "there is no group 'nobody': there is others, workers" in late[2]


@pytest.mark.thingslink_allow_callback_exceptions(raises=ValueError)
def test_dead_letters_are_listed_shown_retried_and_dropped(
    nats_server: NatsServer, peer: NatsPeer, tell: Callable[..., tuple[int, str, str]]
) -> None:
    assert rows(tell("dead", "list", "--format", "json")) == []
    with worker(nats_server, "workers", queue.Queue()):
        pass
    for counter in (13, 14, 15):
        bury(peer, nats_server, counter)
    listed = rows(tell("dead", "list", "--format", "json"))
    assert [(row["number"], row["group"], row["dev_id"], row["deliveries"]) for row in listed] == [
        (1, "workers", "dev-1", 5),
        (2, "workers", "dev-1", 5),
        (3, "workers", "dev-1", 5),
    ]
    assert listed[0]["error"] == "ValueError: unlucky 13"
    assert rows(tell("dead", "list", "--format", "json", "--device", "dev-2")) == []
    assert rows(tell("backlog", "--format", "json"))[0]["dead"] == 3
    code, out, _ = tell("dead", "show", "2", "--format", "table")
    assert code == 0 and "Traceback" in out and "ValueError: unlucky 14" in out and '"counter": 14' in out
    (whole,) = rows(tell("dead", "show", "2", "--format", "json"))
    assert whole["message"]["counter"] == 14 and whole["sequence"] == 2
    assert tell("dead", "drop", "2", "--yes")[::2] == (0, "1 deleted\n")
    missing = "error: there is no dead letter 2\nhint: `thingslink dead list` shows what there is\n"
    assert tell("dead", "show", "2")[::2] == (5, missing)
    assert tell("dead", "retry", "2", "1")[::2] == (5, "1 handed to their group again\n" + missing)
    came: queue.Queue[Any] = queue.Queue()
    with worker(nats_server, "workers", came):
        assert came.get(timeout=PATIENCE) == ("dev-1", 13)
        assert tell("dead", "retry", "--all", "--group", "workers")[::2] == (0, "1 handed to their group again\n")
        assert came.get(timeout=PATIENCE) == ("dev-1", 15)
    assert rows(tell("dead", "list", "--format", "json")) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["replay", "--since", "yesterday"], "'yesterday' is no time: expected how long ago, as in 90s"),
        (["replay", "--since", "1h", "--until", "2h"], "--until is not after --since"),
        (["replay"], "--since"),
        (["lanes", "--every", "0"], "expected seconds, more than 0"),
        (["dead", "retry"], "Give numbers"),
        (["dead", "drop", "1", "--all"], "Give numbers"),
        (["dead", "drop", "1", "--device", "dev-1"], "go together with --all"),
        (["dead", "drop", "1"], "needs --yes where nobody can be asked"),
        (["dead", "list", "--group", "a b"], "group"),
    ],
)
def test_wrong_usage_is_told(
    arguments: list[str], words: str, peer: NatsPeer, tell: Callable[..., tuple[int, str, str]], capsys: Any
) -> None:
    assert peer
    try:
        code, _, err = tell(*arguments)
    except SystemExit as error:
        code, err = error.code, capsys.readouterr().err  # type: ignore[assignment]
    assert code == 2 and words in err, err


def test_what_keeps_it_from_looking_is_told(
    nats_server: NatsServer, closed_port: int, tell: Callable[..., tuple[int, str, str]], monkeypatch: Any
) -> None:
    code, _, err = tell("lanes")
    assert code == 1 and "THINGS_demo-app: there is none yet: `thingslink bridge` makes it" in err
    code, _, err = tell("backlog", nats=f"nats://127.0.0.1:{closed_port}")
    assert code == 3 and str(closed_port) in err
    nats_server.stop()
    nats_server.configure('authorization { user: "me", password: "S3CRET" }')
    nats_server.start()
    with NatsPeer(nats_server.port, login={"user": "me", "pass": "S3CRET"}) as peer:
        peer.make_streams()
    assert tell("backlog")[0] == 4
    monkeypatch.setenv("THINGSLINK_NATS_PASSWORD", "WR0NG")
    code, _, err = tell("backlog", "--nats-user", "me")
    assert code == 4 and "refuses the login" in err and "WR0NG" not in err
    monkeypatch.setenv("THINGSLINK_NATS_PASSWORD", "S3CRET")
    # The tenant of a hosted stack is no part of the stream's name.
    assert tell("backlog", "--nats-user", "me", "--format", "json", app="demo-app@ttn")[0] == 0


def test_a_terminal_shows_it_anew_until_it_is_interrupted(nats_server: NatsServer, peer: NatsPeer) -> None:
    consumer(peer, "workers")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "thingslink", "lanes", "--app", "demo-app", "--nats", nats_server.address]
    process = subprocess.Popen([*command, "--every", "0.05"], stdin=theirs, stdout=theirs, stderr=subprocess.PIPE)
    try:
        os.close(theirs)
        seen = b""
        peer.uplinks([("dev-1", 1)])
        while b"waiting 1" not in seen or seen.count(b"\x1b[H") < 3:
            seen += os.read(ours, 4096)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
    finally:
        process.kill()
        process.communicate()
        os.close(ours)


def test_whoever_has_seen_enough_ends_it_without_a_word(nats_server: NatsServer, peer: NatsPeer) -> None:
    peer.uplinks((f"dev-{number % 10}", number) for number in range(3000))
    command = [sys.executable, "-m", "thingslink", "replay", "--app", "demo-app", "--nats", nats_server.address]
    process = subprocess.Popen([*command, "--since", "1h"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout and process.stderr
    assert process.stdout.readline().startswith("stored_at,")
    process.stdout.close()
    assert process.wait(PATIENCE) == 0 and process.stderr.read() == ""
    process.stderr.close()
