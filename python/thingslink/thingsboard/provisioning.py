"""Asking a server for credentials of a new device (TB 1.6, 3.9)."""

# ruff: noqa: PLR0917 - the parameters are the original's

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from thingslink._native import TlsSettings, _provision, _provision_async

from . import constructor

if TYPE_CHECKING:
    from os import PathLike

log = logging.getLogger("tb_connection")


#: The port where TLS is spoken unless it is said otherwise.
_TLS_PORT = 8883


class ProvisionClient:
    """One provisioning request.

    Args:
        host: Name or address of the server.
        port: Its port.
        provision_request: What is asked, as the server has it.
        tls: Whether to speak TLS; by default on port 8883, and wherever one of the following is given.
        ca_certs: Certificates to trust instead of the system's: a path, PEM text or PEM bytes.
        insecure: Whether to accept any certificate: whoever answers then gets the key and the secret.

    Raises:
        OSError: A file of certificates cannot be read.
        TlsError: A certificate cannot be used.
        ValueError: An argument that cannot be used.
    """

    PROVISION_REQUEST_TOPIC = "/provision/request"
    PROVISION_RESPONSE_TOPIC = "/provision/response"

    def __init__(
        self,
        host: str,
        port: int,
        provision_request: dict[str, Any],
        *,
        tls: bool | None = None,
        ca_certs: str | bytes | PathLike[str] | None = None,
        insecure: bool = False,
    ) -> None:
        self._host = constructor.text("host", host)
        self._port = constructor.port(port)
        trusts = ca_certs is not None or constructor.flag("insecure", insecure)
        if tls is False and trusts:
            raise ValueError("tls=False is not valid with ca_certs or insecure, which are about TLS")
        speaks_tls = self._port == _TLS_PORT or trusts if tls is None else constructor.flag("tls", tls)
        self._tls = TlsSettings(ca_certs, None, None, None, insecure) if speaks_tls else None
        self._request = provision_request
        self._credentials: dict[str, Any] | None = None

    def provision(self, timeout: float = 60) -> None:
        """Ask, and wait for the answer at most ``timeout`` seconds.

        Raises:
            OSError: The server cannot be reached; a ``ConnectionLostError`` if it closes over the request.
            TlsError: It does not show a certificate that is trusted; nothing was told to it.
            ThingsTimeoutError: No answer in that time.
        """
        self._credentials = None
        self._take(_provision(self._host, self._port, self._tls, self._request, timeout))

    async def provision_async(self, timeout: float = 60) -> None:
        """Do the same in a coroutine; cancelled, the connection is closed."""
        self._credentials = None
        self._take(await _provision_async(self._host, self._port, self._tls, self._request, timeout))

    def _take(self, body: bytes) -> None:
        answer = json.loads(body)
        if isinstance(answer, dict) and answer.get("status") == "SUCCESS":
            self._credentials = answer
        else:
            reason = answer.get("errorMsg") if isinstance(answer, dict) else answer
            log.error("Provisioning failed: %s", reason)

    def get_credentials(self) -> dict[str, Any] | None:
        """The server's whole answer; ``None`` before it, and when it is a refusal."""
        return self._credentials

    def __repr__(self) -> str:
        return f"ProvisionClient({self._host!r}, {self._port})"


def client_for(
    host: str,
    provision_device_key: str,
    provision_device_secret: str,
    port: int = 1883,
    *,
    tls: bool | None = None,
    ca_certs: str | bytes | PathLike[str] | None = None,
    insecure: bool = False,
    **wishes: Any,
) -> ProvisionClient:
    """Give the request that ``provision`` makes of its arguments; ``wishes`` are those about the new device."""
    access_token, client_id, username, password, certificate, device_name = (
        None if wishes.get(name) is None else constructor.text(name, wishes[name])
        for name in ("access_token", "client_id", "username", "password", "hash", "device_name")
    )
    gateway = wishes.get("gateway")
    request: dict[str, Any] = {
        "provisionDeviceKey": constructor.text("provision_device_key", provision_device_key),
        "provisionDeviceSecret": constructor.text("provision_device_secret", provision_device_secret),
    }
    if access_token is not None:
        request |= {"token": access_token, "credentialsType": "ACCESS_TOKEN"}
    elif username is not None or password is not None or client_id is not None:
        request |= {"username": username, "password": password, "clientId": client_id, "credentialsType": "MQTT_BASIC"}
    elif certificate is not None:
        request |= {"hash": certificate, "credentialsType": "X509_CERTIFICATE"}
    request |= {"deviceName": device_name, "gateway": None if gateway is None else constructor.flag("gateway", gateway)}
    # The server fails on a null: what is not given is left out.
    given = {key: value for key, value in request.items() if value is not None}
    return ProvisionClient(host, port, given, tls=tls, ca_certs=ca_certs, insecure=insecure)


def provision(
    host: str,
    provision_device_key: str,
    provision_device_secret: str,
    port: int = 1883,
    device_name: str | None = None,
    access_token: str | None = None,
    client_id: str | None = None,
    username: str | None = None,
    password: str | None = None,
    hash: str | None = None,  # noqa: A002 - the original's name
    gateway: bool | None = None,
    *,
    tls: bool | None = None,
    ca_certs: str | bytes | PathLike[str] | None = None,
    insecure: bool = False,
    timeout: float = 60,
) -> dict[str, Any] | None:
    """Ask a server for credentials of a new device; gives its answer, or ``None`` when it refuses.

    Args:
        host: Name or address of the server.
        provision_device_key: Key of the device profile.
        provision_device_secret: Its secret.
        port: The server's port; TLS is spoken on 8883, and wherever it is asked for.
        device_name: Name of the new device; by default the server makes one.
        access_token: Its access token; by default, without other credentials, the server makes one.
        client_id: Part of basic credentials.
        username: Part of basic credentials.
        password: Part of basic credentials.
        hash: PEM text of its certificate.
        gateway: Whether it is a gateway.
        tls: Whether to speak TLS, whatever the port.
        ca_certs: Certificates to trust instead of the system's: a path, PEM text or PEM bytes.
        insecure: Whether to accept any certificate: whoever answers then gets the key and the secret.
        timeout: Seconds to wait for the answer.

    Raises:
        OSError: The server cannot be reached.
        TlsError: It does not show a certificate that is trusted; nothing was told to it.
        ThingsTimeoutError: No answer in time.
    """
    client = client_for(
        host,
        provision_device_key,
        provision_device_secret,
        port,
        device_name=device_name,
        access_token=access_token,
        client_id=client_id,
        username=username,
        password=password,
        hash=hash,
        gateway=gateway,
        tls=tls,
        ca_certs=ca_certs,
        insecure=insecure,
    )
    client.provision(timeout)
    return client.get_credentials()
