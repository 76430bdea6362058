"""The V3 sandbox answers as a real stack did: captures of one (tests/vectors/tts_v3) are played to it.

What is compared: each packet of the broker, byte for byte, and each event's text, with its names in their order.
What is not: IDs that the stack makes, times, keys of sessions, addresses, frame counters that depend on what the
stack's own commands took, and how gateways heard a frame.
"""

from __future__ import annotations

import base64
import json
import re
import select
import socket
import ssl
import struct
import threading
from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE, packet, publish, read_packet, text
from stack_api import Api
from stack_captures import Record, alike, key, records, without_euis
from thingslink.sandbox import Sandbox, SandboxDevice

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = {
    "FULL": ["RIGHT_APPLICATION_ALL"],
    "READ": ["RIGHT_APPLICATION_TRAFFIC_READ"],
    "DOWN": ["RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE"],
    "INFO": ["RIGHT_APPLICATION_INFO"],
    "DEVREAD": ["RIGHT_APPLICATION_DEVICES_READ"],
    "TRAFFIC": [f"RIGHT_APPLICATION_TRAFFIC_{name}" for name in ("READ", "UP_WRITE", "DOWN_WRITE")],
    "ADMIN": ["RIGHT_ALL"],
}
FULL = key("FULL")


@pytest.fixture
def stack() -> Iterator[Sandbox]:
    """Give a stack with the applications and devices of the captures."""
    with Sandbox("app1", FULL, network="v3", mqtts_port=0, seed=0) as sandbox:
        for name, rights in KEYS.items():
            sandbox.add_application("app1", key(name), rights)
        sandbox.add_application("app2", key("OTHER"))
        sandbox.device("abp1")
        sandbox.device("otaa1", joined=False)
        sandbox.device("otaa2", joined=False)
        yield sandbox
    while OPEN:
        OPEN.pop().close()


#: Sockets of a test's clients.
OPEN: list[socket.socket] = []


def login(
    user: str | None = None,
    pw: str | None = None,
    *,
    name: str = "MQTT",
    level: int = 4,
    cid: str = "cap",
    clean: bool = True,
    keep: int = 60,
    will: list[Any] | None = None,
    flags: int | None = None,
) -> bytes:
    """Make a CONNECT from what the captures say of it."""
    if flags is None:
        flags = (user is not None) << 7 | (pw is not None) << 6 | clean << 1
    body = text(name) + bytes([level, flags | (will is not None) << 2]) + struct.pack(">H", keep)
    body += b"\0" if level == 5 else b""
    given = [cid, *(will or [])[:2], user, pw]
    return packet(0x10, body + b"".join(text(part) for part in given if part is not None))


class Client:
    """A client that writes and reads packets as they are."""

    def __init__(self, stack: Sandbox, user: str | None = "app1", pw: str = FULL, *, tls: bool = False) -> None:
        host, port = (stack.mqtts_address or "" if tls else stack.mqtt_address).removeprefix("mqtts://").split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=PATIENCE)
        if tls:
            context = ssl.create_default_context(cadata=stack.ca_certs)
            self.socket = context.wrap_socket(self.socket, server_hostname=host)
        OPEN.append(self.socket)
        if user is not None:
            assert self.ask(login(user, pw)) == b"\x20\x02\0\0"

    def ask(self, sent: bytes) -> bytes:
        """Write something, and read a packet; empty at the end."""
        self.socket.sendall(sent)
        return self.read()

    def read(self) -> bytes:
        try:
            return read_packet(self.socket)
        except ConnectionResetError:
            return b""

    def until_ping(self) -> list[bytes]:
        """Read everything that was published before now."""
        got = []
        self.socket.sendall(b"\xc0\0")
        while (read := self.read()) != b"\xd0\0":
            assert read, "closed"
            got.append(read)
        return got

    def is_open(self) -> bool:
        try:
            self.socket.sendall(b"\xc0\0")
            return read_packet(self.socket) == b"\xd0\0"
        except ConnectionError:
            return False

    def subscribe(self, *filters: tuple[str, int], mid: int = 7) -> bytes:
        body = b"".join(text(path) + bytes([qos]) for path, qos in filters)
        return self.ask(packet(0x82, struct.pack(">H", mid) + body))


def suback(answer: str) -> bytes:
    """Give the bytes of a SUBACK that a capture tells of."""
    mid, codes = re.fullmatch(r"SUBACK id=(\d+) codes=\[(.*)\]", answer).groups()  # type: ignore[union-attr]
    return packet(0x90, struct.pack(">H", int(mid)) + bytes(int(code, 16) for code in re.findall(r"0x\w\w", codes)))


