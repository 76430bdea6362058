"""Both generations of the older package, on the sandbox."""

from __future__ import annotations

import _thread
import asyncio
import json
import logging
import queue
import signal
import sys
import textwrap
import threading
import traceback
from typing import TYPE_CHECKING, Any

import pytest
import thingslink
from harness import PATIENCE, RawServer, running
from thingslink import ttnmqtt
from thingslink.sandbox import Sandbox
from thingslink.ttnmqtt import v1, v2

if TYPE_CHECKING:
    from collections.abc import Callable

#: As programs have it; without a type, since it makes clients of two.
mqtt: Any = ttnmqtt.MQTTClient

EUI = "70B3D57ED00000AA"
KEY = "ttn-account-v2.demo"


class Events:
    """Callbacks that hand what they get to the test's thread."""

    def __init__(self) -> None:
        self.queue: queue.Queue[tuple[str, Any]] = queue.Queue()

    def on(self, kind: str) -> Callable[..., None]:
        def callback(value: Any, client: Any) -> None:
            self.queue.put((kind, value))

        return callback

    def expect(self, kind: str) -> Any:
        while True:
            came, value = self.queue.get(timeout=PATIENCE)
            if came == kind:
                return value


@pytest.fixture
def events() -> Events:
    return Events()


def port_of(sandbox: Sandbox) -> tuple[str, int]:
    host, port = sandbox.mqtt_address.split(":")
    return host, int(port)


# -- which generation --


@pytest.mark.parametrize(
    ("args", "kwargs", "generation"),
    [
        (("app", EUI, KEY, "node-1"), {}, v1),
        (("app", EUI, "node-1", KEY), {}, v1),
        (("app", EUI, KEY), {}, v1),
        (("app", "", "secret"), {"DEVID": "node-1"}, v1),
        ((), {"APPID": "app", "APPEUI": EUI, "PSW": KEY}, v1),
        (("app", KEY, "127.0.0.1:1"), {}, v2),
        (("app", KEY), {"mqttAddress": "127.0.0.1:1"}, v2),
        ((), {"appID": "app", "appAccessKey": KEY, "mqttAddress": "127.0.0.1:1"}, v2),
    ],
)
def test_the_arguments_choose_the_generation(args: tuple[str, ...], kwargs: dict[str, str], generation: Any) -> None:
    client: Any = mqtt(*args, **kwargs)
    assert isinstance(client, mqtt)
    device: Any = getattr(client, "DEVID", None)
    assert type(client) is generation.MQTTClient
    assert ("first" if generation is v1 else "second") + " generation" in repr(client)
    assert KEY not in repr(client)
    if generation is v1 and len(args) == 4:
        assert device == "node-1"


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {}),
        (("app",), {}),
        (tuple("abcde"), {}),
        (("app",), {"appAccessKey": "k", "PSW": "x"}),
        (("a", "b"), {"x": 1}),
    ],
)
def test_impossible_arguments_show_the_accepted_forms(args: tuple[str, ...], kwargs: dict[str, Any]) -> None:
    with pytest.raises(TypeError) as caught:
        mqtt(*args, **kwargs)
    assert "accepted forms" in str(caught.value) or "unexpected keyword" in str(caught.value)


# -- second generation --


def test_the_second_generation_connects_at_once(sandbox: Sandbox, events: Events, capsys: Any) -> None:
    client = mqtt(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address)
    # Set right after the constructor, as the documentation asks: it misses nothing.
    client.setConnectCallback(events.on("connect"))
    client.setUplinkCallback(events.on("uplink"))
    client.setDownlinkCallback(events.on("downlink"))
    client.setCloseCallback(events.on("close"))
    assert events.expect("connect") == 0 and client.connectFlag == 1 and client.disconnectFlag == 2
    device = sandbox.device("node-1")
    device.uplink(b"\x01", fields={"led": True})
    msg = events.expect("uplink")
    assert msg.dev_id == "node-1" and msg.payload_fields.led is True and msg["port"] == 1
    client.send("node-1", "AQ==")
    assert events.expect("downlink") == client.midCounter == 2
    client.start()
    client.stop()
    assert events.expect("close") == 0 and (client.connectFlag, client.disconnectFlag) == (0, 1)
    client.connect()
    assert events.expect("connect") == 0
    client.close()
    printed = capsys.readouterr().out
    for line in (
        "MQTT client connected and subscribed",
        "received message from node-1",
        'publishing message to node-1: {"port": 1, "schedule": "replace", "payload_raw": "AQ=="}',
        "message published",
        "Loop Started",
        "Loop Stopped",
        "MQTT client disconnected",
    ):
        assert line in printed.splitlines()
    assert sandbox.access_key not in printed


