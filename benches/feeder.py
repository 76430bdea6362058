"""A server that answers logins and subscriptions, and then writes pre-encoded uplinks as fast as the socket takes them.

It isolates the client: no broker, no routing. Run as
``python feeder.py COUNT [--one-by-one PAUSE | --v3 | --chirpstack | --acknowledged DEVICES | --acknowledged-one-by-one
PAUSE]``; prints its port.

With ``--one-by-one`` each uplink goes out PAUSE seconds after the client has answered the one before with any PUBLISH,
and carries the time of sending. With ``--v3`` the uplinks are those of The Things Stack V3, with ``--chirpstack`` those
of ChirpStack. With ``--acknowledged`` they come at QoS 1 from so many devices with counters of their own, and at most
5,000 are on their way; with ``--acknowledged-one-by-one`` each goes out PAUSE seconds after the one before was
acknowledged.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time
from typing import Any

UPLINK: dict[str, Any] = {
    "app_id": "orchard-app",
    "dev_id": "soil-07",
    "hardware_serial": "0004A30B00AABBCC",
    "port": 3,
    "counter": 4711,
    "payload_raw": "AWcA6wJoXQ==",
    "payload_fields": {"relative_humidity_2": 46.5, "temperature_1": 23.5},
    "metadata": {
        "time": "2019-05-14T06:31:07.482913345Z",
        "frequency": 867.5,
        "modulation": "LORA",
        "data_rate": "SF9BW125",
        "airtime": 205824000,
        "coding_rate": "4/5",
        "gateways": [
            {
                "gtw_id": "eui-b827ebfffe0a0b0c",
                "gtw_trusted": True,
                "timestamp": 2883310868,
                "time": "2019-05-14T06:31:07.44Z",
                "channel": 5,
                "rssi": -103,
                "snr": 6.25,
                "rf_chain": 0,
                "latitude": 51.9812,
                "longitude": 5.6623,
                "altitude": 31,
                "location_source": "registry",
            },
            {
                "gtw_id": "barn-roof",
                "timestamp": 1190217764,
                "time": "",
                "channel": 5,
                "rssi": -117,
                "snr": -4.8,
                "rf_chain": 0,
            },
        ],
        "latitude": 51.9801,
        "longitude": 5.6611,
        "altitude": 9,
        "location_source": "registry",
    },
}
TOPIC = b"orchard-app/devices/soil-07/up"


def antenna(gateway: str, eui: str, rssi: int, snr: float, **more: Any) -> dict[str, Any]:
    """What a gateway of a stack has heard."""
    return {
        "gateway_ids": {"gateway_id": gateway, "eui": eui},
        "time": "2025-03-14T09:26:53.170Z",
        "timestamp": 1839274652,
        "rssi": rssi,
        "channel_rssi": rssi,
        "snr": snr,
        "location": {"latitude": 51.9812, "longitude": 5.6623, "altitude": 31, "source": "SOURCE_REGISTRY"},
        "uplink_token": "ChwKGgoMcm9vZnRvcC1lYXN0EghYoMv//oASNBCc0oPtBhoMCKrz0L4GEJjH+LwCIODU7JXUlAo=",
        "channel_index": 3,
        "received_at": "2025-03-14T09:26:53.188402117Z",
        **more,
    }


#: About 2 kB, heard by three gateways, one of them of another network.
V3_UPLINK: dict[str, Any] = {
    "end_device_ids": {
        "device_id": "soil-07",
        "application_ids": {"application_id": "orchard-app"},
        "dev_eui": "0004A30B00AABBCC",
        "join_eui": "70B3D57ED00000AA",
        "dev_addr": "260B5C41",
    },
    "correlation_ids": ["gs:uplink:01JP9K4T7Q2X8M5N6V3C1B0A9Z"],
    "received_at": "2025-03-14T09:26:53.412718605Z",
    "uplink_message": {
        "session_key_id": "AZWhw28uS3Co0clOewLzXQ==",
        "f_port": 3,
        "f_cnt": 4711,
        "frm_payload": "AWcA6wJoXQ==",
        "decoded_payload": {"relative_humidity_2": 46.5, "temperature_1": 23.5},
        "rx_metadata": [
            antenna("eui-b827ebfffe0a0b0c", "B827EBFFFE0A0B0C", -103, 6.25),
            antenna("barn-roof", "58A0CBFFFE801234", -117, -4.8),
            antenna(
                "packetbroker",
                "AC1F09FFFE0A5678",
                -113,
                -4.25,
                packet_broker={
                    "message_id": "01JP9K4T8E5H0B8F2Q6V4X1A3D",
                    "forwarder_net_id": "000013",
                    "forwarder_tenant_id": "acme-farm",
                    "forwarder_gateway_id": "harbour-north",
                },
            ),
        ],
        "settings": {
            "data_rate": {"lora": {"bandwidth": 125000, "spreading_factor": 9, "coding_rate": "4/5"}},
            "frequency": "867500000",
            "timestamp": 1839274652,
        },
        "received_at": "2025-03-14T09:26:53.201455210Z",
        "consumed_airtime": "0.205824s",
        "locations": {"user": {"latitude": 51.9801, "longitude": 5.6611, "altitude": 9, "source": "SOURCE_REGISTRY"}},
        "network_ids": {"net_id": "000013", "tenant_id": "ttn", "cluster_id": "eu1"},
    },
}
V3_TOPIC = b"v3/orchard-app/devices/soil-07/up"


def heard(gateway: str, rssi: int, snr: float) -> dict[str, Any]:
    """What a gateway of a ChirpStack has heard."""
    return {
        "gatewayId": gateway,
        "uplinkId": 553810779,
        "gwTime": "2026-11-26T00:20:06.670489916+00:00",
        "nsTime": "2026-11-26T00:20:06.671233484+00:00",
        "rssi": rssi,
        "snr": snr,
        "channel": 3,
        "location": {"latitude": 52.3731, "longitude": 4.8926, "altitude": 12.0, "source": "CONFIG"},
        "context": "qrvMAA==",
        "metadata": {"region_config_id": "eu868", "region_common_name": "EU868"},
        "crcStatus": "CRC_OK",
    }


CHIRPSTACK_APPLICATION = "c49fa6c7-3dc9-4053-b67b-3417d0872f0b"
#: About 1.5 kB, heard by two gateways.
CHIRPSTACK_UPLINK: dict[str, Any] = {
    "deduplicationId": "9dba2047-74e6-45c4-a8e9-cf009e2a785e",
    "time": "2026-11-26T00:20:06.670489916+00:00",
    "deviceInfo": {
        "tenantId": "2f4a0ff2-5e8a-426b-abe8-3fb96cd53b18",
        "tenantName": "Acme",
        "applicationId": CHIRPSTACK_APPLICATION,
        "applicationName": "orchard-app",
        "deviceProfileId": "353328b4-12b4-4a93-9bb1-3718d70afa99",
        "deviceProfileName": "abp-eu",
        "deviceName": "soil-probe-07",
        "devEui": "70b3d57ed005f1a2",
        "deviceClassEnabled": "CLASS_A",
        "tags": {"dev_id": "soil-07"},
    },
    "devAddr": "01020304",
    "adr": True,
    "dr": 3,
    "fCnt": 4711,
    "fPort": 3,
    "confirmed": False,
    "data": "AWcA6wJoXQ==",
    "object": {"relative_humidity_2": 46.5, "temperature_1": 23.5},
    "rxInfo": [heard("0016c001ff10a235", -103, 6.25), heard("0016c001ff10a236", -117, -4.8)],
    "txInfo": {
        "frequency": 867500000,
        "modulation": {"lora": {"bandwidth": 125000, "spreadingFactor": 9, "codeRate": "CR_4_5"}},
    },
    "regionConfigId": "eu868",
}
CHIRPSTACK_TOPIC = f"application/{CHIRPSTACK_APPLICATION}/device/70b3d57ed005f1a2/event/up".encode()


def packet(kind: int, body: bytes) -> bytes:
    """Frame a packet."""
    length, rest = b"", len(body)
    while True:
        rest, low = divmod(rest, 128)
        length += bytes([low | (0x80 if rest else 0)])
        if not rest:
            return bytes([kind]) + length + body


def publish(text: bytes, topic: bytes = TOPIC) -> bytes:
    """Frame a message at QoS 0."""
    return packet(0x30, struct.pack(">H", len(topic)) + topic + text)


def encode(uplink: dict[str, Any]) -> bytes:
    """Write JSON as the network does."""
    return json.dumps(uplink, separators=(",", ":")).encode()


def read_packet(connection: socket.socket) -> tuple[int, bytes]:
    """Read one packet; ``(0, b"")`` at the end."""
    first = connection.recv(1)
    if not first:
        return 0, b""
    length = shift = 0
    while True:
        byte = connection.recv(1)[0]
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    body = b""
    while len(body) < length:
        body += connection.recv(length - len(body))
    return first[0], body


def granted(subscription: bytes) -> bytes:
    """Give the answer to a subscription: each filter gets what it asks for."""
    levels, at = b"", 2
    while at < len(subscription):
        at += 2 + int.from_bytes(subscription[at : at + 2], "big")
        levels += subscription[at : at + 1]
        at += 1
    return packet(0x90, subscription[:2] + levels)


def welcome(connection: socket.socket) -> None:
    """Answer the login and the subscription."""
    while True:
        kind, body = read_packet(connection)
        if kind == 0x10:
            connection.sendall(b"\x20\x02\x00\x00")
        elif kind == 0x82:
            connection.sendall(granted(body))
            return


def flood(connection: socket.socket, count: int, uplink: bytes) -> None:
    """Send ``count`` uplinks, and one more, by which the client knows that it has all."""
    chunk = 1000
    block, last = uplink * chunk, uplink
    for _ in range(count // chunk):
        connection.sendall(block)
    connection.sendall(last)


def one_by_one(connection: socket.socket, count: int, pause: float) -> None:
    """Send an uplink whenever the client has answered, and a pause later."""
    for number in range(count):
        port = 9 if number == count - 1 else 3
        connection.sendall(publish(encode({**UPLINK, "port": port, "sent_ns": time.monotonic_ns()})))
        while read_packet(connection)[0] & 0xF0 != 0x30:
            pass
        # Sensors do not send back to back: a pause lets the client go to sleep, as it does between their messages.
        if pause:
            time.sleep(pause)


#: Uplinks at QoS 1 that may be on their way.
ON_THE_WAY = 5000
#: What the acknowledgement of one looks like, without its number.
ACKNOWLEDGED = b"\x40\x02"


def acknowledged_uplinks(count: int, devices: int) -> list[bytes]:
    """Encode uplinks at QoS 1, each device's counter by itself."""
    body = encode({**UPLINK, "dev_id": "@DEVICE@", "counter": "@COUNTER@"})
    before, between, after = body.replace(b'"@COUNTER@"', b"@").replace(b"@DEVICE@", b"@").split(b"@")
    encoded = []
    for number in range(count):
        device, counter = b"sensor-%07d" % (number % devices), b"%d" % (number // devices)
        topic = b"orchard-app/devices/%s/up" % device
        head = struct.pack(">H", len(topic)) + topic + struct.pack(">H", number % 60_000 + 1)
        encoded.append(packet(0x32, head + before + device + between + counter + after))
    return encoded


class Acknowledgements:
    """What a client says while uplinks go out at QoS 1."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.left = b""
        self.count = 0

    def read(self) -> None:
        """Wait for acknowledgements, and answer what else comes."""
        data = self.connection.recv(65536)
        if not data:
            raise ConnectionResetError("the client has closed")
        data, at = self.left + data, 0
        while len(data) - at >= 2 and len(data) - at >= 2 + data[at + 1]:
            end = at + 2 + data[at + 1]
            if data[at : at + 2] == ACKNOWLEDGED:
                self.count += 1
            elif data[at] == 0x82:
                self.connection.sendall(granted(data[at + 2 : end]))
            elif data[at] == 0xC0:
                self.connection.sendall(b"\xd0\x00")
            at = end
        self.left = data[at:]


def flood_acknowledged(connection: socket.socket, uplinks: list[bytes]) -> None:
    """Send uplinks as fast as they are acknowledged; prints how fast that was."""
    told = Acknowledgements(connection)
    begin, sent = time.perf_counter(), 0
    while told.count < len(uplinks):
        more = min(ON_THE_WAY - (sent - told.count), len(uplinks) - sent)
        # Many at a time, as a server writes them that has them waiting.
        if more >= 200 or sent + more == len(uplinks) > sent:
            connection.sendall(b"".join(uplinks[sent : sent + more]))
            sent += more
        told.read()
    print(json.dumps({"per_s": len(uplinks) / (time.perf_counter() - begin), "acknowledged": told.count}), flush=True)


def one_by_one_acknowledged(connection: socket.socket, count: int, pause: float) -> None:
    """Send an uplink at QoS 1 whenever the one before is acknowledged, and a pause later."""
    told = Acknowledgements(connection)
    for number in range(count):
        body = encode({**UPLINK, "counter": number, "sent_ns": time.monotonic_ns()})
        head = struct.pack(">H", len(TOPIC)) + TOPIC + struct.pack(">H", number % 60_000 + 1)
        connection.sendall(packet(0x32, head + body))
        while told.count <= number:
            told.read()
        time.sleep(pause)


def flooding(arguments: list[str]) -> bytes:
    """Give the packet that a flood is made of."""
    if "--v3" in arguments:
        return publish(encode(V3_UPLINK), V3_TOPIC)
    if "--chirpstack" in arguments:
        return publish(encode(CHIRPSTACK_UPLINK), CHIRPSTACK_TOPIC)
    return publish(encode(UPLINK))


def main() -> None:
    """Serve one client."""
    count = int(sys.argv[1])
    devices = int(sys.argv[3]) if "--acknowledged" in sys.argv else 0
    uplinks = acknowledged_uplinks(count, devices) if devices else []
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        connection, _ = server.accept()
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            welcome(connection)
            if "--one-by-one" in sys.argv:
                one_by_one(connection, count, float(sys.argv[3]))
            elif "--acknowledged-one-by-one" in sys.argv:
                one_by_one_acknowledged(connection, count, float(sys.argv[3]))
            elif uplinks:
                flood_acknowledged(connection, uplinks)
            else:
                flood(connection, count, flooding(sys.argv))
            # Until the client has closed: a reset would cost it what it has not read.
            while connection.recv(65536):
                pass


if __name__ == "__main__":
    main()
