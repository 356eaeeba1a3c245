"""Ways to read texts that are not written as documented, and what in a recipe would choose them.

Looked for among the usual spellings; where two of them read the values differently, both are
proposed, because only the recipe's author can know.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.functions.written_numbers import CURRENCY, NumberForm
from kalla_core.recipe.format_written import format_document
from kalla_core.recipe.source_format import AS_USUAL, AmountForm, SourceFormat
from kalla_core.sources.csv.faults import short
from kalla_core.sources.csv.spelling import Spelling

_MOST_NULL_WORDS = 3
_NUMBER = r"\A-?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)\z"
A_NUMBER = "a number is"
A_DATE = "a date is"
A_TIMESTAMP = "a timestamp is"
LONG = r"\A-?[0-9]{19,}\z"
"""Whole numbers that are taken for numbers where the recipe says so only."""
_FLOAT = r"\A-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?\z"
_WITH_A_WORD = r"\A[-+(]?[0-9][0-9.,' ]*(?:%|[A-Za-z]{1,3}\.?)\z"
_PERHAPS_A_NUMBER = rf"\A(?:[^\pL]|{CURRENCY})*(?:[eE][-+]?[0-9]+|[A-Za-z]{{1,3}}\.?)?\z"
"""What all readings of numbers read, and more: its letters are a currency, or one last word."""
_PLACEHOLDER = (
    r"(?i)\A(?:n\.?/?a\.?n?|#.*|<.*>|null|nil|none|nan|void|missing|unknown|tb[acd]|[^\pL\pN]+|"
    r"0{2,4}([-./])0{2}[-./]0{2,4}(?:[T ]00:00(?::00(?:\.0+)?)?)?)\z"
)
"""What stands where there is no value: never something that could be one."""

CANONICAL = {
    A_NUMBER: r"\A-?(?:0|[1-9][0-9]*|(?:0|[1-9][0-9]*)?\.[0-9]+)\z",
    A_DATE: r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\z",
    A_TIMESTAMP: r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}",
}
_SIGNS = ((".", None), (".", ","), (",", "."), (",", " "), (".", " "), (".", "'"), (",", "'"))
_BEGINS_AS_DATES = r"\A(?:[0-9]{1,4}|[A-Za-z]{3,9})[-/. ](?:[0-9]{1,2}|[A-Za-z]{3,9}),?[-/. ]"
_DATES = (
    *("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d"),
    *("%Y.%m.%d", "%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%d-%m-%y", "%d-%b-%Y", "%d-%b-%y"),
    *("%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y"),
)
DENSE_DAY = "%Y%m%d"
_DENSE = (DENSE_DAY, "%d%m%Y", "%m%d%Y", "%y%m%d", "%d%m%y", "%m%d%y")
_DENSE_TIMES = ("%H%M%S", " %H:%M:%S", "%H%M", " %H:%M", "T%H%M%S")
_TIMES = ("%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p", "%H:%M:%S.%f")

_BESIDE = "(?i) ?(?:%|[dc]r\\.?)\\z"
_PERCENT = r"%\z"
_DEBIT_CREDIT = r"(?i)[0-9] ?[dc]r\.?\z"
_MOST_CURRENCIES = 9


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read values: what it needs, and the values as documented, null where unread.

    Attributes:
        format: None where no format reads such values.
        word: the `types` word that reads them.
        sql: given the column, says what reads them in SQL where no format does.
    """

    kind: str
    format: SourceFormat | None
    values: pa.Array
    word: str | None = None
    sql: Callable[[str], str] | None = None

    @property
    def read(self) -> int:
        """How many values it reads."""
        return len(self.values) - int(self.values.null_count)


def ranked(glance: pa.Array) -> list[Reading]:
    """Return the ways to read values, the one that reads most first."""
    return sorted(_readings(glance), key=lambda one: -one.read)


def may_be_read(glance: pa.Array) -> bool:
    """Whether there may be a way that reads half of the values; `ranked` takes long to find out."""
    numbers = pc.sum(pc.match_substring_regex(glance, _PERHAPS_A_NUMBER)).as_py()
    return bool(numbers * 2 >= len(glance)) or _may_be_moments(glance)


def are_numbers(glance: pa.Array) -> bool:
    """Whether all values are written as numbers are, which is then the first of `ranked`."""
    return bool(pc.all(pc.match_substring_regex(glance, _NUMBER)).as_py())


def proposal(
    column: str, wanted: pa.DataType, texts: pa.Array, is_quoted: Callable[[str], bool]
) -> str:
    """Return what would read all texts of a column as a type, as the end of a sentence.

    Empty if nothing would, but to take them as null words that could be values.
    """
    kind = _kind(wanted)
    able = [
        replace(one, values=_castable(one.values, wanted))
        for one in (*ranked(texts), *_dense(texts, wanted))
        if one.kind == kind and one.format is not None and _type_word(one) is None
    ]
    able = sorted((one for one in able if one.read), key=lambda one: -one.read)
    if not able or _left(able[0], texts)[1]:
        return ""
    return remedy(column, able[0], able, texts, is_quoted)


