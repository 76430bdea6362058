"""Every setter of every package refuses what cannot be called with what it would get, and says what it expects."""

from __future__ import annotations

import functools
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest
from thingslink import ttn, ttnmqtt
from thingslink.sandbox import Sandbox
from thingslink.tb_device_http import TBHTTPDevice
from thingslink.tb_device_mqtt import TBDeviceMqttClient
from thingslink.tb_gateway_mqtt import TBGatewayMqttClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    Setter = Callable[[Any], object]

DEVICE = functools.partial(TBDeviceMqttClient, "127.0.0.1", 1, "T")
GATEWAY = functools.partial(TBGatewayMqttClient, "127.0.0.1", 1, "T")
#: What sends something when it has taken the callback, and waits for a connection first.
SENDING = {"device connect", "device call", "device request", "device request with user data", "gateway request"}


def of_ttn() -> Iterator[tuple[str, Setter, int]]:
    client = ttn.MQTTClient("app", "key", "127.0.0.1:1")
    for kind in ("uplink", "uplink_raw", "event", "activation", "connect", "close", "downlink", "error"):
        yield f"ttn {kind}", getattr(client, f"set_{kind}_callback"), 2
    yield "ttn raw", client.set_uplink_callback_raw, 2
    yield "ttn field", functools.partial(client.set_uplink_field_callback, field="led"), 2
    yield "ttn topic", functools.partial(client._set_topic_callback, filter="a/b"), 2
    private: Any = client
    yield "ttn on_log", functools.partial(setattr, private._MQTTClient__client, "on_log"), 4


def of_older(sandbox: Sandbox) -> Iterator[tuple[str, Setter, int]]:
    make: Any = ttnmqtt.MQTTClient
    first = make("app", "70B3D57ED00000AA", "key")
    yield "v1 MessageHandler", first.setMessageHandler, 0
    for name in ("UplinkCallback", "DownlinkCallback"):
        yield f"v1 {name}, client by name", getattr(first, f"set{name}"), 2
    for name, count in (("ConnectBehavior", 4), ("MessageBehavior", 3), ("PublishBehavior", 3)):
        yield f"v1 {name}", getattr(first, f"set{name}"), count
    second = make("app", "key", sandbox.mqtt_address)
    for name in ("UplinkCallback", "DownlinkCallback", "ConnectCallback", "CloseCallback"):
        yield f"v2 {name}, client by name", getattr(second, f"set{name}"), 2
    second.close()


def of_thingsboard() -> Iterator[tuple[str, Setter, int]]:
    device, gateway = DEVICE(), GATEWAY()
    device_: Any = device
    yield "device connect", lambda callback: device.connect(callback), 4
    yield "device attribute", functools.partial(device.subscribe_to_attribute, "a"), 2
    yield "device attributes", device.subscribe_to_all_attributes, 2
    yield "device handler", device.set_server_side_rpc_request_handler, 2
    yield "device call", functools.partial(device.send_rpc_call, "m", {}), 3
    yield "device request", lambda callback: device.request_attributes(callback=callback), 2
    yield "device request with user data", lambda callback: device.request_attributes(callback=(callback, 1)), 3
    yield "device limits", functools.partial(setattr, device, "service_configuration_callback"), 3
    for kind in ("received", "failed", "url"):
        yield f"device firmware {kind}", getattr(device, f"set_on_firmware_{kind}_callback"), 3
        yield f"device software {kind}", getattr(device, f"set_on_software_{kind}_callback"), 3
    yield "device on_connect", functools.partial(setattr, device_._client, "on_connect"), 5
    yield "device on_disconnect", functools.partial(setattr, device_._client, "on_disconnect"), 5
    yield "gateway handler", gateway.gw_set_server_side_rpc_request_handler, 2
    yield "gateway handler, set", functools.partial(setattr, gateway, "devices_server_side_rpc_request_handler"), 2
    yield "gateway attributes", gateway.gw_subscribe_to_all_attributes, 1
    yield "gateway drop", functools.partial(setattr, gateway, "device_disconnect_callback"), 2
    yield "gateway request", lambda callback: gateway.gw_request_shared_attributes("d", ["a"], callback), 2
    http = TBHTTPDevice("http://127.0.0.1:1", "T")
    yield "http subscription", functools.partial(http.subscribe, "attributes"), 1


@pytest.fixture(scope="module")
def setters() -> dict[str, tuple[Setter, int]]:
    with Sandbox("app", "key") as sandbox:
        found = [*of_ttn(), *of_older(sandbox), *of_thingsboard()]
    return {name: (setter, count) for name, setter, count in found}


