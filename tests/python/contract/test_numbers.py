"""Arguments that are numbers: every one of every class names itself, what was given and what may be; `True` is none."""

from __future__ import annotations

import asyncio
import inspect
import re
from typing import TYPE_CHECKING, Any

import pytest
import thingslink
from declared import arguments
from thingslink import aio, ttn, ttnmqtt
from thingslink._native import _Columns
from thingslink.bridge import Bridge
from thingslink.frame import Recorder
from thingslink.sandbox import Sandbox, ThingsBoard
from thingslink.tb_device_http import TBHTTPDevice
from thingslink.tb_device_mqtt import GreedyTokenBucket, RateLimit, TBDeviceMqttClient, TBQoSException
from thingslink.tb_gateway_mqtt import TBGatewayMqttClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Call = Callable[..., object]

HUGE = 2**70
#: Where numbers are read as something else: Python's own lists and texts, protobuf's messages, paho's part that ignores
#: them, and what only the library itself calls or makes.
ELSEWHERE = frozenset(
    """
    RepeatedContainer ResultCode _AioClient MqttClient ProvisionClient client_for provision split _Object
    _Loan _Inlet _Sandbox _ThingsBoard PublishInfo PahoClient Devices PageIterator Batches Runner Download
    Packages PackageClient PrivateNames Hearing HttpConnection Publisher TBHTTPAPIException ReasonCode
    NetworkThread _StreamAdmin MqttHandle Will Proxy DeviceClient GatewayClient DownlinkMessage _Client
    SandboxDevice.next_downlink TBHTTPDevice.log_level TBHTTPDevice.send_telemetry TBHTTPDevice.send_rpc
    """.split()  # noqa: SIM905 - names, not a list to be changed
)
#: Kinds of arguments that are more than a number, with tests of their own.
WIDER = re.compile(r"timedelta|datetime|Callable|str|dict|_Seconds|SupportsIndex")


def nothing() -> None:
    return None


async def handled(_: Any) -> None:
    pass


def awaited(function: Call) -> Call:
    async def run(**given: Any) -> None:
        made = function(**given)
        if inspect.isawaitable(made):
            await made

    return lambda **given: asyncio.run(run(**given))


def stack(**given: Any) -> ttn.ApplicationClient:
    return ttn.ApplicationClient("app", "key", "127.0.0.1:1", insecure_channel=True, network="v3", **given)


