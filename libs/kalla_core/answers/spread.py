"""How the rows of a run are spread: over sizes of amounts, and matches over days between them.

Counted a batch at a time in the columns that are needed for it, exact: an amount is never a float.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.answers.money import SideColumns, side_columns
from kalla_core.answers.selection import REASON
from kalla_core.assignment.units import TooWide, minor_units
from kalla_core.evidence.keys import text_hashes
from kalla_core.evidence.names import MATCHED, UNMATCHED
from kalla_core.evidence.reader import Evidence
from kalla_core.matching.sql.query import Side

MOST_DAYS = 1000
"""What is further apart is counted as one day more."""

MOST_TOLD_APART = 1 << 24
"""Matches of which keys are remembered, by 9 bytes each, so that no row counts twice."""

AMBIGUOUS = "ambiguous"
"""The reason of rows that have several partners that fit."""

_MIDDLE = 100
_UNKNOWN = np.iinfo(np.int16).max
_DIGITS = 76
_POWERS = 10 ** np.arange(19, dtype=np.int64)
_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}

Size = int | None
"""How large an amount is, as a number in whose order amounts are: 0 of zero, `sized(n)` of those
from 10**n up to 10**(n+1), which is not among them, less than 0 of what is negative. None where no
amount is known.
"""

Sizes = Mapping[Size, int]
"""How many rows have an amount of a size."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SideSpread:
    """How the rows of a side are spread over the sizes of its amounts.

    Attributes:
        column: that holds the amounts, as the source calls it.
        matched: rows with a partner; None where evidence does not tell their amounts.
        unmatched: rows without one; those that are `ambiguous` are not among them.
    """

    column: str
    matched: Sizes | None
    unmatched: Sizes
    ambiguous: Sizes


@dataclass(frozen=True, slots=True)
class Days:
    """How many matches have so many days between their rows.

    Attributes:
        columns: dates of the left and of the right side, as the sources call them.
        pairs: by days from the left date to the right one, `MOST_DAYS` + 1 at most either way.
        unknown: matches of which no two dates are told.
    """

    columns: tuple[str, str]
    pairs: Mapping[int, int]
    unknown: int


@dataclass(frozen=True, slots=True)
class Spread:
    """How the rows of a run are spread.

    Attributes:
        sides: of those whose amounts are known.
        days: None where dates of matches are not.
    """

    sides: Mapping[Side, SideSpread]
    days: Days | None


def sized(exponent: int, *, negative: bool = False) -> int:
    """Return the size of amounts from 10**exponent on."""
    return -(exponent + _MIDDLE) if negative else exponent + _MIDDLE


def exponent_of(size: int) -> int:
    """Return the power of ten that amounts of a size, but for zero, begin with."""
    return abs(size) - _MIDDLE


def spread_of(evidence: Evidence) -> Spread:
    """Count how the rows of a run are spread.

    Raises:
        KallaError, OSError, pa.ArrowException: the evidence cannot be read.
    """
    columns = side_columns(evidence)
    sides = {}
    for side, own in columns.items():
        if own.amount is not None:
            matched = _matched(evidence, side, own.matched_amount)
            unmatched, ambiguous = _open(evidence, side, own.amount)
            sides[side] = SideSpread(own.amount, matched, unmatched, ambiguous)
    return Spread(sides, _days(evidence, columns[Side.LEFT], columns[Side.RIGHT]))


def sizes_of(amounts: pa.Array) -> Sizes:
    """Count amounts, whole numbers or decimals, by their size."""
    counted = Counter[Size](_tally(_sizes(amounts.drop_null())))
    if amounts.null_count:
        counted[None] = amounts.null_count
    return counted


def days_between(left: pa.Array, right: pa.Array) -> Ints:
    """Return the days from dates or moments to others, of rows that have both."""
    both = pc.and_(left.is_valid(), right.is_valid())
    return _day_numbers(right.filter(both)) - _day_numbers(left.filter(both))


def _sizes(amounts: pa.Array) -> Ints:
    """Return the size of each amount; none is null."""
    scale = amounts.type.scale if pa.types.is_decimal(amounts.type) else 0
    try:
        units = minor_units(amounts, scale)
    except TooWide:
        return _sizes_of_wide(amounts, scale)
    places = np.searchsorted(_POWERS, np.abs(units), side="right") - 1
    sizes: Ints = np.sign(units) * (places - scale + _MIDDLE)
    return sizes


