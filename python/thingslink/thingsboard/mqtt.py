"""What connect callbacks are given beside the client."""

from typing import NamedTuple


class ConnectFlags(NamedTuple):
    """Flags of an answered login."""

    session_present: bool


class DisconnectFlags(NamedTuple):
    """Flags of an ended connection."""

    is_disconnect_packet_from_server: bool


class ReasonCode:
    """A code of MQTT, equal to its number and to its name."""

    __slots__ = ("_name", "value")

    def __init__(self, value: int, name: str) -> None:
        self.value = value
        self._name = name

    @property
    def is_failure(self) -> bool:
        """Whether it tells of a failure: up to 5 by MQTT 3.1.1, from 128 on by MQTT 5."""
        return self.value != 0

    def getName(self) -> str:  # noqa: N802 - the original's name
        """The code in words."""
        return self._name

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ReasonCode):
            return self.value == other.value
        if isinstance(other, int):
            return self.value == other
        if isinstance(other, str):
            return self._name == other
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.value)

    def __int__(self) -> int:
        return self.value

    def __str__(self) -> str:
        return self._name

    def __repr__(self) -> str:
        return f"ReasonCode({self.value}, {self._name!r})"
