"""Clients that are made before a fork and used after it, as servers with preloading do."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest
from harness import PATIENCE
from thingslink.sandbox import Sandbox

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

#: Runs something in a forked child and tells what became of it.
CHILD = """
def in_child(act):
    child = os.fork()
    if child == 0:
        try:
            act()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return child

def ended_well(*children):
    for child in children:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


def python(code: str, sandbox: Sandbox, *, warnings: str = "error") -> str:
    """Run code in a child that has an application's `client` made already; nothing may be said on standard error."""
    names = (sandbox.app_id, sandbox.access_key, sandbox.handler_address, sandbox.discovery_address)
    head = f"""
import os, signal, threading, traceback
# Whatever hangs ends: this process, and each child.
signal.alarm({PATIENCE:.0f})
os.register_at_fork(after_in_child=lambda: signal.alarm({PATIENCE:.0f}))
import thingslink
from thingslink import ttn
app_id, key, handler, discovery = {names!r}
certificate = {sandbox.ca_certs!r}
client = ttn.ApplicationClient(app_id, key, handler, certificate)
"""
    child = subprocess.run(
        [sys.executable, "-W", warnings, "-c", head + CHILD + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
        check=False,
    )
    assert child.stderr == ""
    assert child.returncode == 0
    return child.stdout


def test_clients_made_before_the_fork_work_in_each_child(sandbox: Sandbox) -> None:
    # Warnings are errors: a process that has only made its clients has no threads of ours that Python could warn of.
    output = python(
        """
        directory = ttn.DiscoveryClient(discovery, certificate)

        def work():
            assert client.get().app_id == app_id
            client.register_device(f"node-{os.getpid()}", {"dev_eui": f"{os.getpid():016X}"})
            assert directory.get_by_app_id(app_id).net_address == handler

        ended_well(*[in_child(work) for _ in range(4)])
        assert directory.get_by_app_id(app_id).net_address == handler
        print(len(client.devices()))
        """,
        sandbox,
    )
    assert output == "4\n"


def test_clients_used_before_the_fork_work_in_each_child_and_go_on_in_the_parent(sandbox: Sandbox) -> None:
    output = python(
        """
        directory = ttn.DiscoveryClient(discovery, certificate)
        found = ttn.HandlerClient(app_id, key, discovery, certificate)
        assert client.get().app_id == app_id
        assert directory.get_by_app_id(app_id).net_address == handler
        made = found.application()
        made.get()

        def work():
            for application in (client, made, found.application()):
                assert application.get().app_id == app_id
                # Twice: the second call goes over the channel that the first one has opened.
                assert application.get().app_id == app_id
            assert directory.get_by_app_id(app_id).net_address == handler
            with found.data() as data:
                assert data.is_connected

        for _ in range(3):
            ended_well(*[in_child(work) for _ in range(3)])
            assert client.get().app_id == made.get().app_id == app_id
            assert directory.get_by_app_id(app_id).net_address == handler
        print("fine")
        """,
        sandbox,
        warnings="ignore",
    )
    assert output == "fine\n"


def test_a_child_s_child_can_call_too(sandbox: Sandbox) -> None:
    output = python(
        """
        client.get()

        def work():
            client.get()
            ended_well(in_child(client.get))
            client.get()

        ended_well(in_child(work))
        client.get()
        print("fine")
        """,
        sandbox,
        warnings="ignore",
    )
    assert output == "fine\n"


def test_a_fork_in_the_middle_of_calls_by_other_threads(sandbox: Sandbox) -> None:
    output = python(
        """
        over = threading.Event()

        def call():
            while not over.is_set():
                client.get()

        threads = [threading.Thread(target=call) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(15):
            ended_well(in_child(client.get), in_child(client.get))
        over.set()
        for thread in threads:
            thread.join()
        print("fine")
        """,
        sandbox,
        warnings="ignore",
    )
    assert output == "fine\n"


def test_workers_of_multiprocessing_use_the_parent_s_client(sandbox: Sandbox) -> None:
    output = python(
        """
        import multiprocessing

        def work(number):
            return client.get().app_id, [device.dev_id for device in client.iter_devices(page_size=1)]

        client.register_device("node-1", {"dev_eui": "1" * 16})
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map(work, range(6)) == [(app_id, ["node-1"])] * 6
        print("fine")
        """,
        sandbox,
        warnings="ignore",
    )
    assert output == "fine\n"


@pytest.mark.parametrize("used", ["client.get()", "pass"])
def test_a_client_closed_in_a_child_stays_open_in_the_parent(used: str, sandbox: Sandbox) -> None:
    output = python(
        f"""
        {used}

        def work():
            client.close()
            try:
                client.get()
            except thingslink.NotConnectedError:
                return
            raise AssertionError("it is open")

        ended_well(in_child(work), in_child(client.get))
        client.get()
        client.close()

        def closed():
            try:
                client.get()
            except thingslink.NotConnectedError:
                return
            raise AssertionError("it is open")

        ended_well(in_child(closed))
        print("fine")
        """,
        sandbox,
        warnings="ignore",
    )
    assert output == "fine\n"


def test_a_child_that_leaves_in_the_ordinary_way_says_nothing(sandbox: Sandbox) -> None:
    output = python(
        """
        import sys
        client.get()
        child = os.fork()
        if child == 0:
            client.get()
            sys.exit(0)
        ended_well(child)
        client.get()
        print("fine")
        """,
        sandbox,
        warnings="ignore",
    )
    assert output == "fine\n"


def test_a_child_logs_by_itself_after_the_parent_has_logged(sandbox: Sandbox) -> None:
    output = python(
        f"""
        import logging

        class Seen(logging.Handler):
            def emit(self, record):
                seen.set()

        logging.getLogger("thingslink").addHandler(Seen())
        logging.getLogger("thingslink").setLevel(logging.INFO)

        def logs():
            global seen
            seen = threading.Event()
            data = ttn.MQTTClient(app_id, key, {sandbox.mqtt_address!r})
            data.connect()
            data.close()
            assert seen.wait(20)

        logs()
        for _ in range(3):
            ended_well(in_child(logs))
            logs()
        print("fine")
        """,
        sandbox,
        warnings="ignore",
    )
    assert output == "fine\n"
