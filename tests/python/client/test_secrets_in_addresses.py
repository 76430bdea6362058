"""A secret that stands in an address, or in its place, is never shown; the error says where it belongs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from thingslink import tb_device_http
from thingslink._lead import lead
from thingslink.cli import main
from thingslink.sandbox import Sandbox
from thingslink.tb_device_mqtt import ProvisionClient, TBDeviceMqttClient
from thingslink.ttn import ApplicationClient, DiscoveryClient, HandlerClient, MQTTClient
from thingslink.ttnmqtt import v1

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "5ec7e7"
ADDRESSES = [
    f"mqtt://app:{SECRET}@localhost:1",
    f"app:{SECRET}@localhost",
    f"{SECRET}@localhost:1",
    f"https://app:{SECRET}@localhost:1/path",
    f"mqtts://a@b:{SECRET}@localhost",
    f"mqtt://localhost:1?token={SECRET}",
    f"localhost:1/api?token={SECRET}",
    f"localhost#{SECRET}",
    f"ttn-account-v2.{SECRET}",
    f"NNSXS.{SECRET}",
]


def connect(client: Any) -> None:
    try:
        assert SECRET not in repr(client)
        client.connect()
    finally:
        client.close()


def started(sandbox: Sandbox) -> None:
    with sandbox:
        pass


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(
    "use",
    [
        lambda address: connect(MQTTClient("app", "key", address)),
        lambda address: connect(MQTTClient("app", "key", discovery_address=address)),
        lambda address: v1.MQTTClient("app", "", "key").connect(address, 1),
        DiscoveryClient,
        lambda address: DiscoveryClient(address, insecure_channel=True),
        lambda address: HandlerClient("app", "key", address),
        lambda address: ApplicationClient("app", "key", address, insecure_channel=True),
        lambda address: ApplicationClient("app", "key", discovery_address=address),
        lambda address: TBDeviceMqttClient(address, username="token").connect(),
        lambda address: ProvisionClient(address, 1883, {}).provision(),
        lambda address: lead(mqtt=address),
        lambda address: lead(discovery=address),
        lambda address: started(Sandbox("demo-app", host=address)),
    ],
)  # fmt: skip
def test_a_secret_in_an_address_is_masked(use: Callable[[str], object], address: str) -> None:
    with pytest.raises(ValueError, match=r"\*\*\*") as caught:
        use(address)
    text = str(caught.value)
    assert SECRET not in text
    if "@" in address:
        assert "credentials" in text


@pytest.mark.parametrize("address", [*ADDRESSES, f"http://localhost:1/?token={SECRET}", f"http://{SECRET}@localhost"])
def test_the_http_client_masks_it_as_well(address: str) -> None:
    with pytest.raises(ValueError, match="host") as caught:
        tb_device_http.TBHTTPDevice(address, "token")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(
    "words",
    [
        ["devices", "list", "--app-id", "app", "--insecure", "--handler"],
        ["devices", "list", "--app-id", "app", "--discovery"],
        ["uplinks", "--app-id", "app", "--mqtt"],
        ["run", "--mqtt"],
        ["run", "--discovery"],
    ],
)
def test_the_command_line_masks_it(
    words: list[str], address: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THINGSLINK_ACCESS_KEY", "key")
    assert main([*words, address, *([__file__] if words[0] == "run" else [])]) != 0
    shown = capsys.readouterr()
    assert "***" in shown.err and SECRET not in shown.err + shown.out


def test_arguments_that_are_mixed_up_are_told_without_the_key() -> None:
    with pytest.raises(ValueError, match="mixed up") as caught:
        MQTTClient(f"ttn-account-v2.{SECRET}", "app")
    assert SECRET not in str(caught.value)
    with pytest.raises(ValueError, match="mixed up") as caught:
        HandlerClient(f"NNSXS.{SECRET}", "app", "localhost:1")
    assert SECRET not in str(caught.value)
