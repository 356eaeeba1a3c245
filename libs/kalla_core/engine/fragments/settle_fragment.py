"""A settle fragment of a cluster run: unmatched rows of some buckets, given all joins' marks."""

from __future__ import annotations

from kalla_core.engine.fragments.evidence_parts import UNMATCHED_ROWS, sinks_of, writing_parts
from kalla_core.engine.fragments.join_fragment import MARKS_BUCKETS, MARKS_SCHEMA
from kalla_core.engine.fragments.remote_run import RemoteRun
from kalla_core.engine.joins.settled_joins import Marks, SettledJoins
from kalla_core.engine.spool.requests import Inputs, marks_of
from kalla_core.engine.spool.spool import Spool
from kalla_core.fragments.outcome import SettleDone
from kalla_core.fragments.remote import SettleWork
from kalla_core.matching.sql.query import Side


def run_settle(run: RemoteRun, work: SettleWork, inputs: Inputs) -> SettleDone:
    """Write the rows that no join marked, with their reasons.

    Raises:
        KallaError: what went wrong; nothing that was written counts then.
        FetchFailed: an input is damaged.
    """
    store = run.store(work, inputs, numbers=True)
    with writing_parts(run, UNMATCHED_ROWS, sinks_of(run)) as parts:
        context = run.join_context(parts.sinks, {}, work.inputs)
        joins = SettledJoins(context, store, work.buckets, run.budget)
        marks = joins.no_marks()
        _gather(marks, work, inputs)
        totals = joins.settle(marks)
        files = parts.finish()
    return SettleDone(
        files,
        totals.joined,
        totals.matched,
        run.fetched_bytes,
        several=totals.several,
        crowds=totals.crowds,
    )


def _gather(marks: Marks, work: SettleWork, inputs: Inputs) -> None:
    for place in work.marks:
        spool = Spool(MARKS_SCHEMA, (inputs[marks_of(place)],))
        for side in Side:
            for batch in spool.read([MARKS_BUCKETS[side]]):
                for part, packed, again in zip(*batch.to_pydict().values(), strict=True):
                    marks[side].merge(part, packed, again)
