"""The pytest plugin: exceptions that callbacks let out fail the test in which they were called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Run

CALLBACKS = """
import gc
import threading
import weakref

from thingslink.tb_device_http import TBHTTPDevice
from thingslink.tb_gateway_mqtt import TBGatewayMqttClient
from thingslink.ttnmqtt import v1, v2

def wrong(message, client):
    assert message.payload_raw == b"\\x2b"

def receive(sandbox, callback=wrong, *, times=1):
    with MQTTClient(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address) as client:
        client.set_uplink_callback(callback)
        for _ in range(times):
            sandbox.device("node-1").uplink(b"\\x2a")
        sandbox.wait_for(lambda: client.stats()["delivered"] >= times)
"""


def test_an_assertion_in_a_callback_fails_the_test_with_its_traceback(run: Run) -> None:
    result = run(
        CALLBACKS
        + """
def test_fails(thingslink_sandbox):
    receive(thingslink_sandbox)

def test_passes(thingslink_sandbox):
    receive(thingslink_sandbox, lambda message, client: None)

def test_catches_by_itself(thingslink_sandbox):
    def careful(message, client):
        with pytest.raises(AssertionError):
            wrong(message, client)
    receive(thingslink_sandbox, careful)
"""
    )
    result.assert_outcomes(passed=2, failed=1)
    # What pytest makes of assertions is there, and nothing of the plugin's.
    result.stdout.fnmatch_lines(
        ["> *assert message.payload_raw == b*", "E *assert 'Kg==' == b'+'", "*FAILED test_it.py::test_fails - *"]
    )
    assert "_exceptions.py" not in str(result.stdout)
    assert "Exceptions in callbacks" not in str(result.stdout)


def test_callbacks_of_every_client_are_looked_at(run: Run) -> None:
    result = run(
        CALLBACKS
        + """
def bad(*arguments, **named):
    raise LookupError("bad callback")

@pytest.fixture
def server(thingslink_sandbox):
    server = thingslink_sandbox.thingsboard
    server.add_device("Pump 1", "A1_TEST_TOKEN")
    server.add_device("Gateway 1", "GATEWAY_TEST_TOKEN", gateway=True)
    return server

@pytest.mark.parametrize("kind", ["connect", "close", "uplink_raw", "downlink"])
def test_ttn(thingslink_sandbox, kind):
    client = MQTTClient(thingslink_sandbox.app_id, thingslink_sandbox.access_key, thingslink_sandbox.mqtt_address)
    getattr(client, f"set_{kind}_callback")(bad)
    client.set_uplink_raw_callback(lambda message, client: None)
    with client:
        thingslink_sandbox.device("node-1").uplink()
        client.send("node-1", b"x")
        thingslink_sandbox.wait_for(lambda: client.stats()["delivered"])

def test_error_callback(thingslink_sandbox):
    client = MQTTClient(thingslink_sandbox.app_id, thingslink_sandbox.access_key, thingslink_sandbox.mqtt_address)
    client.set_uplink_callback(lambda message, client: 1 / 0)
    client.set_error_callback(bad)
    with client:
        thingslink_sandbox.device("node-1").uplink()
        thingslink_sandbox.wait_for(lambda: client.stats()["delivered"])

def test_an_error_callback_catches_nothing(thingslink_sandbox):
    client = MQTTClient(thingslink_sandbox.app_id, thingslink_sandbox.access_key, thingslink_sandbox.mqtt_address)
    client.set_uplink_callback(bad)
    client.set_error_callback(lambda error, client: None)
    with client:
        thingslink_sandbox.device("node-1").uplink()
        thingslink_sandbox.wait_for(lambda: client.stats()["delivered"])

def test_first_generation(thingslink_sandbox):
    client = v1.MQTTClient(thingslink_sandbox.app_id, "", thingslink_sandbox.access_key)
    client.setMessageHandler(bad)
    host, _, port = thingslink_sandbox.mqtt_address.partition(":")
    client.connect(host, int(port))
    client.startBackground()
    thingslink_sandbox.device("node-1").uplink()
    thingslink_sandbox.wait_for(lambda: client._client.stats()["delivered"])
    client.stopBackground()

def test_second_generation(thingslink_sandbox):
    client = v2.MQTTClient(thingslink_sandbox.app_id, thingslink_sandbox.access_key,
                                   thingslink_sandbox.mqtt_address)
    client.setUplinkCallback(bad)
    thingslink_sandbox.device("node-1").uplink()
    thingslink_sandbox.wait_for(lambda: client._client.stats()["delivered"])
    client.close()

