"""The order of days, months and years, told from the values of columns. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from kalla_core.recipe.source_format import SourceFormat
from kalla_core.sources.csv.spelling import Spelling

Values = Sequence[tuple[int, str]]

_ORDERS = {
    r"\d{1,2}/\d{1,2}/\d{4}": ("%d/%m/%Y", "%m/%d/%Y"),
    r"\d{1,2}-\d{1,2}-\d{4}": ("%d-%m-%Y", "%m-%d-%Y"),
    r"\d{1,2}\.\d{1,2}\.\d{4}": ("%d.%m.%Y",),
    r"\d{1,2}/\d{1,2}/\d{2}": ("%d/%m/%y", "%m/%d/%y", "%y/%m/%d"),
    r"\d{1,2}-\d{1,2}-\d{2}": ("%d-%m-%y", "%m-%d-%y", "%y-%m-%d"),
    r"\d{1,2}\.\d{1,2}\.\d{2}": ("%d.%m.%y",),
    r"\d{4}/\d{1,2}/\d{1,2}": ("%Y/%m/%d",),
    r"\d{4}\.\d{1,2}\.\d{1,2}": ("%Y.%m.%d",),
    r"\d{4}-\d{1,2}-\d{1,2}": ("%Y-%m-%d",),
    r"(?:19|20)\d{6}": ("%Y%m%d",),
    r"\d{1,2}-[A-Za-z]{3}-\d{4}": ("%d-%b-%Y",),
    r"\d{1,2}-[A-Za-z]{3}-\d{2}": ("%d-%b-%y",),
    r"\d{1,2} [A-Za-z]{3} \d{4}": ("%d %b %Y",),
    r"\d{1,2} [A-Za-z]{4,9} \d{4}": ("%d %B %Y",),
    r"[A-Za-z]{3} \d{1,2}, \d{4}": ("%b %d, %Y",),
    r"[A-Za-z]{4,9} \d{1,2}, \d{4}": ("%B %d, %Y",),
}
_TIMES = {
    r"\d{1,2}:\d{2}": "%H:%M",
    r"\d{1,2}:\d{2}:\d{2}": "%H:%M:%S",
    r"\d{1,2}:\d{2}:\d{2}\.\d{1,6}": "%H:%M:%S.%f",
    r"\d{1,2}:\d{2} [AaPp][Mm]": "%I:%M %p",
    r"\d{1,2}:\d{2}:\d{2} [AaPp][Mm]": "%I:%M:%S %p",
}
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}.*)?")


@dataclass(frozen=True, slots=True)
class Days:
    """A column of dates.

    Attributes:
        formats: those that read every value.
        timed: whether they have a time of day.
        first: the first value and its line.
        decides: the first value that only some of the orders read, and its line; None for none.
    """

    name: str
    formats: tuple[str, ...]
    timed: bool
    first: str
    decides: str | None


def days_of(name: str, values: Values) -> Days | None:
    """Return how the dates of a column are written; None if it has none, or as ISO has them."""
    texts = [text.strip() for _, text in values]
    if not texts or all(_ISO.fullmatch(text) for text in texts):
        return None
    for choices, timed in _shapes(texts):
        reads = {one: _reads(texts, one, timed=timed) for one in choices}
        fitting = tuple(one for one in choices if all(reads[one]))
        if not fitting:
            continue
        ruled_out = [at for at in range(len(texts)) for one in choices if not reads[one][at]]
        decides = None
        if ruled_out and len(fitting) == 1:
            at = min(ruled_out)
            decides = f"`{texts[at]}` in line {values[at][0]}"
        first = f"`{texts[0]}` in line {values[0][0]}"
        return Days(name, fitting, timed, first, decides)
    return None


def _shapes(texts: Sequence[str]) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Yield the formats whose shape all texts have."""
    for shape, choices in _ORDERS.items():
        if all(re.fullmatch(shape, text) for text in texts):
            yield choices, False
        for time, directives in _TIMES.items():
            for between in (" ", "T", ", "):
                if all(re.fullmatch(f"{shape}{between}{time}", text) for text in texts):
                    yield tuple(f"{one}{between}{directives}" for one in choices), True


def _reads(texts: Sequence[str], one: str, *, timed: bool) -> list[bool]:
    found = SourceFormat(timestamps=(one,)) if timed else SourceFormat(dates=(one,))
    wanted = pa.timestamp("us") if timed else pa.date32()
    values = Spelling.of(found).rewritten(pa.array(texts, pa.string()), wanted)
    return [value.is_valid and _casts(value, wanted) for value in values]


def _casts(value: pa.Scalar, wanted: pa.DataType) -> bool:
    try:
        value.cast(wanted)
    except pa.ArrowInvalid:
        return False
    return True
