"""Which bucket a row belongs to: one hash of its key, the same on all machines and both sides.

The hash is Spark's xxhash64 with its seed of 42, as DataFusion computes it. It does not know every
type, and tells apart some values that are equal, so keys are brought to a few types first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from datafusion import Expr, ScalarUDF, lit
from datafusion import functions as F  # noqa: N812 - the name its documentation uses

from kalla_core.errors import TypesNotComparable
from kalla_core.matching.plans.session import new_session

Ints = npt.NDArray[np.int64]

Key = tuple[Expr, pa.DataType]
"""An expression, and the type that it is to be compared as (after coercion with the other side)."""


def key_hash(keys: Sequence[Key]) -> Expr:
    """Return an Int64 hash by which the rows with these keys belong to a bucket, see `in_buckets`.

    Rows whose keys, cast to the types given, are equal have the same; null equals null, NaN equals
    NaN and -0.0 equals 0.0. A value that cannot be cast counts as null, for it can belong to a row
    that the query leaves out before it compares.

    Raises:
        TypesNotComparable: a key of a type without a hash (`is_hashable`).
    """
    hashed = [_hashable(expression, data_type) for expression, data_type in keys]
    if len(hashed) > 1:  # the hash skips nulls: (null, 1) would always meet (1, null)
        hashed += [expression.is_null() for expression in hashed]
    return _xxhash64()(*hashed)


def digest(columns: Sequence[Key]) -> Expr:
    """Return an Int64 hash of these columns, for counting distinct values; nulls have one too.

    It also spreads rows that can meet no other, such as those whose key is null: the same row gets
    the same bucket wherever it stands. Columns of types without a hash are left out.
    """
    hashed = [_hashable(*column) for column in columns if is_hashable(column[1])]
    return _xxhash64()(*hashed) if hashed else lit(0)


def in_buckets(hashes: Ints, buckets: int) -> Ints:
    """Return the number, in [0, buckets), of the bucket of each hash: what its division leaves.

    By what NumPy does in wide registers; its own remainder, and DataFusion's, take ten times as
    long.
    """
    quotients = hashes // buckets
    quotients *= buckets
    return np.subtract(hashes, quotients, out=quotients)


def is_hashable(data_type: pa.DataType) -> bool:
    """Return whether `key_hash` takes keys of this type: all but nested and extension types."""
    return _hashed_type(data_type) is not None


@cache
def _xxhash64() -> ScalarUDF:
    return new_session().udf("xxhash64")


def _hashable(expression: Expr, data_type: pa.DataType) -> Expr:
    """Return `expression` cast to `data_type` and then to a type whose equal values hash alike."""
    hashed_type = _hashed_type(data_type)
    if hashed_type is None:
        raise TypesNotComparable(
            f"A key of type {data_type} has no hash; cast it to text, a number or a date.",
            type=str(data_type),
        )
    value = expression.try_cast(data_type)
    if hashed_type != data_type:
        value = value.try_cast(hashed_type)
    # There are many NaNs, in bits.
    return F.nanvl(value, lit(float("nan"))) if hashed_type == pa.float64() else value


def _hashed_type(data_type: pa.DataType) -> pa.DataType | None:
    if pa.types.is_dictionary(data_type):
        return _hashed_type(data_type.value_type)
    for is_of_kind, hashed_type in _HASHED_TYPES:
        if is_of_kind(data_type):
            return hashed_type(data_type)
    return None


def _fixed(hashed_type: pa.DataType) -> Callable[[pa.DataType], pa.DataType]:
    return lambda _: hashed_type


def _decimal(data_type: pa.DataType) -> pa.DataType:
    """Return the widest decimal of the same scale that has a hash, or text where none has."""
    if pa.types.is_decimal256(data_type):
        return pa.string()  # with all decimals of its scale, so one text for one number
    return pa.decimal128(data_type.precision, data_type.scale)


def _is_interval(data_type: pa.DataType) -> bool:
    return bool(data_type == pa.month_day_nano_interval())


_HASHED_TYPES: Sequence[
    tuple[Callable[[pa.DataType], bool], Callable[[pa.DataType], pa.DataType]]
] = (
    (pa.types.is_uint64, _fixed(pa.decimal128(20, 0))),
    (pa.types.is_integer, _fixed(pa.int64())),
    (pa.types.is_boolean, _fixed(pa.int64())),
    (pa.types.is_null, _fixed(pa.int64())),
    (pa.types.is_floating, _fixed(pa.float64())),
    (pa.types.is_decimal, _decimal),
    (pa.types.is_string, _fixed(pa.string())),
    (pa.types.is_large_string, _fixed(pa.string())),
    (pa.types.is_string_view, _fixed(pa.string())),
    (pa.types.is_binary, _fixed(pa.binary())),
    (pa.types.is_large_binary, _fixed(pa.binary())),
    (pa.types.is_binary_view, _fixed(pa.binary())),
    (pa.types.is_fixed_size_binary, _fixed(pa.binary())),
    (_is_interval, _fixed(pa.string())),
    (pa.types.is_temporal, _fixed(pa.int64())),
)
"""From a kind of key to the type that is hashed in its place; the first that fits."""
