"""Amounts as whole numbers of one unit: what is added up and compared without a fraction."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.assignment.components import Ints

LARGEST = 1 << 62
_DIGITS_OF_64_BITS = 18


class TooWide(ValueError):
    """Values have more digits than are reckoned with."""


def minor_units(values: pa.Array, scale: int) -> Ints:
    """Return whole numbers or decimals as so many of the unit of `scale` decimals; none is null.

    Args:
        scale: as many as the values have, or more.

    Raises:
        TooWide: a value has 18 digits or more in that unit.
    """
    kind = values.type
    own = kind.scale if pa.types.is_decimal(kind) else 0
    fits = pa.types.is_decimal128(kind) and kind.precision <= _DIGITS_OF_64_BITS
    if fits and own == scale and len(values):
        words = np.frombuffer(values.buffers()[1], dtype=np.int64)
        low: Ints = words[2 * values.offset : 2 * (values.offset + len(values)) : 2]
        return low.copy()
    try:
        wide = values.cast(pa.decimal128(38, own)).cast(pa.decimal256(56, own))
        shift = pa.scalar(Decimal(10) ** scale, pa.decimal256(19, 0))
        whole = pc.multiply(wide, shift)
        numbers: Ints = whole.cast(pa.decimal256(76, 0)).cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid as error:
        raise TooWide from error
    # The least machine word has no absolute value.
    if len(numbers) and (numbers.max() >= LARGEST or numbers.min() <= -LARGEST):
        raise TooWide
    return numbers


def amount_text(units: int, scale: int) -> str:
    """Return an amount that is so many of a unit of `scale` decimals."""
    return f"{Decimal(int(units)).scaleb(-scale):.{scale}f}"
