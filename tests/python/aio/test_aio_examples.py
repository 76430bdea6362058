"""The examples for asyncio are run."""

from __future__ import annotations

import asyncio
import importlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from harness import PATIENCE
from thingslink.sandbox import Sandbox, ThingsBoard
from thingslink.ttn import ApplicationClient

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).parent.parent.parent.parent / "examples"


@pytest.fixture
def board() -> Iterator[ThingsBoard]:
    with ThingsBoard() as board:
        board.add_device("Pump", "A1_TEST_TOKEN")
        yield board


def test_the_pump(board: ThingsBoard) -> None:
    command = [sys.executable, str(EXAMPLES / "pump.py"), board.host, "A1_TEST_TOKEN", str(board.port), "0.01"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    board.wait_for(lambda: board.telemetry_of("Pump"), timeout=PATIENCE)
    board.set_shared("Pump", {"limit": 5})
    assert board.rpc("Pump", "stop", timeout=PATIENCE) == {"stopped": True}
    text, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "limit: 5" in text.splitlines() and "sent" in text.splitlines()
    assert board.attributes_of("Pump") == {"running": False}


def test_the_web_service(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fastapi", reason="FastAPI is not installed")
    with ApplicationClient(sandbox.app_id, sandbox.access_key, sandbox.handler_address, sandbox.ca_certs) as client:
        client.register_device("node-1", {"dev_eui": "1" * 16, "description": "a pump"})
    monkeypatch.setenv("THINGSLINK_APP_ID", sandbox.app_id)
    monkeypatch.setenv("THINGSLINK_ACCESS_KEY", sandbox.access_key)
    monkeypatch.setenv("THINGSLINK_HANDLER", sandbox.handler_address)
    monkeypatch.setenv("THINGSLINK_CA_CERTS", sandbox.ca_certs)
    monkeypatch.syspath_prepend(str(EXAMPLES))
    web = importlib.import_module("web")

    async def program() -> None:
        async with web.lifespan(web.app):
            assert await web.devices() == ["node-1"]
            assert await web.device("node-1") == {"dev_id": "node-1", "description": "a pump"}
            with pytest.raises(web.HTTPException) as caught:
                await web.device("node-9")
            assert caught.value.status_code == 404

    asyncio.run(program())
