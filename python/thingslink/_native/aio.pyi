"""What the clients of ``thingslink.aio`` stand on. Futures are of the event loop that runs on the calling thread."""

import asyncio
from collections.abc import Callable
from typing import Any, final

from thingslink._native.arguments import _Seconds
from thingslink._native.lorawan import DownlinkHandle, Stats, _Payload
from thingslink.typing import Network

@final
class _AioClient:
    """A client whose deliveries go to an event loop."""

    def __new__(
        cls,
        told: Callable[[str, Any], object],
        **settings: object,
    ) -> _AioClient:
        """Take the arguments of ``MQTTClient``, each by its name, and who is told what the streams do not tell."""
    @property
    def app_id(self) -> str:
        """Application ID, as messages have it: without a tenant."""
    @property
    def is_connected(self) -> bool:
        """Whether the client is logged in now."""
    @property
    def is_open(self) -> bool:
        """Whether there is a session, be it connected or connecting anew."""
    @property
    def application(self) -> str | None:
        """The application's UUID, on ChirpStack and if it is known."""
    @property
    def subject(self) -> str | None:
        """What it gets all messages of; ``None`` if it has a share of them."""
    @property
    def mqtt_address(self) -> str:
        """The server's address, as far as it is known, without a secret."""
    @property
    def network(self) -> Network:
        """``"v2"``, ``"v3"`` or ``"chirpstack"``."""
    def connect(self, timeout: _Seconds | None = None) -> asyncio.Future[None]:
        """Connect, log in and subscribe. Cancelled, the attempt is given up."""
    def close(self, timeout: _Seconds | None = None) -> asyncio.Future[None]:
        """End the streams, send what was accepted, part with the server."""
    def send(
        self,
        dev_id: str,
        payload: _Payload,
        port: int,
        confirmation: bool,
        schedule: str,
        priority: str | None,
        class_b_c: dict[str, Any] | None,
        confirmed_retry: int | dict[str, int] | None,
        correlation_ids: list[str] | None,
    ) -> asyncio.Future[int]:
        """Accept a downlink: a future of its number, done when it is written (QoS 0) or acknowledged (QoS 1).

        One that goes in front of V3's queue is done when the network has taken it.
        """
    def downlink(self, mid: int, dev_id: str) -> DownlinkHandle:
        """Give a downlink's handle."""
    def room(self) -> asyncio.Future[None]:
        """Wait until something has left the full queue of downlinks, at most 30 s."""
    def flush(self, timeout: _Seconds | None = None) -> asyncio.Future[None]:
        """Wait until every downlink is written (QoS 0) or acknowledged (QoS 1)."""
    def uplinks(self, dev_id: str | None) -> _Inlet:
        """Open a stream of uplinks."""
    def raw_uplinks(self, dev_id: str | None) -> _Inlet:
        """Open a stream of uplinks as they came."""
    def uplink_fields(self, field: str, dev_id: str | None) -> _Inlet:
        """Open a stream of the values of one payload field."""
    def checked(self, dev_id: str) -> str:
        """Give a device ID, if it is one."""
    def events(self, kind: str | None, dev_id: str | None) -> _Inlet:
        """Open a stream of events."""
    def stats(self) -> Stats:
        """Give the counters."""

@final
class _Inlet:
    """The reader's end of a stream."""

    @property
    def bound(self) -> int:
        """Messages that the client holds at most."""
    def next(self) -> Any:
        """Give the next message, or ``...`` if the reader has to wait. The one before is acknowledged."""
    def next_by_hand(self) -> tuple[Any, str, _Share] | None:
        """Give the next message, its device, and what it is settled with; or ``None`` if the reader has to wait."""
    def look(self) -> bool:
        """Tell whether there is something to read; otherwise the reader has to wait. What was given is acknowledged."""
    def take(self, most: int) -> list[Any]:
        """Give what is there, at most ``most`` messages."""
    def wait(self, wanted: int = 1) -> asyncio.Future[None]:
        """Give a future that is done when ``wanted`` messages are there, or when there is something else to look at."""
    def wake(self) -> None:
        """Have whoever waits look again."""
    def may_grow(self) -> bool:
        """Whether more may come before what is there is read."""
    def close(self) -> None:
        """End the subscription. What was not acknowledged comes again."""
    def __len__(self) -> int: ...

@final
class _Share:
    """A message that whoever took it settles by hand."""

    def settle(self, failed: bool, why: str | None = None) -> bool:
        """It was handled; ``failed`` if its handler raised an exception. Gives whether it is left with the server."""
    def abandon(self) -> None:
        """It was not handled: it comes again."""

def _same_loop(own: asyncio.AbstractEventLoop | None, /) -> asyncio.AbstractEventLoop:
    """Give the event loop that runs on this thread.

    Raises:
        RuntimeError: It is another one than ``own``; names both.
    """
