"""A package over the air: its kind, firmware or software, and what has come of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from thingslink._native import TBPublishInfo

if TYPE_CHECKING:
    from .package_client import PackageClient


class Kind(NamedTuple):
    """What a package may be."""

    prefix: str
    """What the names of its attributes and topics begin with."""
    name: str
    """What the names of the client's attributes and methods have."""

    def key(self, of: str) -> str:
        """The name of an attribute."""
        return f"{self.prefix}_{of}"

    def current(self, client: PackageClient) -> dict[str, Any]:
        """What the client tells about what is installed."""
        info: dict[str, Any] = getattr(client, f"current_{self.name}_info")
        return info


FIRMWARE = Kind("fw", "firmware")
SOFTWARE = Kind("sw", "software")
KINDS = {kind.prefix: kind for kind in (FIRMWARE, SOFTWARE)}


class Download:
    """A package on its way.

    Attributes:
        number: Number of its requests, new for each download: the server keeps the package under it.
        info: What the shared attributes say of the package.
        piece_bytes: Size of the pieces; 0 for the whole at once.
        piece: Number of the piece that is awaited, from 0.
        tries: How often it was asked for.
        request: What became of the last time.
        comes_again: Whether that was on its way when the connection was lost: it is sent once more.
    """

    request: TBPublishInfo | None = None
    comes_again = False

    def __init__(self, kind: Kind, number: int, info: dict[str, Any], piece_bytes: int) -> None:
        self.kind = kind
        self.number = number
        self.info = info
        self.bytes = size_of(kind, info)
        self.piece_bytes = 0 if piece_bytes > self.bytes else piece_bytes
        self.data = bytearray()
        self.piece = 0
        self.tries = 0

    @property
    def package(self) -> tuple[Any, ...]:
        """What tells this package from others."""
        return package_of(self.kind, self.info)

    @property
    def is_asked_for(self) -> bool:
        """Whether the request is on its way and not acknowledged."""
        request = self.request
        return request is not None and request.rc() == TBPublishInfo.TB_ERR_SUCCESS and not request.is_published()

    def __str__(self) -> str:
        title, version = (self.info.get(self.kind.key(part)) for part in ("title", "version"))
        return f"{self.kind.name} {title} {version}"


def package_of(kind: Kind, info: dict[str, Any]) -> tuple[Any, ...]:
    """What tells a package from others."""
    return tuple(info.get(kind.key(part)) for part in ("title", "version", "size", "checksum", "checksum_algorithm"))


def size_of(kind: Kind, info: dict[str, Any]) -> int:
    """Bytes of a package; 0 where none are told."""
    size = info.get(kind.key("size"))
    if isinstance(size, str) and size.isascii() and size.isdigit():
        return int(size)
    return size if isinstance(size, int) and size > 0 else 0
