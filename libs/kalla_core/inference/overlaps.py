"""Which columns of both sides share values, and how those have to be written for it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.inference.joining import Ints
from kalla_core.inference.profiles import dictionary_codes
from kalla_core.inference.transforms import (
    AS_IS,
    DIGITS,
    REFERENCE,
    UNLETTERED,
    WHOLE,
    Space,
    Transform,
    capture,
    head,
    part,
    tail,
)
from kalla_core.inference.values import text_sql

_SEPARATORS = "-/_.: |#,;"
_SKETCH = 1500
_LEAST_SHARED = 4
_LEAST_SHARE = 0.04
_GAIN = 1.03
_RUN = re.compile(r"[A-Za-z]+|[0-9]+|[^A-Za-z0-9]+")


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """A column whose values may be keys: its different texts, and which of them each row has.

    Attributes:
        unique: strings, each once.
        rows: int64 per row, a place in `unique`, or -1 for null.
        whole_number: whether the column is of whole numbers.
    """

    column: str
    arrow_type: pa.DataType
    unique: pa.Array
    rows: Ints

    @property
    def number(self) -> bool:
        """Whether it is a column of whole numbers."""
        return bool(pa.types.is_integer(self.arrow_type))


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A column, written in a way."""

    texts: Texts
    transform: Transform

    def sql(self, other: View) -> str:
        """Return its SQL, with `{}` for the alias, to compare with a view of the other side."""
        plain = self.transform is AS_IS and other.transform is AS_IS
        if plain and self.texts.number and other.texts.number:
            return text_sql(self.texts.column, pa.string())
        return self.transform.of(text_sql(self.texts.column, self.texts.arrow_type))

    @property
    def says(self) -> str:
        """Return it in words."""
        if self.transform is AS_IS:
            return f"`{self.texts.column}`"
        return f"`{self.texts.column}` ({self.transform.says})"


@dataclass(frozen=True, slots=True, eq=False)
class Overlap:
    """A column of each side, written so that they share values.

    Attributes:
        codes: one int64 per row of a side; equal codes are equal values, -1 is none.
        shared: different values that both have.
        left_share: of the left rows with a value, those whose value the right has too.
    """

    left: View
    right: View
    codes: tuple[Ints, Ints]
    shared: int
    left_share: float
    right_share: float

    @property
    def says(self) -> str:
        """Return it in words."""
        return f"{self.left.says} = {self.right.says}"

    @property
    def sql(self) -> tuple[str, str]:
        """Both sides, with `{}` for their aliases."""
        return self.left.sql(self.right), self.right.sql(self.left)

    @property
    def raw(self) -> bool:
        """Whether both columns are compared as they are, as blocks of `subset_sum` are."""
        same = self.left.texts.number == self.right.texts.number
        return same and self.left.transform is AS_IS and self.right.transform is AS_IS


def texts_in(table: pa.Table) -> tuple[Texts, ...]:
    """Return the columns of texts and whole numbers that have two different values or more."""
    found = []
    for name in table.column_names:
        column = table.column(name)
        if pa.types.is_string(column.type) or pa.types.is_integer(column.type):
            encoded = column.dictionary_encode().unify_dictionaries()
            if encoded.num_chunks and len(encoded.chunk(0).dictionary) > 1:
                unique = encoded.chunk(0).dictionary.cast(pa.string())
                found.append(Texts(name, column.type, unique, dictionary_codes(column)))
    return tuple(found)


def overlaps(left: Sequence[Texts], right: Sequence[Texts]) -> tuple[Overlap, ...]:
    """Return the pairs of columns that share values, the simplest way to write them each."""
    views = (_views(left, right), _views(right, left))
    coded = _coded(views)
    found = []
    for of_left in left:
        for of_right in right:
            best = _best(
                [one for one in coded[0] if one.view.texts is of_left],
                [one for one in coded[1] if one.view.texts is of_right],
            )
            found += [] if best is None else [best]
    found.sort(key=lambda one: -min(one.left_share, one.right_share))
    return tuple(found)


def _views(mine: Sequence[Texts], theirs: Sequence[Texts]) -> list[View]:
    found = []
    for one in mine:
        long = _longest(one) >= 3
        found += [View(one, way) for way in WHOLE if way is AS_IS or (long and not one.number)]
        if one.number or not long:
            continue
        found += [View(one, way) for way in _pieces(one, theirs)]
    return found


def _longest(one: Texts) -> int:
    return int(pc.max(pc.utf8_length(one.unique)).as_py() or 0)


def _pieces(one: Texts, theirs: Sequence[Texts]) -> Iterator[Transform]:
    some = _some(one.unique)
    for separator in _SEPARATORS:
        count = pc.mean(pc.match_substring(some, separator)).as_py() or 0
        if count >= 0.5:
            yield from (part(separator, place) for place in (1, 2, 3, -1))
    seen: set[str] = set()
    lengths: set[int] = set()
    for other in theirs:
        for pattern in patterns_of(other):
            if pattern not in seen:
                seen.add(pattern)
                yield capture(pattern)
        usual = _usual_length(other)
        if usual is not None:
            lengths.add(usual)
    mine = _longest(one)
    for length in sorted(lengths)[:3]:
        if mine > length:
            yield from (head(length), tail(length))
    if pc.any(pc.match_substring_regex(some, "[0-9]{4,}")).as_py():
        yield capture("[0-9]{4,}", Space.DIGITS)
        yield capture("[0-9]{4,}[^0-9]*$", Space.DIGITS)


def _some(unique: pa.Array) -> pa.Array:
    return unique.slice(0, 500)


