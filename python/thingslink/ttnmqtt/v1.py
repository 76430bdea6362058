"""The first generation (0.8.3 to 0.9.4): dicts, a buffer, behaviours of paho's shape, blocking ``start``."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections import deque

from thingslink import ttn, ttnmqtt
from thingslink._arguments import checked
from thingslink._blocking import wait_for
from thingslink._native import Callback, NotConnectedError, _is_led, _parse_message, _whole
from thingslink._paho import encoded
from thingslink.ttnmqtt.paho import BehaviorClient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from thingslink.ttn import RawMessage

__all__ = ["MQTTClient"]

_log = logging.getLogger("thingslink.ttnmqtt")
_REGION = "eu"
_DOMAIN = "thethings.network"
_PORT = 1883
#: Known again by its identity: a program that names this server itself is not led elsewhere.
_DEFAULT = f"{_REGION}.{_DOMAIN}"


@checked
class MQTTClient(ttnmqtt.MQTTClient):
    """Receives an application's uplinks into a buffer or callbacks, and publishes to its devices.

    Messages that come before a loop is started wait for it, so that handlers set until then miss none. Behaviours can
    be set before or after ``connect``.

    Args:
        APPID: Application ID.
        APPEUI: Kept, and used for nothing, as ever.
        PSW: Access key.
        DEVID: Device that ``publish`` sends to.
        max_messages: How many messages ``getAllMessages`` keeps; older ones go.
    """

    def __init__(
        self,
        APPID: str,
        APPEUI: str,
        PSW: str,
        DEVID: str | None = None,
        *,
        max_messages: int = 100_000,
    ) -> None:
        self.APPID = APPID
        self.APPEUI = APPEUI
        self.DEVID = DEVID
        self.connectFlag = 1
        self.disconnectFlag = 0
        self.midCounter = 0
        self._access_key = PSW
        self._max_messages = _whole("max_messages", max_messages, 1, sys.maxsize)
        self._messages: list[Any] = []
        self._handler: Callback | None = None
        self._uplink: list[Callback] = []
        self._downlink: list[Callback] = []
        self._behaviors: dict[str, Callback] = {}
        self._waiting: deque[Callable[[], None]] = deque()
        self._turn = threading.Lock()
        self._looping = False
        self._over = threading.Event()
        self._client: ttn.MQTTClient | None = None
        self._paho: BehaviorClient | None = None

    # -- connection --

    def connect(self, address: str = _DEFAULT, port: int = _PORT) -> None:
        """Connect and log in, by default to The Things Network's European server.

        Raises:
            OSError: The server is not reached.
            LoginRefusedError: Wrong ID or key.
        """
        led = address is _DEFAULT and _is_led()
        _whole("port", port, 1, 65_535)
        self._connect("" if led else f"{address}:{port}")

    def _connect(self, address: str) -> None:
        if self._client is not None:
            self._client.close()
        client = ttn.MQTTClient(self.APPID, self._access_key, address)
        self._client = client
        self._paho = BehaviorClient(client, self.APPID, self._message)
        client.set_connect_callback(self._connected)
        client.set_close_callback(self._closed)
        client.set_uplink_raw_callback(lambda message, client: self._message(message))  # noqa: ARG005
        client.set_downlink_callback(self._published)
        self._over.clear()
        try:
            client.connect()
        except Exception:
            print("ERROR CONNECTING")
            raise

    def customConnect(self, region: str, port: int = _PORT) -> None:
        """Connect to another region of The Things Network; a name with dots in it is taken as a whole."""
        _whole("port", port, 1, 65_535)
        if "." in region or ":" in region:
            self._connect(f"{region}:{port}")
        else:
            # No address: the network is the library's choice.
            self._connect("" if _is_led() else f"{region}.{_DOMAIN}:{port}")

    def disconnect(self) -> None:
        """Part with the server; ends ``start``."""
        if self._client is not None:
            self._client.close()
        self._over.set()

    # -- loops --

    def start(self) -> None:
        """Handle messages until ``disconnect``. Ctrl-C ends it."""
        print("LOOP STARTED")
        self._loop()
        wait_for(self._over)

    def startBackground(self) -> None:
        """Handle messages in the background."""
        print("LOOP STARTED BACKGROUND")
        self._loop()

    def stopBackground(self) -> None:
        """Handle no more messages, and disconnect."""
        print("LOOP STOPPED BACKGROUND")
        self._looping = False
        self.disconnect()

    def _loop(self) -> None:
        while True:
            # Handled without the lock, since a handler may part with the server, which waits for what comes in. What
            # comes meanwhile waits its turn, so that nothing overtakes.
            with self._turn:
                if not self._waiting:
                    self._looping = True
                    return
                act = self._waiting.popleft()
            act()

    def _when_looping(self, act: Callable[[], None]) -> None:
        with self._turn:
            if not self._looping:
                # What waits is bounded as what is kept.
                if len(self._waiting) >= self._max_messages:
                    self._waiting.popleft()
                    _log.warning(
                        "no loop is started: of %d messages that wait the oldest is dropped", self._max_messages
                    )
                self._waiting.append(act)
                return
        act()

    # -- messages --

    def setDeviceID(self, devid: str) -> None:
        """Set the device that ``publish`` sends to."""
        self.DEVID = devid

    def getLastMessage(self) -> Any:
        """Give the last message as a dict; an empty one before the first."""
        return self._messages[-1] if self._messages else {}

    def getAllMessages(self) -> list[Any]:
        """Give all messages since the client was made, up to ``max_messages``; the list goes on growing."""
        return self._messages

    def publish(self, *args: Any) -> None:
        """Publish ``publish(msg)`` to the device that is set, or ``publish(devID, msg)``, as the text is."""
        if len(args) not in {1, 2}:
            raise TypeError(f"publish() takes a message, or a device ID and a message, not {len(args)} arguments")
        device, message = (self.DEVID, args[0]) if len(args) == 1 else args
        if not device:
            print("No DeviceID defined please use the setDeviceID method")
            return
        text = encoded(message)
        if self._paho is None:
            raise NotConnectedError("client not connected")
        self._paho.publish(f"{self.APPID}/devices/{device}/down", text)
        print("Message will be published on the next uplink message")

    # -- callbacks --

    def setMessageHandler(self, handler: Callable[[], object]) -> None:
        """Set the procedure without arguments that is called after each message; replaces the one before."""
        self._handler = Callback("handler", handler, "")

    def setUplinkCallback(self, callback: Callable[..., object]) -> None:
        """Add ``callback(msg, client=…)`` for uplinks; ``msg`` is a dict."""
        self._uplink.append(Callback("callback", callback, "msg, client="))

    def setDownlinkCallback(self, callback: Callable[..., object]) -> None:
        """Add ``callback(mid, client=…)`` for messages that went out."""
        self._downlink.append(Callback("callback", callback, "mid, client="))

    def setConnectBehavior(self, custom_function: Callable[..., object]) -> None:
        """Set ``custom_function(client, userdata, flags, rc)``, in place of the line on the console."""
        self._behave("connect", "custom_function", custom_function)

    def setMessageBehavior(self, custom_function: Callable[..., object]) -> None:
        """Set ``custom_function(client, userdata, message)``, in place of buffer, handler and callbacks."""
        self._behave("message", "custom_function", custom_function)

    def setPublishBehavior(self, custom_function: Callable[..., object]) -> None:
        """Set ``custom_function(client, userdata, mid)``, in place of the line on the console."""
        self._behave("publish", "custom_function", custom_function)

    def setGlobalBehavior(
        self,
        custom_connect: Callable[..., object],
        custom_message: Callable[..., object],
        custom_publish: Callable[..., object],
    ) -> None:
        """Set all three behaviours."""
        self._behave("connect", "custom_connect", custom_connect)
        self._behave("message", "custom_message", custom_message)
        self._behave("publish", "custom_publish", custom_publish)

    def _behave(self, what: str, name: str, function: Callable[..., object]) -> None:
        """Set a behaviour that the program gives under this name."""
        last = {"connect": "flags, rc", "message": "message", "publish": "mid"}[what]
        self._behaviors[what] = Callback(name, function, f"client, userdata, {last}")

    def _connected(self, res: bool, client: ttn.MQTTClient) -> None:  # noqa: ARG002
        self.connectFlag = 1 if res else 0
        behavior = self._behaviors.get("connect")
        if behavior is not None:
            behavior(self._paho, None, {"session present": 0}, 0 if res else 5)
        elif res:
            print("CONNECTED AND SUBSCRIBED")

    def _closed(self, res: bool, client: ttn.MQTTClient) -> None:  # noqa: ARG002
        self.connectFlag = 0
        self.disconnectFlag = 1 if res else 0
        print("DISCONNECTED" if res else "UNEXPECTED DISCONNECTION")
        if res:
            self._over.set()

    def _message(self, message: RawMessage) -> None:
        self._when_looping(lambda: self._handle(message))

    def _handle(self, message: RawMessage) -> None:
        behavior = self._behaviors.get("message")
        if behavior is not None:
            behavior(self._paho, None, message)
            return
        print("MESSAGE RECEIVED")
        body = self._read(message.payload)
        self._messages.append(body)
        # In one go for a tenth of the bound: shifting the whole list for each message would be slow.
        if len(self._messages) > self._max_messages + self._max_messages // 10:
            del self._messages[: -self._max_messages]
        if self._handler is not None:
            self._handler()
        for callback in self._uplink:
            callback(body, client=self)

    def _read(self, payload: bytes) -> Any:
        """Give a body in the shape that programs of this generation know, whichever network it came from."""
        if self._client is not None and (network := self._client.network) != "v2":
            return _parse_message(payload, network).to_dict()
        return json.loads(payload)

    def _published(self, mid: int, client: ttn.MQTTClient) -> None:  # noqa: ARG002
        self.midCounter = mid
        behavior = self._behaviors.get("publish")
        if behavior is not None:
            behavior(self._paho, None, mid)
        else:
            print(f"MSG PUBLISHED {mid}")
        for callback in self._downlink:
            callback(mid, client=self)

    def __repr__(self) -> str:
        return f"<ttnmqtt.v1.MQTTClient APPID={self.APPID!r} (first generation)>"
