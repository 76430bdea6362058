"""Register the devices of a CSV file, and list what the application has then. The key comes from the environment.

THINGSLINK_ACCESS_KEY=ttn-account-v2.… python examples/devices.py discovery.example:1900 my-app devices.csv [ca.pem]

The columns are called as the fields of a device are: dev_id, dev_eui, app_eui, app_key, latitude, longitude, …
"""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path
from typing import Any

from thingslink import ApplicationError, ttn


def main(discovery_address: str, app_id: str, path: str, cert_path: str = "") -> None:
    """Register and list."""
    handler = ttn.HandlerClient(app_id, os.environ["THINGSLINK_ACCESS_KEY"], discovery_address, cert_path)
    with handler.application() as application, Path(path).open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            device: dict[str, Any] = {key: value for key, value in row.items() if key != "dev_id" and value}
            device.update({key: float(device[key]) for key in ("latitude", "longitude") if key in device})
            try:
                application.register_device(row["dev_id"], device)
            except (ApplicationError, ValueError, TypeError) as error:
                print(f"{row['dev_id']}: {getattr(error, 'details', error)}")
        for registered in application.iter_devices():
            print(registered.dev_id, registered.lorawan_device.dev_eui_hex, registered.description)


if __name__ == "__main__":
    main(*sys.argv[1:])
