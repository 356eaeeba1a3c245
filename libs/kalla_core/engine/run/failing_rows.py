"""The source row on which an expression of one row fails: that of the smallest primary key.

Whichever of several rows a query happens to fail on first, all of the source is looked at here, so
that every way of running it names the same one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
from datafusion import Expr, SessionContext

from kalla_core.engine.run.failing import (
    by_columns,
    first_failing,
    guards,
    reason_of,
    that_hold,
)
from kalla_core.matching.plans.fallible import OfRow
from kalla_core.matching.plans.session import new_session
from kalla_core.matching.sql.query import Side
from kalla_core.matching.sql.tables import register_side
from kalla_core.matching.strategy.planned import Planned


@dataclass(frozen=True, slots=True)
class FailingRow:
    """A row on which an expression fails.

    Attributes:
        unwanted: the match SQL asks for something of a row alone that this one is not.
        rank: of the expression among those that were asked about.
        row: a table of one.
    """

    unwanted: bool
    rank: int
    row: pa.Table


@dataclass(frozen=True)
class FailingRows:
    """Looks for rows of one side."""

    planned: Planned
    side: Side

    def first(self, asked: Sequence[OfRow], batches: Iterable[pa.RecordBatch]) -> FailingRow | None:
        """Return the row to be named: a wanted one, of the first expression that fails on any.

        Raises:
            KallaError: as reading the batches does.
        """
        best: FailingRow | None = None
        for batch in batches:
            for unwanted, rows in self._parted(pa.Table.from_batches([batch])):
                for rank, one in enumerate(asked):
                    place = (unwanted, rank)
                    if best is not None and place > (best.unwanted, best.rank):
                        break
                    known = best if best is not None and place == (best.unwanted, rank) else None
                    row = self._smallest(one, rows, known)
                    if row is not None:
                        best = FailingRow(unwanted, rank, row)
                        break
        return best

    def reason(self, one: OfRow, part: Expr, rows: pa.Table) -> str | None:
        """Return why a part of an expression fails on some of these rows; None if it does not."""
        return reason_of(lambda: one.over(self._session(rows), part)) if len(rows) else None

    def _smallest(self, one: OfRow, rows: pa.Table, known: FailingRow | None) -> pa.Table | None:
        """Return the first row by primary key that fails, among these and one known to do so."""
        if self.reason(one, one.expr, rows) is None:
            return None
        both = rows if known is None else pa.concat_tables([known.row, rows])
        ordered = by_columns(both, self.planned.query.side(self.side).primary_key)
        found = first_failing(
            len(ordered),
            lambda low, high: self.reason(one, one.expr, ordered.slice(low, high - low)),
        )
        return None if found is None else ordered.slice(found.place, 1)

    def _parted(self, rows: pa.Table) -> Iterator[tuple[bool, pa.Table]]:
        """Yield the rows that nothing asked of a row alone keeps out, then the others."""
        held = that_hold(self.planned, guards(self.planned, self.side), {self.side: rows})
        if held is None:
            yield False, rows
            return
        yield False, rows.filter(pa.array(held))
        yield True, rows.filter(pa.array(~held))

    def _session(self, rows: pa.Table) -> SessionContext:
        session = new_session()
        register_side(session, self.planned.query, self.side, rows.to_batches())
        return session
