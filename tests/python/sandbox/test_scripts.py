"""Payload functions run in processes of their own, and what does not end there ends with its process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE
from thingslink import ApplicationError
from thingslink.ttn import ApplicationClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from thingslink.sandbox import Sandbox

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="threads and processes are looked up in /proc")

FIRST = "function Decoder(bytes, port) { return {first: bytes[0]}; }"
#: Texts that are trees of their parts: the engine compares two of them without looking at the clock, for hours.
ENDLESS = """function Decoder(bytes, port) {
  var one = 'x'.repeat(8000) + 'y'.repeat(8000), other = 'x'.repeat(8000) + 'y'.repeat(8000);
  for (var i = 0; i < 15; i++) { one += one; other += other; }
  while (one == other) {}
}"""


@pytest.fixture
def decode(sandbox: Sandbox) -> Iterator[Callable[[str], Any]]:
    with ApplicationClient(sandbox.app_id, sandbox.access_key, sandbox.handler_address, sandbox.ca_certs) as client:
        yield lambda code: client.dry_uplink(b"\x07", functions={"decoder": code}).fields


def threads() -> list[str]:
    return [task.read_text().strip() for task in Path("/proc/self/task").glob("*/comm")]


def evaluators() -> list[int]:
    """Give the processes of this one that run scripts."""
    listed = Path("/proc/self/task").glob("*/children")
    children = [int(child) for task in listed for child in task.read_text().split()]
    return [child for child in children if b"_serve_scripts" in Path(f"/proc/{child}/cmdline").read_bytes()]


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_does_not_end_holds_nothing(decode: Callable[[str], Any]) -> None:
    # More than may be at work at once.
    for _ in range(20):
        before = evaluators()
        with pytest.raises(ApplicationError) as failed:
            decode(ENDLESS)
        assert "longer than 100 ms" in str(failed.value.details)
        assert not any(is_running(process) for process in before)
        assert "thingslink-scri" not in threads(), "none in this process"
    assert decode(FIRST) == '{"first":7}'
    assert len(evaluators()) <= 2


def test_scripts_have_one_process_after_the_other(decode: Callable[[str], Any]) -> None:
    assert decode(FIRST) == '{"first":7}'
    used = evaluators()
    for _ in range(5):
        assert decode(FIRST) == '{"first":7}'
    assert evaluators() == used, "the same"
    assert all(os.getpgid(process) != os.getpgid(0) for process in used), "not ended by Ctrl-C"
    for process in used:
        os.kill(process, signal.SIGKILL)
    assert decode(FIRST) == '{"first":7}', "in another"
    assert not set(evaluators()) & set(used)


DECODER = "function Decoder(bytes) { return {n: bytes[0]}; }"
PROGRAM = """
import logging, os, sys
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
from pathlib import Path
from thingslink.sandbox import Sandbox
from thingslink.ttn import ApplicationClient
{before}
with Sandbox() as sandbox:
    with ApplicationClient(sandbox.app_id, sandbox.access_key, sandbox.handler_address, sandbox.ca_certs) as client:
        for _ in range(2):
            print(client.dry_uplink(b"\\x07", functions={{"decoder": {decoder!r}}}).fields)
        {then}
"""
CHILDREN = 'print([c for t in Path("/proc/self/task").glob("*/children") for c in t.read_text().split()], flush=True)'


def run(before: str, then: str = CHILDREN) -> list[str]:
    program = PROGRAM.format(before=before, then=then, decoder=DECODER)
    outcome = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout.splitlines()


@pytest.mark.parametrize(
    "before",
    ['sys.executable = "/usr/sbin/uwsgi"', "sys.executable = None", 'sys.executable = ""', "sys.frozen = True"],
)
def test_a_program_that_is_no_interpreter_is_not_begun(before: str) -> None:
    assert run(before) == ['{"n":7}', '{"n":7}', "[]"]


@pytest.mark.parametrize("name", ["python-that-is-not-there", "python-that-ends"])
def test_where_no_process_can_be_had_scripts_run_here(name: str, tmp_path: Path) -> None:
    if name.endswith("ends"):
        (tmp_path / name).symlink_to("/bin/true")
    said, *rest = run(f"sys.executable = {str(tmp_path / name)!r}")
    assert "run in this process" in said and rest == ['{"n":7}', '{"n":7}', "[]"]


def test_a_forked_child_leaves_its_parents_alone() -> None:
    then = f"""
        functions = {{"decoder": {DECODER!r}}}
        pid = os.fork()
        if pid == 0:
            with Sandbox() as own:
                client = ApplicationClient(own.app_id, own.access_key, own.handler_address, own.ca_certs)
                print(client.dry_uplink(b"\\x08", functions=functions).fields)
            sys.stdout.flush()
            os._exit(0)
        os.waitpid(pid, 0)
        print(client.dry_uplink(b"\\x09", functions=functions).fields)
    """
    assert run("", then) == ['{"n":7}', '{"n":7}', '{"n":8}', '{"n":9}']


def test_they_end_with_the_program(eventually: Callable[[Callable[[], object]], None]) -> None:
    program = PROGRAM.format(before="", then=f"{CHILDREN}; sys.stdin.read()", decoder=DECODER)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as it:
        assert it.stdout
        children = [it.stdout.readline() for _ in range(3)][-1]
        (process,) = [int(child) for child in children.strip("[]\n").replace("'", "").split(",")]
        assert is_running(process)
        it.kill()
    eventually(lambda: not is_running(process))
