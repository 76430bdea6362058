"""Shape: a chat bot that warns of high temperatures, takes orders, and reconnects by itself from its close callback.

The chat is an HTTP API at the address that is the argument.
"""

import base64
import json
import sys
import threading
import urllib.request

import ttn

API = sys.argv[1]


def call(method, **values):
    request = urllib.request.Request(
        f"{API}/{method}", json.dumps(values).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


class Bot:
    def __init__(self):
        self.handler = ttn.HandlerClient(app_id="demo-app", app_access_key="ttn-account-v2.demo")
        self.client = None
        self.over = threading.Event()

    def connect(self):
        self.client = self.handler.data()
        self.client.set_uplink_callback(self.on_uplink)
        self.client.set_close_callback(self.on_close)
        self.client.connect()

    def on_close(self, res, client):
        if not res and not self.over.is_set():
            call("sendMessage", text="connection lost, reconnecting")
            client.connect()

    def on_uplink(self, msg, client):
        temperature = base64.b64decode(msg.payload_raw)[0]
        if temperature > 30:
            call("sendMessage", text=f"{msg.dev_id} is hot: {temperature}")

    def poll(self):
        while True:
            for update in call("getUpdates", timeout=1):
                command, _, argument = update["text"].partition(" ")
                if command == "/fan":
                    # The original's names of the arguments.
                    self.client.send(dev_id=argument, pay=base64.b64encode(b"\x01").decode(), port=2, conf=True)
                    call("sendMessage", text=f"fan of {argument} on")
                elif command == "/stop":
                    self.over.set()
                    self.client.close()
                    return


bot = Bot()
bot.connect()
call("sendMessage", text="here I am")
bot.poll()
