"""`HandlerClient`: finds the handler of an application and gives the clients that talk to it."""

from __future__ import annotations

from typing import Any

from thingslink import _native
from thingslink.aio._binding import taking
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

    @property
    def app_id(self) -> str:
        """Application ID, for the clients made from now on."""
        return self._given.app_id if self._native is None else self._native.app_id

    @app_id.setter
    def app_id(self, app_id: str) -> None:
        self._known().app_id = app_id

    @property
    def app_access_key(self) -> str | None:
        """Access key, for the clients made from now on."""
        return self._known().app_access_key

    @app_access_key.setter
    def app_access_key(self, access_key: str | None) -> None:
        self._known().app_access_key = access_key

    @property
    def insecure_channel(self) -> bool:
        """Whether discovery was asked without TLS."""
        return self._known().insecure_channel

    @insecure_channel.setter
    def insecure_channel(self, insecure: bool) -> None:
        self._known().insecure_channel = insecure

    @property
    def announcement(self) -> Any:
        """What the handler has announced."""
        return self._known().announcement

    @announcement.setter
    def announcement(self, announcement: Any) -> None:
        self._known().announcement = announcement

    async def data(self, reconnect: bool = True, **options: Any) -> MQTTClient:
        """Give a new MQTT client of the application; keyword arguments are those of ``MQTTClient``."""
        return (await self._open())._data_as(MQTTClient, reconnect, **options)

    async def application(self) -> ApplicationClient:
        """Give a new client that manages the application and its devices."""
        return ApplicationClient._over((await self._open()).application())
