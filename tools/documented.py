"""Tell griffe what our stubs mean and do not say outright, so that the reference shows what a program finds.

- A method of which there are only overloads is the overload that has the docstring, which is the one of all arguments.
- A class that is made by `__new__` shows its arguments, as one with `__init__` does.
- What a public class has from one that is not, such as its native half, belongs to the public one.

The site's reference is made with it (`zensical.toml`), and the tests look names up with it.
"""

from __future__ import annotations

from typing import Any

import griffe


class Documented(griffe.Extension):
    """Change what was read of a package, when all of it is read."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Look through all classes."""
        for part in parts(pkg):
            take_overloads(part)
        classes = {part.path: part for part in parts(pkg) if isinstance(part, griffe.Class)}
        public = public_paths(pkg)
        for path in public & classes.keys():
            take_halves(classes[path], public)
        for part in classes.values():
            show_arguments(part)
            # In the order of the files, in which the rest is shown.
            part.members = dict(sorted(part.members.items(), key=lambda member: line_of(member[1])))


def parts(whole: griffe.Module | griffe.Class) -> list[griffe.Module | griffe.Class]:
    """Give a module or class, and all modules and classes that are in it."""
    found = [whole]
    for member in whole.members.values():
        if isinstance(member, griffe.Module | griffe.Class):
            found += parts(member)
    return found


def take_overloads(part: griffe.Module | griffe.Class) -> None:
    """Make a method of which there are only overloads a member."""
    for name, overloads in part.overloads.items():
        if name not in part.members and overloads:
            whole = next((overload for overload in overloads if overload.docstring), overloads[0])
            part.set_member(name, whole)


def public_paths(package: griffe.Module) -> set[str]:
    """Give where that is written which public modules have in their `__all__`."""
    modules = [part for part in parts(package) if isinstance(part, griffe.Module) and "._" not in part.path]
    return {
        module.members[str(name)].canonical_path
        for module in modules
        for name in module.exports or ()
        if str(name) in module.members
    }


def take_halves(part: griffe.Class, public: set[str]) -> None:
    """Give a public class what its bases have that are not public, and leave those out of its bases."""
    hidden = [base for base in part.mro() if base.canonical_path not in public]
    for base in hidden:
        for name, member in base.members.items():
            if name not in part.members and (not name.startswith("_") or name == "__new__"):
                part.set_member(
                    name, member if isinstance(member, griffe.Alias) else griffe.Alias(name, member, parent=part)
                )
    names = {base.name for base in hidden}
    part.bases = [base for base in part.bases if str(base).rsplit(".", 1)[-1] not in names]


def show_arguments(part: griffe.Class) -> None:
    """Show the arguments of a class that is made by `__new__`."""
    made_by = part.members.get("__new__")
    if made_by is None or "__init__" in part.members:
        return
    function = made_by.final_target if isinstance(made_by, griffe.Alias) else made_by
    if not isinstance(function, griffe.Function):
        return
    itself = griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword)
    arguments = griffe.Parameters(itself, *list(function.parameters)[1:])
    part.set_member("__init__", griffe.Function("__init__", parameters=arguments, lineno=part.lineno))


def line_of(member: griffe.Object | griffe.Alias) -> int:
    """Give where a member stands in its file."""
    return (member.alias_lineno if isinstance(member, griffe.Alias) else member.lineno) or 10**6
