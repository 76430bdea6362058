"""An offline Things Stack V3 for the benchmarks: prints address and key; ends with its input.

``python stack.py CERTIFICATE DEVICES [PER_MINUTE BURST]``: the file that its certificate goes to, how many devices it
has from the start, and the limit of its calls, if there is to be one.
"""

from __future__ import annotations

import sys
from pathlib import Path

from thingslink.sandbox import Sandbox


def main() -> None:
    """Serve."""
    certificate, devices, *limit = sys.argv[1:]
    with Sandbox("orchard-app", network="v3", seed=0) as sandbox:
        Path(certificate).write_text(sandbox.ca_certs, encoding="ascii")
        for number in range(int(devices)):
            sandbox.device(f"node-{number:05}")
        if limit:
            per_minute, burst = limit
            sandbox.limit("grpc:method", float(per_minute), burst=int(burst))
        print(sandbox.management_address, sandbox.access_key, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
