"""Which argument types a function takes, and the UDF for each mix of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datafusion import ScalarUDF, udf

from kalla_core.errors import InvalidSql, TypesNotComparable
from kalla_core.functions.numbers import (
    Numbers,
    days_in_seconds,
    is_moment,
    is_number,
    of_moments,
    of_numbers,
)
from kalla_core.functions.references import normalised
from kalla_core.functions.within import within

FUNCTIONS: Mapping[str, int] = {
    "tolerance_match": 3,
    "tolerance_pct": 3,
    "date_within": 3,
    "norm_ref": 1,
}
"""The functions of match SQL and how many arguments each takes."""


def variant(function: str, name: str, argument_types: Sequence[pa.DataType]) -> ScalarUDF:
    """Return the immutable UDF `name` that is `function` on exactly these argument types.

    It returns bool (`norm_ref`: string), null wherever an argument is null; null-typed arguments
    are welcome.

    Raises:
        KeyError: there is no such function in `FUNCTIONS`.
        InvalidSql: too many or too few arguments.
        TypesNotComparable: the function makes no sense of these types.
    """
    if len(argument_types) != FUNCTIONS[function]:
        raise InvalidSql(
            f"{function} takes {FUNCTIONS[function]} arguments, not {len(argument_types)}."
        )
    plain_types = [_plain_type(data_type) for data_type in argument_types]
    _CHECKS[function](function, plain_types)
    call, result = _CALLS[function], pa.string() if function == "norm_ref" else pa.bool_()

    def run(*arrays: pa.Array) -> pa.Array:
        if any(pa.types.is_null(array.type) for array in arrays):
            return pa.nulls(len(arrays[0]), result)
        return call(*map(_plain, arrays))

    return udf(run, list(argument_types), result, "immutable", name)


def _tolerance_match(a: pa.Array, b: pa.Array, t: pa.Array) -> pa.Array:
    return _compared((a, b, t), of_numbers(a), of_numbers(b), of_numbers(t), None)


def _tolerance_pct(a: pa.Array, b: pa.Array, p: pa.Array) -> pa.Array:
    base = of_numbers(a)
    return _compared((a, b, p), base, of_numbers(b), of_numbers(p), base)


def _date_within(a: pa.Array, b: pa.Array, days: pa.Array) -> pa.Array:
    left, right = _on_one_clock(a, b)
    day = days_in_seconds(len(a))
    return _compared((a, b, days), of_moments(left), of_moments(right), of_numbers(days), day)


def _compared(
    arrays: Sequence[pa.Array], a: Numbers, b: Numbers, t: Numbers, m: Numbers | None
) -> pa.Array:
    """Return `within` as an Arrow array that is null where any of `arrays` is."""
    if not any(array.null_count for array in arrays):
        return pa.array(within(a, b, t, m))
    null = np.zeros(len(arrays[0]), np.bool_)
    for array in arrays:
        null |= pc.is_null(array).to_numpy(zero_copy_only=False)
    # Null slots hold anything, so they are left out rather than compared.
    rows = np.flatnonzero(~null)
    answer = np.zeros(len(null), np.bool_)
    answer[rows] = within(
        a.take(rows), b.take(rows), t.take(rows), m.take(rows) if m is not None else None
    )
    return pa.array(answer, mask=null)


def _on_one_clock(a: pa.Array, b: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return both; a date beside a zoned timestamp becomes its midnight in that zone."""
    zone_a, zone_b = _zone(a.type), _zone(b.type)
    if zone_a is None and zone_b is not None:
        return _midnight(a, zone_b), b
    if zone_b is None and zone_a is not None:
        return a, _midnight(b, zone_a)
    return a, b


def _midnight(dates: pa.Array, zone: str) -> pa.Array:
    # Where clocks skip midnight the day begins when they go on; where they repeat it, at the first.
    local = dates.cast(pa.timestamp("ms" if pa.types.is_date64(dates.type) else "s"))
    return pc.assume_timezone(local, zone, ambiguous="earliest", nonexistent="latest")


def _zone(data_type: pa.DataType) -> str | None:
    return data_type.tz if pa.types.is_timestamp(data_type) else None


def _check_numbers(function: str, types: Sequence[pa.DataType]) -> None:
    for data_type in types:
        if not (is_number(data_type) or pa.types.is_null(data_type)):
            raise _refused(function, types, f"{data_type} is no number")


def _check_moments(function: str, types: Sequence[pa.DataType]) -> None:
    *moments, days = types
    for data_type in moments:
        if not (is_moment(data_type) or pa.types.is_null(data_type)):
            raise _refused(function, types, f"{data_type} is neither a date nor a timestamp")
    zoned = {
        _zone(data_type) is not None for data_type in moments if pa.types.is_timestamp(data_type)
    }
    if len(zoned) > 1:
        raise _refused(
            function, types, "a timestamp with a time zone and one without do not compare"
        )
    if not (is_number(days) or pa.types.is_null(days)):
        raise _refused(function, types, f"the days are {days}, not a number")


def _check_text(function: str, types: Sequence[pa.DataType]) -> None:
    (data_type,) = types
    if not (_is_text(data_type) or pa.types.is_null(data_type)):
        raise _refused(function, types, f"{data_type} is no text")


def _is_text(data_type: pa.DataType) -> bool:
    kinds = pa.types
    return bool(
        kinds.is_string(data_type)
        or kinds.is_large_string(data_type)
        or kinds.is_string_view(data_type)
    )


def _refused(function: str, types: Sequence[pa.DataType], reason: str) -> TypesNotComparable:
    listed = ", ".join(map(str, types))
    return TypesNotComparable(
        f"{function}({listed}) makes no sense: {reason}. Cast it in the match SQL.",
        function=function,
        types=tuple(map(str, types)),
    )


def _plain_type(data_type: pa.DataType) -> pa.DataType:
    return data_type.value_type if pa.types.is_dictionary(data_type) else data_type


def _plain(array: pa.Array) -> pa.Array:
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


_CHECKS: Mapping[str, Callable[[str, Sequence[pa.DataType]], None]] = {
    "tolerance_match": _check_numbers,
    "tolerance_pct": _check_numbers,
    "date_within": _check_moments,
    "norm_ref": _check_text,
}
_CALLS: Mapping[str, Callable[..., pa.Array]] = {
    "tolerance_match": _tolerance_match,
    "tolerance_pct": _tolerance_pct,
    "date_within": _date_within,
    "norm_ref": normalised,
}
