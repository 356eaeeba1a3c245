"""Why a column is text, or integers, that looks like something else: the first value of that kind.

Where such a column later meets a number or a date, whoever wrote the recipe needs to know which
value in which line it was, and what in the source's `format` or `types` would read it. Looked for
in the sample, among the usual spellings; where two of them read the values differently, both are
named, because only the recipe's author can know.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import PurePath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.recipe.format_document import format_document
from kalla_core.recipe.source_format import AS_USUAL, AmountForm, SourceFormat
from kalla_core.sources.csv.body import CsvSource
from kalla_core.sources.csv.faults import short
from kalla_core.sources.csv.locate import line_at
from kalla_core.sources.csv.numbers import NumberForm
from kalla_core.sources.csv.records import record_ends
from kalla_core.sources.csv.sample import Piece, Sample
from kalla_core.sources.csv.spelling import Spelling

_ENDS = re.compile(r"\A[ \t]+|[ \t]+\Z")
_GLANCE = 256
_LONGEST = 40
_MOST_NULL_WORDS = 3
_LINES_BELOW = 64 << 20
"""Only below this offset lines are counted; further on it would take too long."""

_NUMBER = r"\A-?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)\z"
_A_NUMBER = "a number is"
_LONG = r"\A-?[0-9]{19,}\z"
"""Whole numbers that are taken for numbers where the recipe says so only."""
_FLOAT = r"\A-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?\z"
_WITH_A_WORD = r"\A[-+(]?[0-9][0-9.,' ]*(?:%|[A-Za-z]{1,3}\.?)\z"
_PLACEHOLDER = (
    r"(?i)\A(?:n\.?/?a\.?n?|#.*|<.*>|null|nil|none|nan|void|missing|unknown|tb[acd]|[^\pL\pN]+|"
    r"0{2,4}([-./])0{2}[-./]0{2,4}(?:[T ]00:00(?::00(?:\.0+)?)?)?)\z"
)
"""What stands where there is no value: never something that could be one."""

_CANONICAL = {
    _A_NUMBER: r"\A-?(?:0|[1-9][0-9]*|(?:0|[1-9][0-9]*)?\.[0-9]+)\z",
    "a date is": r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\z",
    "a timestamp is": r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}",
}
_SIGNS = ((".", None), (".", ","), (",", "."), (",", " "), (".", " "), (".", "'"), (",", "'"))
_DATES = (
    *("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d"),
    *("%Y.%m.%d", "%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%d-%m-%y", "%d-%b-%Y", "%d-%b-%y"),
    *("%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y"),
)
_DENSE_DAY = "%Y%m%d"
_TIMES = ("%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p", "%H:%M:%S.%f")


@dataclass(frozen=True, slots=True)
class _Reading:
    """One way to read values: what it needs, and the values as documented, null where unread.

    Attributes:
        format: None where no format reads such values.
        word: the `types` word that reads them.
    """

    kind: str
    format: SourceFormat | None
    values: pa.Array
    word: str | None = None

    @property
    def read(self) -> int:
        return len(self.values) - int(self.values.null_count)


def text_reasons(source: CsvSource, sample: Sample, columns: Sequence[str]) -> Mapping[str, str]:
    """Return a sentence for each column of text or integers that looks like something else."""
    found = {name: _reason(source, sample, name) for name in columns}
    return {name: reason for name, reason in found.items() if reason is not None}


def _reason(source: CsvSource, sample: Sample, column: str) -> str | None:
    values = sample.rows.column(column)
    present = pc.cast(values.drop_null(), pa.string())
    if not len(present):
        return (
            f"`{column}` has no value in its sample, so its type is not known; a `types` entry says"
            " it."
        )
    glance = pa.concat_arrays(present.slice(0, _GLANCE).chunks)
    if _are_dense_days(glance) and _are_dense_days(pa.concat_arrays(present.chunks)):
        where = _place(source, sample, _first_present(values))
        shown = f"{_types(column, 'date')} and {_formats([{'date': _DENSE_DAY}])}"
        return f"if `{glance[0]}` {where} is a day in `{column}`, {shown} would read it."
    if not _worth_a_look(glance):
        return None
    best, *_ = readings = _ranked(glance)
    if best.read * 2 < len(glance):
        return None
    index = _first_odd(values, best.kind)
    if index is None:
        return None
    value = str(values[index].as_py().decode(errors="replace"))
    if not pc.any(pc.equal(glance, value)).as_py():  # it stands behind what was looked at
        glance = pa.concat_arrays([glance, pa.array([value])])
        best, *_ = readings = _ranked(glance)
    where = _place(source, sample, index)
    what = f"is not written as {best.kind}"
    if pc.match_substring_regex(pa.scalar(value), _CANONICAL[best.kind]).as_py():
        what = "is no day of the calendar" if best.kind != _A_NUMBER else "has too many digits"
    remedy = _remedy(column, best, readings, glance)
    shown = short(_ENDS.sub(lambda blanks: "␠" * len(blanks[0]), value))
    return f"`{column}` is text because of `{shown}` {where}, which {what}{remedy}"


def _are_dense_days(texts: pa.Array) -> bool:
    """Whether all texts are days of this or the last century without separators."""
    if not pc.all(pc.match_substring_regex(texts, r"\A(?:19|20)[0-9]{6}\z")).as_py():
        return False
    days = Spelling.of(SourceFormat(dates=(_DENSE_DAY,))).rewritten(texts, pa.date32())
    return not days.null_count and _casts(days, pa.date32())


def _first_present(values: pa.ChunkedArray) -> int:
    return int(pc.indices_nonzero(values.is_valid())[0].as_py())


def _ranked(glance: pa.Array) -> list[_Reading]:
    """Return the ways to read values, the one that reads most first."""
    return sorted(_readings(glance), key=lambda one: -one.read)


def _worth_a_look(glance: pa.Array) -> bool:
    """Whether most texts are short and hold a digit: all spellings do."""
    digits = pc.match_substring_regex(glance, "[0-9]")
    brief = pc.less_equal(pc.utf8_length(glance), _LONGEST)
    return bool(pc.sum(pc.and_(digits, brief)).as_py() * 2 >= len(glance))


def _readings(glance: pa.Array) -> Iterator[_Reading]:
    yield _Reading(_A_NUMBER, AS_USUAL, _where(glance, _NUMBER))
    powers = _where(glance, _FLOAT)
    word = "decimal(38,10)" if _casts(powers, pa.decimal128(38, 10)) else "double"
    yield _Reading(_A_NUMBER, AS_USUAL, powers, word)
    for decimal, thousands in _SIGNS:
        for forms in ((), tuple(AmountForm)):
            found = SourceFormat(
                decimal=None if decimal == "." else decimal, thousands=thousands, amounts=forms
            )
            yield from _as_number(glance, found)
    for date in _DATES:
        yield from _as_moment(glance, "a date is", SourceFormat(dates=(date,)), pa.date32())
        for time in _TIMES:
            found = SourceFormat(timestamps=(f"{date} {time}",))
            yield from _as_moment(glance, "a timestamp is", found, pa.timestamp("us"))
    yield _Reading(_A_NUMBER, None, _where(glance, _WITH_A_WORD))


def _as_number(glance: pa.Array, found: SourceFormat) -> Iterator[_Reading]:
    form = NumberForm.of(found)
    if form is None:
        return
    currencies = form.currencies(glance)
    if len(currencies) <= 1:
        values = form.rewritten(glance, *currencies)
        if values.null_count < len(values):
            yield _Reading(_A_NUMBER, found, values)


def _as_moment(
    glance: pa.Array, kind: str, found: SourceFormat, wanted: pa.DataType
) -> Iterator[_Reading]:
    values = _castable(Spelling.of(found).rewritten(glance, wanted), wanted)
    if values.null_count < len(values):
        yield _Reading(kind, found, values)


def _castable(texts: pa.Array, wanted: pa.DataType) -> pa.Array:
    """Return texts as they are, null in the place of those that are no such value."""
    if _casts(texts, wanted):
        return texts
    return pa.array(
        [one.as_py() if _casts(one, wanted) else None for one in texts], type=texts.type
    )


def _casts(texts: pa.Array | pa.Scalar, wanted: pa.DataType) -> bool:
    try:
        texts.cast(wanted)
    except pa.ArrowInvalid:
        return False
    return True


def _where(texts: pa.Array, pattern: str) -> pa.Array:
    return pc.if_else(pc.match_substring_regex(texts, pattern), texts, None)


def _first_odd(values: pa.ChunkedArray, kind: str) -> int | None:
    """Return the index of the first value that is not written as documented."""
    odd = pc.fill_null(pc.invert(pc.match_substring_regex(values, _CANONICAL[kind])), False)
    also = pc.match_substring_regex(values, _LONG) if kind == _A_NUMBER else _impossible(values)
    odd = pc.or_(odd, pc.fill_null(also, False))
    found = pc.indices_nonzero(odd)
    return int(found[0].as_py()) if len(found) else None


def _impossible(values: pa.ChunkedArray) -> pa.Array:
    """Return where a text is written as a date is, or begins so, and names no day there is."""
    days = pc.extract_regex(pc.cast(values, pa.string()), r"\A(?P<day>\d{4}-\d{2}-\d{2})")
    named = pc.unique(pc.struct_field(days.combine_chunks(), 0)).drop_null()
    wrong = [one.as_py() for one in named if not _casts(one, pa.date32())]
    day = pc.struct_field(days.combine_chunks(), 0)
    return pc.is_in(day, pa.array(wrong, type=pa.string()))


def _remedy(column: str, best: _Reading, readings: Sequence[_Reading], glance: pa.Array) -> str:
    left = pc.unique(glance.filter(pc.is_null(best.values)))
    words = left.filter(pc.match_substring_regex(left, _PLACEHOLDER))
    nulls = tuple(words.to_pylist()) if len(words) <= _MOST_NULL_WORDS else ()
    unread = [word for word in left.to_pylist() if word not in nulls]
    meant = [_least(best, glance)]
    for other in readings[1:]:
        if other.read == best.read and other.kind == best.kind and _differ(best, other):
            meant.append(_least(other, glance))
            break
    documents = [_document(replace(one, nulls=nulls)) for one in meant if one is not None]
    shown = _formats(documents)
    if word := _type_word(best):
        types = _types(column, word)
        shown = f"{types} and {shown}" if shown else types
    if not shown:
        return "."
    known = ", which of them only you can know" if " or " in shown else ""
    but = f", but not `{short(unread[0])}`" if unread else ""
    return f"; in its source, {shown} would read it{known}{but}."


def _formats(documents: Sequence[Mapping[str, Any]]) -> str:
    texts = dict.fromkeys(json.dumps(one) for one in documents if one)
    return " or ".join(f'"format": {one}' for one in texts)


def _types(column: str, word: str) -> str:
    return f'"types": {json.dumps({column: word})}'


def _type_word(best: _Reading) -> str | None:
    """Return what `types` has to say so that a number is taken for one: leading zeros are not."""
    if best.word is not None or best.format != AS_USUAL or best.kind != _A_NUMBER:
        return best.word
    if pc.any(pc.match_substring_regex(best.values, _LONG)).as_py():
        return "decimal(38,0)"
    odd = pc.invert(pc.match_substring_regex(best.values, _CANONICAL[_A_NUMBER]))
    if not pc.any(odd).as_py():
        return None
    return "decimal(38,10)" if pc.any(pc.match_substring(best.values, ".")).as_py() else "integer"


def _least(reading: _Reading, glance: pa.Array) -> SourceFormat | None:
    """Return the format without what it does not need."""
    found = reading.format
    if found is None:
        return None
    if any(one.startswith("%Y-%m-%d") and "%I" not in one for one in _moments(found)):
        return AS_USUAL
    for form in found.amounts:
        fewer = replace(found, amounts=tuple(one for one in found.amounts if one is not form))
        if any(one.values.equals(reading.values) for one in _as_number(glance, fewer)):
            found = fewer
    return found


def _moments(found: SourceFormat) -> tuple[str, ...]:
    return (*found.dates, *found.timestamps)


def _differ(one: _Reading, other: _Reading) -> bool:
    wanted = pa.decimal256(76, 20) if one.kind == _A_NUMBER else pa.string()
    try:
        return not pc.cast(one.values, wanted).equals(pc.cast(other.values, wanted))
    except pa.ArrowInvalid:
        return True


def _document(found: SourceFormat) -> Mapping[str, Any]:
    return {
        name: value[0] if isinstance(value, list) and len(value) == 1 else value
        for name, value in format_document(found).items()
    }


def _place(source: CsvSource, sample: Sample, index: int) -> str:
    ends = list(accumulate(sample.counts))
    at = next(number for number, end in enumerate(ends) if index < end)
    piece = sample.pieces[at]
    offset = piece.offset + _record_start(source, piece, index - (ends[at] - sample.counts[at]))
    name = PurePath(piece.file.path).name
    if offset > _LINES_BELOW:
        return f"near byte {offset:,} of {name}"
    return f"in line {line_at(source, piece.file, offset)} of {name}"


def _record_start(source: CsvSource, piece: Piece, row: int) -> int:
    """Return the offset of a row in its piece."""
    comment = source.dialect.comment
    start = 0
    for end in record_ends(piece.data, source.dialect.signs(piece.file.terminator)):
        record = piece.data[start:end]
        is_row = record.strip(b"\r\n") and not (comment and record.startswith(comment.encode()))
        if is_row and row == 0:
            return start
        row, start = row - bool(is_row), end
    return 0
