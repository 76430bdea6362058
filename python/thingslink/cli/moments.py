"""Times that people type, and times as they are shown."""

from __future__ import annotations

import argparse
import re
import time
from datetime import datetime, timezone

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def moment(text: str) -> int:
    """Give nanoseconds since 1970 for a time ("2026-11-27T04:00:00Z"), or for how long ago it is ("90m", "2h")."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw])", text.strip())
    if found:
        return time.time_ns() - int(float(found[1]) * _UNITS[found[2]] * 1e9)
    try:
        # Python 3.10 does not read "Z".
        at = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text.strip()))
    except ValueError:
        words = f"{text!r} is no time: expected how long ago, as in 90s, 30m, 2h, 7d, or 2026-11-27T04:00:00Z"
        raise argparse.ArgumentTypeError(words) from None
    # Without a zone it is the machine's own.
    return int(at.timestamp() * 1_000_000) * 1000


def shown(at_ns: int | None) -> str | None:
    """Give a time as text, in UTC."""
    if at_ns is None:
        return None
    at = datetime.fromtimestamp(at_ns // 1_000_000_000, timezone.utc)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at_ns // 1_000_000 % 1000:03}Z"
