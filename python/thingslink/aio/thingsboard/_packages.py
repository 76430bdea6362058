"""Firmware and software packages that a server announces."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from thingslink.aio._following import Following
    from thingslink.aio._post import Post
    from thingslink.aio._updates import Updates
    from thingslink.thingsboard import device as _device

__all__ = ["Package", "PackageClient"]


class Package(NamedTuple):
    """A firmware or software package, or why there is none."""

    kind: Literal["fw", "sw"]
    version: str
    data: bytes | None
    """The package itself."""
    url: str | None
    """Where it lies, if the server does not keep it."""
    error: str | None
    """Why it cannot be had."""


class PackageClient:
    """What a device's client does about packages."""

    _core: _device.TBDeviceMqttClient
    _post: Post
    _following: Following
    _open: Callable[[str], Updates[Any]]

    def packages(self) -> Updates[Package]:
        """Give a stream of the firmware and software packages that the server announces, as they are downloaded."""
        core = self._core

        def told(kind: Literal["fw", "sw"], of: str) -> Callable[[object, Any, str], None]:
            def hear(_client: object, value: Any, version: str) -> None:
                fields = {"data": None, "url": None, "error": None, of: value}
                self._post.put(self._following.tell, "packages", Package(kind, version, **fields))

            return hear

        core.set_on_firmware_received_callback(told("fw", "data"))
        core.set_on_firmware_url_callback(told("fw", "url"))
        core.set_on_firmware_failed_callback(told("fw", "error"))
        core.set_on_software_received_callback(told("sw", "data"))
        core.set_on_software_url_callback(told("sw", "url"))
        core.set_on_software_failed_callback(told("sw", "error"))
        return self._open("packages")

    async def get_firmware_update(self) -> None:
        """Download the firmware package that the shared attributes announce, now and whenever they change."""
        await asyncio.to_thread(self._core.get_firmware_update)

    async def get_software_update(self) -> None:
        """Download the software package that the shared attributes announce, now and whenever they change."""
        await asyncio.to_thread(self._core.get_software_update)

    async def update_firmware_info(
        self, title: str | None = None, version: str | None = None, state: Any = None, error: str | None = None
    ) -> None:
        """Change what is told about the firmware, and send it as telemetry, with the present time."""
        await asyncio.to_thread(self._core.update_firmware_info, title, version, state, error)

    async def update_software_info(
        self, *, title: str | None = None, version: str | None = None, state: Any = None, error: str | None = None
    ) -> None:
        """Change what is told about the software, and send it as telemetry, with the present time."""
        tell = self._core.update_software_info
        await asyncio.to_thread(tell, title=title, version=version, state=state, error=error)
