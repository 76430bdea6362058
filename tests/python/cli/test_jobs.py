"""Calls for many things at the same time, which Ctrl-C may end at any moment."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading

import pytest
from harness import PATIENCE
from thingslink.cli import jobs


def test_each_thing_has_its_outcome() -> None:
    names = set[str]()

    def call(thing: int) -> int:
        names.add(threading.current_thread().name)
        return thing * thing

    assert sorted(jobs.outcomes(call, range(100), 3)) == [(thing, thing * thing) for thing in range(100)]
    assert len(names) <= 3
    assert list(jobs.outcomes(call, [], 3)) == []


def test_what_a_call_raises_is_raised() -> None:
    def call(thing: int) -> int:
        raise OSError(thing)

    with pytest.raises(OSError, match=r"^0$"), contextlib.closing(jobs.outcomes(call, range(10), 1)) as outcomes:
        next(outcomes)


def test_when_it_is_closed_nothing_begins_any_more_and_nothing_is_under_way() -> None:
    begun, goes_on, ended = threading.Event(), threading.Event(), list[int]()

    def call(thing: int) -> None:
        if thing:
            begun.set()
            assert goes_on.wait(PATIENCE)
        ended.append(thing)

    outcomes = jobs.outcomes(call, range(10), 1)
    assert next(outcomes) == (0, None)
    assert begun.wait(PATIENCE)
    threading.Timer(0.05, goes_on.set).start()
    outcomes.close()
    assert ended == [0, 1]


def test_it_ends_whenever_it_is_interrupted() -> None:
    program = """
import contextlib, random, signal, sys
from thingslink.cli import jobs

signal.signal(signal.SIGPROF, signal.default_int_handler)
ended = 0
for _ in range(300):
    try:
        # At a moment of the thread's own time, most of which goes by where things are handed over.
        signal.setitimer(signal.ITIMER_PROF, random.uniform(1e-5, 4e-3))
        with contextlib.closing(jobs.outcomes(str, range(3000), 2)) as outcomes:
            for _ in outcomes:
                pass
        while True:
            pass
    except KeyboardInterrupt:
        ended += 1
print(ended)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE * 2, check=False
    )
    assert (ran.stdout, ran.stderr) == ("300\n", "")
