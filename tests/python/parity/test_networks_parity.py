"""The programs that send and receive on V2, on The Things Stack V3 and on ChirpStack: with another key and address, and
what else a network has to be told, they print the same, line by line, but for what is listed here.

What is chance (when, how loud, by which message ID) is compared by its type.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import pytest
from harness import PATIENCE
from parity_program import SCRIPTS, Program, by_kind
from thingslink.sandbox import Sandbox, SandboxDevice
from thingslink.ttn import ApplicationClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RUN = [sys.executable, "-m", "thingslink", "run"]
NETWORKS = ("v3", "chirpstack")
Json: TypeAlias = "dict[str, Any]"


def serve(network: str) -> Sandbox:
    return Sandbox(network=network, seed=0)  # type: ignore[arg-type]


GONE, NEW = object(), object()
#: What another network's messages do not have, have beside, or have in place of what V2's have, and why.
MESSAGES: dict[str, dict[str, tuple[Any, str]]] = {
    "v3": {
        "metadata.gateways.gtw_trusted": (GONE, "V3 does not say whom it trusts"),
        "metadata.gateways.eui": (NEW, "V3 tells each gateway's EUI"),
        "attributes": (NEW, "V2 adds a device's attributes where it decodes, V3 everywhere"),
    },
    "chirpstack": {
        "payload_fields.large": (1e16, "numbers are doubles there, and from 2 ** 53 on stay such"),
        "metadata.gateways.1.gtw_id": ("eui-b827ebfffe0d0e0f", "gateways have no other names than their EUIs"),
        "metadata.gateways.gtw_trusted": (GONE, "ChirpStack does not say whom it trusts"),
        "metadata.gateways.timestamp": (0, "a concentrator's clock is not told"),
        "metadata.gateways.location_source": ("config", "ChirpStack's word for a place that somebody has entered"),
        "metadata.latitude": (GONE, "ChirpStack does not tell where a device is"),
        "metadata.longitude": (GONE, "as its latitude"),
        "metadata.altitude": (GONE, "as its latitude"),
        "metadata.location_source": (GONE, "as its latitude"),
        "attributes.row": (GONE, "ChirpStack has tags, under msg.chirpstack.deviceInfo"),
    },
}
#: Of the device that a sandbox makes up, of the moment, and of the radio.
CHANCE = {"hardware_serial", "time", "frequency", "data_rate", "airtime", "timestamp", "channel", "rssi", "snr"}
#: Every kind of value that a decoder gives. An encoder that has no use for the port, which ChirpStack does not tell it.
DECODER = """function Decoder(bytes, port) {
  return {
    level: bytes[0], port: port, half: 23.5, whole: 3.0, small: 1e-7, large: 1e16, on: true, none: null,
    text: 'a quote " and \\u00e9 and \\ud83d\\ude00', list: [1, [2, {a: null}], true], deep: {empty: {}, no: []}
  };
}"""
ENCODER = "function Encoder(object, port) { return [Object.keys(object).length, 255]; }"


def parts(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Give the paths of a message and what is there, in order."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if inner is None or not value:
        yield path, value
        return
    for name, part in inner:
        yield from parts(part, f"{path}.{name}" if path else str(name))


def kind(value: Any) -> Any:
    """What is compared of a value that is chance: its type, and whether it is empty. A whole number is a number."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float if is_number else (type(value), value == "")


def compare(network: str, v2: Json, other: Json, used: set[str]) -> None:
    """The same parts in the same order, but for those that are listed; note which of these there were."""
    different = MESSAGES[network]
    found = dict(parts(other))
    expected: list[str] = []
    for path, value in parts(v2):
        bare = re.sub(r"\.\d+", "", path)
        listed = path if path in different else bare
        if listed in different:
            used.add(listed)
            wanted = different[listed][0]
            if wanted is GONE:
                continue
        else:
            wanted = value
        expected.append(path)
        there = found.get(path, GONE)
        if listed not in different and bare.rpartition(".")[2] in CHANCE:
            assert kind(there) == kind(value), path
        else:
            assert (there, type(there)) == (wanted, type(wanted)), path
    kept: list[str] = []
    for path in found:
        bare = re.sub(r"\.\d+", "", path)
        root = path.partition(".")[0]
        # Fields that are new as a whole are so in messages alone that have none of them.
        listed = bare if any(one.partition(".")[0] == root for one in expected) else root
        if path not in expected and different.get(listed, (None,))[0] is NEW:
            used.add(listed)
        else:
            kept.append(path)
    assert kept == expected