def test_a_wrong_key_is_told(sandbox: Sandbox, events: Events, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        client = mqtt(sandbox.app_id, "5ec7e7", sandbox.mqtt_address)
    assert "bad app_id or access_key" in caplog.text and "5ec7e7" not in caplog.text
    assert client._MQTTClient__ErrorMsg == "Connection failed"
    client.setConnectCallback(events.on("connect"))
    # The server's own code.
    assert events.expect("connect") == 4
    client.setCloseCallback(events.on("close"))
    with pytest.raises(thingslink.LoginRefusedError):
        client.connect()
    assert events.expect("close") == 4


def test_an_address_that_nobody_serves_is_told(caplog: pytest.LogCaptureFixture) -> None:
    client = mqtt("demo-app", KEY, "127.0.0.1:1")
    assert "refused" in caplog.text
    with pytest.raises(ConnectionRefusedError):
        client.connect()


def test_coroutine_functions_of_the_second_generation(sandbox: Sandbox, events: Events) -> None:
    async def waiting(value: Any, client: Any) -> None:
        await asyncio.sleep(0)
        events.queue.put((threading.current_thread().name, value))

    second = mqtt(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address)
    second.setConnectCallback(waiting)
    assert events.expect("thingslink-asyncio") == 0
    second.setUplinkCallback(waiting)
    sandbox.device("node-1").uplink()
    assert events.expect("thingslink-asyncio").dev_id == "node-1"
    second.close()


def test_a_coroutine_function_set_on_a_loop_is_told_there_of_the_connection(sandbox: Sandbox, events: Events) -> None:
    async def program() -> None:
        # What was missed is told by the setter, on the loop's own thread, which cannot wait for itself.
        client = mqtt(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address)
        heard: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def connected(res: int, client: Any) -> None:
            heard.set_result(res)

        client.setConnectCallback(connected)
        events.queue.put(("connect", await asyncio.wait_for(heard, PATIENCE)))
        client.close()

    asyncio.run(program())
    assert events.expect("connect") == 0


def test_a_lost_connection_of_the_second_generation_comes_back(sandbox: Sandbox, events: Events) -> None:
    client = mqtt(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address)
    client.setConnectCallback(events.on("connect"))
    client.setCloseCallback(events.on("close"))
    events.expect("connect")
    sandbox.cut()
    assert events.expect("close") == 7 and events.expect("connect") == 0
    client.close()


@pytest.mark.parametrize(
    ("arguments", "keywords", "expected"),
    [
        (["node-1", "AQ=="], {}, '{"port": 1, "schedule": "replace", "payload_raw": "AQ=="}'),
        (
            ["node-1", "AQ==", 2, True, "first"],
            {},
            '{"port": 2, "confirmed": true, "schedule": "first", "payload_raw": "AQ=="}',
        ),
        (
            ["node-1", "AQ=="],
            {"conf": 1},
            '{"port": 1, "confirmed": true, "schedule": "replace", "payload_raw": "AQ=="}',
        ),
        (["node-1", {"led": True}], {"sched": ""}, '{"port": 1, "payload_fields": {"led": true}}'),
        (["node-1", b"\x01"], {}, '{"port": 1, "schedule": "replace", "payload_raw": "AQ=="}'),
        (["node-1"], {"payload": "01ff7", "schedule": "last"}, None),
        (["node-1", "01"], {"schedule": "last"}, '{"port": 1, "schedule": "last", "payload_raw": "AQ=="}'),
        (["node-1", "AQ=="], {"schedule": "soon"}, None),
    ],
)
def test_downlinks_of_the_second_generation(
    arguments: list[Any], keywords: dict[str, Any], expected: str | None, raw_server: RawServer
) -> None:
    client = mqtt("demo-app", KEY, raw_server.address)
    if expected is None:
        with pytest.raises(ValueError, match="is not valid"):
            client.send(*arguments, **keywords)
    else:
        client.send(*arguments, **keywords)
    client.close()
    packets = b"".join(raw_server.packets.get(timeout=PATIENCE) for _ in range(raw_server.packets.qsize()))
    assert (expected.encode() in packets) if expected else (b"/down" not in packets)


# -- first generation --


def test_the_first_generation(sandbox: Sandbox, capsys: Any) -> None:
    client = mqtt(sandbox.app_id, EUI, sandbox.access_key, "node-1")
    handled: queue.Queue[int] = queue.Queue()
    device = sandbox.device("node-1")
    client.customConnect(*port_of(sandbox))
    assert client.getLastMessage() == {} and client.getAllMessages() == []
    # Comes before the loop is started, and waits for it.
    device.uplink(b"\x01")
    client.setMessageHandler(lambda: handled.put(len(client.getAllMessages())))
    client.startBackground()
    device.uplink(b"\x02", fields={"class": 1})
    assert [handled.get(timeout=PATIENCE) for _ in range(2)] == [1, 2]
    last = client.getLastMessage()
    assert type(last) is dict and last["payload_fields"] == {"class": 1} and client.getAllMessages()[1] is last
    client.publish('{"port": 1, "confirmed": false, "payload_raw": "AA=="}')
    client.setDeviceID("node-2")
    assert client.DEVID == "node-2"
    client.stopBackground()
    assert device.downlinks == [b"\x00"]
    printed = capsys.readouterr().out.splitlines()
    for line in (
        "CONNECTED AND SUBSCRIBED",
        "MESSAGE RECEIVED",
        "MSG PUBLISHED 2",
        "LOOP STARTED BACKGROUND",
        "LOOP STOPPED BACKGROUND",
        "Message will be published on the next uplink message",
        "DISCONNECTED",
    ):
        assert line in printed


def test_coroutine_functions_of_the_first_generation(sandbox: Sandbox, events: Events, capsys: Any) -> None:
    async def waiting(*values: Any, client: Any = None) -> None:
        await asyncio.sleep(0)
        events.queue.put((threading.current_thread().name, (*values, client)))

    thread = "thingslink-asyncio"
    first = mqtt(sandbox.app_id, EUI, sandbox.access_key, "node-1")
    first.setMessageHandler(waiting)
    first.setUplinkCallback(waiting)
    first.setDownlinkCallback(waiting)
    first.customConnect(*port_of(sandbox))
    first.startBackground()
    sandbox.device("node-1").uplink(b"\x01")
    heard = [events.expect(thread) for _ in range(2)]
    assert sorted(len(values) for values in heard) == [1, 2]
    assert any(values[0]["dev_id"] == "node-1" and values[1] is first for values in heard if len(values) == 2)
    first.publish('{"port": 1, "confirmed": false, "payload_raw": "AA=="}')
    mid, client = events.expect(thread)
    assert isinstance(mid, int) and client is first
    first.stopBackground()
    capsys.readouterr()


def test_a_handler_of_what_has_waited_may_disconnect(
    sandbox: Sandbox, eventually: Callable[[Callable[[], object]], None]
) -> None:
    client = mqtt(sandbox.app_id, EUI, sandbox.access_key)
    device = sandbox.device("node-1")
    waiting: list[int] = []

    def handle() -> None:
        if waiting:
            return
        # More comes while this one is handled, and disconnecting waits until the library has handed it over.
        device.uplink()
        eventually(lambda: client._client.stats()["received"] == 2)
        client.disconnect()
        waiting.append(len(client._waiting))

    client.setMessageHandler(handle)
    client.connect(*port_of(sandbox))
    device.uplink()
    eventually(lambda: len(client._waiting) == 1)
    client.start()
    assert waiting == [1] and len(client.getAllMessages()) == 2


def test_without_a_device_nothing_is_published(sandbox: Sandbox, capsys: Any) -> None:
    client = mqtt(sandbox.app_id, EUI, sandbox.access_key)
    client.publish("x")
    assert "No DeviceID defined please use the setDeviceID method" in capsys.readouterr().out
    client.setDeviceID("node-1")
    with pytest.raises(thingslink.NotConnectedError):
        client.publish("x")
    with pytest.raises(TypeError, match="payload must be a string"):
        client.publish({})


def test_behaviours_get_what_paho_gives(sandbox: Sandbox, events: Events) -> None:
    client = mqtt(sandbox.app_id, EUI, sandbox.access_key, "node-1")
    device = sandbox.device("node-1")

    def connect(client: Any, userdata: Any, flags: Any, rc: int) -> None:
        assert client.subscribe("+/devices/+/up")[0] == 0
        client.subscribe(f"{sandbox.app_id}/devices/+/events/#")
        events.queue.put(("connect", (userdata, rc)))

    def message(client: Any, userdata: Any, message: Any) -> None:
        events.queue.put(("message", message))
        if message.topic.endswith("/up"):
            rc, mid = client.publish(f"{sandbox.app_id}/devices/node-1/down", '{"payload_raw": "AQ=="}')
            events.queue.put(("sent", (rc, mid)))

    # Before the connection; the original forgot them then.
    client.setGlobalBehavior(connect, message, lambda client, userdata, mid: events.queue.put(("publish", mid)))
    client.customConnect(*port_of(sandbox))
    client.startBackground()
    assert events.expect("connect") == (None, 0)
    device.uplink(b"\x01")
    came = events.expect("message")
    assert came.topic == f"{sandbox.app_id}/devices/node-1/up" and json.loads(came.payload)["payload_raw"] == "AQ=="
    assert (came.qos, came.retain) == (0, 0) and came.timestamp > 0
    rc, mid = events.expect("sent")
    assert rc == 0 and events.expect("publish") == mid
    assert events.expect("message").topic.endswith("/events/down/scheduled")
    assert client.getAllMessages() == []
    client.disconnect()


def test_the_shape_of_the_last_release(sandbox: Sandbox, events: Events) -> None:
    client = mqtt(sandbox.app_id, EUI, sandbox.access_key)
    client.setUplinkCallback(events.on("uplink"))
    client.setDownlinkCallback(events.on("downlink"))
    client.connect(*port_of(sandbox))
    client.startBackground()
    device = sandbox.device("node-1")
    device.uplink(b"\x01")
    assert events.expect("uplink")["dev_id"] == "node-1"
    client.publish("node-1", '{"payload_raw": "AQ=="}')
    assert events.expect("downlink") == client.midCounter
    client.disconnect()
    assert (client.connectFlag, client.disconnectFlag) == (0, 1) and device.downlinks == [b"\x01"]


def test_handlers_of_one_client_are_its_own(sandbox: Sandbox, events: Events) -> None:
    sandbox.add_application("other-app", "other-key")
    clients = {}
    for app_id, key in ((sandbox.app_id, sandbox.access_key), ("other-app", "other-key")):
        client = clients[app_id] = mqtt(app_id, EUI, key)
        client.setMessageHandler(lambda app_id=app_id: events.queue.put(("handled", app_id)))
        client.connect(*port_of(sandbox))
        client.startBackground()
    sandbox.device("node-1", "other-app").uplink()
    assert events.expect("handled") == "other-app"
    for client in clients.values():
        client.disconnect()
    assert events.queue.empty()


def test_the_buffer_is_bounded(sandbox: Sandbox, eventually: Callable[[Callable[[], object]], None]) -> None:
    client = mqtt(sandbox.app_id, EUI, sandbox.access_key, max_messages=100)
    client.connect(*port_of(sandbox))
    client.startBackground()
    kept = client.getAllMessages()
    sandbox.stream(rate=20_000, count=1000, devices=1).wait()
    eventually(lambda: client.getLastMessage().get("counter") == 999)
    assert client.getAllMessages() is kept and 100 <= len(kept) <= 110
    client.disconnect()
    with pytest.raises(ValueError, match="max_messages 0"):
        mqtt(sandbox.app_id, EUI, "k", max_messages=0)


def test_errors_of_connect_are_raised(sandbox: Sandbox, capsys: Any) -> None:
    with pytest.raises(thingslink.LoginRefusedError):
        mqtt(sandbox.app_id, EUI, "5ec7e7").connect(*port_of(sandbox))
    with pytest.raises(ConnectionRefusedError):
        mqtt(sandbox.app_id, EUI, "k").customConnect("127.0.0.1", 1)
    assert capsys.readouterr().out.splitlines().count("ERROR CONNECTING") == 2


@pytest.mark.parametrize("generation", ["v1", "v2"])
@pytest.mark.parametrize("end", ["callback", "signal"])
def test_blocking_ends_from_a_callback_and_by_ctrl_c(generation: str, end: str, sandbox: Sandbox) -> None:
    host, port = port_of(sandbox)
    made = {
        "v1": f"client = mqtt({sandbox.app_id!r}, {EUI!r}, {sandbox.access_key!r}); client.connect({host!r}, {port})",
        "v2": f"client = mqtt({sandbox.app_id!r}, {sandbox.access_key!r}, {sandbox.mqtt_address!r})",
    }[generation]
    block = {"v1": "client.start()", "v2": "client.startForever()"}[generation]
    leave = {"v1": "client.disconnect()", "v2": "client.close()"}[generation]
    code = f"""
import sys
from ttnmqtt import MQTTClient as mqtt
{made}
client.setUplinkCallback(lambda msg, client: {leave})
sys.stdout.flush()
try:
    {block}
    print("ended")
except KeyboardInterrupt:
    print("interrupted")
    {leave}
"""
    program = "import thingslink; thingslink.install_as()\n" + textwrap.dedent(code)
    with running([sys.executable, "-u", "-c", program]) as child:
        assert child.stdout
        while "tarted" not in (line := child.stdout.readline()) and "STARTED" not in line:
            assert line
        if end == "callback":
            sandbox.device("node-1").uplink()
        else:
            child.send_signal(signal.SIGINT)
        output, _ = child.communicate(timeout=PATIENCE)
        assert ("ended" if end == "callback" else "interrupted") in output
        assert child.returncode == 0


@pytest.mark.parametrize("generation", ["v1", "v2"])
def test_ctrl_c_that_wakes_nobody_ends_the_blocking_too(
    generation: str, sandbox: Sandbox, eventually: Callable[[Callable[[], object]], None]
) -> None:
    client: Any
    block: Any
    if generation == "v1":
        client = mqtt(sandbox.app_id, EUI, sandbox.access_key)
        client.connect(*port_of(sandbox))
        block = client.start
    else:
        client = mqtt(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address)
        block = client.startForever
    main = threading.get_ident()

    def sleeps() -> bool:
        stack = [frame.f_code for frame, _ in traceback.walk_stack(sys._current_frames()[main])]
        return block.__func__.__code__ in stack and stack[0] is threading.Condition.wait.__code__

    def interrupt() -> None:
        # As a signal that comes just before the thread sleeps: noted, and no system call is broken off.
        eventually(sleeps)
        _thread.interrupt_main()

    given_up = threading.Timer(PATIENCE, client._over.set)
    given_up.start()
    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    with pytest.raises(KeyboardInterrupt):
        block()
    assert not client._over.is_set(), "it ended because the client was closed"
    given_up.cancel()
    interrupting.join(PATIENCE)
    (client.close if generation == "v2" else client.disconnect)()


@pytest.mark.thingslink_allow_callback_exceptions(raises=ValueError)
def test_a_message_that_is_no_json_stops_nothing(sandbox: Sandbox, events: Events) -> None:
    client = mqtt(sandbox.app_id, EUI, sandbox.access_key)
    client.setUplinkCallback(events.on("uplink"))
    client.connect(*port_of(sandbox))
    client.startBackground()
    sandbox.publish_raw(f"{sandbox.app_id}/devices/node-1/up", b"{")
    sandbox.device("node-1").uplink(b"\x07")
    assert events.expect("uplink")["payload_raw"] == "Bw=="
    client.disconnect()


def test_a_subclass_belongs_to_one_generation() -> None:
    class Mine(v1.MQTTClient):
        pass

    assert isinstance(Mine("app", EUI, "k"), ttnmqtt.MQTTClient)
