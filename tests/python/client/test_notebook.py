"""What a notebook needs: clients that are found again, objects that are shown without keys, waits that Ctrl-C ends."""

from __future__ import annotations

import _thread
import asyncio
import gc
import json
import socket
import threading
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import thingslink
from harness import PATIENCE, RawServer, Recorder
from thingslink import aio, ttn
from thingslink._native import _parse_message
from thingslink.sandbox import Sandbox
from thingslink.tb_device_mqtt import TBDeviceMqttClient
from thingslink.ttn import Application, ApplicationClient, Device, MQTTClient

if TYPE_CHECKING:
    from collections.abc import Callable

    Eventually = Callable[[Callable[[], object]], None]

KEY = "8BADF00D8BADF00D8BADF00D8BADF00D"
EUI = "70B3D57ED0000001"
#: The first byte of MQTT's packet.
SUBSCRIBE = 0x82


@pytest.fixture(autouse=True)
def no_others() -> None:
    gc.collect()
    assert thingslink.clients() == []


def connected(sandbox: Sandbox, **options: Any) -> MQTTClient:
    client = MQTTClient(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address, **options)
    client.connect()
    return client


def test_clients_that_are_open_are_found(sandbox: Sandbox) -> None:
    board = sandbox.thingsboard
    board.add_device("pump", "T")
    client = MQTTClient(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address)
    assert thingslink.clients() == []
    client.connect()
    device = TBDeviceMqttClient(board.host, board.port, "T")
    device.connect()
    assert set(thingslink.clients()) == {client, device}
    thingslink.close_all()
    assert thingslink.clients() == [] and not client.is_connected and not device.is_connected()
    thingslink.close_all()


def test_clients_of_asyncio_are_found(sandbox: Sandbox, eventually: Callable[[Callable[[], object]], None]) -> None:
    async def main() -> None:
        board = sandbox.thingsboard
        board.add_device("pump", "T")
        client = aio.MQTTClient(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address)
        device = aio.TBDeviceMqttClient(board.host, board.port, "T")
        await client.connect()
        await device.connect()
        assert set(thingslink.clients()) == {client, device}
        # From another thread it returns when they are closed.
        await asyncio.to_thread(thingslink.close_all)
        assert thingslink.clients() == []
        await client.connect()
        await device.connect()
        # On their own loop they are closed a little later.
        thingslink.close_all()
        await asyncio.to_thread(eventually, lambda: not thingslink.clients())

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_a_time_that_is_none_is_told_when_all_are_closed(sandbox: Sandbox) -> None:
    connected(sandbox)
    with pytest.raises(TypeError, match="timeout must be seconds"):
        thingslink.close_all(timeout=True)
    thingslink.close_all()
    assert thingslink.clients() == []


def test_a_second_client_of_the_same_place_is_warned_of_once(sandbox: Sandbox) -> None:
    told = "a second client of application 'demo-app' is connecting.*thingslink.close_all"
    with pytest.warns(RuntimeWarning, match=told) as caught:
        made = [connected(sandbox) for _ in range(3)]
    ours = [one for one in caught if one.category is RuntimeWarning]
    assert len(ours) == 1 and ours[0].filename == __file__
    assert set(thingslink.clients()) == set(made)
    thingslink.close_all()


def test_a_second_client_of_asyncio_is_warned_of_once(sandbox: Sandbox) -> None:
    async def main() -> None:
        made = [aio.MQTTClient(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address) for _ in range(3)]
        await made[0].connect()
        with pytest.warns(RuntimeWarning, match="a second client of application 'demo-app'") as caught:
            await asyncio.gather(made[1].connect(), made[2].connect())
        assert len(caught) == 1 and caught[0].filename == __file__
        for client in made:
            await client.aclose()

    asyncio.run(main())


