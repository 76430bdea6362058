"""``thingslink run script.py``: an unmodified program over this library."""

from __future__ import annotations

import argparse
import builtins
import io
import os
import runpy
import sys
import threading
import zipfile
from importlib.machinery import BuiltinImporter, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from thingslink import _lead, _original_names, install_as
from thingslink.cli import configuration
from thingslink.cli.failure import INTERRUPTED, USAGE, Failure, explain

if TYPE_CHECKING:
    from types import TracebackType

    from thingslink.sandbox import Sandbox

#: In place of a script, what comes in.
_STDIN = "-"
#: Option -> the variable that counts where it is not given, before the profile.
_VARIABLES = {
    "discovery": "THINGSLINK_DISCOVERY",
    "mqtt": "THINGSLINK_MQTT_ADDRESS",
    "ca_file": "THINGSLINK_CA_FILE",
}


def add_to(commands: Any) -> None:
    """Add the command."""
    command = commands.add_parser(
        "run",
        description="Run a script unmodified: `import ttn` gives this library. Options after the script are its own. "
        "Clients that are given no address look for the public network, which was switched off in 2021: these options "
        "lead them elsewhere. Addresses that the script names itself hold.",
    )
    command.add_argument(
        "--discovery", metavar="HOST:PORT", help=f"discovery server to ask (or {_VARIABLES['discovery']})"
    )
    command.add_argument(
        "--mqtt", metavar="ADDRESS", help=f"MQTT server, whatever discovery announces (or {_VARIABLES['mqtt']})"
    )
    command.add_argument(
        "--ca-file", metavar="FILE", help=f"certificates to trust there, PEM (or {_VARIABLES['ca_file']})"
    )
    command.add_argument(
        "--sandbox", action="store_true", help="an offline network of its own, for any application and access key"
    )
    command.add_argument(
        "--devices", type=int, default=0, help="with --sandbox: let so many devices of each application send"
    )
    command.add_argument("--rate", type=float, default=1.0, help="their uplinks per second, all together (default 1)")
    command.add_argument(
        "-m", dest="module", nargs=argparse.REMAINDER, metavar="MODULE ...", help="run a module in place of a script"
    )
    command.add_argument("script", nargs="?", help="the script's path, - for standard input")
    command.add_argument("arguments", nargs=argparse.REMAINDER, help="what the script finds in sys.argv")
    command.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    """Run the script as `__main__`; its own exit code and exceptions come through."""
    module, script = options.module, options.script
    if not module and not script:
        hint = "give its path, - for standard input, or a module after -m"
        return Failure("which script?", code=USAGE, hint=hint).tell()
    if not module and not _is_there(script):
        return Failure(f"no script at {script!r}", code=USAGE, hint=f"it was looked for in {Path.cwd()}").tell()
    try:
        _prepare(options)
    except (Failure, ValueError) as error:
        return explain(error, options).tell()
    except KeyboardInterrupt:
        return INTERRUPTED
    sys.argv = module or [script, *options.arguments]
    try:
        if module:
            runpy.run_module(module[0], run_name="__main__", alter_sys=True)
        elif script == _STDIN:
            _run_what_comes_in()
        else:
            _run(script)
    except SystemExit:
        raise
    except BaseException as error:
        _hide_ourselves(error)
        raise
    return 0


def _prepare(options: argparse.Namespace) -> None:
    names: dict[str, str] = {}
    values: dict[str, str | None] = {}
    for option, variable in _VARIABLES.items():
        given = getattr(options, option)
        names[option], values[option] = f"--{option.replace('_', '-')}", given
        if given is not None or options.sandbox:
            continue
        told = os.environ.get(variable) or None
        names[option] = variable if told else f"{option.replace('_', '-')} of the profile"
        values[option] = told or configuration.of(options).get(option)
    if options.devices and not options.sandbox:
        raise ValueError(f"--devices {options.devices} goes together with --sandbox alone")
    if options.sandbox and any(value is not None for value in values.values()):
        raise ValueError("--sandbox does not go together with --discovery, --mqtt and --ca-file")
    sandbox = _lead.lead(**values, sandbox=options.sandbox, names=names)
    if sandbox is not None:
        _let_send(sandbox, options.devices, options.rate)
        print(
            f"sandbox: MQTT on {sandbox.mqtt_address}, discovery on {sandbox.discovery_address}, "
            f"handler on {sandbox.handler_address}",
            file=sys.stderr,
            flush=True,
        )
    install_as()
    # Processes that the script starts import the originals by these, and are led as it is.
    sys.path.insert(1, str(Path(_original_names.__file__).parent))
    _lead.hand_down()


