"""Pages of rows straight from Parquet, by filter and order. Blocking; for threads.

Only the columns that a filter or an order is about are looked through, a row group at a time and
those left out whose statistics say that they hold nothing; then the rows of the page are read.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kalla_app.errors import NotFound
from kalla_app.evidence.search import holding, may_hold, narrow
from kalla_core.answers.selection import REASON
from kalla_core.errors import EvidenceGone, UnknownColumn
from kalla_core.evidence.names import METADATA
from kalla_core.recipe.nearest import suggestion

Places = npt.NDArray[np.int64]

KEY = "record_key"
"""The column that names a row without a partner."""

_BUFFER_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Asked:
    """Which rows of a set.

    Attributes:
        q: text that some column holds, in whatever case; empty for all rows.
        reasons: codes; only rows that have one. All rows where there are none.
        sort: a column, with a minus before it the greatest first; None for the order of the file.
        keys: only rows without a partner that have one of these keys; None for all.
        without: rows with these keys are left out.
    """

    set: str
    q: str = ""
    reasons: tuple[str, ...] = ()
    sort: str | None = None
    keys: tuple[str, ...] | None = None
    without: tuple[str, ...] = ()

    @property
    def is_all(self) -> bool:
        """Whether no row is left out."""
        return not (self.q or self.reasons or self.without) and self.keys is None


@dataclass(frozen=True, slots=True)
class RowPage:
    """Some rows.

    Attributes:
        places: of the rows in the set, from 0.
        total: rows of the whole selection.
    """

    rows: pa.Table
    places: tuple[int, ...]
    total: int


class RowSet:
    """The rows of one set of a run; a context manager that closes its files.

    Raises:
        NotFound: the run has no such set.
        EvidenceGone: a file of it cannot be read.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._held = ExitStack()
        try:
            self._files = _files(folder, name)
            self._parts = [self._held.enter_context(opened(path)) for path in self._files]
        except (OSError, pa.ArrowInvalid) as error:
            self._held.close()
            raise EvidenceGone(f"The rows of {name} cannot be read: {error}.") from error
        self.schema: pa.Schema = self._parts[0].schema_arrow
        self.count = sum(part.metadata.num_rows for part in self._parts)

    def __enter__(self) -> RowSet:
        return self

    def __exit__(self, *_error: object) -> None:
        self._held.close()

    def page(self, asked: Asked, offset: int, limit: int) -> RowPage:
        """Return the rows of a selection from `offset` on.

        Raises:
            UnknownColumn: there is no column to order by.
        """
        if asked.is_all and asked.sort is None:
            end = min(self.count, offset + limit)
            places = np.arange(min(offset, end), end, dtype=np.int64)
            return RowPage(self.take(places), tuple(places.tolist()), self.count)
        places, total = self._selected(asked, offset, limit)
        return RowPage(self.take(places), tuple(places.tolist()), total)

    def take(self, places: Places) -> pa.Table:
        """Return the rows of some places, in that order."""
        groups: dict[tuple[int, int, int], list[int]] = {}
        for index, place in enumerate(places.tolist()):
            groups.setdefault(self._row_group_of(place), []).append(index)
        found: list[pa.Table] = []
        order: list[int] = []
        for (part, group, start), indices in groups.items():
            local = places[indices] - start
            rows = self._until(part, group, int(local.max()) + 1)
            found.append(rows.take(pa.array(local, pa.int64())))
            order += indices
        if not found:
            return self.schema.empty_table()
        return pa.concat_tables(found).take(pa.array(np.argsort(order)))

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
        counted: Counter[str] = Counter()
        for path in self._files:
            counted.update(_counted(path, identity(path)))
        return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))

    def batches(self, asked: Asked) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a selection in the order of the file."""
        for part in self._parts:
            for batch in part.iter_batches():
                kept = batch if asked.is_all else batch.filter(_mask(batch, asked))
                if kept.num_rows:
                    yield kept

    def _selected(self, asked: Asked, offset: int, limit: int) -> tuple[Places, int]:
        name = None if asked.sort is None else asked.sort.removeprefix("-")
        if name is not None and name not in self.schema.names:
            hint = suggestion(name, self.schema.names)
            raise UnknownColumn(f"{asked.set} has no column {name!r}. {hint}", column_name=name)
        wanted = self._needed(asked, name)
        kept: pa.Table | None = None
        total, start, most = 0, 0, offset + limit
        for part in self._searched(asked, name):
            for group in range(part.metadata.num_row_groups):
                if not _ruled_out(part, group, asked):
                    table = part.read_row_group(group, columns=wanted, use_threads=False)
                    mask = _mask(table, asked)
                    places = np.flatnonzero(mask.to_numpy(zero_copy_only=False)) + start
                    total += len(places)
                    found = pa.table({"place": pa.array(places, pa.int64())})
                    if name is not None:
                        found = found.append_column("by", table.column(name).filter(mask))
                    kept = found if kept is None else pa.concat_tables([kept, found])
                    kept = _first(kept, most, asked.sort)
                start += part.metadata.row_group(group).num_rows
        if kept is None:
            return np.empty(0, np.int64), 0
        return np.asarray(kept.column("place").to_numpy()[offset:most], np.int64), total

    def _searched(self, asked: Asked, sort: str | None) -> list[pq.ParquetFile]:
        """Return the files as they are looked through: where a text is sought, with few words."""
        if not asked.q:
            return self._parts
        return [
            self._held.enter_context(opened(path, {*narrow(part.metadata)} - {sort, KEY}))
            for path, part in zip(self._files, self._parts, strict=True)
        ]

    def _needed(self, asked: Asked, sort: str | None) -> list[str]:
        names = {sort} if sort is not None else set()
        if asked.reasons:
            names.add(REASON)
        if asked.keys is not None or asked.without:
            names.add(KEY)
        if asked.q:
            names |= {field.name for field in self.schema if may_hold(field.type, asked.q)}
        return [name for name in self.schema.names if name in names]

    def _until(self, part: int, group: int, end: int) -> pa.Table:
        """Return the first rows of a row group, `end` or more: no more than it takes."""
        file = self._parts[part]
        if 2 * end >= file.metadata.row_group(group).num_rows:
            return file.read_row_group(group)
        found: list[pa.RecordBatch] = []
        for batch in file.iter_batches(batch_size=end, row_groups=[group], use_threads=False):
            found.append(batch)
            if (end := end - batch.num_rows) <= 0:
                break
        return pa.Table.from_batches(found)

    def _row_group_of(self, place: int) -> tuple[int, int, int]:
        """Return part and row group of a row, and the place of the group's first row."""
        start = 0
        for index, part in enumerate(self._parts):
            for group in range(part.metadata.num_row_groups):
                rows = part.metadata.row_group(group).num_rows
                if place < start + rows:
                    return index, group, start
                start += rows
        raise EvidenceGone(f"There is no row {place}.")


