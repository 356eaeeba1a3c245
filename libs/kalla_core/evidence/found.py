"""Rows of a Parquet file found by the text in one of its columns.

Texts of evidence are in no order and have no statistics, so the column is read from one end to the
other: a row group of it at a time, and all columns only of the row groups that have such a row. Of
ten million keys that takes half a second of one core.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kalla_core.evidence.rows import fitting, unfolded


def rows_where(
    file: pq.ParquetFile, schema: pa.Schema, column: str, wanted: pa.Array, limit: int
) -> Iterator[pa.RecordBatch]:
    """Yield the first rows whose text in `column` is one of `wanted`, `limit` at most."""
    for number in range(file.metadata.num_row_groups):
        hits = pc.is_in(_texts(file, number, column), value_set=wanted)
        count = pc.sum(hits).as_py() or 0
        if not count:
            continue
        for rows in _rows(file, schema, number, hits):
            yield rows.slice(0, limit)
            limit -= rows.num_rows
            if limit <= 0:
                return


def alike(file: pq.ParquetFile, column: str, text: str) -> str | None:
    """Return a text of a column that is `text` but for case and blanks around it, if any."""
    plain = pc.utf8_lower(pa.scalar(text.strip()))
    for number in range(file.metadata.num_row_groups):
        texts = _texts(file, number, column)
        hits = pc.equal(pc.utf8_lower(pc.utf8_trim_whitespace(texts)), plain)
        found = texts.filter(hits.fill_null(False))
        if len(found):
            return str(found[0].as_py())
    return None


def _texts(file: pq.ParquetFile, number: int, column: str) -> pa.ChunkedArray:
    texts = file.read_row_group(number, columns=[column]).column(column)
    return texts.cast(pa.string())


def _rows(
    file: pq.ParquetFile, schema: pa.Schema, number: int, hits: pa.ChunkedArray
) -> Iterator[pa.RecordBatch]:
    group = file.metadata.row_group(number)
    most = fitting(group.total_byte_size / max(group.num_rows, 1))
    last = pc.indices_nonzero(hits)[-1].as_py()
    start = 0
    for batch in file.iter_batches(most, row_groups=[number]):
        mask = hits.slice(start, batch.num_rows).combine_chunks()
        start += batch.num_rows
        found = batch.filter(mask)
        if found.num_rows:
            yield unfolded(found, schema)
        if start > last:
            return
