"""Which argument types a function takes, and the UDF for each mix of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datafusion import ScalarUDF, udf

from kalla_core.errors import InvalidSql, TypesNotComparable
from kalla_core.functions.amounts import AMOUNT, parsed_amounts
from kalla_core.functions.moments import days_between, on_one_clock, zone_of
from kalla_core.functions.names import normalised_name
from kalla_core.functions.numbers import (
    Numbers,
    days_in_seconds,
    is_moment,
    is_number,
    of_moments,
    of_numbers,
)
from kalla_core.functions.reference_lists import REFERENCES, extracted, share_one
from kalla_core.functions.references import normalised
from kalla_core.functions.scores import jaro_winkler, token_set_ratio, token_sort_ratio
from kalla_core.functions.within import within


def variant(function: str, name: str, argument_types: Sequence[pa.DataType]) -> ScalarUDF:
    """Return the immutable UDF `name` that is `function` on exactly these argument types.

    It returns what `RESULTS` says, null wherever an argument is null; null-typed arguments are
    welcome.

    Raises:
        KeyError: there is no such function in `FUNCTIONS`.
        InvalidSql: too many or too few arguments.
        TypesNotComparable: the function makes no sense of these types.
    """
    if len(argument_types) != FUNCTIONS[function]:
        raise InvalidSql(
            f"{function} takes {FUNCTIONS[function]} arguments, not {len(argument_types)}."
        )
    one = _ALL[function]
    one.check(function, [_plain_type(data_type) for data_type in argument_types])

    def run(*arrays: pa.Array) -> pa.Array:
        if any(pa.types.is_null(array.type) for array in arrays):
            return pa.nulls(len(arrays[0]), one.result)
        return one.call(*map(_plain, arrays))

    return udf(run, list(argument_types), one.result, "immutable", name)


def _tolerance_match(a: pa.Array, b: pa.Array, t: pa.Array) -> pa.Array:
    return _compared((a, b, t), of_numbers(a), of_numbers(b), of_numbers(t), None)


def _tolerance_pct(a: pa.Array, b: pa.Array, p: pa.Array) -> pa.Array:
    base = of_numbers(a)
    return _compared((a, b, p), base, of_numbers(b), of_numbers(p), base)


def _date_within(a: pa.Array, b: pa.Array, days: pa.Array) -> pa.Array:
    left, right = on_one_clock(a, b)
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


def _check_numbers(function: str, types: Sequence[pa.DataType]) -> None:
    for data_type in types:
        if not (is_number(data_type) or pa.types.is_null(data_type)):
            raise _refused(function, types, f"{data_type} is no number")


def _check_moments(function: str, types: Sequence[pa.DataType]) -> None:
    moments, days = types[:2], types[2:]
    for data_type in moments:
        if not (is_moment(data_type) or pa.types.is_null(data_type)):
            raise _refused(function, types, f"{data_type} is neither a date nor a timestamp")
    zoned = {
        zone_of(data_type) is not None for data_type in moments if pa.types.is_timestamp(data_type)
    }
    if len(zoned) > 1:
        raise _refused(
            function, types, "a timestamp with a time zone and one without do not compare"
        )
    for data_type in days:
        if not (is_number(data_type) or pa.types.is_null(data_type)):
            raise _refused(function, types, f"the days are {data_type}, not a number")


def _check_text(function: str, types: Sequence[pa.DataType]) -> None:
    for data_type in types:
        if not _may_be_text(data_type):
            raise _refused(function, types, f"{data_type} is no text")


def _check_references(function: str, types: Sequence[pa.DataType]) -> None:
    for data_type in types:
        listed = pa.types.is_list(data_type) or pa.types.is_large_list(data_type)
        if not ((listed and _may_be_text(data_type.value_type)) or pa.types.is_null(data_type)):
            raise _refused(function, types, f"{data_type} is no list of texts")


def _may_be_text(data_type: pa.DataType) -> bool:
    kinds = pa.types
    return bool(
        kinds.is_string(data_type)
        or kinds.is_large_string(data_type)
        or kinds.is_string_view(data_type)
        or kinds.is_null(data_type)
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


@dataclass(frozen=True, slots=True)
class _Function:
    """A function of match SQL.

    Attributes:
        takes: so many arguments.
        check: raises TypesNotComparable for types of which it makes no sense.
        call: makes an array of type `result` from arrays, none of them of type null.
    """

    takes: int
    check: Callable[[str, Sequence[pa.DataType]], None]
    call: Callable[..., pa.Array]
    result: pa.DataType


_ALL: Mapping[str, _Function] = {
    "tolerance_match": _Function(3, _check_numbers, _tolerance_match, pa.bool_()),
    "tolerance_pct": _Function(3, _check_numbers, _tolerance_pct, pa.bool_()),
    "date_within": _Function(3, _check_moments, _date_within, pa.bool_()),
    "days_between": _Function(2, _check_moments, days_between, pa.int64()),
    "norm_ref": _Function(1, _check_text, normalised, pa.string()),
    "norm_name": _Function(1, _check_text, normalised_name, pa.string()),
    "jaro_winkler": _Function(2, _check_text, jaro_winkler, pa.float64()),
    "token_sort_ratio": _Function(2, _check_text, token_sort_ratio, pa.float64()),
    "token_set_ratio": _Function(2, _check_text, token_set_ratio, pa.float64()),
    "parse_amount": _Function(2, _check_text, parsed_amounts, AMOUNT),
    "extract_refs": _Function(2, _check_text, extracted, REFERENCES),
    "refs_match": _Function(2, _check_references, share_one, pa.bool_()),
}
FUNCTIONS: Mapping[str, int] = {name: one.takes for name, one in _ALL.items()}
"""The functions of match SQL and how many arguments each takes."""
RESULTS: Mapping[str, pa.DataType] = {name: one.result for name, one in _ALL.items()}
"""What each gives."""
