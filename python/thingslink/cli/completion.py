"""``thingslink completion``: a script that lets a shell complete the command line."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_WHERE = {
    "bash": "thingslink completion bash > ~/.local/share/bash-completion/completions/thingslink, or, where the "
    'package bash-completion is missing, eval "$(thingslink completion bash)" in ~/.bashrc',
    "zsh": 'eval "$(thingslink completion zsh)" in ~/.zshrc, after compinit',
    "fish": "thingslink completion fish > ~/.config/fish/completions/thingslink.fish",
}
#: Gives the names of profiles, which are not known beforehand.
_PROFILES = "thingslink profiles list --format csv 2>/dev/null | sed -e 1d -e 's/,.*//'"


class _Word(NamedTuple):
    """What may be typed at some place."""

    told: str
    values: tuple[str, ...] | None = None
    """Of an option: those that it may have; none if they are not known, `None` if it has none."""


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


def _words(parser: argparse.ArgumentParser, path: str) -> Iterator[tuple[str, dict[str, _Word]]]:
    """Give, for each command, what may come after it."""
    found: dict[str, _Word] = {}
    for action in parser._actions:  # noqa: SLF001 - argparse offers no other way
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001
            for name, inner in action.choices.items():
                found[name] = _Word(helps.get(name, ""))
                yield from _words(inner, f"{path} {name}".strip())
        elif action.help != argparse.SUPPRESS:
            values = None if action.nargs == 0 else tuple(map(str, action.choices or ()))
            found.update(dict.fromkeys(action.option_strings, _Word(_expanded(action), values)))
            if not action.option_strings and action.choices:
                found.update(dict.fromkeys(map(str, action.choices), _Word("")))
    yield path, found


def _expanded(action: argparse.Action) -> str:
    return (action.help or "") % {**vars(action), "prog": "thingslink"}


def _cases(words: dict[str, dict[str, _Word]]) -> str:
    return "\n".join(f'    "{path}") offered="{" ".join(found)}" ;;' for path, found in sorted(words.items()))


def _options(words: dict[str, dict[str, _Word]]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Give the options of each command that have a value."""
    return {
        path: {name: word.values for name, word in found.items() if word.values is not None and name.startswith("-")}
        for path, found in sorted(words.items())
    }


def _value_cases(words: dict[str, dict[str, _Word]]) -> str:
    """Give what comes after an option; where nothing is told, files are completed."""
    lines = []
    for path, options in _options(words).items():
        for name, values in options.items():
            given = f"$({_PROFILES})" if name == "--profile" else " ".join(values)
            lines.append(f'    "{path} {name}") values="{given}" ;;')
    return "\n".join(lines)


def _function(words: dict[str, dict[str, _Word]], before: str) -> str:
    """Give a function that sets `offered` to what may come next, or `values` to those of an option.

    The names are none that zsh has, as `path` and `words`.
    """
    known = " ".join(f'"{path}"' for path in sorted(words) if path)
    valued = sorted({name for options in _options(words).values() for name in options})
    return f"""_thingslink_words() {{
  local place="" word known skip=""
  for word in {before}; do
    # The value of an option is no command.
    if [ -n "$skip" ]; then skip=""; continue; fi
    case "$word" in
      {"|".join(valued)}) skip="$word"; continue ;;
    esac
    for known in {known}; do
      if [ "${{place:+$place }}$word" = "$known" ]; then place="$known"; break; fi
    done
  done
  if [ -n "$skip" ]; then
    option=yes
    case "$place $skip" in
{_value_cases(words)}
    esac
    return
  fi
  case "$place" in
{_cases(words)}
  esac
}}
"""


def _bash(words: dict[str, dict[str, _Word]]) -> str:
    return (
        _function(words, '"${COMP_WORDS[@]:1:$((COMP_CWORD - 1))}"')
        + """_thingslink() {
  local offered="" values="" option="" current="${COMP_WORDS[COMP_CWORD]}"
  _thingslink_words
  if [ -n "$option" ]; then offered="$values"; fi
  COMPREPLY=($(compgen -W "$offered" -- "$current"))
}
complete -o default -F _thingslink thingslink
"""
    )


def _zsh(words: dict[str, dict[str, _Word]]) -> str:
    # zsh reads what is written for bash.
    return "autoload -U +X bashcompinit && bashcompinit\n" + _bash(words)


def _fish(words: dict[str, dict[str, _Word]]) -> str:
    lines = []
    for path, found in sorted(words.items()):
        inner = [name for name in found if f"{path} {name}".strip() in words]
        seen = " ".join(f"; and __fish_seen_subcommand_from {name}" for name in path.split())
        unseen = f"; and not __fish_seen_subcommand_from {' '.join(inner)}" if inner else ""
        condition = f"true{seen}{unseen}"
        for name, word in found.items():
            kind = (
                f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" if name[0] == "-" else f"-f -a {name}"
            )
            if name == "--profile":
                kind += f' -x -a "({_PROFILES})"'
            elif word.values is not None and name[0] == "-":
                kind += f" -x -a '{' '.join(word.values)}'" if word.values else " -r"
            told = word.told.replace("\\", "\\\\").replace("'", "\\'")
            lines.append(f"complete -c thingslink -n '{condition}' {kind} -d '{told}'\n")
    return "".join(lines)
