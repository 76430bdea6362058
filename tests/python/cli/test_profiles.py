"""The configuration file, its profiles, and where keys are from."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE
from terminals import Terminal
from thingslink.cli import configuration, main

if TYPE_CHECKING:
    from collections.abc import Callable

    from thingslink.sandbox import Sandbox

    Tell = Callable[..., tuple[int, str, str]]
    Write = Callable[[str], Path]


@pytest.fixture
def write(configuration_folder: Path) -> Write:
    """Write the configuration file."""

    def write(text: str) -> Path:
        configuration_folder.mkdir(parents=True, exist_ok=True)
        path = configuration_folder / "config.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Tell:
    """Run a command here; gives its exit code, its output and its words."""
    for name in [name for name in os.environ if name.startswith("THINGSLINK_")]:
        monkeypatch.delenv(name)

    def tell(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        return (code, *capsys.readouterr())

    return tell


def settings(told: tuple[int, str, str]) -> dict[str, tuple[Any, Any]]:
    code, out, err = told
    assert code == 0, err
    return {row["setting"]: (row["value"], row["from"]) for row in map(json.loads, out.splitlines())}


SHOW = ("profiles", "show", "--format", "json")
TWO = """
profile = "attic"

[profiles.attic]
app-id = "attic-1"
cluster = "eu1"
access-key-file = "attic.key"

