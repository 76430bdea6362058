"""Uplinks as a table, for pandas, polars, DuckDB, pyarrow and all that read Arrow's PyCapsule interface.

```python
from thingslink.frame import Recorder

recorder = client.record()
...
polars.DataFrame(recorder)
pandas.DataFrame.from_arrow(recorder)
duckdb.sql("select dev_id, avg(temperature) from recorder group by dev_id")
```

A row is an uplink, or, with ``per="gateway"``, an uplink as one gateway heard it. The columns are:

- What the network says, by V2's names and in this order, on both networks: ``time`` (when the network received it, UTC,
  to the microsecond), ``app_id``, ``dev_id``, ``hardware_serial``, ``port``, ``counter``, ``is_retry``, ``confirmed``,
  ``payload`` (bytes), ``frequency`` (MHz), ``modulation``, ``data_rate``, ``bit_rate``, ``coding_rate``, ``airtime``
  (ns), ``latitude``, ``longitude``, ``altitude`` (of the device), ``gateways`` (how many heard it), and of the gateway
  with the highest RSSI ``gateway`` (its ID, else its EUI), ``rssi`` (dBm) and ``snr`` (dB). They are there from the
  beginning, and their types are fixed. With ``per="gateway"`` the last three are of the row's gateway, followed by
  ``gateway_eui``, ``gateway_time``, ``gateway_latitude``, ``gateway_longitude``, ``gateway_altitude``, ``antenna`` and
  ``channel``.
- Each payload field by its dotted name, such as ``gps.lat``, in the order in which they first came. One that has the
  name of a column above is ``payload_fields.<name>``; payload fields that are no object are ``payload_fields``. Of two
  that have one name the last counts. After 1,000 columns of payload fields, and for names of more than 256 bytes, what
  comes is kept as JSON in ``other_fields``.

The type of a payload field settles: integers become floats when a float comes; arrays, integers of more than 64 bits,
and values of different types become the text of their JSON, all values of such a column alike. What did not come, or
was ``null``, is null.
"""

from __future__ import annotations

import weakref
from abc import ABC, abstractmethod
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thingslink._arguments import checked
from thingslink._native import DecodeError, UplinkMessage, _Columns, _html_table, _parse_message

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

    from matplotlib.axes import Axes

    from thingslink._native import _Rows
    from thingslink.ttn import MQTTClient
    from thingslink.typing import RowOf

__all__ = ["Recorder", "Table"]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@checked
class _Readable(ABC):
    """What can be asked of a table, whether it grows or not."""

    @abstractmethod
    def _rows(self) -> _Rows:
        """Give what is there now."""

    @property
    def columns(self) -> dict[str, str]:
        """The columns in their order, and of what they are.

        ``"time"``, ``"int"``, ``"float"``, ``"bool"``, ``"text"``, ``"bytes"``, ``"json"`` (text), or ``"null"`` as
        long as nothing else has come.
        """
        return dict(self._rows().columns)

    def to_dict(self) -> dict[str, list[Any]]:
        """Give each column as a list of Python's values, for programs without any of those libraries."""
        rows = self._rows()
        found: dict[str, list[Any]] = {}
        for name, kind in rows.columns:
            values = rows.column(name) or []
            if kind == "time":
                values = [None if at is None else _EPOCH + timedelta(microseconds=at) for at in values]
            found[name] = values
        return found

    def plot(self, field: str, *, by: str | None = None, ax: Axes | None = None) -> Axes:
        """Draw a column over time, a line for each device, or packet loss; needs matplotlib.

        Args:
            field: Name of a column of numbers; or ``"loss"``, if no column has that name: the share of uplinks of each
                device that did not come, by the gaps of its counter.
            by: Column that tells the lines apart: by default ``"gateway"`` for ``rssi`` and ``snr``, else ``"dev_id"``.
            ax: Where to draw; by default a new figure of ``matplotlib.pyplot``.

        Returns:
            The axes.

        Raises:
            ImportError: There is no matplotlib; says how to install it.
            ValueError: There is no such column, it has no numbers, or loss is asked for by something else than devices.
        """
        from thingslink.frame._plotting import plot  # noqa: PLC0415 - for those who plot

        return plot(self._rows(), field, by, ax)

    def __arrow_c_schema__(self) -> object:
        """Give Arrow's schema of the columns, for other libraries."""
        return self._rows().__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Give Arrow's stream of the rows, for other libraries. Another schema cannot be had."""
        return self._rows().__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        rows = self._rows()
        return f"<{type(self).__name__} of {len(rows)} rows, {len(rows.columns)} columns>"

    def _repr_html_(self) -> str:
        rows = self._rows()
        return _html_table(f"{type(self).__name__} of {len(rows)} rows", rows.columns)


