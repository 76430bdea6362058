"""`ApplicationClient`: an application and its devices, on The Things Network V2, The Things Stack V3 or ChirpStack."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from thingslink import _native
from thingslink._arguments import checked
from thingslink.aio._binding import awaited, taking
from thingslink.aio._known import Known
from thingslink.aio._managing import Calling

if TYPE_CHECKING:
    from collections.abc import Generator

    from typing_extensions import Self

    from thingslink._native import Device, DeviceEvent, RepeatedContainer, UplinkMessage
    from thingslink._native.arguments import _Seconds
    from thingslink.typing import Network

__all__ = ["ApplicationClient", "DeviceIterator", "Devices", "EventIterator", "PageIterator"]

#: Devices of a page, where nothing else is said.
_PAGE = 1000


@checked
class ApplicationClient(Calling[_native.ApplicationClient]):
    """Manages an application and its devices, for asyncio.

    The arguments, and all calls, are those of ``thingslink.ApplicationClient``; calls are coroutines. A call that is
    cancelled ends at the server, too; a device whose move is cancelled is put back. Where no address is given, the
    discovery server is asked on enter, or by the first call. An asynchronous context manager.
    """

    @taking(_native.ApplicationClient)
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__()
        self._given = _native.ApplicationClient._given(*arguments, **options)
        self._native = self._given.known()

    @classmethod
    def _over(cls, native: _native.ApplicationClient) -> Self:
        """Give a client over one of the other face."""
        self = cls.__new__(cls)
        super(ApplicationClient, self).__init__()
        self._native = native
        return self

    async def _make(self) -> _native.ApplicationClient:
        return await self._given.open_async()

    app_id: Known[str] = Known("Application ID; read at each call.", given=True)
    app_access_key: Known[str | None] = Known("Access key; read at each call.")
    client: Known[Any] = Known("What the calls go through. May be replaced by anything with the service's methods.")

    @property
    def network(self) -> Network:
        """The network that is spoken to: ``"v2"``, ``"v3"`` or ``"chirpstack"``."""
        # Only of V2 there is anything to discover.
        return "v2" if self._native is None else self._native.network

    get = awaited(_native.ApplicationClient.get)
    register = awaited(_native.ApplicationClient.register)
    unregister = awaited(_native.ApplicationClient.unregister)
    rights = awaited(_native.ApplicationClient.rights)
    gateways = awaited(_native.ApplicationClient.gateways)
    set_payload_format = awaited(_native.ApplicationClient.set_payload_format)
    set_custom_payload_functions = awaited(_native.ApplicationClient.set_custom_payload_functions)
    clear_custom_payload_functions = awaited(_native.ApplicationClient.clear_custom_payload_functions)
    set_register_on_join_access_key = awaited(_native.ApplicationClient.set_register_on_join_access_key)
    device = awaited(_native.ApplicationClient.device)
    check_device = awaited(_native.ApplicationClient.check_device)
    register_device = awaited(_native.ApplicationClient.register_device)
    update_device = awaited(_native.ApplicationClient.update_device)
    delete_device = awaited(_native.ApplicationClient.delete_device)
    personalize = awaited(_native.ApplicationClient.personalize)
    dry_uplink = awaited(_native.ApplicationClient.dry_uplink)
    dry_downlink = awaited(_native.ApplicationClient.dry_downlink)
    simulate_uplink = awaited(_native.ApplicationClient.simulate_uplink)
    downlinks = awaited(_native.ApplicationClient.downlinks)
    push_downlink = awaited(_native.ApplicationClient.push_downlink)
    replace_downlinks = awaited(_native.ApplicationClient.replace_downlinks)
    clear_downlinks = awaited(_native.ApplicationClient.clear_downlinks)
    prefixes = awaited(_native.ApplicationClient.prefixes)
    dev_addr = awaited(_native.ApplicationClient.dev_addr)

    async def move_device(self, dev_id: str, to: ApplicationClient, *, timeout: _Seconds | None = None) -> None:
        """Move a device to the application of another client. If that fails or is cancelled, it is put back."""
        # What is something else is told natively.
        target = await to._open() if isinstance(to, ApplicationClient) else to
        await self._call("move_device", dev_id, target, timeout=timeout)

    def devices(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        complete: bool = True,
        page_size: int = _PAGE,
        timeout: _Seconds | None = None,
    ) -> Devices:
        """List the devices, all or a part of them, sorted by ID: at once with ``await``, bit by bit with ``async for``.

        Args:
            limit: Devices at most.
            offset: Devices to skip.
            complete: On V3 and ChirpStack, whether to ask for the rest of all devices at once. Without it the rest of a
                device is asked for when its ``lorawan_device``, ``v3`` or ``chirpstack`` is looked at, which holds the
                event loop up meanwhile.
            page_size: Devices to be asked for at a time with ``async for``.
            timeout: Seconds, for each call.
        """
        page_size = _checked(page_size)
        for name, number in (("limit", limit), ("offset", offset)):
            if number is not None:
                _native._whole(name, number, 0, sys.maxsize)
        return Devices(self, limit=limit, offset=offset, complete=complete, page_size=page_size, timeout=timeout)

    def devices_pages(
        self, *, page_size: int = 100, complete: bool = True, timeout: _Seconds | None = None
    ) -> PageIterator:
        """Iterate over the pages of the list of devices: lists, whose ``total`` tells how far it is."""
        page_size = _checked(page_size)
        return PageIterator(self, limit=None, offset=0, complete=complete, page_size=page_size, timeout=timeout)

    def iter_devices(self, *, page_size: int = _PAGE, timeout: _Seconds | None = None) -> DeviceIterator:
        """Iterate over the devices, asking for one page after the other."""
        return aiter(self.devices(page_size=page_size, timeout=timeout))

    def events(self, dev_id: str, *, timeout: _Seconds | None = None) -> EventIterator:
        """Iterate over the events of a device, on ChirpStack: some ten that the server has kept, then new ones.

        Args:
            dev_id: The device.
            timeout: Seconds: the iteration ends when nothing has come for so long; 30 by default.
        """
        return EventIterator(self, dev_id, timeout)

    def __repr__(self) -> str:
        if self._native is None:
            return f"<aio.{type(self).__name__} app_id={self.app_id!r}, not discovered yet>"
        return super().__repr__()


def _checked(page_size: int) -> int:
    return _native._whole("page_size", page_size, 1, sys.maxsize)


class Devices:
    """The devices of an application, from ``devices``: a sequence with ``await``, one by one with ``async for``."""

    def __init__(
        self,
        client: ApplicationClient,
        *,
        limit: int | None,
        offset: int | None,
        complete: bool,
        page_size: int,
        timeout: _Seconds | None,
    ) -> None:
        self._client, self._limit, self._offset = client, limit, offset
        self._complete, self._page_size, self._timeout = complete, page_size, timeout

    async def _list(self) -> RepeatedContainer[Device]:
        found: RepeatedContainer[Device] = await self._client._call(
            "devices", limit=self._limit, offset=self._offset, complete=self._complete, timeout=self._timeout
        )
        return found

    def __await__(self) -> Generator[Any, None, RepeatedContainer[Device]]:
        return self._list().__await__()

    def __aiter__(self) -> DeviceIterator:
        offset = 0 if self._offset is None else self._offset
        pages = PageIterator(
            self._client,
            limit=self._limit,
            offset=offset,
            complete=self._complete,
            page_size=self._page_size,
            timeout=self._timeout,
        )
        return DeviceIterator(pages)


class PageIterator:
    """The pages of the list of devices, from ``devices_pages``. A call that is cancelled loses none."""

    def __init__(
        self,
        client: ApplicationClient,
        *,
        limit: int | None,
        offset: int,
        complete: bool,
        page_size: int,
        timeout: _Seconds | None,
    ) -> None:
        self._client, self._left, self._offset = client, limit, offset
        self._options = {"complete": complete, "timeout": timeout}
        self._page_size = page_size
        self._is_first, self._is_over = True, False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RepeatedContainer[Device]:
        if self._is_over:
            raise StopAsyncIteration
        size = self._page_size if self._left is None else min(self._page_size, self._left)
        page: RepeatedContainer[Device] = await self._client._call(
            "devices", limit=size, offset=self._offset, **self._options
        )
        self._offset += len(page)
        if self._left is not None:
            self._left -= len(page)
        self._is_over = len(page) < size or self._left == 0
        is_first, self._is_first = self._is_first, False
        # An application without devices has one page, too.
        if not page and not is_first:
            raise StopAsyncIteration
        return page


class DeviceIterator:
    """The devices of an application, fetched page by page. A call that is cancelled loses none."""

    def __init__(self, pages: PageIterator) -> None:
        self._pages = pages
        self._page: RepeatedContainer[Device] | None = None
        self._next = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Device:
        while self._page is None or self._next >= len(self._page):
            self._page, self._next = await self._pages.__anext__(), 0
        self._next += 1
        return self._page[self._next - 1]


class EventIterator:
    """The events of a device, from ``events``."""

    def __init__(self, client: ApplicationClient, dev_id: str, timeout: _Seconds | None) -> None:
        self._client, self._dev_id, self._timeout = client, dev_id, timeout
        self._native: _native.EventIterator | None = None

    def __aiter__(self) -> Self:
        return self

    async def _begin(self) -> _native.EventIterator:
        begun: _native.EventIterator = await self._client._call("events", self._dev_id, timeout=self._timeout)
        return begun

    async def __anext__(self) -> UplinkMessage | DeviceEvent:
        native = self._native
        if native is None:
            native = self._native = await self._begin()
        event = await native._next_async()
        if event is None:
            raise StopAsyncIteration
        return event
