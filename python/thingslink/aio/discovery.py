"""`DiscoveryClient`: who serves an application, and where."""

from __future__ import annotations

from typing import Any

from thingslink import _native
from thingslink.aio._binding import awaited, taking
from thingslink.aio._known import Known
from thingslink.aio._managing import Calling

__all__ = ["DiscoveryClient"]


class DiscoveryClient(Calling[_native.DiscoveryClient]):
    """Asks a discovery server of The Things Network who serves what, for asyncio.

    The arguments, and all calls, are those of ``thingslink.DiscoveryClient``; calls are coroutines. A call that is
    cancelled ends at the server, too. An asynchronous context manager.
    """

    @taking(_native.DiscoveryClient)
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__()
        self._native = _native.DiscoveryClient(*arguments, **options)

    client: Known[Any] = Known("What the calls go through. May be replaced by anything with the service's methods.")

    get_all = awaited(_native.DiscoveryClient.get_all)
    get = awaited(_native.DiscoveryClient.get)
    get_by_app_id = awaited(_native.DiscoveryClient.get_by_app_id)
    get_by_gateway_id = awaited(_native.DiscoveryClient.get_by_gateway_id)
    get_by_app_eui = awaited(_native.DiscoveryClient.get_by_app_eui)
