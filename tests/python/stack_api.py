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
