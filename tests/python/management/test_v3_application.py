"""An application of The Things Stack V3: where it is, its payload functions, its queues."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from stack_peer import APP, FULL, Refusal, StackPeer
from thingslink import ApplicationError, NotConnectedError, RpcError, ttn
from thingslink.sandbox import Sandbox
from thingslink.ttn import ApplicationClient

if TYPE_CHECKING:
    from peers import Generated

DECODER = "function Decoder(bytes, port) { return {level: bytes[0]}; }"
ENCODER = "function Encoder(object, port) { return [object.level]; }"
CONVERTER = "function Converter(decoded, port) {\n  return decoded;\n}\n"
VALIDATOR = "function Validator(converted, port) { return converted.level < 9; }"


@pytest.mark.parametrize(
    ("arguments", "network", "shown"),
    [
        ((FULL, "localhost:1"), {}, "v3"),
        ((FULL, "", ""), {"cluster": "eu1"}, "v3"),
        (("key", "nam1.cloud.thethings.network"), {}, "v3"),
        (("key", "localhost:1"), {"network": "v3"}, "v3"),
        (("key", ""), {"cluster": "stack.example.com:1884"}, "v3"),
        ((FULL, "localhost:1"), {"network": "v2"}, "v2"),
        (("key", "localhost:1"), {}, "v2"),
    ],
)
def test_key_and_host_say_which_network_it_is(arguments: Any, network: dict[str, Any], shown: str) -> None:
    with ApplicationClient(APP, *arguments, insecure_channel=True, **network) as client:
        assert client.network == shown
        assert ("network='v3'" in repr(client)) is (shown == "v3") and "NNSXS" not in repr(client)


@pytest.mark.parametrize(
    ("options", "address"),
    [
        ({"cluster": "nam1"}, "nam1.cloud.thethings.network:8884"),
        ({"cluster": "eu2", "app_id": f"{APP}@acme"}, "acme.eu2.cloud.thethings.industries:8884"),
        ({"cluster": "stack.example.com"}, "stack.example.com:8884"),
        ({"cluster": "stack.example.com:7"}, "stack.example.com:7"),
        ({"handler_address": "stack.example.com"}, "stack.example.com:8884"),
        ({"handler_address": "stack.example.com", "insecure_channel": True}, "stack.example.com:1884"),
    ],
)
def test_the_address_comes_from_the_cluster(options: dict[str, Any], address: str) -> None:
    with ApplicationClient(**{"app_id": APP, "access_key": FULL, **options}) as client:
        assert f"handler_address='{address}'" in repr(client)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "expected cluster="),
        ({"cluster": "eu9"}, '"eu1", "nam1" or "au1"'),
        ({"cluster": "eu1", "app_id": "My_App"}, "app_id"),
        ({"cluster": "eu1", "app_id": "app1@"}, 'app_id "app1@" is not valid'),
        ({"cluster": "eu1", "app_id": "app1@a@b"}, 'app_id "app1@a@b" is not valid'),
        ({"cluster": "eu1", "app_id": "app1@Acme"}, 'app_id "app1@Acme" is not valid'),
        ({"cluster": "eu1", "app_id": "app1 "}, 'app_id "app1 " is not valid'),
        ({"cluster": "https://eu1.cloud.thethings.network"}, "without a scheme"),
        ({"cluster": "eu1:8884"}, "without a port"),
        ({"cluster": "eu1.cloud.thethings.industries"}, "app@tenant"),
        ({"cluster": "eu1", "network": "v4"}, 'network "v4" is not valid: expected'),
        ({"cluster": "eu1", "network": "v2"}, "cluster is not an argument for The Things Network V2"),
        ({"cluster": "eu1", "lorawan_version": "9"}, 'lorawan_version "9" is not valid'),
        ({"cluster": "eu1", "identity_address": "http://x"}, "identity_address"),
    ],
)
def test_a_place_that_cannot_be_is_told_at_once(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=r"valid|expected") as caught:
        ApplicationClient(**{"app_id": APP, "access_key": FULL, **options})
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("cluster", "options", "host", "grpc", "mqtt"),
    [
        ("nam1", {}, "nam1.cloud.thethings.network", 8884, "mqtts://{}:8883"),
        ("stack.example.com", {"insecure_channel": True}, "stack.example.com", 1884, "mqtt://{}:1883"),
    ],
)
def test_a_handler_client_asks_nobody_where_a_cluster_is(
    cluster: str, options: dict[str, Any], host: str, grpc: int, mqtt: str
) -> None:
    with ttn.HandlerClient(APP, FULL, cluster=cluster, **options) as handler:
        announcement = handler.announcement
        assert (announcement.net_address, announcement.mqtt_address) == (f"{host}:{grpc}", mqtt.format(host))
        assert f"cluster='{cluster}' network='v3'" in repr(handler)
        with handler.application() as client:
            assert client.network == "v3" and f"'{host}:{grpc}'" in repr(client)
        # Not connected: nobody is asked for the name.
        data = handler.data()
        assert host in repr(data)
        data.close()
    with pytest.raises(ValueError, match='cluster "eu9"'):
        ttn.HandlerClient(APP, FULL, cluster="eu9")
    for app_id in ("app1@", "@ttn", "app1@Acme", "app1 ", "my_app"):
        with pytest.raises(ValueError, match=r"app_id .* is not valid"):
            ttn.HandlerClient(app_id, FULL, cluster="eu1")


def test_a_discovery_client_answers_for_a_cluster_by_itself() -> None:
    for client in (ttn.DiscoveryClient(cluster="nam1"), ttn.DiscoveryClient("nam1.cloud.thethings.network:1900")):
        with client:
            host = "nam1.cloud.thethings.network"
            found = client.get_by_app_id(APP)
            assert (found.id, found.net_address) == (host, f"{host}:8884")
            assert found.mqtt_address == f"mqtts://{host}:8883" and "network='v3'" in repr(client)
            assert [each.id for each in client.get_all("handler")] == [host] and not client.get_all("broker")
            assert len(client.get_all("handler", offset=1)) == 0
            assert client.get("handler", host).id == host == client.get_by_app_eui("70B3D57ED00000A1").id
            with pytest.raises(RpcError, match="has no broker"):
                client.get("broker", "x")
            with pytest.raises(NotImplementedError, match="Gateway Server"):
                client.get_by_gateway_id("eui-0102")
            with pytest.raises(AttributeError, match="no discovery server"):
                _ = client.client
            assert asyncio.run(_found(client)) == host
    tenant = ttn.DiscoveryClient(cluster="eu2").get_by_app_id(f"{APP}@acme")
    assert tenant.id == "acme.eu2.cloud.thethings.industries"
    with pytest.raises(ValueError, match='cluster "eu9"'):
        ttn.DiscoveryClient(cluster="eu9")


async def _found(client: ttn.DiscoveryClient) -> Any:
    return (await client._call_async("get_by_app_id", APP)).id


def test_a_handler_client_of_v3_needs_a_cluster() -> None:
    with pytest.raises(ValueError, match="needs cluster="):
        ttn.HandlerClient(APP, FULL)
    with ttn.HandlerClient(APP, FULL, "au1.cloud.thethings.network") as handler:
        assert handler.announcement.id == "au1.cloud.thethings.network"
    with ttn.HandlerClient(APP, "any key", cluster="localhost:1", insecure_channel=True) as handler:
        data = handler.data()
        assert "network='v3'" in repr(data)
        data.close()
        with handler.application() as client:
            assert client.network == "v3"


def test_an_application_has_all_that_the_servers_have(stack: StackPeer, stack_client: ApplicationClient) -> None:
    application = stack_client.get()
    assert application.v3.identity.name == "Greenhouse" and application.v3.link is None
    stack_client.set_custom_payload_functions(decoder=DECODER)
    application = stack_client.get()
    assert application.decoder == DECODER and stack.link is not None
    assert application.v3.link.default_formatters.up_formatter_parameter == DECODER
    assert repr(application.v3) == f"<StackApplication {APP}>"


def test_the_identity_server_may_be_elsewhere(stack: StackPeer, generated: Generated) -> None:
    identity = StackPeer(generated)
    try:
        options: dict[str, Any] = {
            "insecure_channel": True,
            "identity_address": identity.address,
            "frequency_plan_id": "X",
        }
        with ApplicationClient(f"{APP}@ttn", FULL, stack.address, **options) as client:
            client.register_device("abp1", {"dev_addr": "01020304", "nwk_s_key": "AB" * 16, "app_s_key": "CD" * 16})
            assert client.device("abp1").lorawan_device.dev_addr == b"\1\2\3\4"
    finally:
        identity.stop()
    assert set(identity.names()) == {"EndDeviceRegistry/Create", "EndDeviceRegistry/Get"}
    assert not [name for name in stack.names() if name.startswith("EndDeviceRegistry")]


def test_functions_are_set_kept_and_cleared(stack: StackPeer, stack_client: ApplicationClient) -> None:
    empty = stack_client.get()
    assert isinstance(empty, ttn.Application) and (empty.app_id, empty.payload_format) == (APP, "")
    stack_client.set_custom_payload_functions(encoder=ENCODER, decoder=DECODER)
    formatters = stack.link.default_formatters
    assert (formatters.up_formatter, formatters.up_formatter_parameter) == (3, DECODER)
    assert (formatters.down_formatter, formatters.down_formatter_parameter) == (3, ENCODER)
    stack_client.set_custom_payload_functions(converter=CONVERTER, validator=VALIDATOR)
    script = stack.link.default_formatters.up_formatter_parameter
    assert all(code in script for code in (DECODER, CONVERTER, VALIDATOR, "function decodeUplink(input)"))
    got = stack_client.get()
    assert (got.decoder, got.converter, got.validator, got.encoder) == (DECODER, CONVERTER, VALIDATOR, ENCODER)
    assert got.payload_format == "custom"
    stack_client.clear_custom_payload_functions("converter", "validator")
    assert stack.link.default_formatters.up_formatter_parameter == DECODER
    stack_client.set_payload_format("cayennelpp")
    formatters = stack.link.default_formatters
    assert (formatters.up_formatter, formatters.down_formatter) == (4, 4)
    assert not formatters.up_formatter_parameter and stack_client.get().payload_format == "cayennelpp"
    assert list(stack.told("As/SetLink").field_mask.paths) == [
        "default_formatters.up_formatter",
        "default_formatters.up_formatter_parameter",
        "default_formatters.down_formatter",
        "default_formatters.down_formatter_parameter",
    ]
    with pytest.raises(NotImplementedError, match="register_on_join_access_key"):
        stack_client.set_register_on_join_access_key("x")


def test_the_application_goes_only_when_that_is_meant(stack: StackPeer, stack_client: ApplicationClient) -> None:
    device = {"dev_addr": "01020304", "nwk_s_key": "AB" * 16, "app_s_key": "CD" * 16}
    for name in ("abp1", "abp2"):
        stack_client.register_device(name, device)
    stack_client.register()
    stack.names()
    with pytest.raises(ValueError, match="confirm=True"):
        stack_client.unregister()
    assert stack.names() == []
    assert type(stack_client.unregister(confirm=True)) is ttn.Empty
    assert stack.application_deleted and not any(stack.devices().values())
    assert stack.names()[-2:] == ["As/DeleteLink", "ApplicationRegistry/Delete"]


def test_rights_are_listed(stack_client: ApplicationClient) -> None:
    assert stack_client.rights() == [
        "RIGHT_APPLICATION_TRAFFIC_READ",
        "RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE",
        "RIGHT_APPLICATION_DELETE",
    ]


def test_dry_runs(stack: StackPeer, stack_client: ApplicationClient) -> None:
    stack_client.set_custom_payload_functions(encoder=ENCODER, decoder=DECODER)
    result = stack_client.dry_uplink(b"\1\2", 5)
    assert (result.payload, result.fields, result.valid) == (b"\1\2", '{"n":2}', True)
    asked = stack.told("AppAs/DecodeUplink")
    assert (asked.formatter, asked.parameter, asked.uplink.f_port) == (3, DECODER, 5)
    assert asked.uplink.settings.frequency == 868100000 and asked.uplink.settings.data_rate.lora.spreading_factor == 7
    assert stack_client.dry_downlink({"level": 1, "on": True}, 7, {"encoder": "E"}).payload == b"\2"
    asked = stack.told("AppAs/EncodeDownlink")
    assert (asked.parameter, asked.downlink.f_port, dict(asked.downlink.decoded_payload)) == (
        "E",
        7,
        {"level": 1, "on": True},
    )
    refused = Refusal("no key", code="ABORTED", name="output_errors", attributes={"e": "the validator returned false"})
    stack.refuse("AppAs/DecodeUplink", refused, Refusal("no key", code="ABORTED", name="script"))
    assert stack_client.dry_uplink(b"\1").valid is False
    with pytest.raises(ApplicationError, match="ABORTED"):
        stack_client.dry_uplink(b"\1")


def test_an_uplink_is_simulated(stack: StackPeer, stack_client: ApplicationClient) -> None:
    stack_client.simulate_uplink("abp1", b"\1", port=9)
    (up,) = stack.simulated
    assert (up.end_device_ids.device_id, up.uplink_message.f_port, up.uplink_message.frm_payload) == ("abp1", 9, b"\1")
    assert up.uplink_message.settings.frequency == 868100000 and not up.simulated


def test_the_queue_is_listed_extended_replaced_and_cleared(stack: StackPeer, stack_client: ApplicationClient) -> None:
    stack_client.push_downlink("abp1", b"\1", 10, confirmed=True, priority="HIGH", correlation_ids=["mine"])
    stack_client.push_downlink("abp1", {"level": 3})
    first, second = stack_client.downlinks("abp1")
    assert (first.f_port, first.frm_payload, first.confirmed, list(first.correlation_ids)) == (
        10,
        b"\1",
        True,
        ["mine"],
    )
    assert stack.queues["abp1"][0].priority == 5 and dict(stack.queues["abp1"][1].decoded_payload) == {"level": 3}
    assert second.f_port == 1 and not second.frm_payload
    stack_client.replace_downlinks("abp1", [{"payload": "AQI=", "port": 3}, {"payload": [1, 2, 3]}])
    assert [each.frm_payload for each in stack_client.downlinks("abp1")] == [b"\1\2", b"\1\2\3"]
    stack_client.clear_downlinks("abp1")
    assert len(stack_client.downlinks("abp1")) == 0


@pytest.mark.parametrize(
    ("item", "error", "words"),
    [
        ({"payload": b""}, ValueError, "payload of 0 bytes"),
        ({"payload": bytes(256)}, ValueError, "payload of 256 bytes"),
        ({"payload": "xyz"}, ValueError, "base64"),
        ({"payload": 5}, TypeError, "payload must be"),
        ({}, ValueError, "has no payload"),
        ({"payload": b"\1", "port": 0}, ValueError, "port 0"),
        ({"payload": b"\1", "port": 224}, ValueError, "port 224"),
        ({"payload": b"\1", "port": 256}, ValueError, "port 256"),
        ({"payload": b"\1", "priority": "urgent"}, ValueError, 'priority "urgent"'),
        ({"payload": b"\1", "correlation_ids": ["x" * 101]}, ValueError, "correlation ID"),
        ({"payload": b"\1", "prot": 1}, ValueError, 'unknown key "prot"'),
        ("AQ==", TypeError, "a downlink must be a dict"),
    ],
)
def test_a_bad_downlink_is_told_before_it_is_sent(
    item: Any, error: type[Exception], words: str, stack: StackPeer, stack_client: ApplicationClient
) -> None:
    with pytest.raises(error) as caught:
        stack_client.replace_downlinks("abp1", [item])
    assert words in str(caught.value) and stack.names() == []


def test_what_one_network_has_alone_is_told_on_the_other(stack_client: ApplicationClient) -> None:
    with ApplicationClient(APP, "key", "localhost:1", insecure_channel=True) as v2:
        for call in (v2.rights, lambda: v2.downlinks("abp1"), lambda: v2.clear_downlinks("abp1")):
            with pytest.raises(NotImplementedError, match="The Things Stack V3"):
                call()
        with pytest.raises(ValueError, match="same network"):
            v2.move_device("abp1", stack_client)
    with pytest.raises(NotImplementedError, match="address blocks"):
        stack_client.prefixes()
    with pytest.raises(AttributeError, match="four servers"):
        stack_client.client  # noqa: B018


def test_calls_are_awaited_and_end_with_the_client(stack: StackPeer, stack_client: ApplicationClient) -> None:
    async def run() -> Any:
        return await stack_client._call_async("get")

    assert asyncio.run(run()).app_id == APP
    stack_client.close()
    with pytest.raises(NotConnectedError):
        stack_client.get()
    assert stack.names() == ["ApplicationRegistry/Get", "As/GetLink"]


def test_the_application_of_a_handler_client_is_told_what_only_v3_has(generated: Generated) -> None:
    stack, identity = StackPeer(generated), StackPeer(generated)
    try:
        with (
            ttn.HandlerClient(APP, FULL, cluster=stack.address, insecure_channel=True) as handler,
            handler.application(
                identity_address=identity.address, frequency_plan_id="AU_915_928_FSB_2", lorawan_version="1.0.3"
            ) as client,
        ):
            client.register_device("abp1", {"dev_addr": "01020304", "nwk_s_key": "AB" * 16, "app_s_key": "CD" * 16})
        told = stack.told("NsEndDeviceRegistry/Set").end_device
        assert (told.frequency_plan_id, told.lorawan_version) == ("AU_915_928_FSB_2", 5)
        assert identity.devices()["Is"] == ["abp1"] and stack.devices()["Is"] == []
    finally:
        identity.stop()
        stack.stop()
    with (
        Sandbox(insecure=True) as sandbox,
        ttn.HandlerClient(sandbox.app_id, sandbox.access_key, sandbox.discovery_address, insecure_channel=True) as old,
        pytest.raises(ValueError, match="frequency_plan_id is not an argument for The Things Network V2"),
    ):
        old.application(frequency_plan_id="X")
