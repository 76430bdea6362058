"""A client of The Things Stack V3 lives through what happens to a stack: restarts, limits, an outage behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE, Recorder
from thingslink import LoginRefusedError
from thingslink.sandbox import Sandbox
from thingslink.ttn import MQTTClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Eventually = Callable[[Callable[[], object]], None]


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
