"""A device over ThingsBoard's HTTP API: `tb_device_http` of the `tb-mqtt-client` package."""

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from thingslink._arguments import checked
from thingslink._native import Callback, ThingsError, _real, _replace_file, _to_json

from . import constructor
from .checksum import verify_checksum
from .constants import (
    FW_CHECKSUM_ALG_ATTR,
    FW_CHECKSUM_ATTR,
    FW_ERROR_ATTR,
    FW_SIZE_ATTR,
    FW_STATE_ATTR,
    FW_TITLE_ATTR,
    FW_VERSION_ATTR,
    REQUIRED_SHARED_KEYS,
    TBFirmwareState,
)
from .http_answer import UNAUTHORIZED, TBHTTPAPIException, TBProvisionFailure, check, content
from .http_connection import Answer, HttpConnection, Server
from .http_workers import Publisher, Subscription

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from os import PathLike
    from typing import TypeAlias

    from typing_extensions import Self

    _Callback: TypeAlias = Callable[[Any], object]
    #: Numbers count by their truth, as ever.
    _Truth: TypeAlias = bool | int


@checked
class TBHTTPDevice:
    """A device of a ThingsBoard server, over HTTP.

    Requests go over one connection that is kept alive; each subscription has another. May be used from any threads. A
    context manager: `close` on exit.

    Args:
        host: URL of the server, such as ``https://thingsboard.example``.
        token: Access token of the device.
        name: What the device is called here; of no other use.
        chunk_size: Bytes of the pieces of a firmware download; 0 asks for the whole.
        timeout: Seconds to wait for an answer, unless a call says something else.
        ca_certs: Certificates to trust instead of the system's: a path, PEM text or PEM bytes.
        insecure: Whether to accept any certificate: no protection against an impostor.

    Raises:
        ValueError: An argument that cannot be used.
        OSError: A file of certificates cannot be read.
    """

    __module__ = "thingslink.tb_device_http"

    def __init__(
        self,
        host: str,
        token: str,
        name: str | None = None,
        chunk_size: int = 0,
        *,
        timeout: float = 30,
        ca_certs: str | bytes | PathLike[str] | None = None,
        insecure: bool = False,
    ) -> None:
        if not isinstance(token, str) or not token.strip():
            raise ValueError("token is not valid: expected the access token of a device")
        if _real("timeout", timeout) <= 0:
            raise ValueError(f"timeout {timeout} is not valid: expected seconds, more than 0")
        self._server = Server.of(host, ca_certs, insecure=insecure)
        self._host, self._token, self._name, self._timeout = host.strip().rstrip("/"), token, name, timeout
        self._connection = HttpConnection(self._server)
        self._publisher = Publisher(self)
        self._subscriptions: dict[str, Subscription] = {}
        self._callbacks: dict[str, Callback] = {}
        self._lock = threading.Lock()
        self._last_ms = 0
        self.chunk_size = constructor.number("chunk_size", chunk_size)
        self.current_firmware_info: dict[str, Any] = {"current_fw_title": None, "current_fw_version": None}

    def __repr__(self) -> str:
        return f"<ThingsBoard ({self.host}) HTTP device {self.name}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: object, _value: object, _traceback: object) -> None:
        self.close()

    @property
    def host(self) -> str:
        """URL of the server."""
        return self._host

    @property
    def name(self) -> str | None:
        """What the device is called here."""
        return self._name

    @property
    def timeout(self) -> float:
        """Seconds to wait for an answer."""
        return self._timeout

    @property
    def api_base_url(self) -> str:
        """What the URLs of the device's API begin with; it holds the token."""
        return f"{self.host}/api/v1/{self.token}"

    @property
    def token(self) -> str:
        """Access token of the device."""
        return self._token

    @property
    def logger(self) -> logging.Logger:
        """Where the device logs to."""
        return logging.getLogger("TBHTTPDevice")

    @property
    def log_level(self) -> str:
        """Name of the logger's level."""
        return logging.getLevelName(self.logger.level)

    @log_level.setter
    def log_level(self, value: int | str) -> None:
        self.logger.setLevel(value)

    def connect(self) -> bool:
        """Try whether the server knows the device, and if so begin to send what is queued."""
        if not self.test_connection():
            return False
        self.start_publish_worker()
        return True

    def test_connection(self) -> bool:
        """Tell whether the server can be reached and knows the device; what keeps it from that is logged."""
        try:
            self._publish_data({}, "telemetry")
        except TBHTTPAPIException as error:
            hint = ": is the access token right?" if error.status in UNAUTHORIZED else ""
            self.logger.error("%s%s", error, hint)  # noqa: TRY400 - said in one line
        except (OSError, ThingsError) as error:
            self.logger.error("%s", error)  # noqa: TRY400 - said in one line
        else:
            return True
        return False

    def close(self, timeout: float = 5) -> None:
        """Send what is queued, at most ``timeout`` seconds, end the subscriptions and close the connections."""
        self._publisher.stop(_real("timeout", timeout))
        for endpoint in [*self._subscriptions]:
            self.unsubscribe(endpoint)
        self._connection.close()

    def start_publish_worker(self) -> None:
        """Begin to send what is queued, in order."""
        self._publisher.start()

    def stop_publish_worker(self) -> None:
        """End that, when what is queued has been tried."""
        self._publisher.stop(0)

    def send_telemetry(
        self, telemetry: Mapping[str, Any], timestamp: datetime | float | None = None, queued: _Truth = True
    ) -> None:
        """Send values.

        Args:
            telemetry: Values by their names, of all kinds that ``TBDeviceMqttClient.send_telemetry`` takes.
            timestamp: Their time: a ``datetime`` (without a zone: local time) or milliseconds since 1970; now if it is
                not given.
            queued: Whether to send them by and by, from when ``connect`` was successful; otherwise this waits.

        Raises:
            TypeError: Something that JSON cannot express, named.
            QueueFullError: 10,000 messages wait already.
            TBHTTPAPIException: The server refused them; like the others only when they are not queued.
            OSError: The server cannot be reached.
            ThingsTimeoutError: It did not answer in time.
        """
        body = _encode("telemetry", {"ts": _milliseconds(timestamp), "values": telemetry}, telemetry)
        if queued:
            self._publisher.put(body)
        else:
            self._post("telemetry", body, None)

    def send_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Send client attributes; raises as `send_telemetry` does."""
        self._post("attributes", _encode("attribute", attributes, attributes), None)

    def send_rpc(self, name: str, params: Mapping[str, Any] | None = None, rpc_id: int | None = None) -> Any:
        """Call the server and give its answer; or answer a call of its, by the number of that call."""
        if rpc_id is None:
            return self._publish_data({"method": name, "params": params or {}}, "rpc")
        return self._publish_data({"method": name, "params": params or {}}, f"rpc/{rpc_id}")

    def request_attributes(
        self, client_keys: str | Iterable[str] | None = None, shared_keys: str | Iterable[str] | None = None
    ) -> dict[str, Any]:
        """Ask for attributes, all where no name is given: ``{"client": {...}, "shared": {...}}``."""
        params = {"clientKeys": _joined(client_keys), "sharedKeys": _joined(shared_keys)}
        found: dict[str, Any] = self._get_data({key: value for key, value in params.items() if value}, "attributes")
        return found

    def claim(self, secret_key: str, duration: int = 30000) -> None:
        """Let a user claim the device with this key within ``duration`` milliseconds."""
        within = constructor.number("duration", duration)
        self._publish_data({"secretKey": secret_key, "durationMs": within}, "claim")

    def subscribe(self, endpoint: str, callback: _Callback | None = None) -> None:
        """Have ``callback(content)`` called for each change of shared attributes, or each call of the server.

        A thread of its own waits for them. A second subscription replaces the callback.

        Args:
            endpoint: ``attributes`` or ``rpc``.
            callback: What is called; by default the one before.
        """
        _check_endpoint(endpoint)
        if callback is not None:
            self._callbacks[endpoint] = Callback("callback", callback, "content")
        if endpoint not in self._callbacks:
            self.logger.warning("No callback set for %s subscription", endpoint)
            return
        with self._lock:
            if endpoint not in self._subscriptions:
                self._subscriptions[endpoint] = Subscription(self, endpoint)

    def unsubscribe(self, endpoint: str) -> None:
        """End a subscription."""
        _check_endpoint(endpoint)
        with self._lock:
            ended = self._subscriptions.pop(endpoint, None)
        if ended is not None:
            ended.stop()

    @classmethod
    def provision(
        cls,
        host: str,
        device_name: str,
        device_key: str,
        device_secret: str,
        *,
        timeout: float = 30,
        ca_certs: str | bytes | PathLike[str] | None = None,
        insecure: bool = False,
    ) -> Self:
        """Ask a server for credentials of a new device, and give the device.

        Raises:
            TBProvisionFailure: The server gave none.
            OSError: It cannot be reached.
        """
        timeout = _real("timeout", timeout)
        server = Server.of(host, ca_certs, insecure=insecure)
        request = {
            "deviceName": device_name,
            "provisionDeviceKey": device_key,
            "provisionDeviceSecret": device_secret,
        }
        connection = HttpConnection(server)
        what = "provisioning"
        try:
            answer = connection.request(
                "POST", "/api/v1/provision", _to_json(request), what=what, timeout=timeout, repeatable=False
            )
        finally:
            connection.close()
        device = content(answer, what, server)
        told = device if isinstance(device, dict) else {}
        if told.get("status") != "SUCCESS" or told.get("credentialsType") != "ACCESS_TOKEN":
            # The answer itself may hold credentials.
            reason = told.get("errorMsg") or told.get("credentialsType") or "it is not understood"
            raise TBProvisionFailure(f"{what} at {server}: {told.get('status')}: {reason}")
        options: dict[str, Any] = {"timeout": timeout, "ca_certs": ca_certs, "insecure": insecure}
        return cls(host, told["credentialsValue"], device_name, **options)

    def get_firmware_update(self) -> None:
        """Download the firmware package that the shared attributes announce, if another one is installed.

        The package is handed to `_on_firmware_received`, which stores it. Each step is told as telemetry.

        Raises:
            TBHTTPAPIException: The server refused a piece; that was told as FAILED.
            OSError: The server cannot be reached, or the package not stored.
        """
        self._tell({})
        info = self.request_attributes(shared_keys=REQUIRED_SHARED_KEYS).get("shared", {})
        title, version = info.get(FW_TITLE_ATTR), info.get(FW_VERSION_ATTR)
        installed = self.current_firmware_info
        same_title = title in (None, installed.get("current_" + FW_TITLE_ATTR))
        if same_title and version in (None, installed.get("current_" + FW_VERSION_ATTR)):
            return
        try:
            self._state(TBFirmwareState.DOWNLOADING)
            data = self._download(info)
            self._state(TBFirmwareState.DOWNLOADED)
            if not verify_checksum(data, info.get(FW_CHECKSUM_ALG_ATTR), info.get(FW_CHECKSUM_ATTR)):
                self.logger.error("firmware %s %s: Checksum verification failed!", title, version)
                self._state(TBFirmwareState.FAILED, "Checksum verification failed!")
                return
            self._state(TBFirmwareState.VERIFIED)
            self._state(TBFirmwareState.UPDATING)
            self._on_firmware_received(info, data)
        except (TBHTTPAPIException, OSError, ThingsError) as error:
            self._state(TBFirmwareState.FAILED, str(error))
            raise
        installed["current_" + FW_TITLE_ATTR], installed["current_" + FW_VERSION_ATTR] = title, version
        self._state(TBFirmwareState.UPDATED)

    def _download(self, info: dict[str, Any]) -> bytes:
        size = int(info.get(FW_SIZE_ATTR) or 0)
        piece = min(self.chunk_size, size) if self.chunk_size > 0 else 0
        data = bytearray()
        for number in range(-(-size // piece) if piece else 1):
            params = {
                "title": info.get(FW_TITLE_ATTR),
                "version": info.get(FW_VERSION_ATTR),
                "size": piece,
                "chunk": number,
            }
            answer = self._request("GET", "firmware", None, params, None)
            check(answer, "firmware", self._server)
            data += answer.body
        return bytes(data)

    def _on_firmware_received(self, firmware_info: dict[str, Any], firmware_data: bytes) -> None:
        """Write a package to a file named after its title: to be overridden by what installs it."""
        # The name alone: a title from the network chooses no folder.
        name = Path(str(firmware_info.get(FW_TITLE_ATTR))).name or "firmware"
        _replace_file(name, firmware_data, mode=0o666)
        self.logger.info("the firmware %s is stored as %r", firmware_info.get(FW_VERSION_ATTR), name)

    def _state(self, state: TBFirmwareState, error: str = "") -> None:
        self._tell({FW_STATE_ATTR: state.value, FW_ERROR_ATTR: error})

    def _tell(self, changed: dict[str, Any]) -> None:
        self.current_firmware_info.update(changed)
        # Those of one millisecond overwrite one another at the server.
        self._last_ms = max(_milliseconds(None), self._last_ms + 1)
        self.send_telemetry(self.current_firmware_info, self._last_ms, queued=False)

    # What the original has without documenting it.

    def _publish_data(self, data: Any, endpoint: str, timeout: float | None = None) -> Any:
        """Send JSON to an endpoint of the device's API; gives the JSON of the answer, ``{}`` where there is none."""
        return self._post(endpoint, _encode("the request", data, {}), timeout)

    def _get_data(self, params: Mapping[str, Any], endpoint: str, timeout: float | None = None) -> Any:
        """Ask an endpoint of the device's API; gives the JSON of the answer."""
        return content(self._request("GET", endpoint, None, params, timeout), endpoint, self._server)

    def _post(self, endpoint: str, body: bytes, timeout: float | None) -> Any:
        return content(self._request("POST", endpoint, body, {}, timeout), endpoint, self._server)

    def _request(
        self, method: str, endpoint: str, body: bytes | None, params: Mapping[str, Any], timeout: float | None
    ) -> Answer:
        path = self._path(endpoint, params)
        # A value that comes twice overwrites itself; a call would be made twice.
        repeatable = endpoint.partition("/")[0] not in {"rpc", "claim"}
        within = self.timeout if timeout is None else timeout
        return self._connection.request(method, path, body, what=endpoint, timeout=within, repeatable=repeatable)

    def _path(self, endpoint: str, params: Mapping[str, Any]) -> str:
        query = "?" + urlencode(params) if params else ""
        return f"/api/v1/{quote(self.token, safe='')}/{endpoint}{query}"


