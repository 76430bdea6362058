"""Device management from the command line, in child processes."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE
from thingslink.cli import device_file, output, spreadsheet
from thingslink.cli import main as run_here
from thingslink.cli.failure import Failure
from thingslink.sandbox import Sandbox
from thingslink.ttn import ApplicationClient

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def ca_file(sandbox: Sandbox, tmp_path: Path) -> str:
    (tmp_path / "ca.pem").write_text(sandbox.ca_certs)
    return str(tmp_path / "ca.pem")


def environment(sandbox: Sandbox, ca_file: str) -> dict[str, str]:
    return {
        "THINGSLINK_APP_ID": sandbox.app_id,
        "THINGSLINK_ACCESS_KEY": sandbox.access_key,
        "THINGSLINK_DISCOVERY": sandbox.discovery_address,
        "THINGSLINK_CA_FILE": ca_file,
    }


@pytest.fixture
def run(sandbox: Sandbox, ca_file: str) -> Run:
    def run(*arguments: str, stdin: str = "", **changes: str) -> subprocess.CompletedProcess[str]:
        settings = {**os.environ, **environment(sandbox, ca_file), **changes}
        command = [sys.executable, "-m", "thingslink", *arguments]
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=PATIENCE, check=False, env=settings
        )

    return run


REGISTER = ["--set", "dev_eui=0004A30B00AABBCC", "--set", "latitude=52.25", "--set", "attributes.floor=2"]


def test_a_device_from_cradle_to_grave(run: Run, application: ApplicationClient) -> None:
    outcome = run("devices", "register", "node-1", *REGISTER)
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "", "registered node-1\n")
    assert run("devices", "list").stdout.splitlines() == [
        "dev_id,dev_eui,app_eui,dev_addr,description",
        "node-1,0004A30B00AABBCC,,,",
    ]
    assert "node-1" in run("devices", "list", "--format", "table").stdout
    assert json.loads(run("devices", "list", "--format", "json").stdout)["dev_eui"] == "0004A30B00AABBCC"
    lines = run("devices", "show", "node-1", "--format", "table").stdout.splitlines()
    shown = {name: value.strip() for name, _, value in (line.partition(" ") for line in lines)}
    expected = {
        "dev_id": "node-1",
        "latitude": "52.25",
        "dev_eui": "0004A30B00AABBCC",
        "attributes.floor": "2",
    }
    assert expected.items() <= shown.items()
    head, row = csv.reader(io.StringIO(run("devices", "show", "node-1", "--format", "csv").stdout))
    assert dict(zip(head, row, strict=True)) == shown
    as_json = json.loads(run("devices", "show", "node-1", "--format", "json").stdout)
    assert {name: str(value) for name, value in as_json.items()} == dict(zip(head, row, strict=True))
    assert json.loads(run("devices", "show", "node-1", "--json").stdout)["latitude"] == 52.25
    assert run("devices", "update", "node-1", "--file", "-", stdin='{"description": "é"}').returncode == 0
    changed = application.device("node-1")
    assert changed.description == "é" and changed.attributes == {"floor": "2"}
    refused = run("devices", "delete", "node-1")
    assert refused.returncode == 2 and "--yes" in refused.stderr
    assert run("devices", "delete", "node-1", "--yes").returncode == 0 and not application.devices()


@pytest.mark.parametrize(
    ("arguments", "changes", "code", "words"),
    [
        (["devices", "show", "none-1"], {}, 5, 'not found: Device "none-1" not found'),
        (["devices", "update", "node-1", "--set", "descripton=x"], {}, 2, "did you mean 'description'?"),
        (["devices", "update", "node-1"], {}, 2, "nothing to change"),
        (["devices", "update", "node-1", "--set", "description"], {}, 2, "expected KEY=VALUE"),
        (["devices", "register", "node-1", "--set", "altitude=high"], {}, 2, "altitude 'high' is not valid"),
        (["devices", "list"], {"THINGSLINK_ACCESS_KEY": "5ec7e7"}, 4, "permission denied"),
        (["devices", "list"], {"THINGSLINK_ACCESS_KEY": ""}, 2, "no access key"),
        (["devices", "list"], {"THINGSLINK_APP_ID": ""}, 2, "which application?"),
        (["devices", "list"], {"THINGSLINK_DISCOVERY": "127.0.0.1:1"}, 3, "Connection refused"),
        (["devices", "list", "--access-key-file", "/no/such/file"], {}, 1, "error: /no/such/file: No such file"),
        (["devices", "import", "/no/such/file"], {}, 1, "error: /no/such/file: No such file"),
        (["app", "set"], {}, 2, "nothing to change"),
        (["send", "node-1", "xyz"], {}, 2, "hexadecimal"),
        (["send", "node-1", '{"a"}'], {}, 2, "expected a JSON object"),
        (["send", "node-1", "01", "--no-check"], {"THINGSLINK_MQTT": "127.0.0.1:1"}, 3, "Connection refused"),
        (["send", "none-1", "01"], {}, 5, "not found"),
        (["send", "node-1", "01", "--timeout", "0"], {}, 2, "--timeout 0 is not valid"),
        (["send", "node-1", "01", "--wait", "acked"], {}, 2, "together with --confirmed"),
        (["uplnks"], {}, 2, "'uplnks' is not valid: did you mean 'uplinks'?"),
        (["devices", "lst"], {}, 2, "usage: thingslink devices"),
        (["devices", "list", "--fromat", "csv"], {}, 2, "'--fromat' is not known here: did you mean '--format'?"),
        (["uplinks", "--nonsense"], {}, 2, "usage: thingslink uplinks"),
        (["uplinks"], {"THINGSLINK_ACCESS_KEY": "5ec7e7"}, 4, "bad app_id or access_key"),
        (["simulate", "none-1", "01"], {}, 5, "not found"),
    ],
)
def test_failures_have_codes_and_words(
    arguments: list[str], changes: dict[str, str], code: int, words: str, run: Run
) -> None:
    outcome = run(*arguments, **changes)
    assert outcome.returncode == code and words in outcome.stderr, outcome
    assert "Traceback" not in outcome.stderr and "5ec7e7" not in outcome.stderr and outcome.stdout == ""


def test_the_key_comes_from_a_file_and_never_from_the_command_line(run: Run, sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(sandbox.access_key + "\n")
    key_file = str(tmp_path / "key")
    assert run("app", "show", "--access-key-file", key_file, THINGSLINK_ACCESS_KEY="").returncode == 0
    assert run("app", "show", THINGSLINK_ACCESS_KEY="", THINGSLINK_ACCESS_KEY_FILE=key_file).returncode == 0
    refused = run("app", "show", "--access-key", sandbox.access_key)
    assert (
        refused.returncode == 2 and "--access-key-file" in refused.stderr and sandbox.access_key not in refused.stderr
    )
    (tmp_path / "key").write_text("")
    assert "has no access key" in run("app", "show", "--access-key-file", key_file).stderr


def test_the_handler_can_be_given_in_place_of_discovery(run: Run, sandbox: Sandbox) -> None:
    outcome = run("app", "show", "--handler", sandbox.handler_address, THINGSLINK_DISCOVERY="127.0.0.1:1")
    assert (outcome.returncode, outcome.stdout) == (0, "app_id\ndemo-app\n")


@pytest.mark.parametrize("form", ["json", "csv"])
def test_what_is_exported_can_be_imported(form: str, run: Run, application: ApplicationClient, tmp_path: Path) -> None:
    for number in range(20):
        given = {"dev_eui": f"{number:016X}", "app_key": "AB" * 16, "uses32_bit_f_cnt": number % 2 == 0}
        extra: dict[str, Any] = {"description": 'a "comma", é', "altitude": -3, "attributes": {"a b": "c,d"}}
        application.register_device(f"node-{number:02}", {**given, **(extra if number % 3 else {})})
    before: list[dict[str, Any]] = [device.to_dict() for device in application.devices()]
    path = str(tmp_path / f"devices.{form}")
    assert "20 devices" in run("devices", "export", "--output", path).stderr
    assert os.stat(path).st_mode & 0o077 == 0
    # Whole at any moment: who reads the old one reads on in it, and a link in its place stays.
    os.symlink(path, tmp_path / f"link.{form}")
    with open(path, encoding="utf-8") as old:
        assert "20 devices" in run("devices", "export", "--output", str(tmp_path / f"link.{form}")).stderr
        assert old.read() == Path(path).read_text(encoding="utf-8") and not os.path.samestat(
            os.fstat(old.fileno()), os.stat(path)
        )
    assert (tmp_path / f"link.{form}").is_symlink()
    nowhere = run("devices", "export", "--output", str(tmp_path / "none" / f"devices.{form}"))
    assert nowhere.returncode != 0 and "none" in nowhere.stderr and "Traceback" not in nowhere.stderr
    assert run("devices", "export", "--format", form).stdout == Path(path).read_text(encoding="utf-8")
    for device in before:
        application.delete_device(device["dev_id"])
    assert "20 of 20 devices registered" in run("devices", "import", path).stderr
    assert [device.to_dict() for device in application.devices()] == before
    again = run(
        "devices", "import", "-", "--format", form, "--skip-existing", stdin=Path(path).read_text(encoding="utf-8")
    )
    assert "0 of 20 devices registered, 20 were there already, 0 failed" in again.stderr


def test_a_file_with_a_fault_is_told_as_a_whole_and_nothing_is_sent(
    run: Run, application: ApplicationClient, tmp_path: Path
) -> None:
    lines = [
        '{"dev_id": "node-1", "dev_eui": "0004A30B00AABBCC"}',
        '{"dev_id": "Node 2"}',
        '{"dev_id": "node-3", "x": 1}',
        '{"dev_id": "node-1"}',
        "7",
    ]
    (tmp_path / "devices.json").write_text("\n".join(lines))
    outcome = run("devices", "import", str(tmp_path / "devices.json"))
    assert outcome.returncode == 2 and not application.devices()
    told = outcome.stderr.splitlines()
    assert [line.split(":")[0] for line in told] == ["line 2", "line 3", "line 4", "line 5", "nothing was sent"]
    assert "dev_id" in told[0] and 'unknown key "x"' in told[1] and "line 1, too" in told[2]
    assert told[-1] == "nothing was sent: 4 of 5 devices are wrong in the file"


HEAD = "dev_id,dev_eui,description"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_what_spreadsheets_write_is_read(delimiter: str, encoding: str) -> None:
    text = f'{HEAD}\r\nnode-1,0004A30B00AABBCC,"Küche, ""oben"""\r\nnode-2,0004A30B00AABBCD,Flur\r\n,,\r\n'
    table = io.StringIO(newline="")
    csv.writer(table, delimiter=delimiter).writerows(csv.reader(io.StringIO(text, newline="")))
    data = table.getvalue().encode(encoding)
    for mark in (b"", f"sep={delimiter}\r\n".encode()) if encoding == "utf-8" else (b"",):
        found = device_file.entries(spreadsheet.decoded(mark + data, "devices.csv"), None)
        assert [device for _, device in found] == [
            {"dev_id": "node-1", "dev_eui": "0004A30B00AABBCC", "description": 'Küche, "oben"'},
            {"dev_id": "node-2", "dev_eui": "0004A30B00AABBCD", "description": "Flur"},
        ]
        assert [line for line, _ in found] == ([3, 4] if mark else [2, 3])


