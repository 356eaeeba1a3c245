"""Rows of a large table, chosen so that partners on the other side are chosen as well.

Two random samples of 1 % share 0.01 % of the pairs. So a row is kept for its values, not by chance:
of each column that may be a key, what is essential of a value (its last run of digits, or its
letters) is hashed, and the row is kept if a hash is below a bound. Both sides have the same bound.
Amounts count by their absolute value, so that partners without any key are met too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.functions.references import normalised

MAX_ROWS = 20_000
_WIDTH = 16
_BATCH_ROWS = 50_000
_FEWEST_DISTINCT = 20
_WHOLE = 1 << 62

Hashes = npt.NDArray[np.int64]


class Sampler:
    """Takes batches of one side, and keeps the rows with the least hashes.

    Memory is bounded: at most three times `most` rows and one batch.
    """

    def __init__(self, schema: pa.Schema, most: int = MAX_ROWS) -> None:
        self._schema, self._most = schema, most
        self._kept: list[tuple[pa.Table, Hashes]] = []
        self._rows = 0
        self._columns: tuple[str, ...] | None = None
        self.bound = _WHOLE
        """Hashes below it are kept; the whole range means that all rows are."""

    def add(self, batch: pa.RecordBatch) -> None:
        """Take some rows."""
        table = pa.Table.from_batches([batch])
        if self._columns is None:
            self._columns = sampled_columns(table)
        hashes = least_hashes(table, self._columns)
        here = hashes < self.bound
        self._kept.append((table.filter(pa.array(here)), hashes[here]))
        self._rows += int(here.sum())
        while self._rows > 2 * self._most:
            self.tighten(self.bound // 2)

    def tighten(self, bound: int) -> None:
        """Let go of rows whose hashes are not below a bound."""
        self.bound = bound
        kept = []
        for table, hashes in self._kept:
            here = hashes < bound
            kept.append((table.filter(pa.array(here)), hashes[here]))
        self._kept = [one for one in kept if len(one[1])]
        self._rows = sum(len(one[1]) for one in self._kept)

    @property
    def rows(self) -> int:
        """How many rows are kept."""
        return self._rows

    def table(self) -> pa.Table:
        """Return what is kept, in the order in which it came."""
        return pa.concat_tables([table for table, _ in self._kept] or [self._schema.empty_table()])


def agreed(left: Sampler, right: Sampler, most: int = MAX_ROWS) -> tuple[pa.Table, pa.Table]:
    """Return the samples of both sides under one bound, at most so many rows each."""
    bound = min(left.bound, right.bound)
    while True:
        for one in (left, right):
            if one.bound > bound:
                one.tighten(bound)
        if max(left.rows, right.rows) <= most:
            return left.table(), right.table()
        bound = bound // 4 * 3


def sampled(left: pa.Table, right: pa.Table, most: int = MAX_ROWS) -> tuple[pa.Table, pa.Table]:
    """Return samples of two tables; the tables themselves where they are small enough."""
    if max(len(left), len(right)) <= most:
        return left, right
    samplers = []
    for table in (left, right):
        one = Sampler(table.schema, most)
        for batch in table.to_batches(max_chunksize=_BATCH_ROWS):
            one.add(batch)
        samplers.append(one)
    return agreed(samplers[0], samplers[1], most)


def sampled_columns(table: pa.Table) -> tuple[str, ...]:
    """Return the columns whose values may bring rows together: texts and numbers that vary."""
    return tuple(
        name for name in table.column_names
        if _hashable(table.column(name).type)
        and pc.count_distinct(table.column(name)).as_py() >= min(_FEWEST_DISTINCT, len(table))
    )  # fmt: skip


def least_hashes(table: pa.Table, columns: Sequence[str]) -> Hashes:
    """Return of each row the least hash among its columns; `2**62 - 1` where all are null."""
    least = np.full(len(table), _WHOLE - 1)
    for name in columns:
        least = np.minimum(least, _hashed(table.column(name)))
    return least


def _hashable(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind)
        or pa.types.is_floating(kind)
    )  # fmt: skip


def _hashed(column: pa.ChunkedArray) -> Hashes:
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    texts = _essence(encoded.dictionary)
    ascii_only = pc.replace_substring_regex(texts, r"[^\x00-\x7f]", "?")
    padded = pc.utf8_rpad(pc.utf8_slice_codeunits(ascii_only, 0, _WIDTH), _WIDTH)
    raw = b"".join(padded.cast(pa.binary()).to_pylist())
    words = np.frombuffer(raw, dtype=np.uint64).reshape(-1, 2)
    mixed = words[:, 0] * np.uint64(0x9E3779B97F4A7C15) ^ (
        words[:, 1] * np.uint64(0xC2B2AE3D27D4EB4F)
    )
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(32)
    hashes = np.append((mixed >> np.uint64(2)).astype(np.int64), _WHOLE - 1)
    found: Hashes = hashes[pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)]
    return found


def _essence(unique: pa.Array) -> pa.Array:
    """Return what is the same of values that are written differently."""
    kind = unique.type
    if pa.types.is_string(kind):
        texts = normalised(unique)
        digits = pc.struct_field(pc.extract_regex(texts, r"(?P<run>[0-9]{3,})[^0-9]*$"), [0])
        return pc.coalesce(digits, texts)
    if pa.types.is_integer(kind):
        return pc.utf8_ltrim(unique.cast(pa.string()), "-")
    numbers = unique.cast(pa.float64())
    cents = np.rint(np.abs(np.nan_to_num(numbers.to_numpy(zero_copy_only=False))) * 100)
    return pa.array(np.minimum(cents, 9e15).astype(np.int64)).cast(pa.string())
