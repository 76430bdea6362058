"""`thingslink completion`: what shells get, tried in bash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from harness import PATIENCE
from thingslink.cli import main


def completed(script: str, folder: Path, *words: str) -> set[str]:
    """Give what bash offers for the last of these words."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    (folder / "completion.bash").write_text(script)
    # The words are arguments of the shell, so that none of them is read as code.
    code = 'source completion.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _thingslink; echo "${COMPREPLY[@]}"'
    command = [bash, "--norc", "-c", code, "bash", "thingslink", *words]
    # Names of profiles are asked for.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    outcome = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
        cwd=folder,
        env={**os.environ, "PATH": path},
    )
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
    # An option's value: one of those that are known, or else a file.
    assert completed(script, tmp_path, "devices", "list", "--format", "") == {"table", "json", "csv"}
    assert completed(script, tmp_path, "send", "node-1", "01", "--wait", "s") == {"scheduled", "sent"}
    assert completed(script, tmp_path, "uplinks", "--ca-file", "") == set()
    assert {"list", "show"} <= completed(script, tmp_path, "--profile", "devices", "profiles", "")
    # A key has no option.
    assert not any("access-key" in word and "file" not in word for word in completed(script, tmp_path, "uplinks", "--"))


@pytest.mark.skipif(not (Path(sys.executable).parent / "thingslink").exists(), reason="the command is not installed")
def test_profiles_are_completed(tmp_path: Path, capsys: pytest.CaptureFixture[str], configuration_folder: Path) -> None:
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    configuration_folder.mkdir(parents=True)
    (configuration_folder / "config.toml").write_text("[profiles.attic]\n[profiles.greenhouse]\n")
    assert completed(script, tmp_path, "--profile", "") == {"attic", "greenhouse"}
    assert completed(script, tmp_path, "uplinks", "--profile", "a") == {"attic"}


#: What a shell does when the last of these words is to be completed.
ZSH = """
autoload -Uz compinit && compinit -u -D
source completion
_arguments() { }
emulate -L sh
setopt kshglob noshglob braceexpand
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _thingslink; print -l -- "${COMPREPLY[@]}"
"""
FISH = 'source completion; complete -C "$argv" | string split -f 1 \\t'
CASES = [
    (["up"], {"uplinks"}),
    (["devices", "imp"], {"import"}),
    (["devices", "import", "--dry"], {"--dry-run"}),
    (["devices", "list", "--format", ""], {"table", "json", "csv"}),
    (["--profile", "devices", "profiles", "s"], {"show"}),
]


@pytest.mark.parametrize(("words", "expected"), CASES)
@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_complete_as_well(
    shell: str, words: list[str], expected: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    assert main(["completion", shell]) == 0
    (tmp_path / "completion").write_text(capsys.readouterr().out)
    typed = ["thingslink", *words]
    command = (
        [program, "-f", "-c", ZSH, "zsh", *typed] if shell == "zsh" else [program, "-N", "-c", FISH, " ".join(typed)]
    )
    outcome = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    found = set(outcome.stdout.split())
    # zsh itself leaves out, after this, what does not begin as the word does.
    found = {word for word in found if word.startswith(words[-1])} if shell == "zsh" else found
    assert outcome.stderr == "" and found == expected, outcome


@pytest.mark.parametrize(("shell", "part"), [("zsh", "bashcompinit"), ("fish", "complete -c thingslink -n 'true; and")])
def test_other_shells_have_theirs(shell: str, part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert part in script and "uplinks" in script and "--dry-run"[2:] in script