def test_an_import_says_what_the_network_has(run: Run, application: ApplicationClient) -> None:
    text = f"{HEAD}\nnode-1,0004A30B00AABBCC,attic\nnode-2,0004A30B00AABBCD,cellar\n"
    first = run("devices", "import", "-", "--format", "csv", "--dry-run", stdin=text)
    assert first.stderr == "2 of 2 devices to register, 0 to replace, 0 failed; nothing was sent\n"
    assert first.returncode == 0 and not application.devices()
    application.register_device("node-1", {"dev_eui": "0004A30B00AABBCC", "latitude": 52.25})
    updated = run("devices", "import", "-", "--format", "csv", "--update", stdin=text)
    assert (updated.returncode, updated.stderr) == (0, "1 of 2 devices registered, 1 updated, 0 failed\n")
    device = application.device("node-1")
    assert device.latitude == 52.25 and device.description == "attic"
    again = run("devices", "import", "-", "--format", "csv", stdin=text)
    assert (again.returncode, again.stderr) == (0, "0 of 2 devices registered, 2 replaced, 0 failed\n")
    assert application.device("node-1").latitude == 0
    refused = run("devices", "import", "-", "--update", "--skip-existing", stdin=text)
    assert refused.returncode == 2 and "not allowed with" in refused.stderr


