"""The same filters, the same rows: Postgres, CSV and Parquet."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalla_core.recipe.model import Filter, FilterOp, SourceSpec
from kalla_core.sources.registry import connector_for
from tests.support.postgres import Database, new_database
from tests.support.sources import file_spec

TEXTS = [
    "", " ", "a", "A", "b", "Z", "ä", "Å", "z", "aa", "a%b", "a_b", "a\\b", "1%", "it's", '"q"',
    "Łódź", "🦊", "\uffff", "e\u0301", "\u00e9", "-1", "00123", "R-1", "R-10", "r-1", "two\nlines",
]  # fmt: skip
BIG = 2**63 - 1
INTEGERS = [0, 1, -1, 2**31, -(2**31) - 1, BIG, -BIG, 42]
AMOUNTS = [Decimal(n) / 100 for n in (0, 1, -1, 199, 200, 201, 10**15, -(10**15))]
WIDE = [Decimal("9" * 30 + ".5"), Decimal("-0.1"), Decimal("1.5"), Decimal("9" * 30 + ".4")]
FLOATS = [0.0, -0.0, 0.1, 1e300, -1e300, float("inf"), float("-inf"), float("nan"), 0.3]
DAYS = [date(2024, 1, 31), date(1, 1, 1), date(9999, 12, 31), date(1969, 12, 31)]
TIMES = [datetime(2024, 1, 31, 10, 0, 0, n) for n in (0, 1, 500_000, 999_999)]

COLUMNS: dict[str, tuple[pa.DataType, list[Any]]] = {
    "t": (pa.string(), TEXTS),
    "i": (pa.int64(), INTEGERS),
    "d": (pa.decimal128(18, 2), AMOUNTS),
    "w": (pa.decimal128(35, 1), WIDE),
    "f": (pa.float64(), FLOATS),
    "day": (pa.date32(), DAYS),
    "at": (pa.timestamp("us"), TIMES),
    "b": (pa.bool_(), [True, False]),
}
TYPES = {"i": "bigint", "d": "decimal(18,2)", "w": "decimal(35,1)", "f": "double", "t": "text"}
ROWS = 60
ORDERED = [FilterOp.EQ, FilterOp.NEQ, FilterOp.GT, FilterOp.GTE, FilterOp.LT, FilterOp.LTE]
PATTERNS = [
    "%", "_", "a%", "%b", "a\\%b", "a\\_b", "a\\\\b", "%'%", '%"%', "__", "🦊", "Ł%", "%\n%",
    "R-1%", "r%", "", "%\\%", "é", ".*", "[a]",
]  # fmt: skip


def rows() -> pa.Table:
    arrays = [pa.array(range(ROWS), pa.int64())]
    for kind, values in COLUMNS.values():
        arrays.append(pa.array([[*values, None][n % (len(values) + 1)] for n in range(ROWS)], kind))
    return pa.table(arrays, names=["n", *COLUMNS])


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> list[SourceSpec]:
    folder, table = tmp_path_factory.mktemp("filters"), rows()
    pq.write_table(table, folder / "ledger.parquet", row_group_size=17)
    pc.write_csv(table, folder / "ledger.csv")
    database = new_database()
    database.put("ledger", table)
    return [
        database.spec(),
        file_spec(folder / "ledger.parquet"),
        file_spec(folder / "ledger.csv", types=TYPES),
    ]


def shifted(value: Any) -> Any:
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return value + 0.5 if abs(value) < 10**6 else value
    return value


@st.composite
def filters(draw: st.DrawFn) -> Filter:
    column = draw(st.sampled_from(list(COLUMNS)))
    kind, values = COLUMNS[column]
    if column == "b":
        return Filter(
            column, draw(st.sampled_from([FilterOp.EQ, FilterOp.NEQ])), draw(st.booleans())
        )
    if column == "t" and draw(st.booleans()):
        pattern = draw(st.sampled_from(PATTERNS) | st.text("a%_b\u00e9🦊'", max_size=4))
        return Filter(column, FilterOp.LIKE, pattern)
    some = st.sampled_from(values).map(lambda value: as_json(kind, value))
    if column == "t":
        some |= st.text(st.characters(exclude_categories=("Cs",)), max_size=3)
    op = draw(st.sampled_from([*ORDERED, FilterOp.BETWEEN, FilterOp.IN]))
    if op is FilterOp.BETWEEN:
        return Filter(column, op, (draw(some), draw(some)))
    if op is FilterOp.IN:
        return Filter(column, op, tuple(draw(st.lists(some, min_size=1, max_size=4))))
    return Filter(column, op, draw(some))


def as_json(kind: pa.DataType, value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    if isinstance(value, datetime):
        return (value + timedelta(microseconds=0)).isoformat()
    return value.isoformat() if isinstance(value, date) else shifted(value)


def kept(spec: SourceSpec, wanted: list[Filter]) -> list[int]:
    filtered = replace(spec, filters=tuple(wanted))
    connector = connector_for(filtered)
    with connector.pin(filtered) as pinned:
        return [
            n
            for part in connector.plan(pinned, 2)
            for batch in connector.read(pinned, part, columns=("n",))
            for n in batch.column(0).to_pylist()
        ]


@settings(max_examples=60)
@given(wanted=st.lists(filters(), min_size=1, max_size=2))
def test_filters_keep_the_same_rows_of_postgres_csv_and_parquet(
    specs: list[SourceSpec], wanted: list[Filter]
) -> None:
    postgres, parquet, csv = (kept(spec, wanted) for spec in specs)

    assert postgres == parquet
    # Empty text is NULL where a CSV file says so without quotes, and \N is what it is.
    assert [n for n in csv if n % len([*TEXTS, None]) != 0] == [
        n for n in parquet if n % len([*TEXTS, None]) != 0
    ]


def test_values_that_need_care_keep_the_rows_they_should(specs: list[SourceSpec]) -> None:
    postgres, parquet = specs[0], specs[1]
    careful = [
        Filter("t", FilterOp.GT, "Z"),
        Filter("t", FilterOp.LT, "a\0b"),
        Filter("t", FilterOp.EQ, "a\0"),
        Filter("t", FilterOp.IN, ("it's", "a\\b", "a\0")),
        Filter("t", FilterOp.GTE, "\uffff"),
        Filter("i", FilterOp.LT, 2**63),
        Filter("i", FilterOp.GTE, -(10**30)),
        Filter("i", FilterOp.GT, 0.5),
        Filter("d", FilterOp.GTE, "2.000000000000000000001"),
        Filter("w", FilterOp.GT, "9" * 30 + ".45"),
        Filter("f", FilterOp.GTE, "NaN"),
        Filter("f", FilterOp.GT, "0.3"),
        Filter("f", FilterOp.IN, (0, "NaN")),
        Filter("f", FilterOp.NEQ, "Infinity"),
        Filter("day", FilterOp.LTE, "0001-01-01"),
        Filter("at", FilterOp.GT, "2024-01-31T10:00:00.0000005"),
    ]

    for each in careful:
        assert kept(postgres, [each]) == kept(parquet, [each]), each


def test_text_compares_by_code_points_whatever_the_column_is_collated_by() -> None:
    database = new_database()
    database.run(
        'CREATE TABLE ledger (t text COLLATE "en-x-icu")'
        if database.value("SELECT count(*) FROM pg_collation WHERE collname = 'en-x-icu'")
        else 'CREATE TABLE ledger (t text COLLATE "POSIX")',
        "INSERT INTO ledger VALUES ('a'), ('B'), ('ä'), ('Z')",
    )
    spec = database.spec(filters=(Filter("t", FilterOp.GT, "Z"),))

    connector = connector_for(spec)
    with connector.pin(spec) as pinned:
        found = [
            row["t"]
            for b in connector.read(pinned, connector.plan(pinned, 1)[0])
            for row in b.to_pylist()
        ]

    assert found == ["a", "ä"]


def test_a_database_of_another_encoding_compares_by_code_points_too(tmp_path: Path) -> None:
    server = new_database()
    server.run(
        "CREATE DATABASE latin TEMPLATE template0 ENCODING LATIN9 LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    latin = Database(server.server, "latin")
    latin.run(
        "CREATE TABLE ledger (t text)", "INSERT INTO ledger VALUES (chr(164)), (chr(233)), ('z')"
    )
    spec = latin.spec(filters=(Filter("t", FilterOp.GT, "é"),))
    connector = connector_for(spec)

    with connector.pin(spec) as pinned:
        found = connector.preview(pinned, 10).to_pylist()

    assert found == [{"t": "€"}]