class TBHTTPClient(TBHTTPDevice):
    """`TBHTTPDevice` by its older name."""

    __module__ = "thingslink.tb_device_http"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger.warning("TBHTTPClient class is deprecated, please use TBHTTPDevice")


def _check_endpoint(endpoint: str) -> None:
    if endpoint not in {"attributes", "rpc"}:
        raise ValueError(f"endpoint {endpoint!r} is not valid: expected 'attributes' or 'rpc'")


def _joined(keys: str | Iterable[str] | None) -> str:
    if keys is None or isinstance(keys, str):
        return keys or ""
    return ",".join(keys)


def _milliseconds(timestamp: datetime | float | None) -> int:
    if timestamp is None:
        return time.time_ns() // 1_000_000
    if isinstance(timestamp, datetime):
        return round(timestamp.timestamp() * 1_000_000) // 1000
    if isinstance(timestamp, bool) or not isinstance(timestamp, int | float):
        raise TypeError(f"timestamp must be a datetime or milliseconds, not {type(timestamp).__name__}")
    return int(timestamp)


def _encode(what: str, message: Any, values: Mapping[str, Any]) -> bytes:
    """A message as JSON; what of its values cannot be written is named."""
    try:
        return _to_json(message)
    except (TypeError, ValueError, RecursionError):
        for key, value in values.items():
            _name_unwritable(what, key, value)
        raise


def _name_unwritable(what: str, key: object, value: object) -> None:
    try:
        _to_json({key: value})
    except (TypeError, ValueError, RecursionError) as error:
        raise type(error)(f"{what} {key!r} cannot be sent: {error}") from error
