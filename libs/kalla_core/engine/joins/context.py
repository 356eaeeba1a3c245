"""What all joins of a run share, and how what they find is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import pyarrow as pa
from datafusion import DataFrame, SessionContext

from kalla_core.engine.budget import Budget
from kalla_core.engine.failures import query_errors
from kalla_core.engine.joins.grouped import GroupedPiece
from kalla_core.engine.keys.pair_bound import PairBound, too_many, worst_keys
from kalla_core.engine.progress import ProgressCounter
from kalla_core.engine.reasons.said import Said
from kalla_core.engine.rows import Bools, Ints, Rows
from kalla_core.engine.tasks import Stop
from kalla_core.errors import TooManyPairs
from kalla_core.evidence.build import Reasons
from kalla_core.matching.plans.prepare import register_calls
from kalla_core.matching.plans.session import SessionLimits, new_session
from kalla_core.matching.sql.query import Side
from kalla_core.matching.sql.tables import TableData, register_tables
from kalla_core.matching.strategy.planned import Planned
from kalla_core.recipe.model import GroupForm

_PAIR_BYTES = 1024
"""Of what operators may hold, for a pair that is told in some 150: an eighth of it."""
_KNOWN_PAIR_BYTES = 48
"""Likewise, for a pair that is known in 24: half of it."""
_UNBOUND_BYTES = 1 << 30


class Sinks(Protocol):
    """Takes the rows of the three outputs; safe to use from several threads."""

    def matched(
        self, output: pa.RecordBatch, left_key: list[pa.Array], right_key: list[pa.Array]
    ) -> None:
        """Write pairs: the output of the match SQL and the columns of both primary keys."""
        ...

    def grouped(self, output: pa.RecordBatch, rows: GroupedPiece) -> None:
        """Write rows that say which match they belong to; `output` has a row for each."""
        ...

    def unmatched(self, side: Side, rows: pa.RecordBatch, reasons: Reasons) -> None:
        """Write rows that are in no pair: all columns of the source, and the reasons."""
        ...

    def ended(self, side: Side | None) -> None:
        """Hear that nothing more is written of the unmatched rows of a side, or of matches."""
        ...


class Tells(Protocol):
    """Takes what is said of unmatched rows, in pieces; safe to use from several threads."""

    def tell(
        self, side: Side, rows: Sequence[pa.RecordBatch], unmatched: Bools, said: Said
    ) -> None:
        """Take what is said of those rows of some batches that `unmatched` marks."""
        ...


class Explains(Protocol):
    """Explains the unmatched rows of both sides of some rows; see `Explainer`."""

    def prepare(self, threads: int, stop: Stop) -> None:
        """Do what is to be done once, before two threads ask."""
        ...

    def judge(self, side: Side, unmatched: Bools) -> None:
        """Find out why the rows of `side` that `unmatched` marks are so."""
        ...

    def share(self, most_pairs: int, threads: int, stop: Stop) -> None:
        """Once both sides are judged: find out at once what is to be told of rows of both.

        Args:
            most_pairs: of rows and their candidates, of which what is told may be held.
        """
        ...

    def of(self, side: Side, start: int, count: int) -> Reasons:
        """Return the reasons of `count` of the rows judged, from the one numbered `start`."""
        ...


@dataclass(frozen=True, slots=True)
class JoinContext:
    """What all joins of a run share.

    Attributes:
        extras: batches of each extra, by alias.
        limits: of the session that runs the match SQL.
        progress: of the matching stage.
        bound: of the pairs of the whole run.
        groups: how matched tells of a group that matches a group.
        tells: takes what is said of unmatched rows in place of `sinks`, which do not get them.
        alone: the run has one join only.
        stop: set once any fragment of the run fails.
    """

    planned: Planned
    extras: Mapping[str, Sequence[pa.RecordBatch]]
    limits: SessionLimits
    sinks: Sinks
    progress: ProgressCounter
    bound: PairBound
    groups: GroupForm = GroupForm.PAIRS
    tells: Tells | None = None
    alone: bool = False
    stop: Stop = field(default_factory=Stop)

    @property
    def most_told_pairs(self) -> int:
        """Of how many pairs of a row and its candidate may be held what is told of them."""
        return (self.limits.memory_bytes or _UNBOUND_BYTES) // _PAIR_BYTES

    @property
    def most_known_pairs(self) -> int:
        """Of how many pairs may be held which rows they are."""
        return (self.limits.memory_bytes or _UNBOUND_BYTES) // _KNOWN_PAIR_BYTES

    def one_thread(self, budget: Budget) -> JoinContext:
        """Return the context of joins that run side by side, with one thread each."""
        limits = replace(self.limits, threads=1, memory_bytes=budget.pool_bytes)
        return replace(self, limits=limits)


def write_pairs(
    context: JoinContext, output: pa.RecordBatch, left: Rows, right: Rows, *at: Ints
) -> tuple[Ints, Ints]:
    """Write pairs; return where their left and right rows are."""
    at_left, at_right = at
    context.sinks.matched(
        output,
        primary_keys(context.planned, output, left, at_left),
        primary_keys(context.planned, output, right, at_right),
    )
    context.progress.add(matched=len(at_left))
    return at_left, at_right


def count_pairs(context: JoinContext, pairs: int, left: Rows, right: Rows) -> None:
    """Count pairs; who goes beyond the bound is told which keys of these rows have the most."""
    try:
        context.bound.add(pairs)
    except TooManyPairs:
        worst = worst_keys(context.planned, {left.side: left.batches, right.side: right.batches})
        raise too_many(context.bound.most, context.bound.rows, worst) from None


def primary_keys(planned: Planned, output: pa.RecordBatch, rows: Rows, at: Ints) -> list[pa.Array]:
    """Return the primary keys of rows: out of the result if they are in it, else looked up."""
    places = planned.output_keys.get(rows.side)
    return rows.keys(at) if places is None else [output.column(place) for place in places]


def sessions_over(
    context: JoinContext, limits: SessionLimits, left: Rows, right: Rows
) -> tuple[SessionContext, SessionContext]:
    """Return sessions without and with row numbers.

    Nothing is run in the one without: it has no share of the memory and no folder, which would
    take longer to make than all the rest of it.
    """
    planning = replace(limits, memory_bytes=None, spill_path=None)
    if context.planned.only_joins and not limits.sort_merge:
        limits = replace(limits, fan_in=None)
    plain = _session(context, planning, left.batches, right.batches)
    return plain, _session(context, limits, left.numbered(), right.numbered())


def _session(
    context: JoinContext, limits: SessionLimits, left: TableData, right: TableData
) -> SessionContext:
    session = new_session(limits)
    register_tables(session, context.planned.query, left, right, context.extras)
    register_calls(session, context.planned.prepared)
    return session


def results(frame: DataFrame) -> Iterator[pa.RecordBatch]:
    """Yield what a query gives, as it comes.

    Raises:
        FailedOnValue: a value makes the SQL fail.
        OutOfMemory: an operator needs more than its share.
    """
    with query_errors():
        for result in frame.execute_stream():
            yield result.to_pyarrow()
