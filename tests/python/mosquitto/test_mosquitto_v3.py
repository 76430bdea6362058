"""V3's topics and messages against a real Mosquitto, which keeps MQTT's rules where the stack's broker has its own."""

from __future__ import annotations

import json
import queue
import threading
from typing import TYPE_CHECKING, Any

import paho.mqtt.client as mqtt
import pytest
from harness import PATIENCE, Mosquitto, Recorder
from stack_captures import records
from stack_shape import in_v2_shape
from thingslink.ttn import DownlinkEvent, MQTTClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BASE = "v3/demo-app/devices"


def client_of(broker: Mosquitto, **options: Any) -> MQTTClient:
    options = {"reconnect_min_delay": 0.02, "reconnect_max_delay": 0.2, **options}
    return MQTTClient(broker.app_id, broker.access_key, broker.address, network="v3", **options)


class Stack:
    """A paho client that publishes what the stack would, and reads what applications write."""

    def __init__(self, broker: Mosquitto) -> None:
        self.downlinks: queue.Queue[tuple[str, Any, int]] = queue.Queue()
        subscribed = threading.Event()
        self.client = mqtt.Client()
        self.client.username_pw_set(broker.app_id, broker.access_key)
        self.client.on_message = lambda _c, _u, it: self.downlinks.put((it.topic, json.loads(it.payload), it.qos))
        self.client.on_subscribe = lambda *_: subscribed.set()
        self.client.connect("127.0.0.1", broker.port)
        self.client.loop_start()
        self.client.subscribe([(f"{BASE}/+/down/push", 1), (f"{BASE}/+/down/replace", 1)])
        assert subscribed.wait(PATIENCE)

    def publish(self, end: str, text: str) -> None:
        # What the broker has acknowledged it has handed on.
        self.client.publish(f"{BASE}/soil-07/{end}", text, 1).wait_for_publish(PATIENCE)

    def uplink(self, counter: int) -> None:
        ids = {"device_id": "soil-07", "application_ids": {"application_id": "demo-app"}}
        self.publish("up", json.dumps({"end_device_ids": ids, "uplink_message": {"f_port": 1, "f_cnt": counter}}))

    def stop(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def stack(mosquitto: Mosquitto) -> Iterator[Stack]:
    stack = Stack(mosquitto)
    yield stack
    stack.stop()


def test_what_a_stack_wrote_comes_through_a_broker(mosquitto: Mosquitto, stack: Stack, recorder: Recorder) -> None:
    told = [record for record in records("22-mqtt-radio") if "payload" in record and "topic" in record]
    client = client_of(mosquitto)
    client.set_uplink_callback(recorder.on("uplink"))
    client.set_event_callback(recorder.on("event"))
    with client:
        for record in told:
            end, v3 = record["topic"].split("/", 4)[4], json.loads(record["payload"])
            stack.publish(end, record["payload"])
            if end == "up":
                assert recorder.expect("uplink").to_dict() == in_v2_shape(v3)
            else:
                event = recorder.expect("event")
                assert event.v3.to_dict() == v3 and isinstance(event, DownlinkEvent) == end.startswith("down/")
    assert recorder.drain() == []


def test_downlinks_have_the_stack_s_topics_and_bodies(mosquitto: Mosquitto, stack: Stack) -> None:
    with client_of(mosquitto) as client:
        client.send("soil-07", b"\x02\x0f", port=10, conf=True)
        client.send("soil-07", {"level": 15}, port=3, sched="last")
        for end, expected in (
            ("replace", {"f_port": 10, "frm_payload": "Ag8=", "confirmed": True}),
            ("push", {"f_port": 3, "decoded_payload": {"level": 15}}),
        ):
            topic, body, _ = stack.downlinks.get(timeout=PATIENCE)
            (item,) = body["downlinks"]
            assert topic == f"{BASE}/soil-07/down/{end}"
            assert expected == {name: item[name] for name in expected}


def test_after_a_restart_of_the_broker_it_listens_again(
    mosquitto: Mosquitto, recorder: Recorder, eventually: Callable[[Callable[[], object]], None]
) -> None:
    client, heard = recorder.watch(client_of(mosquitto)), []
    client.set_uplink_callback(lambda msg, client: heard.append(msg.counter))
    with client:
        assert recorder.expect("connect") is True
        for counter in range(3):
            stack = Stack(mosquitto)

            # The login is told before the subscription is answered: uplinks are sent until one is heard.
            def sent(stack: Stack = stack, counter: int = counter) -> bool:
                stack.uplink(counter)
                return counter in heard

            eventually(sent)
            stack.stop()
            mosquitto.stop()
            while recorder.expect("close"):
                pass
            mosquitto.start()
            while not recorder.expect("connect"):
                pass
