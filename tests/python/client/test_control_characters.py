"""What MQTT cannot carry, or servers hang up over, is refused where it enters; settings by the names that they have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from thingslink.tb_device_mqtt import TBDeviceMqttClient
from thingslink.ttn import ApplicationClient, HandlerClient, MQTTClient

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "5ec7e7"


def ttn(app_id: str = "app", key: str = SECRET, **options: Any) -> MQTTClient:
    return MQTTClient(app_id, key, "127.0.0.1:1", **options)


@pytest.mark.parametrize("strange", ["\0", "\n", "\r\n", "\t", "\x1b[31m", "\x7f", "\x85"])
@pytest.mark.parametrize(
    ("what", "make"),
    [
        ("client_id", lambda text: ttn(client_id=text)),
        ("app_id", ttn),
        ("access_key", lambda text: ttn(key=SECRET + text)),
        ("dev_id", lambda text: ttn().device("node" + text)),
        ("dev_id", lambda text: ttn().send("node" + text, b"1")),
        ("event", lambda text: ttn().set_event_callback(print, "down" + text)),
        ("field", lambda text: ttn().set_uplink_field_callback(print, "tank" + text)),
        ("topic", lambda text: ttn()._publish("app/" + text, b"1")),
        ("filter", lambda text: ttn()._set_topic_callback(print, "app/" + text)),
        ("app_id", lambda text: ApplicationClient("app" + text, SECRET, "127.0.0.1:1", insecure_channel=True)),
        ("access_key", lambda text: ApplicationClient("app", SECRET + text, "127.0.0.1:1", insecure_channel=True)),
        ("app_id", lambda text: HandlerClient("app" + text, SECRET, "127.0.0.1:1")),
        ("client_id", lambda text: TBDeviceMqttClient("127.0.0.1", username=SECRET, client_id="me" + text)),
        ("username", lambda text: TBDeviceMqttClient("127.0.0.1", username=SECRET + text)),
        ("password", lambda text: TBDeviceMqttClient("127.0.0.1", username="me", password=SECRET + text)),
    ],
)
def test_control_characters_are_refused_where_they_enter(
    what: str, make: Callable[[str], object], strange: str
) -> None:
    with pytest.raises(ValueError, match=what) as caught:
        make(strange)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_message_bytes", 0),
        ("max_inflight", 0),
        ("queue_messages", 0),
        ("queue_bytes", 0),
        ("send_queue_messages", 0),
        ("send_queue_bytes", 0),
        ("reconnect_min_delay", 0),
        ("reconnect_max_delay", 0),
        ("keep_alive", 0.5),
        ("qos", 2),
        ("overflow", "explode"),
    ],
)
def test_a_setting_is_refused_by_the_name_that_the_program_used(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        ttn(**{name: value})
