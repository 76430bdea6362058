"""Arguments of a wrong type: every one of every public function is told by its name, in one form, on every Python."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
import thingslink
from declared import Argument, arguments
from thingslink import aio, ttn, ttnmqtt
from thingslink.bridge import Bridge
from thingslink.frame import Recorder
from thingslink.sandbox import Sandbox, ThingsBoard
from thingslink.tb_device_http import TBHTTPDevice
from thingslink.tb_device_mqtt import GreedyTokenBucket, RateLimit, TBDeviceMqttClient
from thingslink.tb_gateway_mqtt import TBGatewayMqttClient
from thingslink.ttnmqtt import v1, v2

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What programs do not call or make themselves, protobuf's messages, whose errors are protobuf's, and parts of paho
#: that take anything.
ELSEWHERE = frozenset(
    """
    _AioClient Callback _Columns _Rows Rows Table _Object _Loan _Inlet _Share _Stub ServiceStub ServiceMethod Method
    Message RepeatedContainer ScalarMap ResultCode TBPublishInfo MessageInfo MqttHandle Will Proxy TlsSettings Prepared
    DeviceClient ProvisionClient client_for split count_datapoints _StreamAdmin _StoredMessages taken given checked
    _ThingsBoard _Sandbox PahoClient PrivateNames Hearing PackageClient Packages Package Kind Download package_of
    HttpConnection Server check content Publisher Subscription TBHTTPAPIException ReasonCode NetworkThread size_of
    MqttClient.publish MqttClient.will_set MqttClient.enable_logger MqttClient.tls_insecure_set _Client
    awaited like taking Device Downlink Following Known News Post Runner Stream Batches Batch Updates Devices
    DeviceIterator EventIterator PageIterator Follower Answering fields changed text flag number port version limits
    uplink_of_line
    SandboxDevice MqttClient DownlinkOutcome _ApplicationGiven _HandlerGiven DeviceClient.add_attrs_request_timeout
    TBDeviceMqttClient.on_service_configuration Answering.answer checksum verify_checksum callback_threads recorder_of
    PackageClient.update_firmware_info PackageClient.update_software_info record
    """.split()  # noqa: SIM905 - names, not a list to be changed
)
#: Classes that are not made by programs, but whose methods they call.
GIVEN = frozenset("_Sandbox _ThingsBoard DeviceClient GatewayClient MqttClient PackageClient SandboxDevice".split())  # noqa: SIM905
#: Arguments with errors of their own: numbers of calls and levels of delivery as the original had them, what another
#: argument or network decides, and what is only compared or tried for its truth.
OTHERWISE = re.compile(
    r"\.remove_\w+-callback$|quality_of_service$|subscription_id$|-(class_b_c|confirmed_retry|correlation_ids|priority)$"
    r"|TBDeviceMqttClient\.connect-(tls|insecure|key_password|login_timeout)$|-protocol$|tls_set-(cert_reqs|ciphers|keyfile)$"
    r"|proxy_set-(proxy_rdns|proxy_password)$|send_rpc-rpc_id$|-(event|ack_wait|client_cert|client_key)$"
    r"|^aio\..*-schedule$|aio.*(devices(_pages)?|events)-timeout$|aio.*request_\w*attributes-|aio\.HandlerClient|tls_set-keyfile"
    r"|v2\.MQTTClient\.send-conf$|TBHTTPDevice\.send_telemetry-queued$"
    r"|^ApplicationClient-(discovery_certificate|timeout)$|connect-key_file$|get_by_app_eui-timeout$|gw_claim-device_name$|plot-ax$"
)
#: What is no wrong type: anything at all, and what the original took as it came.
ANYTHING = re.compile(r"^(Any|object|_Element|-)$|Any \| ")
#: Where `None` stands for the default, whatever is declared.
DEFAULT = re.compile(
    r"^TB(Device|Gateway)MqttClient-|discovery_address$|(send|push_downlink)-(port|schedule)$|_Keys|claim-duration$|request_service_configuration-"
)
#: Spellings of another argument, which is not given beside them.
SPELLINGS = {
    "conf": "confirmation",
    "confirmed": "confirmation",
    "sched": "schedule",
    "pay": "payload",
    "devID": "dev_id",
    "deviceID": "dev_id",
    "ID": "id",
    "service_id": "id",
    "payloadf": "payload_format",
    "grpc_address": "handler_address",
    "app_access_key": "access_key",
    "appAccessKey": "access_key",
    "appID": "app_id",
    "mqttAddress": "mqtt_address",
    "net_address": "handler_address",
}
#: What is given beside the argument that is tried.
BESIDE: dict[str, dict[str, Any]] = {
    "Sandbox-event_qos": {"network": "chirpstack"},
    "Sandbox-http_port": {"network": "v3"},
    "Sandbox-management_port": {"network": "v3"},
    "Sandbox-tenant": {"network": "v3"},
    "Sandbox-storage": {"network": "v3"},
    "Sandbox-protobuf": {"network": "chirpstack"},
    "Sandbox-client_certificates": {"network": "chirpstack"},
    "TBDeviceMqttClient.connect": {"tls": True},
    "aio.TBDeviceMqttClient.connect": {"tls": True},
    "MqttClient.proxy_set": {"proxy_addr": "127.0.0.1", "proxy_type": 2, "proxy_port": 1},
    "MqttClient.proxy_set-proxy_addr": {},
    "GatewayClient.gw_claim": {"device_name": "d", "secret_key": "s", "duration": 1},
    "ApplicationClient": {"handler_address": "127.0.0.1:1"},
    "ApplicationClient-discovery_address": {"handler_address": ""},
    "TBHTTPDevice": {"host": "https://127.0.0.1:1"},
    "TBHTTPDevice.provision": {"host": "https://127.0.0.1:1"},
    "TBHTTPDevice.subscribe": {"endpoint": "attributes"},
    "ApplicationClient.set_payload_format-timeout": {"payload_format": "custom"},
    "frame.Recorder.read": {"path": "none"},
}


class Wrong:
    """Of no type that anything takes."""


def anything(*_: object, **__: object) -> None:
    return None


def right(one: Argument) -> Any:
    """Give a value for an argument that must be there and is not the one that is tried."""
    named = {
        "app_id": "demo-app",
        "APPEUI": "70B3D57ED00000AA",
        "appEUI": "70B3D57ED00000AA",
        "mqtt_address": "127.0.0.1:1",
        "host": "127.0.0.1",
        "access_key": "key",
        "payload": b"\1",
        "rate_limit": "1:1",
        "dp_rate_limit": "1:1",
        "checksum_alg": "SHA256",
        "address": "127.0.0.1",
        "region": "127.0.0.1",
        "downlinks": [],
        "reason": 128,
        "rate": 1.0,
    }
    if one.name in named:
        return named[one.name]
    if one.name == "to":
        return ttn.ApplicationClient("other-app", "key", "127.0.0.1:1", insecure_channel=True)
    for pattern, value in (
        (r"Callable|_Of|^C$", anything),
        (r"^(Device|Mapping|dict|_Telemetry|_Attributes)", {}),
        (r"\bstr\b|EventName|_Downlinks|Schedule|State", "meter"),
        (r"\bbytes\b", b"\1"),
        (r"\bint\b|float|Level|_Seconds", 1),
        (r"\bbool\b", True),
        (r"Iterable|Sequence|list", []),
    ):
        if re.search(pattern, one.kind):
            return value
    return None


def wrong(one: Argument) -> list[Any]:
    """Give values that are none of what an argument may be."""
    values: list[Any] = [Wrong()]
    if "None" not in one.kind and not DEFAULT.search(f"{one.of}-{one.name}") and not DEFAULT.search(one.kind):
        values.append(None)
    if re.fullmatch(r"str( \| None)?", one.kind):
        values += [5, b"x", True, ["x"]]
    if re.fullmatch(r"bool( \| None)?", one.kind):
        values += [1, "yes"]
    if one.kind == "bytes":
        values += ["x", 5]
    if re.search("Callable", one.kind):
        values += ["x", 5]
    return values


@pytest.fixture(scope="module")
def owners() -> Iterator[dict[str, Any]]:
    """Give what the functions are of, by the names of the sources: objects for methods, classes to be made."""
    board_login = ("127.0.0.1", 1, "T")
    with (
        Sandbox("demo-app") as sandbox,
        Sandbox(network="v3") as stack,
        Sandbox(network="chirpstack") as chirpstack,
        ThingsBoard() as board,
        contextlib.ExitStack() as last,
    ):
        client = last.enter_context(ttn.MQTTClient("demo-app", sandbox.access_key, sandbox.mqtt_address))
        device = sandbox.device("meter")
        stack.device("meter")
        sent = client.send("meter", b"\1")
        application = ttn.ApplicationClient("demo-app", "key", "127.0.0.1:1", insecure_channel=True)
        on_v3 = ttn.ApplicationClient("demo-app", "NNSXS.A.B", "127.0.0.1:1", insecure_channel=True)
        second = ttnmqtt.MQTTClient("demo-app", sandbox.access_key, sandbox.mqtt_address)
        last.callback(second.close)
        gateway = TBGatewayMqttClient(*board_login)
        yield {
            "": thingslink,
            "Bridge": Bridge("demo-app", "key", "127.0.0.1:1", name="bridge-1"),
            "MQTTClient": client,
            "DeviceHandle": client.device("meter"),
            "DownlinkHandle": client.downlink(sent),
            "DiscoveryClient": ttn.DiscoveryClient("127.0.0.1:1"),
            "HandlerClient": ttn.HandlerClient(
                "demo-app", sandbox.access_key, sandbox.discovery_address, sandbox.ca_certs
            ),
            "ApplicationClient": application,
            "ApplicationClient of v3": on_v3,
            "_Sandbox": sandbox,
            "_Sandbox of v3": stack,
            "_Sandbox of chirpstack": chirpstack,
            "Sandbox": sandbox,
            "SandboxDevice": device,
            "SandboxDevice of v3": stack.device("meter"),
            "SandboxDevice of chirpstack": chirpstack.device("meter"),
            "_ThingsBoard": board,
            "ThingsBoard": board,
            "Follower": sandbox.follow(),
            "GreedyTokenBucket": GreedyTokenBucket(1.0, 1.0),
            "RateLimit": RateLimit("1:1"),
            "DeviceClient": gateway,
            "GatewayClient": gateway,
            "PackageClient": gateway,
            "TBDeviceMqttClient": TBDeviceMqttClient(*board_login),
            "TBGatewayMqttClient": gateway,
            "MqttClient": gateway._client,
            "TBHTTPDevice": TBHTTPDevice("http://127.0.0.1:1", "T"),
            "frame.Recorder": Recorder(),
            "frame._Readable": Recorder(),
            "ttnmqtt.v1.MQTTClient": ttnmqtt.MQTTClient("demo-app", "70B3D57ED00000AA", "key"),
            "ttnmqtt.v2.MQTTClient": second,
            "aio.MQTTClient": lambda: aio.MQTTClient("demo-app", sandbox.access_key, sandbox.mqtt_address),
            "aio.Device": lambda: aio.MQTTClient("demo-app", "key", sandbox.mqtt_address).device("meter"),
            "aio.Stream": lambda: aio.MQTTClient("demo-app", "key", sandbox.mqtt_address).uplinks(),
            "aio.ApplicationClient": lambda: aio.ApplicationClient(
                "demo-app", "key", "127.0.0.1:1", insecure_channel=True
            ),
            "aio.TBDeviceMqttClient": lambda: aio.TBDeviceMqttClient(*board_login),
            "aio.TBGatewayMqttClient": lambda: aio.TBGatewayMqttClient(*board_login),
            "aio.PackageClient": lambda: aio.TBDeviceMqttClient(*board_login),
            "aio.Sandbox": aio.Sandbox,
            "aio.ThingsBoard": lambda: aio.Sandbox()._thingsboard,
            "aio.SandboxDevice": lambda: device,
        }


CLASSES: dict[str, Any] = {
    "Bridge": Bridge,
    "MQTTClient": ttn.MQTTClient,
    "aio.MQTTClient": aio.MQTTClient,
    "DiscoveryClient": ttn.DiscoveryClient,
    "HandlerClient": ttn.HandlerClient,
    "ApplicationClient": ttn.ApplicationClient,
    "Sandbox": Sandbox,
    "ThingsBoard": ThingsBoard,
    "GreedyTokenBucket": GreedyTokenBucket,
    "RateLimit": RateLimit,
    "TBDeviceMqttClient": TBDeviceMqttClient,
    "TBGatewayMqttClient": TBGatewayMqttClient,
    "TBHTTPDevice": TBHTTPDevice,
    "frame.Recorder": Recorder,
    "ttnmqtt.v1.MQTTClient": v1.MQTTClient,
    "ttnmqtt.v2.MQTTClient": v2.MQTTClient,
    "provision": TBDeviceMqttClient.provision,
}
#: Methods that V2 does not have, nor its sandbox.
OF_NETWORK = {
    "ApplicationClient.downlinks": "v3",
    "ApplicationClient.push_downlink": "v3",
    "ApplicationClient.replace_downlinks": "v3",
    "ApplicationClient.clear_downlinks": "v3",
    "_Sandbox.api_key": "chirpstack",
    "_Sandbox.add_mqtt_user": "chirpstack",
    "_Sandbox.refuse_downlinks": "chirpstack",
    "_Sandbox.add_administrator": "v3",
    "_Sandbox.limit": "v3",
    "_Sandbox.lose_identity_server": "v3",
    "SandboxDevice.report_status": "chirpstack",
    "SandboxDevice.integration_event": "chirpstack",
}


def tried() -> list[Argument]:
    return [
        one
        for one in arguments()
        if not ANYTHING.search(one.kind)
        if one.function not in ELSEWHERE
        if one.owner not in ELSEWHERE or one.owner in GIVEN
        if not OTHERWISE.search(f"{one.of}-{one.name}")
    ]


REQUIRED: dict[str, list[Argument]] = defaultdict(list)
for _one in arguments():
    if _one.required:
        REQUIRED[_one.of].append(_one)


def call(owners: dict[str, Any], one: Argument, given: dict[str, Any]) -> None:
    """Call a function, to its end where it is awaited."""

    async def run() -> None:
        if one.of in CLASSES:
            function = CLASSES[one.of]
        else:
            network = OF_NETWORK.get(one.of)
            owner = owners[f"{one.prefix}{one.owner}" + (f" of {network}" if network else "")]
            if one.prefix == "aio.":
                owner = owner()
            function = getattr(owner, one.function.rpartition(".")[2])
        made = function(**given)
        if inspect.isawaitable(made):
            await made

    if one.prefix == "aio.":
        asyncio.run(run())
        return
    running = run()
    with contextlib.suppress(StopIteration):
        running.send(None)


@pytest.mark.parametrize("one", tried(), ids=lambda one: f"{one.of}-{one.name}")
def test_a_wrong_type_is_told_by_the_name_of_the_argument(owners: dict[str, Any], one: Argument) -> None:
    declared = {other.name for other in arguments() if other.of == one.of}
    others = {other.name: right(other) for other in REQUIRED[one.of] if SPELLINGS.get(other.name) not in declared}
    others |= BESIDE.get(f"{one.of}-{one.name}", BESIDE.get(one.of, {}))
    others.pop(SPELLINGS.get(one.name, ""), None)
    for value in wrong(one):
        with pytest.raises(TypeError) as caught:
            call(owners, one, {**others, one.name: value})
        text = str(caught.value)
        inside = rf"a {type(value).__name__} of .+, not one with .+ in it"
        assert re.fullmatch(rf"{one.name} must be (.+, not {type(value).__name__}|{inside})", text), (value, text)
        assert not getattr(caught.value, "__notes__", None)
