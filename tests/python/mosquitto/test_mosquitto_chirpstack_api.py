"""``MQTTClient`` on ChirpStack with its API at hand, on gRPC's own server."""

from __future__ import annotations

import asyncio
import importlib
import logging
import threading
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from chirpstack_peer import APPLICATION, DEVICE, NAME, Peer, token
from harness import Mosquitto, Recorder
from peers import PeerServer
from thingslink import DownlinkError, RpcError, aio
from thingslink.ttn import MQTTClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from peers import Generated

TENANT = "2f4a0ff2-5e8a-426b-abe8-3fb96cd53b18"
OTHER = "70b3d57ed005f1a3"


class Api(PeerServer):
    """Two devices of one application, and a queue."""

    def __init__(self, generated: Generated) -> None:
        for name in ("application", "device", "device_profile"):
            importlib.import_module(f"chirpstack.{name}_pb2")
        self.message: Callable[[str], Any] = lambda name: generated.message(f"api.{name}")
        self.items: list[Any] = []
        self.names: list[str] = []
        self.runtime = 2
        self.applications = {APPLICATION: NAME}
        self.tags = {DEVICE: "soil_03", OTHER: ""}
        #: Where calls came from.
        self.peers: set[str] = set()
        self.enqueued = threading.Event()
        super().__init__()

    def answer(self, path: str, request: bytes, context: grpc.ServicerContext) -> bytes:
        super().answer(path, request, context)
        self.peers.add(context.peer())
        metadata = dict(context.invocation_metadata())
        if metadata.get("authorization") != f"Bearer {token()}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "InvalidToken")
        name = path.rpartition(".")[2].replace("/", "")
        return bytes(getattr(self, name)(request, context).SerializeToString())

    def ApplicationServiceGet(self, request: bytes, context: grpc.ServicerContext) -> Any:  # noqa: N802
        asked = self.message("GetApplicationRequest").FromString(request).id
        if asked not in self.applications:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "")
        answer = self.message("GetApplicationResponse")()
        answer.application.id, answer.application.name = asked, self.applications[asked]
        return answer

    def ApplicationServiceList(self, request: bytes, _context: grpc.ServicerContext) -> Any:  # noqa: N802
        asked = self.message("ListApplicationsRequest").FromString(request)
        assert asked.tenant_id == TENANT and asked.limit > 0
        answer = self.message("ListApplicationsResponse")()
        for uuid, name in self.applications.items():
            if asked.search.lower() in name.lower():
                answer.result.add(id=uuid, name=name)
        return answer

    def DeviceServiceList(self, request: bytes, _context: grpc.ServicerContext) -> Any:  # noqa: N802
        asked = self.message("ListDevicesRequest").FromString(request)
        assert asked.application_id == APPLICATION and asked.limit > 0
        answer = self.message("ListDevicesResponse")()
        for eui, tag in self.tags.items():
            if asked.tags.get("dev_id", tag) == tag and asked.search in "probe":
                answer.result.add(dev_eui=eui, name="probe", tags={"dev_id": tag} if tag else {})
        return answer

    def DeviceServiceGet(self, _request: bytes, _context: grpc.ServicerContext) -> Any:  # noqa: N802
        answer = self.message("GetDeviceResponse")()
        answer.device.device_profile_id = "p"
        return answer

    def DeviceProfileServiceGet(self, _request: bytes, _context: grpc.ServicerContext) -> Any:  # noqa: N802
        answer = self.message("GetDeviceProfileResponse")()
        answer.device_profile.payload_codec_runtime = self.runtime
        return answer

    def DeviceServiceEnqueue(self, request: bytes, context: grpc.ServicerContext) -> Any:  # noqa: N802
        asked = self.message("EnqueueDeviceQueueItemRequest").FromString(request)
        if asked.queue_item.dev_eui not in self.tags:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "")
        self.items.append(asked)
        answer = self.message("EnqueueDeviceQueueItemResponse")()
        answer.id = f"11111111-0000-4000-8000-{len(self.items):012d}"
        return answer


@pytest.fixture
def api(generated: Generated) -> Iterator[Api]:
    api = Api(generated)
    yield api
    api.stop()


@pytest.fixture
def peer(mosquitto: Mosquitto) -> Iterator[Peer]:
    peer = Peer(mosquitto.port, (mosquitto.app_id, mosquitto.access_key))
    yield peer
    peer.stop()


def client_of(broker: Mosquitto, api: Api, app_id: str = APPLICATION, **more: Any) -> MQTTClient:
    login: dict[str, Any] = {"mqtt_username": broker.app_id, "mqtt_password": broker.access_key}
    return MQTTClient(app_id, token(), broker.address, grpc_address=api.address, **{**login, **more})


