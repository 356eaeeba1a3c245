"""Random match SQL over every function there is: what is accepted runs, or a value is at fault."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from kalla_core.engine.budget import Budget
from kalla_core.engine.failures import query_errors
from kalla_core.errors import UserError
from kalla_core.matching.plans.session import new_session
from kalla_core.matching.sql.query import MatchQuery, Side, TableShape
from kalla_core.matching.strategy.planned import plan_match
from tests.support.runs import AMPLE
from tests.support.tables import Ran, Reconciliation
from tests.unit.matching.composed import Composer
from tests.unit.matching.nasty import FX, STARTED, Tables, numbered, query, tables
from tests.unit.matching.running import run
from tests.unit.matching.values import TABLE

AT_ONCE, COMPOSED, EVERY_WAY = 100, 60, 8
TIGHT = replace(AMPLE, whole_bytes=1, join_bytes=6_000, run_bytes=2_000)
ATOMS = (
    "{a}.id", "{a}.k", "{a}.ref", "{a}.cur", "{a}.name", "{a}.d", "{a}.at", "{a}.rate", "{a}.{m}",
    "{a}.grp", "{a}.sd", "1", "2", "0.5", "'a'", "'%Y'", "'day'", "NULL", "true",
    "make_array(1, 2)", "make_array('a', {a}.ref)", "named_struct('x', 1)", "map(['k'], [1])",
    "DATE '2024-01-01'", "INTERVAL '1 day'", "X'61'", "'UTC'", "'hex'",
)  # fmt: skip
OPERATORS = ("+", "-", "*", "/", "%", "||", "=", "<", "AND", "OR", "&", "~", "LIKE",
             "IS NOT DISTINCT FROM")  # fmt: skip
TYPES = ("VARCHAR", "BIGINT", "DOUBLE", "DECIMAL(20, 3)", "DATE", "TIMESTAMP", "BOOLEAN", "BYTEA")
KEYS = ("l.k = r.k", "l.ref = r.ref", "l.id = r.id", "l.k = r.k AND l.cur = r.cur",
        "upper(l.ref) = upper(r.ref)", "l.k IS NOT DISTINCT FROM r.k")  # fmt: skip


@cache
def functions() -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    session = new_session()
    families = (session.udfs(), session.udafs(), session.udwfs())
    scalar, aggregate, window = (
        tuple(sorted(name for name in family if "__" not in name)) for family in families
    )
    return scalar, aggregate, window


@cache
def given() -> Tables:
    return tables(3, 25, 30)


class Writer:
    """Writes match SQL that a seed decides."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._one = self._random.choice

    def query(self) -> str:
        return self._one(
            (
                self._joined,
                self._joined,
                self._grouped,
                self._distinct,
                self._windowed,
                self._tested,
            )
        )()

    def _from(self) -> str:
        how = self._one(("JOIN", "JOIN", "LEFT JOIN", "FULL JOIN", "RIGHT JOIN"))
        return f"FROM left_src l {how} right_src r ON {self._one(KEYS)}"

    def _joined(self) -> str:
        end = self._one(("", " ORDER BY l.id, r.id LIMIT 5", " ORDER BY 1"))
        return f"SELECT l.id, r.id AS rid, {self._value(2)} AS x {self._from()}{end}"

    def _grouped(self) -> str:
        by = self._one(("l.k", self._value(1)))
        return f"SELECT {by} AS g, {self._aggregate()} AS x {self._from()} GROUP BY {by}"

    def _distinct(self) -> str:
        return f"SELECT DISTINCT {self._value(1)} AS x, {self._value(1)} AS y {self._from()}"

    def _windowed(self) -> str:
        _, _, windows = functions()
        atoms = ", ".join(self._atom() for _ in range(self._one((0, 1, 1, 2))))
        call = self._one((self._aggregate(), f"{self._one(windows)}({atoms})"))
        rows = self._one(("", " ROWS BETWEEN 1 PRECEDING AND CURRENT ROW"))
        over = self._one(("", "PARTITION BY l.k", f"ORDER BY l.id, r.id{rows}"))
        return f"SELECT l.id, r.id AS rid, {call} OVER ({over}) AS x {self._from()}"

    def _tested(self) -> str:
        test = f"{self._value(1)} = {self._value(1)}"
        return f"SELECT l.id, r.id AS rid {self._from()} {self._one(('AND', 'WHERE'))} {test}"

    def _aggregate(self) -> str:
        _, aggregates, _ = functions()
        arguments = ", ".join(self._value(self._one((0, 1))) for _ in range(self._one((1, 1, 2))))
        distinct, order = self._one(("", "", "DISTINCT ")), self._one(("", " ORDER BY l.id, r.id"))
        return f"{self._one(aggregates)}({distinct}{arguments}{order})"

    def _atom(self) -> str:
        alias = self._one("lr")
        return self._one(ATOMS).format(a=alias, m="amount" if alias == "l" else "paid")

    def _value(self, depth: int) -> str:
        kind = self._one(("atom", "operator", "case", "cast", "call", "call", "call", "call"))
        if depth == 0 or kind == "atom":
            return self._atom()
        one, other = self._value(depth - 1), self._value(depth - 1)
        if kind == "operator":
            return f"({one} {self._one(OPERATORS)} {other})"
        if kind == "case":
            return f"CASE WHEN {self._atom()} IS NULL THEN {one} ELSE {other} END"
        if kind == "cast":
            return f"TRY_CAST({one} AS {self._one(TYPES)})"
        scalars, _, _ = functions()
        count = self._one((0, 1, 1, 1, 2, 2, 3))
        return f"{self._one(scalars)}({', '.join([one, other, self._atom()][:count])})"


