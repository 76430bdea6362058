"""The clients for asyncio, under the names of the other ones: a program changes one import.

from thingslink import aio

async with aio.MQTTClient("my-app", "ttn-account-v2.…", "mqtts://eu.example.com") as client:
    async for msg in client.uplinks():
        print(msg.dev_id, msg.payload_fields)

async with aio.ApplicationClient("my-app", "ttn-account-v2.…") as application:
    async for device in application.devices():
        print(device.dev_id)

Everything happens on the thread of the event loop on which a client is used.
"""

from __future__ import annotations

from thingslink.aio._connection import Connection
from thingslink.aio._device import Device
from thingslink.aio._downlink import Downlink
from thingslink.aio._stream import Batch, Batches, Stream
from thingslink.aio._updates import Updates
from thingslink.aio.application import ApplicationClient
from thingslink.aio.discovery import DiscoveryClient
from thingslink.aio.handler import HandlerClient
from thingslink.aio.mqtt import MQTTClient
from thingslink.aio.sandbox import Sandbox
from thingslink.aio.thingsboard import TBDeviceMqttClient, TBGatewayMqttClient

__all__ = [
    "ApplicationClient",
    "Batch",
    "Batches",
    "Connection",
    "Device",
    "DiscoveryClient",
    "Downlink",
    "HandlerClient",
    "MQTTClient",
    "Sandbox",
    "Stream",
    "TBDeviceMqttClient",
    "TBGatewayMqttClient",
    "Updates",
]
