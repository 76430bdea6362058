"""A client of The Things Stack V3 lives through what happens to a stack: restarts, limits, an outage behind it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE, RawServer, Recorder, text
from thingslink import LoginRefusedError
from thingslink.sandbox import Sandbox
from thingslink.ttn import MQTTClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Eventually = Callable[[Callable[[], object]], None]

KEY = f"NNSXS.{'K' * 39}.{'S' * 52}"


@pytest.fixture
def stack() -> Iterator[Sandbox]:
    with Sandbox(network="v3", seed=0) as sandbox:
        yield sandbox


@pytest.fixture
def client(stack: Sandbox, recorder: Recorder) -> Iterator[MQTTClient]:
    """Give a client that is connected and has heard an uplink."""
    options: dict[str, Any] = {"reconnect_min_delay": 0.02, "reconnect_max_delay": 0.2}
    with recorder.watch(MQTTClient(stack.app_id, stack.access_key, stack.mqtt_address, **options)) as client:
        assert recorder.expect("connect") is True
        stack.device("soil-07").uplink()
        assert recorder.expect("uplink").counter == 0
        yield client


def subscribed(stack: Sandbox, times: int) -> None:
    """Wait until it has subscribed so often."""
    stack.wait_for(lambda: sum(it["kind"] == "subscribed" for it in stack.journal) >= times, timeout=PATIENCE)


def test_after_a_restart_it_hears_on(stack: Sandbox, client: MQTTClient, recorder: Recorder) -> None:
    for times in (2, 3):
        stack.restart()
        assert recorder.expect("close") is False
        while not recorder.expect("connect"):
            pass
        subscribed(stack, times)
        counter = stack.device("soil-07").uplink()
        assert recorder.expect("uplink").counter == counter
    assert client.is_connected


def test_over_the_limit_of_publishes_it_is_cut_and_comes_back(
    stack: Sandbox, client: MQTTClient, recorder: Recorder
) -> None:
    stack.limit("as:down:mqtt", 1, burst=2)
    for number in range(3):
        client.send("soil-07", bytes([number]), sched="last")
    assert recorder.expect("close") is False
    stack.limit("as:down:mqtt", None)
    while not recorder.expect("connect"):
        pass
    subscribed(stack, 2)
    # The burst had room for two; the third was never taken.
    assert stack.device("soil-07").downlinks[:2] == [b"\x00", b"\x01"]
    counter = stack.device("soil-07").uplink()
    assert recorder.expect("uplink").counter == counter


def test_while_the_identity_server_is_away_it_goes_on_trying(
    stack: Sandbox, client: MQTTClient, recorder: Recorder
) -> None:
    stack.lose_identity_server()
    stack.device("soil-07").uplink()
    assert recorder.expect("uplink").counter == 1, "who is connected hears on"
    stack.cut()
    assert recorder.expect("close") is False
    # Refused as a wrong key is, and that more than once.
    assert [recorder.expect("connect") for _ in range(2)] == [False, False]
    stack.clear_faults()
    while not recorder.expect("connect"):
        pass
    subscribed(stack, 2)
    stack.device("soil-07").uplink()
    assert recorder.expect("uplink").counter == 2
    assert client.is_connected


def test_a_first_login_without_the_identity_server_names_it(stack: Sandbox) -> None:
    stack.lose_identity_server()
    with pytest.raises(LoginRefusedError, match="Identity Server is away"):
        MQTTClient(stack.app_id, stack.access_key, stack.mqtt_address).connect(timeout=PATIENCE)


def test_it_logs_in_by_mqtt_3_1_1_and_closes_by_itself(raw_server: RawServer) -> None:
    # As the stack: what comes after the end is answered, and the connection stays.
    client = MQTTClient("app-1@ttn", KEY, raw_server.address)
    client.connect(timeout=PATIENCE)
    login = raw_server.next()
    assert login[0] == 0x10 and text("MQTT") + b"\x04" in login
    assert text("app-1@ttn") + text(KEY) in login
    raw_server.answers = False
    client.close()
    while raw_server.next() != b"\xe0\0":
        pass
    (connection,) = raw_server.connections
    connection.settimeout(PATIENCE)
    # The thread that serves has read until the end, or this does.
    with contextlib.suppress(ConnectionError):
        assert connection.recv(1) == b""


def test_the_sandbox_that_does_not_close_is_closed_by_the_client(stack: Sandbox, client: MQTTClient) -> None:
    assert len(stack.clients) == 1
    client.close()
    stack.wait_for(lambda: not stack.clients, timeout=PATIENCE)
    (ended,) = [entry for entry in stack.journal if entry["kind"] == "disconnected"]
    assert ended["clean"] is True
