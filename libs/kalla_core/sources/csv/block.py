"""Bytes of whole records become one Arrow batch.

Arrow's reader parses them, with all types given. Some kinds of column it first reads as text:
integers, to be sure that nothing but digits was written (and, where the type was told from a
sample, nothing but canonical digits: `00123` must not turn into 123), decimals of more than 38
digits, which it cannot read itself, and what the source's `format` spells otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from kalla_core.sources.csv.comments import without_comments
from kalla_core.sources.csv.dialect import BOM, TRAILING, UTF8, Dialect
from kalla_core.sources.csv.quick import quick_values

_MANY = 1000
_SMALLEST_DIGIT, _LARGEST_DIGIT = b"09"
_POWERS = [10**digits for digits in range(19)]


class BlockParser:
    """Parses blocks of one source. Safe to use from several threads.

    Args:
        schema: all columns of the file, in its order, with the types wanted.
        dialect: how the file is written.
        canonical: integer columns in which only canonical digits are allowed.
        only: the columns to return, in the file's order; None for all.
        currencies: what the amounts of a column are in, as it is written.
    """

    def __init__(
        self,
        schema: pa.Schema,
        dialect: Dialect,
        canonical: Collection[str] = (),
        only: Collection[str] | None = None,
        currencies: Mapping[str, str] | None = None,
    ) -> None:
        names = schema.names if only is None else [name for name in schema.names if name in only]
        self.file_schema = schema
        self.schema = pa.schema([schema.field(name) for name in names])
        self.canonical = frozenset(canonical)
        self.currencies = currencies or {}
        self._dialect = dialect
        self._late = [
            (index, field)
            for index, field in enumerate(self.schema)
            if self._reads_as_text(field.type)
        ]
        self._names = dialect.columns(schema.names)
        self._parse = dialect.parse_options()
        self._convert = pyarrow.csv.ConvertOptions(
            column_types={
                field.name: pa.binary() if self._reads_as_text(field.type) else field.type
                for field in schema
            }
            | {TRAILING: pa.null()},
            include_columns=dialect.columns(names),
            null_values=list(dialect.nulls),
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=list(dialect.spelling.true_words),
            false_values=list(dialect.spelling.false_words),
        )

    def parse(self, block: pa.Buffer) -> pa.RecordBatch:
        """Return the rows of a block that begins and ends with whole records.

        Raises:
            pyarrow.ArrowInvalid: a record with another number of columns, a value that does not fit
                its type, or bytes that are none of the encoding.
        """
        block = self._prepared(block)
        table = pyarrow.csv.read_csv(
            pa.BufferReader(block),
            read_options=pyarrow.csv.ReadOptions(
                use_threads=False, column_names=self._names, block_size=max(block.size, 1)
            ),
            parse_options=self._parse,
            convert_options=self._convert,
        )
        arrays = [_one_chunk(table.column(name)) for name in self.schema.names]
        for index, field in self._late:
            arrays[index] = self._typed(arrays[index].view(pa.string()), field)
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def typed(self, rows: pa.Table) -> pa.RecordBatch:
        """Return the rows of a block whose texts are at hand, as `parse` does.

        Args:
            rows: the block's columns as binary in UTF-8; the types of all but text were told from
                them.

        Raises:
            pyarrow.ArrowInvalid: a value does not fit its type.
        """
        arrays = [self._told(_one_chunk(rows.column(one.name)), one) for one in self.schema]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _told(self, written: pa.Array, field: pa.Field) -> pa.Array:
        texts = written.view(pa.string())
        if self._reads_as_text(field.type):
            return self._typed(texts, field)
        if pa.types.is_null(field.type):
            return pa.nulls(len(texts))
        if pa.types.is_boolean(field.type):
            words = pa.array(self._dialect.spelling.true_words, pa.string())
            return pc.if_else(texts.is_valid(), pc.is_in(texts, words), None)
        return pc.cast(texts, field.type)

    def _prepared(self, block: pa.Buffer) -> pa.Buffer:
        if self._dialect.comment is not None:
            block = pa.py_buffer(without_comments(block, self._dialect))
        if self._dialect.encoding != UTF8:
            try:
                text = block.to_pybytes().decode(self._dialect.encoding)
            except UnicodeDecodeError as cause:
                raise pa.ArrowInvalid(str(cause)) from cause
            block = pa.py_buffer(text.encode())
        if bytes(memoryview(block)[: len(BOM)]) == BOM:
            block = pa.py_buffer(b"\n" + block.to_pybytes())  # or Arrow would drop it
        return block

    def _reads_as_text(self, wanted: pa.DataType) -> bool:
        rewritten = self._dialect.spelling.rewrites(wanted)
        return bool(rewritten or pa.types.is_integer(wanted) or pa.types.is_decimal256(wanted))

    def _typed(self, texts: pa.StringArray, field: pa.Field) -> pa.Array:
        if pa.types.is_integer(field.type) and _are_digits(texts):
            with suppress(pa.ArrowInvalid):  # which the patterns say better
                return self._checked(texts, field)
        found = quick_values(
            texts,
            self._dialect.spelling,
            field.type,
            self.currencies.get(field.name),
            canonical=field.name in self.canonical,
        )
        if found is None:
            return self._by_patterns(texts, field)
        values, left = found
        if not left.any():
            return values
        some = pa.array(left)
        return pc.replace_with_mask(values, some, self._by_patterns(texts.filter(some), field))

    def _by_patterns(self, texts: pa.StringArray, field: pa.Field) -> pa.Array:
        texts = texts.view(pa.binary()).cast(pa.string())  # which nobody has checked so far
        if _is_moment(field.type) and (some := _distinct(texts)) is not None:
            return self._by_patterns(some.dictionary, field).take(some.indices)
        if self._dialect.spelling.rewrites(field.type):
            nulls = texts.null_count
            currency = self.currencies.get(field.name)
            texts = self._dialect.spelling.rewritten(texts, field.type, currency)
            if texts.null_count != nulls:
                raise pa.ArrowInvalid("a value is not written as the format says")
        return self._checked(texts, field)

    def _checked(self, texts: pa.StringArray, field: pa.Field) -> pa.Array:
        values = pc.cast(texts, field.type)
        if pa.types.is_integer(field.type):
            check_digits(texts, values, canonical=field.name in self.canonical)
        return values


def _is_moment(wanted: pa.DataType) -> bool:
    return bool(pa.types.is_date(wanted) or pa.types.is_timestamp(wanted))


def _distinct(texts: pa.StringArray) -> pa.DictionaryArray | None:
    """Return texts by their distinct values, where these are few: days of some years are."""
    if len(texts) < _MANY:
        return None
    found = texts.dictionary_encode()
    return found if len(found.dictionary) * 4 < len(texts) else None


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def check_digits(texts: pa.StringArray, values: pa.Int64Array, *, canonical: bool) -> None:
    """Check that integers were written in digits; if `canonical`, in as few as possible.

    No canonical text is longer than another of the same number, so the texts are canonical if
    all of them together are as long as they would be.
    """
    written = _letters(texts)
    if not len(written):
        return
    if written.max() > _LARGEST_DIGIT:  # Arrow reads 0x10, too
        raise pa.ArrowInvalid("integers are written in digits")
    if canonical and len(written) != _canonical_bytes(values):
        raise pa.ArrowInvalid("integers are written without leading zeros")


def _are_digits(texts: pa.StringArray) -> bool:
    """Whether nothing but digits is written; a sign would be somebody else's to judge."""
    written = _letters(texts)
    return bool(
        len(written) and written.min() >= _SMALLEST_DIGIT and written.max() <= _LARGEST_DIGIT
    )


def _letters(texts: pa.StringArray) -> npt.NDArray[np.uint8]:
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    if len(ends) == 0 or ends[0] == ends[-1]:
        return np.empty(0, np.uint8)
    return np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]


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
