"""Which conditions hold for pairs of rows, and what those that limit a score come to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from datafusion import SessionContext

from kalla_core.engine.failures import query_errors
from kalla_core.engine.rows import Bools, Ints, one_chunk
from kalla_core.errors import InvalidSql
from kalla_core.matching.plans.session import new_session
from kalla_core.matching.sql.query import ROW, Side
from kalla_core.matching.sql.tables import register_side
from kalla_core.matching.strategy.planned import Planned, Rule, condition_frame, score_frame


@dataclass(frozen=True, slots=True)
class Held:
    """What some pairs come to.

    Attributes:
        conditions: for each condition, which pairs it holds for; null is no.
        scores: of the conditions asked about, by their numbers; none where computing it fails, for
            rows of which the match SQL may never have asked.
    """

    conditions: Sequence[Bools]
    scores: Mapping[int, pa.Array]

    def how_many(self, count: int) -> Ints:
        """Return how many conditions hold for each of the pairs, of which there are `count`."""
        none: Ints = np.zeros(count, dtype=np.int64)
        return sum((holds.astype(np.int64) for holds in self.conditions), none)


@dataclass(frozen=True, slots=True)
class PairsOfRows:
    """The rows of pairs, a left and a right one in each place, with the columns conditions read."""

    planned: Planned
    rule: Rule
    left: pa.Table
    right: pa.Table

    def held(self, scored: Collection[int] = ()) -> Held:
        """Tell which conditions hold; and the scores of some, by their numbers.

        A query is made ready in more time than it takes for a thousand pairs, so that all is asked
        in one, and apart only if that fails.
        """
        if not self.rule.checked:
            return Held((), {})
        try:
            return self._together(scored)
        except InvalidSql:
            return self._apart(scored)

    def _session(self) -> SessionContext:
        session = new_session()
        register_side(session, self.planned.query, Side.LEFT, numbered(self.left))
        register_side(session, self.planned.query, Side.RIGHT, numbered(self.right))
        return session

    def _together(self, scored: Collection[int]) -> Held:
        session = self._session()
        with query_errors():
            frame = condition_frame(self.planned, self.rule, session, scored)
            table = in_row_order(frame.to_arrow_table())
        columns = [table.column(f"c{n}") for n in range(len(self.rule.checked))]
        scores = {n: one_chunk(table.column(f"s{n}")) for n in scored}
        return Held([_bools(column) for column in columns], scores)

    def _apart(self, scored: Collection[int]) -> Held:
        scores: dict[int, pa.Array] = {}
        for number in scored:
            with suppress(InvalidSql):
                scores[number] = self._score(number)
        try:
            conditions = self._together(()).conditions
        except InvalidSql:
            conditions = self._one_by_one()
        return Held(conditions, scores)

    def _score(self, number: int) -> pa.Array:
        session = self._session()
        with query_errors():
            table = score_frame(self.planned, self.rule, number, session).to_arrow_table()
        return one_chunk(in_row_order(table).column("value"))

    def _one_by_one(self) -> Sequence[Bools]:
        """Tell which conditions hold where one fails, as `a / b < 2` does beside `b <> 0`.

        Such a condition is only looked at where all others hold; where it fails even so, nothing
        is held against it.
        """
        held: list[Bools] = []
        fails: dict[int, Rule] = {}
        for number, checked in enumerate(self.rule.checked):
            one = replace(self.rule, checked=(checked,))
            try:
                held += replace(self, rule=one)._together(()).conditions
            except InvalidSql:
                held.append(np.ones(len(self.left), dtype=np.bool_))
                fails[number] = one
        shown: Bools = np.logical_and.reduce(held)
        for number, one in fails.items():
            left, right = (table.filter(pa.array(shown)) for table in (self.left, self.right))
            some = PairsOfRows(self.planned, one, left, right)
            with suppress(InvalidSql):
                (held[number][shown],) = some._together(()).conditions
        return held


def _bools(column: pa.ChunkedArray) -> Bools:
    flags: Bools = np.asarray(one_chunk(column).fill_null(False))
    return flags


def numbered(table: pa.Table) -> list[pa.RecordBatch]:
    """Return rows with their places as ROW."""
    rows = pa.array(np.arange(len(table), dtype=np.uint64))
    row = pa.field(ROW, pa.uint64(), nullable=False)
    batches: list[pa.RecordBatch] = table.append_column(row, rows).to_batches()
    return batches


def in_row_order(table: pa.Table) -> pa.Table:
    """Return what was computed of numbered rows in the order of these, in one chunk."""
    rows = table.column(ROW).to_numpy()
    if np.array_equal(rows, np.arange(len(rows), dtype=np.uint64)):
        return table.combine_chunks()
    return table.take(pa.array(np.argsort(rows, kind="stable"))).combine_chunks()
