"""The SQL of passes, with the tables under the names `{left}` and `{right}`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from kalla_core.inference.agreement import AmountPair, DayPair
from kalla_core.inference.anchors import Equality
from kalla_core.inference.likeness import Likeness
from kalla_core.inference.overlaps import Overlap

LEFT, RIGHT = "l", "r"


@dataclass(frozen=True, slots=True)
class Near:
    """How near amounts have to be: within an absolute amount, or a share of the left one."""

    absolute: Decimal | None = None
    share: Decimal | None = None

    @property
    def says(self) -> str:
        """Return it in words."""
        if self.share is not None:
            return f"within {(self.share * 100).normalize():f} %"
        return "equal" if not self.absolute else f"within {self.absolute}"


def named(expression: str, alias: str) -> str:
    """Return an expression of a side with its alias."""
    return expression.replace("{}", alias)


def equality(one: Equality | Overlap) -> str:
    """Return an equality as a condition."""
    what = one.what if isinstance(one, Equality) else one
    match what:
        case Overlap():
            left, right = what.sql
        case AmountPair():
            left, right = _comparable(what)
        case DayPair():
            left, right = what.left.sql, what.right.sql
    return f"{named(left, LEFT)} = {named(right, RIGHT)}"


def equal_amounts(amounts: AmountPair) -> str:
    """Return that amounts are equal, as a key."""
    left, right = _comparable(amounts)
    return f"{named(left, LEFT)} = {named(right, RIGHT)}"


def near_amounts(amounts: AmountPair, near: Near) -> str:
    """Return that amounts are near, as a condition."""
    left, right = difference_sides(amounts)
    if near.share is not None:
        return f"tolerance_pct({left}, {right}, {near.share:f})"
    return f"tolerance_match({left}, {right}, {near.absolute or Decimal(0):f})"


def difference(amounts: AmountPair) -> str:
    """Return by how much amounts differ."""
    left, right = difference_sides(amounts)
    return f"abs({left} - {right})"


def difference_sides(amounts: AmountPair) -> tuple[str, str]:
    """Return the amounts of both sides, with their aliases."""
    left, right = amounts.sql()
    return named(left, LEFT), named(right, RIGHT)


def day_lag(days: DayPair) -> str:
    """Return the days from left to right."""
    return f"days_between({named(days.left.sql, LEFT)}, {named(days.right.sql, RIGHT)})"


def likeness(one: Likeness) -> str:
    """Return how alike two texts are."""
    return one.sql(LEFT, RIGHT)


def select(columns: Sequence[str], conditions: Sequence[str]) -> str:
    """Return a join with conditions."""
    shown = ",\n       ".join(columns) if columns else f"{LEFT}.*"
    joined = "\n AND ".join(conditions)
    return f"SELECT {shown}\nFROM {{left}} {LEFT}\nJOIN {{right}} {RIGHT}\n  ON {joined}"


def adding_up(
    keys: Sequence[Equality], amounts: AmountPair, tolerance: Decimal, several: str
) -> str:
    """Return the groups by key in which the rows of one side add up to a row of the other.

    Args:
        several: `right` where right rows add up to a left one, or `left`.
    """
    side = 1 if several == "right" else 0
    alias, other = (RIGHT, LEFT) if side else (LEFT, RIGHT)
    expressions = [_sides(key)[side] for key in keys]
    others = [_sides(key)[1 - side] for key in keys]
    inner = ", ".join(f"{named(e, alias)} AS k{n}" for n, e in enumerate(expressions))
    grouped = ", ".join(named(e, alias) for e in expressions)
    amount = named(amounts.sql()[side], alias)
    alone = named(amounts.sql()[1 - side], other)
    on_totals = "\n AND ".join(f"{named(e, other)} = t.k{n}" for n, e in enumerate(others))
    on_rows = "\n AND ".join(f"{named(e, alias)} = t.k{n}" for n, e in enumerate(expressions))
    single = "left" if side else "right"
    lines = (
        "WITH totals AS (",
        f"  SELECT {inner}, sum({amount}) AS total",
        f"  FROM {{{several}}} {alias}",
        f"  GROUP BY {grouped}",
        "  HAVING count(*) > 1",
        ")",
        "SELECT t.total",
        f"FROM {{{single}}} {other}",
        f"JOIN totals t\n  ON {on_totals}",
        f" AND tolerance_match({alone}, t.total, {tolerance:f})",
        f"JOIN {{{several}}} {alias}\n  ON {on_rows}",
    )
    return "\n".join(lines)


def _sides(key: Equality) -> tuple[str, str]:
    match key.what:
        case Overlap() as overlap:
            return overlap.sql
        case AmountPair() as amounts:
            return _comparable(amounts)
        case DayPair() as days:
            return days.left.sql, days.right.sql


def _comparable(amounts: AmountPair) -> tuple[str, str]:
    """Return amounts such that `=` may stand between them: of one type, unless both are exact."""
    left, right = amounts.sql()
    if amounts.left.raw and amounts.right.raw and abs(amounts.factor) == 1:
        return left, right
    return f"CAST({left} AS DECIMAL(38, 4))", f"CAST({right} AS DECIMAL(38, 4))"
