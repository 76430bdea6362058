"""Writes uplinks to the log, as a service that is ended by SIGINT: the unit and the Dockerfile beside it."""

import logging
import os
import signal
import time
from pathlib import Path

from thingslink import ttn

log = logging.getLogger("plant")


def uplink(msg: ttn.UplinkMessage, client: ttn.MQTTClient) -> None:
    """Take an uplink. At QoS 1 it is acknowledged when this has returned."""
    log.info("%s sent %s", msg.dev_id, msg.payload)


def main() -> None:
    """Follow until SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    # Where a shell or an engine starts programs deaf to it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    app_id = os.environ["THINGSLINK_APP_ID"]
    key = Path(os.environ["THINGSLINK_ACCESS_KEY_FILE"]).read_text(encoding="utf-8").strip()
    client = ttn.MQTTClient(
        app_id, key, os.environ["THINGSLINK_MQTT"], qos=1, client_id=f"{app_id}-log", clean_session=False
    )
    client.set_uplink_callback(uplink)
    try:
        with client:
            log.info("connected")
            # In slices: a signal that comes right before a pause without an end would be heard after it.
            while True:
                time.sleep(1)
    except KeyboardInterrupt:
        log.info("closed")


if __name__ == "__main__":
    main()
