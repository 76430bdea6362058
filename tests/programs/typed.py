"""Shape: a program with types all over, checked strictly. It writes its own import, of this library."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass, field

from thingslink import ThingsError, ttn
from thingslink.ttn import MQTTClient, UplinkMessage


@dataclass
class Counter:
    """Counts uplinks of each device."""

    wanted: int
    counts: dict[str, int] = field(default_factory=dict)
    done: threading.Event = field(default_factory=threading.Event)

    def uplink(self, msg: UplinkMessage, client: MQTTClient) -> None:
        payload: bytes | None = msg.payload
        dev_id: str = msg.dev_id
        self.counts[dev_id] = self.counts.get(dev_id, 0) + len(payload or b"")
        mid: int = client.send(dev_id, b"\x01", port=2)
        if mid and sum(self.counts.values()) >= self.wanted:
            self.done.set()


def connected(res: bool, client: MQTTClient) -> None:
    print("connected", res, client.app_id, flush=True)


def main() -> int:
    counter = Counter(wanted=int(sys.argv[1]))
    try:
        handler = ttn.HandlerClient("demo-app", "ttn-account-v2.demo")
        client = handler.data()
    except ThingsError as error:
        print(error, file=sys.stderr)
        return 1
    client.set_connect_callback(connected)
    client.set_uplink_callback(counter.uplink)
    with client:
        counter.done.wait()
        client.flush(timeout=10)
    print(sorted(counter.counts.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
