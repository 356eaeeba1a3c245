"""Compared columns: which differ in a pair, and how often they do in all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.engine.passes.found import Looked, Piece
from kalla_core.engine.rows import Bools, Ints
from kalla_core.evidence.keys import value_text
from kalla_core.evidence.schema import DIFFERENCES_FIELD
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.column_types import MAX_DECIMAL128_DIGITS, MAX_DECIMAL_DIGITS
from kalla_core.recipe.passes import Compared

_EXAMPLES = 3
_STRUCT = DIFFERENCES_FIELD.type.value_type
_INTEGER_DIGITS = 20
_NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


@dataclass
class _Count:
    equal: int = 0
    different: int = 0
    null_against_value: int = 0
    largest: Any = None
    examples: list[dict[str, str | None]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Differing:
    """The pairs of a piece in which a column differs: their places, and the texts of both sides."""

    at: Ints
    shown: str
    left: pa.Array
    right: pa.Array


class Comparing:
    """Compares the columns of a recipe in pairs that are matched."""

    def __init__(self, compared: Sequence[Compared], looked: Looked) -> None:
        self._compared = compared
        self._looked = looked
        self._counts = [_Count() for _ in compared]

    def of(
        self, piece: Piece, left_key: pa.Array, right_key: pa.Array, *, counts: bool
    ) -> pa.Array:
        """Return the differences of pairs, a list each; empty where there are none.

        Args:
            counts: these pairs are matches, and count.
        """
        differ: list[_Differing] = []
        for number, one in enumerate(self._compared):
            left, right = (
                piece.looked(self._looked.place(side, name))
                for side, name in ((Side.LEFT, one.left), (Side.RIGHT, one.right))
            )
            equal, distance = _equal(left, right, one.tolerance)
            at = np.flatnonzero(~equal)
            which = pa.array(at)
            shown = one.left if one.left == one.right else f"{one.left} / {one.right}"
            texts = (value_text(left.take(which)), value_text(right.take(which)))
            differ.append(_Differing(at, shown, *texts))
            if counts:
                count = self._counts[number]
                count.equal += len(equal) - len(at)
                if distance is not None:
                    distance = distance.take(which)
                keys = (left_key.take(which), right_key.take(which))
                _count(count, differ[-1], distance, keys)
        return _lists(differ, piece.count)

    def documents(self) -> tuple[dict[str, Any], ...]:
        """Return what was counted of each compared column."""
        return tuple(
            {
                "left": one.left,
                "right": one.right,
                "tolerance": None if one.tolerance is None else str(one.tolerance),
                "equal": count.equal,
                "different": count.different,
                "null_against_value": count.null_against_value,
                "largest_difference": None if count.largest is None else _number(count.largest),
                "examples": count.examples,
            }
            for one, count in zip(self._compared, self._counts, strict=True)
        )


def _count(
    count: _Count,
    differ: _Differing,
    distance: pa.Array | None,
    keys: tuple[pa.Array, pa.Array],
) -> None:
    """Count pairs that differ; all arguments are of these alone."""
    texts = (differ.left, differ.right)
    count.different += len(differ.at)
    lone = pc.xor(*(text.is_null() for text in texts))
    count.null_against_value += pc.sum(lone.cast(pa.int64())).as_py() or 0
    if distance is not None:
        largest = pc.max(distance).as_py()
        if largest is not None:
            count.largest = largest if count.largest is None else max(count.largest, largest)
    if len(differ.at):
        rows = pa.table([*keys, *texts], names=["left_key", "right_key", "left", "right"])
        known = rows.sort_by([("left_key", "ascending"), ("right_key", "ascending")])
        merged = [*count.examples, *known.slice(0, _EXAMPLES).to_pylist()]
        merged.sort(key=lambda one: (one["left_key"] or "", one["right_key"] or ""))
        count.examples = merged[:_EXAMPLES]


def _number(value: object) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _equal(
    left: pa.Array, right: pa.Array, tolerance: Decimal | None
) -> tuple[Bools, pa.Array | None]:
    """Return which values are equal, and how far numbers are apart.

    Null equals null, and NaN equals NaN.
    """
    distance = None
    if _is_number(left.type) and _is_number(right.type):
        one, other = _numbers(left, right)
        distance = pc.abs(pc.subtract(one, other))
        same = pc.equal(one, other)
        if tolerance is not None:
            most = pa.scalar(tolerance) if pa.types.is_decimal(one.type) else float(tolerance)
            same = pc.or_(same, pc.less_equal(distance, most))
        if pa.types.is_floating(one.type):
            same = pc.or_(same, pc.and_(pc.is_nan(one), pc.is_nan(other)))
    else:
        same = pc.equal(*_alike(left, right))
    both_null = pc.and_(left.is_null(), right.is_null())
    equal = pc.or_(same.fill_null(False), both_null)
    return equal.to_numpy(zero_copy_only=False), distance


def _alike(left: pa.Array, right: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return values as what compares exactly: moments in their finer unit, else as they are."""
    if left.type == right.type and not pa.types.is_nested(left.type):
        return left, right
    kinds = (left.type, right.type)
    if all(pa.types.is_date(kind) or pa.types.is_timestamp(kind) for kind in kinds):
        return _moment(left), _moment(right)
    return value_text(left), value_text(right)


