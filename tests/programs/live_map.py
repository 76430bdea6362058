"""Shape: a web page with a live map (Flask-SocketIO), whose listener is a thread that connects and closes in turns.

The web framework is stood for by Python's own server: ``/positions`` gives what would be emitted. Argument: the port file.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import ttn

positions = []
thread_stop_event = threading.Event()


class Lora(threading.Thread):
    def __init__(self):
        self.delay = 0.5
        super(Lora, self).__init__()

    def lora_listener(self):
        handler = ttn.HandlerClient("demo-app", "ttn-account-v2.demo")
        while not thread_stop_event.is_set():
            mqtt_client = handler.data()
            mqtt_client.set_uplink_callback(self.uplink_callback)
            mqtt_client.connect()
            thread_stop_event.wait(self.delay)
            mqtt_client.close()

    def uplink_callback(self, msg, client):
        emit("position", {"dev_id": msg.dev_id, "msg": msg.payload_fields})

    def run(self):
        self.lora_listener()


def emit(event, data):
    # What goes to the browsers is JSON.
    positions.append(json.loads(json.dumps([event, data])))


class Pages(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(positions).encode())

    def do_POST(self):
        self.send_response(200)
        self.end_headers()
        thread_stop_event.set()
        threading.Thread(target=server.shutdown).start()

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
thread = Lora()
thread.start()
with open(sys.argv[1], "w") as file:
    file.write(str(server.server_port))
server.serve_forever()
thread.join()
print("stopped")