def topics(packets: list[bytes]) -> list[str]:
    """Give messages as the captures show them."""
    shown = []
    for sent in packets:
        head, topic, _ = parts(sent)
        flags = f"qos={(head >> 1) & 3} retain={head & 1} dup={(head >> 3) & 1}"
        shown.append(f"PUBLISH {flags} topic={topic}")
    return shown


def parts(sent: bytes) -> tuple[int, str, str]:
    """Give first byte, topic and payload of a message at QoS 0."""
    at = 1
    while sent[at] & 0x80:
        at += 1
    (length,) = struct.unpack(">H", sent[at + 1 : at + 3])
    body = sent[at + 3 :]
    return sent[0], body[:length].decode(), body[length:].decode()


def is_login(record: Record) -> bool:
    return "connect" in record


@pytest.mark.parametrize("record", [pytest.param(it, id=it["note"]) for it in records("10-mqtt-login") if is_login(it)])
def test_a_login_is_answered_as_by_the_stack(stack: Sandbox, record: Record) -> None:
    sent = login(**record["connect"])
    if record["connect_hex"]:
        assert sent.hex() == record["connect_hex"]
    client = Client(stack, None, tls=record["note"].startswith("TLS"))
    answer = client.ask(sent)
    assert answer.hex() == (record["answer_hex"] or "")
    stays = record["then"] == "nothing within the wait" and bool(answer)
    assert client.is_open() == stays


def test_what_is_no_login_ends_the_connection(stack: Sandbox) -> None:
    assert Client(stack, None).ask(bytes.fromhex("16030100c8010000c4030300")) == b""
    assert Client(stack, None).ask(b"\x82\x06\0\x05\0\x01#\0") == b""
    assert Client(stack).ask(login("app1", FULL)) == b""
    # Without a word, after ten seconds.
    assert Client(stack, None).read() == b""


