"""Counts the rows of both sides that share a key and are in several matches (see `Crowd`).

Only rows that are in two matches or more are looked at, so that a run where rows match once pays
nothing. All rows of a key must be among those that are counted together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.engine.keys.key_values import key_values
from kalla_core.engine.keys.placeholder import placeholders
from kalla_core.engine.keys.visible import shown
from kalla_core.engine.rows import Bools, Rows
from kalla_core.engine.spool.pieces import Blanks
from kalla_core.fragments.crowd import FEWEST_PAIRS_OF_A_PLACEHOLDER, FEWEST_ROWS, KEPT, Crowd
from kalla_core.matching.keys.keys import key_name, key_words
from kalla_core.matching.sql.mentions import mentioned_columns
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.planned import Planned

_AT_ONCE_ROWS = 1_000_000
_SAID = ["key", "left", "right", "pairs"]


def crowds_of(planned: Planned, found: Sequence[tuple[Rows, Bools]]) -> tuple[Crowd, ...]:
    """Return the largest crowds among rows of both sides.

    Args:
        found: of each side its rows, and which of them are in two matches or more.
    """
    rows = [int(np.count_nonzero(again)) for _, again in found]
    if rows[0] * rows[1] < FEWEST_PAIRS_OF_A_PLACEHOLDER:
        return ()
    counting = Crowds(planned)
    for one, again in found:
        counting.add(one, again)
    return counting.largest()


@dataclass
class Crowds:
    """Counts rows by key, some of a side at a time."""

    planned: Planned
    _counts: Mapping[Side, list[pa.Table]] = field(default_factory=lambda: {s: [] for s in Side})

    def add(self, rows: Rows, again: Bools) -> None:
        """Count those of the rows that are in two matches or more.

        Args:
            again: which of `rows` these are.
        """
        if not self._names or not again.any():
            return
        for batches in self._marked(rows, again):
            components = self.planned.reason_keys
            keys = key_values(self.planned.query, components, rows.side, batches)
            counted = keys.group_by(self._names).aggregate([([], "count_all")])
            self._counts[rows.side].append(counted.rename_columns([*self._names, "count"]))

    def largest(self) -> tuple[Crowd, ...]:
        """Return the largest crowds of all rows that were added."""
        if not all(self._counts.values()):
            return ()
        table = self._both()
        pairs = pc.multiply(table.column(Side.LEFT.word), table.column(Side.RIGHT.word))
        table = table.filter(pc.greater_equal(pairs, FEWEST_PAIRS_OF_A_PLACEHOLDER))
        if len(table) == 0:
            return ()
        nothing = placeholders([table.column(name) for name in self._names])
        fewest = pc.min_element_wise(table.column(Side.LEFT.word), table.column(Side.RIGHT.word))
        many = fewest.to_numpy() >= FEWEST_ROWS
        known = nothing & (many | (len(self._names) == 1))
        chosen = any(rule.chooses for rule in self.planned.rules)
        other = many & ~nothing & (not chosen)
        said = self._said(table)
        return (*_crowds(said, known, True), *_crowds(said, other, False))

    @property
    def _names(self) -> list[str]:
        kinds = [key.type for key in self.planned.reason_keys]
        if any(pa.types.is_nested(kind) for kind in kinds):  # no text, and not grouped
            return []
        return [key_name(number) for number in range(len(kinds))]

    def _marked(self, rows: Rows, again: Bools) -> Iterator[list[pa.RecordBatch]]:
        """Yield the rows that are marked, without the columns that no key can need."""
        needed = mentioned_columns(self.planned.query.sql, rows.shape)
        blanks, held, count = Blanks(), list[pa.RecordBatch](), 0
        for batch, start in zip(rows.batches, rows.starts, strict=True):
            mask = again[start : start + batch.num_rows]
            if mask.any():
                held.append(blanks.instead(batch, needed).filter(pa.array(mask)))
                count += held[-1].num_rows
            if count >= _AT_ONCE_ROWS:
                yield held
                held, count = [], 0
        if held:
            yield held

    def _both(self) -> pa.Table:
        """Return the keys that both sides have, with their rows on either."""
        tables = [self._side(side) for side in Side]
        added = [(side.word, "sum") for side in Side]
        summed = pa.concat_tables(tables).group_by(self._names).aggregate(added)
        both = summed.rename_columns([*self._names, *(side.word for side in Side)])
        for side in Side:
            both = both.filter(pc.greater(both.column(side.word), 0))
        for key, name in zip(self.planned.reason_keys, self._names, strict=True):
            if not key.null_safe:
                both = both.filter(pc.is_valid(both.column(name)))
        return both

    def _side(self, side: Side) -> pa.Table:
        """Return the keys of a side, with its rows beside none of the other."""
        table = pa.concat_tables(self._counts[side])
        none = pa.array(np.zeros(len(table), dtype=np.int64))
        counts = [table.column("count") if one is side else none for one in Side]
        keys = [table.column(name) for name in self._names]
        return pa.table([*keys, *counts], [*self._names, *(one.word for one in Side)])

    def _said(self, table: pa.Table) -> pa.Table:
        """Return the keys in words, with their rows and pairs."""
        values = [shown(table.column(name)) for name in self._names]
        keys = key_words(self.planned.reason_keys, values)
        left, right = (table.column(side.word) for side in Side)
        return pa.table([keys, left, right, pc.multiply(left, right)], _SAID)


def _crowds(said: pa.Table, listed: Bools, placeholder: bool) -> Iterator[Crowd]:
    ranked = said.filter(pa.array(listed)).sort_by([("pairs", "descending"), ("key", "ascending")])
    for row in ranked.slice(0, KEPT).to_pylist():
        yield Crowd(row["key"], row["left"], row["right"], placeholder)
