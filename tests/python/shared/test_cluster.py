"""A cluster of three NATS servers whose leaders are killed, with a bridge and workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from nats_cluster import NatsCluster
from nats_fleet import DEVICES, Fleet, numbered
from thingslink.bridge import Bridge

if TYPE_CHECKING:
    from pathlib import Path

    from thingslink.sandbox import Sandbox

STREAM = "THINGS_demo-app"
#: Of a worker that does not keep the order.
IN_HAND = 20
#: Each of the three servers has hundreds of consumers when the order is kept, whose leaders are all elected anew.
PATIENCE = 90


@pytest.mark.timeout(400)
@pytest.mark.parametrize(("ordered", "kills"), [(False, 2), (True, 1)])
def test_a_leader_that_is_killed_loses_nothing(ordered: bool, kills: int, sandbox: Sandbox, tmp_path: Path) -> None:
    sent = 0

    def uplinks(each: int) -> None:
        nonlocal sent
        for _ in range(each):
            for number in range(DEVICES):
                sandbox.device(f"dev-{number}").uplink(b"\5")
        sent += each

    with NatsCluster(tmp_path) as cluster:
        fleet = Fleet(cluster.address, ordered=ordered, window=IN_HAND)
        arguments = (sandbox.app_id, sandbox.access_key, sandbox.mqtt_address, cluster.address)
        bridge = Bridge(*arguments, name="one", max_bytes=1 << 28, replicas=3)
        try:
            bridge.connect()
            for _ in range(2):
                fleet.start()
            for _ in range(kills):
                uplinks(3)
                fleet.told.get(timeout=PATIENCE)
                leader = cluster.leader(STREAM)
                leader.kill()
                # The other two go on by themselves.
                uplinks(3)
                fleet.wait_for(set(numbered(0, sent)), PATIENCE)
                # Uplinks, and that each device was created; none of them twice.
                assert cluster.info(STREAM)["state"]["messages"] == (sent + 1) * DEVICES
                leader.start()
            fleet.check(duplicates=kills * (DEVICES if ordered else 2 * IN_HAND), ordered=ordered)
        finally:
            bridge.close(timeout=5)
            fleet.stop()
