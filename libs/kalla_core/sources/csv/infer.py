"""From the texts of a sample to the types of columns.

The first of these whose every value in the sample, NULL aside, is written so:

| type | written |
|---|---|
| boolean       | `true`, `false`, or both capitalised alike                                       |
| integer       | canonical digits: no leading zero, no plus, no `-0`, at most 18                  |
| decimal(p,s)  | such integers and at least one fraction; s is the longest of them |
| date          | `2024-01-31`                                                                     |
| timestamp     | a date, `T` or a space, a time to the minute or finer (at most six decimals)     |
| timestamptz   | the same with `Z` or an offset                                                   |
| text          | anything                                                                         |

Precision leaves head-room for later values: 18 digits while the sample needs at most 15, so that
amounts stay within what 64 bits hold, else 38, else 76 (a sample that needs more is text). A
column without a value in the sample has no type, which is `null`. Later values need only fit the
type exactly (`1e3` is a decimal), but integers stay canonical, so that `00123` never becomes
123 in silence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.functions.written_numbers import NumberForm
from kalla_core.recipe.column_types import MAX_DECIMAL_DIGITS, decimal_type
from kalla_core.sources.csv.quick import digits_of, quick_values
from kalla_core.sources.csv.spelling import AS_DOCUMENTED, Spelling

_INTEGER = r"\A(?:0|-?[1-9][0-9]{0,17})\z"
_NUMBER = r"\A-?(?:0|[1-9][0-9]{0,17}|(?:0|[1-9][0-9]*)?\.[0-9]+)\z"
_DATE = r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\z"
_TIMESTAMP = r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?\z"
_ZONED = _TIMESTAMP.removesuffix(r"\z") + r"(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)\z"
_GLANCE = 256

_HEADROOM = ((15, 18), (38, 38), (MAX_DECIMAL_DIGITS, MAX_DECIMAL_DIGITS))
"""Digits that a sample may need at most, and the precision that it then gets."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a sample tells of a column: its type, and the currency its amounts are in."""

    type: pa.DataType
    currency: str | None = None


def told_type(values: pa.ChunkedArray, spelling: Spelling = AS_DOCUMENTED) -> Told:
    """Return what is told of a column whose sample, as binary, is `values`.

    A column without values is of type `null`.
    """
    present = one_array(values.drop_null())
    if len(present) == 0:
        return Told(pa.null())
    if _all_match(present, _any_of(spelling.true_words + spelling.false_words)):
        return Told(pa.bool_())
    if not _all_match(present.slice(0, _GLANCE), "[0-9]"):  # as all that follows has them
        return Told(pa.string())
    if spelling.numbers is not None:
        found = _formatted_number(pc.cast(present, pa.string()), spelling.numbers)
    else:
        found = Told(_number(present))
    if not pa.types.is_string(found.type):
        return found
    return Told(_moment(present, spelling))


def infer_type(values: pa.ChunkedArray) -> pa.DataType:
    """Return the type of a column that is written as documented (see `told_type`)."""
    return told_type(values).type


def one_array(values: pa.ChunkedArray) -> pa.Array:
    """Return the values as one array, as they are."""
    combined = values.combine_chunks()
    if isinstance(combined, pa.ChunkedArray):
        chunks = combined.chunks
        return pa.concat_arrays(chunks) if chunks else pa.array([], values.type)
    return combined


def _any_of(words: Sequence[str]) -> str:
    return rf"\A(?:{'|'.join(re.escape(word) for word in dict.fromkeys(words))})\z"


def _number(present: pa.Array) -> pa.DataType:
    if _all_match(present, _INTEGER):
        return pa.int64()
    return _decimal(present) if _all_match(present, _NUMBER) else pa.string()


