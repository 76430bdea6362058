"""Uplinks that have come, into a table: ``python recording.py recorder|dicts COUNT``.

``recorder`` adds each to a ``Recorder`` and gives that to polars and pandas; ``dicts`` builds of each a dictionary with
the same columns, and of their list a ``pandas.DataFrame``, as programs do.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import measure
import pandas as pd
from thingslink._native import _parse_message
from thingslink.frame import Recorder

#: Columns of the envelope, and where they stand.
UPLINK = ("app_id", "dev_id", "hardware_serial", "port", "counter", "is_retry", "confirmed")
METADATA = (
    "frequency",
    "modulation",
    "data_rate",
    "bit_rate",
    "coding_rate",
    "airtime",
    "latitude",
    "longitude",
    "altitude",
)


def messages(count: int) -> list[Any]:
    """Give uplinks as they are on the wire, with two gateways and five payload fields."""
    gateways = [
        {"gtw_id": f"eui-b827ebfffe00000{n}", "timestamp": 2_463_457_000, "time": "2026-11-27T01:02:03Z", "channel": n}
        | {"rssi": -80 - n, "snr": 7.5, "rf_chain": 0, "latitude": 52.37, "longitude": 4.88, "altitude": 21}
        for n in range(2)
    ]
    return [
        _parse_message(
            json.dumps(
                {
                    "app_id": "greenhouse",
                    "dev_id": f"node-{number % 100}",
                    "hardware_serial": "0004A30B001C0530",
                    "port": 1,
                    "counter": number,
                    "payload_raw": "AWcA6wJoXQ==",
                    "payload_fields": {
                        "temperature": 20 + number % 50 / 10,
                        "humidity": number % 100,
                        "open": number % 2 == 0,
                        "gps": {"lat": 52.37, "lon": 4.88},
                    },
                    "metadata": {
                        "time": f"2026-11-27T01:02:03.{number % 1_000_000:06}789Z",
                        "frequency": 868.1,
                        "modulation": "LORA",
                        "data_rate": "SF7BW125",
                        "airtime": 46_336_000,
                        "coding_rate": "4/5",
                        "gateways": gateways,
                    },
                }
            )
        )
        for number in range(count)
    ]


def row(msg: Any) -> dict[str, Any]:
    """Give the columns of a row as a program builds them."""
    plain = msg.to_dict()
    metadata = plain["metadata"]
    best = max(metadata["gateways"], key=lambda gateway: gateway["rssi"])
    fields = dict(plain["payload_fields"])
    gps = fields.pop("gps")
    return {
        "time": msg.received_at,
        **{name: plain.get(name) for name in UPLINK},
        "payload": msg.payload,
        **{name: metadata.get(name) for name in METADATA},
        "gateways": len(metadata["gateways"]),
        "gateway": best["gtw_id"],
        "rssi": best["rssi"],
        "snr": best["snr"],
        **fields,
        "gps.lat": gps["lat"],
        "gps.lon": gps["lon"],
    }


def main() -> None:
    """Gather, and make frames."""
    what, count = sys.argv[1], int(sys.argv[2])
    uplinks = messages(count)
    if what == "dicts":
        begin = time.perf_counter()
        rows = [row(msg) for msg in uplinks]
        gathered = time.perf_counter()
        frame = pd.DataFrame(rows)
        made = time.perf_counter()
        measure.report(gather=count / (gathered - begin), frame_ms=(made - gathered) * 1e3, all=count / (made - begin))
        assert len(frame) == count
        return
    import polars as pl

    recorder = Recorder()
    begin = time.perf_counter()
    for msg in uplinks:
        recorder.add(msg)
    gathered = time.perf_counter()
    frame = pd.DataFrame.from_arrow(recorder)
    made = time.perf_counter()
    table = pl.DataFrame(recorder)
    polars_made = time.perf_counter()
    assert len(frame) == len(table) == count
    measure.report(
        gather=count / (gathered - begin),
        frame_ms=(made - gathered) * 1e3,
        all=count / (made - begin),
        polars_ms=(polars_made - made) * 1e3,
        mb=recorder.nbytes / 1e6,
    )


if __name__ == "__main__":
    main()
