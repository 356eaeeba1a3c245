"""Counts, while a side is read, the keys that say nothing and those that very many rows have.

So that a crowd is told before its rows are joined. Of each few batches some rows are looked at,
evenly spread; only where those have such a key, or one was seen before, are all rows counted. A
crowd among few of many rows can be missed, or counted short: the joins count again, exactly.

Of a side of few rows the keys are looked at in the end, and only if a key can make a crowd at all:
mostly none is there often enough on both sides.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.engine.keys.keying import Keying
from kalla_core.engine.keys.placeholder import placeholders
from kalla_core.engine.keys.visible import shown
from kalla_core.engine.rows import Bools
from kalla_core.errors import KallaError
from kalla_core.fragments.crowd import FEWEST_PAIRS_OF_A_PLACEHOLDER, FEWEST_ROWS, KeyCount
from kalla_core.matching.keys.keys import key_name, key_words
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.planned import Planned

_ALL_ROWS = 16_384
"""So many are not worth a sample."""
_SAMPLE_ROWS = 1024
_LEAST_SHARE = 100
"""A key that is no placeholder is counted if the hundredth part of a sample has it."""
_NEW_AT_ONCE = 64
_COUNTED_KEYS = 1024
_TOLD_KEYS = 32
_COUNT, _WANTED = "count", "wanted"


class KeyTally:
    """Counts such keys of one side, some batches at a time; safe from any thread."""

    def __init__(self, planned: Planned, keying: Keying, side: Side) -> None:
        self._planned = planned
        self._keying = keying
        self._side = side
        self._found: pa.Table | None = None
        self._few: list[pa.Table] = []
        self._few_rows = 0
        self._lock = threading.Lock()
        pairs_only = not any(rule.chooses for rule in planned.rules)
        flat = not any(pa.types.is_nested(key.type) for key in planned.reason_keys)
        self._names = [key_name(n) for n in range(len(planned.reason_keys))]
        self._counts = bool(self._names) and pairs_only and flat
        self._keys_only = not any(rule.checked for rule in planned.rules)

    def add(self, batches: Sequence[pa.RecordBatch]) -> None:
        """Count what is to be counted of some rows; whatever fails here is left to the joins."""
        if not self._counts:
            return
        try:
            self._look(batches)
        except (KallaError, pa.ArrowException):
            self._counts = False

    def most(self) -> int | None:
        """Return how many rows have the same key at most; None if these are not few rows."""
        if self._found is not None:
            return None
        return sum(pc.max(keys.column(_COUNT)).as_py() or 0 for keys in self._few)

    def told(self) -> tuple[KeyCount, ...]:
        """Return the keys that most rows have, in words."""
        if self._few:
            try:
                self._judge_few()
            except (KallaError, pa.ArrowException):
                self._counts = False
        table = self._found
        if not self._counts or table is None or len(table) == 0:
            return ()
        nothing = placeholders([table.column(name) for name in self._names])
        said = key_words(self._planned.reason_keys, [shown(table.column(n)) for n in self._names])
        counts = table.column(_COUNT).to_numpy()
        fewest = 1 if len(self._names) == 1 and self._keys_only else FEWEST_ROWS
        found = [
            KeyCount(key, rows, placeholder, fewest)
            for key, rows, placeholder in zip(
                said.to_pylist(), counts.tolist(), nothing.tolist(), strict=True
            )
        ]
        ranked = sorted(found, key=lambda one: (not one.placeholder, -one.rows, one.key))
        return tuple(ranked[:_TOLD_KEYS])

    def _look(self, batches: Sequence[pa.RecordBatch]) -> None:
        count = sum(batch.num_rows for batch in batches)
        step = 1 if count <= _ALL_ROWS else count // _SAMPLE_ROWS
        keys = self._keying.keys(self._side, _every(batches, step))
        grouped = self._grouped(keys)
        if step == 1 and self._waits(grouped, count):
            return
        wanted = self._worth_counting(grouped)
        with self._lock:
            known = self._found
        if known is not None:
            wanted = pa.concat_tables([wanted, known.select(self._names)])
        if step > 1 and len(wanted):
            keys = self._keying.keys(self._side, batches)
        if len(wanted):
            found = self._of(self._grouped(self._alike(keys, wanted)), wanted)
            with self._lock:
                self._found = self._kept(found)

    def _waits(self, grouped: pa.Table, count: int) -> bool:
        """Keep the keys of some rows for later, if the side has few so far."""
        with self._lock:
            self._few_rows += count
            waits = self._few_rows <= _ALL_ROWS
            if waits:
                self._few.append(grouped)
        if not waits:
            self._judge_few()
        return waits

    def _judge_few(self) -> None:
        """Count those of the keys kept for later that are worth it."""
        with self._lock:
            few, self._few = self._few, []
            known = self._found
        for grouped in few:
            wanted = self._worth_counting(grouped)
            if known is not None:
                wanted = pa.concat_tables([wanted, known.select(self._names)])
            if len(wanted):
                found = self._of(grouped, wanted)
                with self._lock:
                    known = self._found = self._kept(found)

    def _grouped(self, keys: pa.Table) -> pa.Table:
        """Return each key that can match anything once, with the number of its rows."""
        for key, name in zip(self._planned.reason_keys, self._names, strict=True):
            if not key.null_safe and keys.column(name).null_count:
                keys = keys.filter(pc.is_valid(keys.column(name)))
        if len(self._names) == 1 and pa.types.is_string(keys.schema.field(0).type):
            counts = pc.value_counts(keys.column(0))  # which is faster than groups
            return pa.table(dict(zip((self._names[0], _COUNT), counts.flatten(), strict=True)))
        counted = keys.group_by(self._names).aggregate([([], "count_all")])
        return counted.rename_columns([*self._names, _COUNT])

    def _worth_counting(self, grouped: pa.Table) -> pa.Table:
        """Return the keys of a sample, as they are grouped, that all rows are to be counted of."""
        columns = [grouped.column(name) for name in self._names]
        if len(grouped) == 0:
            return grouped.select(self._names)
        wanted: Bools = placeholders(columns)
        if self._keys_only:
            counts = grouped.column(_COUNT).to_numpy()
            wanted |= counts >= max(counts.sum() // _LEAST_SHARE, 8)
        chosen = grouped.filter(pa.array(wanted)).sort_by([(_COUNT, "descending")])
        return chosen.slice(0, _NEW_AT_ONCE).select(self._names)

    def _alike(self, keys: pa.Table, wanted: pa.Table) -> pa.Table:
        """Return the rows that have in each column a value of a key that is wanted."""
        for name in self._names:
            values = wanted.column(name).unique()
            keys = keys.filter(pc.is_in(keys.column(name), value_set=values))
        return keys

    def _of(self, grouped: pa.Table, wanted: pa.Table) -> pa.Table:
        """Return those of the keys that are wanted; null is the same as null."""
        both = pa.concat_tables(
            [
                _with(grouped, _WANTED, np.zeros(len(grouped), np.int64)),
                _with(_with(wanted, _COUNT, np.zeros(len(wanted), np.int64)), _WANTED,
                      np.ones(len(wanted), np.int64)),
            ]
        )  # fmt: skip
        summed = self._summed(both, _COUNT, _WANTED)
        return summed.filter(pc.greater(summed.column(_WANTED), 0)).drop_columns(_WANTED)

    def _kept(self, found: pa.Table) -> pa.Table:
        if self._found is not None:
            found = self._summed(pa.concat_tables([self._found, found]), _COUNT)
        return found.sort_by([(_COUNT, "descending")]).slice(0, _COUNTED_KEYS)

    def _summed(self, table: pa.Table, *names: str) -> pa.Table:
        summed = table.group_by(self._names).aggregate([(name, "sum") for name in names])
        return summed.rename_columns([*self._names, *names])


def told_of(tally: Mapping[Side, KeyTally]) -> Mapping[Side, tuple[KeyCount, ...]]:
    """Return the keys of both sides that most rows have; none where no key can make a crowd."""
    left, right = (tally[side].most() for side in Side)
    if left is not None and right is not None and left * right < FEWEST_PAIRS_OF_A_PLACEHOLDER:
        return dict.fromkeys(Side, ())
    return {side: tally[side].told() for side in Side}


def _with(table: pa.Table, name: str, values: np.ndarray) -> pa.Table:
    return table.append_column(name, pa.array(values))


def _every(batches: Sequence[pa.RecordBatch], step: int) -> list[pa.RecordBatch]:
    """Return every `step`th row of each of the batches."""
    if step == 1:
        return list(batches)
    return [batch.take(pa.array(np.arange(0, batch.num_rows, step))) for batch in batches]
