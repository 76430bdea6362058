"""The V3 sandbox with clients that are not ours, and its Python face."""

from __future__ import annotations

import json
import queue
import ssl
from typing import TYPE_CHECKING, Any

import paho.mqtt.client as mqtt
import pytest
from harness import PATIENCE
from thingslink.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Paho:
    """A paho client that hands everything to the test's thread."""

    def __init__(
        self, sandbox: Sandbox, *, key: str | None = None, tls: bool = False, level: int = mqtt.MQTTv311
    ) -> None:
        self.told: queue.Queue[Any] = queue.Queue()
        self.messages: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        self.client = mqtt.Client("", protocol=level)
        self.client.username_pw_set(sandbox.username, key or sandbox.access_key)
        self.client.on_connect = lambda _c, _u, _f, code, *_: self.told.put(code)
        self.client.on_subscribe = lambda _c, _u, _m, granted, *_: self.told.put(granted)
        self.client.on_publish = lambda _c, _u, mid: self.told.put(mid)
        self.client.on_disconnect = lambda _c, _u, code, *_: self.told.put(f"disconnected {code}")
        self.client.on_message = lambda _c, _u, it: self.messages.put((it.topic, json.loads(it.payload)))
        address = sandbox.mqtt_address
        if tls:
            context = ssl.create_default_context(cadata=sandbox.ca_certs)
            self.client.tls_set_context(context)
            address = (sandbox.mqtts_address or "").removeprefix("mqtts://")
        host, port = address.split(":")
        self.client.connect(host, int(port))
        self.client.loop_start()

    def answer(self) -> Any:
        return self.told.get(timeout=PATIENCE)

    def subscribe(self, topic: str, qos: int = 0) -> Any:
        self.client.subscribe(topic, qos)
        return self.answer()

    def push(self, topic: str, *downlinks: dict[str, Any]) -> None:
        self.client.publish(topic, json.dumps({"downlinks": downlinks}), 1)
        assert isinstance(self.answer(), int)

    def message(self) -> tuple[str, dict[str, Any]]:
        return self.messages.get(timeout=PATIENCE)


@pytest.fixture
def paho() -> Iterator[Callable[..., Paho]]:
    made: list[Paho] = []

    def make(sandbox: Sandbox, **options: Any) -> Paho:
        made.append(Paho(sandbox, **options))
        return made[-1]

    yield make
    for one in made:
        one.client.disconnect()
        one.client.loop_stop()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_an_uplink_and_its_answer(thingslink_sandbox_v3: Sandbox, paho: Callable[..., Paho], tls: bool) -> None:
    sandbox = thingslink_sandbox_v3
    device, client = sandbox.device("soil-07"), paho(sandbox, tls=tls)
    device.locate(51.98, 5.66, 12)
    device.configure(attributes={"row": "12"})
    assert (client.answer(), client.subscribe("v3/+/devices/+/#", 1)) == (0, (1,))
    assert device.uplink(b"\x01\x67", fields={"temperature": 23.5}, port=3, confirmed=True) == 0
    topic, event = client.message()
    assert topic == "v3/demo-app/devices/soil-07/up"
    assert event["end_device_ids"]["application_ids"] == {"application_id": "demo-app"}
    uplink = event["uplink_message"]
    assert (uplink["f_port"], uplink["frm_payload"], uplink["confirmed"]) == (3, "AWc=", True)
    assert "f_cnt" not in uplink, "zeros are left out"
    assert uplink["decoded_payload"] == {"temperature": 23.5}
    assert uplink["settings"]["data_rate"]["lora"]["spreading_factor"] == 7
    assert uplink["locations"]["user"]["altitude"] == 12
    assert len(uplink["rx_metadata"]) == 2
    client.push(f"v3/{sandbox.username}/devices/soil-07/down/push", {"f_port": 5, "frm_payload": "Ag=="})
    assert device.downlinks == [b"\x02"]
    assert client.message()[0].endswith("/down/queued")
    assert device.uplink() == 1
    assert device.next_downlink()[:3] == (b"\x02", 5, False)
    assert [client.message()[0].split("soil-07/")[1] for _ in range(2)] == ["up", "down/sent"]


