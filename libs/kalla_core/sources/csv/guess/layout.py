"""From text to a table: what separates its fields, and which of its lines are rows. Pure."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

_DELIMITERS = (";", "\t", "|", ",")
_NAMES = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas"}
_VALUE = re.compile(r"[-+(]?\W?\d[\d.,' /:\u00a0-]*\W?")
_TOTAL = re.compile(
    r"(?i)\W*(grand |sub)?(total|totals|sum|summe|gesamt|saldo|endsaldo|kontostand|solde|balance|"
    r"closing balance|totale|totaal|razem|suma|celkem|\u0438\u0442\u043e\u0433\u043e)\b"
)
_LOOKED_AT = 60
_MOST_LAST = 20


@dataclass(frozen=True, slots=True)
class Record:
    """A record: the number of the line it begins in, and its fields."""

    line: int
    fields: tuple[str, ...]

    @property
    def filled(self) -> int:
        """How many fields are not blank."""
        return sum(bool(field.strip()) for field in self.fields)


@dataclass(frozen=True, slots=True)
class Layout:
    """A table in a text.

    Attributes:
        header: the record with the names; None if there is none such.
        rows: the records between the header and the footer.
        first: the number of the first line that is not blank.
        last: how many lines, blank ones aside, follow the rows.
        evidence: sentences.
    """

    delimiter: str
    header: Record | None
    rows: tuple[Record, ...]
    first: int = 1
    last: int = 0
    trailing: bool = False
    quote: str | None = '"'
    escape: str | None = None
    comment: str | None = None
    evidence: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, blank where there are none."""
        if self.header is not None:
            return self.header.fields
        return tuple(f"column_{n + 1}" for n in range(len(self.rows[0].fields)))

    def columns(self) -> list[list[tuple[int, str]]]:
        """Return for each column its values that are not blank, with their lines."""
        return [
            [(row.line, row.fields[at]) for row in self.rows if row.fields[at].strip()]
            for at in range(len(self.names))
        ]


def layout_of(text: str) -> Layout | None:
    """Return the table in a text; None where no line looks like a row of one."""
    comment = _comment(text)
    readings = [
        found
        for delimiter in _DELIMITERS
        for quote, escape in _quotes(text, delimiter)
        if (found := _read(text, delimiter, quote, escape, comment)) is not None
    ]
    if not readings:
        return None
    best = max(readings, key=_worth)
    said = [
        f"{_NAMES[best.delimiter]} cut the header and all {len(best.rows)} rows looked at into"
        f" {len(best.names)} fields"
    ]
    if best.comment:
        said.append("lines that begin with # stand between others")
    if best.quote is None:
        said.append('a sign " stands alone in a field')
    if best.escape:
        said.append('a quote within quotes is written \\"')
    return replace(best, evidence=(*said, *best.evidence))


def _worth(found: Layout) -> tuple[int, int, int]:
    return len(found.rows) + (found.header is not None), len(found.names), found.quote is not None


