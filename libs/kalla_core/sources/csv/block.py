"""Bytes of whole records become one Arrow batch.

Arrow's reader parses them, with all types given. Two kinds of column it first reads as text:
integers, to be sure that nothing but digits was written (and, where the type was told from a
sample, nothing but canonical digits: `00123` must not turn into 123), and decimals of more than
38 digits, which it cannot read itself.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from kalla_core.sources.csv.dialect import BOM, Dialect

_TRUE = ["true", "True", "TRUE"]
_FALSE = ["false", "False", "FALSE"]
_LARGEST_DIGIT = ord("9")
_POWERS = [10**digits for digits in range(19)]


class BlockParser:
    """Parses blocks of one source. Safe to use from several threads.

    Args:
        schema: all columns of the file, in its order, with the types wanted.
        dialect: how the file is written.
        canonical: integer columns in which only canonical digits are allowed.
        only: the columns to return, in the file's order; None for all.
    """

    def __init__(
        self,
        schema: pa.Schema,
        dialect: Dialect,
        canonical: Collection[str] = (),
        only: Collection[str] | None = None,
    ) -> None:
        names = schema.names if only is None else [name for name in schema.names if name in only]
        self.file_schema = schema
        self.schema = pa.schema([schema.field(name) for name in names])
        self.canonical = frozenset(canonical)
        self._late = [
            (index, field) for index, field in enumerate(self.schema) if _reads_as_text(field.type)
        ]
        self._names = schema.names
        self._parse = pyarrow.csv.ParseOptions(delimiter=dialect.delimiter)
        self._convert = pyarrow.csv.ConvertOptions(
            column_types={
                field.name: pa.string() if _reads_as_text(field.type) else field.type
                for field in schema
            },
            include_columns=names,
            null_values=list(dialect.nulls),
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=_TRUE,
            false_values=_FALSE,
        )

    def parse(self, block: pa.Buffer) -> pa.RecordBatch:
        """Return the rows of a block that begins and ends with whole records.

        Raises:
            pyarrow.ArrowInvalid: a record with another number of columns, or a value that does
                not fit its type.
        """
        if bytes(memoryview(block)[: len(BOM)]) == BOM:
            block = pa.py_buffer(b"\n" + block.to_pybytes())  # or Arrow would drop it
        table = pyarrow.csv.read_csv(
            pa.BufferReader(block),
            read_options=pyarrow.csv.ReadOptions(
                use_threads=False, column_names=self._names, block_size=max(block.size, 1)
            ),
            parse_options=self._parse,
            convert_options=self._convert,
        )
        arrays = [_one_chunk(column) for column in table.columns]
        for index, field in self._late:
            arrays[index] = self._typed(arrays[index], field)
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _typed(self, texts: pa.StringArray, field: pa.Field) -> pa.Array:
        values = pc.cast(texts, field.type)
        if pa.types.is_integer(field.type):
            check_digits(texts, values, canonical=field.name in self.canonical)
        return values


def _reads_as_text(column_type: pa.DataType) -> bool:
    return bool(pa.types.is_integer(column_type) or pa.types.is_decimal256(column_type))


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def check_digits(texts: pa.StringArray, values: pa.Int64Array, *, canonical: bool) -> None:
    """Check that integers were written in digits; if `canonical`, in as few as possible.

    No canonical text is longer than another of the same number, so the texts are canonical if
    all of them together are as long as they would be.
    """
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    if len(ends) == 0 or ends[0] == ends[-1]:
        return
    written = np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]
    if written.max() > _LARGEST_DIGIT:  # Arrow reads 0x10, too
        raise pa.ArrowInvalid("integers are written in digits")
    if canonical and len(written) != _canonical_bytes(values):
        raise pa.ArrowInvalid("integers are written without leading zeros")


def _canonical_bytes(values: pa.Int64Array) -> int:
    """Return how many bytes the values take when written canonically, NULL none."""
    numbers = values.drop_null().to_numpy(zero_copy_only=False)
    negative = int(np.count_nonzero(numbers < 0))
    sizes = np.abs(numbers)
    smallest, largest = int(sizes.min()), int(sizes.max())
    total = len(numbers) + negative
    for power in _POWERS[1:]:
        if power > largest:
            break
        total += len(numbers) if power <= smallest else int(np.count_nonzero(sizes >= power))
    return total
