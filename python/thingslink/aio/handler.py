"""`HandlerClient`: finds the handler of an application and gives the clients that talk to it."""

from __future__ import annotations

from typing import Any

from thingslink import _native
from thingslink.aio._binding import taking
from thingslink.aio._known import Known
from thingslink.aio._managing import Managing
from thingslink.aio.application import ApplicationClient
from thingslink.aio.mqtt import MQTTClient

__all__ = ["HandlerClient"]


class HandlerClient(Managing[_native.HandlerClient]):
    """Finds the handler of an application and gives the clients that talk to it, for asyncio.

    The arguments are those of ``thingslink.HandlerClient``. The discovery server is asked on enter, or by the first
    call. An asynchronous context manager.
    """

    @taking(_native.HandlerClient)
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__()
        self._given = _native.HandlerClient._given(*arguments, **options)

    async def _make(self) -> _native.HandlerClient:
        return await self._given.open_async()

    app_id: Known[str] = Known("Application ID, for the clients made from now on.", given=True)
    app_access_key: Known[str | None] = Known("Access key, for the clients made from now on.")
    insecure_channel: Known[bool] = Known("Whether discovery was asked without TLS.")
    announcement: Known[Any] = Known("What the handler has announced.")

    async def data(self, reconnect: bool = True, **options: Any) -> MQTTClient:
        """Give a new MQTT client of the application; keyword arguments are those of ``MQTTClient``."""
        return (await self._open())._data_as(MQTTClient, reconnect, **options)

    async def application(
        self,
        *,
        identity_address: str | None = None,
        frequency_plan_id: str | None = None,
        lorawan_version: str | None = None,
        lorawan_phy_version: str | None = None,
        profile: str | None = None,
    ) -> ApplicationClient:
        """Give a new client that manages the application and its devices.

        The arguments are those of ``ApplicationClient``: ``profile`` is for ChirpStack, the others are for V3.

        Raises:
            ValueError: One of them is given on another network, or is none that there is.
        """
        manager = (await self._open()).application(
            identity_address=identity_address,
            frequency_plan_id=frequency_plan_id,
            lorawan_version=lorawan_version,
            lorawan_phy_version=lorawan_phy_version,
            profile=profile,
        )
        return ApplicationClient._over(manager)
