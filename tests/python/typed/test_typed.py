"""Type checkers find what users get wrong, and say nothing of what is right."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PYTHON = HERE.parents[2] / "python"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[int]]:
    """The lines of both files that mypy has something to say of."""
    cache = tmp_path_factory.mktemp("mypy")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={cache}", "--no-error-summary"]
    files = [str(HERE / name) for name in ("mistakes.py", "usual.py")]
    # From `python/`, the package is that of these sources. What is left on its own line is a mistake of its own.
    told = subprocess.run(
        [*command, "--disable-error-code=unused-ignore", *files],
        cwd=PYTHON,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert not told.stderr, told.stderr
    lines: dict[str, set[int]] = {"mistakes.py": set(), "usual.py": set()}
    for name, line in re.findall(r"(\w+\.py):(\d+): error:", told.stdout):
        lines.setdefault(name, set()).add(int(line))
    print(told.stdout)
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
    assert not found["usual.py"]
    assert found.keys() == {"mistakes.py", "usual.py"}
