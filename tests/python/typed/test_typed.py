"""Type checkers find what users get wrong, and say nothing of what is right."""

import importlib.util
import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PYTHON = HERE.parents[2] / "python"
FILES = ("mistakes.py", "usual.py")


def _tell(command: list[str], cwd: Path) -> str:
    told = subprocess.run([sys.executable, "-m", *command], cwd=cwd, capture_output=True, text=True, timeout=300)
    assert not told.stderr, told.stderr
    print(told.stdout)
    return told.stdout


def _by_mypy(folder: Path) -> dict[str, set[int]]:
    command = ["mypy", "--strict", "--config-file=", f"--cache-dir={folder}", "--no-error-summary"]
    # From `python/`, the package is that of these sources. What is left on its own line is a mistake of its own.
    told = _tell([*command, "--disable-error-code=unused-ignore", *(str(HERE / name) for name in FILES)], PYTHON)
    lines = defaultdict(set)
    for name, line in re.findall(r"(\w+\.py):(\d+): error:", told):
        lines[name].add(int(line))
    return lines


def _by_pyright(folder: Path) -> dict[str, set[int]]:
    if importlib.util.find_spec("basedpyright") is None:
        pytest.skip("basedpyright is not installed")
    # As it is without settings, which are then those of Pyright, but for where the package is.
    settings = {
        "include": [str(HERE / name) for name in FILES],
        "extraPaths": [str(PYTHON)],
        "typeCheckingMode": "standard",
        "pythonVersion": "3.10",
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    told = json.loads(
        _tell(["basedpyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(folder)], folder)
    )
    lines = defaultdict(set)
    for each in told["generalDiagnostics"]:
        if each["severity"] == "error":
            lines[Path(each["file"]).name].add(each["range"]["start"]["line"] + 1)
    return lines


@pytest.fixture(scope="module", params=[_by_mypy, _by_pyright], ids=["mypy", "pyright"])
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[int]]:
    """The lines of both files that a checker has something to say of."""
    lines: dict[str, set[int]] = request.param(tmp_path_factory.mktemp("checked"))
    return lines


@pytest.mark.timeout(360)
def test_mistakes_are_found(found: dict[str, set[int]]) -> None:
    lines = (HERE / "mistakes.py").read_text(encoding="utf-8").splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}
    missed = [lines[number - 1].strip() for number in sorted(wrong - found["mistakes.py"])]
    assert len(wrong) > 70
    # Of ten at least nine, as in 20 of 23.
    assert len(missed) <= len(wrong) // 10, missed
    assert not found["mistakes.py"] - wrong


@pytest.mark.timeout(360)
def test_usual_programs_pass(found: dict[str, set[int]]) -> None:
    assert not found.get("usual.py")
    assert found.keys() <= set(FILES)