@pytest.fixture(scope="module")
def calls() -> Iterator[dict[str, tuple[Call, dict[str, Any]]]]:
    """Give what is called by its name in the sources, with the arguments that must be there."""
    client = ttn.MQTTClient("app", "key", "127.0.0.1:1")
    board_login = ("127.0.0.1", 1, "T")
    device, gateway = TBDeviceMqttClient(*board_login), TBGatewayMqttClient(*board_login)
    http = TBHTTPDevice("http://127.0.0.1:1", "T")
    application = ttn.ApplicationClient("app", "key", "127.0.0.1:1", insecure_channel=True)
    later = aio.ApplicationClient("app", "key", "127.0.0.1:1", insecure_channel=True)
    limit, bucket = RateLimit("1:1"), GreedyTokenBucket(1.0, 1.0)
    over: dict[str, Any] = {"dev_id": "meter", "payload": b"\1"}
    login: Any = {"app_id": "app", "access_key": "key", "mqtt_address": "127.0.0.1:1"}
    first = ttnmqtt.MQTTClient("app", "70B3D57ED00000AA", "key")
    posted: Call = lambda **given: aio.MQTTClient(**login).send(**given)  # noqa: E731
    with (
        Sandbox("app", "key") as sandbox,
        Sandbox(network="v3") as stack_sandbox,
        Sandbox(network="chirpstack") as chirpstack,
        ThingsBoard() as board,
    ):
        second = ttnmqtt.MQTTClient("app", "key", sandbox.mqtt_address)
        ours, theirs = sandbox.device("meter"), stack_sandbox.device("meter")
        yield {
            "MQTTClient": (ttn.MQTTClient, login),
            "aio.MQTTClient": (aio.MQTTClient, login),
            "MQTTClient.record": (client.record, {}),
            "aio.MQTTClient.record": (awaited(lambda **given: aio.MQTTClient(**login).record(**given)), {}),
            "frame.Recorder": (Recorder, {}),
            "_Columns": (_Columns, {"per": "uplink", "max_rows": 1, "max_bytes": 1}),
            "aio.MQTTClient.run": (awaited(lambda **given: aio.MQTTClient(**login).run(handled, **given)), {}),
            "aio.MQTTClient.send": (awaited(posted), over),
            "MQTTClient.send": (client.send, over),
            "MQTTClient.downlink": (client.downlink, {}),
            "DeviceHandle.send": (client.device("meter").send, {"payload": b"\1"}),
            "aio.Device.send": (
                awaited(lambda **given: aio.MQTTClient(**login).device("meter").send(**given)),
                {"payload": b"\1"},
            ),
            "aio.Stream.batches": (awaited(lambda **given: aio.MQTTClient(**login).uplinks().batches(**given)), {}),
            "aio.TBDeviceMqttClient.connect": (
                awaited(lambda **given: aio.TBDeviceMqttClient(*board_login).connect(**given)),
                {},
            ),
            "aio.TBDeviceMqttClient.claim": (
                awaited(lambda **given: aio.TBDeviceMqttClient(*board_login).claim(**given)),
                {"secret_key": "s"},
            ),
            "aio.TBDeviceMqttClient.max_inflight_messages_set": (
                lambda **given: aio.TBDeviceMqttClient(*board_login).max_inflight_messages_set(**given),
                {},
            ),
            "aio.TBDeviceMqttClient.max_queued_messages_set": (
                lambda **given: aio.TBDeviceMqttClient(*board_login).max_queued_messages_set(**given),
                {},
            ),
            "Bridge": (Bridge, login),
            "DiscoveryClient": (ttn.DiscoveryClient, {}),
            "DiscoveryClient.get_all": (ttn.DiscoveryClient("127.0.0.1:1").get_all, {"service_name": "handler"}),
            "HandlerClient": (ttn.HandlerClient, {"app_id": "app", "app_access_key": "key"}),
            "ApplicationClient": (ttn.ApplicationClient, {"app_id": "app", "access_key": "key"}),
            "ApplicationClient.devices": (application.devices, {}),
            "ApplicationClient.gateways": (application.gateways, {}),
            "ApplicationClient.devices_pages": (application.devices_pages, {}),
            "ApplicationClient.iter_devices": (application.iter_devices, {}),
            "ApplicationClient.dry_uplink": (application.dry_uplink, {"payload": b"\1"}),
            "ApplicationClient.dry_downlink": (application.dry_downlink, {"fields": {}}),
            "ApplicationClient.simulate_uplink": (application.simulate_uplink, over),
            "ApplicationClient.push_downlink": (stack().push_downlink, over),
            "aio.ApplicationClient.devices": (later.devices, {}),
            "aio.ApplicationClient.devices_pages": (later.devices_pages, {}),
            "aio.ApplicationClient.iter_devices": (later.iter_devices, {}),
            "Sandbox": (Sandbox, {}),
            "Sandbox.stream": (sandbox.stream, {"rate": 1.0}),
            "Sandbox.limit_calls": (sandbox.limit_calls, {}),
            "Sandbox.limit": (stack_sandbox.limit, {"name": "x", "per_minute": 1.0}),
            "Sandbox.wait_for": (sandbox.wait_for, {"holds": nothing}),
            "aio.ThingsBoard.wait_for": (
                awaited(lambda **given: aio.Sandbox().thingsboard.wait_for(nothing, **given)),
                {},
            ),
            "aio.Sandbox.wait_for": (awaited(lambda **given: aio.Sandbox().wait_for(nothing, **given)), {}),
            "Sandbox.refuse_logins": (sandbox.refuse_logins, {}),
            "Sandbox.duplicate": (sandbox.duplicate, {}),
            "Sandbox.garble": (sandbox.garble, {}),
            "Sandbox.withhold_acks": (sandbox.withhold_acks, {}),
            "SandboxDevice.uplink": (ours.uplink, {"payload": b"\1"}),
            "SandboxDevice.locate": (ours.locate, {"latitude": 1.0, "longitude": 1.0}),
            "SandboxDevice.configure": (theirs.configure, {}),
            "SandboxDevice.report_status": (chirpstack.device("node-1").report_status, {}),
            "ThingsBoard": (ThingsBoard, {}),
            "ThingsBoard.limit": (board.limit, {}),
            "ThingsBoard.reject": (board.reject, {"topic": "t", "reason": 128}),
            "ThingsBoard.drop_device": (board.drop_device, {"device": "d"}),
            "ThingsBoard.refuse_logins": (board.refuse_logins, {}),
            "ThingsBoard.withhold_acks": (board.withhold_acks, {}),
            "ThingsBoard.rpc": (board.rpc, {"device": "d", "method": "m"}),
            "ThingsBoard.wait_for": (board.wait_for, {"holds": nothing}),
            "GreedyTokenBucket": (GreedyTokenBucket, {"capacity": 1.0, "duration_sec": 1.0}),
            "GreedyTokenBucket.can_consume": (bucket.can_consume, {}),
            "GreedyTokenBucket.consume": (bucket.consume, {}),
            "RateLimit": (RateLimit, {"rate_limit": "1:1"}),
            "RateLimit.set_limit": (limit.set_limit, {"rate_limit": "1:1"}),
            "RateLimit.increase_rate_limit_counter": (limit.increase_rate_limit_counter, {}),
            "RateLimit.check_limit_reached": (limit.check_limit_reached, {}),
            "TBDeviceMqttClient": (TBDeviceMqttClient, {"host": "127.0.0.1"}),
            "TBDeviceMqttClient.claim": (device.claim, {"secret_key": "s"}),
            "TBDeviceMqttClient.max_inflight_messages_set": (device.max_inflight_messages_set, {}),
            "TBDeviceMqttClient.max_queued_messages_set": (device.max_queued_messages_set, {}),
            "GatewayClient.gw_claim": (gateway.gw_claim, {"device_name": "d", "secret_key": "s"}),
            "TBHTTPDevice": (TBHTTPDevice, {"host": "http://127.0.0.1:1", "token": "T"}),
            "TBHTTPDevice.claim": (http.claim, {"secret_key": "s"}),
            "TBHTTPDevice.close": (http.close, {}),
            "TBHTTPDevice.provision": (
                TBHTTPDevice.provision,
                {"host": "http://127.0.0.1:1", "device_name": "d", "device_key": "k", "device_secret": "s"},
            ),
            "callback_threads": (lambda most: thingslink.callback_threads(most), {}),
            "ttnmqtt.v1.MQTTClient": (
                lambda **given: ttnmqtt.MQTTClient("app", "70B3D57ED00000AA", "key", **given),
                {},
            ),
            "ttnmqtt.v1.MQTTClient.connect": (first.connect, {"address": "127.0.0.1"}),
            "ttnmqtt.v1.MQTTClient.customConnect": (first.customConnect, {"region": "127.0.0.1"}),
            "ttnmqtt.v2.MQTTClient.send": (second.send, {"devID": "meter", "pay": b"\1"}),
        }
        second.close()


