"""Files of devices as people's spreadsheets leave them: what is read all the same, and what is told of the rest."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from thingslink.cli import device_file, main, spreadsheet
from thingslink.cli.failure import Failure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from thingslink.sandbox import Sandbox
    from thingslink.ttn import ApplicationClient

    Import = Callable[..., tuple[int, list[str]]]

EUI = "0004A30B00AABBCC"
KEY = "0102030405060708090A0B0C0D0E0F10"


@pytest.fixture
def import_(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Import:
    """Import a file; gives the exit code and the lines that were said."""
    (tmp_path / "ca.pem").write_text(sandbox.ca_certs)
    monkeypatch.setenv("THINGSLINK_APP_ID", sandbox.app_id)
    monkeypatch.setenv("THINGSLINK_ACCESS_KEY", sandbox.access_key)
    monkeypatch.setenv("THINGSLINK_DISCOVERY", sandbox.discovery_address)
    monkeypatch.setenv("THINGSLINK_CA_FILE", str(tmp_path / "ca.pem"))

    def import_(text: str | bytes, *options: str, name: str = "devices.csv") -> tuple[int, list[str]]:
        (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
        code = main(["devices", "import", str(tmp_path / name), *options])
        out, err = capsys.readouterr()
        assert out == "" and KEY not in err
        return code, err.replace(str(tmp_path), "").splitlines()

    return import_


@pytest.mark.parametrize(
    "eui", [EUI, EUI.lower(), "00-04-A3-0B-00-AA-BB-CC", "00:04:a3:0b:00:aa:bb:cc", f"0x{EUI}", "0004 a30b 00aa bbcc"]
)
def test_an_eui_may_be_written_in_any_way(eui: str, import_: Import, application: ApplicationClient) -> None:
    assert import_(f"dev_id,dev_eui\nnode-1,{eui}\n") == (0, ["1 of 1 devices registered, 0 replaced, 0 failed"])
    assert application.device("node-1").lorawan_device.dev_eui.hex().upper() == EUI


@pytest.mark.parametrize(
    "text",
    [
        f'dev_id;dev_eui;description\nnode-1;{EUI};"a; b"\n',
        f'dev_id|dev_eui|description\nnode-1|{EUI}|"a; b"\n',
        f"Device ID,DevEUI,Description\nnode-1,{EUI},a; b\n",
        f"id,DEV EUI,description\nnode-1,{EUI},a; b\n",
        # Blanks that are not seen, lines of nothing, separators at the end.
        f" dev_id , dev_eui\u00a0,description \n\n node-1\u200b ,\u00a0{EUI} ,a; b  \n   \n,,\n",
        f"dev_id,dev_eui,description,,\nnode-1,{EUI},a; b,,\n",
        f"dev_id,dev_eui,description\nnode-1,{EUI},a; b,,\n",
        # What keeps a spreadsheet from taking it for a number.
        f"dev_id,dev_eui,description\nnode-1,'{EUI},a; b\n",
        f'dev_id,dev_eui,description\nnode-1,="{EUI}",a; b\n',
        # Line ends of other times, and none at the end.
        f"dev_id,dev_eui,description\rnode-1,{EUI},a; b\r",
        f"dev_id,dev_eui,description\r\nnode-1,{EUI},a; b",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_what_is_written_in_another_way_is_read(text: str, encoding: str) -> None:
    (entry,) = device_file.entries(spreadsheet.decoded(text.encode(encoding), "devices.csv"), None)
    assert entry.device == {"dev_id": "node-1", "dev_eui": EUI, "description": "a; b"}


def test_numbers_and_truth_may_be_written_as_the_country_has_it() -> None:
    text = "dev_id;latitude;altitude;uses32_bit_f_cnt;disable_f_cnt_check\nnode-1;52,25;12,0;WAHR;Faux\n"
    (entry,) = device_file.entries(text, None)
    expected = {"latitude": 52.25, "altitude": 12, "uses32_bit_f_cnt": True, "disable_f_cnt_check": False}
    assert entry.device == {"dev_id": "node-1", **expected}


def test_digits_that_a_spreadsheet_took_are_told(import_: Import, application: ApplicationClient) -> None:
    code, told = import_(
        "dev_id,dev_eui,app_key\n"
        f"node-1,1.23E+15,{KEY}\n"
        f"node-2,1234567890123456,{KEY}\n"
        f"node-3,4A30B00AABBCC,{KEY}\n"
        f"node-4,7E12,{KEY}\n"
        f"node-5,{EUI},1.0203E+30\n"
        f"node-6,0004A30B00AABBCD,{KEY.lstrip('0')}\n"
        # Hex that reads like such a number, and is whole.
        f"node-7,0000000000012E15,{KEY}\n"
    )
    assert code == 2 and not application.devices()
    assert [line.split(": ")[:2] for line in told[:5]] == [[f"line {n + 1}", f"node-{n}"] for n in (1, 3, 4, 5, 6)]
    assert "dev_eui '1.23E+15' is a number that a spreadsheet has made of it" in told[0]
    assert "'4A30B00AABBCC' has 13 hex digits, not 16" in told[1] and "'7E12'" in told[2]
    assert "app_key is a number" in told[3] and "app_key has 31 hex digits, not 32" in told[4]
    assert told[5:] == [
        "nothing was sent: 5 of 7 devices are wrong in the file",
        f"hint: {spreadsheet.DamagedError.HINT}",
    ]


def test_euis_that_are_there_twice_are_told(import_: Import, application: ApplicationClient) -> None:
    code, told = import_(
        "dev_id,dev_eui,app_eui\n"
        f"node-1,{EUI},70B3D57ED00000AA\n"
        "node-2,0004a30b00aabbcd,70B3D57ED00000AA\n"
        f"node-3,{EUI.lower()},70-B3-D5-7E-D0-00-00-AA\n"
        f"node-4,{EUI},70B3D57ED00000AB\n"
    )
    assert code == 2 and not application.devices()
    assert told[0].startswith("line 4: dev_eui '0004a30b00aabbcc, 70b3d57ed00000aa' is that of line 2, too")
    assert told[1:] == ["nothing was sent: 1 of 4 devices are wrong in the file"]
    # Devices that have none do not share it.
    assert import_("dev_id,dev_eui\nabp-1,\nabp-2,0000000000000000\nabp-3,0000000000000000\n", "--dry-run")[0] == 0


def archive() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr("xl/workbook.xml", "<workbook/>")
    return data.getvalue()


@pytest.mark.parametrize(
    ("data", "words", "hint"),
    [
        (archive(), "devices.csv is a workbook, or another archive, not text", "save the sheet as CSV"),
        (bytes.fromhex("D0CF11E0A1B11AE1") + bytes(512), "is a workbook of an old kind", "save the sheet as CSV"),
        (b"\x00\x01\x02\x03", "is not text", "expected CSV or JSON"),
        (b"", "the file is empty", "--help"),
        (b"\n  \n", "the file is empty", "--help"),
        (b"<html><table>", "line 1: expected the columns' names, with dev_id among them", "the first line names"),
        (f"node-1,{EUI},{KEY}\n".encode(), "line 1: expected the columns' names", "the first line names"),
        (b"dev_id,dev_ueui\n", "line 1: column 'dev_ueui' is not known: did you mean 'dev_eui'?", "attributes.NAME"),
        (b"\ndev_id,Room\n", "line 2: column 'Room' is not known", "attributes.NAME"),
        (b"dev_id,dev_eui,DevEUI\n", "line 1: column 'dev_eui' is there twice", "attributes.NAME"),
        (b'dev_id,dev_eui\na-1,1\n"node-1,00\nnode-2,11\n', "line 3: a quotation mark is opened", "--help"),
    ],
)
def test_a_file_that_is_none_is_told(data: bytes, words: str, hint: str, import_: Import) -> None:
    code, told = import_(data)
    assert code == 2 and told[0].startswith("error: ") and words in told[0]
    assert told[1].startswith("hint: ") and hint in told[1] and len(told) == 2


def test_json_is_seen_whatever_the_file_is_called(import_: Import) -> None:
    text = json.dumps([{"dev_id": "node-1", "dev_eui": EUI}])
    assert import_(text, "--dry-run", name="devices.csv")[0] == 0
    assert import_(f"dev_id,dev_eui\nnode-1,{EUI}\n", "--dry-run", name="devices.json")[0] == 0
    code, told = import_(f"dev_id,dev_eui\nnode-1,{EUI}\n", "--format", "json")
    assert code == 2 and told[1] == "hint: CSV is read, too: without --format, or with --format csv"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("node-1", "fewer cells than the head: 1, not 3"),
        (f"node-1,{EUI},x,y", "more cells than the head: 4, not 3"),
        (f"node-1,{EUI},,", None),
    ],
)
def test_a_line_that_is_wrong_is_told(row: str, words: str | None) -> None:
    (entry,) = device_file.entries(f"dev_id,dev_eui,description\n{row}\n", None)
    assert entry.line == 2
    assert (words in str(entry.device)) if words else isinstance(entry.device, dict)
    (unnamed,) = device_file.entries("dev_id,\nnode-1,note\n", None)
    assert "in a column without a name" in str(unnamed.device)


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ({"dev_eui": "zz"}, "dev_eui 'zz' is not valid: expected 16 hex digits, 0-9 and a-f"),
        ({"app_eui": f"{EUI}00"}, f"app_eui '{EUI}00' is not valid: expected 16 hex digits, got 18"),
        ({"dev_addr": "0101"}, "dev_addr '0101' is not valid: expected 8 hex digits, got 4"),
        ({"dev_addr": "1010"}, "dev_addr '1010' has 4 hex digits, not 8: a spreadsheet may have"),
        ({"nwk_key": "5ec7e7"}, "nwk_key has 6 hex digits, not 32"),
    ],
)
def test_hex_that_is_none_is_told_with_its_value_unless_it_is_secret(device: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match="hex digits") as caught:
        device_file.check(device)
    assert str(caught.value).startswith(words) and "5ec7e7" not in str(caught.value)


@given(st.binary(max_size=200))
def test_any_bytes_are_devices_or_told(data: bytes) -> None:
    try:
        found: list[Any] = device_file.entries(spreadsheet.decoded(b"dev_id,dev_eui\n" + data, "devices.csv"), None)
    except Failure:
        return
    assert all(isinstance(entry.device, (dict, ValueError)) and entry.line > 1 for entry in found)
