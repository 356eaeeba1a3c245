"""Numbers for keys: equal keys of two tables get equal numbers, by hash tables over whole columns.

Each column of the key is numbered on its own; the numbers of several columns are then combined.
Only keys that the wanted rows have get a number, so the other table is merely looked up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.engine.rows import distinct
from kalla_core.matching.plans.session import SessionLimits, new_session
from kalla_core.matching.sql.tables import register_table

Ints = npt.NDArray[np.int64]
Column = Any  # pa.Array or pa.ChunkedArray, which pyarrow gives no types

NONE = -1
_ROOM = 4
"""Numbers that a table may have for each row, so that looking into it is no search."""


def key_codes(
    wanted: Sequence[pa.Array], offered: Sequence[Column], null_safe: Sequence[bool]
) -> tuple[Ints, Ints]:
    """Number the keys of two tables alike.

    Args:
        wanted: the columns of the key, of one length.
        offered: the same columns of the other table, of the same types.
        null_safe: for each column, whether null equals null; where not, null equals nothing.

    Returns:
        A number from 0 per row of each table; `NONE` for wanted rows with a null that equals
        nothing, and for offered rows whose key no wanted row has.
    """
    every = zip(wanted, offered, null_safe, strict=True)
    return combined_codes([column_codes(*one) for one in every])


@dataclass(frozen=True, slots=True)
class ColumnCodes:
    """Numbers of one column of the key, from 0 and below `size`; `NONE` as `key_codes` has it."""

    ours: Ints
    theirs: Ints
    size: int


def column_codes(wanted: pa.Array, offered: Column, null_safe: bool) -> ColumnCodes:
    """Number one column of a key; the arguments are as `key_codes` has them."""
    wanted, offered = _comparable(wanted), _comparable(offered)
    encoding = "encode" if null_safe else "mask"
    encoded = wanted.dictionary_encode(null_encoding=encoding)
    found = pc.index_in(offered, value_set=encoded.dictionary, skip_nulls=not null_safe)
    return ColumnCodes(_plain(encoded.indices), _plain(found), len(encoded.dictionary))


def combined_codes(columns: Sequence[ColumnCodes]) -> tuple[Ints, Ints]:
    """Return the numbers of keys of some columns, as `key_codes` does."""
    ours, theirs, size = columns[0].ours, columns[0].theirs, columns[0].size
    for one in columns[1:]:
        ours = _combined(ours, one.ours, one.size)
        theirs = _combined(theirs, one.theirs, one.size)
        ours, theirs, size = _compacted(ours, theirs, size * one.size)
    return ours, theirs


def joined_codes(
    wanted: pa.Table,
    offered: pa.Table,
    names: Sequence[str],
    null_safe: Sequence[bool],
    threads: int = 1,
) -> tuple[Ints, Ints]:
    """Do what `key_codes` does where no two wanted rows have the same key, by one join.

    Args:
        wanted: has the columns `names`, which make up the key.
        offered: likewise.
    """
    session = new_session(SessionLimits(threads=threads, build_once=True))
    register_table(session, "wanted", _numbered(wanted, names))
    register_table(session, "offered", _numbered(offered, names))
    same = " AND ".join(
        f"(w.{name} {'IS NOT DISTINCT FROM' if safe else '='} o.{name})"
        for name, safe in zip(names, null_safe, strict=True)
    )
    sql = f"SELECT w.row AS w, o.row AS o FROM wanted w JOIN offered o ON {same}"  # noqa: S608
    pairs = session.sql(sql).to_arrow_table()
    ours = np.arange(len(wanted), dtype=np.int64)
    for name, safe in zip(names, null_safe, strict=True):
        if not safe and wanted.column(name).null_count:
            ours[np.asarray(wanted.column(name).is_null())] = NONE
    theirs = np.full(len(offered), NONE, dtype=np.int64)
    theirs[pairs.column("o").to_numpy()] = pairs.column("w").to_numpy()
    return ours, theirs


def _numbered(table: pa.Table, names: Sequence[str]) -> pa.Table:
    rows = pa.array(np.arange(len(table), dtype=np.int64))
    return table.select(names).append_column("row", rows)


def _comparable(column: Column) -> Column:
    """Make -0.0 the same as 0.0, as the engine's joins do."""
    return pc.add(column, 0.0) if pa.types.is_floating(column.type) else column


def _plain(codes: Column) -> Ints:
    numbers: Ints = np.asarray(codes.cast(pa.int64()).fill_null(NONE))
    return numbers


def _combined(first: Ints, second: Ints, size: int) -> Ints:
    return np.where((first == NONE) | (second == NONE), NONE, first * size + second)


def _compacted(ours: Ints, theirs: Ints, size: int) -> tuple[Ints, Ints, int]:
    """Renumber from 0, so that numbers stay small however many columns there are."""
    if size <= _ROOM * (len(ours) + len(theirs)):
        there = np.zeros(size + 1, dtype=np.bool_)
        there[ours] = True
        there[NONE] = False  # which is the last
        numbers = np.where(there, np.cumsum(there) - 1, NONE)
        return numbers[ours], numbers[theirs], int(there.sum())
    present = distinct(ours[ours != NONE])
    return _positions(present, ours), _positions(present, theirs), len(present)


def _positions(present: Ints, codes: Ints) -> Ints:
    if len(present) == 0:
        return np.full(len(codes), NONE, dtype=np.int64)
    at = np.minimum(np.searchsorted(present, codes), len(present) - 1)
    return np.where(present[at] == codes, at, NONE)
