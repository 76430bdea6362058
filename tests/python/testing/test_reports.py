"""The pytest plugin: clients left open, what a failing test's report says, fixtures beside other plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Run


def test_a_client_left_open_is_a_warning_with_the_line_that_made_it(run: Run) -> None:
    source = """
def test_open(thingslink_sandbox):
    client = MQTTClient(thingslink_sandbox.app_id, thingslink_sandbox.access_key, thingslink_sandbox.mqtt_address)
    client.connect()

def test_open_device(thingslink_sandbox):
    server = thingslink_sandbox.thingsboard
    server.add_device("Pump 1", "A1_TEST_TOKEN")
    TBDeviceMqttClient(server.host, "A1_TEST_TOKEN", server.port).connect()

def test_closed_and_never_connected(thingslink_sandbox):
    connected(thingslink_sandbox).close()
    MQTTClient("app", "key", thingslink_sandbox.mqtt_address)
"""
    result = run(source)
    result.assert_outcomes(passed=3, warnings=2)
    result.stdout.fnmatch_lines(
        ["*test_it.py:16: UnclosedClientWarning: <MQTTClient *demo-app*> was made at *test_it.py:16 and is open*"]
    )
    result.stdout.fnmatch_lines(["*test_it.py:22: UnclosedClientWarning: *TBDeviceMqttClient*"])
    result = run(source, "-W", "error::ResourceWarning")
    result.assert_outcomes(passed=3, errors=2)
    result = run(source, "-W", "ignore::ResourceWarning")
    result.assert_outcomes(passed=3, warnings=0)


def test_clients_of_wider_fixtures_are_looked_at_in_the_end(run: Run) -> None:
    source = """
@pytest.fixture(scope="session")
def sandbox():
    with Sandbox() as sandbox:
        yield sandbox

@pytest.fixture(scope="session")
def client(sandbox):
    client = connected(sandbox)
    yield client
    client.close()

@pytest.fixture(scope="session")
def forgotten(sandbox):
    return connected(sandbox)

def test_one(client, forgotten): pass

def test_two(client, forgotten): pass
"""
    result = run(source)
    result.assert_outcomes(passed=2, warnings=1)
    result.stdout.fnmatch_lines(["*::test_two", "*test_it.py:11: UnclosedClientWarning*"])


def test_a_failing_test_shows_the_journal_and_the_log(run: Run) -> None:
    result = run("""
def test_fails(thingslink_sandbox):
    client = connected(thingslink_sandbox)
    thingslink_sandbox.device("node-1").uplink(b"\\x2a")
    thingslink_sandbox.cut()
    thingslink_sandbox.wait_for(lambda: client.stats()["reconnects"])
    client.close()
    queue.Queue().get_nowait()

def test_of_its_own():
    with Sandbox("other-app", "other-key") as other:
        connected(other).close()
        raise KeyError("it")

def test_passes(thingslink_sandbox):
    connected(thingslink_sandbox).close()
""")
    result.assert_outcomes(failed=2, passed=1)
    result.stdout.fnmatch_lines(
        [
            "*Journal of <Sandbox app_id='demo-app'>*",
            "connected client_id=*",
            "published client_id=None topic='demo-app/devices/node-1/up' payload=*",
            "*Log of thingslink*",
            "WARNING  thingslink.session: connection lost*",
            "*Journal of <Sandbox app_id='other-app'>*",
        ]
    )
    assert str(result.stdout).count("Journal of") == 2


def test_the_scope_of_the_sandbox_can_be_chosen(run: Run, pytester: pytest.Pytester) -> None:
    source = """
seen = set()

def test_one(thingslink_sandbox): seen.add(thingslink_sandbox.mqtt_address)

def test_two(thingslink_sandbox):
    seen.add(thingslink_sandbox.mqtt_address)
    assert len(seen) == EXPECTED
"""
    run(source.replace("EXPECTED", "2")).assert_outcomes(passed=2)
    pytester.makeini("[pytest]\nthingslink_sandbox_scope = module\n")
    run(source.replace("EXPECTED", "1")).assert_outcomes(passed=2)
    pytester.makeini("[pytest]\nthingslink_sandbox_scope = moduel\n")
    result = run(source)
    result.stdout.fnmatch_lines(["*moduel*"])
    assert result.ret != 0


def test_coroutines_of_other_plugins_can_use_the_sandbox(run: Run) -> None:
    pytest.importorskip("pytest_asyncio")
    result = run("""
async def exchange(sandbox):
    device = sandbox.device("node-1")
    client = MQTTClient(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address)
    client.set_uplink_callback(lambda message, client: client.send(message.dev_id, b"\\x05"))
    client.connect()
    device.uplink()
    assert await asyncio.to_thread(sandbox.wait_for, lambda: device.downlinks)
    device.uplink()
    assert (await asyncio.to_thread(device.next_downlink)).payload == b"\\x05"
    # Its callback sends, which a closed client refuses.
    await asyncio.to_thread(sandbox.wait_for, lambda: client.stats()["delivered"] == 2)
    client.close()

@pytest.mark.asyncio
async def test_asyncio(thingslink_sandbox):
    await exchange(thingslink_sandbox)

@pytest.mark.anyio
async def test_anyio(thingslink_sandbox):
    await exchange(thingslink_sandbox)

@pytest.fixture
def anyio_backend():
    return "asyncio"
""")
    result.assert_outcomes(passed=2)


def test_the_workers_of_xdist_do_not_meet(run: Run) -> None:
    pytest.importorskip("xdist")
    source = """
@pytest.mark.parametrize("number", range(8))
def test_it(number, thingslink_sandbox):
    device = thingslink_sandbox.device("node-1")
    client = connected(thingslink_sandbox)
    client.send("node-1", bytes([number]))
    client.flush()
    device.uplink()
    assert [one.payload for one in device.received] == [bytes([number])]
    client.close()
"""
    run(source, "-n", "2").assert_outcomes(passed=8)
