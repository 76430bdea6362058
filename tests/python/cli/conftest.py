"""What holds for all tests of the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def configuration_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the configuration and the settings of whoever runs the tests out of them."""
    for name in ("THINGSLINK_PROFILE", "THINGSLINK_CONFIG", "THINGSLINK_FORMAT", "THINGSLINK_KEYRING", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "thingslink"