@pytest.mark.parametrize(
    ("form", "text", "words"),
    [
        ("json", "[1]", [(1, "is no JSON object")]),
        ("json", '[\n{"dev_id": "a"},\n2]', [(3, "is no JSON object")]),
        ("csv", "dev_id,altitude\nnode-1,high\n", [(2, "altitude 'high'")]),
        ("csv", "dev_id\nnode-1,1\n", [(2, "more cells than the head: 2, not 1")]),
        ("csv", f'{HEAD}\nnode-1,0004A30B00AABBCC,"a\nb"\nnode-2\n', [(4, "fewer cells than the head: 1, not 3")]),
        ("csv", "dev_id,uses32_bit_f_cnt\nnode-1,maybe\n", [(2, "expected true or false")]),
    ],
)
def test_a_bad_line_is_told_with_its_number(form: str, text: str, words: list[tuple[int, str]]) -> None:
    faults = [entry for entry in device_file.entries(text, form) if isinstance(entry.device, ValueError)]
    assert len(faults) == len(words)
    for (line, error), (wanted, some) in zip(faults, words, strict=True):
        assert line == wanted and some in str(error)


@pytest.mark.parametrize("text", ["{", "[", "[1", "[1,", "[1 2]", '{"dev_id": "a"} x', "[] x"])
def test_no_json_is_told(text: str) -> None:
    with pytest.raises(Failure, match="no JSON list and no JSON lines"):
        device_file.entries(text, "json")


