"""Failed calls to The Things Stack V3, as a running stack has refused them."""

from __future__ import annotations

import pickle
import time
from typing import TYPE_CHECKING, Any

import pytest
from stack_peer import APP, FULL, REFUSED, Refusal
from thingslink import ApplicationError, StatusCode
from thingslink.sandbox import Sandbox
from thingslink.ttn import ApplicationClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stack_peer import StackPeer


@pytest.mark.parametrize("note", [note for note, call in REFUSED.items() if call["code"] != "RESOURCE_EXHAUSTED"])
def test_every_refusal_is_told_with_its_facts(note: str, stack: StackPeer, stack_client: ApplicationClient) -> None:
    stack.refuse("ApplicationRegistry/Get", Refusal(note))
    with pytest.raises(ApplicationError) as caught:
        stack_client.get()
    error, told = caught.value, REFUSED[note]["details"]["details"][0]
    assert (error.namespace, error.name) == (told["namespace"], told["name"])
    assert error.attributes == told.get("attributes", {})
    assert REFUSED[note]["message"] in error.details
    is_key = (error.namespace, error.name) == ("pkg/auth", "token")
    assert error.code is (StatusCode.UNAUTHENTICATED if is_key else StatusCode[REFUSED[note]["code"]])
    assert error.args == ("Error while getting the", f" application: {error.code.name}")
    again = pickle.loads(pickle.dumps(error))
    assert (again.args, again.name, again.attributes, again.details) == (
        error.args,
        error.name,
        error.attributes,
        error.details,
    )


@pytest.mark.parametrize(
    ("note", "words"),
    [
        ("V2 key", "begin with NNSXS."),
        ("garbage key", "begin with NNSXS."),
        ("unknown key id", "the access key is unknown"),
        ("wrong secret", "the last part of the access key is wrong"),
        ("no key", "no access key was given"),
        ("key without INFO", "the access key lacks RIGHT_APPLICATION_INFO"),
    ],
)
def test_a_login_that_fails_is_told_in_plain_words(
    note: str, words: str, stack: StackPeer, stack_client: ApplicationClient
) -> None:
    stack.refuse("ApplicationRegistry/Get", Refusal(note))
    with pytest.raises(ApplicationError) as caught:
        stack_client.get()
    assert words in caught.value.details and FULL not in caught.value.details


def test_the_key_goes_along_as_a_bearer_s(stack: StackPeer, stack_client: ApplicationClient) -> None:
    stack_client.get()
    assert set(stack.keys) == {f"Bearer {FULL}"}
    stack_client.app_access_key = "NNSXS.OTHER.KEY"
    stack.keys.clear()
    stack_client.get()
    assert set(stack.keys) == {"Bearer NNSXS.OTHER.KEY"}


LIMIT = "gRPC get, 12 per minute and a burst of 3, call 4"


def test_a_rate_limit_is_waited_for_as_long_as_the_server_says(
    stack: StackPeer, stack_client: ApplicationClient
) -> None:
    limit = Refusal(LIMIT)
    limit.initial = {**limit.initial, "x-rate-limit-retry": "0", "x-rate-limit-reset": "1"}
    stack.refuse("ApplicationRegistry/Get", limit)
    begun = time.monotonic()
    assert stack_client.get().app_id == APP
    # A lower bound alone: it says one second and rounds down.
    assert time.monotonic() - begun >= 2
    assert stack.names().count("ApplicationRegistry/Get") == 2


def test_a_limit_beyond_the_deadline_is_told_at_once(stack: StackPeer, stack_client: ApplicationClient) -> None:
    limit = Refusal(LIMIT)
    limit.initial = {**limit.initial, "x-rate-limit-retry": "3600"}
    stack.refuse("ApplicationRegistry/Get", limit)
    with pytest.raises(ApplicationError) as caught:
        stack_client.get(timeout=60)
    assert caught.value.code is StatusCode.RESOURCE_EXHAUSTED and caught.value.name == "rate_limit_exceeded"
    assert stack.names() == ["ApplicationRegistry/Get"]


def refusals(code: str, **options: Any) -> list[Refusal]:
    return [Refusal("no key", code=code, name="other", **options) for _ in range(8)]


@pytest.mark.parametrize(
    ("call", "code", "times"),
    [
        ("ApplicationRegistry/Get", "UNAVAILABLE", 5),
        ("ApplicationRegistry/Get", "DEADLINE_EXCEEDED", 5),
        ("EndDeviceRegistry/Create", "UNAVAILABLE", 5),
        ("EndDeviceRegistry/Create", "DEADLINE_EXCEEDED", 1),
        ("ApplicationRegistry/Get", "INTERNAL", 1),
        ("ApplicationRegistry/Get", "ABORTED", 1),
        ("AppAs/DownlinkQueuePush", "RESOURCE_EXHAUSTED", 1),
    ],
)
def test_only_what_may_pass_is_tried_again(
    call: str, code: str, times: int, stack: StackPeer, stack_client: ApplicationClient
) -> None:
    stack.refuse(call, *refusals(code))
    calls: dict[str, Callable[[], object]] = {
        "ApplicationRegistry/Get": stack_client.get,
        "EndDeviceRegistry/Create": lambda: stack_client.register_device("otaa1", OTAA),
        "AppAs/DownlinkQueuePush": lambda: stack_client.push_downlink("otaa1", b"\x01"),
    }
    with pytest.raises(ApplicationError) as caught:
        calls[call]()
    assert caught.value.code is StatusCode[code] and stack.names() == [call] * times


OTAA = {"dev_eui": "70B3D57ED0000001", "app_eui": "70B3D57ED00000A1", "app_key": bytes(range(16))}


def test_what_passes_is_not_noticed(stack: StackPeer, stack_client: ApplicationClient) -> None:
    stack.refuse("ApplicationRegistry/Get", *refusals("UNAVAILABLE")[:2])
    assert stack_client.get().app_id == APP


def test_a_server_of_another_network_is_told(sandbox_handler: str) -> None:
    client = ApplicationClient(APP, FULL, sandbox_handler, insecure_channel=True)
    with client, pytest.raises(ApplicationError) as caught:
        client.get()
    assert "is it a server of The Things Stack V3" in caught.value.details


@pytest.fixture
def sandbox_handler() -> Iterator[str]:
    with Sandbox(insecure=True) as sandbox:
        yield sandbox.handler_address
