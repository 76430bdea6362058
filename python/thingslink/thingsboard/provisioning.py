"""Asking a server for credentials of a new device (TB 1.6, 3.9)."""

import json
import logging
from typing import Any

from thingslink._native import _provision

log = logging.getLogger("tb_connection")


class ProvisionClient:
    """One provisioning request.

    Args:
        host: Name or address of the server.
        port: Its port; on 8883 TLS is spoken, whatever the certificate.
        provision_request: What is asked, as the server has it.
    """

    PROVISION_REQUEST_TOPIC = "/provision/request"
    PROVISION_RESPONSE_TOPIC = "/provision/response"

    def __init__(self, host: str, port: int, provision_request: dict[str, Any]) -> None:
        self._host = host
        self._port = port
        self._request = provision_request
        self._credentials: dict[str, Any] | None = None

    def provision(self, timeout: float = 60) -> None:
        """Ask, and wait for the answer at most ``timeout`` seconds.

        Raises:
            OSError: The server cannot be reached.
        """
        answer = json.loads(_provision(self._host, self._port, self._request, timeout))
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


def provision(
    host: str,
    provision_device_key: str,
    provision_device_secret: str,
    port: int = 1883,
    *,
    device_name: str | None = None,
    access_token: str | None = None,
    client_id: str | None = None,
    username: str | None = None,
    password: str | None = None,
    hash: str | None = None,  # noqa: A002 - the original's name
    gateway: bool | None = None,
) -> dict[str, Any] | None:
    """See ``TBDeviceMqttClient.provision``."""
    request: dict[str, Any] = {
        "provisionDeviceKey": provision_device_key,
        "provisionDeviceSecret": provision_device_secret,
    }
    if access_token is not None:
        request |= {"token": access_token, "credentialsType": "ACCESS_TOKEN"}
    elif username is not None or password is not None or client_id is not None:
        request |= {"username": username, "password": password, "clientId": client_id, "credentialsType": "MQTT_BASIC"}
    elif hash is not None:
        request |= {"hash": hash, "credentialsType": "X509_CERTIFICATE"}
    request |= {"deviceName": device_name, "gateway": gateway}
    # The server fails on a null: what is not given is left out.
    client = ProvisionClient(host, port, {key: value for key, value in request.items() if value is not None})
    client.provision()
    return client.get_credentials()
