"""The clients for asyncio, under the names of the other ones: a program changes one import.

from thingslink import aio

async with aio.ApplicationClient("my-app", "ttn-account-v2.…") as application:
    async for device in application.devices():
        print(device.dev_id)
"""

from __future__ import annotations

from thingslink.aio.application import ApplicationClient
from thingslink.aio.discovery import DiscoveryClient
from thingslink.aio.handler import HandlerClient

__all__ = ["ApplicationClient", "DiscoveryClient", "HandlerClient"]
