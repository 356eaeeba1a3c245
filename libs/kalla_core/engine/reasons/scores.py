"""What conditions that limit a score come to for pairs of rows: a likeness, edits, a ratio."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.engine.reasons.held import Held
from kalla_core.evidence.keys import value_text
from kalla_core.matching.strategy.planned import Rule

_DIGITS = 10_000
"""Steps of one that a floating-point score is told in."""

_WHOLE = float(1 << 53)


def scored(rule: Rule) -> tuple[int, ...]:
    """Return the numbers of the conditions that limit a score."""
    return tuple(n for n, one in enumerate(rule.checked) if one.score is not None)


def score_texts(rule: Rule, held: Held) -> list[pa.Array | None]:
    """Return for each condition its score of each pair, as text or null; None where it has none.

    Floating-point scores are told to four decimals, rounded away from what is asked for, so that
    what falls short by less is not said to reach it.
    """
    found: list[pa.Array | None] = []
    for number, one in enumerate(rule.checked):
        values = held.scores.get(number)
        if values is None or one.score is None:
            found.append(None)
        elif pa.types.is_floating(values.type):
            found.append(value_text(_rounded(values, rises=one.score.rises)))
        else:
            found.append(value_text(values))
    return found


def nearness(rule: Rule, held: Held) -> npt.NDArray[np.float64] | None:
    """Return how near pairs come to what the first score is asked to be, more being nearer.

    It is the least there is where that is null. None where no condition has a score that is known.
    """
    number = next(iter(scored(rule)), None)
    score = None if number is None else rule.checked[number].score
    values = None if number is None else held.scores.get(number)
    if score is None or values is None:
        return None
    floats: npt.NDArray[np.float64]
    floats = values.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy()
    turned = floats if score.rises else -floats
    return np.where(np.isnan(turned), -np.inf, turned)


def _rounded(values: pa.Array, *, rises: bool) -> pa.Array:
    numbers: npt.NDArray[np.float64] = values.cast(pa.float64()).fill_null(0.0).to_numpy()
    steps = np.round(numbers * _DIGITS, 6)
    told = (np.floor(steps) if rises else np.ceil(steps)) / _DIGITS
    kept = np.where(np.abs(steps) < _WHOLE, told, numbers)
    return pc.if_else(values.is_valid(), pa.array(kept), pa.scalar(None, pa.float64()))
