"""``thingslink run script.py``: an unmodified program over this library."""

from __future__ import annotations

import argparse
import runpy
import sys
from pathlib import Path
from typing import Any

from thingslink import install_as


def add_to(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser(
        "run",
        help="run a script that imports an original package over this library",
        description="Run a script unmodified: `import ttn` gives this library. Options behind the script are its own.",
    )
    command.add_argument("script", help="the script's path")
    command.add_argument("arguments", nargs=argparse.REMAINDER, help="what the script finds in sys.argv")


def main(options: argparse.Namespace) -> int:
    """Run the script as `__main__`; its own exit code and exceptions come through."""
    script = Path(options.script)
    if not script.is_file():
        print(f"error: no script at {options.script!r}", file=sys.stderr)
        return 2
    install_as()
    sys.argv = [options.script, *options.arguments]
    sys.path.insert(0, str(script.resolve().parent))
    runpy.run_path(options.script, run_name="__main__")
    return 0
