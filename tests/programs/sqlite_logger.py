"""Shape: a logger into SQLite, with message and gateways as rows. Asked to store so many messages; then it ends."""

import sqlite3
import sys
import threading

import ttn

wanted = int(sys.argv[1])
done = threading.Event()
lock = threading.Lock()


class Logger:
    def __init__(self, path):
        self.base = sqlite3.connect(path, check_same_thread=False)
        self.base.executescript(
            """
            CREATE TABLE IF NOT EXISTS uplinks (dev_id TEXT, counter INTEGER, port INTEGER, raw TEXT, message TEXT);
            CREATE TABLE IF NOT EXISTS fields (humidity REAL, open INTEGER, temperature REAL);
            CREATE TABLE IF NOT EXISTS gateways (counter INTEGER, gtw_id TEXT, rssi REAL);
            """
        )
        self.stored = 0

    def uplink(self, msg, client):
        with lock, self.base:
            row = (msg.dev_id, msg.counter, msg.port, msg.payload_raw, str(msg)[:20])
            self.base.execute("INSERT INTO uplinks VALUES (?, ?, ?, ?, ?)", row)
            # Fields are a row as they come: a named tuple, in the order of the wire.
            self.base.execute("INSERT INTO fields VALUES (?, ?, ?)", msg.payload_fields)
            self.base.executemany(
                "INSERT INTO gateways VALUES (?, ?, ?)",
                [(msg.counter, g.gtw_id, g.rssi) for g in msg.metadata.gateways],
            )
        self.stored += 1
        if self.stored == wanted:
            done.set()


logger = Logger("uplinks.db")
client = ttn.HandlerClient("demo-app", "ttn-account-v2.demo").data()
client.set_uplink_callback(logger.uplink)
client.connect()
done.wait()
client.close()
print("stored", logger.stored)