def administrate(sandbox: Sandbox) -> SandboxDevice:
    """Do what is done before programs run: make a device, and give the application its functions."""
    device = sandbox.device("node-1")
    device.locate(51.98, 5.66, 12)
    device.configure(attributes={"row": "12"})
    options: Json = {}
    if sandbox.network == "v2":
        where = [sandbox.handler_address, sandbox.ca_certs]
    elif sandbox.network == "v3":
        where, options = [sandbox.management_address, sandbox.ca_certs], {"frequency_plan_id": "EU_863_870_TTN"}
    else:
        where, options = [sandbox.management_address], {"tenant_id": sandbox.tenant_id, "profile": "simulated"}
    with ApplicationClient(sandbox.app_id, sandbox.access_key, *where, **options) as application:
        application.set_custom_payload_functions(ENCODER, DECODER)
    return device


# -- session.py --

#: Downlinks: what `send` is given.
SENDS: dict[str, tuple[list[Any], Json]] = {
    "base64": (["node-1", "AQ=="], {}),
    "fields in place of it": (["node-1", {"n": 1e16, "m": 1e-7, "nested": {"a": []}}], {"port": 223}),
    "at the end": (["node-1", "Ag==", 2, True, "last"], {}),
    "fields in front": (["node-1"], {"pay": {"led": True, "é": [1, 2.5, None]}, "conf": False, "sched": "first"}),
    "base64 and hex alike": (["node-1", "01ff"], {"port": 3, "sched": "last"}),
    "a port that there is not": (["node-1", "AQ=="], {"port": 300}),
}
#: How many wait for the device after each, and what it gets at the end: payload, port, whether it must acknowledge.
WAITING = [1, 1, 2, 3, 4, 4]
RECEIVED = [(b"\x02\xff", 1, False), (b"\x03\xff", 223, False), (b"\x02", 2, True), (b"\xd3\x57\xdf", 3, False)]
BAD_PORT = "port 300 is not valid: expected a LoRaWAN FPort, 1 to "
FIRST_ON_V3 = (
    'schedule "first" is not valid: expected "replace" or "last" where no management address is known: The Things '
    'Stack V3 takes nothing in front of its queue over MQTT; give management_address="host:port"'
)
FIRST_ON_CHIRPSTACK = (
    'schedule "first" is not valid: expected "replace" or "last": ChirpStack takes nothing in front of its queue'
)


class Way(NamedTuple):
    """How a program comes to a network, and what differs there beside the messages."""

    network: str
    #: What is said to a downlink that is refused.
    refused: Json
    #: What the client is told beside key and address.
    told: Callable[[Sandbox], Json] = lambda _: {}
    #: As on V2, but for what is refused or not replaced.
    waiting: list[int] = WAITING
    received: list[tuple[bytes, int, bool]] = RECEIVED


