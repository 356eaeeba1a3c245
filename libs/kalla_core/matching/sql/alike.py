"""Whether the operands of a comparison are of kinds that compare, by their types alone.

For what no plan shows: in sub-queries, FILTER, the order of aggregates. What a plan shows,
`comparable` looks at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from kalla_core.matching.sql.arrow_types import is_text, is_zoned, kind_of


@dataclass(frozen=True, slots=True)
class Operand:
    """A value as it is written, and its type.

    Attributes:
        constant: it reads no row.
        literal: it is a literal without a type of its own, a text or a number, which becomes
            what it is compared with.
    """

    text: str
    type: pa.DataType
    constant: bool = False
    literal: bool = False


def unlike(operands: Sequence[Operand]) -> tuple[str, str] | None:
    """Return what is wrong with some values that meet, and the remedy; None if nothing is."""
    first, *others = operands
    for other in others:
        for one, partner in ((first, other), (other, first)):
            remedy = _remedy(one, partner)
            if remedy is not None:
                what = (
                    f"{one.text} is {kind_of(one.type)} and {partner.text} is "
                    f"{kind_of(partner.type)}, so they cannot be compared as they are"
                )
                return what, remedy
    return None


def written_as(moment: pa.DataType) -> str:
    """Return how a literal of a type of dates or times is written."""
    if pa.types.is_time(moment):
        return "write a time as TIME '09:30:00'"
    return "write a day as DATE '2026-03-31'"


_CAST = "; CAST one of them in the match SQL, or give its source a `types` entry."


def _remedy(one: Operand, other: Operand) -> str | None:
    if pa.types.is_integer(one.type) and pa.types.is_floating(other.type) and not one.literal:
        if other.text.startswith("("):
            return "; CAST one of them, the sub-query's inside of it, AS DECIMAL(18, 2) or DOUBLE."
        return (
            f"; write CAST({other.text} AS DECIMAL(18, 2)) to compare exact numbers, or CAST the "
            "other one AS DOUBLE."
        )
    if is_text(one.type) and not one.literal and not other.literal and _is_no_text(other.type):
        return _CAST
    if _is_number(one.type) and pa.types.is_temporal(other.type):
        return f"; {written_as(other.type)}." if one.literal else _CAST
    if clash(one, other):
        return f"; name its zone, as in {one.text} AT TIME ZONE 'Europe/Berlin'."
    return None


def clash(naive: Operand, zoned: Operand) -> bool:
    """Whether a date or time that is one in some unknown zone meets a moment that is known."""
    local = pa.types.is_date(naive.type) or pa.types.is_timestamp(naive.type)
    constant = naive.constant or zoned.constant
    return bool(local and not is_zoned(naive.type) and is_zoned(zoned.type) and not constant)


def _is_no_text(kind: pa.DataType) -> bool:
    return _is_number(kind) or bool(pa.types.is_temporal(kind) or pa.types.is_boolean(kind))


def _is_number(kind: pa.DataType) -> bool:
    kinds = pa.types
    return bool(kinds.is_integer(kind) or kinds.is_decimal(kind) or kinds.is_floating(kind))
