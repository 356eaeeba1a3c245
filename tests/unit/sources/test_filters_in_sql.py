"""Filters of a recipe keep the rows that DuckDB keeps with the same test in WHERE."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from kalla_core.recipe.model import Filter, FilterOp
from kalla_core.sources.filters import compile_filters

COLUMNS = {
    "i": (pa.int32(), (-7, 0, 1, 42, None), (-7, 1, 41, 10**12)),
    "n": (pa.decimal128(12, 2), tuple(map(Decimal, ("-0.50", "0", "1.25", "99.99"))), (
        "-0.5", 1, "1.255", "99.99")),
    "f": (pa.float64(), (-1.5, 0.0, -0.0, 0.1, float("nan"), float("inf"), None), (0.1, 0, -1.5)),
    "t": (pa.string(), ("a", "B", "aé", "a%", "a_b", "", "10", None), ("a", "B", "", "10", "é")),
    "d": (pa.date32(), (date(2024, 2, 29), date(1999, 1, 1), None), ("2024-02-29", "2000-01-01")),
    "m": (pa.timestamp("us"), (datetime(2024, 2, 29, 12, 0, 0, 5), datetime(2024, 3, 1), None), (
        "2024-02-29 12:00:00.000005", "2024-02-29T12:00:00", "2024-03-01")),
    "b": (pa.bool_(), (True, False, None), (True, False)),
}  # fmt: skip
SYMBOLS = {
    FilterOp.EQ: "=", FilterOp.NEQ: "<>", FilterOp.GT: ">", FilterOp.GTE: ">=",
    FilterOp.LT: "<", FilterOp.LTE: "<=",
}  # fmt: skip
PATTERNS = ("a%", "%", "a_", r"a\%", r"a\_b", "%é", "A%", "", "_")


def filters(column: str) -> Iterator[Filter]:
    _, _, literals = COLUMNS[column]
    ops = list(SYMBOLS) if column != "b" else [FilterOp.EQ, FilterOp.NEQ]
    yield from (Filter(column, op, literal) for op in ops for literal in literals)
    yield Filter(column, FilterOp.IN, literals[:2])
    if column != "b":
        yield from (
            Filter(column, FilterOp.BETWEEN, (low, high)) for low in literals for high in literals
        )
    if column == "t":
        yield from (Filter(column, FilterOp.LIKE, pattern) for pattern in PATTERNS)


def in_sql(each: Filter) -> str:
    match each.op:
        case FilterOp.BETWEEN:
            return f"{each.column} BETWEEN {literal(each.value[0])} AND {literal(each.value[1])}"
        case FilterOp.IN:
            return f"{each.column} IN ({', '.join(map(literal, each.value))})"
        case FilterOp.LIKE:
            return f"{each.column} LIKE {literal(each.value)} ESCAPE '\\'"
        case op:
            return f"{each.column} {SYMBOLS[op]} {literal(each.value)}"


def literal(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)


@pytest.mark.parametrize("column", COLUMNS)
def test_a_filter_keeps_the_rows_that_sql_keeps(column: str) -> None:
    kind, values, _ = COLUMNS[column]
    chosen = random.Random(column).choices(values, k=40)
    rows = pa.record_batch({column: pa.array(chosen, kind), "id": pa.array(range(40))})
    with duckdb.connect() as database:
        database.register("rows", pa.Table.from_batches([rows]))
        expected = {
            each: [
                row
                for (row,) in database.execute(
                    f"SELECT id FROM rows WHERE {in_sql(each)} ORDER BY id"
                ).fetchall()
            ]
            for each in filters(column)
        }

    found = {
        each: compile_filters([each], rows.schema).keep(rows).column("id").to_pylist()
        for each in expected
    }

    assert found == expected
    assert any(0 < len(kept) < len(rows) for kept in expected.values())
