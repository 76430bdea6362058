"""Exits, forks, signals and interpreters, in child processes, many times."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest
from harness import PATIENCE, running

if TYPE_CHECKING:
    from thingslink.sandbox import Sandbox

TIMES = 15


def python(code: str, sandbox: Sandbox, *, expect: int = 0) -> str:
    """Run code in a child that has `address`, `app_id` and `key`; nothing may be said on standard error."""
    head = f"address, app_id, key = {sandbox.mqtt_address!r}, {sandbox.app_id!r}, {sandbox.access_key!r}\n"
    child = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-W", "error::ResourceWarning", "-c", head + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
        check=False,
    )
    assert child.returncode == expect, child.stderr
    assert child.stderr == ""
    return child.stdout


def test_exit_without_close(sandbox: Sandbox) -> None:
    for _ in range(TIMES):
        python(
            """
            from thingslink import ttn
            client = ttn.MQTTClient(app_id, key, address)
            client.set_uplink_callback(print)
            client.connect()
            """,
            sandbox,
        )


def test_a_downlink_just_before_the_exit_is_delivered(sandbox: Sandbox) -> None:
    device = sandbox.device("node-1")
    for number in range(TIMES):
        python(
            f"""
            from thingslink import ttn
            client = ttn.MQTTClient(app_id, key, address)
            client.connect()
            client.send("node-1", bytes([{number}]), schedule="last")
            """,
            sandbox,
        )
    assert device.downlinks == [bytes([number]) for number in range(TIMES)]


def test_exit_in_the_middle_of_a_flood(sandbox: Sandbox) -> None:
    sandbox.stream(rate=20_000, devices=50)
    for _ in range(TIMES):
        python(
            """
            import threading, warnings
            from thingslink import ttn
            warnings.simplefilter("ignore", RuntimeWarning)  # three of an application, on purpose
            seen = threading.Event()
            clients = [ttn.MQTTClient(app_id, key, address) for _ in range(3)]
            for client in clients:
                client.set_uplink_callback(lambda msg, client: (msg.metadata.gateways[0].rssi, seen.set()))
                client.connect()
            seen.wait(20)
            """,
            sandbox,
        )


@pytest.mark.parametrize("body", ["time.sleep(1000)", "\n    while True:\n        pass"])
def test_exit_while_a_callback_never_returns(body: str, sandbox: Sandbox) -> None:
    sandbox.stream(rate=100, devices=1)
    for _ in range(3):
        code = (
            "import threading, time\nfrom thingslink import ttn\nbegun = threading.Event()\n"
            f"def uplink(msg, client):\n    begun.set()\n    {body}\n"
            "client = ttn.MQTTClient(app_id, key, address)\nclient.set_uplink_callback(uplink)\nclient.connect()\n"
            "begun.wait(20)\nprint('leaving')\n"
        )
        assert python(code, sandbox) == "leaving\n"


def test_exit_while_many_wait_behind_a_callback_that_never_returns(sandbox: Sandbox) -> None:
    # While the first callbacks are slow a whole batch gathers: after the interruption none of it may begin.
    sandbox.stream(rate=200, devices=1)
    output = python(
        """
        import threading, time
        from thingslink import ttn
        begun, seen = threading.Event(), []
        def forever(msg, client):
            seen.append(msg.counter)
            if len(seen) <= 2:
                return time.sleep(0.25)
            print("began", flush=True)
            begun.set()
            while True:
                pass
        client = ttn.MQTTClient(app_id, key, address)
        client.set_uplink_callback(forever)
        client.set_uplink_callback(forever)
        client.connect()
        begun.wait(20)
        """,
        sandbox,
    )
    assert output == "began\n"


def test_an_exit_code_comes_through(sandbox: Sandbox) -> None:
    python(
        """
        import sys
        from thingslink import ttn
        ttn.MQTTClient(app_id, key, address).connect()
        sys.exit(7)
        """,
        sandbox,
        expect=7,
    )


def test_a_forked_child_makes_clients_of_its_own(sandbox: Sandbox) -> None:
    sandbox.stream(rate=500, devices=5)
    for _ in range(5):
        output = python(
            """
            import os, queue, warnings
            warnings.simplefilter("ignore")  # Python's own, about forking with threads
            from thingslink import ttn
            got = queue.Queue()
            def start():
                client = ttn.MQTTClient(app_id, key, address)
                client.set_uplink_callback(lambda msg, client: got.put(msg.port))
                client.connect()
                return client
            client = start()
            got.get(timeout=20)
            child = os.fork()
            if child == 0:
                for use in (client.connect, client.close, lambda: client.send("node-1", b"1"),
                            lambda: client.set_uplink_callback(print)):
                    try:
                        use()
                    except RuntimeError as error:
                        assert "fork" in str(error), error
                    else:
                        os._exit(3)
                while not got.empty():
                    got.get()
                other = start()
                got.get(timeout=20)
                other.close()
                os._exit(4 if client.is_connected is None else 0)
            _, status = os.waitpid(child, 0)
            assert os.waitstatus_to_exitcode(status) == 0, status
            while not got.empty():
                got.get()
            got.get(timeout=20)
            client.close()
            print("fine")
            """,
            sandbox,
        )
        assert output == "fine\n"


def test_a_forked_child_may_exit_in_the_ordinary_way(sandbox: Sandbox) -> None:
    output = python(
        """
        import os, sys, warnings
        warnings.simplefilter("ignore")
        from thingslink import ttn
        client = ttn.MQTTClient(app_id, key, address)
        client.connect()
        child = os.fork()
        if child == 0:
            sys.exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert client.is_connected
        print("fine")
        """,
        sandbox,
    )
    assert output == "fine\n"


@pytest.mark.parametrize("call", ["client.close(timeout=60)", "client.flush(60)"])
def test_ctrl_c_ends_a_wait(call: str, sandbox: Sandbox) -> None:
    sandbox.device("node-1")
    sandbox.withhold_acks(100)
    code = f"""
