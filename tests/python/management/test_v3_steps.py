"""A registration on The Things Stack V3 takes four calls: what happens when one of them is refused, in each way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from stack_peer import APP, FULL, Refusal
from thingslink import ApplicationError, StatusCode
from thingslink.ttn import ApplicationClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stack_peer import StackPeer

OTAA = {"dev_eui": "70B3D57ED0000001", "app_eui": "70B3D57ED00000A1", "app_key": bytes(range(16))}
ABP = {"dev_addr": "260B0001", "nwk_s_key": bytes(range(1, 17)), "app_s_key": bytes(range(16))}
IS, NS, AS, JS = "EndDeviceRegistry", "NsEndDeviceRegistry", "AsEndDeviceRegistry", "JsEndDeviceRegistry"
STEPS = [f"{IS}/Create", f"{JS}/Set", f"{NS}/Set", f"{AS}/Set"]
NOWHERE: dict[str, list[str]] = {"Is": [], "Ns": [], "As": [], "Js": []}
LIMIT = "gRPC get, 12 per minute and a burst of 3, call 4"
#: Every code that a server may answer, but those that are waited for.
CODES = [
    *("CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
    *("PERMISSION_DENIED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL"),
    *("DATA_LOSS", "UNAUTHENTICATED"),
]


@pytest.fixture
def client(stack: StackPeer) -> Iterator[ApplicationClient]:
    with ApplicationClient(
        APP, FULL, stack.address, insecure_channel=True, frequency_plan_id="EU_863_870_TTN"
    ) as client:
        yield client


def refused(code: str) -> Refusal:
    """Give a refusal that is known by its code alone."""
    return Refusal("no key", code=code, name="other", namespace="pkg/test")


def over_the_limit(retry: int) -> Refusal:
    """Give a refusal that says how long to wait."""
    refusal = Refusal(LIMIT)
    refusal.initial = {**refusal.initial, "x-rate-limit-retry": str(retry), "x-rate-limit-reset": str(retry)}
    return refusal


def deletes(names: list[str]) -> list[str]:
    return [name.removesuffix("/Delete") for name in names if name.endswith("/Delete")]


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("step", STEPS)
def test_whatever_refuses_a_step_nothing_is_left_behind(
    step: str, code: str, stack: StackPeer, client: ApplicationClient
) -> None:
    stack.refuse(step, refused(code))
    with pytest.raises(ApplicationError) as caught:
        client.register_device("otaa1", OTAA)
    error = caught.value
    assert (error.code, error.name) == (StatusCode[code], "other")
    assert stack.devices() == NOWHERE
    assert deletes(stack.names()) == ([] if step == STEPS[0] else [AS, NS, JS, IS])
    # And the device can be registered then.
    client.register_device("otaa1", OTAA)
    assert stack.devices() == {name: ["otaa1"] for name in NOWHERE}


@pytest.mark.parametrize("step", STEPS)
def test_a_server_that_stays_away_leaves_nothing_behind_either(
    step: str, stack: StackPeer, client: ApplicationClient
) -> None:
    stack.refuse(step, *(refused("UNAVAILABLE") for _ in range(8)))
    with pytest.raises(ApplicationError) as caught:
        client.register_device("otaa1", OTAA)
    assert caught.value.code is StatusCode.UNAVAILABLE and stack.devices() == NOWHERE
    assert stack.names().count(step) == 5


@pytest.mark.parametrize("step", STEPS)
def test_a_limit_at_any_step_is_waited_for(step: str, stack: StackPeer, client: ApplicationClient) -> None:
    stack.refuse(step, over_the_limit(0))
    client.register_device("otaa1", OTAA)
    assert stack.devices() == {name: ["otaa1"] for name in NOWHERE}
    names = stack.names()
    assert names.count(step) == 2 and deletes(names) == []


@pytest.mark.parametrize("step", STEPS)
def test_a_limit_that_lasts_longer_than_there_is_time_leaves_nothing_behind(
    step: str, stack: StackPeer, client: ApplicationClient
) -> None:
    stack.refuse(step, over_the_limit(3600))
    with pytest.raises(ApplicationError) as caught:
        client.register_device("otaa1", OTAA, timeout=20)
    assert caught.value.code is StatusCode.RESOURCE_EXHAUSTED
    assert stack.devices() == NOWHERE


@pytest.mark.parametrize("code", ["PERMISSION_DENIED", "INTERNAL", "NOT_FOUND"])
@pytest.mark.parametrize("step", [STEPS[2], STEPS[3]])
def test_a_session_is_undone_without_the_join_server(
    step: str, code: str, stack: StackPeer, client: ApplicationClient
) -> None:
    stack.refuse(step, refused(code))
    with pytest.raises(ApplicationError):
        client.register_device("abp1", ABP)
    assert stack.devices() == NOWHERE
    assert deletes(stack.names()) == [AS, NS, IS]


@pytest.mark.parametrize("left", [AS, NS, JS, IS])
def test_what_is_left_behind_is_named(left: str, stack: StackPeer, client: ApplicationClient) -> None:
    stack.refuse(STEPS[3], refused("ABORTED"))
    stack.refuse(f"{left}/Delete", refused("INTERNAL"))
    with pytest.raises(ApplicationError) as caught:
        client.register_device("otaa1", OTAA)
    assert caught.value.code is StatusCode.ABORTED
    assert "could not be deleted again" in caught.value.details


@pytest.mark.parametrize(("count", "size", "pages"), [(0, 10, [0]), (1, 1, [1]), (10, 10, [10]), (20, 10, [10, 10])])
def test_pages_of_every_length_are_asked_for_once(
    count: int, size: int, pages: list[int], stack: StackPeer, client: ApplicationClient
) -> None:
    for number in range(count):
        ids = {"device_id": f"node-{number:02}", "application_ids": {"application_id": APP}}
        stack.registries["Is"][f"node-{number:02}"] = stack.message("EndDevice")(ids=ids)
    found = [(len(page), page.total) for page in client.devices_pages(page_size=size)]
    assert found == [(length, count) for length in pages]
    assert stack.names() == [f"{IS}/List"] * len(pages)
    listed: Any = client.devices()
    assert (len(listed), listed.total) == (count, count)
    assert [device.dev_id for device in client.iter_devices(page_size=size)] == sorted(stack.registries["Is"])


def test_a_server_that_does_not_count_has_all_its_devices_listed(stack: StackPeer, client: ApplicationClient) -> None:
    names = [f"node-{number:04}" for number in range(1000)]
    for name in names:
        ids = {"device_id": name, "application_ids": {"application_id": APP}}
        stack.registries["Is"][name] = stack.message("EndDevice")(ids=ids)
    answer = stack._device

    def without_count(server: str, method: str, request: Any, context: Any) -> Any:
        context.send_initial_metadata = lambda _metadata: None
        return answer(server, method, request, context)

    stack._device = without_count  # type: ignore[method-assign]
    listed: Any = client.devices()
    assert ([device.dev_id for device in listed], listed.total) == (names, 1000)
    # A whole page may not be the last one.
    assert stack.names() == [f"{IS}/List"] * 2
    assert [len(page) for page in client.devices_pages(page_size=500)] == [500, 500]
    assert client.devices(limit=10).total is None