def _let_send(sandbox: Sandbox, devices: int, rate: float) -> None:
    """Let devices of each application send from the first login of a client on."""
    if not devices:
        return
    # What is not valid is told before the script begins.
    sandbox.stream(app_id="nobody", devices=devices, rate=rate).stop()
    follower = sandbox.follow()

    def follow() -> None:
        sending: set[str] = set()
        for entry in follower:
            if entry["kind"] == "connected" and entry["app_id"] not in sending:
                sending.add(entry["app_id"])
                sandbox.stream(app_id=entry["app_id"], devices=devices, rate=rate)

    threading.Thread(target=follow, daemon=True).start()


def _is_there(script: str) -> bool:
    """Whether there is something to run: a file, a pipe such as /dev/stdin, a folder, or standard input."""
    path = Path(script)
    return script == _STDIN or ((path / "__main__.py").is_file() if path.is_dir() else path.exists())


def _run(script: str) -> None:
    """Run a script as Python itself does: in a module `__main__` that stays until the end."""
    # A look into a pipe would take from it.
    if Path(script).is_dir() or (Path(script).is_file() and zipfile.is_zipfile(script)):
        # Their own place on the search path takes ours.
        del sys.path[0]
        runpy.run_path(script, run_name="__main__")
        return
    path = os.path.abspath(script)  # noqa: PTH100 - links are not followed for __file__, as Python does not
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = _folder_of(script)
    with io.open_code(path) as file:
        _execute(file.read(), path, SourceFileLoader("__main__", path))


def _run_what_comes_in() -> None:
    """Run what is on standard input, as ``python -`` does."""
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = ""
    # Closed, there is nothing to run.
    source = b"" if sys.stdin is None else sys.stdin.buffer.read()
    _execute(source, "<stdin>", BuiltinImporter)


def _execute(source: bytes, path: str, loader: object) -> None:
    module = ModuleType("__main__")
    vars(module).update(__file__=path, __cached__=None, __builtins__=builtins, __loader__=loader)
    sys.modules["__main__"] = module
    code = compile(source, path, "exec", dont_inherit=True)
    exec(code, vars(module))  # noqa: S102 - what the user asks for


# Texts and no `Path`, as Python puts them there.
def _folder_of(script: str) -> str:
    """Give the folder that Python looks for a script's modules in: beside the file that links lead to."""
    try:
        script = os.path.realpath(script, strict=True)
    except OSError:
        # A pipe has no place of its own: that of what names it counts.
        link = os.readlink(script) if os.path.islink(script) else ""  # noqa: PTH114, PTH115
        script = link if os.path.isabs(link) else script  # noqa: PTH117
    return os.path.dirname(script)  # noqa: PTH120


#: Files of what stands between the interpreter and the script: the command line, and what runs modules.
_BETWEEN = (str(Path(__file__).parent.parent), runpy.__file__, "<frozen runpy>", "<frozen zipimport>")


def _hide_ourselves(error: BaseException) -> None:
    """Let the traceback begin at the script, as it does without us."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_frame.f_code.co_filename.startswith(_BETWEEN):
        traceback = traceback.tb_next
    hook = sys.excepthook

    def show(kind: type[BaseException], value: BaseException, _: TracebackType | None) -> None:
        hook(kind, value.with_traceback(traceback), traceback)

    sys.excepthook = show
