"""Kill workers and servers at random moments of a numbered stream, many rounds, and check what was handled.

    python tests/python/shared/soak.py [ROUNDS] [DEVICES]

Each round publishes one message a device, ends something in the middle (a worker by SIGKILL, a worker by a stall longer
than its lease, or the server), and waits until all is handled: once or more, per device never backwards among first
completions.
"""

from __future__ import annotations

import random
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from nats_fleet import Fleet
from nats_peer import NatsPeer
from nats_server import NatsServer, nats_binary

WORKERS = 3


def rounds_of(kind: str, rounds: int, devices: int, *, ordered: bool) -> None:
    """Run the rounds of one kind, and print what came of them."""
    with tempfile.TemporaryDirectory() as folder, NatsServer(nats_binary(), Path(folder)) as server:
        with NatsPeer(server.port) as peer:
            peer.make_streams()
        fleet = Fleet(server.address, ordered=ordered)
        slowest = 0.0
        try:
            living = [fleet.start() for _ in range(WORKERS)]
            for number in range(rounds):
                uplinks = [(f"dev-{device}", number) for device in range(devices)]
                with NatsPeer(server.port) as peer:
                    peer.uplinks(uplinks)
                time.sleep(random.random() * 0.5)
                begun = time.monotonic()
                if kind == "server":
                    server.kill()
                    server.start()
                else:
                    victim = living.pop(random.randrange(len(living)))
                    if kind == "worker":
                        victim.kill()
                        living.append(fleet.start())
                    else:
                        victim.send_signal(signal.SIGSTOP)
                        time.sleep(3)
                        victim.send_signal(signal.SIGCONT)
                        living.append(victim)
                fleet.wait_for(set(uplinks))
                slowest = max(slowest, time.monotonic() - begun)
            wanted = {(f"dev-{device}", number) for device in range(devices) for number in range(rounds)}
            assert wanted == set(fleet.handled)
            # In hand: a message of each lane, or the largest window. A server that is killed forgets more than that.
            in_hand = 256 if ordered else 1024
            if ordered or kind != "server":
                fleet.check(duplicates=rounds * in_hand, ordered=ordered)
            twice = fleet.twice()
            order = "ordered" if ordered else "not ordered"
            print(
                f"{order}, {kind}: {rounds} rounds, {len(wanted)} messages, all handled, {twice} twice; "
                f"longest until all of a round were handled {slowest:.1f} s",
                flush=True,
            )
        finally:
            fleet.stop()


def main(rounds: int = 30, devices: int = 2000) -> None:
    """Run all kinds."""
    for ordered in (True, False):
        for kind in ("worker", "stall", "server"):
            rounds_of(kind, rounds, devices, ordered=ordered)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
