"""What conditions that limit a score come to for pairs of rows: a likeness, edits, a ratio."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.engine.failures import query_errors
from kalla_core.engine.reasons.paired import in_row_order, numbered
from kalla_core.errors import InvalidSql
from kalla_core.evidence.keys import value_text
from kalla_core.matching.plans.session import new_session
from kalla_core.matching.sql.query import Side
from kalla_core.matching.sql.tables import register_side
from kalla_core.matching.strategy.planned import Planned, Rule, score_frame

_DIGITS = 10_000
"""Steps of one that a floating-point score is told in."""

_WHOLE = float(1 << 53)


def score_texts(
    planned: Planned, rule: Rule, left: pa.Table, right: pa.Table
) -> list[pa.Array | None]:
    """Return for each condition its score of each pair, as text or null; None where it has none.

    Floating-point scores are told to four decimals, rounded away from what is asked for, so that
    what falls short by less is not said to reach it.
    """
    found: list[pa.Array | None] = []
    for number, one in enumerate(rule.checked):
        values = None if one.score is None else _scores(planned, rule, number, left, right)
        if values is None or one.score is None:
            found.append(None)
        elif pa.types.is_floating(values.type):
            found.append(value_text(_rounded(values, rises=one.score.rises)))
        else:
            found.append(value_text(values))
    return found


def nearness(
    planned: Planned, rule: Rule, left: pa.Table, right: pa.Table
) -> npt.NDArray[np.float64] | None:
    """Return how near pairs come to what the first score is asked to be, more being nearer.

    It is the least there is where that is null. None where no condition has a score.
    """
    number = next((n for n, one in enumerate(rule.checked) if one.score is not None), None)
    score = None if number is None else rule.checked[number].score
    if number is None or score is None:
        return None
    values = _scores(planned, rule, number, left, right)
    if values is None:
        return None
    floats: npt.NDArray[np.float64]
    floats = values.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy()
    turned = floats if score.rises else -floats
    return np.where(np.isnan(turned), -np.inf, turned)


def _scores(
    planned: Planned, rule: Rule, number: int, left: pa.Table, right: pa.Table
) -> pa.Array | None:
    session = new_session()
    register_side(session, planned.query, Side.LEFT, numbered(left))
    register_side(session, planned.query, Side.RIGHT, numbered(right))
    try:
        with query_errors():
            table = score_frame(planned, rule, number, session).to_arrow_table()
    except InvalidSql:  # it fails for rows of which the match SQL never asked
        return None
    return in_row_order(table).column("value").combine_chunks()


def _rounded(values: pa.Array, *, rises: bool) -> pa.Array:
    numbers: npt.NDArray[np.float64] = values.cast(pa.float64()).fill_null(0.0).to_numpy()
    steps = np.round(numbers * _DIGITS, 6)
    told = (np.floor(steps) if rises else np.ceil(steps)) / _DIGITS
    kept = np.where(np.abs(steps) < _WHOLE, told, numbers)
    return pc.if_else(values.is_valid(), pa.array(kept), pa.scalar(None, pa.float64()))
