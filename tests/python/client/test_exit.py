"""Programs that close their clients while the interpreter exits, in every order: quietly, and without hanging."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest
from harness import PATIENCE
from thingslink.sandbox import Sandbox, ThingsBoard

#: What makes each kind of client, connected or used, and how it is closed.
KINDS = {
    "mqtt": ("client = ttn.MQTTClient(app_id, key, mqtt)\nclient.connect()", "client.close()"),
    "mqtt_unconnected": ("client = ttn.MQTTClient(app_id, key, mqtt)", "client.close()"),
    "application": (
        "client = ttn.ApplicationClient(app_id, key, handler, certificate)\nclient.get()",
        "client.close()",
    ),
    "discovery": (
        "client = ttn.DiscoveryClient(discovery, certificate)\nclient.get_by_app_id(app_id)",
        "client.close()",
    ),
    "thingsboard": (
        "client = TBDeviceMqttClient(tb_host, tb_port, 'A1')\nclient.connect()",
        "client.disconnect()",
    ),
    "thingsboard_with_last_words": (
        "client = TBDeviceMqttClient(tb_host, tb_port, 'A1')\nclient.connect()",
        "(client.send_telemetry({'state': 'off'}).get(), client.is_connected(), client.disconnect(), client.stop())",
    ),
    "thingsboard_not_made": (
        "client = TBDeviceMqttClient.__new__(TBDeviceMqttClient)",
        "(client.disconnect(), client.stop())",
    ),
    "sandbox": ("client = Sandbox()\nclient.start()", "client.stop()"),
    "thingsboard_sandbox": ("client = ThingsBoard()\nclient.start()", "client.stop()"),
}

#: When the program closes. `IMPORTS` stands for the imports, `MAKE` and `CLOSE` for the client's.
MOMENTS = {
    "in a handler of atexit registered after the import": """
IMPORTS
import atexit
MAKE
atexit.register(lambda: CLOSE)
""",
    "in a handler of atexit registered before the import": """
import atexit
atexit.register(lambda: CLOSE)
IMPORTS
MAKE
""",
    "in __del__ of what the module holds": """
IMPORTS
MAKE
class Owner:
    def __init__(self):
        self.client = client
    def __del__(self):
        client = self.client
        CLOSE
owner = Owner()
""",
    "in __del__ of what is part of a cycle": """
IMPORTS
MAKE
class Owner:
    def __init__(self):
        self.client, self.me = client, self
    def __del__(self):
        client = self.client
        CLOSE
import gc
gc.disable()
Owner()
""",
    "in a daemon thread": """
IMPORTS
import threading
MAKE
exiting = threading.Event()
def close():
    exiting.wait()
    while True:
        CLOSE
threading.Thread(target=close, daemon=True).start()
import atexit
atexit.register(exiting.set)
""",
    "in a forked child's handler of atexit": """
IMPORTS
import atexit, os, sys, warnings
warnings.simplefilter("ignore")
MAKE
atexit.register(lambda: CLOSE)
child = os.fork()
if child:
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
sys.exit(0)
""",
    "in a forked child's __del__": """
IMPORTS
import os, sys, warnings
warnings.simplefilter("ignore")
MAKE
class Owner:
    def __del__(self, client=client):
        CLOSE
owner = Owner()
child = os.fork()
if child:
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
sys.exit(0)
""",
}

IMPORTS = """
from thingslink import ttn
from thingslink.sandbox import Sandbox, ThingsBoard
from thingslink.tb_device_mqtt import TBDeviceMqttClient
"""


@pytest.fixture(scope="module")
def names() -> object:
    with Sandbox() as network, ThingsBoard() as server:
        server.add_device("pump", "A1")
        yield "\n".join(
            f"{name} = {value!r}"
            for name, value in {
                "app_id": network.app_id,
                "key": network.access_key,
                "mqtt": network.mqtt_address,
                "handler": network.handler_address,
                "discovery": network.discovery_address,
                "certificate": network.ca_certs,
                "tb_host": server.host,
                "tb_port": server.port,
            }.items()
        )


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("kind", KINDS)
def test_closing_at_exit_is_quiet(kind: str, moment: str, names: str) -> None:
    if "fork" in moment and not hasattr(os, "fork"):
        pytest.skip("this system does not fork")
    make, close = KINDS[kind]
    code = MOMENTS[moment].replace("IMPORTS", IMPORTS).replace("MAKE", make).replace("CLOSE", close)
    child = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", f"{names}\n{code}"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert child.stderr == ""
    assert child.returncode == 0


DAEMONS = """
import sys, threading
client = ttn.MQTTClient(app_id, key, mqtt)
client.connect()
def send(called):
    while True:
        client.send("node-1", b"12")
        called.set()
def call(called):
    application = ttn.ApplicationClient(app_id, key, handler, certificate)
    while True:
        application.get()
        called.set()
