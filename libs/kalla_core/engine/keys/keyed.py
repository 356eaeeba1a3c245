"""The keys of the rows of both sides, and numbers for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from datafusion import col

from kalla_core.engine.keys.codes import ColumnCodes, column_codes, combined_codes, joined_codes
from kalla_core.engine.keys.hashing import digest
from kalla_core.engine.keys.key_values import key_values
from kalla_core.engine.keys.near import are_plain
from kalla_core.engine.rows import Bools, Ints, Rows, one_chunk
from kalla_core.matching.keys.keys import KeyComponent
from kalla_core.matching.plans.session import new_session
from kalla_core.matching.sql.query import Side
from kalla_core.matching.sql.tables import register_table
from kalla_core.matching.strategy.planned import Planned

_FEW_ROWS = 1 << 16
"""For so few rows a join is not worth its planning."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Some rows of a side, with the numbers that their keys and those of the other side have.

    Attributes:
        marks: which rows they are.
        keys: theirs, as `__k0`, `__k1`, ...
        codes: of these; `NONE` for a null that equals nothing.
        offered: of all rows of the other side; `NONE` for keys that none of these has.
    """

    marks: Bools
    keys: pa.Table
    codes: Ints
    offered: Ints


@dataclass(frozen=True, slots=True)
class _Numbered:
    """One column of the key of marked rows, and of all of the other side; see `column_codes`."""

    marks: Bools
    codes: ColumnCodes


Columns = dict[tuple[object, ...], _Numbered]
"""Columns of keys that were numbered last, by side and by what they ask for."""


class KeyedSides:
    """One key, evaluated over all rows of both sides when first asked for.

    Args:
        columns: shared with other keys of the same rows.
        known: what this very key is, of sides for which somebody has evaluated it.
    """

    def __init__(
        self,
        planned: Planned,
        components: Sequence[KeyComponent],
        rows: Mapping[Side, Rows],
        threads: int,
        columns: Columns | None = None,
        known: Mapping[Side, pa.Table] | None = None,
    ) -> None:
        self.components = components
        self._planned = planned
        self._rows = rows
        self._threads = threads
        self._tables: dict[Side, pa.Table] = dict(known or {})
        self._plain: dict[Side, bool] = {}
        self._columns: Columns = {} if columns is None else columns
        self._wanted: dict[Side, Wanted] = {}

    def table(self, side: Side) -> pa.Table:
        """Return the keys of all rows of a side, in their order, as `__k0`, `__k1`, ...

        Raises:
            FailedOnValue: a key fails for a row, which the SQL need not have computed where the
                other side has no rows at all.
        """
        if side not in self._tables:
            rows = self._rows[side]
            found = key_values(self._planned.query, self.components, side, rows.batches)
            self._tables[side] = self._in_one_piece(found, rows)
        return self._tables[side]

    def is_plain(self, side: Side) -> bool:
        """Tell whether no key of a side is written otherwise than it has to be (see `near`)."""
        if side not in self._plain:
            columns = self.table(side).columns[: len(self.components)]
            self._plain[side] = are_plain(columns)
        return self._plain[side]

    def marked(self, side: Side, marks: Bools) -> pa.Table:
        """Return the keys of marked rows of a side, each column in one chunk."""
        return marked_rows(self.table(side), marks)

    def _in_one_piece(self, keys: pa.Table, rows: Rows) -> pa.Table:
        """Return keys, of those that are columns which lie in one piece, these."""
        for number, component in enumerate(self.components):
            name = component.side(rows.side).column
            if name is None or name not in rows.at_hand:
                continue
            if rows.column(name).type == component.type:
                keys = keys.set_column(number, keys.schema.field(number), rows.column(name))
        return keys

    def wanted(self, side: Side, marks: Bools) -> Wanted:
        """Return the marked rows of a side, numbered; the last are kept, for who asks again."""
        known = self._wanted.get(side)
        if known is None or known.marks is not marks:
            keys = self.marked(side, marks)
            codes, offered = self._codes(keys, self.table(side.other), (side, marks))
            self._wanted[side] = known = Wanted(marks, keys, codes, offered)
        return known

    def codes(self, wanted: pa.Table, offered: pa.Table) -> tuple[Ints, Ints]:
        """Number the keys of some rows of either side alike (see `key_codes`)."""
        return self._codes(wanted, offered, None)

    def _codes(
        self, wanted: pa.Table, offered: pa.Table, of: tuple[Side, Bools] | None
    ) -> tuple[Ints, Ints]:
        names = [f"__k{number}" for number in range(len(self.components))]
        null_safe = [key.null_safe for key in self.components]
        if len(wanted) > _FEW_ROWS and self._all_differ(wanted):
            return joined_codes(wanted, offered, names, null_safe, self._threads)
        return combined_codes(
            [
                self._column_codes(key, one_chunk(wanted.column(name)), offered.column(name), of)
                for key, name in zip(self.components, names, strict=True)
            ]
        )

    def _column_codes(
        self,
        key: KeyComponent,
        wanted: pa.Array,
        offered: pa.ChunkedArray,
        of: tuple[Side, Bools] | None,
    ) -> ColumnCodes:
        if of is None:
            return column_codes(wanted, offered, key.null_safe)
        side, marks = of
        known = self._columns.get((side, *key.asked))
        if known is None or known.marks is not marks:
            codes = column_codes(wanted, offered, key.null_safe)
            self._columns[side, *key.asked] = known = _Numbered(marks, codes)
        return known.codes

    def _all_differ(self, keys: pa.Table) -> bool:
        """Tell whether no two rows have the same key; now and then wrongly that some have."""
        typed = [(col(f"__k{n}"), key.type) for n, key in enumerate(self.components)]
        session = new_session()
        register_table(session, "keys", keys)
        hashes = session.table("keys").select(digest(typed).alias("h")).to_arrow_table()
        ordered = np.sort(hashes.column(0).to_numpy())
        return not bool((ordered[1:] == ordered[:-1]).any())


def marked_rows(table: pa.Table, marks: Bools) -> pa.Table:
    """Return the rows that are marked, each column in one chunk.

    By their places where columns are in one chunk, which takes a quarter of the time where every
    other row is marked.
    """
    if _are_whole(table):
        return table.take(pa.array(np.flatnonzero(marks))).combine_chunks()
    return table.filter(pa.array(marks)).combine_chunks()


def rows_at(table: pa.Table, places: Ints) -> pa.Table:
    """Return the rows in some places, ascending, as `marked_rows` does."""
    if _are_whole(table):
        return table.take(pa.array(places)).combine_chunks()
    marks = np.zeros(len(table), dtype=np.bool_)
    marks[places] = True
    return marked_rows(table, marks)


def _are_whole(table: pa.Table) -> bool:
    return all(column.num_chunks == 1 for column in table.columns)
