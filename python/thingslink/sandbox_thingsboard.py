r"""An offline ThingsBoard in this process: its MQTT device and gateway API, for tries and tests.

```python
with ThingsBoard() as server:
    server.add_device("Pump 1", token="A1_TEST_TOKEN")
    client = TBDeviceMqttClient(server.host, server.port, "A1_TEST_TOKEN")
    client.connect()
    client.send_telemetry({"temperature": 21.5}).get()
    server.telemetry_of("Pump 1")
```
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from thingslink._arguments import checked
from thingslink._native import _ThingsBoard
from thingslink._watching import started, wait_for
from thingslink.thingsboard.checksum import checksum as package_checksum

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["ThingsBoard"]

T = TypeVar("T")


@checked
class ThingsBoard(_ThingsBoard):
    """A ThingsBoard of one's own, without rule chains: what devices send is kept, what tests ask for is sent.

    It is as strict, and as lenient, as a real one of release 4.3: what that one closes a connection over ends it here.

    A context manager: serves from enter to exit. It can be entered again and then serves on the same ports, with the
    devices that it had. Any MQTT client of level 3.1, 3.1.1 or 5 can use it.

    Args:
        host: Address to listen on.
        port: Port of plain MQTT; 0 takes a free one.
        tls_port: Port of MQTT over TLS, where clients may show a certificate; 0 takes a free one, ``None`` serves none.
        max_connections: Most connections at a time. More are closed as they come; the log says so when it begins.
    """

    def __new__(
        cls,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls_port: int | None = None,
        max_connections: int = 10_000,
    ) -> Self:
        """Describe a server; `start` or entering it as a context serves."""
        return super().__new__(cls, host, port, tls_port, max_connections)

    def start(self) -> None:
        """Serve; again on the same ports after a stop.

        Raises:
            SandboxError: An address cannot be listened on.
        """
        self._start()
        started.add(self)

    def stop(self) -> None:
        """Cut all connections and serve no longer. Returns when everything has ended."""
        self._stop()

    def restart(self) -> None:
        """Stop and serve again on the same ports, with the same devices."""
        self._stop()
        self._start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def add_device(
        self,
        name: str,
        token: str | None = None,
        *,
        client_id: str | None = None,
        username: str | None = None,
        password: str | None = None,
        certificate: str | bytes | None = None,
        gateway: bool = False,
        profile: str = "default",
    ) -> None:
        """Register a device, or give a known one other credentials, which ends its session.

        Args:
            name: Its name.
            token: Access token; one of the ways to log in.
            client_id: Part of basic credentials, any combination of which is another way.
            username: Part of basic credentials.
            password: Part of basic credentials.
            certificate: PEM certificate, the third way.
            gateway: Whether it may speak for other devices.
            profile: Name of its device profile.
        """
        pem = certificate.encode() if isinstance(certificate, str) else certificate
        self._add_device(name, profile, gateway, token, client_id, username, password, pem)

    def limit(
        self,
        *,
        messages: str = "",
        telemetry_messages: str = "",
        telemetry_data_points: str = "",
        in_flight: int = 100,
        payload_bytes: int = 0,
        behind_gateways: Mapping[str, str] | None = None,
    ) -> None:
        """Tell sessions these limits and hold devices to them; everything is given back first.

        A device that exceeds one is cut off (131 in MQTT 5). What devices behind a gateway exceed together is not
        taken (151), and the gateway is cut off; for a device that it connects, with 139.

        Args:
            messages: ``"count:seconds,…"`` for what is no telemetry: logins, requests, calls; empty for none.
            telemetry_messages: Telemetry and attributes.
            telemetry_data_points: The values in them.
            in_flight: Unacknowledged messages; only told.
            payload_bytes: Bytes of a message with its topic; 0 for the server's default, 65536.
            behind_gateways: The first three by their names for all devices behind a gateway together; unless given,
                as the gateway's own.
        """
        names = ("messages", "telemetry_messages", "telemetry_data_points")
        if unknown := set(behind_gateways or ()) - set(names):
            raise TypeError(f"there are no limits {sorted(unknown)}: expected {names}")
        behind = None if behind_gateways is None else tuple(behind_gateways.get(name, "") for name in names)
        self._limit(messages, telemetry_messages, telemetry_data_points, in_flight, payload_bytes, behind)

    def device(self, name: str) -> dict[str, Any] | None:
        """Give what is known of a device: name, profile, gateway, credentials, claim; ``None`` if it does not exist."""
        text = self._device(name)
        return None if text is None else json.loads(text)

    def telemetry_of(self, device: str) -> list[dict[str, Any]]:
        """Give the telemetry of a device as it came: ``{"ts": ms, "values": {...}}`` each."""
        found: list[dict[str, Any]] = json.loads(self._telemetry(device))
        return found

    def attributes_of(self, device: str, scope: str = "client") -> dict[str, Any]:
        """Give the attributes of a device, of the scope ``client`` or ``shared``."""
        found: dict[str, Any] = json.loads(self._attributes(device, scope))
        return found

    def set_client(self, device: str, values: Mapping[str, Any]) -> None:
        """Set client attributes of a device, as if it had sent them."""
        self._set_attributes(device, "client", json.dumps(values))

    def set_shared(self, device: str, values: Mapping[str, Any]) -> None:
        """Set shared attributes of a device, which are pushed to it."""
        self._set_attributes(device, "shared", json.dumps(values))

    def delete_shared(self, device: str, keys: str | Iterable[str]) -> None:
        """Delete shared attributes of a device, which is told; a text is one of them."""
        self._delete_shared(device, keys)

    def rpc(self, device: str, method: str, params: Any = None, *, timeout: float = 5) -> Any:
        """Call a device and give its answer.

        Raises:
            ValueError: The device is unknown, not connected, or has answered with something that is no JSON.
            ThingsTimeoutError: It has not answered within ``timeout`` seconds.
        """
        return json.loads(self._call(device, method, json.dumps(params), timeout))

    def script(self, method: str, answer: Any) -> None:
        """Answer calls of clients to this method so; others stay unanswered, as with a rule chain that has none."""
        self._script(method, json.dumps(answer))

    def leave_unanswered(self, method: str) -> None:
        """Do not answer calls of clients to this method."""
        self._script(method, None)

    def offer_firmware(
        self,
        device: str,
        title: str,
        version: str,
        data: bytes,
        *,
        algorithm: str = "SHA256",
        checksum: str | None = None,
    ) -> None:
        """Offer a firmware package to a device, through its shared attributes.

        Args:
            device: Its name.
            title: ``fw_title``.
            version: ``fw_version``.
            data: The package.
            algorithm: One of those that ThingsBoard has.
            checksum: ``fw_checksum``; computed if it is not given.
        """
        self._offer("fw", device, data, title=title, version=version, algorithm=algorithm, checksum=checksum)

    def offer_software(
        self,
        device: str,
        title: str,
        version: str,
        data: bytes,
        *,
        algorithm: str = "SHA256",
        checksum: str | None = None,
    ) -> None:
        """Offer a software package to a device, as ``offer_firmware`` does with firmware (``sw_title``, …)."""
        self._offer("sw", device, data, title=title, version=version, algorithm=algorithm, checksum=checksum)

    def _offer(self, kind: str, device: str, data: bytes, *, algorithm: str, checksum: str | None, **told: str) -> None:
        known = package_checksum(data, algorithm) if checksum is None else checksum
        attributes = {**told, "size": len(data), "checksum": known, "checksum_algorithm": algorithm}
        text = json.dumps({f"{kind}_{name}": value for name, value in attributes.items()})
        self._offer_package(device, kind, text, data)

    def wait_for(self, holds: Callable[[], T | None], *, timeout: float = 10) -> T:
        """Wait until something holds, as `thingslink.sandbox.Sandbox.wait_for` does.

        Raises:
            TimeoutError: It did not within ``timeout`` seconds; says what happened last.
        """
        missing = "what is waited for did not come true"
        return wait_for(holds, timeout, follow=self.follow, missing=lambda: missing, journal=lambda: self.journal)

    def __repr__(self) -> str:
        return f"<ThingsBoard host={self.host!r}>"
