"""Shape: a cell of a notebook that is run twice: the first client is not closed, only its name is bound anew."""

import sys

CELL = """
import ttn

run = len(In)
client = ttn.HandlerClient("demo-app", "ttn-account-v2.demo").data()
client.set_uplink_callback(lambda msg, client, run=run: say(f"Out[{run}]: {msg.dev_id} {msg.counter}"))
client.connect()
"""


def say(line):
    # In one piece: two clients speak at once.
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


namespace = {"In": [], "say": say}
for _ in range(2):
    namespace["In"].append(CELL)
    exec(CELL, namespace)
print("cells ran", flush=True)
sys.stdin.readline()
namespace["client"].close()