def test_the_application_is_shown_and_set(run: Run, application: ApplicationClient, tmp_path: Path) -> None:
    decoder = "function Decoder(bytes) { return {n: bytes[0]}; }"
    (tmp_path / "decoder.js").write_text(decoder)
    assert run("app", "set", "--decoder", str(tmp_path / "decoder.js")).returncode == 0
    application.set_register_on_join_access_key("5ec7e7")
    shown = {form: run("app", "show", "--format", form).stdout for form in output.FORMATS}
    assert ["payload_format", "custom"] in [line.split() for line in shown["table"].splitlines()]
    as_json = json.loads(shown["json"])
    assert as_json["decoder"] == decoder and as_json["register_on_join_access_key"] == "***"
    assert list(csv.DictReader(io.StringIO(shown["csv"]))) == [as_json]
    assert [line.partition(" ")[0] for line in shown["table"].splitlines() if line[0] != " "] == list(as_json)
    assert run("app", "show", "--json").stdout == shown["json"]
    assert run("app", "set", "--clear", "decoder", "--payload-format", "none").returncode == 0
    assert application.get().decoder == "" and application.get().payload_format == ""


def test_uplinks_are_followed(sandbox: Sandbox, ca_file: str) -> None:
    settings = {**os.environ, **environment(sandbox, ca_file)}
    command = [sys.executable, "-m", "thingslink", "uplinks", "--count", "2", "--device", "node-1", "--format"]
    for form in ("csv", "json", "table"):
        child = subprocess.Popen(
            [*command, form], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=settings
        )
        assert child.stderr and child.stderr.readline() == "following\n"
        sandbox.device("node-2").uplink(b"\x09")
        sandbox.device("node-1").uplink(b"\x01", fields={"led": True})
        sandbox.device("node-1").uplink(b"\x02")
        output, _ = child.communicate(timeout=PATIENCE)
        assert child.returncode == 0 and "node-2" not in output
        if form == "csv":
            first, second = csv.DictReader(io.StringIO(output))
            assert (first["payload"], json.loads(first["fields"]), second["payload"]) == ("01", {"led": True}, "02")
        elif form == "json":
            assert [json.loads(line)["dev_id"] for line in output.splitlines()] == ["node-1", "node-1"]
        else:
            assert output.splitlines()[0].split()[:3] == ["time", "dev_id", "counter"]


