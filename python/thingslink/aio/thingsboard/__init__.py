"""The ThingsBoard clients for asyncio: sends and calls are awaited, what the server asks for is answered by coroutines.

The clients of the other face do the work; what their threads hear is handed to the event loop (`aio._post`).
"""

from __future__ import annotations

from thingslink.aio._connection import Connection
from thingslink.aio.thingsboard._packages import Package
from thingslink.aio.thingsboard.device import TBDeviceMqttClient
from thingslink.aio.thingsboard.gateway import TBGatewayMqttClient

__all__ = ["Connection", "Package", "TBDeviceMqttClient", "TBGatewayMqttClient"]
