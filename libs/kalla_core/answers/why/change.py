"""The smallest change that would have matched a row: to the rule, or to the data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from kalla_core.answers.why.told import Failed

_CALL = re.compile(r"^(tolerance_match|tolerance_pct|date_within)\((.*)\)$", re.DOTALL)
_NUMBER = re.compile(r"^[0-9]+(\.[0-9]+)?$")
_VALUE = re.compile(r" = (-?[0-9.]+)(?:, |$)")
_COLUMN = r"(?:\w+\.)?(?:\w+|\"[^\"]+\")"
_DISTANCE = re.compile(
    rf"^(?P<abs>abs\()?{_COLUMN} - {_COLUMN}(?(abs)\)) (?P<sign><=?|>=?) (?P<limit>-?[0-9.]+)$"
)
_ORDER = re.compile(rf"^{_COLUMN} [<>](?P<equal>=)? {_COLUMN}$")
_NULL = re.compile(r"(?:^|, )([^=,]+) = null(?=, |$)")
_APART = re.compile(r"left less right is -?([0-9.]*[0-9])")
_NO_SET = "no set of rows of its block adds up"
_MISSED = re.compile(
    rf"{_NO_SET}; the nearest (?:with it )?makes -?[0-9.]+, which is ([0-9.]+) (?:less|more) than"
)
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
    reason: str, failed: Sequence[Failed], ranks: Sequence[Rank] = (), detail: str = ""
) -> str | None:
    """Return the end of a sentence: what would have matched a row; None if that is not known."""
    decides = next((one for one in ranks if one.taken is not None and one.taken != one.value), None)
    if reason == "taken" and not failed and decides is not None:
        return (
            f"a better {decides.column} than the {decides.taken} of the pair that has it (it is "
            f"{decides.value}), or {_BY_REASON[reason]}"
        )
    if not failed:
        return _of_sums(reason, detail) or _BY_REASON.get(reason)
    return "; and ".join(_loosened(one) for one in failed) + "."


def missed_by(detail: str) -> Decimal | None:
    """Return by how much the nearest sum misses, where a sentence says so."""
    missed = _MISSED.search(detail)
    return None if missed is None else Decimal(missed[1])


def _of_sums(reason: str, detail: str) -> str | None:
    """Return it for rows of groups whose amounts do not add up."""
    apart = _APART.search(detail)
    if reason == "unbalanced" and apart is not None:
        return (
            f"a tolerance of the balance of {apart[1]}, or sums that are {apart[1]} nearer to each "
            "other."
        )
    missed = missed_by(detail)
    if reason == "predicate_failed" and missed is not None:
        return (
            f"a tolerance of {missed}, amounts {missed} nearer to each other, or other rows in "
            "its block."
        )
    if reason == "predicate_failed" and _NO_SET in detail:
        return "rows of its block that add up to it, a larger tolerance, or more rows in a set."
    return None


def _loosened(failed: Failed) -> str:
    nulls = _NULL.findall(failed.values)
    if nulls:
        place = "places" if len(nulls) > 1 else "place"
        return f"values in the {place} of the null {' and '.join(nulls)}"
    return (
        _scored(failed)
        or _called(failed)
        or _compared(failed)
        or f"values for which {failed.condition} holds"
    )


def _scored(failed: Failed) -> str | None:
    """Return it for a condition that limits a score."""
    if failed.reached is None or failed.asked is None:
        return None
    word, _, limit = failed.asked.rpartition(" ")
    if _NUMBER.match(limit) is None:
        return f"values that come to {failed.asked}"
    more, apart = word in ("at least", "more than"), abs(failed.reached - Decimal(limit))
    beyond = "" if word.startswith("at ") else "more than "
    by = f"{beyond}{apart:f} {'higher' if more else 'lower'}"
    strict = "beyond" if beyond else "of"
    return f"a limit {strict} {failed.reached:f} in place of {limit}, or a score that is {by}"


def _called(failed: Failed) -> str | None:
    """Return it for a call of one of the functions that have a limit."""
    call = _CALL.match(failed.condition)
    limit = "" if call is None else call[2].rpartition(",")[2].strip()
    if call is None or failed.differ_by is None or _NUMBER.match(limit) is None:
        return None
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


def _compared(failed: Failed) -> str | None:
    """Return it for two columns that are compared, or whose difference is with a number."""
    by, in_days = _difference(failed)
    if by is None:
        return None
    order = _ORDER.match(failed.condition)
    if order is not None:
        more = "" if order["equal"] else "more than "
        return f"values {more}{_days(by) if in_days else by} nearer to each other"
    distance = _DISTANCE.match(failed.condition)
    if distance is None:
        return None
    limit = Decimal(distance["limit"])
    below = distance["sign"].startswith("<")
    # As it does not hold, a limit on this side of zero tells which of the two is the larger.
    if by < abs(limit) or (limit < 0 if below else limit > 0 or distance["abs"] is not None):
        return None
    least, nearer = (by if below else -by), by - abs(limit)
    beyond = "" if "=" in distance["sign"] else "beyond "
    more = "" if "=" in distance["sign"] else "more than "
    return (
        f"a limit {beyond or 'of '}{least} in place of {distance['limit']}, "
        f"or values {more}{_days(nearer) if in_days else nearer} nearer to each other"
    )


def _difference(failed: Failed) -> tuple[Decimal | None, bool]:
    """Return how far two values are apart, and whether that is in days."""
    if failed.differ_by is not None:
        return failed.differ_by, failed.in_days
    values = [one.partition(" = ")[2] for one in failed.values.split(", ")]
    if len(values) != 2:
        return None, False
    try:
        first, second = (date.fromisoformat(one) for one in values)
    except ValueError:
        return None, False
    return Decimal(abs((first - second).days)), True


def _share(failed: Failed, by: Decimal, limit: str) -> str:
    first = _VALUE.search(failed.values)
    base = abs(Decimal(first[1])) if first is not None else Decimal(0)
    if not base:
        return f"values for which {failed.condition} holds"
    share = (by / base).quantize(_SHARE_DIGITS, rounding="ROUND_CEILING")
    return f"a tolerance of {share} of the first amount in place of {limit}"


def _days(count: Decimal) -> str:
    return f"{count:f} day" if count == 1 else f"{count:f} days"
