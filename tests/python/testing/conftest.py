"""Tests that are run by the tests of the pytest plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., pytest.RunResult]

HEAD = """
import asyncio
import queue

import pytest

from thingslink.sandbox import Sandbox
from thingslink.tb_device_mqtt import TBDeviceMqttClient
from thingslink.ttn import MQTTClient

def connected(sandbox):
    client = MQTTClient(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address)
    client.connect()
    return client
"""

OPTIONS = "-p", "no:cacheprovider", "-o", "asyncio_default_fixture_loop_scope=function"


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run tests in a process of their own, since the plugin watches the whole process."""

    def run(source: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(test_it=HEAD + source)
        return pytester.runpytest_subprocess(*OPTIONS, *arguments, timeout=50)

    return run