def test_what_is_no_second_client() -> None:
    with warnings.catch_warnings(), Sandbox() as sandbox:
        warnings.simplefilter("error")
        # One after the other.
        for _ in range(2):
            connected(sandbox).close()
        # At two places.
        one, other = connected(sandbox), MQTTClient(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address)
        other.connect()
        # Again.
        one.connect()
        # Of two applications.
        sandbox.add_application("other-app", "key")
        made = [MQTTClient(app, key, sandbox.mqtt_address) for app, key in (("demo-app", "x"), ("other-app", "key"))]
        assert len(made) == 2
        for client in (one, other):
            client.close()


def uplink(**more: Any) -> bytes:
    gateways = [{"gtw_id": f"eui-{number:016x}", "rssi": -100, "snr": 5.5} for number in range(8)]
    return json.dumps({
        "app_id": "a" * 36, "dev_id": "d" * 36, "hardware_serial": EUI, "port": 1, "counter": 5, "payload_raw": "AQI=",
        "payload_fields": {"temperature": 21.5, "tank": {"level": 3}, "note": "<b>&"},
        "metadata": {"time": "2025-03-14T09:26:53Z", "gateways": gateways},
        **more,
    }).encode()  # fmt: skip


def test_a_message_in_a_line_and_all_of_it() -> None:
    message = _parse_message(uplink(), "v2")
    line = repr(message)
    assert len(line) < 120 and line.startswith(f"MSG(app_id='{'a' * 36}', dev_id='{'d' * 36}', port=1") and "…)" in line
    assert str(message).count("gtw_id='eui-") == 8 and "payload_raw='AQI='" in str(message)
    assert len(repr(_parse_message(uplink(dev_id="d" * 500), "v2"))) < 120
    assert repr(_parse_message(b'{"a":1,"b":{"c":[]}}', "v2")) == "MSG(a=1, b=MSG(c=[]))"


def test_a_message_as_a_table() -> None:
    shown = _parse_message(uplink(), "v2")._repr_html_()
    for part in (
        "<th>payload_fields.temperature</th><td>21.5</td>",
        "<th>payload_fields.tank.level</th><td>3</td>",
        "<td>&lt;b&gt;&amp;</td>",
        "<th>metadata.gateways[7].rssi</th><td>-100</td>",
    ):
        assert part in shown, shown
    many = _parse_message(json.dumps({f"f{number}": number for number in range(1000)}).encode(), "v2")._repr_html_()
    assert many.count("<tr>") == 100 and "… and 900 more" in many
    assert len(_parse_message(json.dumps({"a": "x" * 10**6}).encode(), "v2")._repr_html_()) < 1000


def test_what_callbacks_get(sandbox: Sandbox, client_for: Callable[..., MQTTClient], recorder: Recorder) -> None:
    client = client_for(sandbox)
    client.set_uplink_callback(recorder.on("uplink"))
    client.set_uplink_raw_callback(recorder.on("raw"))
    client.set_event_callback(recorder.on("event"))
    client.set_uplink_field_callback(recorder.on("field"), field="text")
    client.connect()
    device = sandbox.device("meter")
    device.join()
    device.uplink(fields={"text": "x" * 500})
    sandbox.publish_raw(f"{sandbox.app_id}/devices/meter/up/text", b'"%s"' % (b"x" * 500))
    for kind in ("event", "uplink", "raw", "field"):
        shown: Any = recorder.expect(kind)
        assert len(repr(shown)) < 120, repr(shown)
        assert shown._repr_html_().startswith("<table><caption>"), kind
    stats: Any = client.stats()
    assert type(stats).__mro__[1] is dict and "<th>received</th>" in stats._repr_html_()
    assert json.loads(json.dumps(stats)) == stats


def device(**more: Any) -> Device:
    made = Device(app_id="demo-app", dev_id="meter", description="<roof>")
    made.lorawan_device.app_eui = bytes.fromhex(EUI)
    for name in ("app_key", "nwk_s_key", "app_s_key"):
        setattr(made.lorawan_device, name, bytes.fromhex(KEY))
    return made


