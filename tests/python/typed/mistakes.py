"""What users get wrong, one thing in each line that is marked. Never run: `test_typed.py` has mypy read it."""

from datetime import datetime
from typing import Any

from thingslink import aio
from thingslink.sandbox import Sandbox
from thingslink.tb_device_mqtt import TBDeviceMqttClient
from thingslink.tb_gateway_mqtt import TBGatewayMqttClient
from thingslink.ttn import ActivationEvent, ApplicationClient, DownlinkEvent, HandlerClient, MQTTClient, UplinkMessage
from thingslink.typing import DeviceFields


def takes_nothing() -> None: ...


def takes_three(msg: UplinkMessage, client: MQTTClient, more: int) -> None: ...


async def takes_text(text: str, client: MQTTClient) -> None: ...


def takes_another(msg: UplinkMessage, client: Sandbox) -> None: ...


def downlink(event: DownlinkEvent, client: MQTTClient) -> None: ...


def told_whether(text: str) -> None: ...


def of_uplinks(client: MQTTClient) -> None:
    client.set_uplink_callback(takes_nothing)  # wrong
    client.set_uplink_callback(takes_three)  # wrong
    client.set_uplink_callback(takes_text)  # wrong
    client.set_uplink_callback(takes_another)  # wrong
    client.set_uplink_callback(print("uplink"))  # wrong
    client.set_connect_callback(told_whether)  # wrong
    client.set_event_callback(downlink, "activations")  # wrong
    client.set_event_callback(print, "down/acked")  # wrong
    client.set_uplink_callback(print, "node-1")  # wrong


def of_messages(msg: UplinkMessage, event: ActivationEvent) -> None:
    msg.paylod_raw  # wrong
    msg.metadata.frequncy  # wrong
    msg.metadata.gateways[0].rsi  # wrong
    msg.counter + msg.dev_id  # wrong
    msg.metadata.gateways.rssi  # wrong
    for gateway in msg.metadata.gateways:
        gateway.rssi.lower()  # wrong
    if msg.received_at > datetime.now():  # wrong
        event.dev_adr  # wrong
    len(msg.payload)  # wrong
    msg.port = 7  # wrong


def of_downlinks(client: MQTTClient) -> None:
    client.send("node-1", b"\x01", prot=2)  # wrong
    client.send("node-1", b"\x01", port="2")  # wrong
    client.send("node-1", b"\x01", schedule="frist")  # wrong
    client.send("node-1", b"\x01", priority="URGENT")  # wrong
    client.send("node-1", 7)  # wrong
    client.send(dev="node-1", pay=b"\x01")  # wrong
    client.send("node-1", b"\x01", class_b_c={"gateway": ["roof"]})  # wrong
    client.downlink("node-1")  # wrong
    client.downlink(1).wait("acknowledged")  # wrong
    client.device("node-1").send(b"\x01", 1, sched="now")  # wrong


def of_settings() -> None:
    MQTTClient("app")  # wrong
    MQTTClient("app", "key", qos=2)  # wrong
    MQTTClient("app", "key", overflow="drop")  # wrong
    MQTTClient("app", "key", on_callback_error="retry")  # wrong
    MQTTClient("app", "key", network="V3")  # wrong
    MQTTClient("app", "key", keepalive=30)  # wrong
    MQTTClient("app", app_acces_key="key")  # wrong
    MQTTClient(appId="app", access_key="key")  # wrong


def of_devices() -> None:
    handler = HandlerClient("app", "key")
    handler.data(qoss=1)  # wrong
    with handler.application() as application:
        application.device("node-1").lorawan_device.dev_euii  # wrong
        application.devices(limit="ten")  # wrong
        application.set_payload_format("cayenne")  # wrong
        application.register_device("node-1")  # wrong
        application.register_device("node-1", [])  # wrong
    device: DeviceFields = {"dev_euii": "0004A30B001B7AD2"}  # wrong
    other: DeviceFields = {"latitude": "52.25"}  # wrong
    ApplicationClient("app", "key", network="v1")  # wrong


async def of_asyncio() -> None:
    async with aio.MQTTClient("app", "key", qos=3) as client:  # wrong
        client.send("node-1", b"\x01").mid  # wrong
        await client.send("node-1", b"\x01", schedule="frist")  # wrong
        for one in client.uplinks():  # wrong
            pass
        async for msg in client.uplinks():
            msg.metadta  # wrong
        client.events("down/acked")  # wrong
        await client.run(takes_three)  # wrong
    async with aio.ApplicationClient("app", "key") as application:
        application.device("node-1").dev_id  # wrong
        await application.register_device("node-1")  # wrong


def of_thingsboard(answer: Any) -> None:
    device = TBDeviceMqttClient("localhost", usrname="token")  # wrong
    device.connect(callback=takes_nothing)  # wrong
    device.send_telemetry("temperature")  # wrong
    device.send_telemetry({"temperature": 21}, quality_of_service=2)  # wrong
    device.send_telemetry({"temperature": 21}).wait()  # wrong
    device.subscribe_to_attribute(takes_nothing, "target")  # wrong
    device.request_attributes(["a"], callback=takes_nothing)  # wrong
    device.set_server_side_rpc_request_handler(takes_nothing)  # wrong
    device.send_rpc_call("time", {}, takes_nothing)  # wrong
    gateway = TBGatewayMqttClient("localhost", "token")
    gateway.gw_send_telemetry({"temperature": 21}, "pump")  # wrong
    gateway.gw_subscribe_to_attribute("pump", "target", takes_nothing)  # wrong


def of_the_sandbox() -> None:
    with Sandbox(network="V2") as sandbox:  # wrong
        sandbox.device("node-1").uplink(port="2")  # wrong
        sandbox.device("node-1").next_downlink().paylod  # wrong
        sandbox.stream(rate="fast")  # wrong
        sandbox.device(7)  # wrong