def _sizes_of_wide(amounts: pa.Array, scale: int) -> Ints:
    """Return the same of amounts of more digits than a machine word has."""
    if not len(amounts):
        return np.empty(0, np.int64)
    exact = amounts.cast(pa.decimal256(_DIGITS, scale))
    kind, distances, places = exact.type, pc.abs(exact), np.zeros(len(exact), np.int64)
    for exponent in range(-scale, pc.max(distances).as_py().adjusted() + 1):
        least = pa.scalar(Decimal(1).scaleb(exponent), kind)
        places += pc.greater_equal(distances, least).to_numpy(zero_copy_only=False)
    is_less = pc.less(exact, pa.scalar(Decimal(0), kind)).to_numpy(zero_copy_only=False)
    sizes: Ints = np.where(places == 0, 0, places - 1 - scale + _MIDDLE)
    signed: Ints = np.where(is_less, -sizes, sizes)
    return signed


def _open(evidence: Evidence, side: Side, column: str) -> tuple[Sizes, Sizes]:
    """Count the rows without a partner: those that are not ambiguous, and those that are."""
    others, ambiguous = Counter[Size](), Counter[Size]()
    for batch in evidence.batches(UNMATCHED[side], columns=[REASON, column]):
        is_so = pc.equal(batch.column(REASON), AMBIGUOUS).fill_null(False)
        ambiguous.update(sizes_of(batch.column(column).filter(is_so)))
        others.update(sizes_of(batch.column(column).filter(pc.invert(is_so))))
    return others, ambiguous


def _matched(evidence: Evidence, side: Side, column: str | None) -> Sizes | None:
    """Count the rows with a partner, each once; None where that cannot be told."""
    rows = evidence.rows(MATCHED)
    summary = evidence.metadata.left if side is Side.LEFT else evidence.metadata.right
    if column is None:
        return None
    if summary.matched == rows and summary.several == 0:
        counted = _matched_alone(evidence, column)
    elif rows <= MOST_TOLD_APART:
        counted = _matched_once(evidence, f"{side.word}_key", column)
    else:
        return None
    # Rows that share a key, or have none, are not told apart.
    return counted + Counter({None: summary.matched - counted.total()})


def _matched_alone(evidence: Evidence, column: str) -> Counter[Size]:
    """Count the rows of matches that have a row of their own each."""
    counted = Counter[Size]()
    for batch in evidence.batches(MATCHED, columns=[column]):
        counted.update(sizes_of(batch.column(0)))
    return counted


def _matched_once(evidence: Evidence, key: str, column: str) -> Counter[Size]:
    hashes, sizes = [np.empty(0, np.int64)], [np.empty(0, np.int16)]
    for batch in evidence.batches(MATCHED, columns=[key, column]):
        batch = batch.filter(batch.column(key).is_valid())  # others are of the other side alone
        known = batch.column(column).is_valid().to_numpy(zero_copy_only=False)
        here = np.full(batch.num_rows, _UNKNOWN, np.int16)
        here[known] = _sizes(batch.column(column).drop_null())
        hashes.append(text_hashes(batch.column(key)))
        sizes.append(here)
    _, first = np.unique(np.concatenate(hashes), return_index=True)
    found = Counter[Size](_tally(np.concatenate(sizes)[first].astype(np.int64)))
    found[None] = found.pop(_UNKNOWN, 0)
    return found


def _days(evidence: Evidence, left: SideColumns, right: SideColumns) -> Days | None:
    """Count matches by the days between; None where `matched` has no dates of both sides."""
    if left.matched_moment is None or right.matched_moment is None:
        return None
    pairs, unknown = Counter[int](), 0
    read = list(dict.fromkeys([left.matched_moment, right.matched_moment]))
    for batch in evidence.batches(MATCHED, columns=read):
        dates = batch.column(left.matched_moment), batch.column(right.matched_moment)
        days = np.clip(days_between(*dates), -MOST_DAYS - 1, MOST_DAYS + 1)
        pairs.update(_tally(days))
        unknown += batch.num_rows - len(days)
    return Days((str(left.moment), str(right.moment)), pairs, unknown)


def _day_numbers(moments: pa.Array) -> Ints:
    """Return days since 1970 as calendars have them; none is null."""
    kind = moments.type
    if pa.types.is_date(kind):
        return np.asarray(moments.cast(pa.date32()).cast(pa.int32()).to_numpy(), np.int64)
    if kind.tz is not None:
        moments = pc.local_timestamp(moments)
    whole: Ints = np.asarray(moments.cast(pa.int64()).to_numpy(), np.int64)
    return whole // _DAY[kind.unit]


def _tally(values: Ints) -> Counter[int]:
    found, counts = np.unique(values, return_counts=True)
    return Counter(dict(zip(found.tolist(), counts.tolist(), strict=True)))
