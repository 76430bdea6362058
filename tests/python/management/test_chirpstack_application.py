"""An application of ChirpStack: where it is, and the codecs of its devices' profiles."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import TYPE_CHECKING, Any

import certificates
import pytest
from chirpstack_front import UNKNOWN, Front
from chirpstack_peer import token
from chirpstack_server import APPLICATION, World
from faces import OnLoop
from harness import PATIENCE
from peers import PeerServer
from thingslink import ApplicationError, DecodeError, NotConnectedError, RpcError, StatusCode, aio, ttn
from thingslink.sandbox import Sandbox
from thingslink.ttn import ApplicationClient, DiscoveryClient, HandlerClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from peers import Generated

DECODER = "function Decoder(bytes, port) { return {level: bytes[0], port: port}; }"
ENCODER = "function Encoder(object, port) { return [object.level, port]; }"
CONVERTER = "function Converter(decoded, port) {\n  decoded.level = decoded.level * 2;\n  return decoded;\n}\n"
VALIDATOR = "function Validator(converted, port) { return converted.level < 9; }"
TENANT = "2f4a0ff2-5e8a-426b-abe8-3fb96cd53b18"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(network="chirpstack", seed=0) as sandbox:
        yield sandbox


@pytest.fixture
def front(sandbox: Sandbox) -> Iterator[Front]:
    front = Front(sandbox)
    yield front
    front.stop()


@pytest.fixture(params=["waiting", "asyncio"])
def client(request: pytest.FixtureRequest, sandbox: Sandbox, front: Front) -> Iterator[Any]:
    arguments = (sandbox.app_id, sandbox.access_key, front.address)
    if request.param == "asyncio":
        driven = OnLoop(aio.ApplicationClient(*arguments, tenant_id=sandbox.tenant_id))
        yield driven
        driven.end()
        return
    with ApplicationClient(*arguments, tenant_id=sandbox.tenant_id) as client:
        yield client


@pytest.fixture
def world(sandbox: Sandbox, generated: Generated) -> Iterator[World]:
    world = World(sandbox, generated)
    yield world
    world.close()


def captured(world: World, sandbox: Sandbox, **options: Any) -> ApplicationClient:
    """Give a client of the captures' application."""
    return ApplicationClient(world.ours[APPLICATION], sandbox.api_key("admin"), sandbox.management_address, **options)


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (("green", token(), "localhost:1"), {"tenant_id": TENANT}),
        ((APPLICATION, "key", "localhost:1"), {}),
        (("green", "key", "localhost:1"), {"tenant_id": TENANT, "network": "chirpstack"}),
        ((APPLICATION, "key"), {"grpc_address": "localhost"}),
        ((APPLICATION, "key", "http://localhost:1/"), {}),
        ((APPLICATION, "key", "https://chirpstack.example"), {}),
        ((APPLICATION, "key", "chirpstack.example"), {"insecure_channel": True}),
    ],
)
def test_key_and_application_say_which_network_it_is(arguments: Any, options: dict[str, Any]) -> None:
    with ApplicationClient(*arguments, **options) as client:
        assert client.network == "chirpstack"
        shown = repr(client)
        assert "network='chirpstack'" in shown and token() not in shown and "key" not in shown


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        ((APPLICATION, "key"), {}, "no address: expected handler_address="),
        (("green", token(), "localhost:1"), {}, "together with tenant_id"),
        (("green", token(), "localhost:1"), {"tenant_id": "acme"}, "a UUID"),
        ((APPLICATION, "key", "http://chirpstack.example"), {}, "an address with TLS, .* with insecure_channel=True"),
        ((APPLICATION, "key", "localhost:1"), {"frequency_plan_id": "EU_863_870"}, "not an argument for ChirpStack"),
        ((APPLICATION, "key", "localhost:1"), {"identity_address": "localhost"}, "not an argument for ChirpStack"),
        (
            ("my-app", "key", "localhost:1", "x"),
            {"tenant_id": TENANT},
            "tenant_id is not valid on The Things Network V2",
        ),
        (("my-app", "NNSXS.A.B", "localhost"), {"profile": "p"}, "profile is not valid on The Things Stack V3"),
    ],
)
def test_what_does_not_go_together_is_told(arguments: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        ApplicationClient(*arguments, **options)
    assert token() not in str(caught.value)


def test_an_application_without_devices(client: Any, sandbox: Sandbox) -> None:
    application = client.get()
    assert (application.app_id, application.payload_format, application.decoder) == (sandbox.app_id, "", "")
    own = application.chirpstack
    assert (own.application.id, own.application.name) == (sandbox.application_id, sandbox.app_id)
    assert own.profiles == [] and sandbox.app_id in repr(own)
    with pytest.raises(ValueError, match="the application has no devices, and so no codec"):
        client.set_payload_format("cayennelpp")
    assert type(client.register()) is ttn.Empty


def test_functions_of_v2_run_as_one_script(client: Any, sandbox: Sandbox, front: Front) -> None:
    device = sandbox.device("soil-03")
    front.later.add("DeviceProfileService/Get")
    client.set_custom_payload_functions(ENCODER, DECODER, VALIDATOR, CONVERTER)
    # 58 fields, of which few are defined here: all go back as they came.
    assert UNKNOWN in front.told("DeviceProfileService/Update")
    front.later.clear()
    application = client.get()
    assert (application.encoder, application.decoder, application.validator, application.converter) == (
        ENCODER,
        DECODER,
        VALIDATOR,
        CONVERTER,
    )
    assert application.payload_format == "custom"
    (profile,) = application.chirpstack.profiles
    assert ENCODER in profile.payload_codec_script and profile.uplink_interval == 3600
    device.uplink(b"\x03", port=5)
    device.uplink(b"\x07", port=5)
    kept = events(sandbox, 3)
    assert kept[0].payload_fields.level == 6 and kept[0].payload_fields.port == 5
    told = [event for event in kept if event.__class__ is not ttn.UplinkMessage]
    assert [event.name for event in told] == ["up/errors"] and "the validator returned false" in told[0].error
    # The encoder is not told for which port it is.
    client.push_downlink("soil-03", {"level": 4}, 9)
    assert device.downlinks == [b"\x04\x01"]


def events(sandbox: Sandbox, count: int) -> list[Any]:
    """Give the first events that are kept of the device."""
    client = ApplicationClient(sandbox.application_id, sandbox.access_key, sandbox.management_address)
    with contextlib.closing(client):
        return [*itertools.islice(client.events("soil-03", timeout=PATIENCE), count)]


def test_what_is_not_mentioned_stays(client: Any, sandbox: Sandbox) -> None:
    sandbox.device("soil-03")
    client.set_custom_payload_functions(ENCODER, DECODER)
    client.set_payload_format("cayennelpp")
    application = client.get()
    assert (application.payload_format, application.decoder, application.encoder) == ("cayennelpp", DECODER, ENCODER)
    client.set_custom_payload_functions(converter=CONVERTER)
    application = client.get()
    assert (application.payload_format, application.decoder, application.converter) == ("custom", DECODER, CONVERTER)
    client.clear_custom_payload_functions("encoder", "converter")
    application = client.get()
    assert (application.decoder, application.encoder, application.converter) == (DECODER, "", "")
    client.clear_custom_payload_functions()
    client.set_payload_format("")
    assert client.get().chirpstack.profiles[0].payload_codec_script == ""


def test_a_script_of_another_hand_is_all_decoder(world: World, sandbox: Sandbox) -> None:
    with captured(world, sandbox, profile="abp-eu") as client:
        script = client.get().decoder
        assert "function decodeUplink(input)" in script and "function encodeDownlink(input)" in script
        assert client.get().encoder == ""
        client.set_payload_format("")
        client.set_payload_format("custom")
        assert client.get().decoder == script
        with pytest.raises(ValueError, match="an encodeDownlink of its own"):
            client.set_custom_payload_functions(ENCODER)
        with pytest.raises(ValueError, match="without converter and validator"):
            client.set_custom_payload_functions(validator=VALIDATOR)


def test_of_several_profiles_one_is_to_be_named(world: World, sandbox: Sandbox) -> None:
    with captured(world, sandbox) as client:
        application = client.get()
        assert (application.decoder, application.payload_format) == ("", "")
        names = sorted(profile.name for profile in application.chirpstack.profiles)
        assert names == ["abp-eu", "classc-eu", "otaa-eu"]
        assert client.get(profile="classc-eu").payload_format == "cayennelpp"
        with pytest.raises(
            ValueError,
            match=r'^profile is not clear: .*profiles "abp-eu", "classc-eu", "otaa-eu", .* profile= says which',
        ):
            client.set_payload_format("custom")
        client.set_payload_format("cayennelpp", profile="otaa-eu")
        client.set_custom_payload_functions(decoder=DECODER, profile="otaa-eu")
        assert client.get(profile="otaa-eu").decoder == DECODER
        client.clear_custom_payload_functions(profile="otaa-eu")
        with pytest.raises(ValueError, match='profile "nobody" is not valid'):
            client.get(profile="nobody")


def test_a_codec_that_others_use_is_not_changed_unless_it_is_named(sandbox: Sandbox, client: Any, front: Front) -> None:
    sandbox.device("soil-03")
    sandbox.add_application("neighbour", sandbox.access_key)
    sandbox.device("theirs", "neighbour")
    with pytest.raises(ValueError, match=r'devices of "neighbour" have it, too'):
        client.set_payload_format("cayennelpp")
    assert front.changes() == []
    client.set_payload_format("cayennelpp", profile="simulated")
    assert client.get().payload_format == "cayennelpp"


def test_an_application_is_deleted_when_that_is_meant(client: Any, sandbox: Sandbox, front: Front) -> None:
    sandbox.device("soil-03")
    with pytest.raises(
        ValueError, match="deletes the application with all its devices on ChirpStack: expected confirm"
    ):
        client.unregister()
    assert front.changes() == []
    client.unregister(confirm=True)
    with pytest.raises(ValueError, match="an application of this tenant, or its UUID"):
        client.register()


def test_two_applications_of_one_name_are_told_by_their_uuids(world: World, sandbox: Sandbox) -> None:
    tenant = world.ours[TENANT]
    key = sandbox.api_key("admin")
    with ApplicationClient("greenhouse-7", key, sandbox.management_address, tenant_id=tenant) as client:
        with pytest.raises(ValueError, match=world.ours[APPLICATION]):
            client.get()
        client.app_id = "other"
        assert client.get().chirpstack.application.name == "other"


def test_a_closed_client_says_so(sandbox: Sandbox) -> None:
    client = ApplicationClient(sandbox.application_id, sandbox.access_key, sandbox.management_address)
    client.close()
    with pytest.raises(NotConnectedError):
        client.get()
    with pytest.raises(AttributeError, match="ChirpStack"):
        _ = client.client


def test_a_handler_client_is_told_where_it_is(sandbox: Sandbox) -> None:
    options: Any = {"grpc_address": sandbox.management_address, "mqtt_address": sandbox.mqtt_address}
    with HandlerClient(sandbox.app_id, sandbox.access_key, tenant_id=sandbox.tenant_id, **options) as handler:
        assert "network='chirpstack'" in repr(handler) and sandbox.access_key not in repr(handler)
        announcement = handler.announcement
        assert (announcement.net_address, announcement.mqtt_address) == (
            sandbox.management_address,
            sandbox.mqtt_address,
        )
        with handler.application(profile="simulated") as client:
            client.register_device("soil_03", {"dev_eui": "70b3d57ed0000001", "app_key": "11" * 16})
            assert client.device("soil_03").app_id == sandbox.app_id
        data = handler.data(reconnect_max_delay=1)
        data.connect()
        mid = data.send("soil_03", b"\x01", port=2)
        # Over the API, which the handler was told of.
        assert data.downlink(mid).state == "queued"
        data.close()
        with pytest.raises(ValueError, match="identity_address is not an argument for ChirpStack"):
            handler.application(identity_address="localhost")
    with pytest.raises(ValueError, match="no address: a ChirpStack is nowhere to be discovered"):
        HandlerClient(APPLICATION, None)
    with pytest.raises(ValueError, match="grpc_address is not valid on The Things Stack V3"):
        HandlerClient("my-app", "key", network="v3", cluster="eu1", grpc_address="localhost")
    with pytest.raises(ValueError, match="tenant_id is not valid on The Things Network V2"):
        HandlerClient("my-app", "key", "localhost:1", tenant_id=TENANT)


def test_a_handler_client_of_asyncio(sandbox: Sandbox) -> None:
    async def program() -> None:
        options: Any = {"grpc_address": sandbox.management_address, "mqtt_address": sandbox.mqtt_address}
        async with (
            aio.HandlerClient(sandbox.application_id, sandbox.access_key, **options) as handler,
            await handler.application() as client,
        ):
            assert (await client.get()).chirpstack.application.name == sandbox.app_id
            assert client.network == "chirpstack"

    asyncio.run(program())


def test_discovery_answers_from_what_is_configured() -> None:
    with DiscoveryClient(grpc_address="localhost:8080", mqtt_address="broker.example:1883") as discovery:
        announcement = discovery.get_by_app_id(APPLICATION)
        assert (announcement.net_address, announcement.mqtt_address) == ("localhost:8080", "broker.example:1883")
        assert discovery.get_all("handler")[0] == announcement
        assert len(discovery.get_all("router")) == 0
        assert discovery.get("handler", "localhost") == announcement
        with pytest.raises(RpcError) as caught:
            discovery.get("router", "x")
        assert caught.value.code() is StatusCode.NOT_FOUND and "ChirpStack has no router" in caught.value.details()
        with pytest.raises(NotImplementedError, match="gateways"):
            discovery.get_by_gateway_id("eui-0016c001ff10a235")
        with pytest.raises(AttributeError, match="ChirpStack has no discovery server"):
            _ = discovery.client
        assert "network='chirpstack'" in repr(discovery)
    with pytest.raises(ValueError, match="an address with TLS"):
        DiscoveryClient(grpc_address="http://chirpstack.example:8080")


def test_a_server_behind_tls() -> None:
    identity = certificates.make(ca=True)
    server = PeerServer(identity)
    # A name of this machine is spoken to in plain text unless TLS is asked for.
    arguments = (APPLICATION, token(), f"https://{server.address}", identity.pem)
    with ApplicationClient(*arguments) as client:
        client.register()
    server.stop()
    assert {metadata["authorization"] for _, _, metadata, _ in server.calls} == {f"Bearer {token()}"}


def test_answers_that_cannot_be_read(peer: PeerServer) -> None:
    peer.answers = dict.fromkeys(("Get", "List", "ListDeviceProfiles", "GetQueue"), b"\n\xff")
    with ApplicationClient(APPLICATION, token(), peer.address) as client:
        for call in (client.get, client.devices, client.register, lambda: client.device("70b3d57ed005f1a2")):
            with pytest.raises(ApplicationError) as caught:
                call()
            assert caught.value.code is StatusCode.INTERNAL and isinstance(caught.value, DecodeError)
            assert "cannot decode" in str(caught.value) and token() not in str(caught.value)
