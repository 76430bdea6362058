"""``python -m thingslink``; the command ``thingslink`` is the same."""

from __future__ import annotations

import sys

from thingslink.cli import main

if __name__ == "__main__":
    sys.exit(main())
