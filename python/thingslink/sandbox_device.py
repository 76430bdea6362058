"""The simulated devices of a sandbox, and what reaches them."""

# ruff: noqa: SLF001 - a device is the sandbox's other half

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, NamedTuple

from thingslink._arguments import checked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from thingslink._native.arguments import _Octets
    from thingslink.sandbox import Sandbox

__all__ = ["ReceivedDownlink", "SandboxDevice"]


class ReceivedDownlink(NamedTuple):
    """A downlink that has reached a simulated device."""

    payload: bytes
    """As it was sent."""
    port: int
    """LoRaWAN FPort."""
    confirmed: bool
    """Whether the device acknowledges it."""
    counter: int
    """Frame counter."""


@checked
class SandboxDevice:
    """A simulated device of class A: downlinks reach it after its uplinks."""

    def __init__(self, sandbox: Sandbox, app_id: str, dev_id: str) -> None:
        self._sandbox = sandbox
        self.app_id = app_id
        self.dev_id = dev_id

    def uplink(
        self,
        payload: str | _Octets | None = b"\x00",
        *,
        fields: Mapping[str, Any] | None = None,
        port: int = 1,
        confirmed: bool = False,
        is_retry: bool = False,
    ) -> int:
        """Send an uplink; then the next downlink reaches the device.

        What clients have written to the sandbox until now is taken in first: a downlink that has been sent, as
        ``flush()`` tells, is in time.

        Args:
            payload: Bytes, a list of integers from 0 to 255, or hex text; ``None`` for a frame without application
                payload.
            fields: Decoded payload, as the application's payload functions would give it.
            port: LoRaWAN FPort, 0 to 255.
            confirmed: Whether the device asks for an acknowledgement.
            is_retry: Whether it repeats the frame before, with the same counter. V3 drops repeated frames; ChirpStack
                tells of them in a ``log``.

        Returns:
            The frame counter.
        """
        return self._sandbox._uplink(self.app_id, self.dev_id, payload, fields, port, confirmed, is_retry)

    def join(self) -> None:
        """Join anew: another address, counters at zero, an ``activations`` event (V2) or a ``join``."""
        self._sandbox._join(self.app_id, self.dev_id)

    def locate(self, latitude: float, longitude: float, altitude: int = 0) -> None:
        """Place the device, in degrees and metres; on V2 an ``update`` event, on ChirpStack a ``location``."""
        self._sandbox._locate(self.app_id, self.dev_id, latitude, longitude, altitude)

    def configure(
        self,
        *,
        attributes: Mapping[str, str] | None = None,
        acknowledges: bool | None = None,
        spreading_factor: int | None = None,
        counter: int | None = None,
    ) -> None:
        """Set what is given.

        Args:
            attributes: Texts that go along with uplinks; ChirpStack's tags.
            acknowledges: Whether the device acknowledges confirmed downlinks; it does from the start.
            spreading_factor: On V3 and ChirpStack, 7 to 12: what it sends with, 7 from the start. Longer downlinks than
                its data rate has room for fail: 242 bytes at 7 and 8, 115 at 9, 51 from 10 on.
            counter: On ChirpStack, what the device counts its next uplink as.
        """
        given = None if attributes is None else dict(attributes)
        if spreading_factor is not None:
            self._sandbox._set_spreading_factor(self.app_id, self.dev_id, spreading_factor)
        if counter is not None:
            self._sandbox._set_counter(self.app_id, self.dev_id, counter)
        self._sandbox._configure(self.app_id, self.dev_id, given, acknowledges)

    @property
    def dev_eui(self) -> str:
        """Its DevEUI in lower case; ``AttributeError`` but on ChirpStack."""
        return self._sandbox._dev_eui(self.app_id, self.dev_id)

    def report_status(self, *, margin: int = 0, battery: int = 255) -> int:
        """Send a frame that answers ChirpStack's request for the status: an ``up`` and a ``status``.

        Args:
            margin: In dB, -32 to 31.
            battery: As LoRaWAN has it: 0 for external power, 1 to 254, 255 where it is not known.

        Returns:
            The frame counter.
        """
        return self._sandbox._report_status(self.app_id, self.dev_id, margin, battery)

    def integration_event(self, name: str, event_type: str, fields: Mapping[str, Any]) -> None:
        """Let an integration tell something of the device, as servers of ChirpStack did until 4.14."""
        self._sandbox._integrate(self.app_id, self.dev_id, name, event_type, fields)

    def delete(self) -> None:
        """Remove the device; on V2 a ``delete`` event."""
        self._sandbox._delete(self.app_id, self.dev_id)

    @property
    def downlinks(self) -> list[bytes]:
        """Payloads of the downlinks that wait for the device, first to go first."""
        return [base64.b64decode(text) for text in self._sandbox._downlinks(self.app_id, self.dev_id)]

    @property
    def received(self) -> list[ReceivedDownlink]:
        """Downlinks that have reached the device, first to last; the latest 1,000."""
        got = self._sandbox._received(self.app_id, self.dev_id)
        return [ReceivedDownlink(*parts) for parts in got]

    def next_downlink(self, *, timeout: float = 10) -> ReceivedDownlink:
        """Wait for the next downlink that reaches the device, each given once.

        A device of class A receives after its own uplinks only: what is sent to it later waits for the next one.

        Args:
            timeout: Seconds to wait.

        Raises:
            TimeoutError: None came in that time; says how many wait for an uplink.
        """
        return ReceivedDownlink(*self._sandbox._wait_for(self._next, timeout, self._missing))

    def _next(self) -> tuple[bytes, int, bool, int] | None:
        return self._sandbox._next_received(self.app_id, self.dev_id)

    def _missing(self) -> str:
        waiting = len(self.downlinks)
        hint = f", and {waiting} more wait for its next uplink" if waiting else ""
        return f"no downlink reached {self.dev_id!r}{hint}"

    def __repr__(self) -> str:
        return f"<SandboxDevice {self.app_id}/{self.dev_id}>"
