"""Exceptions that callbacks let out, which fail the test."""

from __future__ import annotations

import threading
import traceback
from typing import TYPE_CHECKING

import pytest

from thingslink._native import _failures_to

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

MARKER = "thingslink_allow_callback_exceptions"
"""The marker that lets them pass."""

# A callback that fails for each message of a flood would fill the memory, and tells no more.
_MOST = 10


class CallbackExceptions:
    """Fails a phase of a test in which a callback of any client lets an exception out, as soon as it has passed.

    The first one is the phase's failure, unless it has failed by itself; the others are a section of its report.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: list[tuple[object, BaseException]] = []
        self._more = 0
        self._before: Callable[[object, BaseException], object] | None = None
        #: Of the phase that is to be reported: its exceptions as text, and the one that has failed it.
        self._told: list[str] = []
        self._raised: BaseException | None = None

    def pytest_sessionstart(self) -> None:
        """From now on exceptions of callbacks are told here."""
        self._before = _failures_to(self._take)

    def pytest_unconfigure(self) -> None:
        """No longer."""
        _failures_to(self._before)

    def _take(self, client: object, exception: BaseException) -> None:
        with self._lock:
            if len(self._failures) < _MOST:
                self._failures.append((client, exception))
            else:
                self._more += 1

    def _taken(self, item: pytest.Item) -> BaseException | None:
        """Give the first exception that came and that the test does not allow; none is kept any longer."""
        with self._lock:
            failures, more = self._failures, self._more
            self._failures, self._more = [], 0
        marker = item.get_closest_marker(MARKER)
        if marker is not None:
            # By keyword, as pytest's own: a lone class by position would be decorated with the marker.
            allowed = marker.kwargs.get("raises", BaseException)
            failures = [(client, error) for client, error in failures if not isinstance(error, allowed)]
        if not failures:
            return None
        self._told = [
            f"in a callback of {client!r}:\n{''.join(traceback.format_exception(error))}" for client, error in failures
        ]
        if more:
            self._told.append(f"and {more} more")
        return failures[0][1]

    def _phase(self, item: pytest.Item) -> Generator[None, object, object]:
        __tracebackhide__ = True
        try:
            result = yield
        except pytest.skip.Exception:
            # The teardown, which follows in any case, tells of them.
            raise
        except BaseException:
            self._taken(item)
            raise
        first = self._taken(item)
        if first is not None:
            self._raised = _failing(first)
            del first
            raise self._raised
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """Fail the setup."""
        __tracebackhide__ = True
        return (yield from self._phase(item))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Fail the test."""
        __tracebackhide__ = True
        return (yield from self._phase(item))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        """Fail the teardown."""
        __tracebackhide__ = True
        return (yield from self._phase(item))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Tell in the report of those that it does not show anyway."""
        report = yield
        told, self._told = self._told, []
        raised, self._raised = self._raised, None
        if call.excinfo is not None and call.excinfo.value is raised:
            del told[:1]
        if told and report.failed:
            report.sections.append(("Exceptions in callbacks", "\n".join(told)))
        return report


def _failing(error: BaseException) -> BaseException:
    """Give an exception that pytest takes for a failure, and not for an order to skip the test or to end the run."""
    from unittest import SkipTest  # noqa: PLC0415 - programs that fail load it

    orders = (pytest.exit.Exception, pytest.xfail.Exception, SkipTest)
    if isinstance(error, (Exception, pytest.fail.Exception)) and not isinstance(error, orders):
        return error
    failure = RuntimeError(f"{type(error).__name__} in a callback")
    failure.__cause__ = error
    return failure
