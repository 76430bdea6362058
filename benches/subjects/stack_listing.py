"""``devices()`` of a Things Stack V3 in another process. ``python stack_listing.py ADDRESS KEY CERTIFICATE``."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import measure
from thingslink import ttn


def main() -> None:
    """List, as IDs alone, and with what all four servers say of each device."""
    address, key, certificate = sys.argv[1:]
    pem = Path(certificate).read_text(encoding="ascii")
    with ttn.ApplicationClient("orchard-app", key, address, pem, frequency_plan_id="EU_863_870_TTN") as client:
        client.get()
        took = []
        for complete in (False, True):
            start = time.perf_counter()
            devices = client.devices(complete=complete)
            assert all(device.dev_id for device in devices)
            took.append((time.perf_counter() - start) * 1e3)
        measure.report(devices=len(devices), ms=took[0], complete_ms=took[1])


if __name__ == "__main__":
    main()
