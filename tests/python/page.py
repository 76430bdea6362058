"""Runs what a page of the documentation shows, block after block, as its reader would.

    python tests/python/page.py docs/index.md

Blocks of Python share one namespace, and may await; one whose title is the name of a file becomes that file. Each block
of the shell has the exports of those before it. A block of text with the title "Output" is what the block before it has
printed; `…` in it stands for anything. These comments before a block say what the page cannot:

    <!-- serves: READY -->       it runs until the page's end; what comes after it waits until it has said READY
    <!-- not run: REASON -->     it is not run

and `<!-- run: CODE -->` is Python that the reader does not see.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any, NamedTuple

FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)(?P<rest>.*)$")
TITLE = re.compile(r'title="(?P<title>[^"]+)"')
INCLUDED = re.compile(r'^-{2,}8<-{2,} "(?P<path>[^":]+)')
PATIENCE = 60

#: Ports that pages name, with the options that ask for others: those may be taken here.
V2 = {"1883": "--mqtt-port", "1900": "--discovery-port", "1904": "--handler-port"}
V3 = {"1883": "--mqtt-port", "8884": "--management-port", "8885": "--http-port"}
#: What a server calls itself before it tells its port, and the port that pages name.
NAMED = {
    "listening": "1883",
    "discovery": "1900",
    "handler": "1904",
    "ThingsBoard": "1884",
    "Server": "8884",
    "HTTP": "8885",
    "connections": "4222",
}
TOLD = re.compile(r"(\w+) on (?:https?://)?127\.0\.0\.1:(\d+)")


class Block(NamedTuple):
    """A block of a page, or a hidden one."""

    language: str
    code: str
    line: int
    not_run: str | None = None
    ready: str | None = None
    file: str | None = None
    output: str | None = None
    hidden: bool = False

    @property
    def included(self) -> list[str]:
        """Files of the repository that it shows."""
        return [found["path"] for line in self.code.splitlines() if (found := INCLUDED.match(line.strip()))]

    @property
    def is_run(self) -> bool:
        """Whether anything is done with it."""
        is_code = self.file is not None or self.language in {"python", "sh"}
        return is_code and self.not_run is None and not self.included


def blocks(text: str) -> list[Block]:
    """Find the blocks of a page."""
    found: list[Block] = []
    lines = text.splitlines()
    comment, at = "", 0
    while at < len(lines):
        start = at
        if lines[at].lstrip().startswith("<!--"):
            while "-->" not in lines[at]:
                at += 1
            comment = "\n".join(lines[start : at + 1]).strip().removeprefix("<!--").removesuffix("-->").strip()
            if comment.startswith("run:"):
                found.append(
                    Block("python", textwrap.dedent(comment.removeprefix("run:")).strip("\n"), start + 1, hidden=True)
                )
        elif fence := FENCE.match(lines[at]):
            at += 1
            while lines[at].strip() != "```":
                at += 1
            code = textwrap.dedent("\n".join(lines[start + 1 : at]))
            titled = TITLE.search(fence["rest"])
            title = titled["title"] if titled else None
            if title == "Output":
                found[-1] = found[-1]._replace(output=code)
            else:
                found.append(
                    Block(
                        fence["language"],
                        code,
                        start + 1,
                        not_run=said(comment, "not run:"),
                        ready=said(comment, "serves:"),
                        file=title,
                    )
                )
            comment = ""
        elif lines[at].strip():
            comment = ""
        at += 1
    return found


def said(comment: str, what: str) -> str | None:
    """Give what a comment says after a word, if it begins with that."""
    return comment.removeprefix(what).strip() if comment.startswith(what) else None


def stripped(text: str) -> str:
    """Give a text without the blanks that nobody sees."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


class Reader:
    """Does what a page says, in the current folder."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.exports = ""
        self.servers: list[tuple[subprocess.Popen[str], threading.Thread]] = []
        self.ports: dict[str, str] = {}
        self.loop = asyncio.new_event_loop()

    def run(self, block: Block, page: str) -> None:
        """Run a block, and compare what it prints with what the page says that it prints."""
        code = block.code
        for port, free in self.ports.items():
            code = re.sub(rf"\b(127\.0\.0\.1|localhost):{port}\b", f"127.0.0.1:{free}", code)
        if block.file is not None:
            Path(block.file).write_text(f"{code}\n", encoding="utf-8")
            return
        if block.language == "python":
            printed = self.python(code, block, page)
        elif block.ready is not None:
            printed = self.serve(code, block.ready)
        else:
            printed = self.shell(code)
        if block.output is not None:
            expected = ".*?".join(re.escape(part) for part in stripped(block.output).split("…"))
            if not re.fullmatch(expected, stripped(printed), re.DOTALL):
                raise AssertionError(f"it says that this is printed:\n{block.output}\nand this is:\n{printed}")

    def python(self, code: str, block: Block, page: str) -> str:
        # Lines of tracebacks are those of the page.
        placed = "\n" * block.line + code
        compiled = compile(placed, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            awaited = eval(compiled, self.names)
            if inspect.isawaitable(awaited):
                self.loop.run_until_complete(awaited)
        return printed.getvalue()

    def shell(self, code: str) -> str:
        script = f"set -eo pipefail\n{self.exports}{code}"
        done = subprocess.run(["bash", "-c", script], stdout=subprocess.PIPE, text=True, timeout=PATIENCE, check=False)
        if done.returncode != 0:
            raise AssertionError(f"exit code {done.returncode} after:\n{done.stdout}")
        self.exports += "".join(f"{line}\n" for line in code.splitlines() if line.startswith("export "))
        return done.stdout

    def serve(self, command: str, ready: str) -> str:
        """Start a server on free ports, and wait until it serves."""
        command = command.strip()
        if command.startswith("thingslink sandbox"):
            command = command.replace("--thingsboard", "--thingsboard 0")
            command += "".join(f" {option} 0" for option in (V3 if "--v3" in command else V2).values())
        elif command.startswith("nats-server"):
            command += " -a 127.0.0.1 -p -1"
        process = subprocess.Popen(
            ["bash", "-c", f"{self.exports}exec {command}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )
        assert process.stdout is not None
        printed = []
        for line in process.stdout:
            printed.append(line)
            if ready in line:
                break
        else:
            raise AssertionError(f"it ended before it said {ready!r}: {''.join(printed)}")
        # It must not wait for somebody to read what else it says.
        drain = threading.Thread(target=process.stdout.read)
        drain.start()
        self.servers.append((process, drain))
        self.ports |= {NAMED[name]: port for name, port in TOLD.findall("".join(printed)) if name in NAMED}
        return "".join(printed)

    def end(self) -> None:
        """End what still runs, what was started last first."""
        for server, drain in reversed(self.servers):
            server.send_signal(signal.SIGINT)
            server.wait(timeout=PATIENCE)
            drain.join(PATIENCE)
            assert server.stdout is not None
            server.stdout.close()
        self.loop.close()


def main(page: str) -> int:
    """Read a page, do what it says, and tell where that fails."""
    # What is installed beside this interpreter is what the page's commands mean.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    reader = Reader()
    try:
        for block in filter(lambda block: block.is_run, blocks(Path(page).read_text(encoding="utf-8"))):
            try:
                reader.run(block, page)
            except BaseException:
                print(f"{page}:{block.line}: this block fails", file=sys.stderr)
                raise
    finally:
        reader.end()
    import thingslink

    if left := thingslink.clients():
        thingslink.close_all()
        print(f"{page}: these clients are left open: {left}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
