"""Run the match SQL over some rows of both sides, and write what it says.

`match` writes the pairs and marks the rows that are in one; `settle` writes the rows that no
join marked. A join fragment whose rows decide for themselves does both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from datafusion import DataFrame

from kalla_core.engine.failures import query_errors
from kalla_core.engine.joins.context import (
    Explains,
    JoinContext,
    count_pairs,
    results,
    sessions_over,
    write_pairs,
)
from kalla_core.engine.joins.grouped import in_memory
from kalla_core.engine.joins.shared import SharedRows, discarded
from kalla_core.engine.reasons.misses import FEW_ROWS, Misses
from kalla_core.engine.reasons.reasons import Explainer
from kalla_core.engine.reasons.said import said_in
from kalla_core.engine.rows import Bools, Ints, Rows
from kalla_core.engine.spool.uses import Uses
from kalla_core.engine.tasks import WORTH_THREADS, run_all
from kalla_core.errors import OutOfMemory
from kalla_core.evidence.build import Reasons
from kalla_core.matching.plans.session import SessionLimits
from kalla_core.matching.row_ids.members import Matches, matches
from kalla_core.matching.row_ids.pair_numbers import Pairs
from kalla_core.matching.row_ids.pairs import PairFrame, expand, has_pairs_within
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.planned import Shared, pair_frame, shared_rows
from kalla_core.recipe.model import GroupForm

_ROOM_FOR_TWO_LISTS_BYTES = 192 << 20
"""Of the session's memory; a run that may have 1 GiB gives it as much."""

_SHARED_PART = 4
"""Of the session's memory, for rows that are computed once; more than that goes to disk."""


class NeedsRoom(OutOfMemory):
    """An operator needs more than its share; nothing came of the join, which may be repeated."""


def match(
    context: JoinContext, left: Rows, right: Rows, misses: Misses | None = None
) -> Iterator[tuple[Ints, Ints]]:
    """Write the matches among these rows; yield the positions of their rows, batch by batch.

    Each row is yielded as often as it is in a match: of pairs both sides have as many, of groups
    they have not. Rows in memory on both sides; see `stream_pairs` for how the pairs come.

    Args:
        misses: takes the pairs that fulfil no more than the key, where these can be told as well.

    Raises:
        InvalidSql: a value makes the SQL fail (a cast, a division by zero).
        TooManyPairs: there are more than the run may have.
        OutOfMemory: an operator needs more than its share.
    """
    if context.groups is GroupForm.MEMBERS:
        with _frame(context, left, right) as frame:
            yield from _match_groups(context, frame, left, right)
        return
    if misses is not None and left.count + right.count >= FEW_ROWS:
        from kalla_core.engine.joins.by_key import match_by_key  # not for few rows

        found = match_by_key(context, left, right, misses)
        if found is not None:
            yield from found
            return
    for output, *at in pairs_of(context, left, right):
        yield write_pairs(context, output, left, right, *at)


def pairs_of(
    context: JoinContext, left: Rows, right: Rows
) -> Iterator[tuple[pa.RecordBatch, Ints, Ints]]:
    """Yield the pairs among these rows: the output of the match SQL, and where their rows are.

    Raises:
        InvalidSql, TooManyPairs, OutOfMemory: as `match` does.
    """
    with _frame(context, left, right) as frame:
        for batch, pairs in stream_pairs(frame):
            context.stop.check()
            count_pairs(context, len(pairs), left, right)
            output = rows_of(batch, pairs.result_row)
            yield output, left.positions(pairs.left), right.positions(pairs.right)


def _match_groups(
    context: JoinContext, frame: PairFrame, left: Rows, right: Rows
) -> Iterator[tuple[Ints, Ints]]:
    for batch, found in stream_matches(frame):
        context.stop.check()
        count_pairs(context, len(found), left, right)
        rows = in_memory(found, left, right)
        for piece in rows.pieces():
            output = rows_of(batch, found.result_row[piece.start : piece.end])
            context.sinks.grouped(output, piece)
            context.progress.add(matched=output.num_rows)
        yield (
            left.positions(rows.members(Side.LEFT)),
            right.positions(rows.members(Side.RIGHT)),
        )


def join(context: JoinContext, left: Rows, right: Rows) -> Mapping[Side, Uses]:
    """Match and settle rows that decide for themselves; return in how many pairs each row is.

    Raises:
        InvalidSql, OutOfMemory: as `match` does.
    """
    misses = Misses(left, right)
    uses = matched_uses(context, left, right, misses)
    if context.alone:
        context.sinks.ended(None)
    matched = {side: one.matched for side, one in uses.items()}
    explainer = Explainer(context.planned, left, right, misses=misses)
    settle(context, explainer, left, right, matched)
    return uses


def matched_uses(
    context: JoinContext, left: Rows, right: Rows, misses: Misses | None = None
) -> Mapping[Side, Uses]:
    """Write the pairs as `match` does; return in how many each row is.

    Raises:
        NeedsRoom: as `match` does, with nothing written yet.
    """
    uses = {rows.side: Uses(rows.count) for rows in (left, right)}
    try:
        for at_left, at_right in match(context, left, right, misses):
            uses[Side.LEFT].add(at_left)
            uses[Side.RIGHT].add(at_right)
    except OutOfMemory as error:
        if any(one.matched.any() for one in uses.values()):
            raise
        raise NeedsRoom(error.message, **error.details) from error
    return uses