def test_logins_name_the_tenant_where_there_is_one(paho: Callable[..., Paho]) -> None:
    with Sandbox("my-app", network="v3", tenant="ttn") as sandbox:
        assert sandbox.username == "my-app@ttn"
        client = paho(sandbox)
        assert (client.answer(), client.subscribe("v3/my-app@ttn/devices/+/up")) == (0, (0,))
        assert client.subscribe("v3/my-app/devices/+/up") == (0x80,)
        sandbox.device("node-1").uplink()
        topic, event = client.message()
        assert topic == "v3/my-app@ttn/devices/node-1/up"
        assert event["end_device_ids"]["application_ids"]["application_id"] == "my-app"
        assert event["uplink_message"]["network_ids"]["tenant_id"] == "ttn"
        client.push("v3/my-app@ttn/devices/node-1/down/replace", {"f_port": 1, "frm_payload": "AQ=="})
        assert sandbox.device("node-1").downlinks == [b"\x01"]


def test_a_device_that_has_not_joined_takes_and_sends_nothing(
    thingslink_sandbox_v3: Sandbox, paho: Callable[..., Paho]
) -> None:
    sandbox = thingslink_sandbox_v3
    device, client = sandbox.device("node-1", joined=False), paho(sandbox)
    assert (client.answer(), client.subscribe("#")) == (0, (0,))
    with pytest.raises(ValueError, match="joined"):
        device.uplink()
    client.push("v3/demo-app/devices/node-1/down/push", {"f_port": 1, "frm_payload": "AQ=="})
    topic, event = client.message()
    assert (topic[-11:], event["downlink_failed"]["error"]["name"]) == ("down/failed", "no_device_session")
    device.join()
    topic, event = client.message()
    assert topic.endswith("/join") and "dev_addr" in event["end_device_ids"]
    assert device.uplink() == 0


def test_a_repeated_frame_is_no_news(thingslink_sandbox_v3: Sandbox, paho: Callable[..., Paho]) -> None:
    device, client = thingslink_sandbox_v3.device("node-1"), paho(thingslink_sandbox_v3)
    assert (client.answer(), client.subscribe("#")) == (0, (0,))
    assert [device.uplink(), device.uplink(is_retry=True), device.uplink()] == [0, 0, 1]
    assert [client.message()[1]["uplink_message"].get("f_cnt") for _ in range(2)] == [None, 1]


def test_a_long_downlink_fails_at_a_slow_data_rate(thingslink_sandbox_v3: Sandbox, paho: Callable[..., Paho]) -> None:
    device, client = thingslink_sandbox_v3.device("node-1"), paho(thingslink_sandbox_v3)
    assert (client.answer(), client.subscribe("v3/+/devices/+/down/#")) == (0, (0,))
    device.configure(spreading_factor=12)
    for payload in ("eHh4" * 17 + "eA==", "eHh4" * 17):
        client.push("v3/demo-app/devices/node-1/down/push", {"f_port": 1, "frm_payload": payload})
        assert "downlink_queued" in client.message()[1]
    device.uplink()
    error = client.message()[1]["downlink_failed"]["error"]
    assert (error["name"], error["attributes"]) == ("application_downlink_too_long", {"length": 52, "max": "51"})
    assert "downlink_sent" in client.message()[1]
    with pytest.raises(ValueError, match="spreading_factor"):
        device.configure(spreading_factor=13)


