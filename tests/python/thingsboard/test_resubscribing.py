"""Connect callbacks that subscribe anew what is kept over a reconnect."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from harness import PATIENCE
from thingslink.sandbox import ThingsBoard
from thingslink.tb_device_mqtt import TBDeviceMqttClient

from .conftest import TOKEN, Calls, Eventually


class Reconnecting:
    """A client whose connect callback does what a test says, and that loses its connection three times."""

    def __init__(self, server: ThingsBoard) -> None:
        self.server = server
        self.client = TBDeviceMqttClient(server.host, server.port, TOKEN)
        self.results: queue.Queue[Any] = queue.Queue()

    def run(self, subscribe: Callable[[], Any], *, by_private_name: bool = False) -> list[Any]:
        """Give what `subscribe` gave after each login."""

        def on_connect(*_arguments: Any) -> None:
            self.results.put(subscribe())

        if by_private_name:
            self.client._client._on_connect = on_connect
            self.client.connect(min_reconnect_delay=0.01)
        else:
            self.client.connect(on_connect, min_reconnect_delay=0.01)
        given = [self.results.get(timeout=PATIENCE)]
        for _ in range(3):
            self.server.cut()
            given.append(self.results.get(timeout=PATIENCE))
        return given


@pytest.fixture
def reconnecting(server: ThingsBoard) -> Iterator[Reconnecting]:
    reconnecting = Reconnecting(server)
    yield reconnecting
    reconnecting.client.stop()
    reconnecting.client.disconnect(timeout=0.5)


@pytest.fixture
def heard(server: ThingsBoard, calls: Calls, reconnecting: Reconnecting) -> Callable[[], list[Any]]:
    """Change an attribute once and give who was told of it."""

    def hear() -> list[Any]:
        server.set_shared("Device 1", {"a": 1})
        # What comes after it has nothing before it left.
        reconnecting.client.subscribe_to_attribute("end", lambda *_: calls("end"))
        server.set_shared("Device 1", {"end": 1})
        told = []
        while (who := calls.next()[0]) != "end":
            told.append(who)
        return told

    return hear


@pytest.mark.parametrize("by_private_name", [False, True])
def test_a_fresh_callback_replaces_the_one_of_the_login_before(
    reconnecting: Reconnecting, calls: Calls, heard: Any, by_private_name: bool
) -> None:
    client, logins = reconnecting.client, iter(range(4))

    def subscribe() -> int:
        login = next(logins)
        return client.subscribe_to_attribute("a", lambda *_: calls(login))

    assert reconnecting.run(subscribe, by_private_name=by_private_name) == [1, 1, 1, 1]
    assert heard() == [3]


def test_each_of_several_at_one_place_is_replaced_by_its_like(
    reconnecting: Reconnecting, calls: Calls, heard: Any
) -> None:
    client = reconnecting.client

    def subscribe() -> list[int]:
        return [client.subscribe_to_attribute("a", lambda *_, who=who: calls(who)) for who in ("first", "second")]

    assert reconnecting.run(subscribe) == [[1, 2]] * 4
    assert heard() == ["first", "second"]


def test_subscriptions_by_way_of_other_functions_are_replaced_too(
    reconnecting: Reconnecting, calls: Calls, heard: Any
) -> None:
    client = reconnecting.client

    def watch(who: str) -> int:
        return client.subscribe_to_all_attributes(lambda _result, _exception: calls(who))

    reconnecting.run(lambda: (watch("one"), watch("two")))
    # Of the key that ends the test they are told, too.
    assert heard() == ["one", "two", "one", "two"]


def test_what_the_same_place_made_before_the_first_login_is_replaced(
    reconnecting: Reconnecting, calls: Calls, heard: Any
) -> None:
    def subscribe() -> int:
        return reconnecting.client.subscribe_to_attribute("a", lambda *_: calls("it"))

    subscribe()
    reconnecting.run(subscribe)
    assert heard() == ["it"]


def test_what_is_made_elsewhere_stays(reconnecting: Reconnecting, calls: Calls, heard: Any) -> None:
    client = reconnecting.client
    for who in ("first", "second"):
        client.subscribe_to_attribute("a", lambda *_, who=who: calls(who))
    reconnecting.run(lambda: client.subscribe_to_attribute("a", lambda *_: calls("third")))
    for who in ("fourth", "fifth"):
        client.subscribe_to_attribute("a", lambda *_, who=who: calls(who))
    assert heard() == ["first", "second", "third", "fourth", "fifth"]


def test_unsubscribing_works_with_the_number_of_any_login(
    reconnecting: Reconnecting, calls: Calls, heard: Any, eventually: Eventually
) -> None:
    client = reconnecting.client
    given = reconnecting.run(lambda: client.subscribe_to_attribute("a", lambda *_: calls("it")))
    client.unsubscribe_from_attribute(given[0])
    assert heard() == []
    reconnecting.server.cut()
    assert reconnecting.results.get(timeout=PATIENCE) > given[0]
    eventually(client.is_connected)
    assert heard() == ["it"]
