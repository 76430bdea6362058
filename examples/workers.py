"""Share the uplinks of an application among as many processes and machines as you like.

Start one or more bridges, which carry messages from MQTT into NATS JetStream, and then this program, as often as
needed: each uplink goes to one of them, and comes again if it is not handled.

    python examples/workers.py my-app nats://localhost:4222
"""

import contextlib
import sys
import time

from thingslink.ttn import MQTTClient, UplinkMessage


def handle(msg: UplinkMessage) -> None:
    """Do what takes long; an exception has the message come again, after five it is a dead letter."""
    print(msg.dev_id, msg.counter, flush=True)


def main(app_id: str, address: str, network: str = "v2") -> None:
    """Work until Ctrl-C."""
    is_v3 = network == "v3"
    client = MQTTClient(app_id, "", address, network="v3" if is_v3 else "v2", group="workers", ordered=True)
    client.set_uplink_callback(handle)
    with client:
        # In short naps: Python overlooks a Ctrl-C that comes just as a wait begins.
        while True:
            time.sleep(1)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main(*sys.argv[1:])
