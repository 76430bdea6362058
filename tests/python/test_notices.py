"""The notices of third parties: true, and where wheel and sdist have them."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent.parent
NOTICES = ROOT / "THIRD-PARTY-NOTICES"
TOOL = ROOT / "tools" / "notices"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("notices", str(TOOL))
    spec = importlib.util.spec_from_loader("notices", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


@pytest.mark.parametrize(
    ("expression", "chosen"),
    [
        ("MIT", {"MIT"}),
        ("Apache-2.0 OR MIT", {"MIT"}),
        ("MIT/Apache-2.0", {"MIT"}),
        ("Apache-2.0 / MIT", {"MIT"}),
        ("Apache-2.0 AND ISC", {"Apache-2.0", "ISC"}),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", {"MIT", "Unicode-3.0"}),
        ("Apache-2.0 WITH LLVM-exception", {"Apache-2.0 WITH LLVM-exception"}),
        ("GPL-3.0-only OR Zlib", {"Zlib"}),
        ("GPL-3.0-only", None),
        ("MIT AND GPL-3.0-only", None),
    ],
)
def test_of_several_licences_one_that_is_allowed_is_chosen(
    tool: ModuleType, expression: str, chosen: set[str] | None
) -> None:
    assert tool.choose(tool.parse(expression), tool.allowed_licences()) == chosen


def test_the_notices_tell_what_is_linked_in() -> None:
    outcome = subprocess.run([sys.executable, TOOL, "--check"], capture_output=True, text=True, check=False)
    assert not outcome.returncode, outcome.stderr
    text = NOTICES.read_text(encoding="utf-8")
    for part in [
        "The Rust standard library",
        "rumqttc ",
        "pyo3 ",
        "Microsoft Corporation, Daan Leijen",  # mimalloc, in C
        "Fabrice Bellard",  # QuickJS, in C
        "the fiat-crypto authors",  # ring, in C
    ]:
        assert part in text, part


def test_the_sdist_has_them(tmp_path: Path) -> None:
    maturin = shutil.which("maturin", path=str(Path(sys.executable).parent))
    assert maturin, "`make setup` installs it"
    subprocess.run([maturin, "sdist", "--out", tmp_path], cwd=ROOT, check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as sdist:
        names = {Path(name).relative_to(Path(name).parts[0]).as_posix() for name in sdist.getnames()}
        assert {"THIRD-PARTY-NOTICES", "LICENSE", "Cargo.lock"} <= names, sorted(names)