ON_V2 = Way("v2", {"a port that there is not": f"{BAD_PORT}223"})
WAYS = {
    # With another key and address alone. Over MQTT nothing comes before what is queued.
    "v3": Way(
        "v3",
        {"fields in front": FIRST_ON_V3, "a port that there is not": f"{BAD_PORT}255, but not 224"},
        waiting=[1, 1, 2, 2, 3, 3],
        received=RECEIVED[1:],
    ),
    "v3 whose management is known": Way(
        "v3",
        {"a port that there is not": f"{BAD_PORT}255, but not 224"},
        lambda sandbox: {"management_address": sandbox.management_address, "ca_certs": sandbox.ca_certs},
    ),
    # The same; and over MQTT no queue is emptied, so the first downlink stays.
    "chirpstack": Way(
        "chirpstack",
        {"fields in front": FIRST_ON_CHIRPSTACK, "a port that there is not": f"{BAD_PORT}255"},
        waiting=[1, 2, 3, 3, 4, 4],
        received=[(b"\x01", 1, False), *RECEIVED[1:]],
    ),
    # By no way there anything comes before what is queued.
    "chirpstack whose API is known": Way(
        "chirpstack",
        {"fields in front": FIRST_ON_CHIRPSTACK, "a port that there is not": f"{BAD_PORT}255"},
        lambda sandbox: {"grpc_address": sandbox.management_address, "tenant_id": sandbox.tenant_id},
        [1, 1, 2, 2, 3, 3],
        RECEIVED[1:],
    ),
}


class Session(NamedTuple):
    """What became of a session: what the program said, by its kind, and what reached the device."""

    said: dict[str, list[Any]]
    received: list[tuple[bytes, int, bool]]


def converse(way: Way) -> Session:
    """Run the program of a session."""
    with serve(way.network) as sandbox:
        device = administrate(sandbox)
        arguments = [sandbox.mqtt_address, sandbox.app_id, sandbox.access_key, json.dumps(way.told(sandbox))]
        program = Program([*RUN, str(SCRIPTS / "session.py"), *arguments])

        def uplinks(count: int) -> None:
            program.order("uplinks", count)
            program.until("done")

        program.until("connect")
        device.uplink(b"\x01\x67", port=3, confirmed=True)
        device.uplink(None, port=0)
        uplinks(2)
        sandbox.cut()
        program.order("reconnected")
        program.until("done")
        device.uplink(b"\x02")
        uplinks(1)
        for (name, (args, kwargs)), waiting in zip(SENDS.items(), way.waiting, strict=True):
            program.order("send", args, kwargs)
            outcome = "refused" if name in way.refused else "downlink"
            missing = {"done", outcome}
            while missing:
                entry = program.read()
                assert entry[0] in missing or entry[0] not in {"refused", "downlink"}, (name, entry)
                missing.discard(entry[0])
            sandbox.wait_for(lambda waiting=waiting: len(device.downlinks) == waiting, timeout=PATIENCE)  # type: ignore[misc]
        program.order("close")
        program.until("done")
        program.order("connect")
        program.until("done")
        device.uplink(b"\x03")
        uplinks(1)
        program.order("close")
        said = by_kind(program.end())
        while device.downlinks:
            device.uplink()
        return Session(said, [(got.payload, got.port, got.confirmed) for got in device.received])


@pytest.fixture(autouse=True)
def _no_program_stays() -> Iterator[None]:
    yield
    Program.end_all()


@pytest.fixture(scope="module")
def session_on_v2() -> Session:
    try:
        return converse(ON_V2)
    finally:
        Program.end_all()


