"""Row groups: how they are shared out among parts, and what their statistics bound."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import pyarrow as pa
import pyarrow.parquet as pq

from kalla_core.sources.filters import Bounds
from kalla_core.sources.protocol import Part

_INDEX_BYTES = 2
_SMALL_DICTIONARY_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class RowGroup:
    """One row group of one file of a source; `size_bytes` is uncompressed."""

    file: int
    index: int
    rows: int
    size_bytes: int


def parts_of(groups: Sequence[RowGroup], parts: int) -> tuple[Part, ...]:
    """Share out row groups, in order, into at most `parts` parts of about equal bytes."""
    filled = [group for group in groups if group.rows]
    total = sum(group.size_bytes for group in filled) or 1
    shares: list[list[RowGroup]] = [[] for _ in range(parts)]
    before = 0
    for group in filled:
        middle = before + group.size_bytes // 2
        shares[min(middle * parts // total, parts - 1)].append(group)
        before += group.size_bytes
    return tuple(_part(index, share) for index, share in enumerate(filter(None, shares)))


def bounds_of(
    metadata: pq.FileMetaData, group: int, columns: Iterable[str], schema: pa.Schema
) -> Bounds:
    """Return the smallest and largest value of columns in a row group, where they are known.

    Floats have none, because statistics leave NaN out; nor have columns whose statistics Arrow
    does not render exactly.
    """
    wanted = set(columns)
    row_group = metadata.row_group(group)
    found = {}
    for index in range(row_group.num_columns):
        column = row_group.column(index)
        name = metadata.schema.column(index).name
        if (
            name not in wanted
            or metadata.schema.column(index).logical_type.type == "UUID"  # kept as bytes
            or name != column.path_in_schema
            or not _is_bounded(schema.field(name).type)
        ):
            continue
        statistics = column.statistics
        if statistics is not None and statistics.has_min_max:
            kind = schema.field(name).type
            found[name] = (pa.scalar(statistics.min, kind), pa.scalar(statistics.max, kind))
    return found


def byte_ranges(
    metadata: pq.FileMetaData, groups: Iterable[int], columns: Collection[str]
) -> tuple[tuple[int, int], ...]:
    """Return where the column chunks lie that reading these row groups takes, ascending."""
    found = []
    for group in groups:
        row_group = metadata.row_group(group)
        for index in range(row_group.num_columns):
            column = row_group.column(index)
            if column.path_in_schema.partition(".")[0] in columns:
                start = column.data_page_offset
                if column.has_dictionary_page and column.dictionary_page_offset:
                    start = min(start, column.dictionary_page_offset)
                found.append((start, start + column.total_compressed_size))
    return tuple(sorted(found))


def few_valued(metadata: pq.FileMetaData) -> list[str]:
    """Return the text columns that repeat few values, by the size of their pages.

    Arrow decodes these much faster as dictionaries, though they are delivered as text.
    """
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    found = []
    for index in range(metadata.num_columns):
        column = metadata.schema.column(index)
        is_plain_text = column.logical_type.type == "STRING" and column.path == column.name
        if is_plain_text and all(_repeats(group.column(index)) for group in groups):
            found.append(column.name)
    return found


def _repeats(column: pq.ColumnChunkMetaData) -> bool:
    if not column.has_dictionary_page:
        return False
    indices = column.num_values * _INDEX_BYTES
    return bool(column.total_uncompressed_size <= indices + _SMALL_DICTIONARY_BYTES)


def _is_bounded(kind: pa.DataType) -> bool:
    types = pa.types
    if types.is_timestamp(kind):
        return str(kind.unit) != "ns"
    return bool(
        types.is_integer(kind)
        or types.is_string(kind)
        or types.is_date32(kind)
        or types.is_decimal(kind)
    )


def _part(index: int, groups: Sequence[RowGroup]) -> Part:
    pieces = [
        {"file": file, "row_groups": [group.index for group in of_file]}
        for file, of_file in groupby(groups, key=lambda group: group.file)
    ]
    return Part(index, {"pieces": pieces}, sum(group.size_bytes for group in groups))
