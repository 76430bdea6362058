"""A sensor of Home Assistant over a device's uplinks, in the shape of its integrations.

It belongs into ``custom_components``, where the base classes are those of Home Assistant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from thingslink import LoginRefusedError, aio

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Iterable


class HomeAssistant(Protocol):
    """What is needed of ``homeassistant.core.HomeAssistant``."""

    def async_create_task(self, target: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run a coroutine on the loop of Home Assistant."""
        raise NotImplementedError


class ConfigEntry(Protocol):
    """What is needed of ``homeassistant.config_entries.ConfigEntry``."""

    data: dict[str, Any]
    runtime_data: Any

    def async_on_unload(self, call: Callable[[], object]) -> None:
        """Have something called when the entry is unloaded."""


async def async_setup_entry(
    hass: HomeAssistant, entry: ConfigEntry, add_entities: Callable[[Iterable[LorawanSensor]], None]
) -> bool:
    """Connect, and make a sensor for each device and field of the entry."""
    client = aio.MQTTClient(entry.data["app_id"], entry.data["access_key"], entry.data["mqtt_address"])
    sensors = [LorawanSensor(client, dev_id, field) for dev_id, field in entry.data["fields"]]
    try:
        await client.connect()
    except LoginRefusedError:
        return False  # There ConfigEntryAuthFailed is raised, which asks for another key.
    entry.runtime_data = client
    add_entities(sensors)
    for sensor in sensors:
        entry.async_on_unload(hass.async_create_task(sensor.follow(), f"{sensor.unique_id} uplinks").cancel)
    entry.async_on_unload(hass.async_create_task(follow_connection(client, sensors), "connection").cancel)
    return True


async def async_unload_entry(_hass: HomeAssistant, entry: ConfigEntry) -> bool:
    """Close the client; its streams end, and with them what follows them."""
    await entry.runtime_data.aclose()
    return True


async def follow_connection(client: aio.MQTTClient, sensors: list[LorawanSensor]) -> None:
    """Show sensors as unavailable while there is no connection."""
    async for connection in client.connections():
        for sensor in sensors:
            sensor.available = connection.is_connected
            sensor.async_write_ha_state()


class LorawanSensor:
    """One payload field of a device; there a ``SensorEntity``."""

    should_poll = False

    def __init__(self, client: aio.MQTTClient, dev_id: str, field: str) -> None:
        self.unique_id = f"{dev_id}-{field}"
        self.native_value: float | str | None = None
        self.available = True
        self.written: list[tuple[float | str | None, bool]] = []
        self._field = field
        # From now on: what comes before Home Assistant is ready for it waits.
        self._uplinks = client.uplinks(dev_id=dev_id)

    async def follow(self) -> None:
        """Take each uplink's value."""
        async for msg in self._uplinks:
            fields = msg.get("payload_fields")
            if fields is not None and self._field in fields.keys():  # noqa: SIM118 - a message is a tuple
                self.native_value = fields[self._field]
                self.async_write_ha_state()

    def async_write_ha_state(self) -> None:
        """Tell Home Assistant; its ``Entity`` has this."""
        self.written.append((self.native_value, self.available))