def test_many_devices_send(thingslink_sandbox_v3: Sandbox, paho: Callable[..., Paho]) -> None:
    client = paho(thingslink_sandbox_v3)
    assert (client.answer(), client.subscribe("v3/+/devices/+/up")) == (0, (0,))
    assert thingslink_sandbox_v3.stream(rate=200, devices=5, count=20).wait() == 20
    assert [client.message()[0] for _ in range(20)]
    assert thingslink_sandbox_v3.devices() == [f"sim-0000{number}" for number in range(1, 6)]


def test_after_a_restart_the_devices_are_there_and_the_clients_gone(
    thingslink_sandbox_v3: Sandbox, paho: Callable[..., Paho]
) -> None:
    sandbox = thingslink_sandbox_v3
    device, client = sandbox.device("node-1"), paho(sandbox)
    assert client.answer() == 0
    client.push("v3/demo-app/devices/node-1/down/push", {"f_port": 1, "frm_payload": "AQ=="})
    sandbox.restart()
    assert str(client.answer()).startswith("disconnected")
    assert device.downlinks == [b"\x01"]
    sandbox.restart(keep_state=False)
    assert device.downlinks == []


def test_faults_are_those_of_the_other_network(thingslink_sandbox_v3: Sandbox, paho: Callable[..., Paho]) -> None:
    sandbox = thingslink_sandbox_v3
    sandbox.refuse_logins(3)
    assert paho(sandbox).answer() == 3
    sandbox.clear_faults()
    client = paho(sandbox)
    assert (client.answer(), client.subscribe("#")) == (0, (0,))
    sandbox.duplicate()
    sandbox.publish_raw("v3/demo-app/devices/node-1/up", b"{}")
    assert [client.message() for _ in range(2)] == [("v3/demo-app/devices/node-1/up", {})] * 2
    assert sandbox.cut() == 1
    assert str(client.answer()).startswith("disconnected")


def test_any_key_is_taken_on_request(paho: Callable[..., Paho]) -> None:
    with Sandbox("", network="v3", any_key=True) as sandbox:
        sandbox.app_id = "never-heard-of"
        assert paho(sandbox).answer() == 0
        assert paho(sandbox, key="ttn-account-v2.demo").answer() == 5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"network": "v4"}, "network 'v4'"),
        ({"network": "v3", "state": "network.json"}, "state 'network.json'"),
        ({"network": "v3", "handler_port": 1904}, "handler_port 1904"),
        ({"tenant": "ttn"}, "tenant 'ttn'"),
    ],
)
def test_what_a_network_does_not_have_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Sandbox(**options)


def test_ids_and_keys_have_the_network_s_form(thingslink_sandbox_v3: Sandbox) -> None:
    sandbox = thingslink_sandbox_v3
    for dev_id in ("n1", "node_1", "Node-1", "a" * 37):
        with pytest.raises(ValueError, match=f'dev_id {dev_id!r}|dev_id "{dev_id}"'):
            sandbox.device(dev_id)
    with pytest.raises(ValueError, match="NNSXS") as refused:
        sandbox.add_application("other-app", "ttn-account-v2.secret")
    assert "secret" not in str(refused.value)
    with pytest.raises(ValueError, match="messages:up:r"):
        sandbox.add_application("other-app", sandbox.access_key, ["messages:up:r"])
    with pytest.raises(AttributeError, match="discovery_address"):
        assert sandbox.discovery_address
    for rate in (0, float("nan"), -1):
        with pytest.raises(ValueError, match="per_minute"):
            sandbox.limit("as:down:mqtt", rate)
    with pytest.raises(ValueError, match="name"):
        sandbox.limit("mqtt", 1)


def test_the_other_network_has_none_of_it(sandbox: Sandbox) -> None:
    with pytest.raises(AttributeError, match="limit"):
        sandbox.limit("as:down:mqtt", 1)
    with pytest.raises(AttributeError, match="join"):
        sandbox.device("node-1", joined=False)
    with pytest.raises(AttributeError, match="refuse_downlinks"):
        sandbox.refuse_downlinks("TOO_LATE")
