"""What a failing test's report says of the sandbox and the library."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from weakref import WeakSet

import pytest

from thingslink._native import _logged
from thingslink._watching import started, told

if TYPE_CHECKING:
    from collections.abc import Generator

    from thingslink.sandbox import Sandbox
    from thingslink.sandbox_thingsboard import ThingsBoard

# Entries of the journal that are shown.
_SHOWN = 50


class Report:
    """Adds the journals of a failing test's sandboxes and the library's log to its report."""

    def __init__(self) -> None:
        self._before: WeakSet[Sandbox | ThingsBoard] = WeakSet()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        """Forget what belongs to other tests."""
        self._before = WeakSet(started)
        _logged()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Add the sections to a failing phase."""
        report = yield
        if report.failed:
            fixtures = {id(value) for value in getattr(item, "funcargs", {}).values()}
            for server in list(started):
                if id(server) in fixtures or server not in self._before:
                    report.sections.append((f"Journal of {server!r}", _journal(server)))
            if records := _logged():
                lines = [f"{logging.getLevelName(level):8} {logger}: {text}" for level, logger, text in records]
                report.sections.append(("Log of thingslink", "\n".join(lines)))
        return report


def _journal(server: Sandbox | ThingsBoard) -> str:
    try:
        return "\n".join(told(server.journal[-_SHOWN:]))
    except RuntimeError as error:
        # In a forked child the parent's sandbox cannot be asked.
        return str(error)