def numbers() -> list[tuple[str, str, str]]:
    """Every argument of what is public that the sources declare as a number."""
    return [
        (one.of, one.name, "float" if "float" in one.kind else "int")
        for one in arguments()
        if re.search(r"\b(int|float)\b", one.kind) and not WIDER.search(one.kind)
        if not ELSEWHERE & {one.owner, one.function}
    ]


@pytest.mark.parametrize(("name", "argument", "kind"), numbers(), ids=lambda value: value)
def test_every_number_is_read_as_one(
    calls: dict[str, tuple[Call, dict[str, Any]]], name: str, argument: str, kind: str
) -> None:
    function, others = calls[name]
    if argument in {"management_port", "http_port"}:
        others = {**others, "network": "v3"}
    if argument == "event_qos":
        others = {**others, "network": "chirpstack"}
    wrong: dict[Any, type[Exception]] = {True: TypeError, "x": TypeError}
    wrong |= {10**400: ValueError} if kind == "float" else {1.5: TypeError, HUGE: ValueError, -HUGE: ValueError}
    for value, error in wrong.items():
        with pytest.raises(error) as caught:
            function(**{**others, argument: value})
        text = str(caught.value)
        assert text.startswith(argument), (value, text)
        assert error is TypeError or (str(value)[:20] in text and "is not valid: expected" in text), (value, text)


