"""What ``thingslink.frame`` stands on."""

from typing import Any, final

from thingslink._native.lorawan import MQTTClient, UplinkMessage

@final
class _Columns:
    """Uplinks that are being gathered, column by column; for any number of threads."""

    def __new__(cls, per: str, max_rows: int, max_bytes: int) -> _Columns: ...
    def add(self, msg: UplinkMessage, client: MQTTClient | None = None, /) -> None:
        """Add an uplink; a callback, too.

        Raises:
            TypeError: It is none.
            ValueError: It is a part of one.
        """
    def rows(self) -> _Rows:
        """Give what is there. Of the newest rows, 16,384 at most, it is a copy."""
    def take(self) -> _Rows:
        """Give what is there, and begin anew; the columns stay."""
    @property
    def nbytes(self) -> int:
        """About how many bytes it takes."""
    @property
    def dropped(self) -> int:
        """Rows that made room for others."""
    @property
    def unreadable(self) -> int:
        """Values that were not what their column is of."""
    def __len__(self) -> int: ...

@final
class _Rows:
    """What was gathered at one moment."""

    @property
    def columns(self) -> list[tuple[str, str]]:
        """Names of the columns, and what their values are."""
    def column(self, name: str) -> list[Any] | None:
        """Give the values of a column: times in microseconds since 1970. ``None`` if there is none of that name."""
    def __len__(self) -> int: ...
    def __arrow_c_schema__(self) -> object:
        """Give Arrow's schema of the columns."""
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Give Arrow's stream of the rows."""
