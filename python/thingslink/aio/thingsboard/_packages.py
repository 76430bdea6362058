"""Firmware and software packages that a server announces."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from thingslink._native import LoginRefusedError, NotConnectedError, QueueFullError
from thingslink.aio._belonging import Belonging

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

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


class PackageClient(Belonging):
    """What a device's client does about packages."""

    _core: _device.TBDeviceMqttClient
    _post: Post
    _following: Following
    _open: Callable[[str], Updates[Any]]
    _call: Callable[..., Coroutine[Any, Any, Any]]

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
        """Download the firmware package that the shared attributes announce, now and whenever they change.

        Returns when the server has been told what is installed, and been asked for what should be. Cancelled while it
        waits for the connection, both are done after the next login.
        """
        await self._get("fw")

    async def get_software_update(self) -> None:
        """Download the software package that the shared attributes announce, as ``get_firmware_update`` firmware."""
        await self._get("sw")

    async def update_firmware_info(
        self, title: str | None = None, version: str | None = None, state: Any = None, error: str | None = None
    ) -> None:
        """Change what is told about the firmware, and send it as telemetry, with the present time."""
        await self._tell("fw", title=title, version=version, state=state, error=error)

    async def update_software_info(
        self, *, title: str | None = None, version: str | None = None, state: Any = None, error: str | None = None
    ) -> None:
        """Change what is told about the software, and send it as telemetry, with the present time."""
        await self._tell("sw", title=title, version=version, state=state, error=error)

    async def _get(self, prefix: str) -> None:
        from thingslink.thingsboard.package import KINDS  # noqa: PLC0415 - large, and few programs come here

        self._belong()
        core, kind = self._core, KINDS[prefix]
        packages = core._all_packages()
        packages.begin(core, kind)
        is_connected = core.is_connected()
        # Without a connection it is asked after the next login, whether somebody waits for that or not.
        question = None if is_connected else packages.question(core, kind)
        await self._tell(prefix)
        if is_connected:
            question = packages.question(core, kind)
        if question is not None:
            await self._call("_publish_data", *question)

    async def _tell(self, prefix: str, **changes: Any) -> None:
        from thingslink.thingsboard.package import KINDS  # noqa: PLC0415 - as above

        self._belong()
        packages = self._core._all_packages()
        packages.note(self._core, KINDS[prefix], **changes)
        while packages.untold:
            entry = packages.untold.popleft()
            try:
                await self._call("send_telemetry", entry)
            except (asyncio.CancelledError, LoginRefusedError, NotConnectedError, QueueFullError):
                # It goes out after the next login.
                packages.untold.appendleft(entry)
                raise
