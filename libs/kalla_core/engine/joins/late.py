"""Runs that read wide columns late: once what the match SQL needs, again what stays unmatched.

Most columns of most rows end up nowhere: a matched row leaves its keys and what the SQL selects.
So where all rows would not fit into memory but the columns that the SQL mentions do, or where
reading costs by column (Parquet, tables of Postgres), only those are read at first, and
everything is joined in one piece; see `kalla_core.engine.joins.numbered` for where not even they
fit. Then the parts that have unmatched rows are read a second time with all columns; what else is
in them is not looked at. A part that is not what it was the first time fails the run, as does a
source that changed in between.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa

from kalla_core.engine.joins.context import JoinContext
from kalla_core.engine.joins.join import matched_uses, window
from kalla_core.engine.joins.totals import MatchingTotals, Way
from kalla_core.engine.reasons.crowds import crowds_of
from kalla_core.engine.reasons.misses import Misses
from kalla_core.engine.reasons.reasons import Explainer
from kalla_core.engine.rows import Bools, Ints, Rows
from kalla_core.engine.spool.scan import OpenSource
from kalla_core.engine.spool.store import Store
from kalla_core.engine.spool.uses import Uses, several
from kalla_core.engine.tasks import run_all
from kalla_core.errors import KallaError
from kalla_core.fragments.model import ScanFragment
from kalla_core.matching.sql.mentions import mentioned_columns
from kalla_core.matching.sql.query import MatchQuery, Side, TableShape
from kalla_core.matching.strategy.planned import Planned, plan_match
from kalla_core.sources.marked import marked
from kalla_core.sources.protocol import DEFAULT_BATCH_ROWS, Part, PicksRows

_VARIABLE_WIDTH_BYTES = 24
_WORTH_TWO_READINGS_BYTES = 64 << 20
"""Of rows that would fit into memory; for fewer it is not worth opening files again."""


def narrowed(query: MatchQuery) -> MatchQuery:
    """Return the query over tables that have only the columns it can read."""
    left, right = (_narrowed(query.sql, query.side(side)) for side in Side)
    return MatchQuery(query.sql, left, right, query.extras, query.started_at)


def narrow_first(
    planned: Planned, sources: Mapping[Side, OpenSource], most_bytes: int
) -> Planned | None:
    """Return the match SQL over narrow tables where those are to be read first.

    That is if they, and only they, fit into memory; and if all would, but it costs less.
    """
    everything, expected = _sizes(planned.query, sources)
    if expected > most_bytes:
        return None
    if everything <= most_bytes and not costs_less(planned.query, sources):
        return None
    return narrow_plan(planned)


def costs_less(query: MatchQuery, sources: Mapping[Side, OpenSource]) -> bool:
    """Whether it costs less to read narrow tables first, and unmatched rows once more."""
    everything, expected = _sizes(query, sources)
    return _WORTH_TWO_READINGS_BYTES <= everything >= 2 * expected and all(
        map(_is_read_by_column, sources.values())
    )


def narrow_plan(wide: Planned) -> Planned | None:
    """Return the plan over narrow tables, or None if it is not that over the wide ones.

    A column can be meant without being named: `FROM left_src AS a(x, y, z)` gives new names to all
    columns there are, by position.
    """
    return same_over(narrowed(wide.query), wide)


def same_over(narrow: MatchQuery, wide: Planned) -> Planned | None:
    """Return the plan over other tables, or None if it is not that over the wide ones."""
    try:
        planned = plan_match(narrow)
    except KallaError:
        return None
    same = planned.output == wide.output and planned.identification is wide.identification
    return planned if same else None


def width_bytes(schema: pa.Schema) -> int:
    """Return about how many bytes a row takes; text counts for a little of everything."""
    return sum(_width(field.type) for field in schema)


@dataclass(frozen=True)
class LateJoin:
    """Joins a store of narrow rows in one piece and delivers the unmatched ones whole.

    Attributes:
        fragments: the parts that filled the store.
    """

    context: JoinContext
    store: Store
    sources: Mapping[Side, OpenSource]
    fragments: Sequence[ScanFragment]

    def run(self) -> MatchingTotals:
        """Write all pairs, then all unmatched rows."""
        threads, stop = self.context.limits.threads, self.context.stop
        left, right = self.store.held_rows(threads, stop)
        misses = Misses(left, right)
        uses = matched_uses(self.context, left, right, misses)
        self.context.sinks.ended(None)
        matched = {side: one.matched for side, one in uses.items()}
        explainer = Explainer(self.context.planned, left, right, threads, misses=misses)
        explainer.prepare(threads, stop)
        run_all([partial(explainer.judge, s, ~matched[s]) for s in Side], threads, stop)
        explainer.share(self.context.most_told_pairs, threads, stop)
        parts = _StillToCome(self.fragments)
        tasks: list[Callable[[], MatchingTotals | None]] = [
            partial(self._deliver, fragment, rows, matched[rows.side], explainer, parts)
            for fragment in self.fragments
            for rows in (left, right)
            if rows.side is fragment.side
        ]
        tasks.insert(1, partial(self._totals, left, right, uses))  # not alone, at the end
        (totals,) = [found for found in run_all(tasks, threads, stop) if found is not None]
        return totals

    def _totals(self, left: Rows, right: Rows, uses: Mapping[Side, Uses]) -> MatchingTotals:
        again = [(rows, uses[rows.side].again) for rows in (left, right)]
        return MatchingTotals(
            {Side.LEFT: left.count, Side.RIGHT: right.count},
            {side: int(np.count_nonzero(one.matched)) for side, one in uses.items()},
            {rows.side: several(rows, marks) for rows, marks in again},
            {Way.LATE: 1},
            crowds_of(self.context.planned, again),
        )

    def _deliver(
        self,
        fragment: ScanFragment,
        rows: Rows,
        matched: Bools,
        explainer: Explainer,
        parts: _StillToCome,
    ) -> None:
        side, index = fragment.side, fragment.part.index
        counts = self.store.part_rows(side)
        start = sum(counts[:index])
        unmatched = ~matched[start : start + counts[index]]
        count = int(np.count_nonzero(unmatched))
        self.context.progress.add(rows=counts[index], fragments=1)
        if count > 0:
            before = start - int(np.count_nonzero(matched[:start]))
            reasons = explainer.of(side, before, count)
            written = 0
            for kept in _whole(self.sources[side], fragment.part, rows, start, unmatched):
                self.context.stop.check()
                self.context.sinks.unmatched(side, kept, window(reasons, written, kept.num_rows))
                written += kept.num_rows
        if parts.was_the_last(side):
            self.context.sinks.ended(side)


class _StillToCome:
    """Counts down the parts of each side; from any thread."""

    def __init__(self, fragments: Sequence[ScanFragment]) -> None:
        self._parts = Counter(fragment.side for fragment in fragments)
        self._lock = threading.Lock()

    def was_the_last(self, side: Side) -> bool:
        """Note that a part of a side is delivered; True if it was the last of these."""
        with self._lock:
            self._parts[side] -= 1
            return self._parts[side] == 0


def _whole(
    source: OpenSource, part: Part, rows: Rows, start: int, wanted: Bools
) -> Iterator[pa.RecordBatch]:
    """Yield some rows of a part whole: what is at hand of them, and the rest from the source.

    Args:
        rows: of the whole side, narrow.
        start: how many of them are of parts before.
        wanted: for each row of the part, whether it is.
    """
    names = source.pinned.schema.names
    further = [name for name in names if name not in rows.at_hand]
    places = np.flatnonzero(wanted) + start
    if not further:
        for low in range(0, len(places), DEFAULT_BATCH_ROWS):
            yield _put_together(names, {}, rows, places[low : low + DEFAULT_BATCH_ROWS])
        return
    done = 0
    for rest in picked(source, part, further, wanted):
        found = dict(zip(further, rest.columns, strict=True))
        yield _put_together(names, found, rows, places[done : done + rest.num_rows])
        done += rest.num_rows


def _put_together(
    names: Sequence[str], found: Mapping[str, pa.Array], rows: Rows, places: Ints
) -> pa.RecordBatch:
    indices = pa.array(places)
    columns = [found[name] if name in found else rows.values(name, indices) for name in names]
    return pa.RecordBatch.from_arrays(columns, names=names)


def picked(
    source: OpenSource, part: Part, columns: Collection[str], wanted: Bools
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a part that `wanted` marks, with some columns, in their order.

    Raises:
        SourceChanged: the part has another number of rows.
        KallaError: as the connector does.
    """
    connector = source.connector
    if isinstance(connector, PicksRows):
        return connector.pick(source.pinned, part, wanted, columns)
    return marked(connector.read(source.pinned, part, columns=columns), wanted)


