"""The sandbox's ThingsBoard answers as a real one did: captures of one (tests/vectors/thingsboard) are played to it.

What is compared: every packet of the server with all its fields, in the order in which it came. What is not:

- times: a scene goes on as soon as the expected packet is there; that nothing came is known when a PINGREQ is
  answered that was sent after it;
- messages may come before acknowledgements that the real server sent first;
- JSON is compared as JSON, with 1 and 1.0 apart, and the names of deleted attributes in any order;
- tokens that the server made, and windows of limits, which are longer here so that nothing is given back meanwhile.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from harness import PATIENCE, read_packet
from thingslink.sandbox import ThingsBoard

VECTORS = Path(__file__).parent.parent.parent / "vectors" / "thingsboard"

#: Files whose scenes go on from one another; in the others each scene stands for itself.
ONE_STORY = {"values", "attributes", "calls", "gateway", "provisioning", "endings", "limits", "two_sessions"}

#: Scenes that are not played, with the reason.
LEFT_OUT = {
    (
        "publish_errors",
        4,
        "ts text",
    ): "the message was lost before the login was through; time_stamps.jsonl has it right",
}

#: Scenes in which a message that the server sent at level 5 did not come at level 4, where it was late.
LATE = {
    ("gateway", 4, "gateway, again"),
    ("limits", 5, "other messages, 5 in 10 s"),
    ("limits", 4, "other messages, 5 in 10 s"),
}

#: Captures that the sandbox answers as the real server did.
PLAYED = {
    "attributes",
    "calls",
    "endings",
    "gateway",
    "limits",
    "login",
    "provisioning",
    "publish_errors",
    "sizes",
    "subscriptions",
    "time_stamps",
    "two_sessions",
    "values",
}

#: Of devices, and of gateways, for whose devices the last ones are.
LIMITS: dict[bool, dict[str, Any]] = {
    False: {"messages": "5:3600", "telemetry_messages": "5:3600", "telemetry_data_points": "12:3600"},
    True: {
        "messages": "8:3600",
        "telemetry_messages": "7:3600",
        "telemetry_data_points": "90:3600",
        "behind_gateways": {
            "messages": "6:3600",
            "telemetry_messages": "4:3600",
            "telemetry_data_points": "100:3600",
        },
    },
}

#: What is sent 120 times before the answer to the login.
PUBLISHED = {"packet": "PUBLISH", "topic": "v1/devices/me/telemetry", "qos": 1, "payload": '{"e":0}'}

#: What was set, and deleted, by REST.
SET: dict[str, dict[str, Any]] = {
    "shared attributes set: up=15, name=x": {"up": 15, "name": "x"},
    "shared attributes set: up=15 again": {"up": 15},
    "shared attribute set": {"up": 16},
    "shared attributes set: lim=5, o={}": {"lim": 5, "o": {}},
    "shared attribute set while disconnected": {"lim": 6},
    "shared attribute set after telemetry": {"lim": 7},
    # The sandbox has no attributes that devices do not see.
    "server-side attribute set": {},
}
DELETED = {
    "shared attributes deleted: up, name, never": ["up", "name", "never"],
    "shared attribute deleted: lim": ["lim"],
}

Record = dict[str, Any]


def stories() -> Iterator[Any]:
    for path in sorted(VECTORS.glob("*.jsonl")):
        if path.stem not in PLAYED:
            continue
        scenes: dict[str, list[Record]] = {}
        for line in path.read_text().splitlines():
            record = json.loads(line)
            if (path.stem, record["level"], record["scene"]) not in LEFT_OUT:
                name = path.stem if path.stem in ONE_STORY else f"{path.stem}-{record['level']}-{record['scene']}"
                scenes.setdefault(name, []).append(record)
        for name, records in scenes.items():
            yield pytest.param(path.stem, records, id=name)


def text(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack(">H", len(encoded)) + encoded


def framed(kind: int, body: bytes) -> bytes:
    length, rest = b"", len(body)
    while True:
        rest, digit = rest >> 7, rest & 0x7F
        length += bytes([digit | (0x80 if rest else 0)])
        if not rest:
            return bytes([kind]) + length + body


def payload_of(record: Record) -> bytes:
    """Payloads that are given by their length are telemetry of that length."""
    payload = record["payload"]
    if isinstance(payload, str):
        return payload.encode()
    if "hex" in payload:
        return bytes.fromhex(str(payload["hex"]))
    return b'{"k":"' + b"x" * (int(payload["bytes"]) - 8) + b'"}'


def written(record: Record, named: dict[str, str]) -> bytes:
    """Make the bytes of a packet of the client."""
    level, mid = record["level"], struct.pack(">H", record.get("mid") or 0)
    properties = b"\0" if level == 5 else b""
    match record["packet"]:
        case "CONNECT":
            given = [named.get(it, it) for it in (record["username"], record["password"])]
            flags = (record["clean"] << 1) | (given[0] is not None) << 7 | (given[1] is not None) << 6
            head = text("MQIsdp" if level == 3 else "MQTT") + bytes([level, flags]) + struct.pack(">H", 60) + properties
            client_id = named.get(record["client_id"], record["client_id"])
            return framed(0x10, head + b"".join(text(it) for it in [client_id, *given] if it is not None))
        case "PUBLISH":
            payload = payload_of(record)
            for placeholder, value in named.items():
                payload = payload.replace(placeholder.encode(), value.encode())
            head = text(record["topic"]) + (mid if record["qos"] else b"") + properties
            return framed(0x30 | record["qos"] << 1, head + payload)
        case "SUBSCRIBE":
            filters = b"".join(text(it) + bytes([record["qos"]]) for it in record["filters"])
            return framed(0x82, mid + properties + filters)
        case "UNSUBSCRIBE":
            return framed(0xA2, mid + properties + b"".join(text(it) for it in record["filters"]))
        case "PINGREQ":
            return b"\xc0\0"
        case other:
            raise AssertionError(other)


def read(packet: bytes, level: int) -> Record:
    """Give the fields of a packet of the server, as the captures do."""
    at = 1
    while packet[at] & 0x80:
        at += 1
    body, five = packet[at + 1 :], level == 5
    number = int.from_bytes(body[:2], "big")
    match packet[0] >> 4:
        case 2:
            return {"packet": "CONNACK", "session_present": bool(body[0]), "code": body[1]} | (
                {"properties": body[2:].hex()} if five else {}
            )
        case 3:
            rest, qos = body[2 + number :], packet[0] >> 1 & 3
            flags = {"qos": qos, "dup": bool(packet[0] & 8), "retain": bool(packet[0] & 1)}
            mid, rest = (int.from_bytes(rest[:2], "big"), rest[2:]) if qos else (None, rest)
            message = {"topic": body[2 : 2 + number].decode(), "mid": mid, "payload": rest[1 if five else 0 :].decode()}
            return {"packet": "PUBLISH"} | flags | message
        case 4:
            return {"packet": "PUBACK", "mid": number, "reason": body[2] if len(body) > 2 else 0, "length": len(body)}
        case 9:
            return {"packet": "SUBACK", "mid": number, "codes": list(body[3 if five else 2 :]), "length": len(body)}
        case 11:
            return {"packet": "UNSUBACK", "mid": number, "codes": list(body[3:]), "length": len(body)}
        case 13:
            return {"packet": "PINGRESP"}
        case 14:
            return {"packet": "DISCONNECT", "reason": body[0], "length": len(body)}
        case other:
            raise AssertionError(other)


def comparable(record: Record) -> Record:
    """Leave out what no packet has, and write JSON in one way."""
    fields = {key: value for key, value in record.items() if key not in ("scene", "level", "ms", "dir")}
    if fields["packet"] == "PUBLISH":
        try:
            payload = json.loads(fields["payload"])
        except ValueError:
            return fields
        if isinstance(payload, dict) and "deleted" in payload:
            payload["deleted"].sort()
        if isinstance(payload, dict) and isinstance(payload.get("credentialsValue"), str):
            payload["credentialsValue"] = "a token"
        fields["payload"] = json.dumps(payload, sort_keys=True).replace(':3600"', ':10"')
    return fields


class Line:
    """A connection of the client."""

    def __init__(self, server: ThingsBoard, level: int, where: str) -> None:
        self.socket = socket.create_connection((server.host, server.port), timeout=PATIENCE)
        self.level = level
        self.where = where
        self.early: list[Record] = []
        self.over = False

    def send(self, data: bytes) -> None:
        try:
            self.socket.sendall(data)
        except ConnectionError:
            assert self.over, self.where

    def receive(self) -> Record | None:
        try:
            packet = read_packet(self.socket)
        except ConnectionResetError:
            packet = b""
        return read(packet, self.level) if packet else None

    def expect(self, record: Record) -> None:
        """The next packet is this one; messages that come meanwhile are set aside."""
        if record["packet"] == "PUBLISH" and self.early:
            came: Record | None = self.early.pop(0)
        else:
            while (came := self.receive()) and came["packet"] == "PUBLISH" != record["packet"]:
                self.early.append(came)
        assert came and comparable(came) == comparable(record), self.where

    def expect_nothing(self) -> None:
        """Nothing else has come when a ping is answered."""
        self.send(b"\xc0\0")
        self.expect({"packet": "PINGRESP"})
        assert not self.early, self.where

    def expect_end(self) -> None:
        """Nothing comes but the end; messages may come before it."""
        while not self.over:
            came = self.receive()
            self.over = came is None
            assert came is None or came["packet"] == "PUBLISH", (self.where, came)
            self.early += [came] if came else []

    def close(self, *, late: bool) -> None:
        """The scene is over; unless messages may have been late, none is left."""
        if late:
            self.early.clear()
        elif not self.over:
            self.expect_nothing()
        assert not self.early, self.where
        self.socket.close()


class Stage:
    """What the scenes of a story play on."""

    def __init__(self, server: ThingsBoard, file: str) -> None:
        self.server = server
        self.file = file
        self.pool = ThreadPoolExecutor()
        self.called: Future[Any] | None = None
        #: Whether the device answers the call.
        self.awaited = True

    def prepare(self, record: Record) -> dict[str, str]:
        """Set the server up for a connection; gives what the placeholders stand for."""
        gateway = self.file == "gateway" or (self.file == "limits" and record["scene"].startswith("gateway"))
        self.device = "Gateway" if gateway else "Device"
        self.server.add_device("Device", "token")
        self.server.add_device("Gateway", "gateway", gateway=True)
        self.server.allow_provisioning("key", "secret")
        if self.file == "attributes":
            self.server.set_shared("Device", {"a": 1, "b": "x", "e": 1.0, "c": {"d": [1]}})
        if self.file == "limits" and record["scene"] != "at once again":
            self.server.limit(**LIMITS[gateway])
        named = {"<token>": "gateway" if gateway else "token", "<password>": "password"}
        if record["scene"] == "wrong token":
            named["<token>"] = "wrong"
        return named | {"<key>": "key", "<secret>": "secret"}

    def rest(self, record: Record) -> None:
        """Do what was done by REST, or compare what it answered."""
        event = record["event"]
        devices = self.server.devices
        device = next((name for name in devices if name.startswith("cap A")), "Device")
        if values := SET.get(event):
            self.server.set_shared(device, values)
        elif keys := DELETED.get(event):
            self.server.delete_shared(device, keys)
        elif event in ("device deleted", "the device is deleted"):
            self.server.delete_device(device)
        elif event == "token changed":
            self.server.add_device(device, "another token")
        elif event == "call":
            self.call(device, record)
        elif event == "answered":
            self.compare_answer(record["answer"])
        elif event == "stored":
            self.compare_stored(record)
        else:
            assert event in SET, event

    def call(self, device: str, record: Record) -> None:
        """Call a device; of what nobody answers the server waited for five seconds at least."""
        self.awaited = record["method"] not in ("silent", "oneway", "stop")
        timeout = PATIENCE if self.awaited else 0.05
        call = self.server.rpc
        self.called = self.pool.submit(call, device, record["method"], record.get("params"), timeout=timeout)

    def compare_answer(self, answer: Any) -> None:
        assert self.called
        if not self.awaited:
            with pytest.raises((TimeoutError, ValueError)):
                self.called.result(PATIENCE)
        elif isinstance(answer, str) and answer.startswith("HTTP 406"):
            with pytest.raises(ValueError, match="expected JSON"):
                self.called.result(PATIENCE)
        elif isinstance(answer, dict) and "rpcId" in answer:
            assert self.called.result(PATIENCE) == {"ok": 1}
        else:
            assert self.called.result(PATIENCE) == answer

    def compare_stored(self, record: Record) -> None:
        """Of several values of one instant that was given, the server keeps the last."""
        key, given = record["key"], {ts for ts, _ in record["values"] if ts != "now"}
        came = [
            (entry["ts"] if entry["ts"] in given else "now", json.dumps(entry["values"][key], sort_keys=True))
            for entry in self.server.telemetry_of("Device")
            if key in entry["values"]
        ]
        expected = [(ts, json.dumps(value, sort_keys=True)) for ts, value in record["values"]]
        assert (dict(came) if given else came) == (dict(expected) if given else expected), key

    def close(self) -> None:
        self.pool.shutdown()


def play(stage: Stage, records: list[Record]) -> None:  # noqa: C901 (one arm for each kind of record)
    lines: dict[tuple[str, int], Line] = {}
    named: dict[str, str] = {}
    unsent = b""
    for at, record in enumerate(records):
        scene = (record["scene"], record["level"])
        where = f"{stage.file}, level {scene[1]}, {scene[0]}, {record['ms']} ms: {record}"
        if record.get("packet") == "CONNECT" and record["ms"] == 0:
            named = stage.prepare(record)
            lines[scene] = Line(stage.server, record["level"], where)
        line = lines[scene]
        line.where = where
        scene_key = (stage.file, record["level"], record["scene"])
        following = records[at + 1] if at + 1 < len(records) else {}
        match record.get("packet", record.get("event")), record.get("dir"):
            case _, "rest":
                stage.rest(record)
            case "closed", _:
                line.expect_end()
            case "nothing", _ if scene_key not in LATE:
                line.expect_nothing()
            case (("nothing" | "send failed" | "120 published, acknowledged"), _):
                pass
            case _, "client":
                # What was sent before the answer to the login goes out together with it.
                unsent += outgoing(record, named)
                if following.get("dir") != "client" or following.get("event"):
                    line.send(unsent)
                    unsent = b""
            case _, "server":
                line.expect(record)
        if is_last(records, at):
            lines.pop(scene).close(late=scene_key in LATE)


def outgoing(record: Record, named: dict[str, str]) -> bytes:
    """Give what a client sends; of one scene the capture has only how often it published."""
    data = written(record, named)
    if record["scene"].startswith("120 before"):
        messages = [{**PUBLISHED, "level": record["level"], "mid": mid} for mid in range(1, 121)]
        data += b"".join(written(message, named) for message in messages)
    return data


def is_last(records: list[Record], at: int) -> bool:
    """Whether a connection has nothing more to come: the scene is over, or opens another one."""
    scene = (records[at]["scene"], records[at]["level"])
    later = next((record for record in records[at + 1 :] if (record["scene"], record["level"]) == scene), None)
    return later is None or (later.get("packet") == "CONNECT" and later["ms"] == 0)


@pytest.mark.parametrize(("file", "records"), list(stories()))
def test_the_sandbox_answers_as_the_server_did(file: str, records: list[Record]) -> None:
    with ThingsBoard() as server:
        stage = Stage(server, file)
        play(stage, records)
        stage.close()
