"""Dates and timestamps of a format of digits, from bytes to the values of a column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise, product

import numpy as np
import pyarrow as pa

from kalla_core.recipe.moment_formats import Piece, pieces_of
from kalla_core.sources.csv.quick.arrays import Flags, Numbers, array_of
from kalla_core.sources.csv.quick.expected import DIGIT, WHATEVER, Expected
from kalla_core.sources.csv.quick.letters import Letters, Places, Words

_SIZES = {"d": (2, 1), "m": (2, 1), "H": (2, 1), "I": (2, 1), "M": (2, 1), "S": (2, 1)}
_FIXED = {"Y": (4,), "y": (2,), "p": (2,)}
_PIVOT = 69
_A, _P, _M, _LOWER = (np.uint64(one) for one in b"apm ")
_BYTE, _PAIR = np.uint64(0xFF), np.uint64(10 * 2**8 + 1)
_MOST_SHAPES = 16


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

    @cached_property
    def expected(self) -> Expected:
        """What its texts are compared with."""
        return Expected(self.letters)

    @property
    def size(self) -> int:
        return len(self.letters)


def quick_moments(
    texts: pa.StringArray, form: str, wanted: pa.DataType
) -> tuple[pa.Array, Flags] | None:
    """Return dates or timestamps, and where they were read; None for what is not read so.

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
    lengths = letters.ends - letters.starts
    read = np.zeros(len(texts), np.bool_)
    values = np.zeros(len(texts), np.int64)
    for shape in shapes:
        tried = np.flatnonzero((lengths == shape.size) & ~read)
        if len(tried) == len(texts):
            values, read = _read(letters, letters.starts, shape, is_date=is_date)
        elif len(tried):
            values[tried], read[tried] = _read(
                letters, letters.starts[tried], shape, is_date=is_date
            )
        if read.all():
            break
    return array_of(values.astype(np.int32) if is_date else values, texts, wanted), read


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


def _read(
    letters: Letters, starts: Places, shape: _Shape, *, is_date: bool
) -> tuple[Numbers, Flags]:
    """Return days or microseconds since 1970 of texts of a shape, and where they are such."""
    words = letters.words_after(starts, shape.expected.words)
    digits, good = shape.expected.compared(words)
    part = {name: _number(digits, *span) for name, span in shape.spans.items() if name != "p"}
    if "p" in shape.spans:
        part["p"], there = _afternoon(words, shape.spans["p"][0])
        good &= there
    days, there = _days(part)
    good &= there
    if is_date:
        return days, good
    seconds, there = _seconds(part)
    good &= there
    return (days * 86_400 + seconds) * 1_000_000, good


def _number(digits: Sequence[Words], at: int, size: int) -> Numbers:
    """Return the number of some digits, two at a time where they are in one word."""
    number, whole = digits[0], size
    while size:
        word, byte = divmod(at, 8)
        step = 2 if size > 1 and byte < 7 else 1
        some = digits[word] * _PAIR if step == 2 else digits[word]
        found = (some >> np.uint64(8 * (byte + step - 1))) & _BYTE
        number = found if size == whole else number * np.uint64(10**step) + found
        at, size = at + step, size - step
    return number.view(np.int64)


def _afternoon(words: Sequence[Words], at: int) -> tuple[Numbers, Flags]:
    first, second = (
        (words[one // 8] >> np.uint64(8 * (one % 8))) & _BYTE | _LOWER for one in (at, at + 1)
    )
    good = ((first == _A) | (first == _P)) & (second == _M)
    return (first == _P).astype(np.int64), good


def _days(part: Mapping[str, Numbers]) -> tuple[Numbers, Flags]:
    year = part["Y"] if "Y" in part else part["y"] + np.where(part["y"] >= _PIVOT, 1900, 2000)
    month, day = part["m"] - 1, part["d"] - 1
    firsts = _firsts()
    index = year * 12 + month
    first = firsts.take(index, mode="clip")
    good = (month.view(np.uint64) < 12) & (year > 0)
    good &= day.view(np.uint64) < (firsts.take(index + 1, mode="clip") - first).view(np.uint64)
    return first + day, good


def _seconds(part: Mapping[str, Numbers]) -> tuple[Numbers, Flags]:
    none = np.zeros(len(part["d"]), np.int64)
    minute, second = part.get("M", none), part.get("S", none)
    good = (minute <= 59) & (second <= 59)
    if "H" in part:
        hour = part["H"]
        good &= hour <= 23
    else:
        shown = part["I"]
        good &= (shown >= 1) & (shown <= 12)
        hour = shown % 12 + 12 * part["p"]
    return hour * 3600 + minute * 60 + second, good


@cache
def _firsts() -> Numbers:
    """Return the days from 1970 to the first of each month from January of the year 0 on."""
    months = np.arange("0000-01", "10000-02", dtype="datetime64[M]")
    return months.astype("datetime64[D]").astype(np.int64)