def test_device(server):
    told = threading.Event()
    client = TBDeviceMqttClient(server.host, "A1_TEST_TOKEN", server.port)
    client.subscribe_to_all_attributes(bad)
    client.subscribe_to_all_attributes(lambda *arguments: told.set())
    client.connect()
    server.wait_for(lambda: client.rate_limits_received)
    server.set_shared("Pump 1", {"limit": 5})
    assert told.wait(30)
    client.disconnect()

def test_connect_of_a_device(server):
    client = TBDeviceMqttClient(server.host, "A1_TEST_TOKEN", server.port)
    client.connect(bad)
    server.wait_for(lambda: client.rate_limits_received)
    client.disconnect()

def test_gateway(server):
    client = TBGatewayMqttClient(server.host, server.port, "GATEWAY_TEST_TOKEN")
    told = threading.Event()
    client.connect()
    client.gw_connect_device("Pump 1")
    client.gw_subscribe_to_all_attributes(lambda content: told.set() or bad())
    server.wait_for(lambda: client.rate_limits_received)
    server.set_shared("Pump 1", {"limit": 5})
    assert told.wait(30)
    client.disconnect()
"""
    )
    result.assert_outcomes(failed=11)


def test_subscriptions_over_http_are_looked_at(run: Run) -> None:
    result = run(
        CALLBACKS
        + """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Updates(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

def test_fails():
    # Asked once more, it has seen the callback return.
    twice = threading.Semaphore(0)

    def bad(news):
        twice.release()
        raise LookupError("bad callback")

    with ThreadingHTTPServer(("127.0.0.1", 0), Updates) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        device = TBHTTPDevice(f"http://127.0.0.1:{server.server_port}", "token")
        device.subscribe("attributes", bad)
        assert twice.acquire(timeout=30) and twice.acquire(timeout=30)
        device.unsubscribe("attributes")
        server.shutdown()
"""
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *LookupError: bad callback"])


def test_several_exceptions_are_told_together_and_a_flood_is_bounded(run: Run) -> None:
    result = run(
        CALLBACKS
        + """
def test_two(thingslink_sandbox):
    receive(thingslink_sandbox, times=2)

def test_many(thingslink_sandbox):
    receive(thingslink_sandbox, times=30)
    raise KeyError("of its own")
"""
    )
    result.assert_outcomes(failed=2)
    output = str(result.stdout)
    two, many = output.split("___ test_many ___")
    # The first is shown as pytest shows failures, the other as Python does.
    assert "\nE       AssertionError" in two and two.count("in a callback of <MQTTClient") == 1
    assert "\nE       KeyError: 'of its own'" in many and many.count("in a callback of <MQTTClient") == 10
    assert "\nand 20 more" in many


def test_a_phase_that_failed_by_itself_says_so_and_tells_of_callbacks_besides(run: Run) -> None:
    result = run(
        CALLBACKS
        + """
import unittest

def test_fails(thingslink_sandbox):
    receive(thingslink_sandbox)
    raise KeyError("of its own")

class Case(unittest.TestCase):
    def test_fails(self):
        with Sandbox() as sandbox:
            receive(sandbox)
        raise KeyError("of its own")

    def test_passes(self):
        with Sandbox() as sandbox:
            receive(sandbox)
"""
    )
    result.assert_outcomes(failed=3)
    output = str(result.stdout)
    assert output.count("- Exceptions in callbacks -") == 2
    assert output.count("in a callback of <MQTTClient") == 2
    assert output.count("FAILED test_it.py") == 3
    assert output.count("- KeyError: 'of its own'") == 2


def test_setup_and_teardown_have_failures_of_their_own(run: Run) -> None:
    result = run(
        CALLBACKS
        + """
@pytest.fixture
def before(thingslink_sandbox):
    receive(thingslink_sandbox)

@pytest.fixture
def after(thingslink_sandbox):
    yield
    receive(thingslink_sandbox)

@pytest.fixture
def left_open(thingslink_sandbox):
    client = connected(thingslink_sandbox)
    client.set_uplink_callback(wrong)
    yield client
    client.close()

def test_setup(before): pass

def test_teardown(after): pass

def test_at_the_end(thingslink_sandbox, left_open):
    thingslink_sandbox.device("node-1").uplink()
    thingslink_sandbox.wait_for(lambda: left_open.stats()["received"])

def test_skips(thingslink_sandbox):
    receive(thingslink_sandbox)
    pytest.skip("later")

def test_clean(): pass
""",
        "-rA",
    )
    outcomes = result.parseoutcomes()
    result.stdout.fnmatch_lines(["ERROR test_it.py::test_setup*", "ERROR test_it.py::test_teardown*"])
    result.stdout.fnmatch_lines(["ERROR test_it.py::test_skips*"])
    result.stdout.fnmatch_lines(["PASSED test_it.py::test_clean"])
    # Of this one it is luck which phase its callback is called in.
    told = [line for line in result.outlines if line.startswith(("FAILED", "ERROR")) and "::test_at_the_end" in line]
    assert len(told) == 1
    assert outcomes["skipped"] == 1
    assert outcomes["errors"] + outcomes.get("failed", 0) == 4


def test_a_marker_lets_them_pass(run: Run) -> None:
    result = run(
        CALLBACKS
        + """
allowed = pytest.mark.thingslink_allow_callback_exceptions

@allowed
def test_all(thingslink_sandbox):
    receive(thingslink_sandbox)

@allowed(raises=AssertionError)
def test_of_a_class(thingslink_sandbox):
    receive(thingslink_sandbox)

@allowed(raises=(LookupError, OSError))
def test_of_another_class(thingslink_sandbox):
    receive(thingslink_sandbox)

@allowed
class TestAll:
    @pytest.fixture
    def after(self, thingslink_sandbox):
        yield
        receive(thingslink_sandbox)

    def test_teardown(self, after): pass

def test_not(thingslink_sandbox):
    receive(thingslink_sandbox)
""",
        "--strict-markers",
    )
    result.assert_outcomes(passed=3, failed=2)
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_of_another_class*", "FAILED test_it.py::test_not*"])


def test_the_whole_can_be_switched_off(run: Run) -> None:
    source = """
def test_fails(thingslink_sandbox):
    receive(thingslink_sandbox)
"""
    run(CALLBACKS + source, "-p", "no:thingslink-exceptions").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    "raised",
    [
        "KeyboardInterrupt()",
        "SystemExit(3)",
        "pytest.skip.Exception('no')",
        "pytest.exit.Exception('no')",
        "pytest.xfail.Exception('no')",
        "unittest.SkipTest()",
    ],
)
def test_what_pytest_takes_for_an_order_is_a_failure(run: Run, raised: str) -> None:
    result = run(
        CALLBACKS
        + f"""
import unittest

def order(message, client):
    raise {raised}

def test_fails(thingslink_sandbox):
    receive(thingslink_sandbox, order)

def test_goes_on(): pass
"""
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*raise *", "*RuntimeError: * in a callback"])


def test_a_failure_that_is_asked_for_keeps_its_words(run: Run) -> None:
    result = run(
        CALLBACKS
        + """
def fail(message, client):
    pytest.fail("wanted: nothing")

def test_fails(thingslink_sandbox):
    receive(thingslink_sandbox, fail)

@pytest.mark.xfail(raises=AssertionError, strict=True)
def test_expected(thingslink_sandbox):
    receive(thingslink_sandbox)
"""
    )
    result.assert_outcomes(failed=1, xfailed=1)
    result.stdout.fnmatch_lines(["*FAILED test_it.py::test_fails - Failed: wanted: nothing"])


def test_nothing_is_kept_for_the_next_test(run: Run) -> None:
    result = run(
        CALLBACKS
        + """
class Kept: pass

kept = []

def failing(message, client):
    one = Kept()
    kept.append(weakref.ref(one))
    raise LookupError("with a frame that holds it")

def test_fails(thingslink_sandbox):
    receive(thingslink_sandbox, failing)

def test_fails_by_itself(thingslink_sandbox):
    receive(thingslink_sandbox, failing)
    assert not "of its own"

@pytest.mark.thingslink_allow_callback_exceptions
def test_passes(thingslink_sandbox):
    receive(thingslink_sandbox, failing)

def test_lets_go():
    gc.collect()
    assert len(kept) == 3
    assert not any(one() for one in kept)
"""
    )
    result.assert_outcomes(passed=2, failed=2)


def test_it_works_beside_other_plugins(run: Run) -> None:
    pytest.importorskip("pytest_asyncio")
    pytest.importorskip("xdist")
    source = """
@pytest.mark.asyncio
@pytest.mark.parametrize("number", range(4))
async def test_asyncio(thingslink_sandbox, number):
    await asyncio.to_thread(receive, thingslink_sandbox, wrong if number else lambda message, client: None)

@pytest.mark.anyio
async def test_anyio(thingslink_sandbox):
    await asyncio.to_thread(receive, thingslink_sandbox)

@pytest.fixture
def anyio_backend():
    return "asyncio"
"""
    result = run(CALLBACKS + source, "-n", "2")
    result.assert_outcomes(passed=1, failed=4)
