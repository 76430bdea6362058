"""The programs of docs/tables.md run, one after the other."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE

if TYPE_CHECKING:
    from thingslink.sandbox import Sandbox

PAGE = Path(__file__).parent.parent.parent.parent / "docs" / "tables.md"


def test_what_the_page_says(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("polars", reason="polars is not installed")
    plt = pytest.importorskip("matplotlib.pyplot", reason="matplotlib is not installed")
    plt.switch_backend("agg")
    record, take, store, plot = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {
        "app_id": sandbox.app_id,
        "access_key": sandbox.access_key,
        "mqtt_address": sandbox.mqtt_address,
    }
    before, after = record.split("...\n")
    exec(before, names)
    device = sandbox.device("soil-07")
    for value in (20, 20.5):
        device.uplink(fields={"temperature": value})
    sandbox.wait_for(lambda: len(names["recorder"]) == 2, timeout=PATIENCE)
    exec(after, names)
    assert "soil-07" in capsys.readouterr().out
    exec(plot, names)
    assert len(plt.get_fignums()) == 3
    plt.close("all")
    exec(take, names)
    assert capsys.readouterr().out == "2 float\n"
    names["client"].close()
    exec(store, names)

    async def main() -> None:
        batches: list[Any] = []
        storing = asyncio.create_task(names["store"](batches))
        while not batches:
            assert not storing.done()
            device.uplink(fields={"temperature": 21})
            await asyncio.sleep(0.05)
        storing.cancel()
        await asyncio.gather(storing, return_exceptions=True)
        assert batches[0]["temperature"].to_list()[0] == 21

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
