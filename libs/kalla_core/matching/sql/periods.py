"""Calls of `date_trunc` and `date_bin` that DataFusion would compute in nanoseconds.

Those end in 2262, and `date_bin` then gives NULL. Functions of their own take their place, whose
names people read as the ones that they wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import pyarrow as pa
from datafusion import ScalarUDF, udf

from kalla_core.functions.periods import MOMENT as OF_MICROSECONDS
from kalla_core.functions.periods import binned, truncated
from kalla_core.matching.sql.arrow_types import is_text
from kalla_core.matching.sql.lexer import Kind, Token
from kalla_core.matching.sql.operations import Operation
from kalla_core.matching.sql.wrapping import Wrapping, cast_if, cast_to

MOMENT = "TIMESTAMP(6)"
"""Timestamps in microseconds, which reach from 290,000 years before Christ to as long after."""

TRUNCATING = frozenset({"date_trunc", "datetrunc"})
PERIODS = TRUNCATING | {"date_bin"}
_COARSE = frozenset({"week", "month", "quarter", "year"})
"""Units that DataFusion truncates to by way of nanoseconds."""

_OF_UTC = pa.timestamp("us", "UTC")
_INTERVAL = pa.month_day_nano_interval()


def begun(tokens: Sequence[Token], one: Operation, operand: pa.DataType) -> Wrapping | None:
    """Return what makes a call compute in microseconds; None if it does, or has to stay as it is.

    Args:
        tokens: of the statement.
        one: a call of `PERIODS`, whose first operand is the moment.
        operand: the type of that.
    """
    if one.name in TRUNCATING and operand == _OF_UTC:
        return Wrapping(None, (None,), suffix="__2") if _unit(tokens, one) else None
    local = pa.types.is_timestamp(operand) and operand.tz is None and operand.unit != "ns"
    if not (local or pa.types.is_date(operand) or is_text(operand)):
        return None
    cast = cast_if(None if operand == OF_MICROSECONDS else MOMENT)
    if one.name == "date_bin":
        return Wrapping(None, (cast, cast_to(MOMENT)), suffix=f"__{len(one.operands)}")
    if _unit(tokens, one) in _COARSE:
        return Wrapping(None, (cast,), suffix="__1")
    return None if local else Wrapping(None, (cast,))


def _unit(tokens: Sequence[Token], one: Operation) -> str:
    """Return the unit of a call of `TRUNCATING`; nothing where it is no literal."""
    unit, comma = tokens[one.place[0] + 2 : one.place[0] + 4]
    return unit.value.lower() if unit.kind is Kind.STRING and comma.symbol(",") else ""


@cache
def period_functions() -> tuple[ScalarUDF, ...]:
    """Return the functions that `begun` has called."""
    truncating = [
        udf(truncated, [pa.string(), kind], kind, "immutable", f"{name}__{n}")
        for name in sorted(TRUNCATING)
        for n, kind in ((1, OF_MICROSECONDS), (2, _OF_UTC))
    ]
    binning = [
        udf(binned, [_INTERVAL, *[OF_MICROSECONDS] * n], OF_MICROSECONDS, "immutable", name)
        for n, name in ((1, "date_bin__1"), (2, "date_bin__2"))
    ]
    return (*truncating, *binning)