def settle(
    context: JoinContext,
    explains: Explains,
    left: Rows,
    right: Rows,
    matched: Mapping[Side, Bools],
) -> None:
    """Write the rows that are not matched, with their reasons; both sides at the same time.

    Args:
        matched: for each row of a side, whether it is in a pair anywhere.
    """
    threads = min(context.limits.threads, 2)
    if left.count + right.count < WORTH_THREADS:
        threads = 1
    explains.prepare(threads, context.stop)
    some = [rows for rows in (left, right) if not matched[rows.side].all()]
    judge = [partial(explains.judge, rows.side, ~matched[rows.side]) for rows in some]
    run_all(judge, threads, context.stop)
    if len(some) == len(Side):
        explains.share(context.most_told_pairs, threads, context.stop)
    tasks = [partial(_write_judged, context, r, ~matched[r.side], explains) for r in some]
    run_all(tasks, threads, context.stop)


def stream_pairs(frame: PairFrame) -> Iterator[tuple[pa.RecordBatch, Pairs]]:
    """Yield batches of the user's columns with pairs that each of their rows stands for.

    A batch may come again with more of its pairs.

    Raises:
        FailedOnValue: a value makes the SQL fail.
    """
    for batch, output in _results(frame):
        for pairs in expand(batch, frame):
            if len(pairs):
                yield output, pairs


def stream_matches(frame: PairFrame) -> Iterator[tuple[pa.RecordBatch, Matches]]:
    """Yield batches of the user's columns with matches that their rows stand for.

    A batch may come again with more of its matches, each of which comes whole.

    Raises:
        FailedOnValue: as `stream_pairs` does.
    """
    for batch, output in _results(frame):
        for found in matches(batch, frame):
            if len(found):
                yield output, found


def _results(frame: PairFrame) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Yield batches with the lists of row numbers, and without: rows of these are repeated."""
    for batch in results(frame.frame):
        yield batch, batch.select(range(frame.columns))


def rows_of(output: pa.RecordBatch, rows: Ints) -> pa.RecordBatch:
    """Return these rows of a result."""
    if np.array_equal(rows, np.arange(output.num_rows)):
        return output
    return output.take(pa.array(rows))


@contextmanager
def _frame(context: JoinContext, left: Rows, right: Rows) -> Iterator[PairFrame]:
    """Give the match SQL ready to run; what is computed once of it goes with the context."""
    planned, limits = context.planned, context.limits
    spills = limits.memory_bytes is not None and limits.spill_path is not None
    most = limits.memory_bytes // _SHARED_PART if spills and limits.memory_bytes else None
    folder = Path(limits.spill_path) if limits.spill_path is not None else None

    def rows(one: Shared) -> DataFrame:
        sessions = sessions_over(context, shared.beside(limits), left, right)
        shared.register(*sessions)
        return shared_rows(planned, one, *sessions)

    with discarded(SharedRows(most, folder)) as shared:
        shared.compute(planned, rows, context.stop)
        frame = _frame_within(context, shared.beside(limits), left, right, shared)
        if _needs_one_thread(frame, limits):
            # Two threads fold the pairs into lists of their own first, and hold those beside the
            # whole.
            fewer = replace(shared.beside(limits), threads=1)
            frame = _frame_within(context, fewer, left, right, shared)
        yield frame


def _needs_one_thread(frame: PairFrame, limits: SessionLimits) -> bool:
    if limits.memory_bytes is None or limits.memory_bytes > _ROOM_FOR_TWO_LISTS_BYTES:
        return False
    return limits.threads > 1 and any(map(has_pairs_within, frame.origins))


def _frame_within(
    context: JoinContext, limits: SessionLimits, left: Rows, right: Rows, shared: SharedRows
) -> PairFrame:
    sessions = sessions_over(context, limits, left, right)
    shared.register(*sessions)
    with query_errors():
        return pair_frame(context.planned, *sessions, shared=True)


def write_unmatched(context: JoinContext, rows: Rows, unmatched: Bools, explains: Explains) -> None:
    """Write the rows that `unmatched` marks, with their reasons."""
    if unmatched.any():
        explains.judge(rows.side, unmatched)
        _write_judged(context, rows, unmatched, explains)


def _write_judged(context: JoinContext, rows: Rows, unmatched: Bools, explains: Explains) -> None:
    count = int(unmatched.sum())
    if context.tells is not None:
        said = (
            explains.said(rows.side, 0, count)
            if isinstance(explains, Explainer)
            else said_in(explains.of(rows.side, 0, count))
        )
        context.tells.tell(rows.side, rows.batches, unmatched, said)
        return
    reasons = explains.of(rows.side, 0, count)
    written = 0
    for kept in rows.marked(unmatched):
        context.sinks.unmatched(rows.side, kept, window(reasons, written, kept.num_rows))
        written += kept.num_rows
    if context.alone:
        context.sinks.ended(rows.side)


def window(reasons: Reasons, start: int, count: int) -> Reasons:
    """Return the reasons of `count` rows from the one numbered `start`."""
    return Reasons(
        reasons.rejection_reason.slice(start, count),
        reasons.reason_detail.slice(start, count),
        reasons.closest_candidate.slice(start, count),
        tuple(one.window(start, count) for one in reasons.attempts),
    )
