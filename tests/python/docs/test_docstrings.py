"""What an editor shows of a name, out of the stubs, is what `help()` shows, out of the extension module."""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from public_names import PUBLIC
from thingslink import _native

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent.parent.parent
STUBS = ROOT / "python/thingslink/_native"


def written() -> dict[str, str]:
    """Give each docstring of the stubs by class, function, or class and member."""
    found: dict[str, str] = {}
    for stub in sorted(STUBS.glob("[!_]*.pyi")):
        body = ast.parse(stub.read_text(encoding="utf-8")).body
        for name, text in docstrings(body):
            found.setdefault(name, text)
        # What only type checkers know as a class of its own.
        for node in (node for node in body if isinstance(node, ast.ClassDef)):
            for base in (base.id for base in node.bases if isinstance(base, ast.Name)):
                if hasattr(_native, base):
                    continue
                inherited = {name: text for name, text in found.items() if name.startswith(f"{base}.")}
                for name, text in inherited.items():
                    found.setdefault(f"{node.name}.{name.removeprefix(base)[1:]}", text)
    return found


def docstrings(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, str]]:
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if docstring := ast.get_docstring(node):
                yield prefix + node.name, docstring
            if isinstance(node, ast.ClassDef):
                yield from docstrings(node.body, f"{node.name}.")
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            text = after.value if isinstance(after, ast.Expr) else None
            if isinstance(text, ast.Constant):
                yield prefix + node.target.id, inspect.cleandoc(str(text.value))


def native() -> dict[str, Any]:
    """Give what of the extension module programs reach by public names, as the stubs call it."""
    found: dict[str, Any] = {}
    for module in map(importlib.import_module, PUBLIC):
        for public in (getattr(module, name) for name in module.__all__):
            for owner in inspect.getmro(public) if inspect.isclass(public) else [public]:
                name = getattr(owner, "__name__", "")
                if getattr(_native, name, None) is not owner:
                    continue
                if owner is public:
                    found[name] = owner
                members = vars(owner) if inspect.isclass(owner) else {}
                for member, value in members.items():
                    if member[0] != "_":
                        is_static = isinstance(value, staticmethod)
                        found[f"{name}.{member}"] = getattr(owner, member) if is_static else value
    return found


NATIVE, WRITTEN = native(), written()


def test_all_public_classes_are_looked_at() -> None:
    assert {"MQTTClient.send", "Bridge.stats", "_Sandbox.cut", "DeviceClient.send_telemetry"} <= NATIVE.keys()
    assert len(NATIVE.keys() & WRITTEN.keys()) > 300


@pytest.mark.parametrize("owner", sorted({name.split(".")[0] for name in NATIVE}))
def test_help_shows_what_an_editor_shows(owner: str) -> None:
    of_owner = [name for name in NATIVE if name.split(".")[0] == owner and name in WRITTEN]
    shown = {name: inspect.cleandoc(NATIVE[name].__doc__ or "") for name in of_owner}
    assert shown == {name: WRITTEN[name] for name in of_owner}


def test_everything_that_is_called_has_a_docstring() -> None:
    called = {name for name, value in NATIVE.items() if callable(value)}
    assert called - WRITTEN.keys() == set()


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_has_a_docstring(module: str) -> None:
    whole = importlib.import_module(module)
    missing = []
    for name in whole.__all__:
        value = getattr(whole, name)
        if isinstance(value, ModuleType) or inspect.isclass(value) or inspect.isroutine(value):
            missing += [place for place, text in shown_of(name, value) if not (text or "").strip()]
    assert missing == []


def shown_of(name: str, value: Any) -> Iterator[tuple[str, str | None]]:
    """Give the docstring of a class, function or module, and of what is called or computed in a class."""
    yield name, value.__doc__
    if not inspect.isclass(value):
        return
    for owner in inspect.getmro(value):
        if owner.__module__.split(".")[0] != "thingslink":
            continue
        for member, what in vars(owner).items():
            is_asked = callable(what) or isinstance(what, property | staticmethod | classmethod)
            if not member.startswith("_") and is_asked and not inspect.isclass(what):
                yield f"{name}.{member}", inspect.getdoc(getattr(owner, member))
