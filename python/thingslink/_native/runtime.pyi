"""What runs in the background of a process, and what the native layer is given by the Python one."""

from collections.abc import Callable
from os import PathLike
from typing import Any, final

from thingslink._native.arguments import _Seconds
from thingslink._native.error import ThingsError
from thingslink._native.lorawan import MQTTClient
from typing_extensions import Self

def callback_threads(most: int | None = None, /) -> int:
    """Give how many clients have a thread of their own for their callbacks, after setting it if ``most`` is given.

    All callbacks of a client come on one thread, which comes with the first of them. Up to this number of clients (64
    unless set) each has a thread that is no other client's; those beyond share them, and then a slow callback holds up
    those that it shares with. Set it before such clients connect: nobody moves later. From 1 to 4,000.
    """

def _after_fork() -> None: ...
def _shut_down() -> None: ...
def _lead(*, discovery: str | None = None, mqtt: str | None = None, ca_certs: str | None = None) -> None:
    """Lead clients that are given no address; what is ``None`` stays as it is. ``ca_certs`` is PEM text."""

def _masked(address: str) -> str:
    """Give an address as it may be shown in an error: without what may be a secret."""

def _is_led() -> bool:
    """Whether clients that are given no address are led anywhere."""

def _at_the_end(end: Callable[[], object]) -> None: ...
def _callback_failed(client: object, exception: BaseException, /) -> None:
    """Tell that a callback has let an exception out."""

def _call_errors_from(give: Callable[[], tuple[type[ThingsError], ...]]) -> None: ...
def _connecting_to(told: Callable[[Any, Any, str], object]) -> None: ...
def _failures_to(
    take: Callable[[object, BaseException], object] | None, /
) -> Callable[[object, BaseException], object] | None: ...
def _html_table(title: str, rows: list[tuple[str, str]], /) -> str:
    """Give a table of names and values as HTML."""

def _logged() -> list[tuple[int, str, str]]: ...
def _makers_from(give: Callable[[], object] | None, /) -> None: ...
def _open_clients() -> list[tuple[object, object | None]]: ...
def _private_client_from(give: Callable[[MQTTClient], object]) -> None: ...
def _replace_file(path: str | PathLike[str], content: bytes, *, mode: int) -> None:
    """Put a file in the place of what is there, whole at any moment; a new one has the rights of ``mode``."""

def _run_awaitables_by(run: Callable[[Any, Any], object]) -> None: ...
def _record_by(record: Callable[[Any, Any, str | None, dict[str, Any]], object]) -> None: ...
def _stats_as(make: Callable[[dict[str, Any]], object]) -> None: ...
def _time_out_from(give: Callable[[], _Seconds | None]) -> None: ...

@final
class _Loan:
    """A callback of the client that the current thread serves, lent to another thread."""

    def __new__(cls) -> Self: ...
    def to(self, thread: int) -> None:
        """Say which thread has it, by Python's identifier; 0 ends it."""
