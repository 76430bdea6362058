"""Captures of a running ChirpStack (tests/vectors/chirpstack), and its part on a broker: a few lines over paho."""

from __future__ import annotations

import base64
import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import paho.mqtt.client as mqtt
from harness import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

VECTORS = Path(__file__).parent.parent / "vectors" / "chirpstack"

Record: TypeAlias = dict[str, Any]

#: The application and the device of nearly all captures.
APPLICATION = "c49fa6c7-3dc9-4053-b67b-3417d0872f0b"
DEVICE = "70b3d57ed005f1a2"
NAME = "greenhouse-7"


def records(name: str) -> list[Record]:
    return [json.loads(line) for line in (VECTORS / f"{name}.jsonl").read_text().split("\n") if line]


def published(value: Any) -> Iterator[tuple[str, bytes]]:
    """Give topic and body of each event in a capture."""
    if isinstance(value, dict):
        to = str(value.get("topic", ""))
        # To /event/down a client has published.
        is_event = "/event/" in to and not to.endswith("/down")
        if is_event and "payload" in value:
            yield to, value["payload"].encode()
        elif is_event and "payload_hex" in value:
            yield to, bytes.fromhex(value["payload_hex"])
        else:
            for member in value.values():
                yield from published(member)
    elif isinstance(value, list):
        for element in value:
            yield from published(element)


def token(issuer: str = "chirpstack") -> str:
    """Give an API key: its claims are those of ChirpStack, its signature is nobody's."""
    parts = ({"typ": "JWT", "alg": "HS256"}, {"aud": "chirpstack", "iss": issuer, "sub": APPLICATION, "typ": "key"})
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, "c2lnbmF0dXJl"])


def topic(event: str, device: str = DEVICE, application: str = APPLICATION) -> str:
    return f"application/{application}/device/{device}/event/{event}"


class Peer:
    """Publishes what ChirpStack would, and hears its commands."""

    def __init__(self, port: int, login: tuple[str, str]) -> None:
        self.commands: list[tuple[str, bytes]] = []
        self._came = threading.Condition()
        self.client = mqtt.Client()
        self.client.username_pw_set(*login)
        self.client.on_message = self._hear
        subscribed = threading.Event()
        self.client.on_subscribe = lambda *_: subscribed.set()
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        self.client.subscribe("application/+/device/+/command/+", 1)
        assert subscribed.wait(PATIENCE)

    def _hear(self, _client: Any, _userdata: Any, message: Any) -> None:
        with self._came:
            self.commands.append((message.topic, message.payload))
            self._came.notify_all()

    def command(self, place: int = 0) -> tuple[str, bytes]:
        """Wait for a command."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.commands) > place, PATIENCE), "no command came"
            return self.commands[place]

    def publish(self, to: str, body: Record | str | bytes) -> None:
        text = json.dumps(body) if isinstance(body, dict) else body
        self.client.publish(to, text, 1).wait_for_publish(PATIENCE)

    def uplink(self, device: str = DEVICE, application: str = APPLICATION, **changes: Any) -> None:
        """Publish an uplink; ``info`` changes what it says of its device."""
        info = {
            "applicationId": application,
            "applicationName": NAME,
            "deviceName": "soil-probe-03",
            "devEui": device,
            "tags": {"dev_id": "soil_03"},
            **changes.pop("info", {}),
        }
        body = {"time": "2026-11-26T00:20:06.5+00:00", "fCnt": 1, "fPort": 2, "data": "AOsByA==", **changes}
        self.publish(topic("up", device, application), {"deviceInfo": info, **body})

    def event(self, kind: str, device: str = DEVICE, **members: Any) -> None:
        info = {"applicationName": NAME, "devEui": device, "deviceName": "soil-probe-03", "tags": {"dev_id": "soil_03"}}
        self.publish(topic(kind, device), {"time": "2026-11-26T00:20:07+00:00", "deviceInfo": info, **members})

    def stop(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
