"""What other libraries get of a table, over Arrow's PyCapsule interface."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE
from thingslink._native import _parse_message
from thingslink.aio import Batch
from thingslink.frame import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterable

ROWS: list[dict[str, Any]] = [
    {"i": 1, "f": 1, "t": "é", "b": True, "mixed": 1, "list": [1, 2], "gps": {"lat": 52.5}, "none": None},
    {"i": None, "f": 2.5, "t": None, "b": None, "mixed": "x", "list": None},
    {"f": -1e300},
]


def uplinks(rows: Iterable[dict[str, Any]], dev_id: str = "a") -> Iterable[Any]:
    for counter, fields in enumerate(rows):
        gateways = [{"gtw_id": "g", "rssi": -90, "snr": 7.5}]
        metadata = {"time": "2026-11-27T01:02:03.123456789Z", "frequency": 868.1, "gateways": gateways}
        uplink = {"app_id": "app", "dev_id": dev_id, "counter": counter, "payload_raw": "AQI="}
        yield _parse_message(json.dumps({**uplink, "payload_fields": fields, "metadata": metadata}))


@pytest.fixture
def recorder() -> Recorder:
    recorder = Recorder()
    recorder.extend(uplinks(ROWS))
    return recorder


TIME = datetime(2026, 11, 27, 1, 2, 3, 123456, tzinfo=timezone.utc)
EXPECTED = {
    "i": [1, None, None],
    "f": [1.0, 2.5, -1e300],
    "t": ["é", None, None],
    "b": [True, None, None],
    "mixed": ["1", '"x"', None],
    "list": ["[1, 2]", None, None],
    "gps.lat": [52.5, None, None],
    "none": [None, None, None],
    "time": [TIME] * 3,
    "counter": [0, 1, 2],
    "payload": [b"\x01\x02"] * 3,
    "rssi": [-90.0] * 3,
    "gateway": ["g"] * 3,
    "is_retry": [None] * 3,
}


def test_pyarrow_reads_it(recorder: Recorder) -> None:
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    table = pa.table(recorder)
    table.validate(full=True)
    assert {name: table[name].to_pylist() for name in EXPECTED} == EXPECTED
    schema = pa.schema(recorder)
    assert schema == table.schema
    assert schema.field("time").type == pa.timestamp("us", tz="UTC")
    types = {"i": pa.int64(), "f": pa.float64(), "t": pa.string(), "b": pa.bool_(), "payload": pa.binary()}
    assert {name: schema.field(name).type for name in types} == types
    assert pa.RecordBatchReader.from_stream(recorder.take()).read_all() == table


def test_rows_that_are_closed_are_not_copied(recorder: Recorder) -> None:
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    recorder.extend(uplinks([{"f": 0.5}] * 20_000))

    def places() -> list[int]:
        return [chunk.buffers()[1].address for chunk in pa.table(recorder)["f"].chunks]

    first, second = places(), places()
    assert len(first) >= 3
    # The last piece is that of the newest rows; the first one is of integers, which become floats.
    assert first[1:-1] == second[1:-1]
    table = recorder.take()
    assert [chunk.buffers()[1].address for chunk in pa.table(table)["f"].chunks][1:-1] == first[1:-1]


def test_what_was_read_outlives_the_recorder(recorder: Recorder) -> None:
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    table, capsule = pa.table(recorder), recorder.__arrow_c_stream__()
    recorder.take()
    del recorder
    assert table["f"].to_pylist() == EXPECTED["f"]
    # One that nobody takes lets go of what it has.
    del capsule


def test_polars_reads_it(recorder: Recorder) -> None:
    pl = pytest.importorskip("polars", reason="polars is not installed")
    frame = pl.DataFrame(recorder)
    assert {name: frame[name].to_list() for name in EXPECTED} == EXPECTED
    assert frame["time"].dtype == pl.Datetime("us", "UTC")
    assert pl.DataFrame(Batch(uplinks(ROWS[:1])).table())["gps.lat"].to_list() == [52.5]


def test_polars_needs_no_pyarrow() -> None:
    pytest.importorskip("polars", reason="polars is not installed")
    program = (
        "import sys\n"
        "sys.modules['pyarrow'] = sys.modules['pandas'] = None\n"
        "import polars\n"
        "from thingslink.frame import Recorder\n"
        "from thingslink._native import _parse_message\n"
        "recorder = Recorder()\n"
        'recorder.add(_parse_message(\'{"dev_id": "a", "payload_fields": {"x": 1}}\'))\n'
        "frame = polars.DataFrame(recorder)\n"
        "assert frame['x'].to_list() == [1] and frame['dev_id'].to_list() == ['a'], frame\n"
    )
    command = [sys.executable, "-c", program]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert outcome.returncode == 0, outcome.stderr


def test_pandas_reads_it(recorder: Recorder) -> None:
    pd = pytest.importorskip("pandas", minversion="3", reason="pandas with DataFrame.from_arrow is not installed")
    pytest.importorskip("pyarrow", reason="pandas reads Arrow by pyarrow")
    frame = pd.DataFrame.from_arrow(recorder)
    for name, values in EXPECTED.items():
        assert [None if pd.isna(value) else value for value in frame[name]] == values, name
    assert str(frame["time"].dtype) == "datetime64[us, UTC]"
    assert frame["f"].dtype == "float64"


def test_pandas_takes_lists_without_pyarrow(recorder: Recorder) -> None:
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pd.DataFrame(recorder.to_dict())
    assert frame["f"].tolist() == EXPECTED["f"] and frame["time"][0] == TIME


def test_duckdb_reads_it(recorder: Recorder) -> None:
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    with duckdb.connect() as database:
        found = database.sql('select dev_id, count(*), max(f), max("gps.lat"), max(counter) from recorder group by 1')
        assert found.fetchall() == [("a", 3, 2.5, 52.5, 2)]
        assert database.sql("select epoch_us(time) from recorder limit 1").fetchall() == [
            (round(TIME.timestamp() * 1_000_000),)
        ]


def test_an_empty_table_has_its_columns() -> None:
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    batch = pa.RecordBatchReader.from_stream(Batch()).read_all()
    for table in (pa.table(Recorder()), pa.table(Recorder(per="gateway")), batch):
        assert table.num_rows == 0 and table.column_names[:3] == ["time", "app_id", "dev_id"]


def test_polars_keeps_messages_as_objects_and_makes_a_table_of_their_dictionaries() -> None:
    pl = pytest.importorskip("polars", reason="polars is not installed")
    message = _parse_message(b'{"dev_id":"node-1","port":1,"payload_fields":{"t":1.5}}', "v2")
    assert isinstance(type(message)._fields, property) and message._fields == ("dev_id", "port", "payload_fields")
    column = pl.DataFrame({"message": [message]})["message"]
    assert column.dtype == pl.Object and column[0] is message
    table = pl.DataFrame([message.to_dict()])
    assert table.columns == list(message._fields) and table["payload_fields"].struct.field("t")[0] == 1.5
