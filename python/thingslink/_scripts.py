"""Payload functions of sandboxes run in processes of the interpreter that runs the program, where it can be told."""

from __future__ import annotations

import sys
from pathlib import Path

from thingslink._native import __file__ as _extension
from thingslink._native import _run_scripts_by

# Loads the extension by its path alone, without the packages of the program.
_BEGINNING = """\
import sys, importlib.util as util
spec = util.spec_from_file_location("thingslink._native", sys.argv[1])
module = util.module_from_spec(spec)
spec.loader.exec_module(module)
module._serve_scripts()
"""


def prepare() -> None:
    """Say by which program they are run.

    One that has the interpreter within itself would begin anew instead, and is left alone: there they run on threads.
    """
    executable = sys.executable
    is_interpreter = Path(executable or "").name.lower().startswith(("python", "pypy"))
    if is_interpreter and not hasattr(sys, "frozen") and _extension:
        _run_scripts_by([executable, "-I", "-S", "-c", _BEGINNING, _extension])