def test_messages_go_to_devices_and_come_as_if_from_them(run: Run, sandbox: Sandbox) -> None:
    node = sandbox.device("node-1")
    outcome = run("send", "node-1", "0102", "--port", "3", "--confirmed")
    assert (outcome.returncode, outcome.stderr) == (0, "written: the downlink to node-1\n")
    assert node.downlinks == [b"\x01\x02"]
    assert run("send", "node-1", '{"value_1": 1}', "--schedule", "last").returncode == 0 and len(node.downlinks) == 2
    follower = sandbox.follow()
    assert run("simulate", "node-1", "0a0b", "--port", "5").returncode == 0
    while (entry := follower.next(PATIENCE)) is not None and not entry.get("topic", "").endswith("/up"):
        pass
    assert entry is not None
    body = json.loads(entry["payload"])
    assert (body["payload_raw"], body["port"]) == ("Cgs=", 5)


def test_a_reader_that_goes_away_is_no_error(
    run: Run, application: ApplicationClient, sandbox: Sandbox, ca_file: str
) -> None:
    for number in range(300):
        application.register_device(f"node-{number}", {"dev_eui": f"{number:016X}", "description": "x" * 300})
    settings = {**os.environ, **environment(sandbox, ca_file)}
    piped = ["bash", "-o", "pipefail", "-c", f"{sys.executable} -m thingslink devices list | head -1"]
    outcome = subprocess.run(
        piped,
        capture_output=True,
        text=True,
        env=settings,
        check=False,
        timeout=PATIENCE,
    )
    assert (outcome.returncode, outcome.stderr) == (0, "") and outcome.stdout.startswith("dev_id")


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (
        ["devices", "import"],
        ["app", "set"],
        ["uplinks"],
        ["send"],
        ["simulate"],
        ["devices", "register"],
    ):
        with pytest.raises(SystemExit) as caught:
            run_here([*command, "--help"])
        assert caught.value.code == 0 and "THINGSLINK_ACCESS_KEY" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["devices"], ["app"]])
def test_no_arguments_are_answered_with_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run_here(arguments)
    assert not caught.value.code and "--help" in capsys.readouterr().out


def test_a_send_waits_for_what_the_network_tells(run: Run, sandbox: Sandbox) -> None:
    node = sandbox.device("node-1")
    outcome = run("send", "node-1", "01", "--wait", "scheduled")
    assert (outcome.returncode, outcome.stderr) == (0, "scheduled: the downlink to node-1\n")
    assert node.downlinks == [b"\x01"]
    late = run("send", "node-1", "02", "--wait", "sent", "--timeout", "0.2")
    assert late.returncode == 3 and "to be sent" in late.stderr
