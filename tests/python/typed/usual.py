"""Programs as users write them: type checkers have nothing to say. Never run; `test_typed.py` has mypy read it."""

import csv
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import thingslink
from thingslink import aio
from thingslink.sandbox import Sandbox
from thingslink.tb_device_mqtt import TBDeviceMqttClient, TBPublishInfo
from thingslink.tb_gateway_mqtt import TBGatewayMqttClient
from thingslink.ttn import DeviceEvent, HandlerClient, MQTTClient, RawMessage, UplinkMessage
from thingslink.typing import DeviceFields, Gateway, Level, Schedule


def both(msg: UplinkMessage, client: MQTTClient) -> None:
    print(msg.dev_id, msg.counter + 1, msg.payload_fields.temperature, msg.payload_fields["humidity"])
    best = max(msg.metadata.gateways, key=rssi)
    print(best.gtw_id, best.snr, msg.metadata.frequency * 1e6, msg.metadata.time)
    if hasattr(msg, "is_retry"):
        print(msg.is_retry)
    print(msg[0], msg["dev_id"], len(msg), *msg, msg._asdict(), json.dumps(msg.to_dict()))
    client.send(msg.dev_id, [1, 2], port=2, confirmed=True, sched="first")


def rssi(gateway: Gateway) -> float:
    return gateway.rssi


async def alone(msg: UplinkMessage) -> None:
    print(msg.payload)


def named(msg: UplinkMessage, *, client: MQTTClient) -> None: ...


def any_of_both(msg: Any, client: Any) -> bool:
    return bool(msg and client)


def starred(*arguments: object) -> None: ...


class Program(MQTTClient):
    def listen(self) -> None:
        self.set_uplink_callback(self.take)
        self.set_uplink_callback(both)

    def take(self, msg: UplinkMessage, client: "Program") -> None: ...


class Sink:
    def __call__(self, msg: UplinkMessage, client: MQTTClient) -> None: ...

    async def event(self, event: DeviceEvent, client: MQTTClient) -> None:
        print(event.name, event.data and event.data.port)


def with_place(place: str, msg: UplinkMessage, client: MQTTClient) -> None: ...


def raw(msg: RawMessage, client: MQTTClient) -> None: ...


def callbacks(client: MQTTClient) -> None:
    client.set_uplink_callback(both)
    client.set_uplink_callback(alone)
    client.set_uplink_callback(named)
    client.set_uplink_callback(any_of_both, dev_id="node-1")
    client.set_uplink_callback(starred)
    client.set_uplink_callback(print)
    client.set_uplink_callback(Sink())
    client.set_uplink_callback(partial(with_place, "attic"))
    client.set_uplink_callback(lambda msg, client: client.send(msg.dev_id, b"\x01"))
    client.set_uplink_callback(lambda msg: print(msg.dev_id))
    client.set_uplink_raw_callback(raw)
    client.set_uplink_field_callback(lambda value, client: print(value.value), "tank/level")
    client.set_event_callback(Sink().event, "down/sent")
    client.set_event_callback(Sink().event)
    client.set_activation_callback(lambda event, client: print(event.dev_eui))
    client.set_connect_callback(lambda res, client: print("connected" if res else "refused"))
    client.set_error_callback(lambda error, client: print(repr(error)))
    found: list[UplinkMessage] = []
    client.set_uplink_callback(lambda msg, client: found.append(msg))
    kept: Callable[..., object] = both
    client.set_uplink_callback(kept)


def made(key: str, level: Level) -> None:
    MQTTClient("app", key)
    MQTTClient("app", key, "localhost:1883", qos=1, overflow="drop_oldest", on_callback_error="keep")
    MQTTClient(app_id="app", access_key=key, mqtt_address="localhost", qos=level)
    MQTTClient(appID="app", app_access_key=key, mqttAddress="localhost")
    MQTTClient(appID="app", appAccessKey=key, discovery_address="localhost:1900", tls=True)
    MQTTClient("app@ttn", key, cluster="eu1")
    with thingslink.HandlerClient("app", app_access_key=key) as handler, handler.data(qos=1, keep_alive=30) as client:
        callbacks(client)
        where: Schedule = "last"
        client.send(devID="node-1", pay="AQ==", conf=True, sched=where)
        client.send(deviceID="node-1", payload={"led": "on"}, port=3)
        mid = client.send("node-1", b"\x01", 2, False, "replace", priority="HIGH", class_b_c={"gateways": ["roof"]})
        if client.downlink(mid).wait("acked", 60) == "acked":
            print(client.stats()["sent"])
        client.device("node-1").send(pay=b"\x01", sched="last")


def devices(path: str) -> None:
    application = HandlerClient("app", "key").application()
    application.register_device("node-1", {"devEui": "0004A30B001B7AD2", "latitude": 52.25, "attributes": {"a": "b"}})
    device = {"dev_eui": "0004A30B001B7AD2", "app_key": "00" * 16}
    application.register_device("node-2", device)
    mixed = {"description": "attic", "altitude": 12}
    application.update_device("node-2", mixed)
    checked: DeviceFields = {"dev_eui": b"12345678", "supports_class_c": True, "mac_settings": {"rx1_delay": 5}}
    application.register_device("node-3", checked)
    with open(path, encoding="utf-8") as file:
        for row in csv.DictReader(file):
            application.register_device(row.pop("dev_id"), row)
        for one in json.load(file):
            application.register_device(one["dev_id"], one)
    print(application.device(devID="node-1").lorawan_device.dev_eui.hex(), len(application.devices()))
    application.set_payload_format(payloadf="custom")


async def asynchronous(key: str) -> None:
    async with aio.MQTTClient("app", key, qos=1) as client:
        sent = await client.send("node-1", b"\x01", schedule="last")
        print(sent.mid)
        async for msg in client.uplinks(dev_id="node-1"):
            print(msg.metadata.gateways[0].rssi)
    async with aio.ApplicationClient("app", key) as application:
        print((await application.device("node-1")).dev_id, len(await application.devices()))


def answered(result: Any, exception: Exception | None) -> None: ...


def thingsboard() -> None:
    device = TBDeviceMqttClient("localhost", 1883, "token")
    TBDeviceMqttClient("localhost", "token")
    TBDeviceMqttClient("localhost", token="token", chunk_size=1024)
    device.connect(tls=True, ca_certs="ca.pem", callback=lambda client, userdata, flags, code: print(code))
    if device.send_telemetry({"temperature": 21.5}, quality_of_service=1).get() == TBPublishInfo.TB_ERR_SUCCESS:
        device.send_telemetry([{"ts": 1, "values": {"temperature": 21.5}}])
    device.request_attributes(["a"], callback=answered)
    device.request_attributes(shared_keys=["a"], callback=(lambda result, exception, data: print(data), "data"))
    device.subscribe_to_attribute("target", lambda client, result, exception: print(result))
    device.set_server_side_rpc_request_handler(lambda client, request_id, body: client.send_rpc_reply(request_id, {}))
    device.set_server_side_rpc_request_handler(lambda request_id, body: print(body["method"]))
    device.send_rpc_call("time", {}, lambda request_id, result, exception: print(result))
    gateway = TBGatewayMqttClient("localhost", 1883, "token")
    gateway.gw_set_server_side_rpc_request_handler(lambda gateway, content: print(content))
    gateway.gw_subscribe_to_all_attributes(lambda content: print(content))


def sandbox() -> None:
    with Sandbox(network="v3", tenant="ttn") as network:
        network.device("node-1").uplink(b"\x01", port=2)
        print(network.device("node-1").next_downlink().payload.hex())
