"""Which certificates of a server are accepted, and what is said of the others."""

from __future__ import annotations

import concurrent.futures
from typing import TYPE_CHECKING

import certificates
import grpc
import pytest
from thingslink import ApplicationError, RpcError, StatusCode
from thingslink.ttn import ApplicationClient, DiscoveryClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Self

NOT_FOR = 'not for the name "127.0.0.1"'


class TlsServer:
    """A server of gRPC's own that presents a certificate and answers everything with nothing."""

    def __init__(self, identity: certificates.Identity) -> None:
        self._server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
        self._server.add_generic_rpc_handlers((Anything(),))
        credentials = grpc.ssl_server_credentials([(identity.key_pem, identity.pem)])
        self.port = self._server.add_secure_port("127.0.0.1:0", credentials)
        self._server.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()


class Anything(grpc.GenericRpcHandler):
    def service(self, _: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        return grpc.unary_unary_rpc_method_handler(lambda request, context: b"")


CA = certificates.make(names=(), ca=True, common_name="a CA")

ACCEPTED: dict[str, Callable[[], certificates.Identity]] = {
    "the network's form: self-signed, CA:TRUE": lambda: certificates.make(ca=True),
    "self-signed, CA:FALSE": lambda: certificates.make(ca=False),
    "self-signed, no basic constraints": certificates.make,
    "self-signed, RSA": lambda: certificates.make(key=certificates.rsa_key()),
}
REFUSED: dict[str, tuple[Callable[[], certificates.Identity], str]] = {
    "CA:TRUE for another name": (
        lambda: certificates.make(ca=True, names=("other.test",)),
        'not for the name "127.0.0.1"',
    ),
    "CA:FALSE for another name": (lambda: certificates.make(names=("other.test",)), NOT_FOR),
    "no alternative name": (lambda: certificates.make(names=()), NOT_FOR),
    "CA:TRUE, expired": (lambda: certificates.make(ca=True, days=(-30, -1)), "has expired"),
    "CA:FALSE, expired": (lambda: certificates.make(days=(-30, -1)), "has expired"),
    "CA:TRUE, from tomorrow on": (lambda: certificates.make(ca=True, days=(1, 30)), "not valid yet"),
}


@pytest.mark.parametrize("kind", ACCEPTED)
def test_a_given_certificate_is_accepted(kind: str) -> None:
    identity = ACCEPTED[kind]()
    with TlsServer(identity) as server:
        for host in ("127.0.0.1", "localhost"):
            client = ApplicationClient("demo-app", "k", f"{host}:{server.port}", identity.pem)
            assert str(client.get()) == ""


def test_a_certificate_of_a_given_issuer_is_accepted() -> None:
    with TlsServer(certificates.make(issuer=CA)) as server:
        # Among others, as files of certificates are.
        given = (certificates.make(ca=True).pem + CA.pem).decode()
        assert str(ApplicationClient("demo-app", "k", f"localhost:{server.port}", given).get()) == ""


@pytest.mark.parametrize("kind", REFUSED)
def test_a_wrong_certificate_is_refused_and_the_reason_told(kind: str) -> None:
    make, words = REFUSED[kind]
    identity = make()
    with TlsServer(identity) as server:
        client = ApplicationClient("demo-app", "k", f"127.0.0.1:{server.port}", identity.pem)
        with pytest.raises(ApplicationError) as caught:
            client.get()
    assert caught.value.code is StatusCode.UNAVAILABLE and words in caught.value.details, caught.value.details


@pytest.mark.parametrize("ca", [True, False])
def test_another_certificate_is_refused(ca: bool) -> None:
    with TlsServer(certificates.make(ca=ca)) as server:
        client = ApplicationClient("demo-app", "k", f"127.0.0.1:{server.port}", certificates.make(ca=ca).pem)
        with pytest.raises(ApplicationError) as caught:
            client.get()
        assert "neither a trusted one nor issued by one" in caught.value.details
        with pytest.raises(RpcError, match="neither a trusted one nor issued by one"):
            DiscoveryClient(f"127.0.0.1:{server.port}").get_by_app_id("demo-app")


@pytest.fixture
def plain_port() -> Iterator[int]:
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
    yield server.add_insecure_port("127.0.0.1:0")
    server.stop(None).wait()


def test_a_server_without_tls_is_told_so(plain_port: int) -> None:
    client = ApplicationClient("demo-app", "k", f"127.0.0.1:{plain_port}", certificates.make().pem)
    with pytest.raises(ApplicationError) as caught:
        client.get(timeout=5)
    assert "TLS with 127.0.0.1" in caught.value.details or caught.value.code is StatusCode.DEADLINE_EXCEEDED


def test_a_client_without_tls_is_told_so() -> None:
    with TlsServer(certificates.make()) as server:
        client = ApplicationClient("demo-app", "k", f"127.0.0.1:{server.port}", insecure_channel=True)
        with pytest.raises(ApplicationError) as caught:
            client.get()
    assert caught.value.code is StatusCode.UNAVAILABLE
