"""The parts of `reason_detail`: which conditions failed, for which values, by how much.

Evidence says why a row is unmatched in sentences. Their form is fixed (the manual shows it), so
what stands in them can be taken out again; a sentence of another form is left as it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

_FAILS = " does not hold: "
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
    """

    condition: str
    values: str
    differ_by: Decimal | None = None
    in_days: bool = False


def failed_conditions(detail: str) -> tuple[Failed, ...]:
    """Return the conditions that a sentence says have failed; none if it says something else."""
    if _FAILS not in detail:
        return ()
    told = _NOTE.sub("", _CLOSEST.sub("", detail, count=1))
    found = []
    for piece in _apart(told, "; "):
        condition, fails, values = piece.partition(_FAILS)
        if fails:
            found.append(_failed(condition, values))
    return tuple(found)


def _failed(condition: str, values: str) -> Failed:
    differ = _DIFFER.search(values)
    if differ is None:
        return Failed(condition, values)
    try:
        by = Decimal(differ[1])
    except InvalidOperation:
        return Failed(condition, values)
    return Failed(condition, values[: differ.start()], by, bool(differ[2]))


def _apart(text: str, separator: str) -> list[str]:
    """Cut a text where `separator` stands outside quotes; in these a quote is doubled."""
    pieces, start, inside = [], 0, False
    for place, sign in enumerate(text):
        if sign == "'":
            inside = not inside
        elif not inside and text.startswith(separator, place):
            pieces.append(text[start:place])
            start = place + len(separator)
    return [*pieces, text[start:]]
