"""How large a reply may be: `max_reply_bytes`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from thingslink.ttn import ApplicationClient, DiscoveryClient, HandlerClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from peers import Generated, PeerServer


def unknown(size: int) -> bytes:
    """Give a message of about ``size`` bytes, all in one field that no definition has."""
    length = bytearray()
    rest = size
    while rest > 127:
        length.append(rest & 127 | 128)
        rest >>= 7
    return b"\xc2\x3e" + bytes([*length, rest]) + bytes(size)


def text_of(error: Any) -> str:
    return str(error.details() if callable(error.details) else error.details)


#: Who asks, and the method that is called.
CALLS: dict[str, tuple[str, Callable[[str, dict[str, Any]], object]]] = {
    "application": (
        "GetApplication",
        lambda address, limit: ApplicationClient("demo-app", "key", address, insecure_channel=True, **limit).get(),
    ),
    "application of V3": (
        "Get",
        lambda address, limit: ApplicationClient(
            "demo-app", "key", address, insecure_channel=True, network="v3", **limit
        ).get(),
    ),
    "application of a handler": (
        "GetApplication",
        lambda address, limit: (
            HandlerClient("demo-app", "key", address, insecure_channel=True, **limit).application().get()
        ),
    ),
    "discovery": (
        "GetByAppID",
        lambda address, limit: DiscoveryClient(address, insecure_channel=True, **limit).get_by_app_id("demo-app"),
    ),
}


@pytest.mark.parametrize("who", CALLS)
def test_a_reply_over_the_limit_is_refused_by_the_name_of_the_keyword(
    who: str, peer: PeerServer, generated: Generated
) -> None:
    name, call = CALLS[who]
    announcement = generated.discovery.Announcement(net_address=peer.address)
    peer.answers["GetByAppID"] = announcement.SerializeToString()
    peer.answers[name] = unknown(5000)
    call(peer.address, {})
    call(peer.address, {"max_reply_bytes": 8000})
    with pytest.raises(RuntimeError) as caught:
        call(peer.address, {"max_reply_bytes": 4000})
    assert "max_reply_bytes" in text_of(caught.value)
    assert "5004" in text_of(caught.value)


@pytest.mark.parametrize("client", [ApplicationClient, HandlerClient, DiscoveryClient])
def test_a_limit_that_cannot_be_one_is_refused_by_name(client: Any) -> None:
    arguments = () if client is DiscoveryClient else ("demo-app", "key")
    for number in (0, -1, 1023, (1 << 30) + 1):
        with pytest.raises(ValueError, match=f"^max_reply_bytes {number} is not valid: expected .* 1024 to 1073741824"):
            client(*arguments, max_reply_bytes=number)
    for value in ("4096", 4096.0, None):
        with pytest.raises(TypeError, match=r"^max_reply_bytes must be int, not "):
            client(*arguments, max_reply_bytes=value)
