"""Clients for "Things" platforms behind the API that existing programs know.

``import thingslink as ttn`` (or ``from thingslink import ttn``) replaces ``import ttn``.
"""

from __future__ import annotations

from thingslink import ttn
from thingslink._install import install_as
from thingslink._json import json_default
from thingslink._live import clients, close_all
from thingslink._native import (
    ConnectionLostError,
    DecodeError,
    DownlinkError,
    LoginRefusedError,
    MessageTooLargeError,
    NotConnectedError,
    QueueFullError,
    SandboxError,
    StreamError,
    SubscriptionRefusedError,
    ThingsError,
    ThingsTimeoutError,
    TlsError,
    __version__,
    _call_errors_from,
    _record_by,
    _run_awaitables_by,
    _stats_as,
    callback_threads,
)
from thingslink.ttn import (
    ApplicationClient,
    DiscoveryClient,
    HandlerClient,
    MQTTClient,
    UplinkMessage,
    application,
    discovery,
    handler,
    utils,
)

# Not imported: it would be a third of the time that our own import takes. Type checkers know the name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from thingslink._rpc import (
        ApplicationDecodeError,
        ApplicationError,
        RpcDecodeError,
        RpcError,
        StatusCode,
        SwitchedOffError,
    )
    from thingslink.sandbox import Sandbox

__all__ = [
    "ApplicationClient",
    "ApplicationDecodeError",
    "ApplicationError",
    "ConnectionLostError",
    "DecodeError",
    "DiscoveryClient",
    "DownlinkError",
    "HandlerClient",
    "LoginRefusedError",
    "MQTTClient",
    "MessageTooLargeError",
    "NotConnectedError",
    "QueueFullError",
    "RpcDecodeError",
    "RpcError",
    "Sandbox",
    "SandboxError",
    "StatusCode",
    "StreamError",
    "SubscriptionRefusedError",
    "SwitchedOffError",
    "ThingsError",
    "ThingsTimeoutError",
    "TlsError",
    "UplinkMessage",
    "__version__",
    "application",
    "callback_threads",
    "clients",
    "close_all",
    "discovery",
    "handler",
    "install_as",
    "json_default",
    "ttn",
    "utils",
]


#: What `_rpc` has for users.
_OF_CALLS = {
    "ApplicationDecodeError",
    "ApplicationError",
    "RpcDecodeError",
    "RpcError",
    "StatusCode",
    "SwitchedOffError",
}


def _call_errors() -> tuple[type[RpcError | ApplicationError], ...]:
    from thingslink import _rpc  # noqa: PLC0415

    decoding = _rpc.RpcDecodeError, _rpc.ApplicationDecodeError
    return _rpc.RpcError, _rpc.ApplicationError, _rpc.SwitchedOffError, *decoding


def _run_to_its_end(awaitable: Any, place: Any) -> None:
    from thingslink import _awaiting  # noqa: PLC0415 - it needs asyncio

    _awaiting.run_to_its_end(awaitable, place)


def _counters(counted: dict[str, Any]) -> dict[str, Any]:
    from thingslink._counters import Counters  # noqa: PLC0415

    return Counters(counted)


def _record(client: Any, into: Any, dev_id: str | None, options: dict[str, Any]) -> Any:
    from thingslink import frame  # noqa: PLC0415

    return frame.record(client, into, dev_id, options)


_call_errors_from(_call_errors)
_record_by(_record)
_stats_as(_counters)
_run_awaitables_by(_run_to_its_end)


def __getattr__(name: str) -> Any:
    # Only programs that use them pay for them.
    if name == "Sandbox":
        from thingslink.sandbox import Sandbox  # noqa: PLC0415

        return Sandbox
    if name in _OF_CALLS:
        from thingslink import _rpc  # noqa: PLC0415

        return getattr(_rpc, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
