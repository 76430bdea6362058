"""One device of an application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from thingslink._native import ActivationEvent, DeviceEvent, FieldValue, RawMessage, UplinkMessage
    from thingslink._native.lorawan import _Payload
    from thingslink.aio._downlink import Downlink
    from thingslink.aio._stream import Stream
    from thingslink.typing import EventName

__all__ = ["Device"]


class _Client(Protocol):
    def uplinks(self, *, dev_id: str | None = None) -> Stream[UplinkMessage]: ...
    def raw_uplinks(self, *, dev_id: str | None = None) -> Stream[RawMessage]: ...
    def uplink_fields(self, field: str, *, dev_id: str | None = None) -> Stream[FieldValue]: ...
    def events(self, kind: EventName | None = None, *, dev_id: str | None = None) -> Stream[DeviceEvent]: ...
    def activations(self, *, dev_id: str | None = None) -> Stream[ActivationEvent]: ...
    async def run(
        self,
        handler: Callable[[UplinkMessage], Awaitable[object]],
        *,
        concurrency: int = 1,
        dev_id: str | None = None,
    ) -> None: ...
    async def send(self, dev_id: str, payload: _Payload, *arguments: Any, **options: Any) -> Downlink: ...


class Device:
    """One device of an application, from ``MQTTClient.device``: the client's methods, for this device alone."""

    __slots__ = ("_client", "_dev_id")

    def __init__(self, client: _Client, dev_id: str) -> None:
        self._client = client
        self._dev_id = dev_id

    @property
    def dev_id(self) -> str:
        """Device ID."""
        return self._dev_id

    def uplinks(self) -> Stream[UplinkMessage]:
        """As ``MQTTClient.uplinks``."""
        return self._client.uplinks(dev_id=self._dev_id)

    def raw_uplinks(self) -> Stream[RawMessage]:
        """As ``MQTTClient.raw_uplinks``."""
        return self._client.raw_uplinks(dev_id=self._dev_id)

    def uplink_fields(self, field: str) -> Stream[FieldValue]:
        """As ``MQTTClient.uplink_fields``."""
        return self._client.uplink_fields(field, dev_id=self._dev_id)

    def events(self, kind: EventName | None = None) -> Stream[DeviceEvent]:
        """As ``MQTTClient.events``."""
        return self._client.events(kind, dev_id=self._dev_id)

    def activations(self) -> Stream[ActivationEvent]:
        """As ``MQTTClient.activations``."""
        return self._client.activations(dev_id=self._dev_id)

    async def run(self, handler: Callable[[UplinkMessage], Awaitable[object]]) -> None:
        """As ``MQTTClient.run``: one uplink at a time, in order."""
        await self._client.run(handler, dev_id=self._dev_id)

    async def send(
        self,
        payload: _Payload,
        port: int = 1,
        confirmation: bool = False,
        schedule: str = "replace",
        *,
        priority: str | None = None,
        class_b_c: dict[str, Any] | None = None,
        confirmed_retry: int | dict[str, int] | None = None,
        correlation_ids: list[str] | None = None,
    ) -> Downlink:
        """As ``MQTTClient.send``."""
        return await self._client.send(
            self._dev_id,
            payload,
            port,
            confirmation,
            schedule,
            priority=priority,
            class_b_c=class_b_c,
            confirmed_retry=confirmed_retry,
            correlation_ids=correlation_ids,
        )

    def __repr__(self) -> str:
        return f"<Device {self._dev_id!r} of {self._client!r}>"
