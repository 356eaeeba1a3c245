"""Whole runs of random conditions over columns of every kind: the same evidence every way.

Unlike the queries of `test_engine_random` these are run to their reasons, which show values.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from kalla_core.engine.budget import Budget
from kalla_core.errors import InvalidSql, UserError
from kalla_core.matching.sql.query import MatchQuery, Side, TableShape
from kalla_core.matching.strategy.planned import plan_match
from tests.support.queries import STARTED_AT
from tests.support.runs import AMPLE
from tests.support.tables import Ran, Reconciliation

TIGHT = replace(AMPLE, whole_bytes=1, join_bytes=3000, run_bytes=1000)
WORDS = ["a", "A", "ab", "", " x", "Müller", "INV-001", "inv 1", "7", "2026-01-02"]
MOMENTS = [datetime(2026, 3, 28, 23, 30) + timedelta(hours=n, microseconds=n) for n in range(5)]
STRUCT = pa.struct({"a": pa.int64(), "b": pa.string()})
COLUMNS: Mapping[str, tuple[pa.DataType, Sequence[Any]]] = {
    "k": (pa.int32(), [1, 2, 3, -1]),
    "n": (pa.int64(), [0, 7, 2**40]),
    "u": (pa.uint64(), [0, 1, 2**64 - 1]),
    "s": (pa.string(), WORDS),
    "v": (pa.dictionary(pa.int32(), pa.string()), WORDS),
    "d": (pa.decimal128(12, 2), [Decimal("1.10"), Decimal("-5.55"), Decimal("99999.99")]),
    "f": (pa.float64(), [0.0, 1.1, float("inf"), -5.55]),
    "b": (pa.bool_(), [True, False]),
    "y": (pa.binary(), [b"", b"\x00\xff", b"abc"]),
    "w": (pa.date32(), [date(2026, 1, 2), date(9999, 12, 31), date(2026, 2, 3)]),
    "t": (pa.timestamp("us"), MOMENTS),
    "z": (pa.timestamp("us", "UTC"), [one.replace(tzinfo=UTC) for one in MOMENTS]),
    "c": (pa.time64("us"), [time(1, 2, 3), time(0)]),
    "i": (pa.list_(pa.int64()), [[1, 2], [], [None], [3]]),
    "x": (pa.list_(pa.string()), [["a", "b"], ["b"], [], ["ab", None]]),
    "r": (STRUCT, [{"a": 1, "b": "x"}, {"a": None, "b": "y"}]),
}
VALUES: Mapping[str, Sequence[str]] = {
    "number": ("n", "k", "(number + number)", "length(text)", "i[1]", "r['a']", "cardinality(x)",
               "coalesce(number, 0)", "extract(year from day)", "TRY_CAST(text AS BIGINT)"),
    "text": ("s", "v", "upper(text)", "(text || text)", "substr(text, 2)", "x[1]", "r['b']",
             "CAST(d AS VARCHAR)", "array_to_string(x, ',')", "encode(y, 'hex')", "norm_ref(text)"),
    "day": ("w", "CAST(t AS DATE)", "(day + 1)", "TRY_CAST(text AS DATE)"),
    "test": ("b", "(number > number)", "(text LIKE 'a%')", "NOT test", "array_has_all(x, x)",
             "array_has(i, number)", "array_has_any(i, i)", "(u < u)", "(d >= d)", "(z <= z)",
             "(c = c)", "(y <> y)", "(i = i)", "(r IS NULL)", "same(text, text)",
             "tolerance_match(d, f, 1)", "date_within(day, day, 3)", "(f < f)", "(u % 7 < u % 5)"),
}  # fmt: skip
KEYS = ("l.k = r.k", "l.s = r.v", "l.u = r.u", "l.w = r.w", "l.x = r.x AND l.k = r.k",
        "upper(l.s) = upper(r.s)", "l.t = r.t", "l.d = r.d")  # fmt: skip
FEW, MANY, AT_ONCE = 10, 600, 30


def rows(seed: int) -> pa.Table:
    rng = random.Random(seed)
    table = {"id": pa.array(range(18))}
    for name, (kind, values) in COLUMNS.items():
        picked = [rng.choice([None, *values]) for _ in range(18)]
        plain = kind.value_type if pa.types.is_dictionary(kind) else kind
        column = pa.array(picked, plain)
        table[name] = column.dictionary_encode() if plain is not kind else column
    return pa.table(table)


def value(rng: random.Random, kind: str, depth: int) -> str:
    choices = VALUES[kind] if depth else [one for one in VALUES[kind] if len(one) == 1]
    pattern = rng.choice(choices)

    def filled(found: re.Match[str]) -> str:
        word = found.group()
        if word in VALUES:
            return value(rng, word, depth - 1)
        return f"{rng.choice('lr')}.{word}"

    return re.sub(r"(?<!')\b(?:[a-z]|number|text|day|test)\b(?![('])", filled, pattern)


def statement(seed: int) -> str:
    rng = random.Random(seed)
    how = rng.choice(("JOIN", "JOIN", "LEFT JOIN", "FULL JOIN"))
    tests = [value(rng, "test", 2) for _ in range(rng.choice((1, 1, 2)))]
    on = " AND ".join([rng.choice(KEYS), *tests])
    where = f" WHERE {value(rng, 'test', 1)}" if rng.random() < 0.2 else ""
    return f"SELECT l.id, r.id AS rid FROM l {how} r ON {on}{where}"


def outcome(books: Reconciliation, share: Budget, options: Mapping[str, Any]) -> Ran | str:
    try:
        return books.run(share, **options)
    except InvalidSql as error:
        if "failed on a value" not in str(error):
            raise
        return error.code


def all_say_the_same(folder: Path, seed: int) -> bool:
    """Run a random statement every way; return whether there was one."""
    sql = statement(seed)
    tables = {side: rows(seed + len(side.word)) for side in Side}
    shapes = (TableShape(one.word[0], tables[one].schema, ("id",)) for one in Side)
    try:
        plan_match(MatchQuery(sql, *shapes, (), STARTED_AT))
    except UserError:
        return False
    books = Reconciliation(folder, sql)
    for side, table in tables.items():
        books.put(side.word, table)
    whole = outcome(books, AMPLE, {})
    for share, options in ((TIGHT, {"partitions": 2}), (AMPLE, {"buckets": 3})):
        found = outcome(books, share, options)
        if isinstance(whole, str) or isinstance(found, str):
            assert found == whole, sql
        else:
            assert found.has_the_rows_of(whole), sql
    return True


@pytest.mark.parametrize(
    "seeds",
    [
        range(FEW),
        *(
            pytest.param(range(first, first + AT_ONCE), marks=pytest.mark.full)
            for first in range(FEW, MANY, AT_ONCE)
        ),
    ],
)
def test_random_conditions_over_every_kind_of_column_say_the_same_every_way(
    tmp_path: Path, seeds: range
) -> None:
    ran = [all_say_the_same(tmp_path, seed) for seed in seeds]

    assert sum(ran) > 0.5 * len(seeds)