class Table(_Readable):
    """Rows that do not change any more, of `Recorder.take`."""

    def __init__(self, rows: _Rows) -> None:
        self._gathered = rows

    def _rows(self) -> _Rows:
        return self._gathered

    def __len__(self) -> int:
        return len(self._gathered)


@checked
class Recorder(_Readable):
    """Gathers uplinks column by column, in bounded memory; any number of threads may add to it and read it.

    A library that is given it gets what is there at that moment. Rows that are closed, in pieces of at most 16,384, are
    shared with it, not copied; the newest ones, and pieces whose column has become of a wider type since, are copied.

    Args:
        per: What a row is of: ``"uplink"`` or ``"gateway"``.
        max_rows: Most rows; when they are reached the oldest make room, are counted in ``dropped``, and told of in the
            log once.
        max_bytes: Bytes of memory that the rows may take; the oldest go likewise, in pieces.

    Raises:
        ValueError: An argument that cannot be used, named.
        TypeError: Likewise.
    """

    def __init__(self, *, per: RowOf = "uplink", max_rows: int = 1_000_000, max_bytes: int = 268_435_456) -> None:
        self._columns = _Columns(per, max_rows, max_bytes)
        self._clients: list[tuple[weakref.ref[MQTTClient], str | None]] = []

    def _rows(self) -> _Rows:
        return self._columns.rows()

    def add(self, msg: UplinkMessage) -> None:
        """Add an uplink, of V2 or V3.

        Raises:
            TypeError: ``msg`` is none.
            ValueError: It is a part of one.
        """
        self._columns.add(msg)

    def extend(self, messages: Iterable[UplinkMessage]) -> None:
        """Add many uplinks, such as a batch of ``client.uplinks().batches()``."""
        add = self._columns.add
        for msg in messages:
            add(msg)

    def read(self, path: str | PathLike[str]) -> int:
        """Add the uplinks of a file, one as JSON in each line, as ``thingslink record`` and ``msg.json()`` write them.

        Returns:
            How many they were.

        Raises:
            OSError: The file cannot be read.
            DecodeError: A line is no uplink; names it. Those before it were added.
        """
        count = 0
        with Path(path).open("rb") as file:
            for count, line in enumerate(file, 1):
                self.add(uplink_of_line(line, f"line {count} of {path}"))
        return count

    def take(self) -> Table:
        """Give the rows that are there, and begin anew. No row is in two tables, and none is lost between them.

        The columns stay, with the types that they have by then.
        """
        return Table(self._columns.take())

    def stop(self) -> None:
        """Record no more of the clients that record into it."""
        clients, self._clients = self._clients, []
        for reference, dev_id in clients:
            client = reference()
            if client is not None:
                client.remove_uplink_callback(self._columns.add, dev_id=dev_id)

    def _listen(self, client: MQTTClient, dev_id: str | None) -> None:
        # A cell of a notebook that is run again must not have each uplink recorded twice.
        if any(reference() is client and known == dev_id for reference, known in self._clients):
            return
        client.set_uplink_callback(self._columns.add, dev_id=dev_id)
        self._clients = [one for one in self._clients if one[0]() is not None]
        self._clients.append((weakref.ref(client), dev_id))

    @property
    def nbytes(self) -> int:
        """About how many bytes the rows take."""
        return self._columns.nbytes

    @property
    def dropped(self) -> int:
        """Rows that made room for others."""
        return self._columns.dropped

    @property
    def unreadable(self) -> int:
        """Values outside of ``payload_fields`` that were not what their column is of, in whose places nulls are."""
        return self._columns.unreadable

    def __len__(self) -> int:
        return len(self._columns)


def uplink_of_line(line: bytes, place: str) -> UplinkMessage:
    """Read an uplink out of a line of JSON.

    Raises:
        DecodeError: It is none; says at which place.
    """
    try:
        message = _parse_message(line)
    except DecodeError as error:
        raise DecodeError(f"{place} is no uplink: {error}") from None
    if not isinstance(message, UplinkMessage) or "dev_id" not in message.keys():  # noqa: SIM118 - `in` asks for values
        raise DecodeError(f"{place} is no uplink: expected a JSON object with dev_id")
    return message


def recorder_of(into: Recorder | None, options: dict[str, Any]) -> Recorder:
    """Give what ``record`` of a client is to record into.

    Raises:
        TypeError: It is no recorder, or there are options for another one.
    """
    if into is None:
        return Recorder(**options)
    if not isinstance(into, Recorder):
        raise TypeError(f"into must be a thingslink.frame.Recorder, not {type(into).__name__}")
    if options:
        raise TypeError(f"record() takes no {next(iter(options))!r} together with into, which has its own")
    return into


def record(client: MQTTClient, into: Recorder | None, dev_id: str | None, options: dict[str, Any]) -> Recorder:
    """Gather what a client receives; see ``MQTTClient.record``."""
    recorder = recorder_of(into, options)
    recorder._listen(client, dev_id)  # noqa: SLF001 - it is of this module
    return recorder
