"""Clients that share messages, against a real Mosquitto."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import TYPE_CHECKING

import paho.mqtt.client as mqtt
import pytest
import thingslink
from harness import PATIENCE, Mosquitto
from thingslink import aio
from thingslink.ttn import MQTTClient

if TYPE_CHECKING:
    from thingslink.sandbox import Sandbox


def publish(broker: Mosquitto, count: int) -> None:
    peer = mqtt.Client()
    peer.username_pw_set(broker.app_id, broker.access_key)
    peer.connect("127.0.0.1", broker.port)
    peer.loop_start()
    sent = [
        peer.publish(f"demo-app/devices/node-{number % 10}/up", json.dumps({"counter": number}), 1)
        for number in range(count)
    ]
    for message in sent:
        message.wait_for_publish(PATIENCE)
    peer.disconnect()
    peer.loop_stop()


def test_each_message_goes_to_one_member_of_a_group(mosquitto: Mosquitto) -> None:
    seen: list[tuple[int, int]] = []
    every: list[int] = []
    done = threading.Event()

    def came() -> None:
        if len(seen) >= 300 and len(every) >= 300:
            done.set()

    def member(number: int) -> MQTTClient:
        client = MQTTClient(mosquitto.app_id, mosquitto.access_key, mosquitto.address, group="workers")

        def on_uplink(msg: thingslink.UplinkMessage) -> None:
            seen.append((number, msg.counter))
            came()

        client.set_uplink_callback(on_uplink)
        return client

    def on_every(msg: thingslink.UplinkMessage) -> None:
        every.append(msg.counter)
        came()

    alone = MQTTClient(mosquitto.app_id, mosquitto.access_key, mosquitto.address)
    alone.set_uplink_callback(on_every)
    with member(0), member(1), member(2), alone:
        publish(mosquitto, 300)
        assert done.wait(PATIENCE)
    assert sorted(counter for _, counter in seen) == list(range(300)) == sorted(every)
    assert {number for number, _ in seen} == {0, 1, 2}


def test_asyncio_shares_as_well(mosquitto: Mosquitto) -> None:
    async def main() -> list[int]:
        clients = [
            aio.MQTTClient(mosquitto.app_id, mosquitto.access_key, mosquitto.address, group="workers") for _ in range(2)
        ]
        streams = [client.uplinks() for client in clients]
        for client in clients:
            await client.connect()
        seen: list[int] = []
        done = asyncio.Event()

        async def read(stream: aio.Stream[thingslink.UplinkMessage]) -> None:
            async for msg in stream:
                seen.append(msg.counter)
                if len(seen) == 100:
                    done.set()

        readers = [asyncio.create_task(read(stream)) for stream in streams]
        await asyncio.to_thread(publish, mosquitto, 100)
        await asyncio.wait_for(done.wait(), PATIENCE)
        for client in clients:
            await client.aclose()
        await asyncio.gather(*readers)
        return seen

    assert sorted(asyncio.run(main())) == list(range(100))


def test_what_a_broker_cannot_share_is_told_at_once(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    app_id, key = sandbox.app_id, sandbox.access_key
    with pytest.raises(ValueError, match=r'clean_session "False".*stuck'):
        MQTTClient(app_id, key, "h", group="workers", clean_session=False, client_id="me")
    with pytest.raises(ValueError, match=r"The Things Stack V3 refuses shared subscriptions"):
        MQTTClient("demo-app", "NNSXS.X", "mqtts://h", group="workers")
    with pytest.raises(ValueError, match=r"group.*letters, digits"):
        MQTTClient(app_id, key, "h", group="a/b")
    with pytest.raises(thingslink.SubscriptionRefusedError, match=r"\$share"):
        MQTTClient(app_id, key, sandbox.mqtt_address, group="workers").connect()
    MQTTClient(app_id, key, "h", group="workers", qos=1)
    deadline = time.monotonic() + PATIENCE
    while "qos=1 in a group" not in caplog.text:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_became_of_downlinks_is_not_followed_in_a_group(mosquitto: Mosquitto) -> None:
    with MQTTClient(mosquitto.app_id, mosquitto.access_key, mosquitto.address, group="workers") as client:
        handle = client.downlink(client.send("node-1", b"\1"))
        assert handle.wait("written", PATIENCE) == "written"
