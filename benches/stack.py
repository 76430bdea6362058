"""An offline Things Stack V3 with 1,000 devices, for the benchmarks: prints address and key; ends with its input.

``python stack.py CERTIFICATE``, the file that its certificate goes to.
"""

from __future__ import annotations

import sys
from pathlib import Path

from thingslink.sandbox import Sandbox

DEVICES = 1_000


def main() -> None:
    """Serve."""
    with Sandbox("orchard-app", network="v3", seed=0) as sandbox:
        Path(sys.argv[1]).write_text(sandbox.ca_certs, encoding="ascii")
        for number in range(DEVICES):
            sandbox.device(f"node-{number:05}")
        print(sandbox.management_address, sandbox.access_key, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
