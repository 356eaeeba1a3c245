"""The smallest change that would have matched a row: to the rule, or to the data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from kalla_core.answers.why.told import Failed

_CALL = re.compile(r"^(tolerance_match|tolerance_pct|date_within)\((.*)\)$", re.DOTALL)
_NUMBER = re.compile(r"^[0-9]+(\.[0-9]+)?$")
_VALUE = re.compile(r" = (-?[0-9.]+)(?:, |$)")
_SHARE_DIGITS = Decimal("0.0001")

_BY_REASON = {
    "key_null": "a value in the place of the null.",
    "key_not_found": "a row of the other side with this key, or a key that one of them has.",
    "no_match": "an equality between both sides, by which a row and its candidates are found.",
    "ambiguous": "a further rank, or a condition, by which one of the rivals is better.",
    "taken": "a cardinality that lets its best candidate have more than one partner.",
    "suggested": "a person who accepts the suggestion, or `accept: auto` for the pass.",
    "not_chosen": "a rule that takes more than the best row.",
    "unbalanced": "a tolerance of the balance as large as the difference.",
    "sum_ambiguous": "a condition that leaves only one set of rows with this sum.",
    "sum_budget_exceeded": "a narrower block or date window, or higher bounds of the pass.",
}


@dataclass(frozen=True, slots=True)
class Rank:
    """One column of a rank: what the row's best candidate has, and the pair that took it.

    Attributes:
        taken: None where nothing took it, or that has no value.
    """

    column: str
    value: str | None
    taken: str | None


def smallest_change(
    reason: str, failed: Sequence[Failed], ranks: Sequence[Rank] = ()
) -> str | None:
    """Return the end of a sentence: what would have matched a row; None if that is not known."""
    decides = next((one for one in ranks if one.taken is not None and one.taken != one.value), None)
    if reason == "taken" and not failed and decides is not None:
        return (
            f"a better {decides.column} than the {decides.taken} of the pair that has it (it is "
            f"{decides.value}), or {_BY_REASON[reason]}"
        )
    if not failed:
        return _BY_REASON.get(reason)
    return "; and ".join(_loosened(one) for one in failed) + "."


def _loosened(failed: Failed) -> str:
    call = _CALL.match(failed.condition)
    limit = "" if call is None else call[2].rpartition(",")[2].strip()
    if call is None or failed.differ_by is None or _NUMBER.match(limit) is None:
        return f"values for which {failed.condition} holds"
    if call[1] == "tolerance_pct":
        return _share(failed, failed.differ_by, limit)
    nearer = failed.differ_by - Decimal(limit)
    if call[1] == "date_within":
        return (
            f"a limit of {_days(failed.differ_by)} in place of {limit}, "
            f"or dates {_days(nearer)} nearer to each other"
        )
    return (
        f"a tolerance of {failed.differ_by} in place of {limit}, "
        f"or amounts {nearer} nearer to each other"
    )


def _share(failed: Failed, by: Decimal, limit: str) -> str:
    first = _VALUE.search(failed.values)
    base = abs(Decimal(first[1])) if first is not None else Decimal(0)
    if not base:
        return f"values for which {failed.condition} holds"
    share = (by / base).quantize(_SHARE_DIGITS, rounding="ROUND_CEILING")
    return f"a tolerance of {share} of the first amount in place of {limit}"


def _days(count: Decimal) -> str:
    return f"{count:f} day" if count == 1 else f"{count:f} days"
