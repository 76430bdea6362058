"""What the sources declare of every public function's arguments."""

from __future__ import annotations

import ast
import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import thingslink

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(thingslink.__file__).parent
#: Folder and files with what is public, and what the names of their classes begin with here.
PLACES = (
    ("_native", "*.pyi", ""),
    (".", "sandbox*.py", ""),
    ("thingsboard", "*.py", ""),
    ("aio", "*.py", "aio."),
    ("aio/thingsboard", "*.py", "aio."),
    ("frame", "__init__.py", "frame."),
    ("ttnmqtt", "v?.py", "ttnmqtt."),
)


@dataclass(frozen=True)
class Argument:
    """An argument of a function.

    Attributes:
        owner: The class of the function, or nothing.
        function: As a program calls it: a class, a method with its class, or a function.
        prefix: Of the package that it is in, where others have the same names.
        name: Its name.
        kind: Its type, as it is declared.
        required: Whether it has no default.
    """

    owner: str
    function: str
    prefix: str
    name: str
    kind: str
    required: bool

    @property
    def of(self) -> str:
        """The function that it is of, told from those of the same name."""
        return self.prefix + self.function


def _arguments(prefix: str, body: list[ast.stmt], owner: str = "") -> Iterator[Argument]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _arguments(prefix, node.body, node.name)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            made = node.name in {"__init__", "__new__"}
            if (node.name.startswith("_") and not made) or any(
                getattr(decorator, "attr", "") == "setter" for decorator in node.decorator_list
            ):
                continue
            function = owner if made else f"{owner}.{node.name}".lstrip(".")
            by_position = (*node.args.posonlyargs, *node.args.args)
            without = len(by_position) - len(node.args.defaults)
            for place, one in enumerate((*by_position, *node.args.kwonlyargs)):
                default = None if place < len(by_position) else node.args.kw_defaults[place - len(by_position)]
                required = place < without or (place >= len(by_position) and default is None)
                if one.annotation is not None:
                    yield Argument(owner, function, prefix, one.arg, ast.unparse(one.annotation), required)


@functools.cache
def arguments() -> list[Argument]:
    """Every argument of a function without an underscore; of overloads, one that any of them can do without."""
    found: dict[tuple[str, str], Argument] = {}
    for folder, pattern, prefix in PLACES:
        for path in sorted((PACKAGE / folder).glob(pattern)):
            before = f"{prefix}{path.stem}." if prefix == "ttnmqtt." else prefix
            for one in _arguments(before, ast.parse(path.read_text()).body):
                known = found.get((one.of, one.name), one)
                found[one.of, one.name] = replace(one, required=one.required and known.required)
    return list(found.values())
