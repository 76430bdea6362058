"""What The Things Stack V3 says of a key through its management, and not over MQTT."""

from __future__ import annotations

import logging
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE, Recorder
from thingslink import LoginRefusedError, RpcError
from thingslink.sandbox import Sandbox
from thingslink.ttn import MQTTClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Eventually = Callable[[Callable[[], object]], None]

READ, WRITE = "RIGHT_APPLICATION_TRAFFIC_READ", "RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE"
KEY = "NNSXS." + "K" * 39 + "." + "S" * 52


@pytest.fixture
def stack() -> Iterator[Sandbox]:
    with Sandbox(network="v3", seed=0, insecure=True) as sandbox:
        yield sandbox


def client_of(stack: Sandbox, *, key: str | None = None, **options: Any) -> MQTTClient:
    managed = {"management_address": stack.management_address, "insecure_channel": True}
    return MQTTClient(stack.app_id, key or stack.access_key, stack.mqtt_address, **{**managed, **options})


@pytest.mark.parametrize("rights", [[WRITE], ["RIGHT_APPLICATION_INFO"], ["RIGHT_APPLICATION_DEVICES_READ", WRITE]])
def test_a_key_that_may_not_read_is_told_so(stack: Sandbox, recorder: Recorder, rights: list[str]) -> None:
    stack.add_application(stack.app_id, KEY, rights)
    with recorder.watch(client_of(stack, key=KEY)) as client:
        error = recorder.expect("error")
        assert isinstance(error, RpcError)
        assert f"lacks {READ}" in str(error)
        assert KEY not in str(error)
        assert client.is_connected


@pytest.mark.parametrize("rights", [[READ], ["RIGHT_APPLICATION_ALL"]])
def test_a_key_that_may_read_is_not_spoken_of(stack: Sandbox, recorder: Recorder, rights: list[str]) -> None:
    stack.add_application(stack.app_id, KEY, rights)
    device = stack.device("dev-1")
    with recorder.watch(client_of(stack, key=KEY)):
        device.uplink(b"\x01")
        assert recorder.expect("uplink").counter == 0
    assert not [entry for entry in recorder.drain() if entry[0] == "error"]


def test_a_wrong_key_is_called_so_by_management(stack: Sandbox) -> None:
    for key, word in ((KEY, "UNAUTHENTICATED"), (stack.access_key[:-1] + "!", "UNAUTHENTICATED")):
        with pytest.raises(LoginRefusedError, match=f"management says {word}") as raised:
            client_of(stack, key=key).connect(timeout=PATIENCE)
        assert key not in str(raised.value)


def test_a_key_of_another_application_is_called_so(stack: Sandbox) -> None:
    stack.add_application("other-app", KEY)
    with pytest.raises(LoginRefusedError, match="no right on this application"):
        client_of(stack, key=KEY).connect(timeout=PATIENCE)


def test_an_outage_is_waited_for(
    stack: Sandbox, caplog: pytest.LogCaptureFixture, recorder: Recorder, eventually: Eventually
) -> None:
    stack.lose_identity_server()
    client = client_of(stack)
    with caplog.at_level(logging.WARNING), ThreadPoolExecutor(1) as threads:
        connecting = threads.submit(client.connect, timeout=PATIENCE)
        eventually(lambda: "Identity Server is away" in caplog.text)
        stack.clear_faults()
        connecting.result(PATIENCE)
    recorder.watch(client)
    assert client.is_connected
    stack.wait_for(lambda: any(entry["kind"] == "subscribed" for entry in stack.journal), timeout=PATIENCE)
    stack.device("dev-1").uplink(b"\x01")
    recorder.expect("uplink")
    client.close()


def test_an_outage_that_lasts_is_no_wrong_key(stack: Sandbox) -> None:
    stack.lose_identity_server()
    with pytest.raises(LoginRefusedError, match=r"Identity Server is away.*no key is taken meanwhile"):
        client_of(stack).connect(timeout=4)


def test_close_ends_the_waiting(stack: Sandbox) -> None:
    stack.lose_identity_server()
    client = client_of(stack)
    client.set_connect_callback(lambda success, client: success or client.close())
    with pytest.raises((ConnectionError, LoginRefusedError)):
        client.connect(timeout=PATIENCE)
    assert not client.is_connected


def test_management_that_does_not_answer_keeps_nobody_waiting(stack: Sandbox, recorder: Recorder) -> None:
    device = stack.device("dev-1")
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        # The login itself waits for nobody.
        with recorder.watch(client_of(stack, management_address=address)):
            device.uplink(b"\x01")
            assert recorder.expect("uplink").counter == 0
        with pytest.raises(LoginRefusedError, match="API key is unknown"):
            client_of(stack, key=KEY, management_address=address).connect(timeout=PATIENCE)


def test_silence_is_hinted_at(stack: Sandbox, caplog: pytest.LogCaptureFixture, eventually: Eventually) -> None:
    stack.add_application(stack.app_id, KEY, [WRITE])
    client = client_of(stack, key=KEY, management_address=None, keep_alive=1)
    client.set_uplink_callback(lambda msg, client: None)
    with caplog.at_level(logging.WARNING), client:
        eventually(lambda: f"the access key may lack {READ}" in caplog.text)
