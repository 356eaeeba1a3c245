"""Columns of exact numbers, read from Arrow arrays without copying where the layout allows.

Everything that is compared becomes one of two things: `Fixed`, whole numbers of some power of
ten (integers, decimals, and instants as seconds), or `Floats`, which stand for the numbers they
print as: the shortest decimal that reads back as the same float.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kalla_core.functions import wide

_WORD_DIGITS = 18  # decimals of so many digits fit a word of 64 bits
_UNIT_SCALE = {"s": 0, "ms": 3, "us": 6, "ns": 9}
_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Fixed:
    """A column of `units` times 10**-scale; the scale may be negative.

    Attributes:
        units: int64 of shape (n,), or rows of two's complement words, least significant first,
            of shape (n, words).
    """

    units: NDArray[np.int64]
    scale: int

    @property
    def rows(self) -> int:
        """Length of the column."""
        return len(self.units)

    @property
    def error(self) -> float:
        """Bound on how far `approximate` is off, as a share of the value."""
        return 2.0**-48

    @property
    def tiny(self) -> float:
        """Bound on how far `approximate` is off beside that; a decimal has no subnormals."""
        return 0.0

    def take(self, rows: NDArray[Any]) -> Fixed:
        """Return the rows chosen by a mask or by positions."""
        return Fixed(self.units[rows], self.scale)

    def narrowed(self) -> Fixed:
        """Return the same numbers in one word each if all fit, else unchanged."""
        if self.units.ndim == 1:
            return self
        low = self.units[:, 0]
        sign = low >> np.int64(63)
        fits = all((self.units[:, word] == sign).all() for word in range(1, self.units.shape[1]))
        return Fixed(low, self.scale) if fits else self

    def is_negative(self) -> NDArray[np.bool_]:
        """Return where the number is below zero."""
        return (self.units if self.units.ndim == 1 else self.units[:, -1]) < 0

    def approximate(self) -> NDArray[np.float64]:
        """Return the doubles near these numbers, never infinite."""
        if self.units.ndim == 1:
            near = self.units.astype(np.float64)
        else:
            near = wide.approximate(self.digits())
        return near / float(10**self.scale) if self.scale > 0 else near * float(10**-self.scale)

    def digits(self) -> wide.Digits:
        """Return the units as integers of any width."""
        return wide.from_words(self.units if self.units.ndim > 1 else self.units[:, np.newaxis])

    def fractions(self) -> list[Fraction]:
        """Return the numbers as Python's, one by one; for few rows only."""
        whole = (int.from_bytes(row.tobytes(), "little", signed=True) for row in self.units)
        return [Fraction(unit) / Fraction(10) ** self.scale for unit in whole]


@dataclass(frozen=True, slots=True)
class Floats:
    """A column of float16, float32 or float64 `values` that mean what they print as."""

    values: NDArray[Any]

    @property
    def rows(self) -> int:
        """Length of the column."""
        return len(self.values)

    @property
    def error(self) -> float:
        """Bound on how far the values are off what they print as, as a share of the value."""
        return float(np.finfo(self.values.dtype).eps)

    @property
    def tiny(self) -> float:
        """Bound on the same for subnormal values, absolute."""
        return float(np.finfo(self.values.dtype).smallest_subnormal)

    def take(self, rows: NDArray[Any]) -> Floats:
        """Return the rows chosen by a mask or by positions."""
        return Floats(self.values[rows])

    def is_negative(self) -> NDArray[np.bool_]:
        """Return where the number is below zero; -0.0 is not, nor is NaN."""
        negative: NDArray[np.bool_] = self.values < 0
        return negative

    def is_finite(self) -> NDArray[np.bool_]:
        """Return where the value is neither NaN nor infinite."""
        finite: NDArray[np.bool_] = np.isfinite(self.values)
        return finite

    def approximate(self) -> NDArray[np.float64]:
        """Return the values as doubles, exactly."""
        return self.values.astype(np.float64)

    def widened(self) -> Floats:
        """Return doubles that print as these values do: 0.1 stays 0.1."""
        if self.values.dtype == np.float64:
            return self
        if self.values.dtype == np.float32:
            text = pc.cast(pa.array(self.values), pa.string())
            return Floats(pc.cast(text, pa.float64()).to_numpy())
        unique, places = np.unique(self.values, return_inverse=True)  # at most 65536 of them
        return Floats(unique.astype(np.str_).astype(np.float64)[places])

    def fractions(self) -> list[Fraction]:
        """Return the numbers as Python's, one by one; for few rows only."""
        return [Fraction(repr(value)) for value in self.widened().values.tolist()]


Numbers = Fixed | Floats


def is_number(data_type: pa.DataType) -> bool:
    """Return whether `of_numbers` reads arrays of this type."""
    kinds = pa.types
    return bool(
        kinds.is_integer(data_type) or kinds.is_decimal(data_type) or kinds.is_floating(data_type)
    )


def of_numbers(array: pa.Array) -> Numbers:
    """Read integers, decimals or floats; slots that are null hold anything."""
    if pa.types.is_floating(array.type):
        return Floats(_view(array, array.type.to_pandas_dtype(), 1)[:, 0])
    return of_decimals(array) if pa.types.is_decimal(array.type) else _of_integers(array)


def of_decimals(array: pa.Array) -> Fixed:
    """Read decimals of any width; slots that are null hold anything."""
    scale = array.type.scale
    if pa.types.is_decimal32(array.type):
        return Fixed(_view(array, np.int32, 1)[:, 0].astype(np.int64), scale)
    words = _view(array, np.int64, array.type.bit_width // 64)
    return Fixed(words[:, 0] if array.type.precision <= _WORD_DIGITS else words, scale)


def _of_integers(array: pa.Array) -> Fixed:
    values = _view(array, array.type.to_pandas_dtype(), 1)[:, 0]
    if array.type != pa.uint64():
        return Fixed(values.astype(np.int64, copy=False), 0)
    low = values.view(np.int64)
    return Fixed(low if (low >= 0).all() else np.column_stack((low, np.zeros_like(low))), 0)


def is_moment(data_type: pa.DataType) -> bool:
    """Return whether `of_moments` reads arrays of this type."""
    return bool(pa.types.is_date(data_type) or pa.types.is_timestamp(data_type))


def of_moments(array: pa.Array) -> Fixed:
    """Read dates, as their midnight, or timestamps, as seconds since 1970; null is anything."""
    if pa.types.is_date32(array.type):
        return Fixed(_view(array, np.int32, 1)[:, 0] * np.int64(_DAY_SECONDS), 0)
    unit = "ms" if pa.types.is_date64(array.type) else array.type.unit
    return Fixed(_view(array, np.int64, 1)[:, 0], _UNIT_SCALE[unit])


def days_in_seconds(rows: int) -> Fixed:
    """Return one day, in seconds, so many times."""
    return Fixed(np.full(rows, _DAY_SECONDS, np.int64), 0)


def _view(array: pa.Array, dtype: Any, width: int) -> NDArray[Any]:
    """Return the values of a fixed-width array, shape (n, width), on the array's own memory."""
    size = np.dtype(dtype).itemsize * width
    buffer = array.buffers()[1]
    if buffer is None or not len(array):
        return np.zeros((len(array), width), dtype)
    flat = np.frombuffer(buffer, dtype, count=len(array) * width, offset=array.offset * size)
    return flat.reshape(len(array), width)
