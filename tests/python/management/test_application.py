"""An application's settings, dry runs, simulated uplinks, and errors."""

from __future__ import annotations

import logging
import pickle
from typing import Any

import grpc
import pytest
import thingslink
from faces import managed_by_both_faces
from peers import PeerServer
from thingslink import ApplicationError, RpcError, StatusCode, ttn
from thingslink.sandbox import Sandbox
from thingslink.ttn import ApplicationClient

DECODER = "function Decoder(bytes, port) { console.log('port', port); return {led: bytes[0] === 1}; }"
ENCODER = "function Encoder(object, port) { return [object.led ? 1 : 0]; }"


@managed_by_both_faces
def test_functions_that_are_not_given_stay(application: ApplicationClient, capsys: pytest.CaptureFixture[str]) -> None:
    application.set_custom_payload_functions(decoder=DECODER, encoder=ENCODER)
    application.set_custom_payload_functions(
        validator="function Validator() { return true; }", decoder="", encoder=None
    )
    application.set_payload_format("cayennelpp")
    application.set_payload_format(payloadf="custom")
    application.set_register_on_join_access_key("ttn-account-v2.join")
    got = application.get()
    assert (got.decoder, got.encoder, got.converter) == (DECODER, ENCODER, "")
    assert got.validator and got.payload_format == "custom"
    assert got.register_on_join_access_key == "ttn-account-v2.join"
    application.clear_custom_payload_functions("validator")
    assert application.get().validator == "" and application.get().decoder == DECODER
    application.clear_custom_payload_functions()
    assert application.get().decoder == application.get().encoder == ""
    assert capsys.readouterr().out == ""


