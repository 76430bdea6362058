"""Private names of the original that programs reach for, and the log of what passes that one of them asks for."""

from __future__ import annotations

import asyncio
import gc
import logging
import queue
import subprocess
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE
from thingslink.ttn import HandlerClient, MQTTClient

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness import Recorder
    from thingslink.sandbox import Sandbox

PROBE = """
import sys, ttn
client = ttn.MQTTClient("demo-app", "ttn-account-v2.demo", sys.argv[1], reconnect=False)
for name in ("app_id", "access_key", "mqtt_address", "discovery_address", "reconnect"):
    print(name, getattr(client, "_MQTTClient__" + name))
inner = client._MQTTClient__client
print(inner is client._MQTTClient__client, inner.is_connected(), inner.enable_logger(), inner.disable_logger())
client._MQTTClient__mqtt_address = sys.argv[2]
client.connect()
print(client._MQTTClient__mqtt_address == sys.argv[2])
info = inner.publish("demo-app/devices/node-1/down", '{"payload_raw": "AQ=="}')
print(info[0], info.rc, info[1] == info.mid, inner.on_log)
inner.disconnect()
"""


def test_private_names_mean_what_they_meant(sandbox: Sandbox, original: Path, tmp_path: Path) -> None:
    script = tmp_path / "probe.py"
    script.write_text(PROBE)
    ours, theirs = (
        subprocess.run(
            [*command, str(script), "127.0.0.1:1", sandbox.mqtt_address], capture_output=True, text=True, check=True
        ).stdout
        for command in ([sys.executable, "-m", "thingslink", "run"], [str(original), "-W", "ignore"])
    )
    assert ours == theirs and "mqtt_address 127.0.0.1:1" in ours


def test_the_announced_address_is_known_after_connect(sandbox: Sandbox, tmp_path: Path) -> None:
    certificate = tmp_path / "ca.pem"
    certificate.write_text(sandbox.ca_certs)
    client: Any = HandlerClient(sandbox.app_id, sandbox.access_key, sandbox.discovery_address, str(certificate)).data()
    assert client._MQTTClient__mqtt_address == sandbox.mqtt_address
    asking: Any = MQTTClient(
        sandbox.app_id, sandbox.access_key, "", sandbox.discovery_address, discovery_certificate=sandbox.ca_certs
    )
    assert not asking._MQTTClient__mqtt_address
    asking.connect()
    assert asking._MQTTClient__mqtt_address == sandbox.mqtt_address
    asking.close()


