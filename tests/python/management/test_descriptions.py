"""The descriptions of messages: what their classes say of the fields, and that nothing is read before somebody asks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from thingslink import ttn

CLASSES = [cls for cls in map(vars(ttn).get, ttn.__all__) if isinstance(cls, type) and issubclass(cls, ttn.Message)]
CLASSES.remove(ttn.Message)

#: Prints how many kB the program grows by when it first asks for a description.
FIRST_LOOK = """
from pathlib import Path

from thingslink import ttn


def own() -> int:
    line, = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon:"))
    return int(line.split()[1])


before = own()
ttn.Device.DESCRIPTOR
print(own() - before)
"""


@pytest.mark.parametrize("cls", CLASSES)
def test_a_class_has_the_numbers_of_its_fields(cls: Any) -> None:
    numbers = {name: value for name, value in vars(cls).items() if name.endswith("_FIELD_NUMBER")}
    assert numbers == {f"{field.name.upper()}_FIELD_NUMBER": field.number for field in cls.DESCRIPTOR.fields}


@pytest.mark.parametrize("cls", CLASSES)
def test_a_class_and_its_messages_share_one_description(cls: Any) -> None:
    assert cls.DESCRIPTOR is cls.DESCRIPTOR is cls().DESCRIPTOR


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_a_program_that_asks_for_no_description_does_without_the_memory() -> None:
    outcome = subprocess.run([sys.executable, "-c", FIRST_LOOK], stdout=subprocess.PIPE, text=True, check=True)
    assert int(outcome.stdout) > 1024, "kB: they have been read before"