def patterns_of(other: Texts) -> Iterator[str]:
    """Return patterns that find the values of a column in longer texts."""
    some = [str(text) for text in _some(other.unique).to_pylist() if text]
    if not some or other.number or max(map(len, some)) > 24:
        return
    shapes = Counter(
        tuple("9" if run[0].isdigit() and run.isascii() else "A" if run.isalnum() else "-"
              for run in _RUN.findall(text))
        for text in some
    )  # fmt: skip
    shape, count = shapes.most_common(1)[0]
    if count < 0.6 * len(some) or "9" not in shape or len(shape) > 7:
        return
    runs = [_RUN.findall(text) for text in some]
    fitting = [found for found in runs if len(found) == len(shape)]
    pieces = []
    for place, kind in enumerate(shape):
        words = {found[place] for found in fitting}
        lengths = sorted(map(len, words))
        if kind == "-":
            pieces.append("[-_/. ]{0,2}")
        elif kind == "9":
            least = min(len(word.lstrip("0")) or 1 for word in words)
            pieces.append(f"[0-9]{{{max(1, min(least, lengths[0]))},}}")
        elif len(words) <= 3:
            pieces.append("(?:" + "|".join(sorted(words)) + ")")
        else:
            pieces.append(f"[A-Za-z]{{{lengths[0]},{lengths[-1]}}}")
        if kind == "A" and place + 1 < len(shape) and shape[place + 1] == "9":
            pieces.append("[-_/. #:]{0,2}")
    yield "(?i)" + "".join(pieces)


def _usual_length(other: Texts) -> int | None:
    lengths = Counter(pc.utf8_length(_reference_texts(other)).to_pylist())
    lengths.pop(None, None)
    if not lengths:
        return None
    length, count = lengths.most_common(1)[0]
    return length if length >= 4 and count >= 0.6 * sum(lengths.values()) else None


def _reference_texts(other: Texts) -> pa.Array:
    return REFERENCE.apply(_some(other.unique))


@dataclass(frozen=True, slots=True, eq=False)
class _Coded:
    """A view with a code for each of its rows, and its codes sorted, each once."""

    view: View
    rows: Ints
    unique: Ints
    sketch: Ints


def _coded(sides: tuple[list[View], list[View]]) -> tuple[list[_Coded], list[_Coded]]:
    """Give equal texts of all views of both sides one code."""
    views = [*sides[0], *sides[1]]
    if not views:
        return [], []
    written = [view.transform.apply(view.texts.unique) for view in views]
    codes = dictionary_codes(pa.chunked_array(written, pa.string()))
    ends = np.cumsum([len(one) for one in written])
    found = []
    scattered = np.random.default_rng(7).permutation(int(codes.max(initial=0)) + 2)
    for view, end, texts in zip(views, ends, written, strict=True):
        mine = np.append(codes[end - len(texts) : end], -1)
        rows = mine[view.texts.rows]
        unique = np.unique(mine[mine >= 0])
        sketch = unique[scattered[unique] % 8 == 0] if len(codes) > 8 * _SKETCH else unique
        found.append(_Coded(view, rows, unique, sketch))
    return found[: len(sides[0])], found[len(sides[0]) :]


def _best(left: list[_Coded], right: list[_Coded]) -> Overlap | None:
    """Return the simplest way to write two columns among those that share the most rows."""
    tried = []
    for one in left:
        for other in right:
            if not _comparable(one.view.transform, other.view.transform):
                continue
            few = len(np.intersect1d(one.sketch, other.sketch, assume_unique=True))
            if few >= min(2, len(one.sketch), len(other.sketch)):
                cost = one.view.transform.cost + other.view.transform.cost
                share = few / max(1, min(len(one.sketch), len(other.sketch)))
                tried.append((share, few, -cost, one, other))
    tried.sort(key=lambda each: (-each[1], -each[2]))
    found = [_overlap(one, other) for *_, one, other in tried[:12]]
    real = [one for one in found if one is not None]
    if not real:
        return None
    most = max(_rows_met(one) for one in real)
    near = [one for one in real if _rows_met(one) * _GAIN >= most]
    return min(near, key=lambda one: one.left.transform.cost + one.right.transform.cost)


def _rows_met(one: Overlap) -> float:
    """Rows of both sides with a partner, less where a value lost what told it from others."""
    distinct = [len(np.unique(codes[codes >= 0])) for codes in one.codes]
    whole = [len(view.texts.unique) for view in (one.left, one.right)]
    kept = min(1.0, min(d / max(1, w) for d, w in zip(distinct, whole, strict=True)) + 0.5)
    return (one.left_share + one.right_share) * kept


def _comparable(one: Transform, other: Transform) -> bool:
    if one.derived and other.derived:
        return False
    if one.derived or other.derived:
        piece, whole = (one, other) if one.derived else (other, one)
        if piece.space is Space.DIGITS:
            return whole in (DIGITS,)
        return whole in (REFERENCE, UNLETTERED)
    if {one.space, other.space} <= {Space.REFERENCE, Space.DIGITS, Space.AS_IS}:
        # The digits of one side may be all that the other has.
        return one is other or AS_IS not in (one, other) or DIGITS in (one, other)
    return one.space is other.space


def _overlap(left: _Coded, right: _Coded) -> Overlap | None:
    shared = np.intersect1d(left.unique, right.unique, assume_unique=True)
    shares = []
    for one in (left, right):
        there = one.rows[one.rows >= 0]
        shares.append(float(np.isin(there, shared).mean()) if len(there) else 0.0)
    few = min(len(left.unique), len(right.unique))
    if len(shared) < min(_LEAST_SHARED, few) or max(shares) < _LEAST_SHARE or not len(shared):
        return None
    return Overlap(left.view, right.view, (left.rows, right.rows), len(shared), *shares)
