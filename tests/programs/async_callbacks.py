"""Shape: an asyncio program whose callbacks are coroutine functions: each waits for a database and answers."""

import asyncio
import sqlite3
import sys

import ttn


class Store:
    def __init__(self, path):
        self.path = path

    def put(self, row):
        with sqlite3.connect(self.path) as database:
            database.execute("create table if not exists uplinks (dev_id text, counter integer)")
            database.execute("insert into uplinks values (?, ?)", row)


async def main(count):
    loop, store, left = asyncio.get_running_loop(), Store("uplinks.db"), asyncio.Queue()

    async def on_uplink(msg, client):
        # Nobody but the loop's own thread touches these, and one uplink is done before the next one begins.
        print("begins", msg.counter, asyncio.get_running_loop() is loop, flush=True)
        await loop.run_in_executor(None, store.put, (msg.dev_id, msg.counter))
        client.send(msg.dev_id, bytes([msg.counter]))
        print("ends", msg.counter, flush=True)
        await left.put(msg.counter)

    async def on_close(res, client):
        await asyncio.sleep(0)
        print("closed", res, flush=True)

    client = ttn.HandlerClient("demo-app", "ttn-account-v2.demo").data()
    client.set_uplink_callback(on_uplink)
    client.set_close_callback(on_close)
    await loop.run_in_executor(None, client.connect)
    print("ready", flush=True)
    for _ in range(count):
        await left.get()
    await loop.run_in_executor(None, client.close)


asyncio.run(main(int(sys.argv[1])))
