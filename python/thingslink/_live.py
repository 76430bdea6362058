"""Clients of this process that are connected or try to be: where they were made, and closing all of them."""

from __future__ import annotations

import sys
import weakref
from _thread import allocate_lock

from thingslink._native import NotConnectedError, _connecting_to, _makers_from, _open_clients

# Not imported: it would take a good part of the time that our own import does.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine
    from typing import Any, TypeAlias

    from thingslink import aio, tb_device_mqtt, ttn

    _Client: TypeAlias = ttn.MQTTClient | tb_device_mqtt.TBDeviceMqttClient | aio.MQTTClient | aio.TBDeviceMqttClient

#: A file of the program, and the line in it.
_Place = tuple[str, int]

_PACKAGE = __file__.rpartition("_live.py")[0]
#: Clients of asyncio that were connected, with their event loops.
_awaited: weakref.WeakKeyDictionary[Any, asyncio.AbstractEventLoop] = weakref.WeakKeyDictionary()
#: The latest client that was connected, by where it was made and what it gets the messages of.
_latest: weakref.WeakValueDictionary[tuple[_Place, str], Any] = weakref.WeakValueDictionary()
_lock = allocate_lock()
_warned: set[tuple[_Place, str]] = set()
#: Clients of asyncio that are being closed, so that nobody else need hold them.
_closing: set[asyncio.Task[Any]] = set()


def maker() -> _Place:
    """Give file and line of the program that makes a client."""
    frame = sys._getframe(1)  # noqa: SLF001 - what the standard library's own warnings use
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def connecting(client: Any, place: _Place | None, subject: str) -> None:
    """Warn, once for each place, if what was made there before is still open and gets the same messages."""
    if place is None:
        return
    key = place, subject
    before = _latest.get(key)
    _latest[key] = client
    if before is None or before is client or key in _warned or not any(before is one for one in clients()):
        return
    _warned.add(key)
    import warnings  # noqa: PLC0415

    text = (
        f"a second client of {subject} is connecting, made at the same place as one that is still open: each message "
        "comes to both. thingslink.clients() gives those that are open, thingslink.close_all() closes them"
    )
    warnings.warn_explicit(text, RuntimeWarning, *place)


def connecting_on(loop: asyncio.AbstractEventLoop, client: object) -> None:
    """Remember which event loop a client of asyncio is connected on."""
    with _lock:
        _awaited[client] = loop


def clients() -> list[_Client]:
    """Give the clients of this process that are connected or try to be, of every package and both faces.

    A client counts from ``connect`` until it is closed, or until its login is refused for good. In a notebook that
    makes a client anew each time a cell is run, the older ones are here, too.
    """
    found: list[Any] = []
    for client, _ in _open_clients():
        heard = getattr(client, "_heard", None)
        # Of a client of asyncio for ThingsBoard it is the inner half.
        found.append(client if heard is None else heard.__self__)
    with _lock:
        awaited = [(client, getattr(client, "_client", None)) for client in _awaited]
    return found + [client for client, native in awaited if native is not None and native.is_open]


def close_all(*, timeout: float = 10) -> None:
    """Close the clients that `clients` gives.

    Clients of asyncio are closed by their event loops: if the one that runs here is among these, a little later.

    Args:
        timeout: Seconds for each of them, to deliver what has arrived and send what was accepted.

    Raises:
        TypeError: ``timeout`` is no number.
        ValueError: It is negative.
        ThingsError: One of them could not be closed in order; the others were.
    """
    failed: Exception | None = None
    for client in clients():
        try:
            _close(client, timeout)
        except Exception as error:  # noqa: BLE001, PERF203 - told below, when the others are closed
            failed = failed or error
    if failed is not None:
        raise failed


def _close(client: Any, timeout: float) -> None:
    if hasattr(client, "aclose"):
        _close_on_its_loop(client, timeout)
    elif hasattr(client, "disconnect"):
        client.disconnect(timeout=timeout)
    else:
        client.close(timeout=timeout)


def _close_on_its_loop(client: Any, timeout: float) -> None:
    import asyncio  # noqa: PLC0415

    loop = _awaited[client]
    closing: Coroutine[Any, Any, None] = client.aclose(timeout=timeout)
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    if loop is running:
        task = loop.create_task(closing)
        _closing.add(task)
        task.add_done_callback(_closing.discard)
    elif loop.is_running():
        asyncio.run_coroutine_threadsafe(closing, loop).result(timeout + 5)
    else:
        # Nobody runs it any more.
        closing.close()
        raise NotConnectedError(f"{client!r} belongs to an event loop that does not run")


_makers_from(maker)
_connecting_to(connecting)
