"""``thingslink completion``: a script that lets a shell complete the command line."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_WHERE = {
    "bash": 'eval "$(thingslink completion bash)" in ~/.bashrc',
    "zsh": 'eval "$(thingslink completion zsh)" in ~/.zshrc, after compinit',
    "fish": "thingslink completion fish > ~/.config/fish/completions/thingslink.fish",
}


def add_to(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser(
        "completion",
        description="Print a script for a shell. To have it: " + "; ".join(_WHERE.values()) + ".",
    )
    command.add_argument("shell", choices=tuple(_WHERE))
    command.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    """Print it."""
    from thingslink.cli import parser  # noqa: PLC0415 - it imports this module

    words = dict(_words(parser(), ""))
    print({"bash": _bash, "zsh": _zsh, "fish": _fish}[options.shell](words), end="")
    return 0


def _words(parser: argparse.ArgumentParser, path: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Give, for each command, what may come after it, with what that is."""
    found: dict[str, str] = {}
    for action in parser._actions:  # noqa: SLF001 - argparse offers no other way
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001
            for name, inner in action.choices.items():
                found[name] = helps.get(name, "")
                yield from _words(inner, f"{path} {name}".strip())
        elif action.help != argparse.SUPPRESS:
            found.update(dict.fromkeys(action.option_strings, action.help or ""))
            if not action.option_strings and action.choices:
                found.update(dict.fromkeys(map(str, action.choices), ""))
    yield path, found


def _cases(words: dict[str, dict[str, str]]) -> str:
    return "\n".join(f'    "{path}") words="{" ".join(found)}" ;;' for path, found in sorted(words.items()))


def _function(words: dict[str, dict[str, str]], before: str) -> str:
    """Give a function that sets `words` to what may come after the commands in `path`."""
    known = " ".join(f'"{path}"' for path in sorted(words) if path)
    return f"""_thingslink_words() {{
  local path="" word known
  for word in {before}; do
    for known in {known}; do
      if [ "${{path:+$path }}$word" = "$known" ]; then path="$known"; break; fi
    done
  done
  case "$path" in
{_cases(words)}
  esac
}}
"""


def _bash(words: dict[str, dict[str, str]]) -> str:
    return (
        _function(words, '"${COMP_WORDS[@]:1:COMP_CWORD-1}"')
        + """_thingslink() {
  local words="" current="${COMP_WORDS[COMP_CWORD]}"
  _thingslink_words
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _thingslink thingslink
"""
    )


def _zsh(words: dict[str, dict[str, str]]) -> str:
    # zsh reads what is written for bash.
    return "autoload -U +X bashcompinit && bashcompinit\n" + _bash(words)


def _fish(words: dict[str, dict[str, str]]) -> str:
    lines = []
    for path, found in sorted(words.items()):
        inner = [name for name in found if f"{path} {name}".strip() in words]
        seen = " ".join(f"; and __fish_seen_subcommand_from {name}" for name in path.split())
        unseen = f"; and not __fish_seen_subcommand_from {' '.join(inner)}" if inner else ""
        condition = f"true{seen}{unseen}"
        for name, text in found.items():
            kind = (
                f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" if name[0] == "-" else f"-f -a {name}"
            )
            told = text.replace("%%", "%").replace("\\", "\\\\").replace("'", "\\'")
            lines.append(f"complete -c thingslink -n '{condition}' {kind} -d '{told}'\n")
    return "".join(lines)
