"""Which rows of a table are asked for. Pure; arrays at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kalla_app.evidence.asked import Asked
from kalla_app.evidence.search import holding
from kalla_core.answers.selection import REASON

Mask = npt.NDArray[np.bool_]

KEY = "record_key"
"""The column that names a row without a partner."""


def wanted(
    table: pa.Table | pa.RecordBatch, asked: Asked, sought: Sequence[str], held: Mask | None = None
) -> Mask:
    """Return which rows are asked for.

    Args:
        sought: columns of the table that may hold the text.
        held: rows that hold it in a column that the table has not.
    """
    mask = np.ones(table.num_rows, np.bool_)
    if asked.reasons:
        mask &= _is_in(table, REASON, asked.reasons)
    if asked.keys is not None:
        mask &= _is_in(table, KEY, asked.keys)
    if asked.without:
        mask &= ~_is_in(table, KEY, asked.without)
    if asked.q:
        found = _plain(holding(table.select(list(sought)), asked.q))
        mask &= found if held is None else found | held
    return mask


def ruled_out(part: pq.ParquetFile, group: int, asked: Asked) -> bool:
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


def _is_in(table: pa.Table | pa.RecordBatch, name: str, values: Sequence[str]) -> Mask:
    if name not in table.schema.names:
        return np.zeros(table.num_rows, np.bool_)
    sought = pa.array(values, pa.string())
    column = table.column(name)
    if not pa.types.is_dictionary(column.type):
        return _plain(pc.is_in(column, value_set=sought))
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    masks = [pc.is_in(one.dictionary, value_set=sought).take(one.indices) for one in chunks]
    return np.concatenate([np.zeros(0, np.bool_), *(_plain(one.fill_null(False)) for one in masks)])


def _plain(mask: pa.Array | pa.ChunkedArray) -> Mask:
    return np.asarray(mask.to_numpy(zero_copy_only=False) if isinstance(mask, pa.Array) else mask)