def expected_bytes(wide: MatchQuery, read: MatchQuery, sources: Mapping[Side, OpenSource]) -> int:
    """Return about how many bytes both tables have of which some columns are read.

    Args:
        wide: the query over all columns.
        read: the query over those that are read.
    """
    return sum(
        (source.pinned.statistics.arrow_bytes or 0)
        * width_bytes(read.side(side).schema)
        // width_bytes(wide.side(side).schema)
        for side, source in sources.items()
    )


def _sizes(query: MatchQuery, sources: Mapping[Side, OpenSource]) -> tuple[int, int]:
    """Return about how many bytes both tables have, and with narrow rows."""
    return expected_bytes(query, query, sources), expected_bytes(query, narrowed(query), sources)


def _is_read_by_column(source: OpenSource) -> bool:
    connector = source.connector
    return isinstance(connector, PicksRows) and connector.is_read_by_column(source.pinned)


def _narrowed(sql: str, shape: TableShape) -> TableShape:
    needed = mentioned_columns(sql, shape)
    schema = pa.schema([field for field in shape.schema if field.name in needed])
    return TableShape(shape.alias, schema, shape.primary_key, shape.texts)


def _width(kind: pa.DataType) -> int:
    try:
        return max(int(kind.bit_width) // 8, 1)
    except ValueError:
        return _VARIABLE_WIDTH_BYTES
