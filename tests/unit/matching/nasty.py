"""Small tables with everything that makes a join go wrong: nulls, repeats, unlike types."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa

from kalla_core.matching.sql.query import ROW, MatchQuery, TableShape

LEFT = pa.schema([
    ("id", pa.int64()), ("k", pa.int32()), ("ref", pa.string()), ("grp", pa.int16()),
    ("amount", pa.decimal128(12, 2)), ("d", pa.date32()), ("at", pa.timestamp("us")),
    ("sd", pa.string()), ("cur", pa.string()), ("rate", pa.float64()), ("name", pa.string()),
    ("tags", pa.list_(pa.int64())),
])  # fmt: skip
RIGHT = pa.schema([
    ("id", pa.int64()), ("k", pa.int64()), ("ref", pa.string()), ("grp", pa.int32()),
    ("paid", pa.decimal128(14, 3)), ("d", pa.date32()), ("at", pa.timestamp("ms")),
    ("sd", pa.string()), ("cur", pa.string()), ("rate", pa.float64()), ("name", pa.string()),
    ("sref", pa.string()),
])  # fmt: skip
FX = pa.schema([("ccy", pa.string()), ("rate", pa.decimal128(8, 4)), ("k", pa.int64())])

_REFS = [None, "A1", "a1", "A2", "B7", "b7", "C3", "EUR", ""]
_CENTS = (0, 100, 200, 202, 300, 1000, 1002)
STARTED = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Tables:
    """One set of tables, without ROW."""

    left: pa.Table
    right: pa.Table
    fx: pa.Table


def tables(seed: int, left_rows: int = 40, right_rows: int = 50) -> Tables:
    """Return tables that are the same for the same seed."""
    rng = random.Random(seed)
    left = [_left(rng, i) for i in range(left_rows)]
    right = [_right(rng, i) for i in range(right_rows)]
    currencies = enumerate(["EUR", "USD", "GBP", "EUR", None])
    fx = [{"ccy": c, "rate": Decimal("1.5"), "k": k} for k, c in currencies]
    return Tables(
        pa.Table.from_pylist(left, schema=LEFT),
        pa.Table.from_pylist(right, schema=RIGHT),
        pa.Table.from_pylist(fx, schema=FX),
    )


def query(sql: str) -> MatchQuery:
    """Return `sql` over the shapes of these tables."""
    return MatchQuery(
        sql,
        TableShape("inv", LEFT, ("id",)),
        TableShape("pay", RIGHT, ("id",)),
        (TableShape("fx", FX),),
        STARTED,
    )


def numbered(table: pa.Table, start: int = 0) -> pa.Table:
    """Return a table with ROW, counting from `start`."""
    rows = pa.array(range(start, start + len(table)), pa.uint64())
    return table.append_column(pa.field(ROW, pa.uint64(), nullable=False), rows)


def _left(rng: random.Random, number: int) -> dict[str, Any]:
    cents = rng.choice([None, *_CENTS])
    amount = None if cents is None else Decimal(cents) / 100
    tags = rng.choice([[1, 2], [3], [], None])
    return {**_common(rng, number), "amount": amount, "name": f"L{number % 7}", "tags": tags}


def _right(rng: random.Random, number: int) -> dict[str, Any]:
    mills = rng.choice([None, *(10 * cents for cents in _CENTS), 2005])
    paid = None if mills is None else Decimal(mills) / 1000
    sref = rng.choice(["1", "01", "2", "3", "x", None])
    return {**_common(rng, number), "paid": paid, "name": f"R{number % 9}", "sref": sref}


def _common(rng: random.Random, number: int) -> dict[str, Any]:
    day = rng.choice([None, *range(1, 6)])
    return {
        # Ids that overlap between the sides without being the same rows.
        "id": number * 3 % 101,
        "k": rng.choice([None, *range(9)]),
        "ref": rng.choice(_REFS),
        "grp": rng.choice([None, 0, 1, 2, 3]),
        "d": None if day is None else dt.date(2026, 1 + day % 2, day),
        "at": None if day is None else dt.datetime(2026, 1, day, 12),
        "sd": None if day is None else f"2026-0{1 + day % 2}-0{day}",
        "cur": rng.choice(["EUR", "eur", "USD", None]),
        "rate": rng.choice([None, 0.0, 1.5, 2.0]),
    }
