"""The offline servers."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import Any, final

from thingslink._native.arguments import _Octets, _Seconds
from typing_extensions import Self

class _Sandbox:
    def __new__(
        cls,
        host: str = "127.0.0.1",
        mqtt_port: int = 0,
        mqtts_port: int | None = None,
        discovery_port: int = 0,
        handler_port: int = 0,
        insecure: bool = False,
        state: str | PathLike[str] | None = None,
        seed: int | None = None,
        any_key: bool = False,
        network: str = "v2",
        tenant: str | None = None,
        management_port: int = 0,
        http_port: int = 0,
        storage: bool | None = None,
        max_connections: int = 10_000,
        protobuf: bool = False,
        event_qos: int = 0,
        client_certificates: bool = False,
        event_topic: str | None = None,
        command_topic: str | None = None,
    ) -> Self: ...
    @property
    def mqtt_address(self) -> str:
        """``host:port`` of plain MQTT."""
    @property
    def mqtts_address(self) -> str | None:
        """``mqtts://host:port``, if TLS is served."""
    @property
    def discovery_address(self) -> str:
        """``host:port`` of the discovery service; ``AttributeError`` but on V2."""
    @property
    def handler_address(self) -> str:
        """``host:port`` of the handler, over gRPC; ``AttributeError`` but on V2."""
    @property
    def management_address(self) -> str:
        """``host:port`` of what is called over gRPC: the four servers of a stack, ChirpStack's API.

        ChirpStack's is in plain text, and serves gRPC-web over HTTP/1.1 as well. ``AttributeError`` on V2.
        """
    @property
    def http_address(self) -> str:
        """``https://host:port`` of the same calls over HTTP, in JSON; ``http://host:port`` of an insecure sandbox.

        Paths begin with ``/api/v3``. ``AttributeError`` but on V3.
        """
    def end_day(self) -> int:
        """Part with all connections as the stack does when they are 24 hours old.

        Those of MQTT are closed; those of gRPC and HTTP take no more calls, answer what is under way and end their
        streams. Gives how many clients of MQTT there were. ``AttributeError`` but on V3.
        """
    @property
    def tenant_id(self) -> str:
        """The ID of the tenant that ChirpStack's applications belong to; ``AttributeError`` on the other networks."""
    def api_key(self, kind: str = "tenant") -> str:
        """Make an API key of ChirpStack: of the ``tenant``, an ``admin`` one, or a ``read-only`` one of the tenant."""
    def add_mqtt_user(self, name: str, password: str, app_id: str | None = None) -> None:
        """Let a user log in to ChirpStack's broker; from then on nobody else may.

        With an application the user sees and writes what belongs to it, and nothing else: every subscription is
        granted, and what is not its own never comes.
        """
    def refuse_downlinks(self, reason: str = "", count: int = 1) -> None:
        """Let gateways refuse to send the next downlinks, such as with ``TOO_LATE``. ``AttributeError`` on V2.

        On ChirpStack they do not answer where there is no reason, and what they refuse stays in the queue. On V3 it has
        failed.

        Args:
            reason: On ChirpStack any. On V3 ``UNKNOWN_ERROR``, ``TOO_LATE``, ``TOO_EARLY``, ``COLLISION_PACKET``,
                ``COLLISION_BEACON``, ``TX_FREQ``, ``TX_POWER`` or ``GPS_UNLOCKED``, else ``ValueError``.
            count: How many downlinks.
        """
    @property
    def server_log(self) -> list[str]:
        """What ChirpStack has written to its log, first to last, the latest 1,000 lines.

        Of what is wrong with a command nobody else is told. ``AttributeError`` on the other networks.
        """
    @property
    def ca_certs(self) -> str:
        """The PEM certificate that TLS clients must trust."""
    def limit_calls(self, per_second: float | None) -> None:
        """Let the handler answer so many calls a second for each application; ``None`` for any number.

        ``AttributeError`` but on V2.
        """
    def add_administrator(self, user_id: str, access_key: str) -> None:
        """Register an administrator with an API key, or give one another key. On V3 only.

        The key may do anything, by MQTT, gRPC and HTTP, and makes applications (``POST
        /api/v3/users/{user_id}/applications``).

        Args:
            user_id: 3 to 36 of ``a-z 0-9``, single ``-`` between them.
            access_key: ``NNSXS.``, 39 of ``A-Z 0-9``, a dot and 52 of them.

        Raises:
            ValueError: The stack would not have such an ID or key.
        """
    def limit(self, name: str, per_minute: float | None, *, burst: int = 1) -> None:
        """Limit what the stack calls so to that many a minute and a burst; ``None`` ends it. On V3 only.

        Over the limit ``as:accept:mqtt`` closes new connections without an answer, and ``as:down:mqtt`` the connection
        of a client that publishes, each application and key counted for itself. ``grpc:method`` refuses calls, each
        method, device and key counted for itself, and adds the stack's ``x-rate-limit-...`` to every answer.
        """
    def lose_identity_server(self, on: bool = True) -> None:
        """Refuse logins and calls as a stack does whose Identity Server is away, or no longer. On V3 only.

        Logins get code 5, which is what a wrong key gets; calls are ``UNAVAILABLE``. Who is connected stays so.
        """
    @property
    def clients(self) -> list[str]:
        """Identifiers of the clients that are connected, sorted."""
    def backlog(self, client_id: str) -> int:
        """Count the messages that wait for a client or are unacknowledged by it."""
    def publish_raw(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish bytes as they are, as if the network did: for tests of what a network should not send."""
    @property
    def journal(self) -> list[dict[str, Any]]:
        """What passed through lately, first to last: up to 1,000 entries, as `Follower` gives them."""
    def follow(self) -> Follower:
        """Follow what passes through, from now on."""
    def cut(self, client_id: str | None = None) -> int:
        """Cut the connections of one client, or of all; gives how many there were."""
    def refuse_logins(self, code: int) -> None:
        """Refuse every login with this CONNACK code, 1 to 255; 0 ends it."""
    def refuse_connections(self, on: bool = True) -> None:
        """Close every new connection at once, or no longer."""
    def go_silent(self, on: bool = True) -> None:
        """Neither read nor write on any connection, or go on."""
    def delay(self, delay: _Seconds) -> None:
        """Hold every message to clients back for so many seconds."""
    def duplicate(self, count: int = 1) -> None:
        """Send the next messages to clients twice."""
    def garble(self, count: int = 1) -> None:
        """Garble the payload of the next messages to clients."""
    def withhold_acks(self, count: int = 1) -> None:
        """Do not acknowledge the next QoS 1 messages of clients."""
    def clear_faults(self) -> None:
        """Switch all faults off."""
    def _start(self) -> None: ...
    def _stop(self, streams: bool) -> None: ...
    def _forget(self, devices: bool) -> None: ...
    def _add_application(self, app_id: str, access_key: str, rights: str | Iterable[str]) -> None: ...
    def _register(self, app_id: str, dev_id: str) -> None: ...
    def _register_unjoined(self, app_id: str, dev_id: str) -> None: ...
    def _application_id(self, app_id: str) -> str: ...
    def _client_certificate(self, app_id: str) -> tuple[str, str]: ...
    def _dev_eui(self, app_id: str, dev_id: str) -> str: ...
    def _set_counter(self, app_id: str, dev_id: str, counter: int) -> None: ...
    def _report_status(self, app_id: str, dev_id: str, margin: int, battery: int) -> int: ...
    def _integrate(self, app_id: str, dev_id: str, name: str, event_type: str, fields: Mapping[str, Any]) -> None: ...
    def _set_spreading_factor(self, app_id: str, dev_id: str, spreading: int) -> None: ...
    def _delete(self, app_id: str, dev_id: str) -> None: ...
    def _devices(self, app_id: str) -> list[str]: ...
    def _locate(self, app_id: str, dev_id: str, latitude: float, longitude: float, altitude: int) -> None: ...
    def _configure(
        self,
        app_id: str,
        dev_id: str,
        attributes: dict[str, str] | None = None,
        acknowledges: bool | None = None,
    ) -> None: ...
    def _join(self, app_id: str, dev_id: str) -> None: ...
    def _uplink(
        self,
        app_id: str,
        dev_id: str,
        payload: str | _Octets | None,
        fields: Mapping[str, Any] | None,
        port: int,
        confirmed: bool,
        is_retry: bool,
    ) -> int: ...
    def _downlinks(self, app_id: str, dev_id: str) -> list[str]: ...
    def _received(self, app_id: str, dev_id: str) -> list[tuple[bytes, int, bool, int]]: ...
    def _next_received(self, app_id: str, dev_id: str) -> tuple[bytes, int, bool, int] | None: ...
    def _stream(self, app_id: str, devices: int, rate: float, count: int | None, seed: int) -> Stream: ...

@final
class Stream:
    """Uplinks of many devices, sent in the background, from ``Sandbox.stream``."""

    def wait(self) -> int:
        """Wait for the end; gives the number of uplinks. Ctrl-C stops the stream.

        Raises:
            RuntimeError: It was stopped, or has been waited for.
        """
    def _wait_async(self) -> asyncio.Future[int]:
        """Give the same as a future of asyncio."""
    def stop(self) -> None:
        """Send no more."""

@final
class Follower:
    """What passes through a sandbox, from ``Sandbox.follow``. Iterating waits for each entry.

    An entry is a dict with ``kind``: ``connected``, ``refused``, ``disconnected``, ``subscribed`` or ``published``, and
    what belongs to it: ``client_id``, ``app_id``, ``code``, ``clean``, ``filter``, ``topic``, ``payload``, ``qos``,
    ``allowed``. The network's own messages have ``None`` as ``client_id``.
    """

    def next(self, timeout: _Seconds | None = None) -> dict[str, Any] | None:
        """Wait for the next entry; ``None`` if there is none within ``timeout`` seconds."""
    def _next_async(self, timeout: _Seconds | None = None) -> asyncio.Future[dict[str, Any] | None]:
        """Give the same as a future of asyncio."""
    def __iter__(self) -> Self: ...
    def __next__(self) -> dict[str, Any]: ...

class _ThingsBoard:
    def __new__(
        cls, host: str = "127.0.0.1", port: int = 0, tls_port: int | None = None, max_connections: int = 10_000
    ) -> Self: ...
    @property
    def host(self) -> str:
        """Address that it listens on."""
    @property
    def port(self) -> int:
        """Port of plain MQTT."""
    @property
    def tls_port(self) -> int | None:
        """Port of MQTT over TLS, if it is served."""
    @property
    def ca_certs(self) -> str:
        """The PEM certificate that TLS clients must trust."""
    def delete_device(self, name: str) -> None:
        """Delete a device; its sessions are ended (152 in MQTT 5)."""
    @property
    def devices(self) -> list[str]:
        """Names of the devices, sorted."""
    @property
    def connected(self) -> list[str]:
        """Names of the devices that are connected, themselves or through a gateway, sorted."""
    def allow_provisioning(self, key: str | None = None, secret: str | None = None) -> None:
        """Let devices be provisioned with this key and secret; without them no longer."""
    def reject(self, topic: str, reason: int, count: int = 1) -> None:
        """Acknowledge the next messages on topics that begin so with this reason code, 128 to 255 (MQTT 5)."""
    def refuse_level_5(self, on: bool = True) -> None:
        """Refuse level 5 of MQTT, or no longer."""
    def drop_device(self, device: str, reason: int = 150) -> None:
        """Drop a device behind a gateway, as the server does: for a reason such as 150, its rate."""
    def push_raw(self, device: str, topic: str, payload: bytes) -> int:
        """Send bytes to a device as they are, for tests of what no server should send; gives the sessions reached."""
    def cut(self) -> int:
        """Cut all connections; gives how many there were."""
    def refuse_logins(self, code: int) -> None:
        """Refuse every login with this CONNACK code, 1 to 255; 0 ends it."""
    def refuse_connections(self, on: bool = True) -> None:
        """Close every new connection at once, or no longer."""
    def go_silent(self, on: bool = True) -> None:
        """Neither read nor write on any connection, or go on."""
    def withhold_acks(self, count: int = 1) -> None:
        """Do not acknowledge the next QoS 1 messages of clients."""
    @property
    def journal(self) -> list[dict[str, Any]]:
        """What passed through lately, first to last: up to 1,000 entries, as `Follower` gives them."""
    def follow(self) -> Follower:
        """Follow what passes through, from now on."""
    def _start(self) -> None: ...
    def _stop(self) -> None: ...
    def _add_device(
        self,
        name: str,
        profile: str,
        gateway: bool,
        token: str | None,
        client_id: str | None,
        username: str | None,
        password: str | None,
        certificate: bytes | None,
    ) -> None: ...
    def _device(self, name: str) -> str | None: ...
    def _telemetry(self, device: str) -> str: ...
    def _attributes(self, device: str, scope: str) -> str: ...
    def _set_attributes(self, device: str, scope: str, values: str) -> None: ...
    def _delete_shared(self, device: str, keys: str | Iterable[str]) -> None: ...
    def _call(self, device: str, method: str, params: str, timeout: _Seconds) -> str: ...
    def _script(self, method: str, answer: str | None) -> None: ...
    def _limit(
        self,
        messages: str,
        telemetry_messages: str,
        telemetry_points: str,
        in_flight: int,
        payload_bytes: int,
        behind: tuple[str, ...] | None,
    ) -> None: ...
    def _offer_package(self, device: str, kind: str, attributes: str, data: bytes) -> None: ...

def _run_scripts_by(program: Sequence[str]) -> None:
    """Have payload functions run by processes of this program, which calls ``_serve_scripts``. Said once."""

def _serve_scripts() -> None:
    """Run payload functions that come over standard input, until there are no more."""