def _kind(wanted: pa.DataType) -> str | None:
    kinds = pa.types
    if kinds.is_date(wanted):
        return A_DATE
    if kinds.is_timestamp(wanted) and wanted.tz is None:
        return A_TIMESTAMP
    tests = (kinds.is_integer, kinds.is_decimal, kinds.is_floating)
    return A_NUMBER if any(test(wanted) for test in tests) else None


def _dense(glance: pa.Array, wanted: pa.DataType) -> Iterator[Reading]:
    """Yield the readings of days without separators, numbers unless the recipe says otherwise."""
    for date in _DENSE:
        if pa.types.is_date(wanted):
            yield from _as_moment(glance, A_DATE, SourceFormat(dates=(date,)), wanted)
        elif pa.types.is_timestamp(wanted):
            for time in _DENSE_TIMES:
                found = SourceFormat(timestamps=(date + time,))
                yield from _as_moment(glance, A_TIMESTAMP, found, wanted)


def _may_be_moments(glance: pa.Array) -> bool:
    """Whether any text begins as all of `_DATES` do; each of them takes long to try."""
    return bool(pc.any(pc.match_substring_regex(glance, _BEGINS_AS_DATES)).as_py())


def _readings(glance: pa.Array) -> Iterator[Reading]:
    yield Reading(A_NUMBER, AS_USUAL, _where(glance, _NUMBER))
    powers = _where(glance, _FLOAT)
    word = "decimal(38,10)" if casts(powers, pa.decimal128(38, 10)) else "double"
    yield Reading(A_NUMBER, AS_USUAL, powers, word)
    for decimal, thousands in _SIGNS:
        for forms in ((), tuple(AmountForm)):
            found = SourceFormat(
                decimal=None if decimal == "." else decimal, thousands=thousands, amounts=forms
            )
            yield from _as_number(glance, found)
    for date in _DATES if _may_be_moments(glance) else ():
        yield from _as_moment(glance, A_DATE, SourceFormat(dates=(date,)), pa.date32())
        for time in _TIMES:
            found = SourceFormat(timestamps=(f"{date} {time}",))
            yield from _as_moment(glance, A_TIMESTAMP, found, pa.timestamp("us"))
    for decimal, thousands in _SIGNS:
        yield from _in_sql(glance, SourceFormat(decimal=decimal, thousands=thousands))
    yield Reading(A_NUMBER, None, _where(glance, _WITH_A_WORD))


def _in_sql(glance: pa.Array, signs: SourceFormat) -> Iterator[Reading]:
    """Yield the readings of numbers beside signs that no format takes for a part of them."""
    for pattern, every, said in (
        (_PERCENT, True, _percentage),
        (_DEBIT_CREDIT, False, _debit_credit),
    ):
        marked = _where(glance, pattern)
        if marked.null_count < len(marked):
            bare = pc.replace_substring_regex(marked if every else glance, _BESIDE, "")
            values = NumberForm(signs).rewritten(bare)
            yield Reading(A_NUMBER, None, values, sql=partial(said, signs))
    form = NumberForm(replace(signs, amounts=(AmountForm.CURRENCY, AmountForm.BLANKS)))
    currencies = form.currencies(glance)
    if 1 < len(currencies) <= _MOST_CURRENCIES:
        values = pc.coalesce(*(form.rewritten(glance, one) for one in currencies))
        yield Reading(A_NUMBER, None, values, sql=partial(_amount_and_currency, signs))


def _percentage(signs: SourceFormat, column: str) -> str:
    number = _number_sql(f"rtrim({column}, ' %')", signs)
    return f"`{number} / 100`"


def _debit_credit(signs: SourceFormat, column: str) -> str:
    number = _number_sql(f"rtrim(upper({column}), ' CDR.')", signs)
    return f"`CASE WHEN upper({column}) LIKE '%CR%' THEN -1 ELSE 1 END * {number}`"


def _amount_and_currency(signs: SourceFormat, column: str) -> str:
    number = _number_sql(f"regexp_replace({column}, '[^-0-9.,]', '', 'g')", signs)
    return f"`{number}`, of the currency `regexp_replace({column}, '[-0-9., ]', '', 'g')`,"


def _number_sql(text: str, signs: SourceFormat) -> str:
    """Return the SQL that makes a number of a text with nothing but digits and signs."""
    if signs.thousands:
        text = f"replace({text}, '{signs.thousands.replace(chr(39), chr(39) * 2)}', '')"
    if signs.decimal == ",":
        text = f"replace({text}, ',', '.')"
    return f"CAST({text} AS DECIMAL(38, 10))"


def _as_number(glance: pa.Array, found: SourceFormat) -> Iterator[Reading]:
    form = NumberForm.of(found)
    if form is None:
        return
    currencies = form.currencies(glance)
    if len(currencies) <= 1:
        values = form.rewritten(glance, *currencies)
        if values.null_count < len(values):
            yield Reading(A_NUMBER, found, values)


def _as_moment(
    glance: pa.Array, kind: str, found: SourceFormat, wanted: pa.DataType
) -> Iterator[Reading]:
    values = _castable(Spelling.of(found).rewritten(glance, wanted), wanted)
    if values.null_count < len(values):
        yield Reading(kind, found, values)


