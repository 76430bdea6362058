"""Captures of a running Things Stack V3 (tests/vectors/tts_v3), and what two stacks' words have in common."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, TypeAlias

VECTORS = Path(__file__).parent.parent / "vectors" / "tts_v3"

Record: TypeAlias = dict[str, Any]


def records(name: str) -> list[Record]:
    # There are other ends of lines within the texts.
    return [json.loads(line) for line in (VECTORS / f"{name}.jsonl").read_text().split("\n") if line]


def key(name: str) -> str:
    """Give the API key that the captures have in place of the one with these rights."""
    return f"NNSXS.{f'FAKEKEYID{name}':X<39}.{f'FAKESECRET{name}':X<52}"


def alike(event: str) -> str:
    """Give an event without what differs from one stack, and one moment, to another."""
    for pattern, replacement in (
        # Only for requests over gRPC and HTTP.
        (r',?"rpc:/ttn.lorawan.v3.AppAs/DownlinkQueue(?:Push|Replace):\w{26}"', ""),
        (r":[0-9A-HJKMNP-TV-Z]{26}\"", ':ID"'),
        (r'"(received_at)":"[^"]+Z"', r'"\1":"AT"'),
        (r'"(session_key_id|correlation_id|dev_addr|dev_eui|join_eui)":"[^"]+"', r'"\1":"-"'),
        (r'"rx_metadata":\[.*?\],"settings"', '"settings"'),
        (r'"frequency":"\d+", "timestamp":\d+', '"frequency":"-"'),
        (r'"network_ids":\{[^}]*\}', '"network_ids":{}'),
    ):
        event = re.sub(pattern, replacement, event)
    return event


def without_euis(event: str) -> str:
    """An ABP device has no EUIs, which the sandbox's devices all have."""
    return event.replace(',"dev_eui":"-","join_eui":"-"', "")
