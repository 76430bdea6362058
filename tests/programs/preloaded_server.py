"""Shape: a web application under gunicorn with ``preload_app``: the handler is found before the workers are forked, each
worker connects in its ``post_fork`` hook. The server is a few lines here. Argument: the number of workers."""

import os
import signal
import sys
import time

import ttn


def say(line):
    # In one piece: the workers share their output.
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


handler = ttn.HandlerClient("demo-app", "ttn-account-v2.demo")


def post_fork(number):
    client = handler.data()
    client.set_uplink_callback(lambda msg, client: say(f"worker {number} got {msg.dev_id}"))
    client.connect()
    return client


def work(number):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    client = post_fork(number)
    try:
        # From here on it can be told to end.
        say(f"worker {number} is ready")
        while True:
            time.sleep(0.1)
    finally:
        client.close()
        say(f"worker {number} ends")


workers = []
for number in range(int(sys.argv[1])):
    pid = os.fork()
    if pid == 0:
        work(number)
    workers.append(pid)


def terminate(*_):
    for pid in workers:
        os.kill(pid, signal.SIGTERM)


signal.signal(signal.SIGTERM, terminate)
say(f"status {[os.WEXITSTATUS(os.waitpid(pid, 0)[1]) for pid in workers]}")
