"""The second generation (November 2017): camelCase, connects in the constructor, int result codes."""

from __future__ import annotations

import json
import logging
import threading

from thingslink import ttn, ttnmqtt
from thingslink._arguments import checked
from thingslink._blocking import wait_for
from thingslink._json import json_default
from thingslink._native import Callback, LoginRefusedError, ThingsError, _whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from thingslink.ttn import UplinkMessage

    #: Numbers count by their truth, as ever.
    _Truth: TypeAlias = bool | int

__all__ = ["MQTTClient"]

_log = logging.getLogger("thingslink.ttnmqtt")
#: Result codes, as the original's MQTT library had them.
_GOOD, _LOST = 0, 7


@checked
class MQTTClient(ttnmqtt.MQTTClient):
    """Receives an application's uplinks and sends its downlinks.

    The constructor connects. When that fails it says so in the log ``thingslink.ttnmqtt``, and to a connect callback
    that is set afterwards; ``connect`` tries again and raises. Callbacks add up, and get the client as keyword
    ``client``.

    Args:
        appID: Application ID.
        appAccessKey: Its access key.
        mqttAddress: ``host:port``; empty asks the discovery server.
        discovery_address: Server to ask; by default the public network's.
    """

    def __init__(
        self,
        appID: str,
        appAccessKey: str,
        mqttAddress: str = "",
        *,
        discovery_address: str | None = None,
    ) -> None:
        self.appID = appID
        self.connectFlag = 2
        self.disconnectFlag = 2
        self.midCounter = 0
        self._callbacks: dict[str, list[Callback]] = {kind: [] for kind in ("uplink", "downlink", "connect", "close")}
        #: Results that no callback was there for; the documentation promises them to those set right after.
        self._missed: list[int] = []
        self._over = threading.Event()
        self._lock = threading.Lock()
        options: dict[str, Any] = {} if discovery_address is None else {"discovery_address": discovery_address}
        self._client = ttn.MQTTClient(appID, appAccessKey, mqttAddress, **options)
        self._client.set_connect_callback(self._connected)
        self._client.set_close_callback(self._closed)
        self._client.set_uplink_callback(self._received)
        self._client.set_downlink_callback(self._published)
        # The original's private name, which programs looked at.
        self.__ErrorMsg = ""
        try:
            self.connect()
        except (OSError, ThingsError, ValueError) as error:
            self.__ErrorMsg = "Connection failed"
            _log.error("%s cannot connect: %s", appID, error)

    # -- connection --

    def connect(self) -> None:
        """Connect and log in.

        Raises:
            OSError: The server is not reached.
            LoginRefusedError: Wrong ID or key.
            RpcError: The server is not discovered.
        """
        self._over.clear()
        try:
            self._client.connect()
        except LoginRefusedError as refused:
            self._tell("close", refused.code)
            raise

    def close(self) -> None:
        """Part with the server; ends ``startForever``."""
        self._client.close()
        self._over.set()

    def start(self) -> None:
        """Say that the loop runs: receiving begins with the connection."""
        print("Loop Started")

    def startForever(self) -> None:
        """Wait until the client is closed. Ctrl-C ends it."""
        print("Loop Started Forever")
        wait_for(self._over)

    def stop(self) -> None:
        """Part with the server."""
        print("Loop Stopped")
        self.close()

    # -- messages --

    def send(
        self,
        devID: str,
        pay: Any = None,
        port: int = 1,
        conf: _Truth = False,
        sched: str = "replace",
        **aliases: Any,
    ) -> None:
        """Send a downlink.

        Args:
            devID: The device. Also accepted as ``deviceID`` and ``dev_id`` by position.
            pay: Base64 or hex text, bytes, a list of integers from 0 to 255, or a dict of fields for the application's
                encoder. Also accepted as ``payload``.
            port: LoRaWAN FPort.
            conf: Whether the device must acknowledge it. Also accepted as ``confirmation``.
            sched: ``"replace"``, ``"first"`` or ``"last"``. Also accepted as ``schedule``.
            aliases: Other spellings.
        """
        pay = aliases.pop("payload", pay)
        conf = aliases.pop("confirmation", conf)
        sched = aliases.pop("schedule", sched)
        if aliases:
            raise TypeError(f"send() got an unexpected keyword argument {next(iter(aliases))!r}")
        if sched not in {"", "replace", "first", "last"}:
            raise ValueError(f"schedule {sched!r} is not valid: expected 'replace', 'first' or 'last'")
        message: dict[str, Any] = {"port": _whole("port", port, 1, 255)}
        if conf:
            message["confirmed"] = True
        if sched:
            message["schedule"] = sched
        raw = self._client._payload_raw(devID, pay)
        if raw is None:
            message["payload_fields"] = pay
        else:
            message["payload_raw"] = raw
        text = json.dumps(message, allow_nan=False, default=json_default)
        self._client._publish(f"{self.appID}/devices/{devID}/down", text)
        print(f"publishing message to {devID}: {text}")

    # -- callbacks --

    def setUplinkCallback(self, callback: Callable[..., object]) -> None:
        """Add ``callback(msg, client)`` for uplinks."""
        self._callbacks["uplink"].append(Callback("callback", callback, "msg, client="))

    def setDownlinkCallback(self, callback: Callable[..., object]) -> None:
        """Add ``callback(mid, client)`` for downlinks that went out."""
        self._callbacks["downlink"].append(Callback("callback", callback, "mid, client="))

    def setConnectCallback(self, callback: Callable[..., object]) -> None:
        """Add ``callback(res, client)``: 0 after each login, another number when one fails.

        Since the constructor connects, what happened then is told now, from this thread.
        """
        told = Callback("callback", callback, "res, client=")
        with self._lock:
            self._callbacks["connect"].append(told)
            missed, self._missed = self._missed, []
        for code in missed:
            told(code, client=self)

    def setCloseCallback(self, callback: Callable[..., object]) -> None:
        """Add ``callback(res, client)``: 0 after a close, another number when the connection is lost or refused."""
        self._callbacks["close"].append(Callback("callback", callback, "res, client="))

    def _tell(self, kind: str, value: Any) -> None:
        for callback in self._callbacks[kind]:
            callback(value, client=self)

    def _connected(self, res: bool, client: ttn.MQTTClient) -> None:
        code = _GOOD if res else client._last_refusal or 5
        if res:
            self.connectFlag = 1
            print("MQTT client connected and subscribed")
        with self._lock:
            if not self._callbacks["connect"]:
                self._missed.append(code)
                return
        self._tell("connect", code)

    def _closed(self, res: bool, client: ttn.MQTTClient) -> None:  # noqa: ARG002
        self.connectFlag = 0
        self.disconnectFlag = 1 if res else 0
        print("MQTT client disconnected" if res else "Unexpected Disconnection")
        self._tell("close", _GOOD if res else _LOST)
        if res:
            self._over.set()

    def _received(self, msg: UplinkMessage, client: ttn.MQTTClient) -> None:  # noqa: ARG002
        print(f"received message from {getattr(msg, 'dev_id', None)}")
        self._tell("uplink", msg)

    def _published(self, mid: int, client: ttn.MQTTClient) -> None:  # noqa: ARG002
        self.midCounter = mid
        print("message published")
        self._tell("downlink", mid)

    def __repr__(self) -> str:
        return f"<ttnmqtt.v2.MQTTClient appID={self.appID!r} (second generation)>"
