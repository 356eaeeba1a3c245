"""A join fragment of a cluster run: the match SQL over some buckets, whose evidence it writes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace

import numpy as np
import pyarrow as pa

from kalla_core.engine.fragments.evidence_parts import ALL, PAIRS, sinks_of, writing_parts
from kalla_core.engine.fragments.remote_run import RemoteRun, parts_of
from kalla_core.engine.joins.matching_stage import run_matching
from kalla_core.engine.joins.settled_joins import SettledJoins
from kalla_core.engine.joins.told import TellingWriter, Windows, telling
from kalla_core.engine.joins.totals import MatchingTotals
from kalla_core.engine.spool.key_spool import count_repeats
from kalla_core.engine.spool.marks import GlobalMarks
from kalla_core.engine.spool.published import publish
from kalla_core.engine.spool.requests import Inputs, counted, keys_of
from kalla_core.engine.spool.spool import SpoolFile, SpoolWriter
from kalla_core.engine.spool.spool_folder import SpoolKind
from kalla_core.engine.spool.store import Store
from kalla_core.fragments.outcome import JoinDone
from kalla_core.fragments.remote import Extra, JoinWork
from kalla_core.fragments.several import Several
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.planned import Strategy

MARKS_SCHEMA = pa.schema(
    [("part", pa.uint32()), ("flags", pa.large_binary()), ("again", pa.large_binary())]
)
"""Of marks, in bucket 0 those of the left side and in bucket 1 those of the right."""

MARKS_BUCKETS = {Side.LEFT: 0, Side.RIGHT: 1}


def run_join(run: RemoteRun, work: JoinWork, inputs: Inputs) -> JoinDone:
    """Join some buckets; write all of their evidence, or the pairs and the marks of their rows.

    In a late run: the pairs, and what is told of rows that are in none.

    Raises:
        KallaError: as `run_matching` does; nothing that was written counts then.
        FetchFailed: an input is damaged.
    """
    duplicates = duplicate_keys(work, inputs)
    extras = run.extras(work, inputs)
    decides = run.planned.strategy is Strategy.COPARTITION and not work.settle_later
    store = run.store(work, inputs, numbers=not decides)
    late = run.job.late
    names = PAIRS if work.settle_later or late else ALL
    with ExitStack() as opened:
        told = opened.enter_context(_telling(run, work)) if late else None
        parts = opened.enter_context(writing_parts(run, names, sinks_of(run)))
        context = run.join_context(parts.sinks, extras, work.inputs)
        if told is not None:
            context = replace(context, tells=told)
        held_bytes = 0
        if work.settle_later:
            joins = SettledJoins(context, store, tuple(range(store.buckets)), run.budget)
            marks = joins.no_marks()
            way = joins.match(marks)
            matched = {side: marks[side].count for side in Side}
            later = dict.fromkeys(Side, Several())  # told by those that settle the rows
            totals = MatchingTotals(_counted(store), matched, later, {way: 1})
            held_bytes = _hold(run, marks).stored_bytes
        else:
            totals = run_matching(context, store, run.keying, run.budget)
        if told is not None:
            held_bytes = _published(run, told.finish(), SpoolKind.TOLD).stored_bytes
        files = parts.finish()
    return JoinDone(
        files=files,
        joined=totals.joined,
        matched=totals.matched,
        duplicate_keys=duplicates,
        several=totals.several,
        crowds=totals.crowds,
        ways={way.value: count for way, count in totals.ways.items()},
        fetched_bytes=run.fetched_bytes,
        held_bytes=held_bytes,
        groups=parts.sinks.groups,
    )


def duplicate_keys(work: JoinWork, inputs: Inputs) -> Mapping[Side, int]:
    """Return the rows of each side that repeat a primary key, in the classes counted here."""
    mine = counted(work)
    return {
        side: count_repeats(
            (inputs[keys_of(work, one)] for one in parts_of(mine, side)), work.census_classes
        )
        for side in Side
    }


def _counted(store: Store) -> Mapping[Side, int]:
    """Return the rows of each side as the indices of its spools have them."""
    return {side: int(store.spool(side).bucket_rows(store.buckets).sum()) for side in Side}


def _hold(run: RemoteRun, marks: Mapping[Side, GlobalMarks]) -> SpoolFile:
    """Publish which rows are in a pair, for fragments that settle them."""
    writer = SpoolWriter(run.scratch / "marks", MARKS_SCHEMA, len(MARKS_BUCKETS), 1).open()
    try:
        for side, bucket in MARKS_BUCKETS.items():
            for part, flags, again in marks[side].packed():
                batch = pa.record_batch([[part], [flags], [again]], schema=MARKS_SCHEMA)
                writer.append([batch], np.full(1, bucket))
        spooled = writer.finish()
    except BaseException:
        writer.discard()
        raise
    return _published(run, spooled, SpoolKind.MARKS)


def _telling(run: RemoteRun, work: JoinWork) -> AbstractContextManager[TellingWriter]:
    parts = [(o.table, o.part, o.rows) for o in work.inputs if not isinstance(o.table, Extra)]
    return telling(run.scratch / "told", Windows(parts))


def _published(run: RemoteRun, file: SpoolFile, kind: SpoolKind) -> SpoolFile:
    run.folder.prepare(run.id)
    return publish(file, run.folder.file(run.id, kind))
