"""`thingslink run` and `install_as`: scripts that name no address are led to another network."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import textwrap
import zipapp
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE
from thingslink import SwitchedOffError, ttn, ttnmqtt
from thingslink.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: A program that names nothing but its application and key. A broker that is reached through it gets a downlink.
NAMELESS = """
import ttn
client = ttn.HandlerClient("demo-app", "ttn-account-v2.demo").data()
client.connect()
client.send("node-1", "AQ==")
client.close()
print("sent")
"""
#: A server of the public network that never was: nobody is there, with a network or without one.
GONE = "no-such-server.thethings.network:1"


def run(
    script: str | Path, *options: str, after: Iterable[str] = (), variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return finish([sys.executable, "-m", "thingslink", "run", *options, str(script), *after], variables)


def finish(command: list[str], variables: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **(variables or {})}
    return subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE, check=False, env=environment)


def file(folder: Path, code: str, name: str = "script.py") -> Path:
    path = folder / name
    path.write_text(textwrap.dedent(code))
    return path


def options_for(sandbox: Sandbox, folder: Path) -> list[str]:
    certificate = file(folder, sandbox.ca_certs, "ca.pem")
    return ["--discovery", sandbox.discovery_address, "--ca-file", str(certificate)]


def downlinks(sandbox: Sandbox) -> int:
    return len(sandbox.device("node-1").downlinks)


def test_a_script_without_an_address_is_led_by_options(sandbox: Sandbox, tmp_path: Path) -> None:
    script = file(tmp_path, NAMELESS)
    sandbox.device("node-1")
    outcome = run(script, *options_for(sandbox, tmp_path))
    assert (outcome.stdout, outcome.stderr) == ("sent\n", "")
    assert downlinks(sandbox) == 1


def test_an_mqtt_address_alone_is_enough(sandbox: Sandbox, tmp_path: Path) -> None:
    script = file(tmp_path, NAMELESS)
    sandbox.device("node-1")
    assert run(script, "--mqtt", sandbox.mqtt_address).stdout == "sent\n"
    assert downlinks(sandbox) == 1
    certificate = str(file(tmp_path, sandbox.ca_certs, "ca.pem"))
    assert sandbox.mqtts_address
    assert run(script, "--mqtt", sandbox.mqtts_address, "--ca-file", certificate).stdout == "sent\n"


def test_the_mqtt_address_counts_whatever_is_announced(sandbox: Sandbox, tmp_path: Path) -> None:
    script = file(tmp_path, NAMELESS)
    with Sandbox() as other:
        other.device("node-1")
        assert run(script, *options_for(sandbox, tmp_path), "--mqtt", other.mqtt_address).stdout == "sent\n"
        assert downlinks(other) == 1


def test_variables_count_where_options_are_not_given(sandbox: Sandbox, tmp_path: Path) -> None:
    script = file(tmp_path, NAMELESS)
    sandbox.device("node-1")
    nowhere = {"THINGSLINK_DISCOVERY": GONE, "THINGSLINK_MQTT_ADDRESS": "", "THINGSLINK_CA_FILE": ""}
    assert run(script, *options_for(sandbox, tmp_path), variables=nowhere).stdout == "sent\n"
    assert "2021" in run(script, variables=nowhere).stderr
    variables = {"THINGSLINK_DISCOVERY": "", "THINGSLINK_MQTT_ADDRESS": sandbox.mqtt_address}
    assert run(script, variables=variables).stdout == "sent\n"
    outcome = run(script, "--mqtt", sandbox.mqtt_address, variables={"THINGSLINK_MQTT_ADDRESS": "no:port"})
    assert outcome.stdout == "sent\n", "the variable is not even looked at"


def test_variables_count_for_run_alone(sandbox: Sandbox, tmp_path: Path) -> None:
    code = "import thingslink; thingslink.install_as()\nimport ttn\nprint(repr(ttn.MQTTClient('demo-app', 'key')))"
    outcome = finish([sys.executable, "-c", code], variables={"THINGSLINK_MQTT_ADDRESS": "other.example:1883"})
    assert "other.example" not in outcome.stdout and "mqtt_address=''" in outcome.stdout


def test_what_a_program_names_itself_holds(sandbox: Sandbox, tmp_path: Path) -> None:
    script = file(
        tmp_path,
        f"""
        import ttn, ttnmqtt
        for named in (
            lambda: ttn.MQTTClient("demo-app", "key", "{GONE}").connect(),
            lambda: ttn.MQTTClient("demo-app", "key", discovery_address="{GONE}").connect(),
            lambda: ttn.HandlerClient("demo-app", "key", "{GONE}"),
            lambda: ttn.ApplicationClient("demo-app", "key", discovery_address="{GONE}"),
            lambda: ttn.DiscoveryClient("{GONE}").get_all("handler"),
            lambda: ttnmqtt.MQTTClient("demo-app", "70B3D57ED00000AA", "key").connect("{GONE.split(":")[0]}", 1),
        ):
            try:
                named()
            except ConnectionError as error:
                assert "{GONE}" in str(error), error
                print("gone")
        """,
    )
    outcome = run(script, *options_for(sandbox, tmp_path), "--mqtt", sandbox.mqtt_address)
    assert outcome.stdout.count("gone") == 6, outcome.stdout + outcome.stderr


def test_every_client_has_a_default_that_is_led(sandbox: Sandbox, tmp_path: Path) -> None:
    script = file(
        tmp_path,
        """
        import queue, sys, ttn, ttnmqtt
        key = "ttn-account-v2.demo"
        said = []
        ttn.MQTTClient("demo-app", key).connect()
        ttn.MQTTClient("demo-app", key, "").connect()
        ttn.MQTTClient("demo-app", key, mqttAddress="").connect()
        said.append(ttn.HandlerClient("demo-app", key).application().get().app_id)
        said.append(ttn.ApplicationClient("demo-app", key, "", "junk that never counted").get().app_id)
        said.append(ttn.DiscoveryClient().get_by_app_id("demo-app").id)
        first = ttnmqtt.MQTTClient("demo-app", "70B3D57ED00000AA", key)
        first.connect()
        first.customConnect("us-west")
        said.append(first.connectFlag)
        told = queue.Queue()
        ttnmqtt.MQTTClient("demo-app", key).setConnectCallback(lambda res, client: told.put(res))
        said.append(told.get(timeout=20))
        print(*said, file=sys.stderr)  # the older packages write to the other one
        """,
    )
    outcome = run(script, *options_for(sandbox, tmp_path))
    assert outcome.stderr == "demo-app demo-app sandbox-handler 1 0\n"


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--discovery", "h:abc", "host:port"),
        ("--discovery", "http://h", "host:port"),
        ("--mqtt", "h:99999", "port 99999"),
        ("--mqtt", "ftp://h", "mqtts://host"),
        ("--ca-file", "nowhere.pem", "No such file"),
    ],
)
def test_a_bad_option_is_told_with_its_value(option: str, value: str, expected: str, tmp_path: Path) -> None:
    script = file(tmp_path, "print('ran')")
    outcome = run(script, option, value)
    assert outcome.returncode == 2 and outcome.stdout == "" and "Traceback" not in outcome.stderr
    assert option in outcome.stderr and value in outcome.stderr and expected in outcome.stderr
    variable = {"--discovery": "THINGSLINK_DISCOVERY", "--mqtt": "THINGSLINK_MQTT_ADDRESS"}.get(option)
    if variable:
        outcome = run(script, variables={variable: value})
        assert outcome.returncode == 2 and variable in outcome.stderr and value in outcome.stderr


def test_a_sandbox_does_not_go_with_addresses(tmp_path: Path) -> None:
    outcome = run(file(tmp_path, "print('ran')"), "--sandbox", "--mqtt", "h")
    assert (outcome.returncode, outcome.stdout) == (2, "") and "--sandbox" in outcome.stderr


def test_a_sandbox_takes_the_applications_and_keys_that_the_script_uses(tmp_path: Path) -> None:
    script = file(
        tmp_path,
        """
        import threading, ttn

        for app_id, data_key, manage_key in (("first-app", "a", "b"), ("second-app", "c", "d")):
            came = threading.Event()
            client = ttn.HandlerClient(app_id, data_key).data()
            client.set_uplink_callback(lambda msg, client: (print(msg.app_id, msg.dev_id, msg.payload_raw), came.set()))
            client.connect()
            application = ttn.ApplicationClient(app_id, manage_key)
            application.register_device("node-1", {})
            application.simulate_uplink("node-1", b"\x01")
            came.wait(20)
            client.close()
        """,
    )
    outcome = run(script, "--sandbox", variables={"THINGSLINK_DISCOVERY": GONE})
    assert outcome.stdout == "first-app node-1 AQ==\nsecond-app node-1 AQ==\n", outcome.stderr
    assert outcome.stderr.startswith("sandbox: MQTT on 127.0.0.1:")


def test_devices_of_the_sandbox_send_to_a_script_that_listens(tmp_path: Path) -> None:
    script = file(
        tmp_path,
        """
        import queue, ttn
        came = queue.Queue()
        for app_id in ("first-app", "second-app"):
            client = ttn.HandlerClient(app_id, "key").data()
            client.set_uplink_callback(lambda msg, client: came.put((msg.app_id, msg.dev_id)))
            client.connect()
        seen = set()
        while len(seen) < 4:
            seen.add(came.get(timeout=20))
        print(sorted(seen))
        """,
    )
    outcome = run(script, "--sandbox", "--devices", "2", "--rate", "50")
    expected = [(app_id, f"sim-0000{number}") for app_id in ("first-app", "second-app") for number in (1, 2)]
    assert outcome.stdout == f"{expected}\n", outcome.stderr
    for wrong in (
        ["--sandbox", "--devices", "200000"],
        ["--sandbox", "--devices", "2", "--rate", "-1"],
        ["--devices", "2"],
    ):
        outcome = run(script, *wrong)
        assert (outcome.returncode, outcome.stdout) == (2, "") and "Traceback" not in outcome.stderr
        assert "devices" in outcome.stderr or "rate" in outcome.stderr


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_of_the_script_are_led_as_it_is(method: str, tmp_path: Path) -> None:
    script = file(
        tmp_path,
        f"""
        import multiprocessing
        import ttn

        def work(results):
            client = ttn.MQTTClient("worker-app", "key")
            client.connect()
            results.put(ttn.__name__)
            client.close()

        if __name__ == "__main__":
            context = multiprocessing.get_context("{method}")
            results = context.Queue()
            worker = context.Process(target=work, args=(results,))
            worker.start()
            print(results.get(timeout=20))
            worker.join()
            print(worker.exitcode)
        """,
    )
    outcome = run(script, "--sandbox")
    assert outcome.stdout == "thingslink.ttn\n0\n", outcome.stderr


#: What a script can tell about how it was started.
ABOUT_ITSELF = """
import sys, pickle
def top(): pass
print(__name__, __file__, __spec__, sys.argv, sys.path[0])
print(sys.modules["__main__"].top is top, pickle.loads(pickle.dumps(top)) is top, __annotations__ if 0 else "")
"""
ENDS = {
    "done": "print('done')",
    "exit": "import sys; sys.exit(7)",
    "exit text": "import sys; sys.exit('what went wrong')",
    "exit at once": "import os; os._exit(9)",
    "error": "def f():\n    raise RuntimeError('of its own')\nf()",
    "error with a cause": "try:\n    {}[1]\nexcept KeyError as e:\n    raise ValueError('so') from e",
    "syntax": "def f(:",
    "interrupt": "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nimport time\ntime.sleep(60)",
    "terminated": "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\nimport time\ntime.sleep(60)",
    "hook": "import sys\nsys.excepthook = lambda kind, value, tb: print(kind, tb.tb_lineno, tb.tb_next)\n1 / 0",
    "thread": "import threading\nthreading.Thread(target=lambda: print(top_level)).start()\ntop_level = 1",
    "at exit": "import atexit\natexit.register(lambda: print(__name__, word))\nword = 'still here'",
    "itself": ABOUT_ITSELF,
}


@pytest.mark.parametrize("end", ENDS)
def test_a_script_ends_as_it_does_under_python_itself(end: str, tmp_path: Path) -> None:
    script = file(tmp_path, ENDS[end])
    plain = finish([sys.executable, str(script), "-x", "--mqtt", "z"])
    ours = run(script, after=("-x", "--mqtt", "z"))
    assert (ours.returncode, ours.stdout, ours.stderr) == (plain.returncode, plain.stdout, plain.stderr)
    if end in {"interrupt", "terminated"}:
        assert ours.returncode == -(signal.SIGINT if end == "interrupt" else signal.SIGTERM)


@pytest.mark.parametrize("way", ["-", "/dev/stdin", "redirected", "fifo"])
@pytest.mark.parametrize("code", [*(ENDS[end] for end in ("exit", "error", "syntax", "at exit")), ABOUT_ITSELF])
def test_what_comes_in_runs_as_it_does_under_python_itself(way: str, code: str, tmp_path: Path) -> None:
    script = file(tmp_path, code + "\nimport ttn_or_not")
    (tmp_path / "ttn_or_not.py").touch()

    def outcome(*command: str) -> tuple[int, str, str]:
        given: dict[str, Any] = {
            "capture_output": True,
            "text": True,
            "timeout": 2 * PATIENCE,
            "check": False,
            "cwd": tmp_path,
        }
        if way == "fifo":
            start = f"{shlex.join(command)} <(cat {shlex.quote(str(script))}) --flag"
            ended = subprocess.run(["bash", "-c", start], **given)
        elif way == "redirected":
            with script.open() as source:
                ended = subprocess.run([*command, "/dev/stdin", "--flag"], stdin=source, **given)
        else:
            ended = subprocess.run([*command, way, "--flag"], input=script.read_text(), **given)
        return ended.returncode, ended.stdout, ended.stderr

    plain, ours = outcome(sys.executable), outcome(sys.executable, "-m", "thingslink", "run")
    assert ours == plain


def test_a_here_document_runs_over_this_library() -> None:
    command = f"{shlex.quote(sys.executable)} -m thingslink run - <<'END'\nimport ttn\nprint(ttn.__name__)\nEND\n"
    assert finish(["bash", "-c", command]).stdout == "thingslink.ttn\n"


def test_a_module_runs_as_well(tmp_path: Path) -> None:
    package = tmp_path / "program"
    package.mkdir()
    file(package, "", "__init__.py")
    file(package, "import sys, ttn\nprint(ttn.__name__, __name__, sys.argv[1:])\nsys.exit(4)", "__main__.py")
    command = [sys.executable, "-m", "thingslink", "run", "-m", "program", "--flag", "-m"]
    outcome = finish(command, variables={"PYTHONPATH": str(tmp_path)})
    assert (outcome.returncode, outcome.stdout) == (4, "thingslink.ttn __main__ ['--flag', '-m']\n"), outcome.stderr


def test_what_a_module_or_a_folder_raises_begins_at_its_own_line(tmp_path: Path) -> None:
    folder = tmp_path / "program"
    folder.mkdir()
    file(folder, "", "__init__.py")
    file(folder, "def f():\n    raise RuntimeError('of its own')\nf()", "__main__.py")
    zipapp.create_archive(folder, tmp_path / "program.pyz")
    start = [sys.executable, "-m", "thingslink", "run"]
    for way in (["-m", "program"], [str(folder)], [str(tmp_path / "program.pyz")]):
        outcome = finish([*start, *way], variables={"PYTHONPATH": str(tmp_path)})
        frames = [line for line in outcome.stderr.splitlines() if line.startswith("  File ")]
        assert outcome.returncode == 1 and len(frames) == 2, outcome.stderr
        assert all("__main__.py" in line for line in frames), outcome.stderr


def test_a_folder_and_an_archive_run_as_well(tmp_path: Path) -> None:
    folder = tmp_path / "program"
    folder.mkdir()
    file(folder, "WORD = 'beside'", "beside.py")
    file(folder, "import beside, sys, ttn\nprint(ttn.__name__, __name__, beside.WORD, sys.argv[1:])", "__main__.py")
    zipapp.create_archive(folder, tmp_path / "program.pyz")
    for program in (folder, tmp_path / "program.pyz"):
        outcome = run(program, after=["--flag"])
        assert outcome.stdout == "thingslink.ttn __main__ beside ['--flag']\n", outcome.stderr


def test_install_as_leads_by_keywords(sandbox: Sandbox, tmp_path: Path) -> None:
    script = file(
        tmp_path,
        f"""
        import sys, thingslink
        thingslink.install_as("ttn", discovery=sys.argv[1], ca_file=sys.argv[2])
        {NAMELESS.replace(chr(10), chr(10) + "        ")}
        thingslink.install_as("ttn", mqtt="other.example")
        print(ttn.MQTTClient("demo-app", "key"))
        for bad in ({{"mqtt": "h:abc"}}, {{"discovery": "h:abc"}}, {{"ca_file": "nowhere.pem"}}):
            try:
                thingslink.install_as("ttn", **bad)
            except ValueError as error:
                (keyword, value), = bad.items()
                print(keyword in str(error) and value in str(error))
        """,
    )
    sandbox.device("node-1")
    _, discovery, _, certificate = options_for(sandbox, tmp_path)
    for given in (certificate, sandbox.ca_certs):
        outcome = finish([sys.executable, str(script), discovery, given])
        assert outcome.stdout.splitlines() == [
            "sent",
            "<MQTTClient app_id='demo-app' network='v2' mqtt_address='other.example' not connected>",
            *["True"] * 3,
        ], outcome.stderr
    assert downlinks(sandbox) == 1


def test_install_as_leads_to_a_sandbox(tmp_path: Path) -> None:
    script = file(tmp_path, "import thingslink; thingslink.install_as(sandbox=True)\n" + NAMELESS)
    assert finish([sys.executable, str(script)]).stdout == "sent\n"


@pytest.mark.parametrize(
    "reach",
    [
        lambda: ttn.MQTTClient("demo-app", "key", GONE).connect(timeout=5),
        lambda: ttn.MQTTClient("demo-app", "key", discovery_address=GONE).connect(timeout=5),
        lambda: ttn.HandlerClient("demo-app", "key", GONE, timeout=5),
        lambda: ttn.DiscoveryClient(GONE).get_all("handler", timeout=5),
        lambda: ttnmqtt.MQTTClient("demo-app", "70B3D57ED00000AA", "key").connect(
            "no-such-server.thethings.network", 1
        ),
    ],
)
def test_the_network_that_is_no_more_is_named(reach: Any) -> None:
    with pytest.raises(SwitchedOffError) as caught:
        reach()
    text = str(caught.value)
    assert GONE in text and "2021" in text and "thingslink run --sandbox" in text
    assert isinstance(caught.value, ConnectionError) and caught.value.code().name == "UNAVAILABLE"


def test_a_call_to_a_handler_that_is_no_more_has_that_as_its_cause(sandbox: Sandbox) -> None:
    application = ttn.ApplicationClient("demo-app", "key", GONE, sandbox.ca_certs)
    with pytest.raises(RuntimeError, match="UNAVAILABLE") as caught:
        application.get(timeout=5)
    assert "2021" in str(caught.value.__cause__)
