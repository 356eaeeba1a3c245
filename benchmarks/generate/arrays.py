"""Arrow arrays out of numpy integers, without a Python object per row."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.generate.randomness import Bools, Ints
from benchmarks.shapes import Columns, decimal_digits

MONEY = pa.decimal128(12, 2)


def arrow_schema(columns: Columns) -> pa.Schema:
    """Return the Arrow schema of columns as `shapes` spells them."""
    return pa.schema([(name, _arrow_type(type_)) for name, type_ in columns.items()])


def numbered(prefix: str, numbers: Ints, digits: int) -> pa.Array:
    """Return text as `INV-000000042`: ASCII prefix, then the number with leading zeros.

    `digits` is at most 12; higher digits of a longer number are cut off.
    """
    rows, lead = len(numbers), len(prefix)
    text = np.empty((rows, lead + digits), dtype=np.uint8)
    text[:, :lead] = np.frombuffer(prefix.encode(), dtype=np.uint8)
    text[:, lead:] = _twelve_digits(numbers)[:, 12 - digits :]
    offsets = np.arange(rows + 1, dtype=np.int32) * np.int32(lead + digits)
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(text))


def money(cents: Ints) -> pa.Array:
    """Return cents as decimal(12, 2)."""
    return decimal(cents, MONEY)


def decimal(unscaled: Ints, type_: pa.DataType) -> pa.Array:
    """Return a Decimal128 array of `type_` from unscaled integers that fit its precision."""
    words = np.empty((len(unscaled), 2), dtype="<i8")
    words[:, 0] = unscaled
    words[:, 1] = unscaled >> 63
    return pa.Decimal128Array.from_buffers(type_, len(unscaled), [None, pa.py_buffer(words)])


def dates(days: Ints) -> pa.Array:
    """Return days since 1970-01-01 as date32."""
    return pa.array(days.astype(np.int32)).cast(pa.date32())


def chosen(words: Sequence[str | None], positions: Ints) -> pa.Array:
    """Return the word at each position, as text."""
    return _word_array(tuple(words)).take(pa.array(positions))


def emptied(array: pa.Array, where: Bools) -> pa.Array:
    """Return `array` with null wherever `where` is true."""
    return pc.if_else(pa.array(~where), array, pa.scalar(None, array.type))


def either(where: Bools, yes: pa.Array, no: pa.Array) -> pa.Array:
    """Return `yes` where true, else `no`, row by row."""
    return pc.if_else(pa.array(where), yes, no)


def _arrow_type(type_: str) -> pa.DataType:
    digits = decimal_digits(type_)
    if digits is not None:
        return pa.decimal128(*digits)
    return {"text": pa.string(), "date": pa.date32(), "int64": pa.int64()}[type_]


def _twelve_digits(numbers: Ints) -> npt.NDArray[np.uint8]:
    upper, low = np.divmod(numbers, 10_000)
    high, middle = np.divmod(upper, 10_000)
    digits = np.empty((len(numbers), 3), dtype=np.uint32)
    table = _four_digits()
    digits[:, 0] = table[high % 10_000]
    digits[:, 1] = table[middle]
    digits[:, 2] = table[low]
    return digits.view(np.uint8)


@lru_cache(maxsize=1)
def _four_digits() -> npt.NDArray[np.uint32]:
    # Four ASCII bytes in one integer: read and written in the machine's own order, so the
    # bytes come out alike whatever that order is.
    return np.array([f"{number:04d}" for number in range(10_000)], dtype="S4").view(np.uint32)


@lru_cache(maxsize=64)
def _word_array(words: tuple[str | None, ...]) -> pa.Array:
    return pa.array(words, pa.string())