def test_devices_are_shown_without_their_keys() -> None:
    made = device()
    key = str(bytes.fromhex(KEY))[2:-1]
    for shown in (repr(made), made._repr_html_(), repr(made.lorawan_device), made.lorawan_device._repr_html_()):
        assert KEY not in shown and key not in shown and shown.count("***") == 3, shown
    assert EUI in made._repr_html_() and "&lt;roof&gt;" in made._repr_html_()
    application = Application(app_id="demo-app", register_on_join_access_key="ttn-account-v2.secret", decoder="x")
    for shown in (repr(application), application._repr_html_()):
        assert "secret" not in shown and "demo-app" in shown


def test_lists_of_devices_are_tables_without_keys() -> None:
    with (
        Sandbox() as sandbox,
        ApplicationClient(sandbox.app_id, sandbox.access_key, sandbox.handler_address, sandbox.ca_certs) as application,
    ):
        for number in range(3):
            application.register_device(f"meter-{number}", {"appEui": EUI, "devEui": f"{number:016X}", "appKey": KEY})
        devices: Any = application.devices()
        shown: str = devices._repr_html_()
        assert shown.count("<tr>") == 4 and "<th>dev_id</th>" in shown and EUI in shown and "3 entries" in shown
        assert KEY not in shown and "key" not in shown
        assert KEY not in repr(devices) and str(bytes.fromhex(KEY))[2:-1] not in repr(devices)


def begin(waiting: threading.Event, wait: Callable[[], object]) -> None:
    waiting.set()
    wait()


def waits(sandbox: Sandbox, silent: str) -> dict[str, Callable[[], object]]:
    client = MQTTClient("app", "key", silent)
    meter = sandbox.device("meter")
    application = ApplicationClient("app", "key", silent, insecure_channel=True)
    board = TBDeviceMqttClient("127.0.0.1", 1, "T")
    return {
        "connect": lambda: client.connect(timeout=PATIENCE),
        "a condition": lambda: sandbox.wait_for(lambda: None, timeout=PATIENCE),
        "a downlink": lambda: meter.next_downlink(timeout=PATIENCE),
        "the journal": lambda: sandbox.follow().next(PATIENCE),
        "a call": lambda: application.devices(timeout=PATIENCE),
        "discovery": lambda: ttn.DiscoveryClient(silent, insecure_channel=True).get_all("handler", timeout=PATIENCE),
        "a connection to send on": lambda: board.send_telemetry({"a": 1}, timeout=PATIENCE).get(),
    }


@pytest.mark.parametrize(
    "name",
    ["connect", "a condition", "a downlink", "the journal", "a call", "discovery", "a connection to send on"],
)
def test_interrupting_the_kernel_ends_what_waits(sandbox: Sandbox, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        interrupt_once(waits(sandbox, "127.0.0.1:%d" % silent.getsockname()[1])[name])
    thingslink.close_all()


def interrupt_once(wait: Callable[[], object]) -> None:
    waiting = threading.Event()

    def interrupt() -> None:
        assert waiting.wait(PATIENCE)
        _thread.interrupt_main()

    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    with pytest.raises(KeyboardInterrupt):
        begin(waiting, wait)
    interrupting.join(PATIENCE)


class InterruptingServer(RawServer):
    """Interrupts the program just before it answers the subscription, which is what ``connect`` waits for."""

    def _answer(self, packet: bytes) -> bytes:
        if packet[0] == SUBSCRIBE:
            _thread.interrupt_main()
        return super()._answer(packet)


def test_connecting_that_is_interrupted_leaves_nothing_open(eventually: Eventually) -> None:
    """Also where the interrupt is noticed when the login has been accepted."""
    with InterruptingServer() as server:
        for _ in range(10):
            client = MQTTClient("app", "key", server.address)
            client.set_uplink_callback(lambda _msg, _client: None)
            with pytest.raises(KeyboardInterrupt):
                client.connect(timeout=PATIENCE)
            eventually(lambda: not thingslink.clients())
            assert not client.is_connected