def test_the_range_is_named() -> None:
    client = ttn.MQTTClient("app", "key", "127.0.0.1:1")
    with pytest.raises(ValueError, match=rf"^port {HUGE} is not valid: expected a LoRaWAN FPort, 1 to 223$"):
        client.send("meter", b"\1", port=HUGE)
    with pytest.raises(ValueError, match=r"^port .* is not valid: expected a LoRaWAN FPort, 1 to 223$"):
        client.send("meter", b"\1", port=10**5000)
    with pytest.raises(ValueError, match=r"^qos 2 is not valid: expected 0 or 1"):
        ttn.MQTTClient("app", "key", qos=2)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match=r"^max_inflight 60001 is not valid: expected 1 to 60000"):
        ttn.MQTTClient("app", "key", max_inflight=60_001)


def test_seconds() -> None:
    client = ttn.MQTTClient("app", "key", "127.0.0.1:1")
    for call in (client.connect, client.close, client.flush, aio.MQTTClient("app", "key").connect):
        function = awaited(call)
        for value in (True, "x"):
            with pytest.raises(
                TypeError, match=r"^timeout must be seconds as a number or a timedelta, not (bool|str)$"
            ):
                function(timeout=value)
        with pytest.raises(ValueError, match=r"^timeout 10000"):
            function(timeout=10**400)


def test_numbers_inside_of_dictionaries() -> None:
    client = ttn.MQTTClient("app", "key", "127.0.0.1:1", network="v3")
    for options in (
        {"confirmed_retry": True},
        {"confirmed_retry": {"max_attempts": True}},
        {"class_b_c": {"gateways": [{"gateway_id": "roof", "antenna_index": True}]}},
    ):
        with pytest.raises(TypeError, match=r"(confirmed_retry|antenna_index) must be int, not bool"):
            client.send("meter", b"\1", **options)
    with pytest.raises(ValueError, match=rf"^antenna_index {HUGE} is not valid: expected 0 to 4294967295$"):
        client.send("meter", b"\1", class_b_c={"gateways": [{"gateway_id": "roof", "antenna_index": HUGE}]})
    with ttn.ApplicationClient("app", "key", "127.0.0.1:1", insecure_channel=True) as application:
        with pytest.raises(TypeError, match="altitude must be a number, not bool"):
            application.register_device("meter", {"altitude": True})
        with pytest.raises(ValueError, match="altitude"):
            application.register_device("meter", {"altitude": HUGE})
    with stack() as application:
        with pytest.raises(TypeError, match="rx1_delay must be int, not bool"):
            application.register_device("meter", {"mac_settings": {"rx1_delay": True}})
        with pytest.raises(TypeError, match="factory_preset_frequencies must be int, not bool"):
            application.register_device("meter", {"mac_settings": {"factory_preset_frequencies": [True]}})
        with pytest.raises(ValueError, match=rf"port {HUGE} is not valid"):
            application.replace_downlinks("meter", [{"payload": b"\1", "port": HUGE}])


def test_a_level_of_delivery_that_is_true() -> None:
    device = TBDeviceMqttClient("127.0.0.1", 1, "T")
    with pytest.raises(TBQoSException):
        device.send_telemetry({"a": 1}, quality_of_service=True)  # type: ignore[arg-type]
    for number in (True, False):
        with pytest.raises(TypeError, match="subscription_id must be int or str, not bool"):
            device.unsubscribe_from_attribute(number)


def test_handlers_of_asyncio_that_no_call_runs() -> None:
    def generator(message: Any) -> Any:
        yield message

    async def asynchronous(message: Any) -> Any:
        yield message

    async def main() -> None:
        client = aio.MQTTClient("app", "key", "127.0.0.1:1")
        for function in (generator, asynchronous):
            with pytest.raises(TypeError, match="generator function"):
                await client.run(function)
            with pytest.raises(TypeError, match="generator function"):
                client.on_error(function)

    asyncio.run(main())
