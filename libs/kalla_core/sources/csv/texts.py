"""Why a column is text, or integers, that looks like something else: the first value of that kind.

Where such a column later meets a number or a date, whoever wrote the recipe needs to know which
value in which line it was, and what in the source's `format` or `types` would read it. Looked for
in the sample, among the usual spellings; where two of them read the values differently, both are
named, because only the recipe's author can know.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import accumulate
from pathlib import PurePath

import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.recipe.source_format import SourceFormat
from kalla_core.sources.csv.body import CsvSource
from kalla_core.sources.csv.faults import short
from kalla_core.sources.csv.locate import line_at
from kalla_core.sources.csv.readings import (
    A_NUMBER,
    CANONICAL,
    DENSE_DAY,
    LONG,
    are_numbers,
    casts,
    formats,
    may_be_read,
    ranked,
    remedy,
    types,
)
from kalla_core.sources.csv.records import record_ends
from kalla_core.sources.csv.sample import Piece, Sample
from kalla_core.sources.csv.spelling import Spelling

_ENDS = re.compile(r"\A[ \t]+|[ \t]+\Z")
_GLANCE = 256
_LONGEST = 40
_LINES_BELOW = 64 << 20
"""Only below this offset lines are counted; further on it would take too long."""


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
            f" it, for an amount {types(column, 'decimal(18,2)')}."
        )
    glance = pa.concat_arrays(present.slice(0, _GLANCE).chunks)
    if _are_dense_days(glance) and _are_dense_days(pa.concat_arrays(present.chunks)):
        where = _place(source, sample, _first_present(values))
        shown = f"{types(column, 'date')} and {formats([{'date': DENSE_DAY}])}"
        return f"if `{glance[0]}` {where} is a day in `{column}`, {shown} would read it."
    if not _worth_a_look(glance) or not may_be_read(glance):
        return None
    if are_numbers(glance) and _first_odd(values, A_NUMBER) is None:
        return None  # as nearly all columns of integers
    best, *_ = readings = ranked(glance)
    if best.read * 2 < len(glance):
        return None
    index = _first_odd(values, best.kind)
    if index is None:
        return None
    value = str(values[index].as_py().decode(errors="replace"))
    if not pc.any(pc.equal(glance, value)).as_py():  # it stands behind what was looked at
        glance = pa.concat_arrays([glance, pa.array([value])])
        best, *_ = readings = ranked(glance)
    where = _place(source, sample, index)
    what = f"is not written as {best.kind}"
    if pc.match_substring_regex(pa.scalar(value), CANONICAL[best.kind]).as_py():
        what = "is no day of the calendar" if best.kind != A_NUMBER else "has too many digits"
    would = remedy(column, best, readings, glance, partial(_is_quoted, source, sample))
    shown = short(_ENDS.sub(lambda blanks: "␠" * len(blanks[0]), value))
    return f"`{column}` is text because of `{shown}` {where}, which {what}{would}"


def _is_quoted(source: CsvSource, sample: Sample, text: str) -> bool:
    """Whether a text stands in quotes wherever it is a field of the sample."""
    quote, delimiter = source.dialect.quote, source.dialect.delimiter
    if quote is None or not text:
        return False
    ends = rf"(?:{re.escape(delimiter)}|[\r\n]|\Z)"
    starts = rf"(?:\A|(?<={re.escape(delimiter)})|(?<=[\r\n]))"
    bare, quoted = (
        re.compile(f"{starts}{re.escape(mark + text + mark)}{ends}".encode())
        for mark in ("", quote)
    )
    data = [bytes(piece.data) for piece in sample.pieces]
    return any(map(quoted.search, data)) and not any(map(bare.search, data))


def _are_dense_days(texts: pa.Array) -> bool:
    """Whether all texts are days of this or the last century without separators."""
    if not pc.all(pc.match_substring_regex(texts, r"\A(?:19|20)[0-9]{6}\z")).as_py():
        return False
    days = Spelling.of(SourceFormat(dates=(DENSE_DAY,))).rewritten(texts, pa.date32())
    return not days.null_count and casts(days, pa.date32())


def _first_present(values: pa.ChunkedArray) -> int:
    return int(pc.indices_nonzero(values.is_valid())[0].as_py())


def _worth_a_look(glance: pa.Array) -> bool:
    """Whether most texts are short and hold a digit: all spellings do."""
    digits = pc.match_substring_regex(glance, "[0-9]")
    brief = pc.less_equal(pc.utf8_length(glance), _LONGEST)
    return bool(pc.sum(pc.and_(digits, brief)).as_py() * 2 >= len(glance))


def _first_odd(values: pa.ChunkedArray, kind: str) -> int | None:
    """Return the index of the first value that is not written as documented."""
    odd = pc.fill_null(pc.invert(pc.match_substring_regex(values, CANONICAL[kind])), False)
    also = pc.match_substring_regex(values, LONG) if kind == A_NUMBER else _impossible(values)
    odd = pc.or_(odd, pc.fill_null(also, False))
    found = pc.indices_nonzero(odd)
    return int(found[0].as_py()) if len(found) else None


def _impossible(values: pa.ChunkedArray) -> pa.Array:
    """Return where a text is written as a date is, or begins so, and names no day there is."""
    days = pc.extract_regex(pc.cast(values, pa.string()), r"\A(?P<day>\d{4}-\d{2}-\d{2})")
    named = pc.unique(pc.struct_field(days.combine_chunks(), 0)).drop_null()
    wrong = [one.as_py() for one in named if not casts(one, pa.date32())]
    day = pc.struct_field(days.combine_chunks(), 0)
    return pc.is_in(day, pa.array(wrong, type=pa.string()))


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
