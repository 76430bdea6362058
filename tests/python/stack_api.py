"""The V3 sandbox over HTTP, as users' scripts see it."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from harness import PATIENCE
from stack_captures import key

if TYPE_CHECKING:
    from thingslink.sandbox import Sandbox


#: What a server makes, or what our definitions do not have.
MADE = {
    *("created_at", "updated_at", "correlation_id", "last_seen_at", "activated_at", "started_at"),
    *("lora_alliance_profile_ids", "mac_state", "queued_application_downlinks"),
}


def plain(answer: Any) -> Any:
    """Give an answer without what a server makes."""
    if isinstance(answer, dict):
        return {name: plain(value) for name, value in answer.items() if name not in MADE}
    if isinstance(answer, list):
        if answer and "RIGHT_" in answer[0]:
            # The rights of a key come in any order; those on users and gateways have no part in applications.
            return sorted(right for right in answer if right.startswith(("RIGHT_APPLICATION_", "RIGHT_ALL")))
        return [plain(value) for value in answer]
    return answer


class Api:
    """The sandbox, as users' scripts see it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.address = urlsplit(sandbox.http_address)

    def connect(self) -> http.client.HTTPConnection:
        host, port = self.address.hostname or "", self.address.port
        if self.address.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=PATIENCE)
        context = ssl.create_default_context(cadata=self.sandbox.ca_certs)
        return http.client.HTTPSConnection(host, port, timeout=PATIENCE, context=context)

    def ask(
        self,
        method: str,
        path: str,
        request: Any = None,
        *,
        auth: str | None = f"Bearer {key('FULL')}",
        whole: bool = False,
    ) -> tuple[int, dict[str, str], Any]:
        """Give status, headers and the body's JSON."""
        body = request if isinstance(request, bytes | None) else json.dumps(request).encode()
        connection = self.connect()
        try:
            headers = {} if auth is None else {"Authorization": auth}
            connection.request(method, path if path.startswith("/") else f"/api/v3/{path}", body, headers)
            response = connection.getresponse()
            text = response.read()
            told = {name.lower(): value for name, value in response.getheaders()}
            return response.status, told, text if whole else json.loads(text)
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        status, _, answer = self.ask("GET", path)
        assert status == 200, answer
        return answer