calling = [threading.Event() for _ in range(6)]
for number, called in enumerate(calling):
    threading.Thread(target=send if number % 2 else call, args=(called,), daemon=True).start()
for called in calling:
    called.wait()
"""


@pytest.mark.timeout(240)
def test_daemon_threads_in_the_middle_of_calls_neither_crash_the_exit_nor_hear_of_it(names: str) -> None:
    # Many, since what they meet is a moment; tools/smoke-interpreters has more of them, on each interpreter.
    for _ in range(24):
        child = subprocess.run(
            [sys.executable, "-c", names + IMPORTS + DAEMONS],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert (child.stderr, child.returncode) == ("", 0)


#: What a daemon thread may go on asking for. Nothing of it waits, most of it fails once the client is closed.
ASKED = {
    "mqtt": "client.send('node-1', b'1')",
    "mqtt_unconnected": "client.is_connected",
    "discovery": "ttn.DiscoveryClient(discovery, certificate).get_by_app_id(app_id)",
    "thingsboard": "client.send_telemetry({'on': 1})",
}


@pytest.mark.parametrize("kind", ASKED)
def test_a_daemon_thread_that_goes_on_asking_is_kept_from_the_exiting_interpreter(kind: str, names: str) -> None:
    code = """
    import atexit, threading
    asked, exiting = threading.Event(), threading.Event()
    told = []
    def ask():
        while True:
            ASK
            asked.set()
            if exiting.is_set():
                told.append(1)
    def look():
        exiting.set()
        told.clear()
        # Python code of this thread lets the others run meanwhile.
        for number in range(200000):
            str(number)
        # Whoever was not in a call when the gates closed is kept by the next one.
        print(len(told) <= 1)
    # Called after the library's own handler, which was registered later.
    atexit.register(look)
    IMPORTS
    MAKE
    threading.Thread(target=ask, daemon=True).start()
    asked.wait()
    """
    code = textwrap.dedent(code).replace("ASK", ASKED[kind]).replace("IMPORTS", IMPORTS).replace("MAKE", KINDS[kind][0])
    code = names + code
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (child.stderr, child.stdout, child.returncode) == ("", "True\n", 0)


def test_the_allocator_leaves_its_memory_to_the_system() -> None:
    # It says when its destructor runs.
    child = subprocess.run(
        [sys.executable, "-c", "import thingslink"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, "MIMALLOC_VERBOSE": "1"},
    )
    assert "mimalloc" in child.stderr
    assert "process done" not in child.stderr


def test_a_handler_of_atexit_may_wait_for_a_daemon_thread_that_calls(names: str) -> None:
    code = """
    import atexit
    workers = []
    atexit.register(lambda: (workers[0].join(), print("ended")))
    IMPORTS
    import faulthandler, threading
    faulthandler.dump_traceback_later(GUARD, exit=True)
    application = ttn.ApplicationClient(app_id, key, handler, certificate)
    called = threading.Event()
    def work():
        try:
            while True:
                application.get()
                called.set()
        except RuntimeError:
            pass
        finally:
            called.set()
    workers.append(threading.Thread(target=work, daemon=True))
    workers[0].start()
    called.wait()
    """
    # Before the guard of this test, so that a program that hangs says where.
    code = textwrap.dedent(code).replace("IMPORTS", IMPORTS).replace("GUARD", str(PATIENCE - 1))
    code = names + "\n" + code
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (child.stderr, child.stdout, child.returncode) == ("", "ended\n", 0)


def test_a_block_that_a_forked_child_leaves_is_left_for_the_child_s_own_reason(names: str) -> None:
    code = """
    import os, sys, warnings
    warnings.simplefilter("ignore")
    with Sandbox() as sandbox, ttn.MQTTClient(app_id, key, mqtt) as client:
        child = os.fork()
        if child == 0:
            assert not client.is_connected
            assert "not connected" in repr(client)
            sys.exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert client.is_connected
        with ttn.MQTTClient(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address):
            print("fine")
    """
    child = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", names + IMPORTS + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (child.stderr, child.stdout, child.returncode) == ("", "fine\n", 0)


def test_a_forked_copy_of_a_thingsboard_client_is_not_connected(names: str) -> None:
    code = """
    import os, time, warnings
    warnings.simplefilter("ignore")
    client = TBDeviceMqttClient(tb_host, tb_port, "A1")
    client.connect()
    while not client.is_connected():
        time.sleep(0.01)
    child = os.fork()
    if child == 0:
        os._exit(0 if not client.is_connected() and "not connected" in repr(client) else 3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert client.is_connected()
    client.disconnect()
    """
    child = subprocess.run(
        [sys.executable, "-c", names + IMPORTS + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (child.stderr, child.returncode) == ("", 0)