def read(text: str) -> Json:
    """Read what `str` gives of a message."""
    return eval(text, {"__builtins__": {}, "MSG": dict})  # type: ignore[no-any-return]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_callbacks_see_the_same(way: Way, session_on_v2: Session) -> None:
    session = converse(way)
    assert (session_on_v2.received, session.received) == (RECEIVED, way.received)
    v2, other = dict(session_on_v2.said), dict(session.said)
    for said, refused in ((v2, ON_V2.refused), (other, way.refused)):
        assert said.pop("refused") == [["ValueError", refused[name]] for name in SENDS if name in refused]
        # Message IDs are given to subscriptions, too, which other networks need more of.
        mids = [mid for (mid,) in said.pop("downlink")]
        assert mids == sorted(set(mids)) and len(mids) == len(SENDS) - len(refused)
    used: set[str] = set()
    messages = [[read(text) for text, *_ in said["uplink"]] for said in (v2, other)]
    for of_v2, of_other in zip(*messages, strict=True):
        compare(way.network, of_v2, of_other, used)
    assert used == MESSAGES[way.network].keys(), "what is listed is there"
    for said, read_ones in zip((v2, other), messages, strict=True):
        for (_, *shape), message in zip(said.pop("uplink"), read_ones, strict=True):
            assert shape == [list(message), len(message), "demo-app", True]
        for gateway, message in zip(said.pop("gateway"), read_ones, strict=True):
            heard = message["metadata"]["gateways"][0]
            assert gateway == [heard["gtw_id"], heard["rssi"], "list"]
    # Raw callbacks get the topics and bytes of the network.
    for of_v2, of_other in zip(v2.pop("raw"), other.pop("raw"), strict=True):
        topic, payload, *flags = of_other
        assert of_v2[0] == "demo-app/devices/node-1/up" and flags == of_v2[2:]
        body = json.loads(payload)
        if way.network == "v3":
            assert topic == "v3/demo-app/devices/node-1/up"
            sent = body["uplink_message"].get("frm_payload")
        else:
            info = body["deviceInfo"]
            assert topic == f"application/{info['applicationId']}/device/{info['devEui']}/event/up"
            sent = body["data"] or None
        assert sent == json.loads(of_v2[1])["payload_raw"]
    assert other == v2 and set(v2) == {"connect", "close", "fields", "done"}
    assert v2["connect"] == [[True]] * 3 and v2["close"] == [[False], [True], [True]]


# -- the older package --


def run_older(network: str, script: str) -> tuple[list[str], list[Json], list[bytes]]:
    """Run a program of the older package; gives its lines, the messages in them, and what waits for the device."""
    with serve(network) as sandbox:
        device = administrate(sandbox)
        follower = sandbox.follow()
        host, port = sandbox.mqtt_address.split(":")
        program = subprocess.Popen(
            [*RUN, str(SCRIPTS / script), host, port, sandbox.access_key],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        Program.running.append(program)
        assert program.stdin
        while (entry := follower.next(PATIENCE)) is not None and entry["kind"] != "subscribed":
            pass
        assert entry is not None, "it did not subscribe"
        device.uplink(b"\x01\x67", port=3, confirmed=True)
        device.uplink(None, port=0)
        device.uplink(b"\x02")
        program.stdin.write("uplinks are out\n")
        program.stdin.flush()
        sandbox.wait_for(lambda: device.downlinks, timeout=PATIENCE)
        output, _ = program.communicate("end\n", timeout=PATIENCE)
        assert program.returncode == 0
        waiting = device.downlinks
    lines: list[str] = []
    messages: list[Json] = []
    for line in output.splitlines():
        before, found, rest = line.partition('{"')
        if found:
            message, end = json.JSONDecoder().raw_decode(found + rest)
            messages.append(message)
            lines.append(f"{before}MESSAGE{(found + rest)[end:]}")
        else:
            lines.append(re.sub(r"^(MSG PUBLISHED|mid) \d+", r"\1 ID", line))
    # Threads print at will: the lines are the same, their order is not promised.
    return sorted(lines), sorted(messages, key=lambda message: message["counter"]), waiting


@pytest.fixture(scope="module")
def older_on_v2() -> dict[str, tuple[list[str], list[Json], list[bytes]]]:
    return {script: run_older("v2", script) for script in ("buffer.py", "callbacks.py")}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(("script", "shown"), [("buffer.py", 1), ("callbacks.py", 3)])
def test_the_older_package_sees_the_same(
    network: str, script: str, shown: int, older_on_v2: dict[str, tuple[list[str], list[Json], list[bytes]]]
) -> None:
    lines, messages, waiting = run_older(network, script)
    lines_on_v2, messages_on_v2, waiting_on_v2 = older_on_v2[script]
    assert lines == lines_on_v2 and len(lines) > 8
    assert len(messages) == shown
    for of_v2, of_other in zip(messages_on_v2, messages, strict=True):
        compare(network, of_v2, of_other, set())
    assert waiting == waiting_on_v2 == [b"\x00"]