def _castable(texts: pa.Array, wanted: pa.DataType) -> pa.Array:
    """Return texts as they are, null in the place of those that are no such value."""
    if casts(texts, wanted):
        return texts
    return pa.array([one.as_py() if casts(one, wanted) else None for one in texts], type=texts.type)


def casts(texts: pa.Array | pa.Scalar, wanted: pa.DataType) -> bool:
    """Whether texts written as documented are all values of a type."""
    try:
        texts.cast(wanted)
    except pa.ArrowInvalid:
        return False
    return True


def _where(texts: pa.Array, pattern: str) -> pa.Array:
    return pc.if_else(pc.match_substring_regex(texts, pattern), texts, None)


def remedy(
    column: str,
    best: Reading,
    readings: Sequence[Reading],
    glance: pa.Array,
    is_quoted: Callable[[str], bool],
) -> str:
    """Return what would read a column, as the end of a sentence.

    Args:
        column: its name.
        best: the first of `readings`, all of which are of `glance`.
        readings: of the column.
        glance: some of its texts.
        is_quoted: whether a text stands in quotes, where it never is null.
    """
    words, unread = _left(best, glance)
    quoted = [word for word in words if is_quoted(word)]
    nulls = tuple(word for word in words if word not in quoted)
    if quoted and not nulls and not unread:
        return _quoted_words(column, best, quoted)
    unread += quoted
    meant = [best]
    for other in readings[1:]:
        if other.read == best.read and other.kind == best.kind and _differ(best, other):
            meant.append(other)
            break
    documents = [
        _document(replace(least, nulls=nulls))
        for one in meant
        if (least := _least(one, glance)) is not None
    ]
    shown = formats(documents)
    if word := _type_word(best):
        said = types(column, word)
        shown = f"{said} and {shown}" if shown else said
    place = "its source"
    if best.sql is not None:
        ways = dict.fromkeys(one.sql(_quoted(column)) for one in meant if one.sql is not None)
        shown, place = " or ".join(ways), "the match SQL"
    if not shown:
        return "."
    known = ", which of them only you can know" if " or " in shown else ""
    but = f", but not `{short(unread[0])}`" if unread else ""
    return f"; in {place}, {shown} would read it{known}{but}."


def _quoted_words(column: str, best: Reading, words: Sequence[str]) -> str:
    """Return what would read a column whose words for null stand in quotes."""
    without = _quoted(column)
    for word in words:
        literal = word.replace("'", "''")
        without = f"nullif({without}, '{literal}')"
    types = {A_NUMBER: "DECIMAL(18, 2)", A_DATE: "DATE", A_TIMESTAMP: "TIMESTAMP"}
    return (
        "; in quotes it is text, whatever `null` says; in the match SQL, "
        f"CAST({without} AS {types[best.kind]}) would read it."
    )


def _left(best: Reading, glance: pa.Array) -> tuple[tuple[str, ...], list[str]]:
    """Return the null words among what a reading leaves, and the rest."""
    left = pc.unique(glance.filter(pc.is_null(best.values)))
    words = left.filter(pc.match_substring_regex(left, _PLACEHOLDER))
    nulls = tuple(words.to_pylist()) if len(words) <= _MOST_NULL_WORDS else ()
    return nulls, [word for word in left.to_pylist() if word not in nulls]


def _quoted(column: str) -> str:
    plain = re.fullmatch("[a-z_][a-z0-9_]*", column)
    return column if plain else '"' + column.replace('"', '""') + '"'


def formats(documents: Sequence[Mapping[str, Any]]) -> str:
    """Return documents as people write them into a recipe."""
    texts = dict.fromkeys(json.dumps(one) for one in documents if one)
    return " or ".join(f'"format": {one}' for one in texts)


def types(column: str, word: str) -> str:
    """Return the entry of a recipe that gives a column a type."""
    return f'"types": {json.dumps({column: word})}'


def _type_word(best: Reading) -> str | None:
    """Return what `types` has to say so that a number is taken for one: leading zeros are not."""
    if best.word is not None or best.format != AS_USUAL or best.kind != A_NUMBER:
        return best.word
    if pc.any(pc.match_substring_regex(best.values, LONG)).as_py():
        return "decimal(38,0)"
    odd = pc.invert(pc.match_substring_regex(best.values, CANONICAL[A_NUMBER]))
    if not pc.any(odd).as_py():
        return None
    return "decimal(38,10)" if pc.any(pc.match_substring(best.values, ".")).as_py() else "integer"


def _least(reading: Reading, glance: pa.Array) -> SourceFormat | None:
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


def _differ(one: Reading, other: Reading) -> bool:
    wanted = pa.decimal256(76, 20) if one.kind == A_NUMBER else pa.string()
    try:
        return not pc.cast(one.values, wanted).equals(pc.cast(other.values, wanted))
    except pa.ArrowInvalid:
        return True


def _document(found: SourceFormat) -> Mapping[str, Any]:
    return {
        name: value[0] if isinstance(value, list) and len(value) == 1 else value
        for name, value in format_document(found).items()
    }