def _moment(values: pa.Array) -> pa.Array:
    """Return dates and timestamps as counts of nanoseconds, of so many digits that all fit."""
    kind = values.type
    unit = kind.unit if pa.types.is_timestamp(kind) else "s"
    ticks = values.cast(pa.timestamp(unit)).cast(pa.int64()).cast(pa.decimal128(20, 0))
    return pc.multiply(ticks, pa.scalar(_NANOSECONDS[unit], pa.decimal128(10, 0)))


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_decimal(kind) or pa.types.is_floating(kind)
    )


def _numbers(left: pa.Array, right: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return numbers as decimals that hold both exactly; as doubles where one is a double."""
    if pa.types.is_floating(left.type) or pa.types.is_floating(right.type):
        return left.cast(pa.float64()), right.cast(pa.float64())
    scale = max(_scale(left.type), _scale(right.type))
    digits = scale + max(_digits(left.type), _digits(right.type)) + 1  # one more to subtract in
    wide = (
        pa.decimal128(digits, scale)
        if digits < MAX_DECIMAL128_DIGITS
        else pa.decimal256(MAX_DECIMAL_DIGITS - 1, scale)
    )
    return _wide(left, wide), _wide(right, wide)


def _wide(values: pa.Array, wide: pa.DataType) -> pa.Array:
    if pa.types.is_integer(values.type):
        values = values.cast(pa.decimal128(20, 0))
    return values.cast(wide)


def _scale(kind: pa.DataType) -> int:
    return kind.scale if pa.types.is_decimal(kind) else 0


def _digits(kind: pa.DataType) -> int:
    """Return how many digits a number has before the point, at most."""
    return int(kind.precision - kind.scale) if pa.types.is_decimal(kind) else _INTEGER_DIGITS


def _lists(differ: Sequence[_Differing], count: int) -> pa.Array:
    """Return a list for each pair of the columns that differ in it."""
    nothing = pa.array([], pa.string())
    owner = np.concatenate([np.zeros(0, np.int64), *(one.at for one in differ)])
    order = pa.array(np.argsort(owner, kind="stable"))
    counts = np.bincount(owner, minlength=count)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    columns = (
        [pa.repeat(one.shown, len(one.at)) for one in differ],
        [one.left for one in differ],
        [one.right for one in differ],
    )
    arrays = [pa.concat_arrays([nothing, *some]).take(order) for some in columns]
    structs = pa.StructArray.from_arrays(arrays, fields=list(_STRUCT))
    return pa.ListArray.from_arrays(pa.array(offsets), structs)
