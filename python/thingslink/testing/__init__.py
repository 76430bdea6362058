"""A pytest plugin: the sandbox as a fixture, and tests that say what went wrong.

```python
def test_my_program(thingslink_sandbox):
    device = thingslink_sandbox.device("node-1")
    ...
```

`thingslink_sandbox` is The Things Network V2, `thingslink_sandbox_v3` The Things Stack V3,
`thingslink_sandbox_chirpstack` ChirpStack 4.

Installing the package is enough: pytest finds the plugin by itself. It works with pytest-xdist, where each worker has
sandboxes of its own on free ports, and in the coroutines of pytest-asyncio and anyio.

- An exception that a callback of any client lets out fails the test, with its traceback: a failing ``assert``, too. It
  is told when the phase (setup, test or teardown) is over in which the callback was called; further ones, and those of
  a phase that has failed by itself, in a section of its report. An error callback does not count as catching. The
  marker ``thingslink_allow_callback_exceptions`` lets them pass: all of them, or with ``raises=`` those of a class, or
  of a tuple of classes. Close clients in the test: what their callbacks do later is told to the next one.
- A client that a test leaves open is an `UnclosedClientWarning` that names the line which made it.
- The report of a failing test has the sandbox's journal, and what the library has logged from INFO on.

``thingslink_sandbox_scope`` in pytest's configuration (``function`` unless set; ``class``, ``module``, ``package``,
``session``) says how long one sandbox lives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

import pytest

from thingslink.testing._exceptions import MARKER, CallbackExceptions
from thingslink.testing._report import Report
from thingslink.testing._unclosed import UnclosedClients, UnclosedClientWarning

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    from thingslink.sandbox import Sandbox

    _Scope: TypeAlias = Literal["session", "package", "module", "class", "function"]

__all__ = ["UnclosedClientWarning", "thingslink_sandbox", "thingslink_sandbox_chirpstack", "thingslink_sandbox_v3"]

_SCOPE = "thingslink_sandbox_scope"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Describe the scope of the sandbox."""
    parser.addini(
        _SCOPE,
        "scope of the fixtures thingslink_sandbox, thingslink_sandbox_v3 and thingslink_sandbox_chirpstack",
        default="function",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Watch clients, callbacks and sandboxes."""
    config.addinivalue_line(
        "markers", f"{MARKER}(*, raises=BaseException): exceptions in callbacks do not fail the test"
    )
    config.pluginmanager.register(CallbackExceptions(), "thingslink-exceptions")
    config.pluginmanager.register(Report(), "thingslink-report")
    config.pluginmanager.register(UnclosedClients(), "thingslink-unclosed")
    # Python ignores every ResourceWarning; first in the list, so that what the program's own configuration says wins.
    config.getini("filterwarnings").insert(0, f"default::{__name__}.{UnclosedClientWarning.__name__}")
    # A fixture makes several clients with one line.
    config.addinivalue_line("filterwarnings", "ignore:a second client of:RuntimeWarning")


def _scope(fixture_name: str, config: pytest.Config) -> _Scope:
    del fixture_name
    # pytest itself refuses what is no scope.
    return cast("_Scope", config.getini(_SCOPE))


@pytest.fixture(scope=_scope)
def thingslink_sandbox() -> Iterator[Sandbox]:
    """Give a sandbox of the test's own, on free ports, with TLS beside plain MQTT."""
    from thingslink.sandbox import Sandbox  # noqa: PLC0415 - only tests that ask for it load the library

    with Sandbox(mqtts_port=0, seed=0) as sandbox:
        yield sandbox


@pytest.fixture(scope=_scope)
def thingslink_sandbox_v3() -> Iterator[Sandbox]:
    """Give a sandbox of the test's own with The Things Stack V3, on free ports, with TLS beside plain MQTT."""
    from thingslink.sandbox import Sandbox  # noqa: PLC0415 - only tests that ask for it load the library

    with Sandbox(network="v3", mqtts_port=0, seed=0) as sandbox:
        yield sandbox


@pytest.fixture(scope=_scope)
def thingslink_sandbox_chirpstack() -> Iterator[Sandbox]:
    """Give a sandbox of the test's own with ChirpStack 4, on free ports, with TLS beside plain MQTT."""
    from thingslink.sandbox import Sandbox  # noqa: PLC0415 - only tests that ask for it load the library

    with Sandbox(network="chirpstack", mqtts_port=0, seed=0) as sandbox:
        yield sandbox