[profiles.greenhouse]
app_id = "greenhouse-1"   # either spelling
mqtt = "mqtts://me:5ec7e7@localhost"
insecure = true
keyring = true
"""


def test_an_option_goes_before_a_variable_and_that_before_the_profile(
    tell: Tell, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(TWO)
    attic = settings(tell(*SHOW))
    assert attic["profile"] == ("attic", "the configuration file")
    assert attic["app-id"] == ("attic-1", "profile attic")
    # Files are meant from the folder of the configuration.
    assert attic["access-key-file"] == (str(path.parent / "attic.key"), "profile attic")
    assert attic["access-key"] == ("***", "profile attic") and "mqtt" not in attic
    monkeypatch.setenv("THINGSLINK_PROFILE", "greenhouse")
    greenhouse = settings(tell(*SHOW))
    assert greenhouse["profile"] == ("greenhouse", "THINGSLINK_PROFILE")
    assert greenhouse["mqtt"] == ("mqtts://***@localhost", "profile greenhouse")
    assert greenhouse["insecure"] == ("1", "profile greenhouse") and "cluster" not in greenhouse
    monkeypatch.setenv("THINGSLINK_APP_ID", "other")
    monkeypatch.setenv("THINGSLINK_INSECURE", "0")
    monkeypatch.setenv("THINGSLINK_ACCESS_KEY", "ttn-account-v2.5ec7e7")
    of_variables = settings(tell(*SHOW))
    assert of_variables["app-id"] == ("other", "THINGSLINK_APP_ID")
    assert of_variables["insecure"] == ("0", "THINGSLINK_INSECURE")
    assert of_variables["access-key"] == ("***", "THINGSLINK_ACCESS_KEY")
    # An option, before the command or after it.
    for arguments in (("--profile", "attic", *SHOW), (*SHOW, "--profile", "attic"), (*SHOW, "attic")):
        told = settings(tell(*arguments, "--app-id", "given", "--access-key-file", "k"))
        assert told["profile"] == ("attic", "--profile") and told["app-id"] == ("given", "--app-id")
        assert told["cluster"] == ("eu1", "profile attic")
        assert told["access-key"] == ("***", "--access-key-file")


def test_profiles_are_listed_without_secrets(tell: Tell, write: Write) -> None:
    path = write(TWO)
    code, out, err = tell("profiles", "list", "--format", "json")
    assert code == 0 and err == f"{path}\n" and "5ec7e7" not in out
    attic, greenhouse = map(json.loads, out.splitlines())
    assert attic == {
        "profile": "attic",
        "is_chosen": True,
        "app_id": "attic-1",
        "server": "eu1",
        "access_key": str(path.parent / "attic.key"),
    }
    assert (greenhouse["is_chosen"], greenhouse["access_key"]) == (False, "keyring")


def test_a_profile_is_enough_to_work_with(tell: Tell, write: Write, sandbox: Sandbox) -> None:
    path = write(
        f"""
        [profiles.sandbox]
        app-id = "{sandbox.app_id}"
        discovery = "{sandbox.discovery_address}"
        mqtt = "{sandbox.mqtt_address}"
        ca-file = "ca.pem"
        access-key-file = "key"
        format = "json"
        """
    )
    (path.parent / "ca.pem").write_text(sandbox.ca_certs)
    key = path.parent / "key"
    key.write_text(sandbox.access_key + "\n")
    key.chmod(0o600)
    assert tell("--profile", "sandbox", "devices", "register", "node-1")[0] == 0
    code, out, err = tell("devices", "list", "--profile", "sandbox")
    assert (code, err) == (0, "") and json.loads(out)["dev_id"] == "node-1"
    assert tell("--profile", "sandbox", "health")[0] == 0
    assert tell("--profile", "sandbox", "--config", str(path), "send", "node-1", "01")[::2] == (
        0,
        "written: the downlink to node-1\n",
    )
    # What everybody may read is told; what a group may is a choice.
    key.chmod(0o640)
    assert tell("--profile", "sandbox", "health")[2] == ""
    key.chmod(0o644)
    code, _, err = tell("--profile", "sandbox", "health")
    assert code == 0 and err.startswith("warning: everybody on this machine may read the access key in ")
    assert sandbox.access_key not in err


def test_a_script_is_led_by_the_profile(write: Write, sandbox: Sandbox, tmp_path: Path) -> None:
    write(f'profile = "here"\n[profiles.here]\nmqtt = "{sandbox.mqtt_address}"\n')
    script = tmp_path / "script.py"
    script.write_text(
        "import ttn\n"
        f"with ttn.MQTTClient('{sandbox.app_id}', '{sandbox.access_key}') as client:\n    print(client.is_connected)\n"
    )
    command = [sys.executable, "-m", "thingslink", "run", str(script)]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert outcome.stdout == "True\n", outcome.stderr


def test_the_file_that_the_documentation_shows_is_one(tell: Tell, write: Write) -> None:
    text = (Path(__file__).parents[3] / "docs" / "guides" / "command-line.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```toml [^\n]*\n(.*?)```", text, re.DOTALL)
    write(shown)
    assert settings(tell(*SHOW))["cluster"] == ("eu1", "profile greenhouse")
    plant = settings(tell(*SHOW, "--profile", "plant"))
    assert plant["keyring"][0] == "1" and plant["format"][0] == "json"
    assert all(f"`{name}`" in text for name in configuration.SETTINGS)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("profile = ", "no TOML: "),
        ("profile = 'x'\n[profiles.y]\n", "profile = 'x' names none"),
        ("[profile.x]\n[profiles.x]\n", "names none"),
        ("profils = 1\n", "'profils' is not known: did you mean 'profiles'"),
        ("profiles = 1\n", "expected tables, as [profiles.NAME]"),
        ("[profiles]\nx = 1\n", "expected tables, as [profiles.NAME]"),
        ("[profiles.x]\napp-iid = 'a'\n", "[profiles.x] app-iid is not known: did you mean 'app-id'?"),
        ("[profiles.x]\napp-id = 7\n", "[profiles.x] app-id = 7 is not valid: expected text in quotes"),
        ("[profiles.x]\ninsecure = 'yes'\n", "insecure = 'yes' is not valid: expected true or false"),
        ("[profiles.x]\naccess-key = '5ec7e7'\n", "a secret does not belong here"),
        ("[profiles.x]\nnats_password = '5ec7e7'\n", "name a file with nats-password-file"),
        ("[profiles.x]\nkeyring = true\naccess-key-file = 'k'\n", "expected one of them"),
        ("[profiles.x]\nformat = 'yaml'\n", "expected table, json, csv"),
    ],
)
def test_what_is_wrong_in_the_file_is_told_with_its_place(text: str, words: str, tell: Tell, write: Write) -> None:
    path = write(text)
    code, out, err = tell("profiles", "show", "--profile", "x")
    assert (code, out) == (2, "") and words in err and "5ec7e7" not in err
    assert "yaml" in text or f"error: {path}: " in err
    assert len([line for line in err.splitlines() if line.startswith("hint: ")]) == 1


def test_a_profile_that_is_not_there_is_told(tell: Tell, write: Write, configuration_folder: Path) -> None:
    code, _, err = tell("--profile", "attic", "devices", "list")
    assert code == 2 and f"there is no profile 'attic': {configuration_folder / 'config.toml'} is not there" in err
    assert tell("profiles", "list")[0] == 0
    write(TWO)
    code, _, err = tell("--profile", "atic", "devices", "list")
    assert code == 2 and "there is no profile 'atic': did you mean 'attic'?" in err
    code, _, err = tell("--config", "/no/such/file", "profiles", "list")
    assert code == 1 and err.startswith("error: /no/such/file: No such file")


def test_a_broken_file_does_not_keep_the_sandbox_and_help_from_working(tell: Tell, write: Write) -> None:
    write("[")
    assert tell("completion", "bash")[0] == 0
    with pytest.raises(SystemExit) as caught:
        tell("uplinks", "--help")
    assert caught.value.code == 0


def test_python_3_10_is_told_what_reads_toml(tell: Tell, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write(TWO)
    for name in ("tomllib", "tomli"):
        monkeypatch.setitem(sys.modules, name, None)
    code, _, err = tell("profiles", "list")
    assert code == 1 and 'hint: `pip install "thingslink[cli]"` brings what does' in err


#: A keyring with one key, or one that is locked.
BACKEND = """
import keyring.backend, keyring.errors, os

