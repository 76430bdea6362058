"""A downlink that was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta

    from thingslink._native import DownlinkHandle, DownlinkOutcome
    from thingslink.typing import DownlinkState

__all__ = ["Downlink"]


class Downlink:
    """A downlink that the server has taken, and what becomes of it: the states are those of `DownlinkHandle`.

    Attributes:
        dev_id: Its device.
    """

    __slots__ = ("_handle", "dev_id")

    def __init__(self, dev_id: str, handle: DownlinkHandle) -> None:
        self.dev_id = dev_id
        self._handle = handle

    @property
    def mid(self) -> int:
        """Message ID, 1 to 65535, as callbacks of the other face get it. ``int(downlink)`` gives it, too."""
        return self._handle.mid

    @property
    def state(self) -> str:
        """Where it is, as far as is known.

        Raises:
            ValueError: There were 10,000 downlinks after it.
        """
        return self._handle.state

    @property
    def error(self) -> str | None:
        """Why it has failed, or what may be behind the network's silence; ``None`` of others."""
        return self._handle.error

    async def wait(self, state: DownlinkState = "queued", timeout: float | timedelta | None = None) -> DownlinkOutcome:
        """Wait until it is, or has been, in a state, such as ``"sent"`` or ``"acked"``.

        Args:
            state: Any but ``"waiting"``.
            timeout: Seconds, 30 by default.

        Returns:
            What has become of it then: equal to the name of the state that it is in, with ``time``, ``error`` and
            ``correlation_ids``.

        Raises:
            DownlinkError: It has failed, is unconfirmed or acknowledged and will not come into that state, or the
                client is closed.
            ThingsTimeoutError: It took longer.
            ValueError: No such state, or there were 10,000 downlinks after it.
            RuntimeError: The client belongs to another event loop.
        """
        return await self._handle._wait_async(state, timeout)

    def __int__(self) -> int:
        return self.mid

    __index__ = __int__

    def __repr__(self) -> str:
        return f"<Downlink dev_id={self.dev_id!r} {repr(self._handle).removeprefix('<DownlinkHandle ')}"
