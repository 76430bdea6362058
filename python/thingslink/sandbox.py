r"""An offline network in this process: broker, discovery and handler, applications with keys, simulated devices.

```python
with Sandbox() as sandbox:
    device = sandbox.device("node-1")
    client = MQTTClient(sandbox.app_id, sandbox.access_key, sandbox.mqtt_address)
    ...
    device.uplink(b"\x01")
    sandbox.wait_for(lambda: device.downlinks)  # the client's answer
    device.uplink()
    device.next_downlink().payload
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar

from thingslink import _scripts
from thingslink._arguments import checked
from thingslink._native import Follower, Stream, _Sandbox, _whole
from thingslink._watching import started, wait_for
from thingslink.sandbox_device import ReceivedDownlink, SandboxDevice
from thingslink.sandbox_thingsboard import ThingsBoard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from os import PathLike
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["Follower", "ReceivedDownlink", "Sandbox", "SandboxDevice", "Stream", "ThingsBoard"]

T = TypeVar("T")

#: The key of the first application, and the rights of a key that is given none, by network.
_ACCESS_KEYS = {
    "v2": "ttn-account-v2.demo",
    "v3": f"NNSXS.{'DEMO' * 9}KEY.{'DEMO' * 13}",
    # Signed with what every sandbox signs with: it opens nothing else.
    "chirpstack": (
        "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9."
        "eyJhdWQiOiJjaGlycHN0YWNrIiwiaXNzIjoiY2hpcnBzdGFjayIsInN1YiI6IjNmOGYyZDU0LTlhNjMtNGI1NS04Zj"
        "BlLTZkNjU2ZjAwMDAwMSIsInR5cCI6ImtleSJ9"
        ".O1jwUXMkZYc4Gwe3PavdN-39iTPxa3AvhFxuRO_hFVc"
    ),
}
_RIGHTS = {
    "v2": ("settings", "devices", "delete", "messages:up:r", "messages:down:w"),
    "v3": ("RIGHT_APPLICATION_ALL",),
    "chirpstack": ("tenant",),
}
#: What is said to a network that does not have it.
_ONLY = {
    "discovery_port": ("v2",),
    "handler_port": ("v2",),
    "state": ("v2",),
    "insecure": ("v2", "v3"),
    "tenant": ("v3",),
    "http_port": ("v3",),
    "storage": ("v3",),
    "management_port": ("v3", "chirpstack"),
    "protobuf": ("chirpstack",),
    "event_qos": ("chirpstack",),
    "client_certificates": ("chirpstack",),
    "event_topic": ("chirpstack",),
    "command_topic": ("chirpstack",),
}


@checked
class Sandbox(_Sandbox):
    """A network of one's own: The Things Network V2, The Things Stack V3, or ChirpStack 4.

    Any MQTT 3.1.1 client and any gRPC client can use it.

    A context manager: serves from enter to exit. It can be entered again and then serves on the same ports, with the
    applications, devices and sessions that it had.

    Args:
        app_id: ID of the application that exists from the start.
        access_key: Its key; by default one that has the network's form.
        network: ``"v2"``, ``"v3"`` or ``"chirpstack"``. A V3 sandbox serves MQTT as a stack 3.32 does, with all its
            silences: wrong downlinks are acknowledged and dropped, nothing is kept for clients that are away, and slow
            readers lose messages. A ChirpStack sandbox is a broker, open to everybody until `add_mqtt_user`, and a
            server 4.20 as its client: wrong commands are acknowledged and end in `server_log` alone, commands that come
            at once are queued in any order, and one of more than 10 kB costs all of the next second.
        tenant: With ``network="v3"``, the tenant of the applications, as on hosted stacks: logins and topics name
            ``app_id@tenant`` then. ``None`` is a stack of one's own, which has none.
        host: Address to listen on.
        mqtt_port: Port of plain MQTT; 0 takes a free one.
        mqtts_port: Port of MQTT over TLS; 0 takes a free one, ``None`` serves none.
        management_port: Port of V3's four servers (gRPC), or of ChirpStack's API (gRPC and gRPC-web, in plain text as
            there); 0 takes a free one.
        http_port: Port of the same calls over HTTP, in JSON; 0 takes a free one.
        storage: Whether V3's storage integration keeps the latest 10,000 messages to applications; by default it does
            with a `tenant`, as hosted stacks do, and else not.
        discovery_port: Port of V2's discovery service (gRPC); 0 takes a free one.
        handler_port: Port of V2's handler (gRPC); 0 takes a free one.
        insecure: Whether what is called over gRPC and HTTP speaks plain text in place of TLS.
        protobuf: Whether ChirpStack writes and reads protobuf in place of JSON.
        event_qos: The level at which ChirpStack publishes events: 0, its default, or 1.
        client_certificates: Whether ChirpStack's broker wants a certificate of TLS clients. Who shows one is limited to
            its application in any case.
        event_topic: How ChirpStack writes the topics of its events, as in its configuration:
            ``"application/{{application_id}}/device/{{dev_eui}}/event/{{event}}"`` by default.
        command_topic: Likewise the topics of commands, with ``{{command}}``.
        state: File that keeps applications and devices of V2, so that a sandbox started again with it knows them.
            Access keys are not in it.
        seed: Makes radio conditions (``rssi``, ``data_rate``, …) repeatable.
        any_key: Whether any application and access key may log in: applications exist as soon as somebody names them.
            For programs that are to run as they are.
        thingsboard_port: Port of ThingsBoard's MQTT, served as soon as `thingsboard` is looked at; 0 takes a free one.
        thingsboard_tls_port: Its port over TLS; 0 takes a free one, ``None`` serves none.
        max_connections: Most connections at a time, over all ports of the network, and as many of its ThingsBoard. More
            are closed as they come; the log says so when it begins. The process may have fewer open files (``ulimit
            -n``).

    Raises:
        ValueError: `network` is another, or something is given that it does not have.
    """

    app_id: str
    access_key: str
    network: Literal["v2", "v3", "chirpstack"]
    tenant: str | None
    _thingsboard: ThingsBoard
    _of_thingsboard: ClassVar[type[ThingsBoard]] = ThingsBoard

    def __new__(
        cls,
        app_id: str = "demo-app",
        access_key: str | None = None,
        *,
        network: Literal["v2", "v3", "chirpstack"] = "v2",
        tenant: str | None = None,
        host: str = "127.0.0.1",
        mqtt_port: int = 0,
        mqtts_port: int | None = None,
        management_port: int = 0,
        http_port: int = 0,
        storage: bool | None = None,
        discovery_port: int = 0,
        handler_port: int = 0,
        insecure: bool = False,
        state: str | PathLike[str] | None = None,
        seed: int | None = None,
        any_key: bool = False,
        thingsboard_port: int = 0,
        thingsboard_tls_port: int | None = None,
        max_connections: int = 10_000,
        protobuf: bool = False,
        event_qos: int = 0,
        client_certificates: bool = False,
        event_topic: str | None = None,
        command_topic: str | None = None,
    ) -> Self:
        """Describe a sandbox; `start` or entering it as a context serves."""
        if network not in _ACCESS_KEYS:
            raise ValueError(f'network {network!r} is not valid: expected "v2", "v3" or "chirpstack"')
        given = {
            "discovery_port": discovery_port,
            "handler_port": handler_port,
            "state": state,
            "insecure": insecure,
            "tenant": tenant,
            "http_port": http_port,
            "storage": storage,
            "management_port": management_port,
            "protobuf": protobuf,
            "event_qos": event_qos,
            "client_certificates": client_certificates,
            "event_topic": event_topic,
            "command_topic": command_topic,
        }
        for name, value in given.items():
            if value and network not in _ONLY[name]:
                raise ValueError(f"{name} {value!r} does not go together with network={network!r}")
        self = super().__new__(
            cls,
            host,
            mqtt_port,
            mqtts_port,
            discovery_port,
            handler_port,
            insecure,
            state,
            seed,
            any_key,
            network,
            tenant,
            management_port,
            http_port,
            storage,
            max_connections,
            protobuf,
            event_qos,
            client_certificates,
            event_topic,
            command_topic,
        )
        self.app_id = app_id
        self.access_key = _ACCESS_KEYS[network] if access_key is None else access_key
        self.network = network
        self.tenant = tenant
        _whole("thingsboard_port", thingsboard_port, 0, 65_535)
        if thingsboard_tls_port is not None:
            _whole("thingsboard_tls_port", thingsboard_tls_port, 0, 65_535)
        self._thingsboard = cls._of_thingsboard(
            host=host, port=thingsboard_port, tls_port=thingsboard_tls_port, max_connections=max_connections
        )
        return self

    @property
    def username(self) -> str:
        """The user name that clients of the first application log in with."""
        return self.app_id if self.tenant is None else f"{self.app_id}@{self.tenant}"

    @property
    def thingsboard(self) -> ThingsBoard:
        """The sandbox's ThingsBoard; serves from the first look at it until the sandbox stops."""
        self._thingsboard.start()
        return self._thingsboard

    def start(self) -> None:
        """Serve; again on the same ports after a stop.

        Raises:
            SandboxError: An address cannot be listened on.
        """
        _scripts.prepare()
        self._start()
        started.add(self)
        if self.app_id:
            self.add_application(self.app_id, self.access_key)

    def stop(self) -> None:
        """Cut all connections, end streams and serve no longer. Returns when everything has ended."""
        ThingsBoard.stop(self._thingsboard)
        self._stop(True)

    def restart(self, *, keep_state: bool = True) -> None:
        """Serve no longer, and again on the same ports; streams go on meanwhile.

        Args:
            keep_state: Whether sessions, retained messages and downlink queues survive, as in a broker that stores
                them; on V3 there are queues alone. Applications and devices survive in any case.
        """
        self._stop(False)
        if not keep_state:
            self._forget(False)
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

    @property
    def application_id(self) -> str:
        """The ID of ChirpStack's first application, a UUID; ``AttributeError`` on the other networks."""
        return self._application_id(self.app_id)

    def client_certificate(self, app_id: str | None = None) -> tuple[str, str]:
        """Give a client certificate of an application of ChirpStack, and its key, as PEM texts.

        Args:
            app_id: The application; by default the first one.
        """
        return self._client_certificate(app_id or self.app_id)

    def add_application(
        self,
        app_id: str,
        access_key: str,
        rights: str | Iterable[str] | None = None,
    ) -> None:
        """Register an application, or give a known one another key.

        Args:
            app_id: 2 to 36 of ``a-z 0-9``, single ``-`` or ``_`` between them; on V3 3 to 36, and no ``_``; on
                ChirpStack any name. Where an application of ChirpStack is asked for, its ID does as well.
            access_key: The password of its login; on V3 ``NNSXS.``, 39 of ``A-Z 0-9``, a dot and 52 of them; on
                ChirpStack a key of the sandbox, such as one of `api_key`.
            rights: All of a normal key unless given. On V2 ``settings`` to change the application, ``devices`` for its
                devices, ``delete`` to delete it, ``messages:up:r`` to receive, ``messages:down:w`` to send.
                ``messages:up:w``, which no real key has, permits to publish what only the network does. On V3 the
                stack's names, such as ``RIGHT_APPLICATION_TRAFFIC_READ`` to receive and
                ``RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE`` to send. On ChirpStack one of ``tenant``, ``admin``,
                ``read-only``.

        Raises:
            ValueError: The network would not have such an ID, key or right.
        """
        if rights is None:
            rights = _RIGHTS[self.network]
        self._add_application(app_id, access_key, rights)

    def device(self, dev_id: str, app_id: str | None = None, *, joined: bool = True) -> SandboxDevice:
        """Give a simulated device, registered now if it is new.

        Args:
            dev_id: 2 to 36 of ``a-z 0-9``, single ``-`` or ``_`` between them; on V3 3 to 36, and no ``_``. On
                ChirpStack a name, or a DevEUI of 16 hex digits.
            app_id: Its application; by default the first one.
            joined: Whether it has joined from the start. On V3 a device that has not takes no downlinks and sends
                nothing until its `SandboxDevice.join`; on ChirpStack it sends nothing; on V2 every device has.
        """
        app_id = app_id or self.app_id
        if joined:
            self._register(app_id, dev_id)
        else:
            self._register_unjoined(app_id, dev_id)
        return SandboxDevice(self, app_id, dev_id)

    def devices(self, app_id: str | None = None) -> list[str]:
        """Give the IDs of an application's devices, sorted."""
        return self._devices(app_id or self.app_id)

    def stream(
        self,
        *,
        rate: float,
        devices: int = 1,
        count: int | None = None,
        seed: int = 0,
        app_id: str | None = None,
    ) -> Stream:
        """Let many devices send temperature and humidity, in the background.

        Args:
            rate: Uplinks per second, all devices together.
            devices: Number of devices, 1 to 100,000, called ``sim-00001`` and so on.
            count: Uplinks in all; ``None`` goes on until stopped.
            seed: Makes the payloads and the order of the devices repeatable.
            app_id: Their application; by default the first one.
        """
        return self._stream(app_id or self.app_id, devices, rate, count, seed)

    def wait_for(self, holds: Callable[[], T | None], *, timeout: float = 10) -> T:
        """Wait until something holds: a client is connected, a downlink has come, a program has written its file.

        In a coroutine, ``await asyncio.to_thread(sandbox.wait_for, holds)``.

        Args:
            holds: Asked after each entry of the journal, and every 50 ms, until it gives something true.
            timeout: Seconds to wait.

        Returns:
            What `holds` gave.

        Raises:
            TimeoutError: It gave nothing true in that time; says what happened last.
        """
        return self._wait_for(holds, timeout, lambda: "what is waited for did not come true")

    def _wait_for(self, holds: Callable[[], T | None], timeout: float, missing: Callable[[], str]) -> T:
        return wait_for(holds, timeout, follow=self.follow, missing=missing, journal=lambda: self.journal)

    def __repr__(self) -> str:
        return f"<Sandbox app_id={self.app_id!r}{f' network={self.network}' * (self.network != 'v2')}>"