@managed_by_both_faces
def test_functions_are_taken_by_position_in_the_documented_order(application: ApplicationClient) -> None:
    application.set_custom_payload_functions("E", "D", "V", "C")
    got = application.get()
    assert (got.encoder, got.decoder, got.validator, got.converter) == ("E", "D", "V", "C")


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (lambda a: a.set_payload_format("cayenne"), ValueError, 'payload_format "cayenne" is not valid'),
        (lambda a: a.set_payload_format(), TypeError, "payload_format"),
        (lambda a: a.set_payload_format("custom", nonsense=1), TypeError, "nonsense"),
        (lambda a: a.set_custom_payload_functions(nonsense="x"), TypeError, "nonsense"),
        (lambda a: a.set_custom_payload_functions(decoder=5), TypeError, "decoder"),
        (lambda a: a.clear_custom_payload_functions("decodr"), ValueError, "unknown payload function"),
        (lambda a: a.dry_uplink(b"", functions={"nonsense": "x"}), ValueError, "unknown payload function"),
        (
            lambda a: a.dry_uplink(5),
            TypeError,
            "payload must be bytes, a list of integers from 0 to 255 or hex text, not int",
        ),
        (lambda a: a.simulate_uplink("node-1", b"", port=256), ValueError, "port 256"),
        (lambda a: a.get(timeout=-1), ValueError, "timeout"),
        (lambda a: a.get(timeout="x"), TypeError, "timeout"),
    ],
)
def test_wrong_arguments_are_told_before_any_call(act: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        act(ApplicationClient("demo-app", "key", "127.0.0.1:1", insecure_channel=True))


@managed_by_both_faces
def test_dry_runs(application: ApplicationClient) -> None:
    application.set_custom_payload_functions(decoder=DECODER, encoder=ENCODER)
    result = application.dry_uplink("01", 7)
    assert (result.payload, result.fields, result.valid) == (b"\x01", '{"led":true}', True)
    assert [(log.function, list(log.fields)) for log in result.logs] == [("Decoder", ['"port"', "7"])]
    assert application.dry_downlink({"led": True}).payload == b"\x01"
    assert application.dry_downlink(b"\x05").payload == b"\x05"
    assert application.dry_uplink(b"\x02", functions={"decoder": "function Decoder(b) { return {n: b[0]}; }"}).fields
    assert application.dry_uplink(b"\x02", functions={}).fields == "null"
    assert (
        application.dry_uplink("0167FFD7", functions={"payload_format": "cayennelpp"}).fields
        == '{"temperature_1":-4.1}'
    )
    with pytest.raises(ApplicationError) as caught:
        application.dry_uplink(b"\x01", functions={"decoder": "function Decoder() { return x; }"})
    assert "ReferenceError: x is not defined" in caught.value.details
    with pytest.raises(ApplicationError) as caught:
        application.dry_uplink(b"\x01", functions={"payload_format": "cayenne"})
    assert caught.value.details == "App not valid: unknown payload format"


@managed_by_both_faces
def test_an_application_is_deleted_and_registered_again(application: ApplicationClient, sandbox: Sandbox) -> None:
    application.register_device("node-1", {"dev_eui": "11" * 8})
    application.unregister()
    assert sandbox.devices() == []
    with pytest.raises(ApplicationError, match="application: NOT_FOUND"):
        application.get()
    application.register()
    assert application.get().app_id == sandbox.app_id and not application.devices()
    with pytest.raises(ApplicationError, match="ALREADY_EXISTS"):
        application.register()


@pytest.mark.parametrize(
    ("call", "arguments", "args"),
    [
        ("get", [], ("Error while getting the", " application: UNAVAILABLE")),
        ("set_payload_format", ["custom"], ("Error while updating the", " application: UNAVAILABLE")),
        ("set_custom_payload_functions", ["x"], ("Error while updating the", " application: UNAVAILABLE")),
        ("unregister", [], ("Error while deleting the", " application: UNAVAILABLE")),
        ("register_device", ["ab", {}], ("Error when updating the", " device: UNAVAILABLE")),
        ("device", ["ab"], ("Error while getting the", " device: UNAVAILABLE")),
        ("devices", [], ("Error while getting the", " list of devices: UNAVAILABLE")),
        ("update_device", ["ab", {}], ("Error while getting the", " device: UNAVAILABLE")),
        ("delete_device", ["ab"], ("Error while deleting the", " device: UNAVAILABLE")),
    ],
)
def test_errors_have_the_originals_arguments(call: str, arguments: list[Any], args: tuple[str, str]) -> None:
    client = ApplicationClient("demo-app", "5ec7e7", "127.0.0.1:1", insecure_channel=True)
    with pytest.raises(RuntimeError) as caught:
        getattr(client, call)(*arguments)
    error = caught.value
    assert isinstance(error, ApplicationError) and isinstance(error, thingslink.ThingsError)
    assert error.args == args and str(error) == str(args)
    assert error.code is StatusCode.UNAVAILABLE and "127.0.0.1:1" in error.details
    assert isinstance(error.__cause__, RpcError) and error.__cause__.details() == error.details
    theirs: Any = grpc.StatusCode.UNAVAILABLE
    assert error.code == theirs
    assert theirs == error.code
    again = pickle.loads(pickle.dumps(error))
    assert again.args == args and again.code is error.code and again.details == error.details


def test_the_key_is_told_by_nobody(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "ttn-account-v2.5ec7e7"
    client = ApplicationClient(sandbox.app_id, secret, sandbox.handler_address, sandbox.ca_certs)
    with pytest.raises(ApplicationError) as caught:
        client.get()
    assert caught.value.code is StatusCode.PERMISSION_DENIED
    shown = [repr(client), str(caught.value), repr(caught.value), caught.value.details, str(caught.value.__cause__)]
    with pytest.raises(ValueError, match="access_key is not valid") as bad:
        ApplicationClient(sandbox.app_id, "5ec7e7\nx", sandbox.handler_address, sandbox.ca_certs)
    shown += [str(bad.value), caplog.text, *capfd.readouterr()]
    assert not any("5ec7e7" in text for text in shown)


@managed_by_both_faces
def test_key_and_application_are_read_at_each_call(sandbox: Sandbox, application: ApplicationClient) -> None:
    sandbox.add_application("other-app", "other-key")
    application.app_id, application.app_access_key = "other-app", "other-key"
    assert application.get().app_id == "other-app"
    nobody = ApplicationClient(sandbox.app_id, None, sandbox.handler_address, sandbox.ca_certs)
    with pytest.raises(ApplicationError) as caught:
        nobody.get()
    assert caught.value.details == "Metadata not valid: neither token nor key present"
    with ApplicationClient("other-app", "x", sandbox.handler_address, sandbox.ca_certs, token="other-key") as by_token:
        assert by_token.get().app_id == "other-app"


def test_what_the_server_sees(peer: PeerServer) -> None:
    device = ttn.Device(dev_id="node-1", lorawan_device={"f_cnt_up": 3})
    # A field of a newer server.
    peer.answers["GetDevice"] = device.SerializeToString() + b"\x9a\x06\x03new"
    client = ApplicationClient("demo-app", "the-key", peer.address, insecure_channel=True)
    client.get()
    client.delete_device("node-1")
    client.update_device("node-1", {"description": "x"})
    client.devices(limit=5, offset=10)
    client.get(timeout=7)
    token = ApplicationClient("demo-app", "k", peer.address, insecure_channel=True, token="a-token")
    token.get()
    paths = [path for path, *_ in peer.calls]
    manager = "/handler.ApplicationManager/"
    assert [path.removeprefix(manager) for path in paths] == [
        "GetApplication",
        "DeleteDevice",
        "GetDevice",
        "SetDevice",
        "GetDevicesForApplication",
        "GetApplication",
        "GetApplication",
    ]
    assert peer.calls[0][1].hex() == "0a0864656d6f2d617070"
    timeouts = [round(left or 0) for *_, left in peer.calls]
    assert timeouts == [30, 60, 30, 30, 30, 7, 30]
    assert all(metadata.get("key") == "the-key" for _, _, metadata, _ in peer.calls[:-1])
    assert peer.calls[-1][2]["token"] == "a-token" and "key" not in peer.calls[-1][2]
    assert (peer.calls[4][2]["limit"], peer.calls[4][2]["offset"]) == ("5", "10")
    assert b"\x9a\x06\x03new" in peer.calls[3][1]


def test_the_module_variable_is_the_deadline(peer: PeerServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ttn.application, "TIME_OUT", 12)
    ApplicationClient("demo-app", "key", peer.address, insecure_channel=True).get()
    assert round(peer.calls[0][3] or 0) == 12


class Stub:
    """What the original's own tests put in the place of gRPC's stub."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Any, Any, Any]] = []

    def __getattr__(self, name: str) -> Any:
        def call(request: Any, timeout: Any, metadata: Any) -> Any:
            self.seen.append((name, request, timeout, metadata))
            return {
                "GetApplication": ttn.Application(app_id="stubbed", decoder="D"),
                "GetDevice": ttn.Device(dev_id="stubbed"),
                "GetDevicesForApplication": type("List", (), {"devices": ["a", "b"]}),
            }.get(name, "unchanged")

        return call


def test_a_stub_can_be_put_in_the_clients_place() -> None:
    client = ApplicationClient("demo-app", "the-key", "127.0.0.1:1", insecure_channel=True)
    client.client = stub = Stub()
    assert client.get().app_id == "stubbed" and client.devices() == ["a", "b"]
    assert client.unregister() == "unchanged"
    client.set_payload_format("custom")
    client.register_device("node-1", {"appEui": "70B3D57ED00000AA"})
    client.update_device("node-1", {"description": "x"})
    name, request, timeout, metadata = stub.seen[0]
    assert (name, request.app_id, timeout, metadata) == ("GetApplication", "demo-app", 30, [("key", "the-key")])
    written = [request for name, request, *_ in stub.seen if name == "SetDevice"]
    assert written[0].lorawan_device.app_eui.hex() == "70b3d57ed00000aa" and written[1].description == "x"
    (settings,) = [request for name, request, *_ in stub.seen if name == "SetApplication"]
    assert settings.decoder == "D" and settings.payload_format == "custom"


def test_errors_of_a_stub_in_the_clients_place() -> None:
    class Failed(grpc.RpcError):
        def code(self) -> grpc.StatusCode:
            return grpc.StatusCode.NOT_FOUND

        def details(self) -> str:
            return "no such thing"

    class Failing:
        def GetApplication(self, *_: Any) -> None:  # noqa: N802 - gRPC's name
            raise Failed

    client = ApplicationClient("demo-app", "key", "127.0.0.1:1", insecure_channel=True)
    client.client = Failing()
    with pytest.raises(ApplicationError) as caught:
        client.get()
    assert caught.value.args[1] == " application: NOT_FOUND" and caught.value.details == "no such thing"
    assert isinstance(caught.value.__cause__, Failed)


def test_the_native_stub_is_called_as_grpcs_own(application: ApplicationClient) -> None:
    request = ttn.Application(app_id="demo-app")
    with pytest.raises(TypeError, match=r"handler\.ApplicationIdentifier"):
        application.client.GetApplication(request, 5)
    with pytest.raises(AttributeError, match="no method 'Nonsense'"):
        _ = application.client.Nonsense


def test_a_closed_client_says_so(sandbox: Sandbox) -> None:
    with ApplicationClient(sandbox.app_id, sandbox.access_key, sandbox.handler_address, sandbox.ca_certs) as client:
        client.get()
    with pytest.raises(thingslink.NotConnectedError):
        client.get()


@pytest.mark.parametrize("module", ["application", "handler", "discovery"])
def test_the_originals_modules_are_there(module: str) -> None:
    name = {"application": "ApplicationClient", "handler": "HandlerClient", "discovery": "DiscoveryClient"}[module]
    assert getattr(getattr(ttn, module), name) is getattr(thingslink, name) is getattr(ttn, name)