def test_application_and_key_are_checked_at_connect(mosquitto: Mosquitto, api: Api) -> None:
    wrong = client_of(mosquitto, api, "00000000-0000-4000-8000-000000000000")
    with pytest.raises(RpcError, match="not found, or not allowed"):
        wrong.connect()
    login: dict[str, Any] = {"mqtt_username": mosquitto.app_id, "mqtt_password": mosquitto.access_key}
    with pytest.raises(RpcError, match="InvalidToken"):
        MQTTClient(APPLICATION, "no-key", mosquitto.address, grpc_address=api.address, **login).connect()
    with client_of(mosquitto, api) as client:
        assert client.is_connected and f"application='{APPLICATION}'" in repr(client)


def test_a_server_that_is_away_keeps_nobody_from_the_broker(
    mosquitto: Mosquitto, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    api.stop()
    with caplog.at_level(logging.WARNING, "thingslink"), client_of(mosquitto, api) as client:
        assert client.is_connected
    assert any("were not checked" in record.getMessage() for record in caplog.records)


def test_a_name_is_found_before_anything_was_heard(
    mosquitto: Mosquitto, api: Api, peer: Peer, recorder: Recorder
) -> None:
    client = recorder.watch(client_of(mosquitto, api, NAME, tenant_id=TENANT))
    client.connect()
    assert f"application='{APPLICATION}'" in repr(client)
    client.send("soil_03", b"\1", schedule="last")
    assert api.items[0].queue_item.dev_eui == DEVICE
    peer.uplink()
    assert recorder.expect("uplink").dev_id == "soil_03"
    with pytest.raises(ValueError, match=f"{DEVICE} and {OTHER}"):
        client.send("probe", b"\1")
    with pytest.raises(ValueError, match="nobody"):
        client.send("nobody", b"\1")
    client.close()
    api.applications["d49fa6c7-3dc9-4053-b67b-3417d0872f0b"] = NAME
    with pytest.raises(ValueError, match="are called that"):
        client_of(mosquitto, api, NAME, tenant_id=TENANT).connect()
    with pytest.raises(ValueError, match="app_id"):
        client_of(mosquitto, api, "green", network="chirpstack", tenant_id=TENANT).connect()


def test_the_answer_is_the_proof(mosquitto: Mosquitto, api: Api, peer: Peer, recorder: Recorder) -> None:
    client = recorder.watch(client_of(mosquitto, api))
    client.connect()
    mid = client.send(DEVICE, b"\2\x0f", port=10, confirmation=True)
    asked = api.items[0]
    assert (asked.queue_item.f_port, asked.queue_item.data, asked.queue_item.confirmed) == (10, b"\2\x0f", True)
    assert asked.flush_queue, "replace empties the queue first"
    handle = client.downlink(mid)
    assert handle.state == "queued" and recorder.expect("downlink") == mid
    peer.event("txack", queueItemId="11111111-0000-4000-8000-000000000001", fCntDown=1)
    assert handle.wait("sent") == "sent"
    peer.event("ack", queueItemId="11111111-0000-4000-8000-000000000001", acknowledged=False)
    with pytest.raises(DownlinkError, match="nacked"):
        handle.wait("acked")
    client.send(DEVICE, {"on": True}, schedule="last")
    assert not api.items[1].flush_queue and api.items[1].queue_item.object["on"] is True
    api.runtime = 0
    with pytest.raises(ValueError, match="no codec"):
        client.send(DEVICE, {"on": True})
    with pytest.raises(RpcError, match="not found, or not allowed"):
        client.send("0102030405060708", b"\1")
    assert len(api.items) == 2 and peer.commands == [], "nothing went to the broker"
    client.close()


def test_a_burst_keeps_its_order(mosquitto: Mosquitto, api: Api) -> None:
    async def program() -> None:
        login: dict[str, Any] = {"mqtt_username": mosquitto.app_id, "mqtt_password": mosquitto.access_key}
        async with aio.MQTTClient(APPLICATION, token(), mosquitto.address, grpc_address=api.address, **login) as client:
            sends = [client.send(DEVICE, b"\1", port, schedule="last") for port in range(1, 41)]
            downlinks = await asyncio.gather(*sends)
            assert {downlink.state for downlink in downlinks} == {"queued"}

    asyncio.run(program())
    assert [item.queue_item.f_port for item in api.items] == list(range(1, 41))
    assert len(api.peers) == 1, "over one connection"
