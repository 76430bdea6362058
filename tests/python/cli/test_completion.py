"""`thingslink completion`: what shells get, tried in bash."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from harness import PATIENCE
from thingslink.cli import main

if TYPE_CHECKING:
    from pathlib import Path


def completed(script: str, folder: Path, *words: str) -> set[str]:
    """Give what bash offers for the last of these words."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    (folder / "completion.bash").write_text(script)
    # The words are arguments of the shell, so that none of them is read as code.
    code = 'source completion.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _thingslink; echo "${COMPREPLY[@]}"'
    command = [bash, "--norc", "-c", code, "bash", "thingslink", *words]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True, cwd=folder)
    assert outcome.stderr == ""
    return set(outcome.stdout.split())


def test_bash_completes_commands_options_and_choices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    assert completed(script, tmp_path, "up") == {"uplinks"}
    assert {"devices", "sandbox", "completion", "--version"} <= completed(script, tmp_path, "")
    assert {"list", "import", "show"} <= completed(script, tmp_path, "devices", "")
    assert "uplinks" not in completed(script, tmp_path, "devices", "")
    assert completed(script, tmp_path, "devices", "import", "--dry") == {"--dry-run"}
    assert completed(script, tmp_path, "completion", "") >= {"bash", "zsh", "fish"}
    # What stands among the options of a command is none.
    assert "--count" in completed(script, tmp_path, "uplinks", "--device", "devices", "--")
    # A key has no option.
    assert not any("access-key" in word and "file" not in word for word in completed(script, tmp_path, "uplinks", "--"))


@pytest.mark.parametrize(("shell", "part"), [("zsh", "bashcompinit"), ("fish", "complete -c thingslink -n 'true; and")])
def test_other_shells_have_theirs(shell: str, part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert part in script and "uplinks" in script and "--dry-run"[2:] in script
