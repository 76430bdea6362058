from datetime import timedelta
from os import PathLike
from types import TracebackType
from typing import Any, final

from typing_extensions import Self

@final
class Bridge:
    """Carry an application's messages from MQTT into a stream of NATS JetStream, and its downlinks back.

    Any number of bridges may run for one application, on any machines: each hears everything, and the stream keeps one
    of each message. What may be lost or come twice on which hop: ``docs/scale-out.md``. May be used in a ``with``
    statement.

    Args:
        app_id: Application, on a hosted stack of V3 with its tenant, as in ``"app@ttn"``.
        access_key: Its access key, or API key of V3.
        mqtt_address: The MQTT server: ``"host:port"``, ``"mqtt://…"``, ``"mqtts://…"``. May be empty with ``pubsub``.
        nats_address: ``"nats://host:4222"`` or ``"tls://…"``, several servers of a cluster separated by commas. The
            connection falls back to any of them.
        name: Of this bridge. With V2 the MQTT server keeps messages under it while the bridge is away, so it must be
            another one for each bridge of the application, and the same one after a restart.
        network: ``"v2"`` or ``"v3"``; by default what key and address tell.
        cluster: Of The Things Stack V3: ``"eu1"`` and the like, in place of ``mqtt_address``.
        tls: Whether MQTT is spoken over TLS, where the address leaves that open.
        ca_certs: Whom to trust at the MQTT server: a path, or PEM.
        keep_alive: Longest silence on MQTT in seconds before the connection is probed.
        pubsub: Subject below which a stack of one's own publishes over NATS itself (its Pub/Sub integration), such as
            ``"plant.v1"``.
        nats_user: User of the NATS server, with ``nats_password``.
        nats_password: Its password.
        nats_token: Token of the NATS server.
        nats_nkey: Seed of an nkey.
        nats_credentials: Path of a credentials file.
        nats_ca_certs: Whom to trust at the NATS server: a path, or PEM.
        nats_monitor: Monitoring of the NATS server, by default ``http://host:8222``; its settings are looked at there,
            if it lets us.
        window: Messages that may wait for JetStream's acknowledgement.
        spool: Folder for messages of V3, which come without a receipt, while NATS takes none; of this bridge alone.
            Without one they are kept in memory.
        spool_bytes: Bound of the spool in bytes. When it is full further messages are dropped, and counted.
        max_age: How long the stream keeps messages, in seconds; 7 days by default. A stream that is there keeps its
            own limits.
        max_bytes: Bound of the stream in bytes. When it is full it refuses messages, and they wait: at the MQTT server
            with V2, in the spool with V3.
        replicas: On how many servers of a cluster the stream is kept.
        management_address: On V3, where the stack's gRPC servers are, ``host`` or ``host:port``; known by itself for a
            ``cluster`` and for a hosted ``mqtt_address``. Where it is known downlinks are handed over there, and the
            answer says at once whether the network has them, and why not; elsewhere over MQTT. TLS with ``ca_certs``,
            else the system's certificates.
        insecure_channel: Whether gRPC is spoken in plain text.

    Raises:
        ValueError: An argument that cannot be used. No secret is shown.
        OSError: The credentials file cannot be read.
    """

    def __new__(
        cls,
        app_id: str,
        access_key: str,
        mqtt_address: str = "",
        nats_address: str = "nats://localhost:4222",
        *,
        name: str = "",
        network: str | None = None,
        cluster: str | None = None,
        tls: bool | None = None,
        ca_certs: str | bytes | PathLike[str] | None = None,
        keep_alive: float | timedelta | None = None,
        pubsub: str | None = None,
        nats_user: str | None = None,
        nats_password: str | None = None,
        nats_token: str | None = None,
        nats_nkey: str | None = None,
        nats_credentials: str | PathLike[str] | None = None,
        nats_ca_certs: str | bytes | PathLike[str] | None = None,
        nats_monitor: str | None = None,
        window: int = 1000,
        spool: str | PathLike[str] | None = None,
        spool_bytes: int = 1073741824,
        max_age: float | timedelta | None = None,
        max_bytes: int = ...,
        replicas: int = 1,
        management_address: str | None = None,
        insecure_channel: bool = False,
    ) -> Self: ...
    def connect(self, timeout: float | timedelta | None = None) -> None:
        """Connect both ends, make the streams where there are none, and begin to carry.

        Connections that are lost later come back by themselves.

        Args:
            timeout: Seconds for the MQTT server, 30 by default.

        Raises:
            LoginRefusedError: One of the servers refuses the login.
            StreamError: JetStream does not let us have the streams.
            OSError: A server is not reached, or the spool cannot be used.
            RuntimeError: It is connected already.
        """

    def close(self, timeout: float | timedelta | None = None) -> None:
        """Carry what was taken over, and part with both ends.

        What does not reach the stream in time stays with the MQTT server (V2) or in the spool (V3).

        Args:
            timeout: Seconds, 10 by default.
        """

    def stats(self) -> dict[str, Any]:
        """Give the counters.

        ``received``, ``published``, of these ``duplicates``; ``held`` and ``spooled`` messages and ``spool_bytes`` now;
        ``retried``, ``refused`` (too large for NATS), ``ignored``, ``dropped`` (spool or memory full); ``downlinks``,
        ``downlinks_refused``, ``downlinks_retried``; ``mqtt_connected``, ``nats_connected``; ``trouble`` is why the
        stream takes nothing now, in plain words, and empty while it does.

        Raises:
            RuntimeError: It is not connected.
        """

    @property
    def advice(self) -> list[str]:
        """What should be known of the NATS server: where acknowledged messages could be lost, in plain words."""

    @property
    def app_id(self) -> str:
        """The application."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...
