"""Shape: an asyncio program around the client: its callbacks hand over to the loop, which waits, answers and counts."""

import asyncio
import base64
import sys

import ttn


class Bridge:
    def __init__(self, loop):
        self.loop = loop
        self.uplinks = asyncio.Queue()
        self.client = ttn.HandlerClient("demo-app", "ttn-account-v2.demo").data()
        self.client.set_uplink_callback(self.on_uplink)
        self.client.set_connect_callback(lambda res, client: loop.call_soon_threadsafe(print, "connected", res))

    def on_uplink(self, msg, client):
        asyncio.run_coroutine_threadsafe(self.uplinks.put(msg), self.loop)


async def work(bridge, count):
    for _ in range(count):
        msg = await bridge.uplinks.get()
        await asyncio.sleep(0)
        payload = base64.b64decode(msg.payload_raw)
        await bridge.loop.run_in_executor(
            None, bridge.client.send, msg.dev_id, base64.b64encode(payload[::-1]).decode()
        )
        print("answered", msg.dev_id, payload.hex(), flush=True)


async def main():
    bridge = Bridge(asyncio.get_running_loop())
    await bridge.loop.run_in_executor(None, bridge.client.connect)
    await asyncio.wait_for(work(bridge, int(sys.argv[1])), timeout=60)
    await bridge.loop.run_in_executor(None, bridge.client.close)


asyncio.run(main())
