"""The arguments of the constructors, of every generation of the original (TB 0, 3.3, 4)."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any, TypedDict, cast

from thingslink._native import RateLimit, _whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeVar

    _Constructor = TypeVar("_Constructor", bound=Callable[..., None])


class OtherArguments(TypedDict, total=False):
    """What a device is made with under the names of other generations."""

    token: str
    rate_limit: str
    dp_rate_limit: str


class OtherGatewayArguments(OtherArguments, total=False):
    """What a gateway takes by keyword alone, too."""

    chunk_size: int
    max_payload_size: int
    protocol: int | str


#: What stands for no limit, or for the one that a host is known to have.
MESSAGES = "DEFAULT_MESSAGES_RATE_LIMIT"
TELEMETRY = "DEFAULT_TELEMETRY_RATE_LIMIT"
POINTS = "DEFAULT_TELEMETRY_DP_RATE_LIMIT"

#: Understood by keyword, whatever the generation.
_BY_KEYWORD = (
    "token",
    "chunk_size",
    "max_payload_size",
    "rate_limit",
    "dp_rate_limit",
    "protocol",
    "on_callback_error",
)


def of_every_generation(*token_first: str) -> Callable[[_Constructor], _Constructor]:
    """Have a constructor called as today's generation calls it, in whichever way a program does.

    Args:
        token_first: Names of what follows the host where the access token comes next, as in the first generation.
    """

    def decorate(constructor: _Constructor) -> _Constructor:
        code = constructor.__code__
        today = code.co_varnames[1 : code.co_argcount]
        owner = constructor.__qualname__.partition(".")[0]

        @functools.wraps(constructor)
        def construct(self: Any, *args: Any, **kwargs: Any) -> None:
            constructor(self, **_by_name(owner, today, token_first, args, kwargs))

        return cast("_Constructor", construct)

    return decorate


def _by_name(
    owner: str, today: Sequence[str], token_first: Sequence[str], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    given: dict[str, Any] = {}

    def put(name: str, value: Any) -> None:
        if name in given:
            raise TypeError(f"{owner}() got multiple values for argument '{name}'")
        given[name] = value

    order = ("host", *token_first) if _token_comes_first(args[1:]) else today
    if len(args) > len(order):
        raise TypeError(f"{owner}() takes at most {len(order)} positional arguments, {len(args)} were given")
    for name, value in zip(order, args, strict=False):
        put(name, value)
    for name, value in kwargs.items():
        if name == "token":
            put("username", None if value is None else text("token", value))
        elif name in today or name in _BY_KEYWORD:
            put(name, value)
        else:
            known = ", ".join(dict.fromkeys((*today[1:], *_BY_KEYWORD)))
            raise TypeError(f"{owner}() got an unexpected keyword argument '{name}' (known are {known})")
    if "host" not in given:
        raise TypeError(f"{owner}() missing 1 required positional argument: 'host'")
    # None stands for the default in every place.
    return {"host": "", **{name: value for name, value in given.items() if value is not None}}


def _token_comes_first(rest: tuple[Any, ...]) -> bool:
    """Whether the second argument is the token: a text, unless it is a port in digits followed by a user name."""
    if not rest:
        return False
    first, second = rest[0], rest[1] if len(rest) > 1 else None
    if not isinstance(first, str):
        return first is None and isinstance(second, int)
    digits = first.isascii() and first.isdigit()
    return not (digits and isinstance(second, str))


def text(name: str, value: object) -> str:
    """Check that an argument is a text."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be str, not {type(value).__name__}")
    return value


def flag(name: str, value: object) -> bool:
    """Check that an argument is a truth value."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be bool, not {type(value).__name__}")
    return value


def number(name: str, value: object) -> int:
    """Check that an argument is a number that is not negative."""
    return _whole(name, value, 0, sys.maxsize)


def port(value: object) -> int:
    """Read the server's port: a number, or a text of digits."""
    if isinstance(value, str):
        # No port has so many digits that reading them takes time.
        found = int(value) if value.strip().isdecimal() and len(value) < 100 else 0  # noqa: PLR2004
        if not 0 < found < 1 << 16:
            raise ValueError(f"port {value!r} is not valid: expected 1 to 65535")
        return found
    return _whole("port", value, 1, 65_535)


def version(protocol: object) -> int:
    """Read the version of MQTT to try first: 5, or 4 for 3.1.1."""
    match str(protocol):
        case "5" | "5.0":
            return 5
        case "4" | "3.1.1":
            return 4
    raise ValueError(f'protocol {protocol!r} is not valid: expected 5 or "3.1.1"')


def limits(host: str, given: Mapping[str, Any], more: Mapping[str, Any]) -> tuple[str, str, str]:
    """Choose the limits of messages, of telemetry and of the values in it.

    Args:
        host: The server; where a limit is the default, it decides.
        given: The three arguments by their names, in that order.
        more: Further arguments, with those by which older generations set them all.
    """
    messages, telemetry, points = given.items()
    older, older_points = (text(name, more.get(name, "DEFAULT_RATE_LIMIT")) for name in ("rate_limit", "dp_rate_limit"))
    by_host, points_by_host = RateLimit.get_rate_limit_by_host, RateLimit.get_dp_rate_limit_by_host
    return (
        by_host(host, _limit(*messages, older)),
        by_host(host, _limit(*telemetry, older)),
        points_by_host(host, _limit(*points, older_points)),
    )


def _limit(name: str, value: object, older: str) -> str:
    chosen = text(name, value)
    return older if chosen.startswith("DEFAULT_") and older != "DEFAULT_RATE_LIMIT" else chosen
