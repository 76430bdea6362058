"""Store every uplink in SQLite, losing none over crashes and restarts of this program.

    python examples/at_least_once.py mqtts://eu.thethings.network my-app ttn-account-v2.… uplinks.db

An uplink is acknowledged to the network only after the callback has returned, that is after the commit. What was stored
but not acknowledged comes again; the primary key sees to it that it is stored once.
"""

from __future__ import annotations

import sqlite3
import sys
import threading
from typing import Any

from thingslink import ttn


def main(address: str, app_id: str, access_key: str, path: str, count: int = 0) -> None:
    """Store until Ctrl-C, or until `count` uplinks are stored."""
    enough = threading.Event()
    store = sqlite3.connect(path, check_same_thread=False)
    store.execute(
        "CREATE TABLE IF NOT EXISTS uplinks (dev_id, counter, time, json, PRIMARY KEY (dev_id, counter, time))"
    )

    def uplink(msg: Any, client: ttn.MQTTClient) -> None:
        with store:
            row = (msg.dev_id, msg.counter, msg.metadata.time, msg.json().decode())
            store.execute("INSERT OR IGNORE INTO uplinks VALUES (?, ?, ?, ?)", row)
        (stored,) = store.execute("SELECT count(*) FROM uplinks").fetchone()
        if stored == count:
            enough.set()

    client = ttn.MQTTClient(app_id, access_key, address, qos=1, client_id="store-1", clean_session=False)
    client.set_uplink_callback(uplink)
    with client:
        enough.wait()
    store.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]) if len(sys.argv) > 5 else 0)
