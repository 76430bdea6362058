"""Connections through proxies: SOCKS, and HTTP with CONNECT."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from proxies import HttpProxy, Socks5
from thingslink.sandbox import ThingsBoard
from thingslink.tb_device_mqtt import TBDeviceMqttClient

from .conftest import TOKEN

#: PySocks' number.
HTTP = 3


def test_a_proxy_is_gone_through(server: ThingsBoard) -> None:
    proxy = Socks5()
    client = TBDeviceMqttClient("server.example", server.port, TOKEN)
    client._client.proxy_set(proxy_addr="127.0.0.1", proxy_port=proxy.port, proxy_username="u", proxy_password="p")
    client.connect()
    assert client.send_telemetry({"a": 1}).get() == 0
    # The proxy resolves the name.
    assert proxy.target == f"server.example:{server.port}"
    client.disconnect()
    proxy.close()


def test_a_proxy_that_refuses_is_told(server: ThingsBoard) -> None:
    proxy = Socks5()
    client = TBDeviceMqttClient(server.host, server.port, TOKEN)
    client._client.proxy_set(proxy_addr="127.0.0.1", proxy_port=proxy.port, proxy_username="u", proxy_password="geheim")
    with pytest.raises(ConnectionError, match=r"proxy 127\.0\.0\.1") as error:
        client.connect()
    assert "geheim" not in str(error.value)
    proxy.close()
    client._client.proxy_set()
    client.connect()
    assert client.send_telemetry({"a": 1}).get() == 0
    client.disconnect()


@pytest.fixture
def http_proxy() -> Iterator[Callable[..., HttpProxy]]:
    made: list[HttpProxy] = []

    def make(**options: Any) -> HttpProxy:
        made.append(HttpProxy(**options))
        return made[-1]

    yield make
    for proxy in made:
        proxy.close()


def test_an_http_proxy_is_gone_through(server: ThingsBoard, http_proxy: Callable[..., HttpProxy]) -> None:
    proxy = http_proxy(login="u:p")
    client = TBDeviceMqttClient("server.example", server.port, TOKEN)
    client._client.proxy_set(HTTP, "127.0.0.1", proxy.port, True, "u", "p")
    client.connect()
    assert client.send_telemetry({"a": 1}).get() == 0
    target = f"server.example:{server.port}"
    assert proxy.requests[0][:2] == [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    client.disconnect()


def test_tls_goes_through_an_http_proxy(http_proxy: Callable[..., HttpProxy]) -> None:
    proxy = http_proxy()
    with ThingsBoard(tls_port=0) as server:
        server.add_device("Device 1", TOKEN)
        assert server.tls_port is not None
        client = TBDeviceMqttClient("localhost", server.tls_port, TOKEN)
        client._client.proxy_set(HTTP, "127.0.0.1", proxy.port)
        client.connect(tls=True, ca_certs=server.ca_certs)
        assert client.send_telemetry({"a": 1}).get() == 0
        assert not any("Authorization" in line for line in proxy.requests[0])
        client.disconnect()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "403 Forbidden"),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 500 Half an ans", "hung up"),
        (b"x" * 20_000, "too long"),
    ],
)
def test_an_http_proxy_that_does_not_pass_on_is_told(
    server: ThingsBoard, http_proxy: Callable[..., HttpProxy], answer: bytes, words: str
) -> None:
    proxy = http_proxy(answer=answer)
    client = TBDeviceMqttClient(server.host, server.port, TOKEN)
    client._client.proxy_set(HTTP, "127.0.0.1", proxy.port)
    with pytest.raises(ConnectionError, match=words):
        client.connect()


def test_a_wrong_login_at_an_http_proxy_is_told(server: ThingsBoard, http_proxy: Callable[..., HttpProxy]) -> None:
    proxy = http_proxy(login="u:p")
    client = TBDeviceMqttClient(server.host, server.port, TOKEN)
    client._client.proxy_set(HTTP, "127.0.0.1", proxy.port, True, "u", "geheim")
    with pytest.raises(ConnectionError, match="407 Proxy Authentication Required") as error:
        client.connect()
    assert "geheim" not in str(error.value)