def function(required: int, body: str = "pass", prefix: str = "def") -> Callable[..., Any]:
    scope: dict[str, Any] = {}
    exec(f"{prefix} mine({', '.join(f'p{number}' for number in range(required))}): {body}", scope)
    return scope["mine"]  # type: ignore[no-any-return]


def generator(*_: Any, **__: Any) -> Iterator[int]:
    yield 1


async def asynchronous_generator(*_: Any, **__: Any) -> AsyncIterator[int]:
    yield 1


class Generating:
    def __call__(self, *_: Any, **__: Any) -> Iterator[int]:
        yield 1

    def method(self, *_: Any, **__: Any) -> Iterator[int]:
        yield 1


def needs_a_word(*_: Any, word: str, **__: Any) -> None:
    raise AssertionError(word)


def refused(setter: Setter, callback: Any) -> str:
    with pytest.raises(TypeError) as caught:
        setter(callback)
    return str(caught.value)


def test_too_many_required_parameters(setters: dict[str, tuple[Setter, int]]) -> None:
    for name, (setter, count) in setters.items():
        text = refused(setter, function(count + 4))
        assert "mine" in text and "expected callback(" in text, (name, text)


def test_too_few_parameters(setters: dict[str, tuple[Setter, int]]) -> None:
    for name, (setter, count) in setters.items():
        if count:
            text = refused(setter, function(0))
            assert "mine" in text and "expected callback(" in text, (name, text)


def test_what_is_no_callable(setters: dict[str, tuple[Setter, int]]) -> None:
    for name, (setter, _) in setters.items():
        text = refused(setter, 5)
        assert "callable" in text and "int" in text, (name, text)


def test_a_required_keyword(setters: dict[str, tuple[Setter, int]]) -> None:
    for setter, _ in setters.values():
        assert "needs_a_word" in refused(setter, needs_a_word)


@pytest.mark.parametrize(
    "callback",
    [
        generator,
        Generating(),
        Generating().method,
        functools.partial(generator, 1),
        functools.partial(functools.partial(Generating().method)),
        asynchronous_generator,
    ],
    ids=["function", "object", "method", "partial", "partial of a partial", "asynchronous"],
)
def test_generator_functions_of_which_a_call_runs_nothing(
    setters: dict[str, tuple[Setter, int]], callback: Callable[..., Any]
) -> None:
    for setter, _ in setters.values():
        assert "generator function" in refused(setter, callback)


def test_what_takes_exactly_what_it_gets(setters: dict[str, tuple[Setter, int]]) -> None:
    for name, (setter, count) in setters.items():
        if name not in SENDING and "client by name" not in name:
            setter(function(count))


def test_older_generations_give_the_client_by_name(setters: dict[str, tuple[Setter, int]]) -> None:
    named = [setter for name, (setter, _) in setters.items() if "client by name" in name]
    assert len(named) == 6
    for setter in named:
        setter(lambda msg, client: (msg, client))
        setter(lambda msg, *, client=None: (msg, client))
        assert refused(setter, lambda msg, c: (msg, c)).endswith(", client=…)")


class Told:
    def __init__(self, msg: Any, client: Any, more: Any) -> None:
        self.all = msg, client, more


def test_classes_are_judged_as_what_makes_their_objects(setters: dict[str, tuple[Setter, int]]) -> None:
    setter, _ = setters["ttn uplink"]
    assert "Told" in refused(setter, Told)
    setter(functools.partial(Told, more=1))


def test_builtins_that_tell_nothing_of_their_parameters_are_taken(setters: dict[str, tuple[Setter, int]]) -> None:
    setter, _ = setters["ttn uplink"]
    setter(print)
    # `append` takes one argument, and is given one.
    setter(deque[Any]().append)


def test_the_outermost_function_is_what_is_called(setters: dict[str, tuple[Setter, int]]) -> None:
    setter, _ = setters["ttn uplink"]

    def inner(msg: Any, client: Any, more: Any) -> None:
        raise AssertionError(msg, client, more)

    @functools.wraps(inner)
    def takes_two(msg: Any, client: Any) -> None:
        inner(msg, client, 1)

    @functools.wraps(takes_two)
    def takes_three(msg: Any, client: Any, more: Any) -> None:
        takes_two(msg, more or client)

    setter(takes_two)
    assert "inner" in refused(setter, takes_three)


def test_a_setter_that_refuses_changes_nothing() -> None:
    client: Any = DEVICE()._client
    client.on_connect = print
    with pytest.raises(TypeError):
        client.on_connect = function(9)
    assert client.on_connect is print
