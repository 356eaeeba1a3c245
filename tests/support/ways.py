"""Every way in which rows come to be joined, and what leads to it.

The tables have a key that many rows share, keys that few do, keys of one side only, and nulls.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from kalla_core.engine.budget import Budget
from kalla_core.engine.joins.totals import Way
from kalla_core.matching.sql.query import Side
from tests.support.runs import AMPLE
from tests.support.tables import Reconciliation

KEYS = 40
ROWS = 400
KEY = "FROM l {join} r ON l.k = r.k"
WITHIN = "tolerance_match(l.amount, r.paid, 0.50)"
INNER = f"SELECT l.id, r.id rid, l.amount, r.note {KEY.format(join='JOIN')} AND {WITHIN}"
LEFT_JOIN = f"SELECT l.id, r.id rid, r.paid {KEY.format(join='LEFT JOIN')} AND {WITHIN}"
RIGHT_JOIN = f"SELECT l.id, r.id rid, r.paid {KEY.format(join='RIGHT JOIN')} AND {WITHIN}"
FULL_JOIN = f"SELECT l.id, r.id rid, r.paid {KEY.format(join='FULL JOIN')} AND {WITHIN}"
NO_KEY = f"SELECT l.id, r.id rid FROM l JOIN r ON {WITHIN} AND l.d < r.d"
ONE_PIECE = (
    "SELECT id, rid FROM (SELECT l.id, r.id rid, row_number() OVER (PARTITION BY l.d ORDER BY l.id,"
    f" r.id) n {KEY.format(join='JOIN')} AND {WITHIN}) t WHERE n <= 20"
)
SPREAD_ROWS, HOT_LEFT, HOT_RIGHT = (0, 0), (300, 0), (0, 300)


def budget(whole: int, join: int) -> Budget:
    return replace(AMPLE, whole_bytes=whole, join_bytes=join, run_bytes=4000)


@dataclass(frozen=True)
class Case:
    """A way, what leads to it, and which kinds of join are then seen.

    Attributes:
        hot: rows of the left and of the right side that have one key.
        ways: the kinds, and how many there are of it, where that is certain.
    """

    sql: str
    hot: tuple[int, int]
    share: Budget
    options: Mapping[str, Any]
    ways: Mapping[Way, int | None]


CASES: dict[str, Case] = {
    "narrow rows at first": Case(INNER, SPREAD_ROWS, budget(45_000, 30_000), {}, {Way.LATE: 1}),
    "buckets side by side": Case(
        INNER, SPREAD_ROWS, budget(200_000, 60_000), {"buckets": 8}, {Way.SIDE_BY_SIDE: None}
    ),
    "from memory to the spool while scanning": Case(
        INNER, SPREAD_ROWS, budget(30_000, 30_000), {}, {Way.SIDE_BY_SIDE: None}
    ),
    "a bucket alone": Case(
        INNER,
        HOT_LEFT,
        budget(80_000, 25_000),
        {"buckets": 8},
        {Way.SIDE_BY_SIDE: None, Way.ALONE: 1},
    ),
    "a bucket divided": Case(
        INNER,
        SPREAD_ROWS,
        budget(30_000, 20_000),
        {"buckets": 1},
        {Way.SIDE_BY_SIDE: None, Way.DIVIDED: 1},
    ),
    "one key of the left in pieces": Case(
        INNER,
        HOT_LEFT,
        budget(12_000, 5_000),
        {"buckets": 4},
        {Way.SIDE_BY_SIDE: None, Way.DIVIDED: None, Way.AGAINST_WHOLE: 1},
    ),
    "one key of the right in pieces": Case(
        INNER,
        HOT_RIGHT,
        budget(12_000, 5_000),
        {"buckets": 4},
        {Way.SIDE_BY_SIDE: None, Way.DIVIDED: None, Way.AGAINST_WHOLE: 1},
    ),
    "one key of a preserved left in pieces": Case(
        LEFT_JOIN,
        HOT_LEFT,
        budget(12_000, 5_000),
        {"buckets": 4},
        {Way.SIDE_BY_SIDE: None, Way.DIVIDED: None, Way.AGAINST_WHOLE: 1},
    ),
    "one key of a preserved right in pieces": Case(
        RIGHT_JOIN,
        HOT_RIGHT,
        budget(12_000, 5_000),
        {"buckets": 4},
        {Way.SIDE_BY_SIDE: None, Way.DIVIDED: None, Way.AGAINST_WHOLE: 1},
    ),
    "one key beside a preserved left from disk": Case(
        LEFT_JOIN,
        HOT_RIGHT,
        budget(12_000, 5_000),
        {"buckets": 4},
        {Way.SIDE_BY_SIDE: None, Way.DIVIDED: None, Way.FROM_DISK: 1},
    ),
    "one key of a full join from disk": Case(
        FULL_JOIN,
        HOT_LEFT,
        budget(12_000, 5_000),
        {"buckets": 4},
        {Way.SIDE_BY_SIDE: None, Way.DIVIDED: None, Way.FROM_DISK: 1},
    ),
    "no key against a whole side": Case(
        NO_KEY, SPREAD_ROWS, budget(1, 60_000), {"buckets": 8}, {Way.AGAINST_WHOLE: 1}
    ),
    "no key from disk": Case(
        NO_KEY, SPREAD_ROWS, budget(1, 2_000), {"buckets": 8}, {Way.FROM_DISK: 1}
    ),
    "one piece that fits after all": Case(
        ONE_PIECE, SPREAD_ROWS, AMPLE, {"buckets": 8}, {Way.WHOLE: 1}
    ),
    "one piece from disk": Case(
        ONE_PIECE, SPREAD_ROWS, budget(30_000, 20_000), {"buckets": 8}, {Way.FROM_DISK: 1}
    ),
    "one piece from disk with one key": Case(
        ONE_PIECE, HOT_LEFT, budget(30_000, 5_000), {"buckets": 8}, {Way.FROM_DISK: 1}
    ),
}


def rows(side: Side, hot: int, seed: int) -> pa.Table:
    """Return rows of one side; `hot` of them have the key 7."""
    rng = random.Random(seed)
    keys = [7] * hot + [rng.choice([None, *range(KEYS)]) for _ in range(ROWS - hot)]
    if side is Side.RIGHT:
        keys = [None if k is None else k + (5 if k != 7 else 0) for k in keys]
    rng.shuffle(keys)
    amounts = [rng.choice([None, Decimal(rng.randrange(2000)) / 100]) for _ in keys]
    days = [date(2026, 1, 1) + timedelta(rng.randrange(9)) for _ in keys]
    own = {Side.LEFT: ("amount", "memo"), Side.RIGHT: ("paid", "note")}[side]
    return pa.table(
        {
            "id": pa.array(range(ROWS), pa.int64()),
            "k": pa.array(keys, pa.int32() if side is Side.LEFT else pa.int64()),
            own[0]: pa.array(amounts, pa.decimal128(10, 2)),
            "d": pa.array(days, pa.date32()),
            own[1]: pa.array([f"{side.word} row {n}, wide and of no use" for n in range(ROWS)]),
        }
    )


def given(folder: Path, sql: str, hot: tuple[int, int] = (0, 0)) -> Reconciliation:
    books = Reconciliation(folder, sql)
    for side, count in zip(Side, hot, strict=True):
        books.put(side.word, rows(side, count, seed=count + len(side)))
    return books