def _comment(text: str) -> str | None:
    lines = [line for line in text.splitlines() if line.strip()]
    marked = [line.startswith("#") for line in lines]
    inner = any(not one for one in marked[: len(marked) // 2]) and any(marked[1:])
    return "#" if inner or sum(marked) > 1 else None


def _quotes(text: str, delimiter: str) -> list[tuple[str | None, str | None]]:
    choices: list[tuple[str | None, str | None]] = [('"', None)]
    if '\\"' in text:
        choices.insert(0, ('"', "\\"))
    single = rf"(?:^|{re.escape(delimiter)})'[^'\n]*'(?={re.escape(delimiter)}|\r?$)"
    if re.search(single, text, re.MULTILINE):
        choices.append(("'", None))
    if '"' in text:
        choices.append((None, None))
    return choices


def _records(
    text: str, delimiter: str, quote: str | None, escape: str | None
) -> list[Record] | None:
    reader = csv.reader(
        io.StringIO(text, ""),
        delimiter=delimiter,
        quotechar=quote or '"',
        quoting=csv.QUOTE_NONE if quote is None else csv.QUOTE_MINIMAL,
        escapechar=escape,
        doublequote=True,
        strict=quote is not None,
    )
    found, line = [], 1
    try:
        for fields in reader:
            found.append(Record(line, tuple(fields)))
            line = reader.line_num + 1
    except csv.Error:
        return None
    return found


def _read(
    text: str, delimiter: str, quote: str | None, escape: str | None, comment: str | None
) -> Layout | None:
    seen = text
    if comment:  # a comment keeps its line, so that lines are counted right
        seen = re.sub(rf"(?m)^{re.escape(comment)}.*$", "", text)
    records = _records(seen, delimiter, quote, escape)
    if records is None:
        return None
    held = [record for record in records if record.filled]
    runs = [(width, list(run)) for width, run in groupby(held, key=lambda one: len(one.fields))]
    runs = [(width, run) for width, run in runs if width > 1]
    if not runs:
        return None
    width, run = max(runs, key=lambda one: (len(one[1]), one[0]))
    begin = held.index(run[0])
    first = next(record.line for record in records if record.fields)
    found = Layout(delimiter, None, tuple(run), first, quote=quote, escape=escape, comment=comment)
    before = held[begin - 1] if begin else None
    if before is not None and len(before.fields) == width - 1 and _all_end_blank(run):
        found = replace(found, header=before, rows=tuple(_cut(run)), trailing=True)
    else:
        found = _with_header(found, run)
    if not found.rows and found.header is None:
        return None
    behind = held[held.index(run[-1]) + 1 :]
    return _with_footer(found, len(behind))


def _all_end_blank(records: Sequence[Record]) -> bool:
    return all(not record.fields[-1].strip() for record in records)


def _cut(records: Sequence[Record]) -> list[Record]:
    return [Record(record.line, record.fields[:-1]) for record in records]


def _with_header(found: Layout, run: list[Record]) -> Layout:
    """Return the layout with its header: a full record of names alone, before the first row."""
    at = _header_at(run)
    rows = run if at is None else run[at + 1 :]
    header = None if at is None else run[at]
    body = rows if header is None else [header, *rows]
    if len(run[0].fields) > 2 and _all_end_blank(body):
        header = None if header is None else _cut([header])[0]
        return replace(found, header=header, rows=tuple(_cut(rows)), trailing=True)
    return replace(found, header=header, rows=tuple(rows))


def _header_at(run: list[Record]) -> int | None:
    fullest = max(record.filled for record in run[:_LOOKED_AT])
    for at, record in enumerate(run[:_LOOKED_AT]):
        full = record.filled >= min(fullest, len(record.fields) - 1)
        if not full or _values_of(record):
            continue
        behind = [_values_of(row) for row in run[at + 1 : at + 11]]
        counts = Counter(place for held in behind for place in held)
        usual = {place for place, count in counts.items() if count * 2 > len(behind)}
        before = [_values_of(row) for row in run[:at]]
        if not at or (usual and not any(usual <= held for held in before)):
            return at
    return None


def _values_of(record: Record) -> set[int]:
    """Return the places of the fields that are numbers, dates or the like."""
    fields = (field.strip() for field in record.fields)
    return {at for at, field in enumerate(fields) if _VALUE.fullmatch(field)}


def _with_footer(found: Layout, behind: int) -> Layout:
    """Return the layout without rows at its end that are totals."""
    rows = list(found.rows)
    usual = sum(row.filled for row in rows) / len(rows) if rows else 0
    totals = 0
    while rows and totals < _MOST_LAST and len(rows) > 1:
        words = [field for field in rows[-1].fields if field.strip()]
        if not _TOTAL.match(words[0]) or rows[-1].filled >= usual + 1:
            break
        rows.pop()
        totals += 1
    return replace(found, rows=tuple(rows), last=behind + totals)
