"""A registration on ChirpStack takes up to three calls: what happens when one of them is refused, or nobody waits."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from chirpstack_front import Front
from faces import run
from harness import PATIENCE
from thingslink import ApplicationError, StatusCode, aio
from thingslink.sandbox import Sandbox
from thingslink.ttn import ApplicationClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BOTH: dict[str, Any] = {
    "dev_eui": "70B3D57ED0000001",
    "app_key": bytes(range(16)),
    "dev_addr": "01020304",
    "nwk_s_key": bytes(range(1, 17)),
    "app_s_key": bytes(range(2, 18)),
}
STEPS = [f"DeviceService/{name}" for name in ("Create", "CreateKeys", "Activate")]
CODES = ["INVALID_ARGUMENT", "INTERNAL", "UNAUTHENTICATED", "PERMISSION_DENIED", "ABORTED", "UNIMPLEMENTED", "UNKNOWN"]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(network="chirpstack", seed=0) as sandbox:
        yield sandbox


@pytest.fixture
def front(sandbox: Sandbox) -> Iterator[Front]:
    front = Front(sandbox)
    yield front
    front.stop()


@pytest.fixture
def client(sandbox: Sandbox, front: Front) -> Iterator[ApplicationClient]:
    with ApplicationClient(sandbox.application_id, sandbox.access_key, front.address) as client:
        yield client


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("step", STEPS)
def test_whatever_refuses_a_step_nothing_is_left_behind(
    step: str, code: str, sandbox: Sandbox, front: Front, client: ApplicationClient
) -> None:
    front.refuse(step, code, "no reason")
    with pytest.raises(ApplicationError) as caught:
        client.register_device("soil", BOTH)
    assert caught.value.code is StatusCode[code] and "no reason" in caught.value.details
    assert sandbox.devices() == []
    assert front.changes().count("DeviceService/Delete") == (0 if step == STEPS[0] else 1)
    # And the device can be registered then.
    client.register_device("soil", BOTH)
    assert sandbox.devices() == ["soil"]


def test_what_is_left_behind_is_named(sandbox: Sandbox, front: Front, client: ApplicationClient) -> None:
    front.refuse(STEPS[2], "INTERNAL", "no session")
    front.refuse("DeviceService/Delete", "INTERNAL", "no deletion")
    with pytest.raises(ApplicationError) as caught:
        client.register_device("soil", BOTH)
    details = caught.value.details
    assert "no session; what was registered by then could not be deleted again" in details and "no deletion" in details
    assert sandbox.devices() == ["soil"]


def test_who_is_cancelled_leaves_nothing_behind(
    sandbox: Sandbox, front: Front, eventually: Callable[[Callable[[], object]], None]
) -> None:
    async def program() -> None:
        loop, reached, go = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
        front.before[STEPS[1]] = lambda: (loop.call_soon_threadsafe(reached.set), go.wait(PATIENCE))
        async with aio.ApplicationClient(sandbox.application_id, sandbox.access_key, front.address) as client:
            registering = asyncio.ensure_future(client.register_device("soil", BOTH))
            await reached.wait()
            registering.cancel()
            with pytest.raises(asyncio.CancelledError):
                await registering
            go.set()
            await asyncio.to_thread(eventually, lambda: not sandbox.devices())
        assert front.names().count("DeviceService/Delete") == 1

    run(program())


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("DeviceService/Update", None),
        ("DeviceService/UpdateKeys", "the device had taken the change by then, and keeps it"),
        ("DeviceService/Activate", "the device, its keys had taken the change by then, and keep it"),
    ],
)
def test_an_update_that_breaks_off_says_what_was_taken(
    step: str, words: str | None, front: Front, client: ApplicationClient
) -> None:
    client.register_device("soil", BOTH)
    front.refuse(step, "ABORTED", "no reason")
    with pytest.raises(ApplicationError) as caught:
        client.update_device("soil", {"description": "new", "app_key": "11" * 16, "f_cnt_up": 5})
    assert caught.value.details == ("no reason" if words is None else f"no reason; {words}")


def test_what_is_no_good_is_told_before_anything_is_written(front: Front, client: ApplicationClient) -> None:
    client.register_device("soil", {name: BOTH[name] for name in ("dev_eui", "app_key")})
    front.forget()
    # There is no session whose counter could be set.
    with pytest.raises(ValueError, match="no session yet"):
        client.update_device("soil", {"description": "new", "f_cnt_up": 5})
    assert front.changes() == []
