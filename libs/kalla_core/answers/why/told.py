"""The parts of `reason_detail`: which conditions failed, for which values, by how much.

Evidence says why a row is unmatched in sentences. Their form is fixed (the manual shows it), so
what stands in them can be taken out again; a sentence of another form is left as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

_FAILS = " does not hold: "
_HOLDS = " holds: "
_SCORE = re.compile(
    r", which come to (-?[0-9][0-9.eE+-]*) \(((?:at least|at most|more than|less than) [^()]*)"
    r" is asked\)$"
)
_DIFFER = re.compile(r", which differ by ([0-9][0-9.eE+-]*)( days?)?$")
_CLOSEST = re.compile(r"^(?:.*?: )?Closest in .*?: (?:'(?:[^']|'')*'|[^'].*?)\. ")
_NOTE = re.compile(r" \(the best of the first [0-9,]+ by primary key\)$")


@dataclass(frozen=True, slots=True)
class Failed:
    """A condition that does not hold for a row and its closest candidate.

    Attributes:
        condition: as the match SQL has it, about.
        values: the columns that it reads and their values, as `a.x = 1, b.y = 2`.
        differ_by: how far the two values are apart, exact; None where that cannot be said.
        in_days: `differ_by` counts days.
        reached: the score that it limits, as a likeness or edits; None where it limits none.
        asked: of that, as `at least 0.9`.
    """

    condition: str
    values: str
    differ_by: Decimal | None = None
    in_days: bool = False
    reached: Decimal | None = None
    asked: str | None = None


def failed_conditions(detail: str) -> tuple[Failed, ...]:
    """Return the conditions that a sentence says have failed; none if it says something else."""
    if _FAILS not in detail:
        return ()
    pieces = (piece.partition(_FAILS) for piece in _pieces(detail))
    return tuple(_failed(condition, values) for condition, fails, values in pieces if fails)


def scores_that_hold(detail: str) -> tuple[Failed, ...]:
    """Return the conditions that hold beside such, and limit a score, with what that comes to."""
    if _FAILS not in detail or _HOLDS not in detail:
        return ()
    pieces = (piece.partition(_HOLDS) for piece in _pieces(detail) if _FAILS not in piece)
    return tuple(_failed(condition, values) for condition, holds, values in pieces if holds)


def _pieces(detail: str) -> list[str]:
    return apart(_NOTE.sub("", _CLOSEST.sub("", detail, count=1)), "; ")


def _failed(condition: str, values: str) -> Failed:
    score, differ = _SCORE.search(values), _DIFFER.search(values)
    found = score or differ
    if found is None:
        return Failed(condition, values)
    try:
        number = Decimal(found[1])
    except InvalidOperation:
        return Failed(condition, values)
    before = values[: found.start()]
    if score is not None:
        return Failed(condition, before, reached=number, asked=score[2])
    return Failed(condition, before, number, bool(found[2]))


def apart(text: str, separator: str) -> list[str]:
    """Cut a text where `separator` stands outside quotes; in these a quote is doubled."""
    pieces, start, inside = [], 0, False
    for place, sign in enumerate(text):
        if sign == "'":
            inside = not inside
        elif not inside and text.startswith(separator, place):
            pieces.append(text[start:place])
            start = place + len(separator)
    return [*pieces, text[start:]]
