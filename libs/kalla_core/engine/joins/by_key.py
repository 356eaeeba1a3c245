"""Matches of a plain match SQL and the pairs that fulfil no more than its key, found at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pyarrow as pa

from kalla_core.engine.failures import query_errors
from kalla_core.engine.joins.context import (
    JoinContext,
    count_pairs,
    results,
    sessions_over,
    write_pairs,
)
from kalla_core.engine.joins.known_pairs import KeyedRows, made_of
from kalla_core.engine.joins.sorted_keys import pairs_of_one_key
from kalla_core.engine.reasons.misses import Misses
from kalla_core.engine.rows import Ints, Rows
from kalla_core.engine.tasks import run_all, run_each
from kalla_core.errors import EngineFailure
from kalla_core.matching.strategy.key_joins import OfPairs, key_join
from kalla_core.matching.strategy.planned import sessions_without_rows


def match_by_key(
    context: JoinContext, left: Rows, right: Rows, misses: Misses
) -> Iterator[tuple[Ints, Ints]] | None:
    """Do what `match` does, and note the pairs that fulfil no more than the key.

    None where the match SQL is more than a join on its key. Pairs of keys that few rows have are
    all known before anything is made of them.
    """
    planned = context.planned
    with query_errors():
        joined = key_join(planned, *sessions_without_rows(planned.query, planned.prepared))
    return None if joined is None else _matches(context, joined.of_pairs, left, right, misses)


def _matches(
    context: JoinContext, of_pairs: OfPairs | None, left: Rows, right: Rows, misses: Misses
) -> Iterator[tuple[Ints, Ints]]:
    misses.begin()
    threads, stop = context.limits.threads, context.stop
    if of_pairs is not None:
        keying = [partial(KeyedRows.of, context.planned, of_pairs, rows) for rows in (left, right)]
        sides = run_all(keying, threads, stop)
        misses.keys.update({one.rows.side: one.table() for one in sides if one.columns is None})
        most = context.most_known_pairs
        known = pairs_of_one_key(sides[0].keys, sides[1].keys, most, threads, stop)
        if known is not None:
            tasks = [partial(_match_known, context, of_pairs, sides, misses, at) for at in known]
            yield from run_each(tasks, threads, stop)
            return
    for output, *at in _pairs_by_key(context, left, right, misses):
        yield write_pairs(context, output, left, right, *at)


def _match_known(
    context: JoinContext,
    of_pairs: OfPairs,
    sides: Sequence[KeyedRows],
    misses: Misses,
    at: tuple[Ints, Ints],
) -> tuple[Ints, Ints]:
    context.stop.check()
    left, right = sides
    made = made_of(context.planned, of_pairs, left, right, at)
    misses.add(*made.missed)
    count_pairs(context, made.output.num_rows, left.rows, right.rows)
    return write_pairs(context, made.output, left.rows, right.rows, *made.at)


def _pairs_by_key(
    context: JoinContext, left: Rows, right: Rows, misses: Misses
) -> Iterator[tuple[pa.RecordBatch, Ints, Ints]]:
    with query_errors():
        joined = key_join(context.planned, *sessions_over(context, context.limits, left, right))
    if joined is None:
        raise EngineFailure("The plan that runs is no join on its key, as the same plan was.")
    for batch in results(joined.frame):
        context.stop.check()
        *_, at_left, at_right, holds = batch.columns
        output = batch.select(range(joined.columns))
        places = left.positions(at_left.to_numpy()), right.positions(at_right.to_numpy())
        if holds.true_count < len(holds):
            held = holds.to_numpy(zero_copy_only=False)
            misses.add(*(at[~held] for at in places))
            kept = np.flatnonzero(held)
            output, places = output.take(pa.array(kept)), (places[0][kept], places[1][kept])
        if output.num_rows:
            count_pairs(context, output.num_rows, left, right)
            yield output, *places
