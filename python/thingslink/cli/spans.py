"""Spans of time that people type."""

from __future__ import annotations

import argparse
import re

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def span(text: str) -> int:
    """Give the seconds of a span: ``30m``, ``1h``."""
    found = re.fullmatch(r"([1-9]\d{0,8})\s*([smhd])", text.strip())
    if not found:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no span of time: expected a number and a unit, as in 30m, 1h, 1d"
        )
    return int(found[1]) * _UNITS[found[2]]