def _formatted_number(present: pa.Array, form: NumberForm) -> Told:
    glance = present.slice(0, _GLANCE)
    beside = form.currency_of(glance[0].as_py())
    if beside is None:
        return Told(pa.string())
    currency = beside or None
    if digits_of(glance, form, currency) is None:
        currency = _first_currency(glance, form)
        if form.rewritten(glance, currency).null_count:
            return Told(pa.string())
    digits = digits_of(present, form, currency)
    if digits is not None:
        before, scale = digits
        return Told(_with_headroom(before + scale, scale) if scale else pa.int64(), currency)
    if currency is None:
        currency = _first_currency(present, form)
    rewritten = form.rewritten(present, currency)
    if rewritten.null_count:
        return Told(pa.string())
    return Told(_number(pc.cast(rewritten, pa.binary())), currency)


def _first_currency(texts: pa.Array, form: NumberForm) -> str | None:
    """Return the one that comes first in the alphabet: of several all but one are no numbers."""
    return next(iter(form.currencies(texts)), None)


def _moment(present: pa.Array, spelling: Spelling) -> pa.DataType:
    for pattern, candidate in (
        (_DATE, pa.date32()),
        (_TIMESTAMP, pa.timestamp("us")),
        (_ZONED, pa.timestamp("us", tz="UTC")),
    ):
        iso: pa.Array | None = present
        if spelling.rewrites(candidate):
            if _are_quick(present, candidate, spelling):
                return candidate
            iso = _rewritten(present, candidate, spelling)
        if iso is None or not _all_match(iso.slice(0, _GLANCE), pattern):
            continue
        # A date that Arrow reads is written like this, and it reads faster than a pattern does.
        if pa.types.is_date(candidate) and _is_valid(iso, candidate):
            return candidate
        if _all_match(iso, pattern):
            return candidate if _is_valid(iso, candidate) else pa.string()
    return pa.string()


def _are_quick(present: pa.Array, candidate: pa.DataType, spelling: Spelling) -> bool:
    for some in (present.slice(0, _GLANCE), present):
        found = quick_values(pc.cast(some, pa.string()), spelling, candidate)
        if found is None or found[1].any():
            return False
    return True


def _rewritten(present: pa.Array, candidate: pa.DataType, spelling: Spelling) -> pa.Array | None:
    for some in (present.slice(0, _GLANCE), present):
        texts = spelling.rewritten(pc.cast(some, pa.string()), candidate)
        if texts.null_count:
            return None
    return pc.cast(texts, pa.binary())


def _all_match(values: pa.Array, pattern: str) -> bool:
    """Whether all of some values match; mostly the first one says already that not."""
    if not _compiled(pattern).search(values[0].as_py()):
        return False
    return all(
        pc.all(pc.match_substring_regex(some, pattern)).as_py()
        for some in (values.slice(0, _GLANCE), values)
    )


@cache
def _compiled(pattern: str) -> re.Pattern[bytes]:
    return re.compile(pattern.replace(r"\z", r"\Z").encode())


def _is_valid(values: pa.Array, candidate: pa.DataType) -> bool:
    """Return whether all values are days and times that exist."""
    try:
        values.cast(pa.string()).cast(candidate)
    except pa.ArrowInvalid:
        return False
    return True


def _decimal(values: pa.Array) -> pa.DataType:
    length = pc.binary_length(values)
    point = pc.find_substring(values, ".")
    has_point = pc.greater_equal(point, 0)
    if not pc.any(has_point).as_py():
        return pa.string()
    behind = pc.if_else(has_point, pc.subtract(pc.subtract(length, point), 1), 0)
    before = pc.if_else(has_point, point, length)
    signs = pc.cast(pc.starts_with(values, "-"), pa.int32())
    scale = pc.max(behind).as_py()
    return _with_headroom(pc.max(pc.subtract(before, signs)).as_py() + scale, scale)


def _with_headroom(needed: int, scale: int) -> pa.DataType:
    for most, precision in _HEADROOM:
        if needed <= most:
            return decimal_type(precision, scale)
    return pa.string()
