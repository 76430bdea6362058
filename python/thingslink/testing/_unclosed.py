"""Clients that a test leaves open."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING
from weakref import WeakSet

import pytest

from thingslink._native import _open_clients

if TYPE_CHECKING:
    from collections.abc import Generator


class UnclosedClientWarning(ResourceWarning):
    """A client is still open after its test. It goes on connecting, and its callbacks may come in the next tests."""


class UnclosedClients:
    """Warns of clients that tests leave open, and at the end of those of fixtures with a wider scope."""

    def __init__(self) -> None:
        self._known: WeakSet[object] = WeakSet()
        self._of_fixtures: WeakSet[object] = WeakSet()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self) -> Generator[None]:
        """Tell clients of fixtures from those of the test: a fixture may live longer."""
        yield
        self._of_fixtures.update(client for client, _ in _open_clients())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, nextitem: pytest.Item | None) -> Generator[None]:
        """Warn when everything has been torn down that is torn down now."""
        yield
        for client, maker in _open_clients():
            if client in self._known or (client in self._of_fixtures and nextitem is not None):
                continue
            self._known.add(client)
            name, line = maker if isinstance(maker, tuple) else ("<unknown>", 0)
            text = f"{client!r} was made at {name}:{line} and is open after its test: close it, or use it with `with`"
            warnings.warn_explicit(text, UnclosedClientWarning, name, line, source=client)