def random_outcome(seed: int) -> tuple[str, str]:
    sides = {Side.LEFT: numbered(given().left), Side.RIGHT: numbered(given().right)}
    sql = Writer(seed).query()
    return sql, outcome(query(sql), sides)


def composed_outcome(seed: int) -> tuple[str, str]:
    sql = Composer(seed).query()
    shapes = (TableShape("l0", TABLE.schema, ("id",)), TableShape("r0", TABLE.schema, ("id",)))
    asked = MatchQuery(sql, *shapes, (TableShape("fx", FX),), STARTED)
    return sql, outcome(asked, dict.fromkeys(Side, numbered(TABLE)))


def outcome(asked: MatchQuery, sides: Mapping[Side, pa.Table]) -> str:
    """Say what becomes of a query; nothing but an error of the user may be raised on the way."""
    try:
        planned = plan_match(asked)
    except UserError:
        return "refused"
    try:
        with query_errors():
            run(planned, sides, given().fx)
    except UserError:
        return "failed on a value"
    return "ran"


def all_are_refused_or_run(
    seeds: Iterable[int], become: Callable[[int], tuple[str, str]]
) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    for seed in seeds:
        try:
            sql, found = become(seed)
        except BaseException as error:
            raise AssertionError(f"{type(error).__name__}: {error}\n  of seed {seed}") from error
        outcomes[found] += 1
        assert found in ("ran", "refused", "failed on a value"), sql
    return outcomes


@pytest.mark.parametrize("first", range(0, 3 * AT_ONCE, AT_ONCE))
def test_random_sql_is_refused_or_runs(first: int) -> None:
    assert all_are_refused_or_run(range(first, first + AT_ONCE), random_outcome)["ran"] > 0


@pytest.mark.full
@pytest.mark.parametrize("first", range(3 * AT_ONCE, 60 * AT_ONCE, AT_ONCE))
def test_thousands_of_random_queries_are_refused_or_run(first: int) -> None:
    assert all_are_refused_or_run(range(first, first + AT_ONCE), random_outcome)["ran"] > 0


@pytest.mark.parametrize(
    "seeds",
    [
        range(COMPOSED),
        *(
            pytest.param(range(first, first + AT_ONCE), marks=pytest.mark.full)
            for first in range(COMPOSED, 60 * AT_ONCE, AT_ONCE)
        ),
    ],
)
def test_sql_composed_of_what_plans_is_seldom_refused_and_runs(seeds: range) -> None:
    outcomes = all_are_refused_or_run(seeds, composed_outcome)

    assert outcomes["ran"] > 0.7 * len(seeds)


@pytest.mark.parametrize(
    "seed",
    [
        *range(100, 100 + EVERY_WAY),
        491,  # no plan with computed keys
        *(pytest.param(seed, marks=pytest.mark.full) for seed in range(100 + EVERY_WAY, 491)),
    ],
)
def test_composed_sql_gives_the_same_evidence_every_way(tmp_path: Path, seed: int) -> None:
    books = Reconciliation(tmp_path, Composer(seed).query(), extras=("fx",))
    for name, table in (("left", TABLE), ("right", TABLE), ("fx", given().fx)):
        books.put(name, table)

    whole = every_way(books, AMPLE)

    for share, options in ((AMPLE, {"buckets": 3}), (TIGHT, {"partitions": 2})):
        found = every_way(books, share, **options)
        if isinstance(whole, str) or isinstance(found, str):
            assert found == whole
        else:
            assert found.has_the_rows_of(whole)


def every_way(books: Reconciliation, share: Budget, **options: Any) -> Ran | str:
    try:
        return books.run(share, **options)
    except UserError as error:
        return error.code
