"""Reasons by rules whose keys lie across the buckets of a store.

Branches of a UNION may join by different keys, so that no way to cut the rows brings together all
that could have matched a row. So each key has its turn: what the match SQL reads of both sides is
cut anew by it, rows without a mark are judged bucket by bucket, and what is said of them goes
back to the buckets of the store. There each row is told by the rule by which it came nearest.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from kalla_core.engine.budget import Budget
from kalla_core.engine.joins.context import JoinContext
from kalla_core.engine.joins.join import window
from kalla_core.engine.keys.keying import Keying
from kalla_core.engine.reasons.reasons import Explainer
from kalla_core.engine.reasons.verdicts import Told
from kalla_core.engine.rows import Bools, IdArray, Ints, Rows, one_chunk, without_ids
from kalla_core.engine.spool.marks import GlobalMarks, dense, part_starts
from kalla_core.engine.spool.pieces import Narrow, pieces_of
from kalla_core.engine.spool.spool import Spool, SpoolFile, SpoolWriter
from kalla_core.engine.spool.store import Store
from kalla_core.engine.tasks import Stop, run_all
from kalla_core.errors import EngineFailure
from kalla_core.evidence.build import Reasons
from kalla_core.fragments.cut import bucket_count, coalesce
from kalla_core.matching.sql.query import ROW, Side
from kalla_core.matching.strategy.planned import Planned, Rule

_TOLD = ("rejection_reason", "reason_detail", "closest_candidate")
_SAID = pa.schema(
    [
        pa.field(ROW, pa.uint64(), nullable=False),
        pa.field("short", pa.int64(), nullable=False),
        *(pa.field(name, pa.string()) for name in _TOLD),
    ]
)
_AT_ONCE_ROWS = 65_536


@dataclass(frozen=True)
class Said:
    """What was said of rows without a mark, by the buckets of the store they come from."""

    spools: Mapping[Side, Spool]

    def of(self, side: Side, buckets: Sequence[int], ids: IdArray) -> Reasons:
        """Return the reasons of rows of some buckets, by the rules by which they came nearest.

        Args:
            ids: the rows' numbers in the whole source.
        """
        return self.told(side, buckets, ids).reasons

    def told(self, side: Side, buckets: Sequence[int], ids: IdArray) -> Told:
        """Return the same, with how near the rows came to a match."""
        wanted = np.sort(ids)
        short = np.full(len(wanted), np.iinfo(np.int64).max)
        for batch in self.spools[side].read(buckets):
            at, known = _places(batch, wanted)
            np.minimum.at(short, at[known], _short(batch)[known])
        nearest = pa.Table.from_batches(
            [_nearest(batch, wanted, short) for batch in self.spools[side].read(buckets)], _SAID
        )
        if len(nearest) != len(wanted):
            raise EngineFailure("Rows that are in no pair were not judged by any rule.")
        order = np.argsort(nearest.column(ROW).to_numpy())
        at = pa.array(order[np.searchsorted(wanted, ids)])
        told = nearest.take(at)
        reasons = Reasons(*(one_chunk(told.column(name)) for name in _TOLD))
        return Told(reasons, told.column("short").to_numpy())


class Recalled:
    """Explains rows of some buckets by what was said of them; to be asked like an `Explainer`."""

    def __init__(self, said: Said, buckets: Sequence[int], left: Rows, right: Rows) -> None:
        self._said = said
        self._buckets = buckets
        self._rows = {Side.LEFT: left, Side.RIGHT: right}
        self._reasons: dict[Side, Reasons] = {}

    def prepare(self, threads: int, stop: Stop) -> None:
        """Do nothing: all has been said."""

    def share(self, most_pairs: int, threads: int, stop: Stop) -> None:
        """Do nothing, likewise."""

    def judge(self, side: Side, unmatched: Bools) -> None:
        """Look up why the rows of `side` that `unmatched` marks are so."""
        ids = _ids(self._rows[side])[unmatched]
        self._reasons[side] = self._said.of(side, self._buckets, ids)

    def of(self, side: Side, start: int, count: int) -> Reasons:
        """Return the reasons of `count` of these rows, from the one numbered `start`."""
        return window(self._reasons[side], start, count)


@dataclass(frozen=True)
class Scattered:
    """Judges the rows of a spooled store whose rows carry their numbers, all of its buckets.

    Attributes:
        marks: which rows are in a pair.
        folder: for what is said; the store's by default.
        homes: of all rows, counted through, the buckets of the store that they lie in; needed
            where the match SQL does not read what the store was cut by.
    """

    context: JoinContext
    store: Store
    budget: Budget
    marks: Mapping[Side, GlobalMarks]
    folder: Path | None = None
    homes: Mapping[Side, Ints] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def judged(self) -> Iterator[Said]:
        """Judge all rows without a mark, and give what is said until the context is left."""
        files: dict[Side, list[SpoolFile]] = {side: [] for side in Side}
        with ExitStack() as stack:
            for number, rules in enumerate(_by_key(self.context.planned)):
                writers = {
                    side: self._writer(stack, f"said-{number}", side, _SAID, self.store.buckets)
                    for side in Side
                }
                with ExitStack() as inner:
                    self._judge(self._cut(inner, rules[0]), rules, writers)
                for side, writer in writers.items():
                    files[side].append(writer.finish())
            yield Said({side: Spool(_SAID, tuple(some)) for side, some in files.items()})

    def _writer(
        self, stack: ExitStack, name: str, side: Side, schema: pa.Schema, buckets: int
    ) -> SpoolWriter:
        """Return the writer of a file that is there until the stack is left."""
        path = (self.folder or self.store.plan.folder) / f"{name}-{side.word}.spool"
        writer = SpoolWriter(path, schema, buckets, self.budget.run_bytes).open()
        stack.callback(writer.discard)
        return writer

    def _cut(self, stack: ExitStack, rule: Rule) -> _Cut:
        """Cut what the match SQL reads of both sides by the keys of a rule."""
        query = self.context.planned.query
        keying = Keying(replace(self.context.planned, reason_keys=rule.keys))
        narrow = {side: Narrow(query.side(side), query.sql) for side in Side}
        buckets = bucket_count(int(self.store.bucket_bytes().sum()), self.budget.join_bytes)
        spools = {}
        for side in Side:
            writer = self._writer(stack, "cut", side, narrow[side].schema, buckets)
            for some in _runs(self.store.stream(side)):
                self.context.stop.check()
                kept = [narrow[side].narrowed(batch) for batch in some]
                wide = [_without_row(narrow[side].widened(batch)) for batch in kept]
                writer.append(kept, keying.buckets(side, wide, buckets))
            spools[side] = Spool(narrow[side].schema, (writer.finish(),))
        return _Cut(narrow, spools, buckets)

    def _judge(self, cut: _Cut, rules: Sequence[Rule], writers: Mapping[Side, SpoolWriter]) -> None:
        """Judge small groups of buckets side by side, then larger ones, one by one."""
        sizes = cut.sizes()
        groups = coalesce(sizes, self.budget.group_bytes(sum(sizes)))
        tasks = {group: partial(self._judge_group, cut, group, rules, writers) for group in groups}
        size = {group: sum(sizes[bucket] for bucket in group) for group in groups}
        small = [tasks[group] for group in groups if size[group] <= self.budget.join_bytes]
        large = [tasks[group] for group in groups if size[group] > self.budget.join_bytes]
        run_all(small, self.budget.threads, self.context.stop)
        run_all(large, 1, self.context.stop)

    def _judge_group(
        self,
        cut: _Cut,
        group: Sequence[int],
        rules: Sequence[Rule],
        writers: Mapping[Side, SpoolWriter],
    ) -> None:
        shapes = self.store.shapes
        for side in Side:
            theirs = list(cut.read(side.other, group))
            others = without_ids(side.other, shapes[side.other], theirs)
            mine = cut.read(side, group)
            for piece in pieces_of(side, shapes[side], mine, self.budget.join_bytes):
                self.context.stop.check()
                unmatched = ~self.marks[side].of(piece)
                if unmatched.any():
                    self._tell(piece, others, rules, unmatched, writers[side])

    def _homes(self, piece: Rows) -> Ints:
        if self.homes is None:
            return self.store.bucket_of(piece.side, piece.batches, self.store.buckets)
        starts = part_starts(self.store.part_rows(piece.side))
        homes: Ints = self.homes[piece.side][dense(starts, _ids(piece))]
        return homes

    def _tell(
        self,
        piece: Rows,
        others: Rows,
        rules: Sequence[Rule],
        unmatched: Bools,
        writer: SpoolWriter,
    ) -> None:
        """Write what is said of some rows, for the buckets of the store that they are of."""
        side = piece.side
        left, right = (piece, others) if side is Side.LEFT else (others, piece)
        explainer = Explainer(self.context.planned, left, right, rules=rules)
        explainer.judge(side, unmatched)
        ids = _ids(piece)[unmatched]
        homes = self._homes(piece)[unmatched]
        for start in range(0, len(ids), _AT_ONCE_ROWS):
            end = min(start + _AT_ONCE_ROWS, len(ids))
            told = explainer.told(side, start, end - start)
            columns = [getattr(told.reasons, name) for name in _TOLD]
            arrays = [pa.array(ids[start:end]), pa.array(told.short), *columns]
            batch = pa.RecordBatch.from_arrays(arrays, schema=_SAID)
            with self._lock:
                writer.append([batch], homes[start:end])


@dataclass(frozen=True)
class _Cut:
    """Narrow rows of both sides in buckets of one key."""

    narrow: Mapping[Side, Narrow]
    spools: Mapping[Side, Spool]
    buckets: int

    def sizes(self) -> list[int]:
        """Return the bytes of each bucket, both sides together."""
        both = sum(self.spools[side].bucket_bytes(self.buckets) for side in Side)
        return [int(size) for size in np.atleast_1d(both)]

    def read(self, side: Side, buckets: Sequence[int]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of some buckets, with nulls for what is not read."""
        for batch in self.spools[side].read(buckets):
            yield self.narrow[side].widened(batch)