class Lines(logging.Handler):
    """A handler that hands the lines to the test's thread."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: queue.Queue[tuple[str, int, str]] = queue.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.put((record.name, record.levelno, record.getMessage()))

    def until(self, words: str) -> list[tuple[str, int, str]]:
        """Give the lines up to the one that has these words."""
        seen: list[tuple[str, int, str]] = []
        while not seen or words not in seen[-1][2]:
            seen.append(self.lines.get(timeout=PATIENCE))
        return seen


@pytest.fixture
def lines() -> Lines:
    return Lines()


def logger_of(name: str, lines: Lines, level: int = logging.DEBUG) -> logging.Logger:
    logger = logging.getLogger(name)
    logger.handlers, logger.propagate = [lines], False
    logger.setLevel(level)
    return logger


def pass_all(sandbox: Sandbox, client: MQTTClient, recorder: Recorder) -> None:
    """Let an uplink, a downlink and another subscription pass."""
    client.set_uplink_callback(recorder.on("uplink"))
    client.connect()
    sandbox.device("node-1").uplink(b"\x01\x02")
    recorder.expect("uplink")
    client.send("node-1", b"\x03")
    client.set_event_callback(recorder.on("event"), "create")
    client.flush()
    client.close()


@pytest.mark.parametrize("given", ["a logger", "none", "on_log"])
def test_enable_logger_gives_what_passes_at_debug(
    given: str, sandbox: Sandbox, client_for: Callable[..., MQTTClient], recorder: Recorder, lines: Lines
) -> None:
    client: Any = client_for(sandbox)
    other = client_for(sandbox)
    inner = client._MQTTClient__client
    told: list[tuple[Any, ...]] = []
    if given == "a logger":
        inner.enable_logger(logger_of("test.passing", lines))
    else:
        logger_of("paho.mqtt.client", lines)
        inner.enable_logger()
    if given == "on_log":
        inner.on_log = lambda *values: told.append(values)
    pass_all(sandbox, client, recorder)
    pass_all(sandbox, other, recorder)
    seen = lines.until("closed")
    name = "test.passing" if given == "a logger" else "paho.mqtt.client"
    assert {(logger, level) for logger, level, _ in seen} == {(name, logging.DEBUG)}
    text = "\n".join(line for _, _, line in seen)
    for words in (
        "connected, subscribed to demo-app/devices/+/up",
        "received demo-app/devices/node-1/up, ",
        "sending downlink 2 to node-1",
        "sent message 2",
        "subscribed to demo-app/devices/+/events/create, demo-app/devices/+/up",
    ):
        assert words in text, text
    assert sandbox.access_key not in text
    assert lines.lines.empty(), "nothing of the other client"
    assert [line for _, _, _, line in told] == ([line for _, _, line in seen] if given == "on_log" else [])
    assert all(values[0] is inner and values[1:3] == (None, 16) for values in told)


def test_on_log_may_be_a_coroutine_function(
    sandbox: Sandbox, client_for: Callable[..., MQTTClient], recorder: Recorder
) -> None:
    client: Any = client_for(sandbox)
    inner = client._MQTTClient__client

    async def tell(*values: Any) -> None:
        await asyncio.sleep(0)
        recorder.on("told")((threading.current_thread().name, *values), client)

    inner.on_log = tell
    client.connect()
    assert recorder.expect("told")[:4] == ("thingslink-asyncio", inner, None, 16)
    client.close()


def test_the_log_tells_what_passes_at_debug_and_not_else(
    sandbox: Sandbox, client_for: Callable[..., MQTTClient], recorder: Recorder, lines: Lines
) -> None:
    logger = logging.getLogger("thingslink.ttn")
    before = (logger.handlers, logger.propagate, logger.level)
    try:
        client = client_for(sandbox)
        logger_of("thingslink.ttn", lines, logging.INFO)
        pass_all(sandbox, client, recorder)
        assert lines.lines.empty()
        # From now on, for clients that are there as well.
        logger.setLevel(logging.DEBUG)
        pass_all(sandbox, client, recorder)
        text = "\n".join(line for _, _, line in lines.until("to node-1"))
        assert "received demo-app/devices/node-1/up" in text and "subscribed to" in text
    finally:
        logger.handlers, logger.propagate = before[0], before[1]
        logger.setLevel(before[2])


def test_a_logger_that_fails_stops_nothing(
    sandbox: Sandbox,
    client_for: Callable[..., MQTTClient],
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failures: queue.Queue[Any] = queue.Queue()
    monkeypatch.setattr(sys, "unraisablehook", lambda failure: failures.put(failure.exc_value))
    client: Any = client_for(sandbox)
    client._MQTTClient__client.enable_logger(object.__new__(type("Broken", (), {"debug": lambda *_: 1 / 0})))
    pass_all(sandbox, client, recorder)
    assert isinstance(failures.get(timeout=PATIENCE), ZeroDivisionError)


def test_what_a_signal_handler_raises_meanwhile_is_not_lost(
    sandbox: Sandbox, client_for: Callable[..., MQTTClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Handlers run wherever Python code does, and a look at the logger's level is that.
    client = client_for(sandbox)

    def handled(_: int) -> bool:
        raise SystemExit(7)

    monkeypatch.setattr(logging.getLogger("thingslink.ttn"), "isEnabledFor", handled)
    with pytest.raises(SystemExit):
        client.connect()
    assert client.is_connected
    with pytest.raises(SystemExit):
        client.send("node-1", b"\x01")
    monkeypatch.undo()
    assert client.send("node-1", b"\x01") == 2, "nothing was sent before"


def test_a_client_that_is_watched_by_what_holds_it_is_freed(sandbox: Sandbox) -> None:
    client: Any = MQTTClient(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address)
    client._MQTTClient__client.on_log = lambda *_, kept=client: kept
    gone = weakref.ref(client)
    del client
    gc.collect()
    assert gone() is None


def test_loop_forever_blocks_until_the_client_is_closed(sandbox: Sandbox, client_for: Callable[..., Any]) -> None:
    client = client_for(sandbox)
    inner = client._MQTTClient__client
    assert inner.loop_forever() == 4
    client.set_uplink_callback(lambda msg, client: client.close())
    client.connect()
    sandbox.device("node-1").uplink()
    assert inner.loop_forever() in {0, 4}, "4 where it was closed before anybody waited"
