"""Messages leave as JSON: with their names wherever that is asked for, in the old way under `install_as`."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import thingslink
from thingslink.ttn.utils import json2obj

TEXT = '{"dev_id": "n", "fields": {"t": 1.5, "list": [1, {"deep": null}]}, "empty": {}}'


def test_json_default_keeps_the_names_at_any_depth() -> None:
    msg = json2obj(TEXT)
    whole = json.loads(TEXT)
    for value, expected in (
        (msg, whole),
        ({"received": msg, "parts": [msg.fields]}, {"received": whole, "parts": [whole["fields"]]}),
        (msg._asdict(), whole),
    ):
        assert json.loads(json.dumps(value, default=thingslink.json_default)) == expected
    device = thingslink.ttn.Device(dev_id="n", latitude=52.25)
    assert json.loads(json.dumps([device], default=thingslink.json_default)) == [device.to_dict()]
    with pytest.raises(TypeError, match="Object of type set is not JSON serializable"):
        json.dumps([{1}], default=thingslink.json_default)


def test_without_install_as_json_is_left_alone() -> None:
    with pytest.raises(TypeError, match="UplinkMessage is not JSON serializable"):
        json.dumps(json2obj(TEXT))


@pytest.mark.parametrize("names", [("ttn",), ("ttnmqtt",), ()])
def test_json_default_holds_under_install_as_too(names: tuple[str, ...]) -> None:
    outcome = _installed(
        names, "print(json.dumps(msg), json.dumps(msg, default=thingslink.json_default) == json.dumps(msg.to_dict()))"
    )
    assert outcome == '["n", [1.5, [1, [null]]], []] True'


def test_packages_without_tuples_leave_json_alone() -> None:
    code = "try: json.dumps(msg)\nexcept TypeError: print('as it was')"
    assert _installed(("tb_device_mqtt", "tb_gateway_mqtt"), code) == "as it was"


def _installed(names: tuple[str, ...], code: str) -> str:
    """Run a program in which these names are installed, twice over."""
    program = f"""
import json, thingslink
thingslink.install_as(*{names})
thingslink.install_as(*{names})
from thingslink.ttn.utils import json2obj
msg = json2obj({TEXT!r})
{code}
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return ran.stdout.strip()


def test_an_encoder_that_threads_share_is_not_changed() -> None:
    # Each of the threads finds its own default, and the encoder is as it was afterwards.
    code = """
import threading
encoder = json.JSONEncoder(default=lambda value: "own")
before = dict(vars(encoder))
results = []
def work():
    for _ in range(200):
        results.append(encoder.encode([msg.fields, object()]))
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(set(results), vars(encoder) == before)
"""
    assert _installed((), code) == "{'[[1.5, [1, [null]]], \"own\"]'} True"


def test_a_message_is_a_sequence_to_those_who_ask() -> None:
    msg: Any = json2obj(TEXT)
    match msg:
        case [dev_id, *_]:
            assert dev_id == "n"
        case _:
            pytest.fail("no sequence")
    assert list(reversed(msg)) == list(msg)[::-1]