class Backend(keyring.backend.KeyringBackend):
    priority = 1

    def set_password(self, service, username, password):
        raise keyring.errors.PasswordSetError

    def get_password(self, service, username):
        if os.environ.get("TEST_LOCKED"):
            raise keyring.errors.KeyringLocked("it is locked")
        return {("thingslink", "demo-app"): os.environ["TEST_KEY"]}.get((service, username))
"""


@pytest.fixture
def with_keyring(sandbox: Sandbox, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    (tmp_path / "one_key.py").write_text(BACKEND)

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("THINGSLINK_")},
            "PYTHONPATH": str(tmp_path),
            "PYTHON_KEYRING_BACKEND": "one_key.Backend",
            "TEST_KEY": sandbox.access_key,
            **variables,
        }
        command = [sys.executable, "-m", "thingslink", "health", "--mqtt", sandbox.mqtt_address, *arguments]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            env=environment,
            stdin=subprocess.DEVNULL,
        )

    return run


def test_the_key_may_be_in_the_keyring(
    with_keyring: Callable[..., subprocess.CompletedProcess[str]], write: Write
) -> None:
    outcome = with_keyring("--app", "demo-app", "--keyring")
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert with_keyring("--app", "demo-app", THINGSLINK_KEYRING="1").returncode == 0
    write('[profiles.ring]\napp-id = "demo-app"\nkeyring = true\n')
    assert with_keyring("--profile", "ring").returncode == 0
    # A variable goes before the profile, an option before a variable.
    assert with_keyring("--profile", "ring", THINGSLINK_ACCESS_KEY="wrong").returncode == 4
    assert with_keyring("--profile", "ring", "--keyring", THINGSLINK_ACCESS_KEY="wrong").returncode == 0
    nothing = with_keyring("--app", "other-app", "--keyring")
    assert nothing.returncode == 2 and "hint: `keyring set thingslink other-app` puts it there" in nothing.stderr
    locked = with_keyring("--app", "demo-app", "--keyring", TEST_LOCKED="1")
    assert locked.returncode == 1 and "it is locked" in locked.stderr and "Traceback" not in locked.stderr


def test_a_keyring_that_is_not_installed_is_told(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    code, _, err = tell("health", "--app", "demo-app", "--keyring")
    assert code == 2 and 'hint: `pip install "thingslink[keyring]"` brings it' in err


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "is empty"), (b"a\nb\n", "expected one line"), (b"\xff\xfe\x00", "is not text")]
)
def test_a_file_without_a_key_is_told(content: bytes, words: str, tell: Tell, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(content)
    (tmp_path / "key").chmod(0o600)
    code, _, err = tell("health", "--app", "demo-app", "--access-key-file", str(tmp_path / "key"))
    assert code == 2 and "has no access key" in err and words in err


@pytest.mark.parametrize(
    "given",
    [
        ["health", "--app", "demo-app", "--access-key", "5ec7e7"],
        ["health", "--access-key=5ec7e7"],
        ["devices", "list", "--key", "5ec7e7"],
        # Before the command, where it would be taken for one.
        ["--access-key", "5ec7e7", "uplinks"],
    ],
)
def test_a_key_on_the_command_line_is_refused_without_being_shown(
    given: list[str], tell: Tell, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        tell(*given)
    err = capsys.readouterr().err
    assert caught.value.code == 2 and "5ec7e7" not in err
    assert all(way in err for way in ("--access-key-file", "THINGSLINK_ACCESS_KEY", "--keyring"))


def test_a_terminal_is_asked_for_the_key_and_does_not_show_it(sandbox: Sandbox) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("THINGSLINK_")}
    terminal = Terminal(["health", "--app", "demo-app", "--mqtt", sandbox.mqtt_address], environment)
    terminal.read_until(lambda seen: "access key of demo-app: " in seen)
    os.write(terminal.descriptor, sandbox.access_key.encode() + b"\n")
    assert terminal.finish() == 0 and "logged in as demo-app" in terminal.seen
    assert sandbox.access_key not in terminal.seen
