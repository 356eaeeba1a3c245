"""Pages of rows straight from Parquet, by filter and order. Blocking; for threads.

Only the columns that a filter or an order is about are looked through, a row group at a time and
those left out whose statistics say that they hold nothing; then the rows of the page are read.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kalla_app.evidence.asked import Asked
from kalla_app.evidence.beside import made_of, read
from kalla_app.evidence.files import counted, files_of, identity, opened
from kalla_app.evidence.order import First, Mask, Places, order_of, read_order, write_order
from kalla_app.evidence.search import may_hold, narrow
from kalla_app.evidence.selections import Selections
from kalla_app.evidence.texts_file import Texts, write_texts
from kalla_app.evidence.wanted import KEY, ruled_out, wanted
from kalla_core.answers.selection import REASON
from kalla_core.errors import EvidenceGone, UnknownColumn
from kalla_core.recipe.nearest import suggestion

MOST_FIRST = 10_000
"""Rows that are put in order without all others; whoever asks for more had all of them ordered."""

_MANY_GROUPS = 8
_AT_ONCE = 2

T = TypeVar("T")
R = TypeVar("R")

_Group = tuple[int, int, int, int]
"""Part, number of the row group in it, and the half-open range of its rows in the set."""

_Bounded = tuple[_Group, Any, Any]
_Parts = Sequence[pq.ParquetFile]


@dataclass(frozen=True, slots=True)
class SoFar:
    """How far a selection is that goes on: rows looked through, of so many.

    All of them are where it is their order that is being made.
    """

    searched: int
    of: int


@dataclass(frozen=True, slots=True)
class RowPage:
    """Some rows.

    Attributes:
        places: of the rows in the set, from 0.
        total: rows of the whole selection, or of what of it was found so far.
        so_far: None where it is the whole one.
    """

    rows: pa.Table
    places: tuple[int, ...]
    total: int
    so_far: SoFar | None = None


class RowSet:
    """The rows of one set of a run; a context manager that closes its files.

    Args:
        folder: with the run's evidence.
        beside: where orders and texts of it may lie, which make looking through many rows quick.
        selections: where what was asked for lately is kept.

    Raises:
        NotFound: the run has no such set.
        EvidenceGone: a file of it cannot be read.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        beside: Path | None = None,
        selections: Selections | None = None,
    ) -> None:
        self._held = ExitStack()
        self._folder = folder
        self._selections = selections
        self._name = name
        self._beside = beside
        try:
            self._files = files_of(folder, name)
            self._parts = [self._held.enter_context(opened(path)) for path in self._files]
        except (OSError, pa.ArrowInvalid) as error:
            self._held.close()
            raise EvidenceGone(f"The rows of {name} cannot be read: {error}.") from error
        self.schema: pa.Schema = self._parts[0].schema_arrow
        self.row_groups = _row_groups(self._parts)
        self.count = self.row_groups[-1][3] if self.row_groups else 0

    def __enter__(self) -> RowSet:
        return self

    def __exit__(self, *_error: object) -> None:
        self._held.close()

    def page(self, asked: Asked, offset: int, limit: int, mask: Mask | None = None) -> RowPage:
        """Return the rows of a selection from `offset` on.

        Args:
            mask: the rows that are asked for, where somebody knows them.

        Raises:
            UnknownColumn: there is no column to order by.
        """
        if asked.is_all and asked.sort is None:
            end = min(self.count, offset + limit)
            places = np.arange(min(offset, end), end, dtype=np.int64)
            return RowPage(self.take(places), tuple(places.tolist()), self.count)
        places, total = self._selected(asked, offset, limit, mask)
        return RowPage(self.take(places), tuple(places.tolist()), total)

    def take(self, places: Places) -> pa.Table:
        """Return the rows of some places, in that order."""
        groups: dict[_Group, list[int]] = {}
        for index, place in enumerate(places.tolist()):
            groups.setdefault(self._row_group_of(place), []).append(index)
        if not groups:
            return self.schema.empty_table()
        order = [index for indices in groups.values() for index in indices]
        wanted_of = [(at, places[indices] - at[2]) for at, indices in groups.items()]
        few = [{*narrow(part.metadata)} & {*self.schema.names} for part in self._parts]
        read_by = self._in_halves(_of_groups, wanted_of, few)
        found = [read_by[n % len(read_by)][n // len(read_by)] for n in range(len(wanted_of))]
        rows = pa.concat_tables([table.cast(self.schema) for table in found])
        return rows.take(pa.array(np.argsort(order)))

    def columns(self, names: Sequence[str]) -> pa.Table:
        """Return some columns of all rows, in the order of the file."""
        return pa.concat_tables([part.read(columns=list(names)) for part in self._parts])

    def groups(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """Yield some columns of all rows, a row group at a time, in the order of the file."""
        for part in self._parts:
            for group in range(part.metadata.num_row_groups):
                yield part.read_row_group(group, columns=list(names), use_threads=False)

    def reasons(self) -> dict[str, int]:
        """Return how many rows have each reason; none where rows have no reasons."""
        if REASON not in self.schema.names:
            return {}
        found: Counter[str] = Counter()
        for path in self._files:
            found.update(counted(path, identity(path)))
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def batches(self, asked: Asked) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a selection in the order of the file."""
        for part in self._parts:
            for batch in part.iter_batches():
                if not asked.is_all:
                    batch = batch.filter(pa.array(wanted(batch, asked, self._holders(asked))))
                if batch.num_rows:
                    yield batch

    def lookup(self, column: str | None) -> Path | None:
        """Return where the order of a column lies, or for None the texts; None if nowhere."""
        if self._beside is None:
            return None
        word = "texts" if column is None else f"by-{sha256(column.encode()).hexdigest()[:16]}"
        return self._beside / f"{self._name}.{word}.arrow"

    @property
    def made_of(self) -> str:
        """What tells the files of this set from others that took their place."""
        return made_of(self._files)

    def write_lookup(self, column: str | None) -> None:
        """Write the order of a column, or for None the texts, unless that is there.

        Raises:
            OSError: it cannot be written.
        """
        path = self.lookup(column)
        assert path is not None  # noqa: S101 - whoever writes it has said where
        if read(path, self.made_of) is not None:
            return
        if column is None:
            write_texts(path, self.made_of, self._parts)
        else:
            write_order(path, self.made_of, self._column(column))

    def check(self, asked: Asked) -> None:
        """Raise if rows cannot be ordered so.

        Raises:
            UnknownColumn: there is no column to order by.
        """
        if asked.by is not None and asked.by not in self.schema.names:
            hint = suggestion(asked.by, self.schema.names)
            raise UnknownColumn(
                f"{asked.set} has no column {asked.by!r}. {hint}", column_name=asked.by
            )

    def look(self, asked: Asked) -> Callable[[int], Mask]:
        """Return what tells which rows of a row group are asked for, by its number in the set."""
        path = self.lookup(None) if asked.q else None
        texts = None if path is None else Texts.opened(path, self.made_of)
        if texts is not None and not texts.knows(asked.q):
            texts = None
        sought = self._holders(asked) if texts is None else texts.beside(asked.q)
        others = {REASON} if asked.reasons else set()
        others |= {KEY} if asked.keys is not None or asked.without else set()
        names = [name for name in self.schema.names if name in others or name in sought]
        parts = self._searched(names)

        def looked(number: int) -> Mask:
            part, group, start, end = self.row_groups[number]
            if ruled_out(parts[part], group, asked):
                return np.zeros(end - start, np.bool_)
            held = None if texts is None else texts.holding(asked.q, number)
            if held is not None and not names:
                return held
            table = parts[part].read_row_group(group, columns=names, use_threads=False)
            return wanted(table, asked, sought, held)

        return looked

    def _wanted(self, asked: Asked) -> Mask:
        """Return which rows of the set are asked for."""
        masks = map(self.look(asked), range(len(self.row_groups)))
        return np.concatenate([np.zeros(0, np.bool_), *masks])

    def _selected(
        self, asked: Asked, offset: int, limit: int, mask: Mask | None
    ) -> tuple[Places, int]:
        self.check(asked)
        if mask is None and not asked.is_all:
            mask = self._mask(asked)
        total, most = self.count if mask is None else int(np.count_nonzero(mask)), offset + limit
        if asked.by is None:
            assert mask is not None  # noqa: S101 - else the page needs nothing of this
            return np.flatnonzero(mask)[offset:most], total
        if total <= offset:
            return np.empty(0, np.int64), total
        path = self.lookup(asked.by)
        order = None if path is None else read_order(path, self.made_of)
        if order is None and most > MOST_FIRST:
            order = order_of(self._column(asked.by))
        if order is not None:
            return order.page(mask, offset, most, descending=asked.descending), total
        first = self._first(asked, asked.by, most, mask)
        return first[offset:most], total

    def _first(self, asked: Asked, by: str, most: int, mask: Mask | None) -> Places:
        """Return the places of the first rows of an order."""
        found = self._in_halves(
            lambda parts, groups: _first_of(parts, groups, asked, by, most, mask),
            self._groups_by(asked, by),
            [() for _ in self._parts],
        )
        first = First(most, descending=asked.descending)
        for one in found:
            first.join(one)
        return first.places()

    def _in_halves(
        self,
        work: Callable[[_Parts, Sequence[T]], R],
        items: Sequence[T],
        repeated: Sequence[Collection[str]],
    ) -> list[R]:
        """Return what becomes of every second of some things and of the others, on two threads.

        Each has files of its own, since threads cannot share them.

        Args:
            repeated: columns of each file that may come as a dictionary.
        """
        if len(items) < _MANY_GROUPS:
            return [work(self._parts, items)]

        def worked(half: Sequence[T]) -> R:
            with ExitStack() as held:
                files = zip(self._files, repeated, strict=True)
                return work([held.enter_context(opened(*one)) for one in files], half)

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(worked, [items[n::_AT_ONCE] for n in range(_AT_ONCE)]))

    def _groups_by(self, asked: Asked, by: str) -> list[_Bounded]:
        """Return each row group with its least and its greatest value.

        Those whose values come first in the order come first, where that is told; where it is not,
        or some value is unknown, least and greatest are None.
        """
        leaf = self._leaf(by)
        found: list[_Bounded] = []
        for at in self.row_groups:
            group = self._parts[at[0]].metadata.row_group(at[1])
            found.append((at, *((None, None) if leaf is None else _bounds(group.column(leaf)))))
        if all(one[1] is not None for one in found):
            found.sort(key=lambda one: one[2 if asked.descending else 1], reverse=asked.descending)
        return found

    def _leaf(self, name: str) -> int | None:
        """Return which column of the file one of the rows is; None if it is of several."""
        paths = [self._parts[0].schema.column(n).path for n in range(len(self._parts[0].schema))]
        return paths.index(name) if name in paths else None

    def _mask(self, asked: Asked) -> Mask:
        if self._selections is None:
            return self._wanted(asked)
        of = f"{self._folder} {self.made_of}"
        return self._selections.mask(of, asked, self.count, lambda: self._wanted(asked))

    def _holders(self, asked: Asked) -> list[str]:
        """Return the columns that may hold the text that is looked for."""
        return [one.name for one in self.schema if asked.q and may_hold(one.type, asked.q)]

    def _searched(self, names: Collection[str]) -> list[pq.ParquetFile]:
        """Return the files as some columns are looked through: with few words as such."""
        return [
            self._held.enter_context(opened(path, {*narrow(part.metadata)} & {*names}))
            for path, part in zip(self._files, self._parts, strict=True)
        ]

    def _column(self, name: str) -> pa.ChunkedArray:
        return pa.chunked_array(
            [
                part.read_row_group(group, columns=[name], use_threads=False)
                .column(0)
                .combine_chunks()
                for part in self._parts
                for group in range(part.metadata.num_row_groups)
            ],
            self.schema.field(name).type,
        )

    def _row_group_of(self, place: int) -> _Group:
        """Return the row group of a row."""
        number = bisect_right(self.row_groups, place, key=lambda group: group[2]) - 1
        if not 0 <= place < self.count:
            raise EvidenceGone(f"There is no row {place}.")
        return self.row_groups[number]


def _row_groups(parts: _Parts) -> list[_Group]:
    found: list[_Group] = []
    start = 0
    for place, part in enumerate(parts):
        for number in range(part.metadata.num_row_groups):
            end = start + part.metadata.row_group(number).num_rows
            found.append((place, number, start, end))
            start = end
    return found


def _of_groups(parts: _Parts, wanted_of: Sequence[tuple[_Group, Places]]) -> list[pa.Table]:
    return [_of_group(parts, at, local) for at, local in wanted_of]


def _of_group(parts: _Parts, at: _Group, local: Places) -> pa.Table:
    """Return some rows of a row group; no more of it is read than up to the last of them."""
    file, group, end = parts[at[0]], at[1], int(local.max()) + 1
    if 2 * end >= file.metadata.row_group(group).num_rows:
        rows = file.read_row_group(group, use_threads=False)
    else:
        found: list[pa.RecordBatch] = []
        for batch in file.iter_batches(batch_size=end, row_groups=[group], use_threads=False):
            found.append(batch)
            if (end := end - batch.num_rows) <= 0:
                break
        rows = pa.Table.from_batches(found)
    return rows.take(pa.array(local, pa.int64()))


def _first_of(
    parts: _Parts,
    groups: Sequence[_Bounded],
    asked: Asked,
    by: str,
    most: int,
    mask: Mask | None,
) -> First:
    """Return the first rows of an order of those in some row groups."""
    first = First(most, descending=asked.descending)
    for (part, group, start, end), least, greatest in groups:
        kept = None if mask is None else mask[start:end]
        if kept is not None and not kept.any():
            continue
        if least is not None and first.is_beyond(least, greatest):
            continue
        table = parts[part].read_row_group(group, columns=[by], use_threads=False)
        values, places = table.column(0), np.arange(start, end, dtype=np.int64)
        if kept is not None:
            values, places = values.filter(pa.array(kept)), places[kept]
        first.add(values, places)
    return first


def _bounds(column: pq.ColumnChunkMetaData) -> tuple[Any, Any]:
    """Return the least and the greatest value of a chunk, if all of its values are known."""
    told = column.statistics
    if told is None or not told.has_min_max or not told.has_null_count or told.null_count:
        return None, None
    if isinstance(told.min, str | bytes):  # these may be cut off
        return None, None
    return told.min, told.max
