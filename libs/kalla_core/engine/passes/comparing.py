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
from kalla_core.evidence.keys import value_text
from kalla_core.evidence.schema import DIFFERENCES_FIELD
from kalla_core.matching.query import Side
from kalla_core.recipe.passes import Compared

_EXAMPLES = 3
_STRUCT = DIFFERENCES_FIELD.type.value_type


@dataclass
class _Count:
    equal: int = 0
    different: int = 0
    null_against_value: int = 0
    largest: Any = None
    examples: list[dict[str, str | None]] = field(default_factory=list)


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
        differ = []
        for number, one in enumerate(self._compared):
            values = [
                piece.looked(self._looked.place(side, name))
                for side, name in ((Side.LEFT, one.left), (Side.RIGHT, one.right))
            ]
            texts = [value_text(column) for column in values]
            equal, distance = _equal(values[0], values[1], one.tolerance)
            differ.append((~equal, texts, f"{one.left}" if one.left == one.right else one))
            if counts:
                keys = (left_key, right_key)
                self._count(self._counts[number], equal, distance, values, texts, keys)
        return _lists(differ, piece.count)

    def _count(
        self,
        count: _Count,
        equal: np.ndarray[Any, np.dtype[np.bool_]],
        distance: pa.Array | None,
        values: Sequence[pa.Array],
        texts: Sequence[pa.Array],
        keys: tuple[pa.Array, pa.Array],
    ) -> None:
        count.equal += int(equal.sum())
        count.different += int((~equal).sum())
        lone = pc.xor(values[0].is_null(), values[1].is_null())
        count.null_against_value += pc.sum(lone.cast(pa.int64())).as_py() or 0
        if distance is not None:
            largest = pc.max(distance.filter(pa.array(~equal))).as_py()
            if largest is not None:
                count.largest = largest if count.largest is None else max(count.largest, largest)
        fresh = np.flatnonzero(~equal)
        if len(fresh):
            rows = pa.table([*keys, *texts], names=["left_key", "right_key", "left", "right"]).take(
                pa.array(fresh)
            )
            known = rows.sort_by([("left_key", "ascending"), ("right_key", "ascending")])
            merged = [*count.examples, *known.slice(0, _EXAMPLES).to_pylist()]
            merged.sort(key=lambda one: (one["left_key"] or "", one["right_key"] or ""))
            count.examples = merged[:_EXAMPLES]

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


def _number(value: object) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _equal(
    left: pa.Array, right: pa.Array, tolerance: Decimal | None
) -> tuple[np.ndarray[Any, np.dtype[np.bool_]], pa.Array | None]:
    """Return which values are equal, null being equal to null; and how far numbers are apart."""
    one, other, distance = left, right, None
    if _is_number(left.type) and _is_number(right.type):
        one, other = _numbers(left, right)
        distance = pc.abs(pc.subtract(one, other))
        same = pc.equal(one, other)
        if tolerance is not None:
            most = pa.scalar(tolerance) if pa.types.is_decimal(one.type) else float(tolerance)
            same = pc.less_equal(distance, most)
    elif left.type != right.type and not _is_text(left.type):
        one, other = left.cast(pa.timestamp("us")), right.cast(pa.timestamp("us"))
        same = pc.equal(one, other)
    else:
        one, other = value_text(left), value_text(right)
        same = pc.equal(one, other)
    both_null = pc.and_(left.is_null(), right.is_null())
    equal = pc.or_(same.fill_null(False), both_null)
    return equal.to_numpy(zero_copy_only=False), distance


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_decimal(kind) or pa.types.is_floating(kind)
    )


def _is_text(kind: pa.DataType) -> bool:
    return not (pa.types.is_temporal(kind) or _is_number(kind))


def _numbers(left: pa.Array, right: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return numbers as decimals that hold both exactly; as doubles where one is a double."""
    if pa.types.is_floating(left.type) or pa.types.is_floating(right.type):
        return left.cast(pa.float64()), right.cast(pa.float64())
    scale = max(_scale(left.type), _scale(right.type))
    wide = pa.decimal256(75, scale)
    return _wide(left, wide), _wide(right, wide)


def _wide(values: pa.Array, wide: pa.DataType) -> pa.Array:
    if pa.types.is_integer(values.type):
        values = values.cast(pa.decimal128(20, 0))
    return values.cast(wide)


def _scale(kind: pa.DataType) -> int:
    return kind.scale if pa.types.is_decimal(kind) else 0


def _lists(differ: Sequence[tuple[Any, Sequence[pa.Array], Any]], count: int) -> pa.Array:
    """Return a list for each pair of the columns that differ in it."""
    owners, columns, lefts, rights = [], [], [], []
    for mask, texts, name in differ:
        at = np.flatnonzero(mask)
        shown = name if isinstance(name, str) else f"{name.left} / {name.right}"
        owners.append(at)
        columns.append(pa.repeat(shown, len(at)))
        lefts.append(texts[0].take(pa.array(at)))
        rights.append(texts[1].take(pa.array(at)))
    owner = np.concatenate([np.zeros(0, np.int64), *owners])
    order = np.argsort(owner, kind="stable")
    counts = np.bincount(owner, minlength=count)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    arrays = [
        pa.concat_arrays([pa.array([], pa.string()), *some]).take(pa.array(order))
        for some in (columns, lefts, rights)
    ]
    structs = pa.StructArray.from_arrays(arrays, fields=list(_STRUCT))
    return pa.ListArray.from_arrays(pa.array(offsets), structs)
