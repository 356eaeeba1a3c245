"""Why a column is text that looks like numbers or dates: the first value that made it so.

Where such a column later meets a number or a date, whoever wrote the recipe needs to know which
value in which line it was, and what in the source's `format` or `types` would read it. Looked for
in the sample, among the usual spellings; where two of them read the values differently, both are
named, because only the recipe's author can know.
"""

from __future__ import annotations

import json
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

_GLANCE = 256
_LONGEST = 40
_MOST_NULL_WORDS = 3
_LINES_BELOW = 64 << 20
"""Only below this offset lines are counted; further on it would take too long."""

_NUMBER = r"\A-?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)\z"
_SIGNS = ((".", None), (".", ","), (",", "."), (",", " "), (".", " "), (".", "'"), (",", "'"))
_DATES = (
    *("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d"),
    *("%Y.%m.%d", "%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%d-%m-%y", "%d-%b-%Y", "%d-%b-%y"),
    *("%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y"),
)
_TIMES = ("%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p", "%H:%M:%S.%f")


@dataclass(frozen=True, slots=True)
class _Reading:
    """One way to read values: what it needs, and the values as documented, null where unread."""

    kind: str
    format: SourceFormat
    values: pa.Array

    @property
    def read(self) -> int:
        return len(self.values) - int(self.values.null_count)


def text_reasons(source: CsvSource, sample: Sample, columns: Sequence[str]) -> Mapping[str, str]:
    """Return a sentence for each of the text columns that looks like something else."""
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
    if not _worth_a_look(glance):
        return None
    readings = sorted(_readings(glance), key=lambda one: -one.read)
    if not readings or readings[0].read * 2 < len(glance):
        return None
    best = readings[0]
    index = _first_odd(values, best.kind)
    if index is None:
        return None
    value = str(values[index].as_py().decode(errors="replace"))
    where = _place(source, sample, index)
    remedy = _remedy(column, best, readings, glance)
    return (
        f"`{column}` is text because of `{short(value)}` {where}, which is not written as"
        f" {best.kind}{remedy}"
    )


def _worth_a_look(glance: pa.Array) -> bool:
    """Whether most texts are short and hold a digit: all spellings do."""
    digits = pc.match_substring_regex(glance, "[0-9]")
    brief = pc.less_equal(pc.utf8_length(glance), _LONGEST)
    return bool(pc.sum(pc.and_(digits, brief)).as_py() * 2 >= len(glance))


def _readings(glance: pa.Array) -> Iterator[_Reading]:
    yield _Reading("a number is", AS_USUAL, _where(glance, _NUMBER))
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


def _as_number(glance: pa.Array, found: SourceFormat) -> Iterator[_Reading]:
    form = NumberForm.of(found)
    if form is None:
        return
    currencies = form.currencies(glance)
    if len(currencies) <= 1:
        values = form.rewritten(glance, *currencies)
        if values.null_count < len(values):
            yield _Reading("a number is", found, values)


def _as_moment(
    glance: pa.Array, kind: str, found: SourceFormat, wanted: pa.DataType
) -> Iterator[_Reading]:
    values = Spelling.of(found).rewritten(glance, wanted)
    if values.null_count == len(values):
        return
    try:
        pc.cast(values, wanted)
    except pa.ArrowInvalid:
        return
    yield _Reading(kind, found, values)


def _where(texts: pa.Array, pattern: str) -> pa.Array:
    return pc.if_else(pc.match_substring_regex(texts, pattern), texts, None)


def _first_odd(values: pa.ChunkedArray, kind: str) -> int | None:
    """Return the index of the first value that is not written as documented."""
    canonical = {
        "a number is": r"\A-?(?:0|[1-9][0-9]*|(?:0|[1-9][0-9]*)?\.[0-9]+)\z",
        "a date is": r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\z",
        "a timestamp is": r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}",
    }[kind]
    odd = pc.invert(pc.match_substring_regex(values, canonical))
    found = pc.indices_nonzero(pc.fill_null(odd, False))
    return int(found[0].as_py()) if len(found) else None


def _remedy(column: str, best: _Reading, readings: Sequence[_Reading], glance: pa.Array) -> str:
    left = pc.unique(glance.filter(pc.is_null(best.values))).to_pylist()
    nulls = tuple(left) if len(left) <= _MOST_NULL_WORDS else ()
    if best.format == AS_USUAL and not left:
        whole = not pc.any(pc.match_substring(glance, ".")).as_py()
        word = "integer" if whole else "decimal(38,10)"
        return f'; "types": {{"{column}": "{word}"}} would read it as a number.'
    if left and not nulls:
        return f'; "types": {{"{column}": …}} says how it is to be read.'
    meant = [replace(_least(best, glance), nulls=nulls)]
    for other in readings[1:]:
        if other.read == best.read and other.kind == best.kind and _differ(best, other):
            meant.append(replace(_least(other, glance), nulls=nulls))
            break
    shown = " or ".join(f'"format": {json.dumps(_document(one))}' for one in meant)
    known = ", which of them only you can know" if len(meant) > 1 else ""
    return f"; in its source, {shown} would read it{known}."


def _least(reading: _Reading, glance: pa.Array) -> SourceFormat:
    """Return the format without the amount forms that it does not need."""
    found = reading.format
    for form in found.amounts:
        fewer = replace(found, amounts=tuple(one for one in found.amounts if one is not form))
        if any(one.values.equals(reading.values) for one in _as_number(glance, fewer)):
            found = fewer
    return found


def _differ(one: _Reading, other: _Reading) -> bool:
    wanted = pa.decimal256(76, 20) if one.kind == "a number is" else pa.string()
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
