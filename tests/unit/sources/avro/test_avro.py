from __future__ import annotations

import sys
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import fastavro
import pyarrow as pa
import pytest

from kalla_core.errors import ConnectorMissing, InvalidFormat, InvalidType, SourceUnreadable
from tests.support.sources import format_rows, read_rows, types_of

KEY = "8c3d7a52-96d6-4f4f-9a1e-0f2f4a9c7b11"


def put(path: Path, fields: dict[str, Any], rows: list[dict[str, Any]]) -> Path:
    schema = {
        "type": "record",
        "name": "Row",
        "fields": [{"name": name, "type": kind} for name, kind in fields.items()],
    }
    with path.open("wb") as file:
        fastavro.writer(file, schema, rows)
    return path


def logical(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "logicalType": name, **more}


@pytest.mark.parametrize(
    ("kind", "found", "value"),
    [
        ("long", pa.int64(), 2**63 - 1),
        ("int", pa.int32(), -7),
        (logical("bytes", "decimal", precision=38, scale=9), None, Decimal("1234567890.123456789")),
        (logical("bytes", "decimal", precision=60, scale=2), None, Decimal("9" * 50 + ".25")),
        (logical("int", "date"), pa.date32(), date(9999, 12, 31)),
        (logical("int", "time-millis"), pa.time32("ms"), time(23, 59, 59, 999_000)),
        (
            logical("long", "timestamp-micros"),
            pa.timestamp("us", "UTC"),
            datetime(2026, 3, 31, 1, 2, 3, 456_789, tzinfo=UTC),
        ),
        (
            logical("long", "local-timestamp-millis"),
            pa.timestamp("ms"),
            datetime(2026, 3, 31, 1, 2, 3, 456_000),
        ),
        ({"type": "enum", "name": "E", "symbols": ["IN", "OUT"]}, pa.string(), "OUT"),
        ({"type": "array", "items": ["null", "long"]}, pa.list_(pa.int64()), [1, None]),
        ("bytes", pa.binary(), b"\x00\xff"),
        (["null", "string"], pa.string(), None),
    ],
)
def test_values_of_every_type_are_exact(
    tmp_path: Path, kind: Any, found: pa.DataType | None, value: Any
) -> None:
    path = put(tmp_path / "in.avro", {"v": kind}, [{"v": value}])

    assert read_rows(path) == [(value,)]
    assert found is None or types_of(path) == {"v": found}


def test_uuids_records_and_maps_are_read(tmp_path: Path) -> None:
    inner = {"type": "record", "name": "I", "fields": [{"name": "x", "type": ["null", "long"]}]}
    fields = {"u": logical("string", "uuid"), "r": inner, "m": {"type": "map", "values": "long"}}
    path = put(tmp_path / "in.avro", fields, [{"u": UUID(KEY), "r": {"x": 1}, "m": {"a": 2}}])

    assert read_rows(path) == [(KEY, {"x": 1}, [("a", 2)])]


def test_files_are_united_by_name_and_rows_numbered(tmp_path: Path) -> None:
    put(tmp_path / "1.avro", {"a": "int", "b": "string"}, [{"a": 1, "b": "x"}])
    put(tmp_path / "2.avro", {"a": "long"}, [{"a": 2**40}])

    assert format_rows(tmp_path, {"row_number": "n"}) == [(1, 1, "x"), (2, 2**40, None)]
    assert read_rows(tmp_path, parts=2) == [(1, "x"), (2**40, None)]


def test_a_file_of_many_rows_is_read_in_batches(tmp_path: Path) -> None:
    path = put(tmp_path / "in.avro", {"n": "long"}, [{"n": n} for n in range(20_000)])

    assert read_rows(path, parts=4) == [(n,) for n in range(20_000)]


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (["long", "string"], "`v`, whose values are of several types, int64, string"),
        (logical("bytes", "decimal", precision=90, scale=2), "decimals of 90 digits"),
    ],
)
def test_a_type_that_no_column_has_is_named(tmp_path: Path, kind: Any, says: str) -> None:
    path = put(tmp_path / "in.avro", {"v": kind}, [])

    with pytest.raises(SourceUnreadable, match=says):
        read_rows(path)


def test_a_type_that_holds_itself_is_no_column(tmp_path: Path) -> None:
    node = {"type": "record", "name": "N", "fields": [{"name": "n", "type": ["null", "N"]}]}
    path = put(tmp_path / "in.avro", {"v": node}, [])

    with pytest.raises(SourceUnreadable, match="which holds itself"):
        read_rows(path)


@pytest.mark.parametrize("content", [b"", b"Obj\x01", b"id,n\n1,2\n"])
def test_what_is_no_avro_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "in.avro"
    path.write_bytes(content)

    with pytest.raises(SourceUnreadable, match="no whole Avro file"):
        read_rows(path)


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path / "in.avro", {"n": "long"}, [{"n": n} for n in range(50_000)])
    path.write_bytes(path.read_bytes()[:-20])

    with pytest.raises(SourceUnreadable, match="no whole Avro file"):
        read_rows(path)


def test_types_and_formats_are_of_no_use(tmp_path: Path) -> None:
    path = put(tmp_path / "in.avro", {"n": "long"}, [])

    with pytest.raises(InvalidType, match="have types of their own"):
        format_rows(path, {}, types={"n": "text"})
    with pytest.raises(InvalidFormat, match="Avro files have no `decimal`"):
        format_rows(path, {"decimal": ","})


def test_without_its_library_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path / "in.avro", {"n": "long"}, [])
    monkeypatch.setitem(sys.modules, "fastavro", None)

    with pytest.raises(ConnectorMissing, match=r"pip install 'kalla\[avro\]'"):
        read_rows(path)