from thingslink import ttn
client = ttn.MQTTClient({sandbox.app_id!r}, {sandbox.access_key!r}, {sandbox.mqtt_address!r}, qos=1)
client.connect()
client.send("node-1", b"1")
try:
    print("waiting", flush=True)
    {call}
except KeyboardInterrupt:
    print("interrupted")
"""
    with running([sys.executable, "-c", code]) as child:
        assert child.stdout and child.stdout.readline() == "waiting\n"
        child.send_signal(signal.SIGINT)
        output, _ = child.communicate(timeout=PATIENCE)
        assert output == "interrupted\n" and child.returncode == 0


@pytest.mark.skipif(sys.version_info < (3, 12), reason="older interpreters refuse nothing by themselves")
def test_a_sub_interpreter_is_refused_cleanly(sandbox: Sandbox) -> None:
    module = "_xxsubinterpreters" if sys.version_info < (3, 13) else "_interpreters"
    python(
        f"""
        import {module} as interpreters
        interpreter = interpreters.create()
        interpreters.run_string(interpreter, '''
try:
    import thingslink
except ImportError:
    pass
else:
    raise SystemError("imported")
''')
        """,
        sandbox,
    )


def test_multiprocessing_workers_can_use_it(sandbox: Sandbox) -> None:
    output = python(
        """
        import multiprocessing, warnings
        warnings.simplefilter("ignore")
        from thingslink import ttn
        def work(number):
            with ttn.MQTTClient(app_id, key, address) as client:
                return client.is_connected
        with ttn.MQTTClient(app_id, key, address) as client:
            with multiprocessing.get_context("fork").Pool(2) as pool:
                assert pool.map(work, range(6)) == [True] * 6
        print("fine")
        """,
        sandbox,
    )
    assert output == "fine\n"