def identity(path: Path) -> tuple[int, int]:
    """Return what a file does not share with another one that took its place.

    Raises:
        OSError: there is none.
    """
    found = path.stat()
    return found.st_mtime_ns, found.st_size


def opened(path: Path, repeated: Collection[str | None] = ()) -> pq.ParquetFile:
    """Open a file; what its footer says is kept for the next time.

    Args:
        repeated: columns that are read as a dictionary.

    Raises:
        OSError, pa.ArrowInvalid: it cannot be read.
    """
    footer = _footer(path, identity(path))
    return pq.ParquetFile(
        path, metadata=footer, buffer_size=_BUFFER_BYTES, read_dictionary=list(repeated)
    )


@lru_cache(maxsize=128)
def _footer(path: Path, _identity: tuple[int, int]) -> pq.FileMetaData:
    return pq.read_metadata(path)


@lru_cache(maxsize=1024)
def _counted(path: Path, _identity: tuple[int, int]) -> Mapping[str, int]:
    """Return how many rows of a file have each reason."""
    counted: Counter[str] = Counter()
    with opened(path) as file:
        for batch in file.iter_batches(columns=[REASON]):
            for one in pc.value_counts(batch.column(0)).to_pylist():
                counted[str(one["values"])] += one["counts"]
    return counted


def texts(table: pa.Table) -> list[list[str | None]]:
    """Return rows as texts: amounts with all their digits, times as ISO 8601."""
    columns = [
        [None if value is None else _text(value) for value in column.to_pylist()]
        for column in table.columns
    ]
    return [list(row) for row in zip(*columns, strict=True)] if columns else []


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | list | dict):
        return json.dumps(value, default=str)
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)


def _files(folder: Path, name: str) -> list[Path]:
    """Return the files of a set, as the metadata of the run lists them."""
    metadata = json.loads((folder / METADATA).read_bytes())
    files = [str(file["name"]) for file in metadata["files"]]
    sets = [one.partition(".parquet")[0] for one in files]
    if name not in sets:
        there = ", ".join(sorted({*sets}))
        raise NotFound(f"The run has no rows {name}; it has {there}.", name=name)
    return [folder / file for file, of in zip(files, sets, strict=True) if of == name]


def _mask(table: pa.Table | pa.RecordBatch, asked: Asked) -> pa.Array:
    """Return which rows are asked for."""
    mask = pa.array(np.ones(table.num_rows, np.bool_))
    if asked.reasons:
        if REASON not in table.schema.names:
            return pa.array(np.zeros(table.num_rows, np.bool_))
        wanted = pa.array(asked.reasons, pa.string())
        mask = pc.and_(mask, _one(pc.is_in(table.column(REASON), value_set=wanted)))
    if asked.keys is not None:
        mask = pc.and_(mask, _is_in(table, asked.keys))
    if asked.without:
        mask = pc.and_not(mask, _is_in(table, asked.without))
    if asked.q:
        mask = pc.and_(mask, holding(table, asked.q))
    return mask


def _is_in(table: pa.Table | pa.RecordBatch, keys: Sequence[str]) -> pa.Array:
    if KEY not in table.schema.names:
        return pa.array(np.zeros(table.num_rows, np.bool_))
    return _one(pc.is_in(table.column(KEY), value_set=pa.array(keys, pa.string())))


def _one(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _first(kept: pa.Table, most: int, sort: str | None) -> pa.Table:
    """Return the first rows of an order, in that order; equal ones as they lie in the file."""
    if sort is None:
        return kept.slice(0, most)
    order = "descending" if sort.startswith("-") else "ascending"
    keys = [("by", order), ("place", "ascending")]
    return kept.take(pc.sort_indices(kept, sort_keys=keys)[:most])  # nulls last


def _ruled_out(part: pq.ParquetFile, group: int, asked: Asked) -> bool:
    """Whether a row group's statistics say that none of its rows has a reason asked for."""
    if not asked.reasons:
        return False
    row_group = part.metadata.row_group(group)
    for index in range(row_group.num_columns):
        column = row_group.column(index)
        found = column.statistics
        if column.path_in_schema == REASON and found is not None and found.has_min_max:
            return all(not found.min <= code <= found.max for code in asked.reasons)
    return False
