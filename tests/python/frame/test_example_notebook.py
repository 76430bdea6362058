"""The example notebook in a kernel of its own, as notebooks run: from above, cells once more, and interrupted."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE, RawServer

if TYPE_CHECKING:
    from collections.abc import Iterator

nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
pytest.importorskip("ipykernel", reason="ipykernel is not installed")

EXAMPLE = Path(__file__).parent.parent.parent.parent / "examples" / "uplinks.ipynb"


class Kernel:
    """A kernel, and what it says."""

    def __init__(self) -> None:
        from jupyter_client.manager import KernelManager

        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel()
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=PATIENCE)

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()

    def _execute(self, code: str) -> str:
        # Otherwise a kernel gives up what comes in the moment after a cell that failed.
        request: str = self.client.execute(code, stop_on_error=False)
        return request

    def begin(self, code: str, until: str) -> str:
        """Run a cell until it has printed a text; gives which request it is."""
        request: str = self._execute(code)
        text = ""
        while until not in text:
            message = self.client.get_iopub_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") == request:
                assert message["msg_type"] != "error", message["content"]
                text += message["content"].get("text", "")
        return request

    def end(self, request: str) -> dict[str, Any]:
        """Give how a cell ended."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            reply = self.client.get_shell_msg(timeout=PATIENCE)
            if reply["parent_header"]["msg_id"] == request:
                return dict(reply["content"])
        raise TimeoutError("the cell did not end")

    def run(self, code: str) -> str:
        """Run a cell to its end; gives what it printed."""
        assert self.end(self._execute(code + "\nprint('the end')"))["status"] == "ok"
        text = ""
        while "the end\n" not in text:
            text += self.client.get_iopub_msg(timeout=PATIENCE)["content"].get("text", "")
        return text.replace("the end\n", "")


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    kernel = Kernel()
    yield kernel
    kernel.close()


def cells(notebook: Any) -> Iterator[tuple[str, Any]]:
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            yield "".join(cell["source"]), cell


@pytest.mark.timeout(180)
def test_the_example_runs_from_above(monkeypatch: pytest.MonkeyPatch) -> None:
    # A kernel chooses by itself how pictures are shown.
    monkeypatch.delenv("MPLBACKEND", raising=False)
    for library in ("polars", "duckdb", "pyarrow", "matplotlib"):
        pytest.importorskip(library, reason=f"{library} is not installed")
    import nbformat

    notebook: Any = nbformat.reads(EXAMPLE.read_text(), as_version=4)  # type: ignore[no-untyped-call]
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    shown = {code: json.dumps(cell["outputs"]) for code, cell in cells(notebook)}

    def of(part: str) -> str:
        (found,) = [outputs for code, outputs in shown.items() if part in code]
        return found

    assert "MQTTClient" in of("client.record(") and "access_key" not in of("client.record(")
    assert "Recorder of 48 rows" in of("def send(")
    assert "greenhouse" in of("pl.DataFrame") and "52.5" in of("pl.DataFrame")
    assert "24" in of("duckdb.sql")
    for field in ("temperature", "rssi", "loss"):
        assert "image/png" in of(f'recorder.plot("{field}"')
    assert "(48, 0)" in of("recorder.take()")


def test_the_example_is_kept_without_what_it_shows() -> None:
    for _, cell in cells(json.loads(EXAMPLE.read_text())):
        assert cell["outputs"] == [] and cell["execution_count"] is None


@pytest.mark.timeout(120)
def test_the_cell_that_connects_may_be_run_again(kernel: Kernel) -> None:
    notebook = json.loads(EXAMPLE.read_text())
    first, connect = [code for code, _ in cells(notebook)][:2]
    kernel.run(first)
    for _ in range(3):
        kernel.run(connect)
    kernel.run("sandbox.device('one').uplink(); sandbox.wait_for(lambda: len(recorder), timeout=30)")
    # What was sent after it has come, so no second copy of it is on its way.
    kernel.run(
        "sandbox.device('two').uplink(); sandbox.wait_for(lambda: 'two' in recorder.to_dict()['dev_id'], timeout=30)"
    )
    assert kernel.run("print(recorder.to_dict()['dev_id'], len(thingslink.clients()))") == "['one', 'two'] 1\n"


BEGINNING = """
from thingslink.sandbox import Sandbox
from thingslink.ttn import MQTTClient
sandbox = Sandbox()
sandbox.start()
client = MQTTClient(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address)
client.connect()
"""

WAITS = {
    "for a downlink": "client.downlink(client.send('one', b'1')).wait('acked', timeout=3600)",
    "for a connection": "MQTTClient('app', 'key', 'SILENT', reconnect=False).connect(timeout=3600)",
    "for the sandbox": "sandbox.wait_for(lambda: None, timeout=3600)",
}


@pytest.mark.timeout(180)
def test_an_interrupted_kernel_stops_waiting(kernel: Kernel) -> None:
    with RawServer(connack=b"") as silent:
        kernel.run(BEGINNING)
        for what, code in WAITS.items():
            # Told by another thread: the kernel may lose what interrupts its own printing.
            told = "import threading; threading.Timer(0.5, print, ['waiting']).start()"
            waiting = kernel.begin(f"{told}\n{code.replace('SILENT', silent.address)}", "waiting")
            kernel.manager.interrupt_kernel()
            outcome = kernel.end(waiting)
            assert outcome["status"] == "error", what
            assert outcome["ename"] == "KeyboardInterrupt", (what, outcome)
        # The client works on.
        kernel.run("assert client.is_connected; client.close(); sandbox.stop()")
