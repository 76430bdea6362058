"""A server that keeps rate limits as a real one does: no acknowledgement, and the connection ends."""

from __future__ import annotations

import json
import struct
import time
from typing import TYPE_CHECKING, Any

from harness import V5_CONNACK, RawServer, packet_id, read_packet
from harness import publish as framed

if TYPE_CHECKING:
    import socket


class Bucket:
    """Tokens that come back at an even rate."""

    def __init__(self, text: str) -> None:
        self.text = text
        count, seconds = text.split(":")
        self.capacity, self.rate = float(count), float(count) / float(seconds)
        self.tokens, self.counted = self.capacity, time.monotonic()

    def take(self, amount: int) -> bool:
        """Take tokens if there are so many."""
        now = time.monotonic()
        self.tokens = min(self.capacity, self.tokens + (now - self.counted) * self.rate)
        self.counted = now
        if self.tokens < amount:
            return False
        self.tokens -= amount
        return True


class LimitedServer(RawServer):
    """Speaks MQTT 5; `limit` changes what it keeps to, whoever is connected."""

    def __init__(self) -> None:
        super().__init__(V5_CONNACK)
        self.buckets: dict[str, Bucket] = {}
        #: What was taken, in order: topic and payload.
        self.taken: list[tuple[str, Any]] = []
        #: What was answered by ending the connection: the topic, or the filter.
        self.ended: list[str] = []
        #: Logins and subscriptions over the limit.
        self.unheeded = 0
        #: Connections are cut when so many more messages were taken.
        self.cut_after: int | None = None

    def limit(self, **limits: str) -> None:
        """Set limits of `messages`, `telemetry`, `points`, and of devices: `gateway` messages, `gateway_telemetry`."""
        for name, text in limits.items():
            self.buckets[name] = Bucket(text)

    def _charge(self, name: str, amount: int = 1) -> bool:
        return name not in self.buckets or self.buckets[name].take(amount)

    def _told(self) -> bytes:
        texts = {name: bucket.text for name, bucket in self.buckets.items()}
        own = [texts.get(name) for name in ("messages", "telemetry", "points")]
        devices = [texts.get(name) for name in ("gateway", "gateway_telemetry", "none")]
        names = ("messages", "telemetryMessages", "telemetryDataPoints")
        answer = {
            "maxPayloadSize": 65536,
            "maxInflightMessages": 100,
            "rateLimits": dict(zip(names, own, strict=True)),
            "gatewayRateLimits": dict(zip(names, devices, strict=True)),
        }
        return json.dumps(answer).encode()

    def _serve(self, connection: socket.socket) -> None:
        try:
            while packet := read_packet(connection):
                if packet[0] & 0xF0 != 0x30:
                    opens = packet[0] == 0x10 or b"me/attributes\x01" in packet or b"rpc/request/+" in packet
                    if opens and not self._charge("messages"):
                        # Granted all the same, and not carried out.
                        self.unheeded += 1
                    connection.sendall(self._answer(packet))
                    continue
                length = 1
                while packet[length] & 0x80:
                    length += 1
                (size,) = struct.unpack(">H", packet[length + 1 : length + 3])
                topic = packet[length + 3 : length + 3 + size].decode()
                # Message ID and no properties.
                payload = packet[length + 3 + size + 3 :]
                acknowledged = b"\x40\x02" + packet_id(packet)
                if b"getSessionLimits" in payload:
                    number = topic.rpartition("/")[2]
                    connection.sendall(acknowledged + v5(f"v1/devices/me/rpc/response/{number}", self._told()))
                    continue
                body = json.loads(payload)
                if not self._takes(topic, body):
                    self.ended.append(topic)
                    refused = b"\x40\x03" + packet_id(packet) + b"\x97" if topic == "v1/gateway/telemetry" else b""
                    reason = b"\x8b" if topic == "v1/gateway/connect" else b"\x83"
                    connection.sendall(refused + b"\xe0\x01" + reason)
                    connection.close()
                    return
                self.taken.append((topic, body))
                if self.cut_after is not None:
                    self.cut_after -= 1
                    if self.cut_after < 0:
                        self.cut_after = None
                        connection.close()
                        return
                connection.sendall(acknowledged)
        except OSError:
            return

    def _takes(self, topic: str, body: Any) -> bool:
        if topic in {"v1/devices/me/telemetry", "v1/devices/me/attributes"}:
            entries = body if isinstance(body, list) else [body]
            points = sum(len(entry.get("values", entry)) for entry in entries)
            return self._charge("telemetry") and self._charge("points", points)
        if topic in {"v1/gateway/telemetry", "v1/gateway/attributes"}:
            return self._charge("gateway_telemetry")
        return self._charge("gateway" if topic.startswith("v1/gateway/") else "messages")


def v5(topic: str, payload: bytes) -> bytes:
    """Frame a message of MQTT 5 at QoS 0."""
    return framed(topic, b"\x00" + payload)
