from __future__ import annotations

import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from kalla_core.errors import ConnectorMissing, InvalidFormat, InvalidType, SourceUnreadable
from kalla_core.sources.registry import connector_for
from tests.support.sources import file_spec, format_rows, read_rows, types_of


def sqlite(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)
    return path


def duck(path: Path, *statements: str) -> Path:
    with closing(duckdb.connect(str(path))) as database:
        for statement in statements:
            database.execute(statement)
    return path


@pytest.mark.parametrize(
    ("declared", "values", "kind", "found"),
    [
        ("INTEGER", ["9223372036854775807", "NULL"], pa.int64(), [2**63 - 1, None]),
        ("DECIMAL(12,2)", ["1845.86", "3"], pa.decimal128(18, 2), ["1845.86", "3"]),
        ("DECIMAL(12,2)", ["0.1 + 0.2", "'4.35'"], pa.decimal128(18, 2), ["0.3", "4.35"]),
        ("NUMERIC", ["0.125", "-7"], pa.decimal128(18, 3), ["0.125", "-7"]),
        ("REAL", ["0.5", "1"], pa.float64(), [0.5, 1.0]),
        ("DATE", ["'2026-03-31'"], pa.date32(), [date(2026, 3, 31)]),
        ("TEXT", ["'00123'", "'x'", "''"], pa.string(), ["00123", "x", ""]),
        ("TEXT", ["'12'", "'13'"], pa.string(), ["12", "13"]),
        ("BOOLEAN", ["1", "0", "NULL"], pa.bool_(), [True, False, None]),
        ("BOOLEAN", ["1", "2"], pa.int64(), [1, 2]),
        ("BLOB", ["x'00ff'"], pa.binary(), [b"\x00\xff"]),
        ("", ["1", "'one'"], pa.string(), ["1", "one"]),
        ("TEXT", ["NULL"], pa.null(), [None]),
    ],
)
def test_columns_of_sqlite_are_what_is_in_them(
    tmp_path: Path, declared: str, values: Sequence[str], kind: pa.DataType, found: Sequence[Any]
) -> None:
    rows = ", ".join(f"({value})" for value in values)
    path = sqlite(
        tmp_path / "in.db", f'CREATE TABLE t ("a b" {declared})', f"INSERT INTO t VALUES {rows}"
    )

    assert types_of(path) == {"a b": kind}
    is_decimal = pa.types.is_decimal(kind)
    assert [row[0] for row in read_rows(path)] == [Decimal(v) if is_decimal else v for v in found]


def test_texts_of_sqlite_are_what_types_and_formats_say(tmp_path: Path) -> None:
    path = sqlite(
        tmp_path / "in.sqlite",
        "CREATE TABLE t (n TEXT, d TEXT)",
        "INSERT INTO t VALUES ('12.50', '31.03.2026')",
    )

    rows = format_rows(path, {"date": "%d.%m.%Y"}, types={"n": "decimal(9,2)"})

    assert rows == [(Decimal("12.50"), date(2026, 3, 31))]
    with pytest.raises(SourceUnreadable, match=r"The column `d` .* is no integer"):
        format_rows(path, {}, types={"d": "integer"})


def test_a_column_of_several_kinds_is_text_with_a_word(tmp_path: Path) -> None:
    path = sqlite(
        tmp_path / "in.sqlite", "CREATE TABLE t (x)", "INSERT INTO t VALUES (1), ('01'), (2.5)"
    )
    spec = file_spec(path)

    with connector_for(spec).pin(spec) as pinned:
        assert pinned.notes == ("`x` is text: its values are integer and real and text.",)
    assert read_rows(path) == [("1",), ("01",), ("2.5",)]


def test_a_table_of_many_columns_and_rows_is_read(tmp_path: Path) -> None:
    names = [f"c{n}" for n in range(450)]
    path = sqlite(
        tmp_path / "in.sqlite",
        f"CREATE TABLE t ({', '.join(names)})",
        f"INSERT INTO t VALUES ({', '.join(map(str, range(450)))})",
        "CREATE VIEW v AS WITH RECURSIVE n(i) AS"
        " (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 19999) SELECT i FROM n",
    )

    assert read_rows(f"{path}?table=t") == [tuple(range(450))]
    assert read_rows(f"{path}?table=v") == [(n,) for n in range(20_000)]


