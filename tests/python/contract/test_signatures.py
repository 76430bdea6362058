"""Names, defaults and spellings that programs rely on (V2 3.2 and 5)."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import thingslink
from thingslink import ttn
from thingslink.ttn import MQTTClient
from thingslink.ttn.ttnmqtt import DownlinkMessage, MyEvents
from thingslink.ttn.utils import json2obj, read_key, split_address, stubs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from thingslink.sandbox import Sandbox

METHODS = [
    "connect close start stop send set_uplink_callback set_uplink_raw_callback set_uplink_callback_raw",
    "set_connect_callback set_downlink_callback set_close_callback set_event_callback set_activation_callback",
    "remove_uplink_callback remove_uplink_raw_callback remove_connect_callback remove_downlink_callback",
    "remove_close_callback remove_event_callback remove_activation_callback set_error_callback device stats",
]


@pytest.mark.parametrize("name", " ".join(METHODS).split())
def test_the_client_has_the_method(name: str) -> None:
    assert callable(getattr(MQTTClient, name))
    assert inspect.signature(getattr(MQTTClient, name)) is not None


def test_the_documented_defaults_are_shown() -> None:
    shown = str(inspect.signature(MQTTClient.send))
    original = "(self, /, dev_id, payload, port=1, confirmation=False, schedule='replace', "
    assert (
        shown == original + "*, priority=None, class_b_c=None, confirmed_retry=None, correlation_ids=None, **aliases)"
    )
    documented = (
        "(app_id, access_key, mqtt_address='', discovery_address='discovery.thethings.network:1900', reconnect=True, *,"
    )
    assert str(inspect.signature(MQTTClient)).startswith(documented)


def test_both_ways_of_importing_give_the_same() -> None:
    assert thingslink.MQTTClient is ttn.MQTTClient is thingslink.ttn.MQTTClient
    assert thingslink.utils is ttn.utils


def test_nothing_called_ttn_is_installed() -> None:
    code = "import sys, thingslink; sys.exit('ttn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (("app", "key"), {}),
        (("app", "key", "h:1"), {}),
        (("app", "key", "h:1", "d:1900"), {}),
        (("app", "key", "h:1", "d:1900", False), {}),
        ((), {"app_id": "app", "access_key": "key"}),
        (("app",), {"app_access_key": "key"}),
        (("app",), {"appAccessKey": "key", "mqttAddress": "h:1"}),
        (("app", "key"), {"mqtt_address": None, "reconnect": True}),
        (("app", "key"), {"app_access_key": "key"}),
    ],
)
def test_the_constructor_takes_every_spelling_and_does_nothing(args: Any, kwargs: Any) -> None:
    client = MQTTClient(*args, **kwargs)
    assert client.app_id == "app"
    assert not client.is_connected
    assert "key" not in repr(client).replace("app_access_key", "")


@pytest.mark.parametrize(
    ("args", "kwargs", "error", "words"),
    [
        ((), {}, TypeError, "missing required argument: 'app_id'"),
        (("app",), {}, TypeError, "missing required argument: 'access_key'"),
        (("app", "a"), {"app_access_key": "b"}, TypeError, "two values for 'access_key'"),
        (("app", "a"), {"nonsense": 1}, TypeError, "unexpected keyword argument 'nonsense'"),
        ((7, "a"), {}, TypeError, "app_id must be str, not int"),
        (("app",), {"appAccessKey": 7}, TypeError, "appAccessKey must be str, not int"),
        ((), {"appID": "a/b", "access_key": "a"}, ValueError, 'appID "a/b" is not valid'),
        (("a/b", "a"), {}, ValueError, "a/b"),
        (("app", "a"), {"keep_alive": -1}, ValueError, "keep_alive -1"),
        (("app", "a"), {"keep_alive": 70000}, ValueError, "70000"),
        (("app", "a"), {"qos": 2}, ValueError, "qos 2"),
        (("app", "a"), {"clean_session": False}, ValueError, "client_id"),
        (("app", "a"), {"overflow": "explode"}, ValueError, "explode"),
        (("app", "a"), {"reconnect_min_delay": 0}, ValueError, "reconnect_min_delay"),
        (("app", "a"), {"max_inflight": 0}, ValueError, "max_inflight"),
        (("app", "a"), {"queue_messages": 0}, ValueError, "queue_messages"),
        (("app", "a"), {"ca_certs": "/does/not/exist"}, FileNotFoundError, "/does/not/exist"),
        (("app", "a"), {"ca_certs": 7}, TypeError, "ca_certs"),
    ],
)
def test_a_bad_setting_is_named_at_once(args: Any, kwargs: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        MQTTClient(*args, **kwargs)
    assert words in str(caught.value)


def test_a_subclass_may_have_a_constructor_of_its_own() -> None:
    class Farm(MQTTClient):
        def __init__(self, settings: dict[str, str]) -> None:
            super().__init__(settings["app"], settings["key"])
            self.settings = settings

    farm = Farm({"app": "a1", "key": "k"})
    assert farm.app_id == "a1" and farm.settings["key"] == "k"

    class Lazy(MQTTClient):
        def __init__(self) -> None:
            pass

    with pytest.raises(RuntimeError, match="__init__"):
        Lazy().connect()


SPELLINGS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    (("node-1", "AQ=="), {}),
    (("node-1", "AQ==", 1, False, "replace"), {}),
    ((), {"dev_id": "node-1", "payload": "AQ=="}),
    ((), {"devID": "node-1", "pay": "AQ==", "conf": False, "sched": "replace"}),
    ((), {"deviceID": "node-1", "payload": "AQ==", "confirmed": False, "schedule": None}),
    (("node-1", b"\x01"), {"confirmation": False}),
    (("node-1", bytearray(b"\x01")), {}),
    (("node-1", memoryview(b"\x01")), {}),
    (("node-1", "01"), {"port": 1}),
]


@pytest.mark.parametrize(("args", "kwargs"), SPELLINGS)
def test_send_takes_every_spelling(
    args: Any, kwargs: Any, sandbox: Sandbox, client_for: Callable[..., MQTTClient]
) -> None:
    device = sandbox.device("node-1")
    client = client_for(sandbox)
    client.connect()
    assert client.send(*args, **kwargs) == 2
    client.close()
    assert device.downlinks == [b"\x01"]


@pytest.mark.parametrize(
    ("args", "kwargs", "error", "words"),
    [
        ((), {}, TypeError, "missing required argument: 'dev_id'"),
        (("node-1",), {}, TypeError, "missing required argument: 'payload'"),
        (("node-1", "AQ=="), {"pay": "Ag=="}, TypeError, "two values for 'payload'"),
        (("node-1", "AQ=="), {"pyload": "Ag=="}, TypeError, "unexpected keyword argument 'pyload'"),
        (("Node 1", "AQ=="), {}, ValueError, "Node 1"),
        (("+", "AQ=="), {}, ValueError, "dev_id"),
        ((None, "AQ=="), {}, TypeError, "dev_id must be str, not NoneType"),
        (("node-1", "not base64!"), {}, ValueError, "not base64!"),
        (("node-1", object()), {}, TypeError, "payload must be bytes"),
        (("node-1", {"a": b"1"}), {}, TypeError, "payload cannot be sent"),
        (("node-1", float("nan")), {}, TypeError, "payload must be bytes"),
        (("node-1", {"a": float("nan")}), {}, ValueError, "payload cannot be sent"),
        (("node-1", b"x" * 243), {}, ValueError, "243"),
        (("node-1", "AQ=="), {"port": 0}, ValueError, "port 0"),
        (("node-1", "AQ=="), {"port": 224}, ValueError, "port 224"),
        (("node-1", "AQ=="), {"port": "1"}, TypeError, "port must be int, not str"),
        (("node-1", "AQ=="), {"port": True}, TypeError, "port must be int, not bool"),
        (("node-1", "AQ=="), {"sched": "later"}, ValueError, "later"),
        (("node-1", "AQ=="), {"conf": "yes"}, TypeError, "conf must be bool, not str"),
    ],
)
def test_what_cannot_be_sent_is_named_before_anything_goes_out(
    args: Any, kwargs: Any, error: type[Exception], words: str
) -> None:
    # Not connected: the arguments are looked at first.
    with pytest.raises(error) as caught:
        MQTTClient("app", "key").send(*args, **kwargs)
    assert words in str(caught.value)


def test_sending_without_a_connection_is_told() -> None:
    with pytest.raises(RuntimeError, match="client not connected") as caught:
        MQTTClient("app", "key").send("node-1", "AQ==")
    assert isinstance(caught.value, thingslink.NotConnectedError)


def test_helpers_behave_as_observed(tmp_path: Path) -> None:
    assert split_address("h:1") == {"address": "h", "port": 1}
    assert split_address("h") == {"address": "h"}
    assert split_address("a:1:2") == {"address": "a", "port": 1}
    with pytest.raises(ValueError, match="invalid literal for int"):
        split_address("h:x")
    (tmp_path / "key").write_text("abc\n")
    assert read_key(str(tmp_path / "key")) == "abc\n"
    assert repr(json2obj('{"a":1,"b":[{"c":2}]}')) == "MSG(a=1, b=[MSG(c=2)])"
    assert stubs.uplink["dev_id"] == "guest" and stubs.apptest["appId"] == "test" and stubs.devicetest["fCntUp"] == 10
    assert stubs.MODERN_CIPHER.startswith("ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:")
    assert MyEvents.__events__[0] == "uplink_msg"


def test_the_downlink_message_writes_its_attributes_in_order() -> None:
    message = DownlinkMessage(2)
    message.payload_raw = "AQ=="
    assert message.obj2json() == '{"port": 2, "confirmed": false, "schedule": null, "payload_raw": "AQ=="}'
    assert DownlinkMessage(1, True, "first").obj2json() == '{"port": 1, "confirmed": true, "schedule": "first"}'


def test_an_unmodified_program_can_get_ours_under_the_old_name() -> None:
    code = """
import thingslink; thingslink.install_as("ttn")
import ttn, ttn.utils.stubs
from ttn import MQTTClient
from ttn.ttnmqtt import DownlinkMessage
assert MQTTClient is thingslink.MQTTClient
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(ValueError, match="'nothing'"):
        thingslink.install_as("nothing")


@pytest.mark.parametrize("module", ["thingslink", "ttn", "ttnmqtt", "tb_device_mqtt", "tb_gateway_mqtt", "sandbox"])
def test_public_classes_say_where_users_find_them(module: str) -> None:
    name = module if module == "thingslink" else f"thingslink.{module}"
    public = importlib.import_module(name)
    classes = [found for found in (getattr(public, name) for name in public.__all__) if isinstance(found, type)]
    assert classes
    for found in classes:
        assert "._" not in found.__module__
        home = importlib.import_module(found.__module__)
        assert getattr(home, found.__name__) is found
