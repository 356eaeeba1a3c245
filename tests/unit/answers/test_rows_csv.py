"""Every type that evidence stores comes through as CSV and JSON, to the last row."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal

import pyarrow as pa
import pytest

from kalla_core.answers.encode import Format, encoded

FAR = 2**62
COLUMNS = {
    "integer": pa.array([2**64 - 1, None], pa.uint64()),
    "half": pa.array([1.5, None], pa.float16()),
    "double": pa.array([float("nan"), None], pa.float64()),
    "boolean": pa.array([True, None]),
    "decimal": pa.array([Decimal("1.50"), None], pa.decimal256(60, 2)),
    "text": pa.array(['a "b",\n', None]),
    "date": pa.array([2**31 - 1, None], pa.date32()),
    "time": pa.array([5, None], pa.time64("ns")),
    "timestamp": pa.array([FAR, None], pa.timestamp("ms")),
    "nanoseconds": pa.array([5, None], pa.timestamp("ns", "Europe/Berlin")),
    "duration": pa.array([5, None], pa.duration("ns")),
    "bytes": pa.array([b"\xff\x00", None], pa.binary()),
    "uuid": pa.array([bytes(range(16)), None], pa.binary(16)),
    "list": pa.array([[FAR], None], pa.list_(pa.timestamp("ms"))),
    "fixed": pa.array([[5, None], None], pa.list_(pa.time64("ns"), 2)),
    "map": pa.array([[("a", 5)], None], pa.map_(pa.string(), pa.duration("ns"))),
    "struct": pa.array(
        [{"day": 2**31 - 1, "raw": b"\xff"}, None],
        pa.struct([("day", pa.date32()), ("raw", pa.binary())]),
    ),
}


def sent(chosen: Format, table: pa.Table) -> str:
    return b"".join(encoded(chosen, table.schema, iter(table.to_batches()))).decode()


@pytest.mark.parametrize("name", COLUMNS)
def test_no_type_breaks_off_an_answer(name: str) -> None:
    table = pa.table({"n": [0, 1], "value": COLUMNS[name]})

    as_csv = list(csv.DictReader(io.StringIO(sent(Format.CSV, table))))
    as_json = json.loads(sent(Format.JSON, table))

    assert [row["n"] for row in as_csv] == ["0", "1"]
    assert [row["n"] for row in as_json] == [0, 1]
    assert as_csv[0]["value"]
    assert as_csv[1]["value"] == ""
    assert as_json[0]["value"] is not None
    assert as_json[1]["value"] is None


def test_bytes_are_hexadecimal_in_any_slice_of_a_batch() -> None:
    values = [b"\xff", None, b"", b"\x00\x01\x02"]
    batch = pa.record_batch({"b": pa.array([b"before", *values, b"after"])}).slice(1, 4)

    rows = b"".join(encoded(Format.CSV, batch.schema, iter([batch]))).decode().splitlines()

    assert rows == ['"b"', '"ff"', "", '""', '"000102"']


def test_a_null_in_place_of_a_list_is_as_empty_as_any_other() -> None:
    table = pa.table({"l": pa.array([[1, None], [], None], pa.list_(pa.int64())), "n": [1, 2, 3]})

    assert sent(Format.CSV, table).splitlines()[1:] == ['"[1, null]",1', '"[]",2', ",3"]
