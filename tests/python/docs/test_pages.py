"""Every block that the documentation shows is run, and prints what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from nats_server import nats_binary
from page import Block, blocks

ROOT = Path(__file__).parent.parent.parent.parent
READER = ROOT / "tests/python/page.py"
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "dev" not in path.relative_to(DOCS).parts)
#: Lines that are longer do not fit into a page, and are cut off.
WIDEST = 88
#: So few may be shown that are not run.
NOT_RUN = 8


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks_of(path: Path) -> list[Block]:
    return blocks(path.read_text(encoding="utf-8"))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("path", [page for page in PAGES if any(block.is_run for block in blocks_of(page))], ids=name)
def test_a_page_does_what_it_says(path: Path, tmp_path: Path) -> None:
    if "nats-server" in path.read_text(encoding="utf-8"):
        nats_binary()  # or this is skipped, with the reason
    done = subprocess.run(
        [sys.executable, "-W", "error", str(READER), str(path)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", [*PAGES, ROOT / "MIGRATION.md"], ids=name)
def test_what_is_not_run_says_why(path: Path) -> None:
    silent = [
        f"line {block.line}: {block.language or 'no language'}"
        for block in blocks_of(path)
        if not block.is_run and not block.not_run and not block.included
    ]
    assert silent == []


def test_few_blocks_are_not_run() -> None:
    left = [f"{name(path)}:{block.line}" for path in PAGES for block in blocks_of(path) if block.not_run]
    assert len(left) <= NOT_RUN, left


def test_files_that_pages_show_are_run_by_other_tests() -> None:
    shown = {path for page in PAGES for block in blocks_of(page) for path in block.included}
    assert shown and all(path.startswith("examples/") and (ROOT / path).is_file() for path in shown)


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_code_fits_into_the_page(path: Path) -> None:
    shown = [block for block in blocks_of(path) if block.language == "python" and not block.hidden]
    assert [line for block in shown for line in block.code.splitlines() if len(line) > WIDEST] == []


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_code_stands_in_fences(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    bare = re.sub(r"^```.*?^```$|<!--.*?-->", "", text, flags=re.DOTALL | re.MULTILINE)
    assert re.findall(r"^\n {4}\S.*", bare, re.MULTILINE) == []


GUIDES = [path for path in PAGES if {"guides", "coming-from", "how"} & set(path.parts) or path.parent == DOCS]


@pytest.mark.parametrize("path", [path for path in GUIDES if path.name != "changes.md"], ids=name)
def test_a_page_begins_with_code_that_works_offline(path: Path) -> None:
    shown = [block for block in blocks_of(path) if block.language in {"python", "sh"}]
    (first,) = [block for block in shown if block.is_run][:1]
    # Installing, and what a server needs before it, may come first.
    assert shown.index(first) <= 1


@pytest.mark.parametrize(
    "shown",
    [
        '```python\nprint(1)\n```\n```text title="Output"\n2\n```\n',
        "```sh\nfalse\n```\n",
        "```python\n1 / 0\n```\n",
    ],
)
def test_a_block_that_fails_is_told(shown: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(f"# Page\n\n{shown}")
    done = subprocess.run(
        [sys.executable, str(READER), "page.md"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1 and "page.md:3: this block fails" in done.stderr
