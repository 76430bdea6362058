"""The site has every page and every public name, and no link or error text that leads nowhere."""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import thingslink
from public_names import PUBLIC

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent.parent.parent
DOCS = ROOT / "docs"
REFERENCE = "\n".join(path.read_text(encoding="utf-8") for path in sorted((DOCS / "reference").glob("*.md")))
MARKDOWN = [*sorted(DOCS.rglob("*.md")), *sorted(ROOT.glob("*.md")), ROOT / "benches/README.md"]


def test_every_page_is_in_the_navigation() -> None:
    named = set(re.findall(r'"([^"]+\.md)"', (ROOT / "zensical.toml").read_text(encoding="utf-8")))
    assert named == {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MARKDOWN, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    broken = []
    for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", prose(path.read_text(encoding="utf-8"))):
        place, _, anchor = target.partition("#")
        other = (path.parent / place).resolve() if place else path
        if not other.exists() or (anchor and anchor not in set(anchors(other))):
            broken.append(target)
    assert broken == []


def prose(text: str) -> str:
    """Give a page without its code."""
    return re.sub(r"^```.*?^```$|`[^`\n]+`", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(path: Path) -> Iterator[str]:
    """Give the anchors of a page's headings, and of the names that the reference shows there."""
    if path.suffix != ".md":
        return
    text = path.read_text(encoding="utf-8")
    yield from re.findall(r"^::: (\S+)", text, re.MULTILINE)
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"[^\w\s-]", "", heading).strip().lower()
        yield re.sub(r"[\s]", "-", plain)
        yield re.sub(r"[-\s]+", "-", plain)


def public() -> list[tuple[str, str]]:
    """Give module and name of everything that a program may import."""
    return [(module, name) for module in PUBLIC for name in importlib.import_module(module).__all__]


def shown() -> list[Any]:
    """Give the objects that the reference has a place for."""
    found = []
    for path in re.findall(r"^::: (\S+)", REFERENCE, re.MULTILINE):
        module, _, member = path.rpartition(".")
        if module.startswith("thingslink._native."):
            continue  # known to type checkers alone
        whole = sys.modules.get(path) or importlib.import_module(module)
        if whole.__name__ == path:
            found += [getattr(whole, name) for name in whole.__all__]
        else:
            found.append(getattr(whole, member))
    return found


SHOWN = shown()


def test_every_public_module_is_looked_at() -> None:
    found = {f"thingslink.{module.name}" for module in pkgutil.iter_modules(thingslink.__path__)}
    public = {module for module in found if not module.startswith("thingslink._")}
    named = {module for module in public if hasattr(importlib.import_module(module), "__all__")}
    assert named - set(PUBLIC) == NOT_FOR_PROGRAMS


#: What programs find in others of these.
NOT_FOR_PROGRAMS = {"thingslink.sandbox_device", "thingslink.sandbox_thingsboard"}


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_has_a_place_in_the_reference(module: str) -> None:
    whole = importlib.import_module(module)
    missing = [
        name
        for name in whole.__all__
        if not any(getattr(whole, name) is known for known in SHOWN)
        and f"`{name}`" not in REFERENCE
        and f"`thingslink.{name}`" not in REFERENCE
    ]
    assert missing == []


def test_quoted_errors_are_ours() -> None:
    text = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    quoted = re.findall(r"^### `(.+)`$", text.split("\n## By error text\n")[1], re.MULTILINE)
    assert len(quoted) > 25
    foreign = [error for error in quoted for part in error.split("…") if part.strip() and part.strip() not in SOURCES]
    assert foreign == []


def sources() -> str:
    """Give all texts of the library, with literals that go on in another line in one."""
    paths = [*(ROOT / "src").rglob("*.rs"), *(ROOT / "python").rglob("*.py")]
    whole = "\n".join(path.read_text(encoding="utf-8") for path in paths if "tests" not in path.parts)
    whole = re.sub(r"\\\n\s*", "", whole).replace('\\"', '"')
    return re.sub(r'"\n\s*f?"', "", whole)


SOURCES = sources()