def _by_key(planned: Planned) -> list[tuple[Rule, ...]]:
    """Return the rules that have keys, together where these are the same."""
    found: dict[tuple[object, ...], list[Rule]] = {}
    for rule in planned.rules:
        if rule.keys:
            found.setdefault(rule.asked, []).append(rule)
    return [tuple(rules) for rules in found.values()]


def _runs(batches: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    """Yield batches, some at a time, for which it is worth evaluating an expression."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(one.num_rows for one in held) >= _AT_ONCE_ROWS:
            yield held
            held = []
    if held:
        yield held


def _without_row(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.select(range(batch.num_columns - 1))


def _nearest(batch: pa.RecordBatch, ids: IdArray, short: Ints) -> pa.RecordBatch:
    """Return of a batch what is said of rows among `ids` by the rules they came nearest by."""
    at, known = _places(batch, ids)
    return batch.filter(pa.array(known & (_short(batch) == short[at])))


def _places(batch: pa.RecordBatch, ids: IdArray) -> tuple[Ints, Bools]:
    """Return where the rows of a batch are among `ids`, which are sorted, and which of them are."""
    rows = batch.column(0).to_numpy()
    at = np.minimum(np.searchsorted(ids, rows), len(ids) - 1)
    return at, ids[at] == rows


def _short(batch: pa.RecordBatch) -> Ints:
    found: Ints = batch.column(1).to_numpy()
    return found


def _ids(rows: Rows) -> IdArray:
    assert rows.ids is not None  # noqa: S101 - spooled with their numbers
    return rows.ids
