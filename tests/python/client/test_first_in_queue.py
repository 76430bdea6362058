"""What MQTT of The Things Stack V3 cannot do or does not say, asked of its gRPC servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
from faces import on_both_faces
from harness import PATIENCE, Recorder
from peers import PeerServer
from thingslink import DownlinkError, NotConnectedError, RpcError
from thingslink.sandbox import Sandbox
from thingslink.ttn import ApplicationClient, HandlerClient, MQTTClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Maker = Callable[..., MQTTClient]

KEY = "NNSXS." + "K" * 39 + "." + "S" * 52


@pytest.fixture(params=[None, "ttn"], ids=["own", "tenant"])
def stack(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with Sandbox(network="v3", tenant=request.param, seed=0, insecure=True) as sandbox:
        yield sandbox


def client_of(stack: Sandbox, make: Maker = MQTTClient, *, key: str | None = None, **options: Any) -> MQTTClient:
    managed = {"management_address": stack.management_address, "insecure_channel": True}
    return make(stack.username, key or stack.access_key, stack.mqtt_address, **{**managed, **options})


@on_both_faces
def test_first_goes_before_what_waits(stack: Sandbox, recorder: Recorder, mqtt_client: Maker) -> None:
    device = stack.device("dev-1")
    with recorder.watch(client_of(stack, mqtt_client)) as client:
        waiting = [
            client.send("dev-1", b"\x01", port=3, schedule="last", confirmation=True, confirmed_retry=5),
            client.send("dev-1", b"\x02", schedule="last", priority="HIGH", correlation_ids=["pump"]),
        ]
        assert [recorder.expect("downlink") for _ in waiting] == waiting
        front = client.send("dev-1", b"\x00", port=9, schedule="first", correlation_ids=["now"])
        assert recorder.expect("downlink") == front
        assert client.downlink(front).state == "queued"
        assert device.downlinks == [b"\x00", b"\x01", b"\x02"]
        device.uplink(b"\x05")
        assert client.downlink(front).wait("sent", PATIENCE) == "sent"
        assert (device.received[0].payload, device.received[0].port) == (b"\x00", 9)
        device.uplink(b"\x05")
        client.downlink(waiting[0]).wait("sent", PATIENCE)
        assert (device.received[1].payload, device.received[1].port) == (b"\x01", 3)
        assert device.received[1].confirmed
    assert not [entry for entry in recorder.drain() if entry[0] in {"downlink", "error"}]


@on_both_faces
def test_fields_go_first_as_well(stack: Sandbox, mqtt_client: Maker) -> None:
    device = stack.device("dev-1")
    with ApplicationClient(
        stack.app_id, stack.access_key, stack.management_address, insecure_channel=True
    ) as application:
        application.set_custom_payload_functions(encoder="function Encoder(o, port) { return [o.level, port]; }")
    with client_of(stack, mqtt_client) as client:
        client.send("dev-1", b"\x01", schedule="first")
        client.send("dev-1", {"level": 7}, port=3, schedule="first")
        assert device.downlinks == [b"\x07\x03", b"\x01"]


@on_both_faces
def test_first_fails_as_the_server_says(stack: Sandbox, mqtt_client: Maker) -> None:
    with client_of(stack, mqtt_client) as client:
        with pytest.raises(RpcError, match="NOT_FOUND"):
            client.send("nobody", b"\x01", schedule="first")
        stack.device("dev-1", joined=False)
        with pytest.raises(RpcError, match="no device session"):
            client.send("dev-1", b"\x01", schedule="first")
        with pytest.raises(ValueError, match="at least 1 byte"):
            client.send("dev-1", b"", schedule="first")


@on_both_faces
def test_first_needs_to_know_where(stack: Sandbox, mqtt_client: Maker) -> None:
    stack.device("dev-1")
    with (
        client_of(stack, mqtt_client, management_address=None) as client,
        pytest.raises(ValueError, match="no management address is known"),
    ):
        client.send("dev-1", b"\x01", schedule="first")


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (("app-1", KEY), {"cluster": "eu1"}),
        (("app-1", KEY, "nam1.cloud.thethings.network"), {}),
        (("app-1", KEY), {"cluster": "stack.example"}),
    ],
)
def test_where_is_known_of_clusters(arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    with pytest.raises(NotConnectedError):
        MQTTClient(*arguments, **options).send("dev-1", b"\x01", schedule="first")


def test_a_handler_client_says_where() -> None:
    with pytest.raises(NotConnectedError):
        HandlerClient("app-1", KEY, cluster="stack.example").data().send("dev-1", b"\x01", schedule="first")


def test_silence_has_a_reason(stack: Sandbox, recorder: Recorder) -> None:
    stack.device("dev-1")
    read, write = "RIGHT_APPLICATION_TRAFFIC_READ", "RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE"
    with recorder.watch(client_of(stack, queue_timeout=0.1)) as client:
        mid = client.send("nobody", b"\x01")
        error = recorder.expect("error")
        assert isinstance(error, DownlinkError) and (error.mid, error.state) == (mid, "unconfirmed")
        assert 'no device "nobody"' in str(error) and write not in str(error)
    for right, missing in ((read, write), (write, read)):
        stack.add_application(stack.app_id, KEY, [right])
        with recorder.watch(client_of(stack, key=KEY, queue_timeout=0.1)) as client:
            mid = client.send("dev-1", b"\x01")
            # A key that cannot read was told of at connect.
            while not isinstance(error := recorder.expect("error"), DownlinkError):
                assert missing == read
            assert error.mid == mid and f"the access key lacks {missing}" in str(error), str(error)


def test_v2_has_no_such_address() -> None:
    with pytest.raises(ValueError, match="management_address"):
        MQTTClient("app-1", "key", "h:1", management_address="h:2")
    with pytest.raises(ValueError, match="management_address"):
        MQTTClient("app-1", KEY, "h:1", management_address="mqtt://h:2")


class Between(PeerServer):
    """Passes calls on to a sandbox, and lets something happen before a queue is replaced."""

    def __init__(self, stack: Sandbox) -> None:
        self._channel: Any = grpc.insecure_channel(stack.management_address)
        self.meanwhile: Callable[[], object] = lambda: None
        super().__init__()

    def answer(self, path: str, request: bytes, context: grpc.ServicerContext) -> bytes:
        if path.endswith("/DownlinkQueueReplace"):
            self.meanwhile()
        metadata = [(key, value) for key, value in context.invocation_metadata() if key == "authorization"]
        return bytes(self._channel.unary_unary(path)(request, metadata=metadata, timeout=PATIENCE))

    def stop(self) -> None:
        super().stop()
        self._channel.close()


@pytest.fixture
def between(stack: Sandbox) -> Iterator[Between]:
    peer = Between(stack)
    yield peer
    peer.stop()


def test_what_is_sent_while_the_queue_is_written_anew_is_sent_again_and_told(
    stack: Sandbox, between: Between, eventually: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    device = stack.device("dev-1")
    with client_of(stack, management_address=between.address) as client:
        waiting = client.send("dev-1", b"\x01", schedule="last")
        client.downlink(waiting).wait("queued", PATIENCE)
        between.meanwhile = device.uplink
        client.send("dev-1", b"\x00", schedule="first")
        assert [downlink.payload for downlink in device.received] == [b"\x01"]
        assert device.downlinks == [b"\x00", b"\x01"], "it is sent twice, as is written down"
        eventually(lambda: "twice=1 lost=0" in caplog.text)


def test_what_is_queued_while_the_queue_is_written_anew_is_lost_and_told(
    stack: Sandbox, between: Between, eventually: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    device = stack.device("dev-1")
    with client_of(stack, management_address=between.address) as client, client_of(stack) as other:

        def push() -> None:
            other.downlink(other.send("dev-1", b"\x07", schedule="last")).wait("queued", PATIENCE)

        waiting = client.send("dev-1", b"\x01", schedule="last")
        client.downlink(waiting).wait("queued", PATIENCE)
        between.meanwhile = push
        client.send("dev-1", b"\x00", schedule="first")
        assert device.downlinks == [b"\x00", b"\x01"], "the other one is gone, as is written down"
        eventually(lambda: "twice=0 lost=1" in caplog.text)


def test_nothing_is_told_where_nothing_happens_meanwhile(
    stack: Sandbox, between: Between, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    stack.device("dev-1")
    with recorder.watch(client_of(stack, management_address=between.address)) as client:
        mids = [client.send("dev-1", b"\x01", schedule="last"), client.send("dev-1", b"\x00", schedule="first")]
        mids.append(client.send("dev-1", b"\x02", schedule="last"))
        for mid in mids:
            client.downlink(mid).wait("queued", PATIENCE)
    assert "the queue" not in caplog.text
