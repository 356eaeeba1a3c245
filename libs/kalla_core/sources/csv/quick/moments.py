"""Dates and timestamps of a format of digits, from bytes to the values of a column.

Each place of texts of one length is an array of bytes, on which little has to be done at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise, product
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kalla_core.recipe.moment_formats import Piece, pieces_of
from kalla_core.sources.csv.quick.arrays import Flags, Numbers
from kalla_core.sources.csv.quick.expected import DIGIT, WHATEVER
from kalla_core.sources.csv.quick.letters import Columns, Letters

_SIZES = {"d": (2, 1), "m": (2, 1), "H": (2, 1), "I": (2, 1), "M": (2, 1), "S": (2, 1)}
_FIXED = {"Y": (4,), "y": (2,), "p": (2,)}
_PIVOT = 69
_A, _P, _M, _LOWER, _ZERO = (np.uint8(one) for one in b"apm 0")
_NINE, _TEN = np.uint8(9), np.uint8(10)
_MOST_SHAPES = 16

Small = npt.NDArray[np.unsignedinteger[Any]]
"""Numbers of few digits."""


@dataclass(frozen=True)
class _Shape:
    """A format with the size of each of its directives; each piece is (letter, size) or bytes."""

    pieces: tuple[tuple[str, int] | bytes, ...]

    @cached_property
    def letters(self) -> tuple[int, ...]:
        """What is expected at each place."""
        found: list[int] = []
        for piece in self.pieces:
            if isinstance(piece, bytes):
                found += piece
            else:
                found += [WHATEVER if piece[0] == "p" else DIGIT] * piece[1]
        return tuple(found)

    @cached_property
    def spans(self) -> Mapping[str, tuple[int, int]]:
        """Where each directive stands, and how long it is."""
        found, at = {}, 0
        for piece in self.pieces:
            if isinstance(piece, bytes):
                at += len(piece)
            else:
                found[piece[0]] = (at, piece[1])
                at += piece[1]
        return found

    @property
    def size(self) -> int:
        return len(self.letters)


def quick_moments(
    texts: pa.StringArray, form: str, wanted: pa.DataType
) -> tuple[Numbers, Flags] | None:
    """Return days or microseconds, and where they were read; None for what is not read so.

    Args:
        texts: as they are written, null among them.
        form: the format that is tried first.
        wanted: what the values shall be.
    """
    is_date = bool(pa.types.is_date32(wanted))
    shapes = _shapes(form)
    if not len(texts) or not shapes or not (is_date or wanted == pa.timestamp("us")):
        return None
    letters = Letters(texts)
    for shape in shapes:
        if letters.pitch == shape.size:
            return _read(letters.columns(), shape, is_date=is_date)
    values, read = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.bool_)
    lengths = letters.ends - letters.starts
    for shape in shapes:
        tried = np.flatnonzero((lengths == shape.size) & ~read)
        if len(tried):
            columns = letters.columns_after(letters.starts[tried], shape.size)
            values[tried], read[tried] = _read(columns, shape, is_date=is_date)
    return values, read


@cache
def _shapes(form: str) -> tuple[_Shape, ...]:
    """Return the shapes of a format, the longest first; none where they would not be all."""
    pieces = pieces_of(form)
    sizes = [_SIZES.get(one, _FIXED.get(one)) for one in _letters(pieces)]
    if None in sizes or any(_has_digits(one) for one in pieces):
        return ()
    if _touches(pieces):  # which of the digits are the day's is said by their number only
        sizes = [one[:1] for one in sizes if one is not None]
    found = []
    for chosen in product(*(one for one in sizes if one is not None)):
        given = iter(chosen)
        found.append(
            _Shape(
                tuple(
                    one.text.encode() if one.letter is None else (one.letter, next(given))
                    for one in pieces
                )
            )
        )
    return tuple(sorted(found, key=lambda one: -one.size))[:_MOST_SHAPES]


def _letters(pieces: tuple[Piece, ...]) -> Iterator[str]:
    return (one.letter for one in pieces if one.letter is not None)


def _has_digits(piece: Piece) -> bool:
    return piece.letter is None and any(one.isdigit() for one in piece.text)


def _touches(pieces: tuple[Piece, ...]) -> bool:
    fixed = (None, "p")
    return any(
        one.letter not in fixed and other.letter not in fixed for one, other in pairwise(pieces)
    )


def _read(letters: Columns, shape: _Shape, *, is_date: bool) -> tuple[Numbers, Flags]:
    """Return days or microseconds since 1970 of texts of a shape, and where they are such."""
    digits = letters - _ZERO
    worst = np.zeros(letters.shape[1], np.uint8)
    for at, expected in enumerate(shape.letters):
        if expected == DIGIT:
            np.maximum(worst, digits[at], out=worst)
    good = worst <= _NINE
    for at, expected in enumerate(shape.letters):
        if expected >= 0:
            good &= letters[at] == expected
    part = {name: _number(digits, *span) for name, span in shape.spans.items() if name != "p"}
    if "p" in shape.spans:
        part["p"], there = _afternoon(letters, shape.spans["p"][0])
        good &= there
    days, there = _days(part)
    good &= there
    if is_date:
        return days, good
    seconds, there = _seconds(part)
    good &= there
    return (days * 86_400 + seconds) * 1_000_000, good


def _number(digits: Columns, at: int, size: int) -> Small:
    """Return the number of up to four digits."""
    number: Small = digits[at]
    if size == 2:
        number = number * _TEN + digits[at + 1]
    elif size == 4:
        century, year = (_number(digits, at + step, 2).astype(np.uint16) for step in (0, 2))
        number = century * np.uint16(100) + year
    return number


def _afternoon(letters: Columns, at: int) -> tuple[Small, Flags]:
    first, second = letters[at] | _LOWER, letters[at + 1] | _LOWER
    afternoon = first == _P
    return afternoon.view(np.uint8), (afternoon | (first == _A)) & (second == _M)


def _days(part: Mapping[str, Small]) -> tuple[Numbers, Flags]:
    month, day = part["m"], part["d"]
    if "Y" in part:
        year = part["Y"].astype(np.int64)
        good = part["Y"] > 0
    else:
        year = part["y"].astype(np.int64)
        year += np.where(part["y"] >= _PIVOT, 1900, 2000)
        good = np.ones(len(year), np.bool_)
    months = year * 12
    months += month
    good &= (month >= 1) & (month <= 12) & (day >= 1)
    good &= day <= _lengths().take(months, mode="clip")
    days = _firsts().take(months, mode="clip")
    days += day
    return days, good


def _seconds(part: Mapping[str, Small]) -> tuple[npt.NDArray[np.int32], Flags]:
    none = np.zeros(len(part["d"]), np.uint8)
    minute, second = part.get("M", none), part.get("S", none)
    good = (minute <= 59) & (second <= 59)
    if "H" in part:
        hour = part["H"]
        good &= hour <= 23
    else:
        shown = part["I"]
        good &= (shown >= 1) & (shown <= 12)
        hour = shown % np.uint8(12) + part["p"] * np.uint8(12)
    seconds = hour * np.int32(3600)
    seconds += minute * np.int16(60)
    seconds += second
    return seconds, good


@cache
def _firsts() -> Numbers:
    """Return the days from 1970 to the day before each month, of which 13 is the next January.

    They are numbered on from the month before January of the year 0.
    """
    months = np.arange("-001-12", "10000-02", dtype="datetime64[M]")
    return months.astype("datetime64[D]").astype(np.int64) - 1


@cache
def _lengths() -> npt.NDArray[np.uint8]:
    """Return how many days those months have."""
    return np.diff(_firsts()).astype(np.uint8)