def test_plain_text_on_the_port_of_tls_gets_no_answer_of_mqtt(stack: Sandbox) -> None:
    (record,) = [it for it in records("10-mqtt-login") if it["note"] == "plain CONNECT on the TLS port"]
    host, port = (stack.mqtts_address or "").removeprefix("mqtts://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as plain:
        plain.sendall(login("app1", FULL))
        answer = plain.recv(100)
    # TLS may say so in its own words (an alert), which the real one's library did not.
    assert answer.hex() == record["answer_hex"] or answer[0] == 0x15


def test_two_connections_with_one_client_id_both_stay(stack: Sandbox) -> None:
    first, second = Client(stack), Client(stack)
    assert first.is_open() and second.is_open()
    assert stack.clients == ["cap", "cap"]


FILTERS = [record for record in records("11-mqtt-subscribe") if "filter" in record]


@pytest.mark.parametrize("record", [pytest.param(it, id=f"{it['filter']}-{it['qos']}") for it in FILTERS])
def test_a_filter_is_answered_as_by_the_stack(stack: Sandbox, record: Record) -> None:
    client = Client(stack)
    answer = client.subscribe((record["filter"], record["qos"]))
    if record["answer"].startswith("connection closed"):
        assert answer == b""
        return
    assert answer == suback(record["answer"])
    stack.device("abp1").uplink(b"\x01")
    assert topics(client.until_ping()) == record["after_one_simulated_uplink"]


def test_filters_that_overlap_are_one_subscription(stack: Sandbox) -> None:
    of = {record["note"]: record for record in records("11-mqtt-subscribe") if "note" in record}
    client, device = Client(stack), stack.device("abp1")

    def uplinks() -> list[str]:
        device.uplink(b"\x01")
        return topics(client.until_ping())

    record = of["three filters in one SUBSCRIBE: v3/app1/# q1, v3/app2/# q1, # q2; overlapping"]
    assert client.subscribe(("v3/app1/#", 1), ("v3/app2/#", 1), ("#", 2), mid=9) == suback(record["answer"])
    assert uplinks() == record["after_one_simulated_uplink"]
    assert client.ask(packet(0xA2, b"\0\x0a" + text("#"))) == b"\xb0\x02\0\x0a"
    assert uplinks() == of["UNSUBSCRIBE # (subscribed as # and v3/app1/#)"]["after_one_simulated_uplink"]
    assert client.ask(packet(0xA2, b"\0\x0b" + text("v3/app1/#"))) == b"\xb0\x02\0\x0b"
    assert uplinks() == of["then UNSUBSCRIBE v3/app1/#"]["after_one_simulated_uplink"]
    assert client.ask(packet(0xA2, b"\0\x0c" + text("never"))) == b"\xb0\x02\0\x0c"


RIGHTS = [record for record in records("11-mqtt-subscribe") if record.get("note", "").startswith("key with rights")]


@pytest.mark.parametrize("record", [pytest.param(it, id=it["note"].split('"')[1]) for it in RIGHTS])
def test_a_key_without_the_right_hears_nothing(stack: Sandbox, record: Record) -> None:
    client = Client(stack, "app1", key(record["note"].split('"')[1].upper()))
    assert client.subscribe(("v3/app1/#", 0), mid=1) == suback(record["answer"])
    stack.device("abp1").uplink(b"\x01")
    assert topics(client.until_ping()) == record["after_one_simulated_uplink"]


def test_an_application_hears_nothing_of_another(stack: Sandbox) -> None:
    client = Client(stack, "app2", key("OTHER"))
    assert client.subscribe(("v3/app1/#", 0), ("#", 0), mid=1) == b"\x90\x04\0\x01\x80\0"
    stack.device("abp1").uplink(b"\x01")
    assert client.until_ping() == []


PACKETS = [record for record in records("11-mqtt-subscribe") if "sent_hex" in record]


@pytest.mark.parametrize("record", [pytest.param(it, id=it["note"]) for it in PACKETS])
def test_a_packet_is_answered_as_by_the_stack(stack: Sandbox, record: Record) -> None:
    client = Client(stack)
    client.socket.sendall(bytes.fromhex(record["sent_hex"]))
    answer = record["answer"]
    if answer.startswith("SUBACK"):
        assert client.read() == suback(answer)
    elif answer.startswith("PINGRESP"):
        assert client.read() == b"\xd0\0"
    elif answer.startswith("connection closed"):
        assert client.read() == b""
    assert client.is_open() == bool(record["then_ping"])


def answers(record: Record) -> list[bytes]:
    return [
        bytes([{"PUBACK": 0x40, "PUBREC": 0x50, "PUBCOMP": 0x70}[answer.split(" ")[0]], 2, 0, 21])
        for answer in record["answer"]
        if not answer.startswith("connection closed")
    ]


def is_encoded(record: Record) -> bool:
    """Whether the application's encoder has a part in it: what is no JSON does not get so far."""
    is_fields = '"decoded_payload"' in record["payload"] and "frm_payload" not in record["payload"]
    return is_fields and "NaN" not in record["payload"]


@pytest.mark.parametrize(
    "record", [pytest.param(it, id=it["note"]) for it in records("30-mqtt-downlink") if not is_encoded(it)]
)
def test_a_downlink_is_answered_as_by_the_stack(stack: Sandbox, record: Record) -> None:
    note = record["note"]
    watcher = Client(stack)
    watcher.subscribe(("v3/app1/#", 0))
    client = Client(
        stack, "app1", key({"key without the right": "READ", "key with only the right": "DOWN"}.get(note, "FULL"))
    )
    payload = record["payload"].encode()
    if note == "invalid UTF-8":
        payload = payload.replace("\ufffd".encode(), b"\xff")
    flags = ("dup" in note) << 3 | ("retain" in note)
    qos = record["qos"]
    head = text(record["topic"]) + (b"\0\x15" if qos else b"")
    client.socket.sendall(packet(0x30 | flags | qos << 1, head + payload))
    expected = answers(record)
    for at, answer in enumerate(expected):
        assert client.read() == answer
        if answer[0] == 0x50:
            assert expected[at + 1] == client.ask(b"\x62\x02\0\x15")
            break
    assert client.is_open() == record["then_ping"].startswith("PINGRESP")
    events = [parts(sent)[1:] for sent in watcher.until_ping()]
    shown = [(topic, without_euis(alike(event)) if "abp1" in topic else alike(event)) for topic, event in events]
    assert shown == [(event["topic"], alike(event["payload"])) for event in record["events"]]
    waiting = [item["frm_payload"] for item in record["queue_after"].get("downlinks", [])]
    assert stack._downlinks("app1", "abp1") == waiting


def test_a_v2_body_clears_the_queue(stack: Sandbox) -> None:
    (record,) = [record for record in records("31-downlink-more") if "answer_hex" in record]
    client = Client(stack)
    topic = "v3/app1/devices/abp1/down/"
    client.ask(publish(f"{topic}push", b'{"downlinks":[{"f_port":10,"frm_payload":"AQ=="}]}', qos=1, mid=4))
    assert stack.device("abp1").downlinks == [b"\x01"]
    body = b'{"payload_raw": "Ag8=", "port": 10}'
    assert client.ask(publish(f"{topic}replace", body, qos=1, mid=5)).hex() == record["answer_hex"]
    assert stack.device("abp1").downlinks == []


def radio(dev_id: str) -> list[Record]:
    """Give what was told of a device, with the events as they are."""
    told = [it for it in records("22-mqtt-radio") if f"/{dev_id}/" in it.get("topic", "")]
    return [{**record, "event": json.loads(record["payload"])} for record in told]


def play(device: SandboxDevice, client: Client, record: Record) -> None:
    """Do what an event tells of."""
    event = record["event"]
    if "join_accept" in event:
        device.join()
    elif "uplink_message" in event:
        uplink = event["uplink_message"]
        device.configure(spreading_factor=uplink["settings"]["data_rate"]["lora"]["spreading_factor"])
        payload, port = base64.b64decode(uplink.get("frm_payload", "")), uplink.get("f_port", 0)
        if record["note"].startswith("port 0"):
            payload = b"\x02"
        fields, confirmed = uplink.get("decoded_payload"), uplink.get("confirmed", False)
        device.uplink(payload if port or payload else None, fields=fields, port=port, confirmed=confirmed)
    else:
        name, body = next((name, body) for name, body in event.items() if name.startswith("downlink_"))
        downlink = body["downlink"] if name == "downlink_failed" else body
        own = [it for it in downlink["correlation_ids"] if ":" not in it]
        retry = {"confirmed_retry": {"max_attempts": 2}} if "max_attempts" in str(downlink) else {}
        wanted = {
            key: downlink[key]
            for key in ("f_port", "frm_payload", "decoded_payload", "confirmed", "class_b_c", "priority")
            if key in downlink
        }
        sent = json.dumps({"downlinks": [{**wanted, **retry, "correlation_ids": own}]}).encode()
        assert client.ask(publish(f"v3/app1/devices/{device.dev_id}/down/push", sent, qos=1))[0] == 0x40


def counted(event: str) -> str:
    """Give an event without the frame counters."""
    return re.sub(r'"f_cnt":\d+,|"max":"\d+"', "", event)


def test_the_life_of_a_device_is_told_as_by_the_stack(stack: Sandbox) -> None:
    told = radio("otaa1")
    assert len(told) == 56
    watcher, client = Client(stack), Client(stack)
    watcher.subscribe(("v3/app1/#", 0))
    device = stack.device("otaa1", joined=False)
    for record in told:
        end = record["topic"].split("otaa1/")[1]
        if end in ("down/ack", "down/nack"):
            device.configure(acknowledges=end == "down/ack")
        elif end in ("join", "up", "down/queued") or "past-1" in record["payload"]:
            if end == "up" and record["note"].startswith("gateway refuses"):
                stack.refuse_downlinks("TOO_LATE")
            play(device, client, record)
    heard = [parts(sent)[1:] for sent in watcher.until_ping()]
    # Of the last of three downlinks nobody waited for this event.
    heard = [(topic, event) for topic, event in heard if not ("/down/sent" in topic and '"seq-2"' in event)]
    shown = [(topic, counted(without_fields_of_frame(alike(event)))) for topic, event in heard]
    expected = [(record["topic"], counted(without_fields_of_frame(alike(record["payload"])))) for record in told]
    assert shown == expected


def test_the_life_of_a_device_that_never_joined_is_told_as_by_the_stack(stack: Sandbox) -> None:
    told = radio("abp1")
    assert len(told) == 3
    watcher, client = Client(stack), Client(stack)
    watcher.subscribe(("v3/app1/#", 0))
    stack.device("abp1").delete()
    api = Api(stack)
    for record in records("40-management-http"):
        if record["note"].startswith("ABP"):
            assert api.ask(record["method"], record["path"], record["request"])[0] == 200
    # Which newer stacks tell, too.
    request = {"end_device": {"attributes": {}}, "field_mask": {"paths": ["attributes"]}}
    assert api.ask("PUT", "applications/app1/devices/abp1", request)[0] == 200
    device = stack.device("abp1")
    for record in told:
        play(device, client, record)
    heard = [parts(sent)[1:] for sent in watcher.until_ping()]
    # Nobody waited for what came of the last uplink.
    assert heard.pop()[0].endswith("abp1/down/sent")
    shown = [(topic, counted(without_fields_of_frame(alike(event)))) for topic, event in heard]
    assert shown == [(it["topic"], counted(without_fields_of_frame(alike(it["payload"])))) for it in told]


def test_a_gateway_refuses_for_a_reason_as_often_as_it_was_asked_to(stack: Sandbox) -> None:
    watcher, client, device = Client(stack), Client(stack), stack.device("abp1")
    watcher.subscribe(("v3/app1/devices/abp1/down/+", 0))
    body = json.dumps({"downlinks": [{"f_port": 9, "frm_payload": "AQ=="}] * 3})
    client.ask(publish("v3/app1/devices/abp1/down/push", body.encode(), qos=1))
    stack.refuse_downlinks("TX_POWER", 2)
    for _ in range(3):
        device.uplink()
    ends = [topic.rsplit("/", 1)[1] for _, topic, _ in map(parts, watcher.until_ping())]
    assert ends == ["queued"] * 3 + ["failed", "failed", "sent"]
    assert [it.counter for it in device.received] == [3] and device.downlinks == []
    for reason in ("", "SOON", "TOO_LATE,", "or"):
        with pytest.raises(ValueError, match="reason"):
            stack.refuse_downlinks(reason)


def without_fields_of_frame(event: str) -> str:
    """Give an event without what the stack adds when a frame has commands in it, and what the sandbox adds."""
    return event.replace('"channel_index":0,', "")


def test_downlinks_come_with_the_counters_of_their_session(stack: Sandbox) -> None:
    client, device = Client(stack), stack.device("abp1")
    for byte in (1, 2):
        body = json.dumps({"downlinks": [{"f_port": 9, "frm_payload": base64.b64encode(bytes([byte])).decode()}]})
        client.ask(publish("v3/app1/devices/abp1/down/push", body.encode(), qos=1))
    assert (device.uplink(), device.uplink()) == (0, 1)
    assert [(it.payload, it.port, it.counter) for it in device.received] == [(b"\x01", 9, 1), (b"\x02", 9, 2)]
    device.join()
    assert device.uplink() == 0


@pytest.mark.parametrize("record", [it for it in records("50-limits") if it["note"] == "publish of size"])
def test_a_message_may_be_as_long_as_the_protocol_permits(stack: Sandbox, record: Record) -> None:
    client = Client(stack)
    body = b'{"downlinks":[{"f_port":10,"frm_payload":"Ag8="}],"x":"'
    body += b"x" * (record["bytes"] - len(body) - 2) + b'"}'
    assert client.ask(publish("v3/app1/devices/abp1/down/push", body, qos=1, mid=5)) == b"\x40\x02\0\x05"
    assert client.is_open()
    assert (stack.device("abp1").downlinks == [b"\x02\x0f"]) == record["accepted"]


def test_the_queue_of_a_device_has_an_end(stack: Sandbox) -> None:
    watcher, client = Client(stack), Client(stack)
    watcher.subscribe(("v3/app1/devices/+/down/failed", 0))
    topic = "v3/app1/devices/abp1/down/push"
    client.ask(publish(topic, json.dumps({"downlinks": [{"f_port": 1, "frm_payload": "AQ=="}] * 500}).encode(), qos=1))
    client.ask(
        publish(topic, json.dumps({"downlinks": [{"f_port": 1, "frm_payload": "AQ=="}] * 10_000}).encode(), qos=1)
    )
    (record,) = [it for it in records("50-limits") if it["note"] == "queue length"]
    assert len(stack.device("abp1").downlinks) == record["n"]
    failed = json.loads(parts(watcher.read())[2])["downlink_failed"]
    assert failed["error"]["name"] == "downlink_queue_capacity"


def test_a_silent_client_is_parted_from_after_one_and_a_half_keep_alives(stack: Sandbox) -> None:
    short, endless, lively = Client(stack, None), Client(stack, None), Client(stack, None)
    assert short.ask(login("app1", FULL, keep=1)) == endless.ask(login("app1", FULL, keep=0)) == b"\x20\x02\0\0"
    assert lively.ask(login("app1", FULL, keep=1)) == b"\x20\x02\0\0"
    # Twice as long as the silent one is let.
    for _ in range(2):
        silent = Client(stack, None)
        assert silent.ask(login("app1", FULL, keep=1)) == b"\x20\x02\0\0"
        while not select.select([silent.socket], [], [], 0.3)[0]:
            assert lively.is_open()
        assert silent.read() == b""
    assert short.read() == b""
    assert endless.is_open() and lively.is_open()


def test_a_slow_reader_loses_messages_without_a_word(stack: Sandbox) -> None:
    slow, fast = Client(stack), Client(stack)
    for client in (slow, fast):
        client.subscribe(("#", 0))
    sent = 600
    body = b'{"n":%d,"x":"' + b"x" * 50_000 + b'"}'
    for number in range(sent):
        stack.publish_raw("v3/app1/devices/abp1/up", body % number)
        assert json.loads(parts(fast.read())[2])["n"] == number
    got: list[int] = []
    # It writes while the sandbox waits for it to read.
    reading = threading.Thread(
        target=lambda: got.extend(json.loads(parts(it)[2])["n"] for it in slow.until_ping()), daemon=True
    )
    reading.start()
    reading.join(PATIENCE)
    assert not reading.is_alive()
    assert 192 <= len(got) < sent
    assert got == list(range(len(got)))
    stack.publish_raw("v3/app1/devices/abp1/up", body % sent)
    assert json.loads(parts(slow.read())[2])["n"] == sent


def test_each_connection_gets_every_message(stack: Sandbox) -> None:
    clients = [Client(stack) for _ in range(50)]
    for client in clients:
        client.subscribe(("#", 0))
    stack.device("abp1").uplink(b"\x01")
    assert [len(client.until_ping()) for client in clients] == [1] * 50


def test_a_packet_is_written_in_three_pieces(stack: Sandbox) -> None:
    client = Client(stack, None, tls=True)
    client.socket.sendall(login("app1", FULL))
    # Over TLS each piece is a record, which is read by itself.
    assert [client.socket.recv(100) for _ in range(3)] == [b"\x20", b"\x02", b"\0\0"]
    client.socket.sendall(b"\xc0\0")
    assert [client.socket.recv(100) for _ in range(2)] == [b"\xd0", b"\0"]


def test_over_the_limit_publishes_end_the_connection(stack: Sandbox) -> None:
    stack.limit("as:down:mqtt", 12, burst=3)
    (record,) = [it for it in records("52-rate-limits") if it["note"].startswith("MQTT publishes")]
    client, other = Client(stack), Client(stack, "app1", key("DOWN"))
    got = [client.ask(publish("v3/app1/devices/abp1/down/push", b"{}", qos=1, mid=mid)) for mid in (1, 2, 3, 4)]
    assert got == [b"\x40\x02\0" + bytes([mid]) for mid in (1, 2, 3)] + [b""]
    assert record["answers"][3].startswith("connection closed")
    assert other.ask(publish("v3/app1/devices/abp1/down/push", b"{}", qos=1, mid=1)) == b"\x40\x02\0\x01"


def test_over_the_limit_connections_get_no_answer(stack: Sandbox) -> None:
    stack.limit("as:accept:mqtt", 12, burst=4)
    (record,) = [it for it in records("52-rate-limits") if it["note"].startswith("MQTT connections")]
    got = []
    for _ in record["answers"]:
        try:
            got.append(Client(stack, None).ask(login("app1", FULL)))
        except ConnectionError:
            got.append(b"")
    assert got == [b"\x20\x02\0\0" if answer.startswith("CONNACK") else b"" for answer, _ in record["answers"]]
    stack.limit("as:accept:mqtt", None)
    assert Client(stack).is_open()


def test_a_will_is_sent_unless_the_client_parts(stack: Sandbox) -> None:
    will = ["v3/app1/devices/abp1/down/push", '{"downlinks":[{"f_port":10,"frm_payload":"Ag8="}]}']

    def ended() -> list[bool]:
        return [entry["clean"] for entry in stack.journal if entry["kind"] == "disconnected"]

    for parts_first in (True, False):
        client = Client(stack, None)
        assert client.ask(login("app1", FULL, will=will)) == b"\x20\x02\0\0"
        if parts_first:
            client.socket.sendall(b"\xe0\0")
            assert client.is_open()
        client.socket.close()
        ends = [True] if parts_first else [True, False]
        stack.wait_for(lambda: ended() == ends)  # noqa: B023 - waited for just here
        if parts_first:
            assert stack.device("abp1").downlinks == []
    stack.wait_for(lambda: stack.device("abp1").downlinks == [b"\x02\x0f"])
