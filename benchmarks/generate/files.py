"""Writing rows: CSV with bytes of our own choosing, and Parquet.

`encode` is the costly half and may run on any thread; `write` is called in order.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.shapes import Format


class RowFile(Protocol):
    """A file that takes batches of one schema."""

    def encode(self, batch: pa.RecordBatch) -> Any:
        """Return the batch as `write` wants it."""
        ...

    def write(self, encoded: Any) -> None:
        """Append what `encode` returned."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def open_rows(path: Path, format_: Format, schema: pa.Schema) -> RowFile:
    """Create the file of one side; leaving the context completes it."""
    if format_ is Format.CSV:
        return CsvFile(path, schema)
    return ParquetFile(path, schema)


class CsvFile:
    r"""UTF-8, header, comma, `\n`; quotes only where needed; null is empty, empty text is `""`.

    The bytes depend on the rows alone, not on the batches nor on the version of pyarrow's own
    CSV writer.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._file = path.open("wb")
        self._file.write((",".join(schema.names) + "\n").encode())

    def encode(self, batch: pa.RecordBatch) -> memoryview:
        """Return the lines of the batch."""
        return csv_lines(batch)

    def write(self, encoded: memoryview) -> None:
        """Append lines."""
        self._file.write(encoded)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


class ParquetFile:
    """One row group per batch, snappy, as most writers do it. Also what truth is kept in."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._schema = schema
        self._writer = pq.ParquetWriter(
            path, schema, compression="snappy", use_dictionary=_repetitive(schema)
        )

    def encode(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch: Parquet is encoded as it is written."""
        return batch

    def write(self, encoded: pa.RecordBatch) -> None:
        """Append a row group."""
        self._writer.write_batch(encoded, row_group_size=max(encoded.num_rows, 1))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()


def csv_lines(batch: pa.RecordBatch) -> memoryview:
    """Return the rows as CSV lines, each with its line end; at most 2 GiB."""
    fields = [_field(column) for column in batch.columns]
    fields[-1] = pc.binary_join_element_wise(
        fields[-1], "\n", "", null_handling="replace", null_replacement=""
    )
    lines = pc.binary_join_element_wise(*fields, ",", null_handling="replace", null_replacement="")
    # The values of a text array lie one after the other: they already are the file.
    offsets = np.frombuffer(lines.buffers()[1], dtype=np.int32)
    first, last = offsets[lines.offset], offsets[lines.offset + len(lines)]
    return memoryview(lines.buffers()[2] or b"")[first:last]


def _field(column: pa.Array) -> pa.Array:
    if not pa.types.is_string(column.type):
        return pc.cast(column, pa.string())
    if not _may_need_quotes(column):
        return column
    quoted = pc.binary_join_element_wise('"', pc.replace_substring(column, '"', '""'), '"', "")
    needed = pc.or_(pc.match_substring_regex(column, '[",\r\n]'), pc.equal(column, ""))
    return pc.if_else(needed, quoted, column)


def _may_need_quotes(column: pa.Array) -> bool:
    values = column.buffers()[2]
    text = np.frombuffer(values, dtype=np.uint8) if values else np.empty(0, dtype=np.uint8)
    special = any(bool((text == ord(character)).any()) for character in '",\r\n')
    return special or bool(pc.any(pc.equal(column, "")).as_py())


_UNIQUE = (
    "invoice_id",
    "payment_id",
    "reference_number",
    "bank_reference",
    "left_key",
    "right_key",
)


def _repetitive(schema: pa.Schema) -> list[str]:
    # A dictionary of values that do not repeat is built, found useless and thrown away.
    return [name for name in schema.names if name not in (*_UNIQUE, "record_key")]
