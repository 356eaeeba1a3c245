"""Places in SQL text, and changes to it that leave everything else byte for byte the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypedDict


class Where(TypedDict):
    """What an error about a place in SQL is made of; line and column count from 1."""

    message: str
    line: int | None
    column: int | None


def line_column(sql: str, offset: int) -> tuple[int, int]:
    """Return the line and column, both from 1, of the character at `offset`."""
    line = sql.count("\n", 0, offset) + 1
    return line, offset - sql.rfind("\n", 0, offset)


def offset_at(sql: str, line: int, column: int) -> int:
    """Return the offset of a line and column, both from 1; the end where there is no such place."""
    start = 0
    for _ in range(line - 1):
        start = sql.find("\n", start) + 1
        if start == 0:
            return len(sql)
    return min(start + column - 1, len(sql))


def where(sql: str, offset: int | None, what: str, remedy: str = ".") -> Where:
    """Return the sentence `what` + place of `offset` + `remedy`, and the place as numbers.

    Args:
        sql: the statement as the user wrote it.
        offset: of the first character meant; None when it is not known.
        what: what is wrong, without a full stop.
        remedy: the end of the sentence, with the mark that begins it.
    """
    if offset is None:
        return {"message": what + remedy, "line": None, "column": None}
    line, column = line_column(sql, offset)
    message = f"{what} (line {line}, column {column}){remedy}"
    return {"message": message, "line": line, "column": column}


@dataclass(frozen=True, slots=True)
class Splice:
    """Put `text` where the characters `[start, end)` of a statement are."""

    start: int
    end: int
    text: str


def spliced(sql: str, splices: Iterable[Splice]) -> str:
    """Return `sql` with `splices`, which do not overlap, put in; all else stays as it is."""
    pieces, at = [], 0
    for splice in _in_order(splices):
        pieces += [sql[at : splice.start], splice.text]
        at = splice.end
    return "".join([*pieces, sql[at:]])


def original_offset(splices: Iterable[Splice], offset: int) -> int:
    """Return where in the original text the character at `offset` of the spliced text comes from.

    A character that was put in comes from the start of what it replaced.
    """
    shift = 0
    for splice in _in_order(splices):
        start = splice.start + shift
        if offset < start:
            break
        if offset < start + len(splice.text):
            return splice.start
        shift += len(splice.text) - (splice.end - splice.start)
    return offset - shift


def _in_order(splices: Iterable[Splice]) -> list[Splice]:
    # What is put in between two characters comes before what takes the place of the second.
    return sorted(splices, key=lambda one: (one.start, one.end))
