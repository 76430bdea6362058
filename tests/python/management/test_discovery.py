"""Discovery, and the handler that it leads to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from harness import Recorder
from peers import PeerServer
from thingslink import RpcError, StatusCode, ttn
from thingslink.sandbox import Sandbox
from thingslink.ttn import ApplicationClient, DiscoveryClient, HandlerClient, MQTTClient

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def ca_file(sandbox: Sandbox, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    path.write_text(sandbox.ca_certs)
    return path


@pytest.fixture
def plain() -> Iterator[Sandbox]:
    with Sandbox(insecure=True) as sandbox:
        yield sandbox


def test_components_are_found(sandbox: Sandbox) -> None:
    with DiscoveryClient(sandbox.discovery_address, sandbox.ca_certs.encode()) as client:
        component: Any = {"ID": "sandbox-handler"}
        (handler,) = client.get_all("handler")
        assert handler.net_address == sandbox.handler_address and handler.mqtt_address == sandbox.mqtt_address
        assert [entry.app_id for entry in handler.metadata] == [sandbox.app_id]
        assert client.get("handler", "sandbox-handler") == client.get("handler", **component) == handler
        by_app = client.get_by_app_id(sandbox.app_id)
        assert by_app == client.get_by_app_id(sandbox.app_id.encode()) and not by_app.metadata
        assert client.get_by_gateway_id("barn-roof").service_name == "router"
        sandbox.device("node-1")
        assert client.get_by_app_eui("70B3D57ED00000AA") == client.get_by_app_eui(bytes.fromhex("70b3d57ed00000aa"))
        assert len(client.get_all("", limit=2, offset=1)) == 2
        assert hasattr(client, "client")
        missing: Any
        for missing in (
            lambda: client.get_by_app_id("none-app"),
            lambda: client.get_by_gateway_id("none"),
            lambda: client.get_by_app_eui("00" * 8),
            lambda: client.get("handler", "none"),
        ):
            with pytest.raises(RpcError) as caught:
                missing()
            assert caught.value.code() is StatusCode.NOT_FOUND and "not found" in caught.value.details()


def test_wrong_arguments_are_told(sandbox: Sandbox) -> None:
    client = DiscoveryClient(sandbox.discovery_address, sandbox.ca_certs)
    with pytest.raises(TypeError, match="app_id must be str, not int"):
        client.get_by_app_id(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="missing required argument: 'id'"):
        client.get("handler")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="app_eui is not valid"):
        client.get_by_app_eui("00")
    for address in ("", "h:x", "http://h", "a b:1", "h:1,,h:2"):
        with pytest.raises(ValueError, match="discovery_address"):
            DiscoveryClient(address)


def test_discovery_has_no_deadline_and_no_metadata_of_ours(peer: PeerServer) -> None:
    DiscoveryClient(peer.address, insecure_channel=True).get_by_app_id("demo-app")
    ((path, request, metadata, left),) = peer.calls
    assert path == "/discovery.Discovery/GetByAppID" and request.hex() == "f2010864656d6f2d617070"
    # gRPC's own server says "as long as it lives" with a huge number.
    assert left is None or left > 1e6
    assert set(metadata) <= {"user-agent"}


def test_the_whole_path_over_tls(sandbox: Sandbox, ca_file: Path, recorder: Recorder) -> None:
    with HandlerClient(sandbox.app_id, sandbox.access_key, sandbox.discovery_address, str(ca_file)) as handler:
        assert handler.announcement.mqtt_address == sandbox.mqtt_address
        application = handler.application()
        application.register_device("node-1", {"dev_eui": "11" * 8})
        data = recorder.watch(handler.data())
        data.connect()
        sandbox.device("node-1").uplink(b"\x01")
        assert recorder.expect("uplink").dev_id == "node-1"
        data.close()
        assert handler.data() is not handler.data() and isinstance(handler.data(), MQTTClient)
        assert isinstance(handler.application(), ApplicationClient)


@pytest.mark.parametrize("form", [str, Path, "pem text", "pem bytes"])
def test_cert_path_in_any_form(form: Any, sandbox: Sandbox, ca_file: Path) -> None:
    path = {"pem text": sandbox.ca_certs, "pem bytes": sandbox.ca_certs.encode(), str: str(ca_file)}.get(form, ca_file)
    options: Any = {"app_access_key": "x", "discovery_address": sandbox.discovery_address, "cert_path": path}
    handler = HandlerClient(sandbox.app_id, **options)
    assert handler.app_access_key == "x"


def test_a_missing_certificate_file_is_told(sandbox: Sandbox) -> None:
    with pytest.raises(FileNotFoundError):
        HandlerClient(sandbox.app_id, "k", sandbox.discovery_address, "/no/such/file.pem")


def test_plain_text(plain: Sandbox, recorder: Recorder) -> None:
    handler = HandlerClient(plain.app_id, plain.access_key, plain.discovery_address, insecure_channel=True)
    assert handler.insecure_channel and handler.announcement.certificate == ""
    assert handler.application().get().app_id == plain.app_id
    assert DiscoveryClient(plain.discovery_address, "", True).get_by_app_id(plain.app_id).id == "sandbox-handler"
    with ApplicationClient(
        plain.app_id, plain.access_key, "", "junk", plain.discovery_address, insecure_channel=True
    ) as application:
        assert application.get().app_id == plain.app_id
    client = recorder.watch(
        MQTTClient(plain.app_id, plain.access_key, discovery_address=plain.discovery_address, insecure_channel=True)
    )
    client.connect()
    assert recorder.expect("connect") is True and plain.mqtt_address in repr(client)
    client.close()


def test_an_unknown_application_is_told_at_once(sandbox: Sandbox, plain: Sandbox) -> None:
    with pytest.raises(RpcError) as caught:
        HandlerClient("none-app", "k", sandbox.discovery_address, sandbox.ca_certs)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    with pytest.raises(RpcError, match="NOT_FOUND"):
        MQTTClient("none-app", "k", discovery_address=plain.discovery_address, insecure_channel=True).connect()


def test_a_discovery_server_that_is_not_there(closed_port: int) -> None:
    for act in (
        lambda address: HandlerClient("demo-app", "k", address),
        lambda address: DiscoveryClient(address).get_all("handler"),
        lambda address: ApplicationClient("demo-app", "k", discovery_address=address),
        lambda address: MQTTClient("demo-app", "k", discovery_address=address).connect(),
    ):
        with pytest.raises(RpcError) as caught:
            act(f"127.0.0.1:{closed_port}")
        assert caught.value.code() is StatusCode.UNAVAILABLE and str(closed_port) in caught.value.details()


def test_addresses_are_tried_in_order(sandbox: Sandbox, closed_port: int) -> None:
    addresses = f"127.0.0.1:{closed_port},{sandbox.handler_address}"
    client = ApplicationClient(sandbox.app_id, sandbox.access_key, addresses, sandbox.ca_certs)
    assert client.get().app_id == sandbox.app_id


def test_credentials_are_asked_for() -> None:
    with pytest.raises(RuntimeError, match="You need to provide credentials"):
        ApplicationClient("demo-app", "k", "127.0.0.1:1")
    with pytest.raises(RuntimeError, match="no PEM certificate"):
        ApplicationClient("demo-app", "k", net_address="127.0.0.1:1", cert_content="junk")


def test_the_announcement_can_be_replaced(sandbox: Sandbox, plain: Sandbox) -> None:
    handler = HandlerClient(plain.app_id, plain.access_key, plain.discovery_address, insecure_channel=True)
    handler.announcement = ttn.Announcement(mqtt_address="h:1", net_address=sandbox.handler_address)
    assert "mqtt_address='h:1'" in repr(handler.data())
    handler.announcement = ttn.Announcement(net_address=sandbox.handler_address, certificate=sandbox.ca_certs)
    assert handler.application().get().app_id == sandbox.app_id
    handler.announcement = ttn.Announcement()
    with pytest.raises(RuntimeError, match="no net_address"):
        handler.application()
    del handler.announcement
    for act in (handler.data, handler.application):
        with pytest.raises(RuntimeError, match="No announcement"):
            act()
