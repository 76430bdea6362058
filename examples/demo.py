"""The main job end to end, offline: find the handler, manage devices, connect, uplinks into a callback, a downlink out
and its events back, a cut and the way back from it. `make demo` runs this.
"""

from __future__ import annotations

import queue
from typing import Any

from thingslink import ttn
from thingslink.sandbox import Sandbox

PATIENCE = 20


def manage(application: ttn.ApplicationClient) -> None:
    """Show the application, register, update and list devices."""
    with application:
        application.set_payload_format("cayennelpp")
        print(f"application: {' '.join(str(application.get()).split())}")
        for number in (7, 8):
            application.register_device(
                f"soil-{number:02}",
                {"dev_eui": f"0004A30B00AABB{number:02X}", "app_eui": "70B3D57ED00000AA", "app_key": "00" * 15 + "01"},
            )
        application.update_device("soil-07", {"description": "under the apple tree", "attributes": {"row": "12"}})
        for device in application.devices():
            print(f"  {device.dev_id} {device.lorawan_device.dev_eui_hex} {device.description}")


def main() -> None:
    """Show it."""
    happened: queue.Queue[tuple[str, Any]] = queue.Queue()

    def expect(kind: str) -> Any:
        while True:
            came, value = happened.get(timeout=PATIENCE)
            if came == kind:
                return value

    with Sandbox() as sandbox:
        print(f"sandbox: an offline network with its discovery server on {sandbox.discovery_address}")

        handler = ttn.HandlerClient(sandbox.app_id, sandbox.access_key, sandbox.discovery_address, sandbox.ca_certs)
        print(f"discovered over gRPC and TLS: {handler.announcement.id} on {handler.announcement.net_address}")
        manage(handler.application())
        device = sandbox.device("soil-07")

        client = handler.data(reconnect_min_delay=0.1)
        client.set_connect_callback(lambda res, client: happened.put(("connect", res)))
        client.set_close_callback(lambda res, client: happened.put(("close", res)))
        client.set_uplink_callback(lambda msg, client: happened.put(("uplink", msg)))
        client.set_downlink_callback(lambda mid, client: happened.put(("written", mid)))
        client.set_event_callback(lambda event, client: happened.put((event.name, event)))

        client.connect()
        print(f"connected: {expect('connect')} (to {handler.announcement.mqtt_address})")

        device.uplink(bytes.fromhex("016700eb02685d"), port=3)
        msg = expect("uplink")
        best = max(msg.metadata.gateways, key=lambda gateway: gateway.rssi)
        print(f"uplink from {msg.dev_id}: {msg.payload.hex()} = {msg.payload_fields.temperature_1} °C")
        print(f"  frame {msg.counter} on port {msg.port}, heard best by {best.gtw_id} at {best.rssi} dBm")

        mid = client.send("soil-07", b"\x01\x02\x03", port=2, confirmation=True, schedule="last")
        print(f"downlink {mid}: written {expect('written') == mid}")
        print(f"  scheduled: {expect('down/scheduled').message.payload_raw}")
        device.uplink(b"\x00")
        sent = expect("down/sent")
        print(f"  sent after the next uplink by {sent.gateway_id} on {sent.config.frequency / 1e6} MHz")
        device.uplink(b"\x00")
        print(f"  acknowledged by the device: {expect('down/acks').message.confirmed}")

        sandbox.cut()
        print(f"cut: the connection is lost (close callback: {expect('close')})")
        print(f"  and comes back by itself (connect callback: {expect('connect')})")

        sandbox.stream(rate=2000, devices=100, count=1000, seed=1)
        senders = {expect("uplink").dev_id for _ in range(1000)}
        print(f"stream: 1000 uplinks from {len(senders)} simulated devices arrived")

        client.close()
        print(f"closed: {expect('close')}")
        print(f"stats: {client.stats()}")


if __name__ == "__main__":
    main()
