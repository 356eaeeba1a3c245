"""Calls that make moments of text and numbers, which DataFusion does by way of nanoseconds."""

from __future__ import annotations

import pyarrow as pa

from kalla_core.matching.sql.arrow_types import is_text
from kalla_core.matching.sql.operations import Operation
from kalla_core.matching.sql.periods import MOMENT
from kalla_core.matching.sql.wrapping import Wrapping, cast_to

_MADE = "to_timestamp"
READING = frozenset(
    {_MADE, "to_timestamp_seconds", "to_timestamp_millis", "to_timestamp_micros", "to_unixtime"}
)
_SUFFIX = "_micros"


def moment_read(one: Operation, operand: pa.DataType) -> Wrapping | None:
    """Return what makes a call read beyond 2262; None if it does, or cannot.

    Args:
        one: a call of `READING`. With formats it stays what it is.
        operand: the type of what it reads.
    """
    if len(one.operands) > 1:
        return None
    suffix = _SUFFIX if one.name == _MADE else ""
    if is_text(operand) or pa.types.is_date(operand):
        return Wrapping(None, (cast_to(MOMENT),), suffix)
    if not suffix:
        return None
    if pa.types.is_integer(operand):
        before, after = cast_to(MOMENT)
        return Wrapping(None, ((f"{before}to_timestamp_seconds(", f"){after}"),), suffix)
    local = pa.types.is_timestamp(operand) and operand.tz is None and operand.unit != "ns"
    return Wrapping(None, (None,), suffix) if local else None