def test_exact_types_of_duckdb_are_kept(tmp_path: Path) -> None:
    path = duck(
        tmp_path / "in.duckdb",
        "CREATE TABLE t AS SELECT 12345678901234567890123::HUGEINT AS h,"
        " 18446744073709551615::UBIGINT AS u, 0.1::DECIMAL(38,9) AS d, DATE '9999-12-31' AS day,"
        " TIME '23:59:59' AS at,"
        " TIMESTAMPTZ '2026-03-31 10:00:00+00' AS z, 'b'::ENUM('a', 'b') AS e, [1, NULL] AS l,"
        " '8c3d7a52-96d6-4f4f-9a1e-0f2f4a9c7b11'::UUID AS id",
    )

    assert read_rows(path) == [
        (
            12345678901234567890123,
            18446744073709551615,
            Decimal("0.1"),
            date(9999, 12, 31),
            time(23, 59, 59),
            datetime(2026, 3, 31, 10, tzinfo=UTC),
            "b",
            [1, None],
            "8c3d7a52-96d6-4f4f-9a1e-0f2f4a9c7b11",
        )
    ]


def test_a_view_of_duckdb_reads_no_file_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    path = duck(
        tmp_path / "in.duckdb", f"CREATE VIEW v AS SELECT * FROM read_csv('{tmp_path}/secret.csv')"
    )

    with pytest.raises(SourceUnreadable, match="cannot be read by DuckDB"):
        read_rows(path)


@pytest.mark.parametrize("put", [sqlite, duck])
def test_the_table_is_said_where_there_are_several(tmp_path: Path, put: Any) -> None:
    ending = "sqlite" if put is sqlite else "duckdb"
    path = put(
        tmp_path / f"in.{ending}",
        "CREATE TABLE invoices (id INTEGER)",
        'CREATE TABLE "pay ments" (id INTEGER)',
    )

    with pytest.raises(
        InvalidFormat, match=r"has 2 tables and views: `invoices`, `pay ments`; say"
    ):
        read_rows(path)
    with pytest.raises(InvalidFormat, match=r"no table `invoice`. Did you mean `invoices`\?"):
        read_rows(f"{path}?table=invoice")
    assert read_rows(f"{path}?table=pay ments") == []


def test_changes_that_are_not_in_the_file_yet_are_told(tmp_path: Path) -> None:
    path = tmp_path / "in.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE t (x INTEGER)")
        database.commit()

        with pytest.raises(SourceUnreadable, match=r"in\.sqlite-wal` that are not in it yet"):
            read_rows(path)
    assert read_rows(path) == []


@pytest.mark.parametrize("ending", ["sqlite", "db", "duckdb"])
@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0" + b"\xff" * 600, b"id,n\n1,2\n"])
def test_what_is_no_database_is_refused(tmp_path: Path, ending: str, content: bytes) -> None:
    path = tmp_path / f"in.{ending}"
    path.write_bytes(content)

    with pytest.raises((SourceUnreadable, InvalidFormat), match=rf"in\.{ending}"):
        read_rows(path)


def test_duckdb_has_types_of_its_own_and_its_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = duck(tmp_path / "in.duckdb", "CREATE TABLE t (n INTEGER)")

    with pytest.raises(InvalidType, match="have types of their own"):
        format_rows(path, {}, types={"n": "text"})
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(ConnectorMissing, match=r"pip install 'kalla\[duckdb\]'"):
        read_rows(path)


def test_a_database_without_a_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in.db").write_bytes(b"")

    with pytest.raises(SourceUnreadable, match=r"in\.db` has no table and no view"):
        read_rows(tmp_path / "in.db")


def test_numbers_beyond_all_decimals_are_doubles_whatever_was_declared(tmp_path: Path) -> None:
    path = sqlite(
        tmp_path / "in.sqlite",
        "CREATE TABLE t (n NUMERIC)",
        "INSERT INTO t VALUES (1e300), (2.5), (3)",
    )

    assert types_of(path) == {"n": pa.float64()}
    assert read_rows(path) == [(1e300,), (2.5,), (3.0,)]
