"""The older packages: what programs find under ``from ttnmqtt import MQTTClient``.

Two generations had that name. `MQTTClient` makes the one that is called for; `v1.MQTTClient` and `v2.MQTTClient` name
each one outright.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["MQTTClient"]

_FORMS = """accepted forms:
  MQTTClient(appID, appAccessKey, [mqttAddress])    second generation; connects at once
  MQTTClient(APPID, APPEUI, PSW, [DEVID])           first generation; APPEUI has 16 hex digits"""
_HEX = frozenset("0123456789abcdefABCDEF")
_FIRST = {"APPID", "APPEUI", "PSW", "DEVID", "max_messages"}
_SECOND = {"appID", "appAccessKey", "mqttAddress", "discovery_address"}


def _is_eui(value: object) -> bool:
    return isinstance(value, str) and len(value) == 16 and _HEX.issuperset(value)  # noqa: PLR2004 - 8 bytes


def _is_key(value: object) -> bool:
    return isinstance(value, str) and value.startswith("ttn-account")


class _ByArguments(type):
    """Lets a call of `MQTTClient` make a client of either generation."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is not MQTTClient:
            return super().__call__(*args, **kwargs)
        from thingslink.ttnmqtt import v1, v2  # noqa: PLC0415 - they build on this class

        first, second = _FIRST & kwargs.keys(), _SECOND & kwargs.keys()
        if first and second:
            raise TypeError(f"{sorted(first)} and {sorted(second)} do not go together; {_FORMS}")
        count = len(args) + len(kwargs)
        if second or (not first and (count == 2 or (count == 3 and not _is_eui(args[1])))):  # noqa: PLR2004
            return v2.MQTTClient(*args, **kwargs)
        if not first and len(args) == 4 and _is_key(args[3]) and not _is_key(args[2]):  # noqa: PLR2004
            return v1.MQTTClient(args[0], args[1], args[3], args[2])
        if first or len(args) in {3, 4}:
            return v1.MQTTClient(*args, **kwargs)
        raise TypeError(f"MQTTClient() got {len(args)} arguments; {_FORMS}")


class MQTTClient(metaclass=_ByArguments):
    """A client of The Things Network of the generation that its arguments belong to.

    Keywords decide first: ``APPID``, ``APPEUI``, ``PSW``, ``DEVID`` are the first generation's, ``appID``,
    ``appAccessKey``, ``mqttAddress`` the second's. Else the number of arguments does: two are the second generation,
    four the first, and three the first if the second one is an AppEUI in hex. The oldest order, with the device before
    the key, is told by the key, which begins with ``ttn-account``.

    Raises:
        TypeError: Arguments of neither generation; shows the accepted forms.
    """

    if TYPE_CHECKING:
        # What a client takes and has depends on its generation.
        def __init__(self, *args: Any, **kwargs: Any) -> None: ...
        def __getattr__(self, name: str) -> Any: ...
