"""Which columns of both sides say the same, and as what: key, amount, day, or another value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from kalla_core.inference.agreement import AmountPair, DayPair
from kalla_core.inference.anchors import Anchor, Sides
from kalla_core.inference.overlaps import Overlap
from kalla_core.inference.statements import day_lag, difference_sides, equality, likeness
from kalla_core.inference.traits import Traits
from kalla_core.inference.transforms import unsealed


class Role(StrEnum):
    """What columns are to each other."""

    KEY = "key"
    AMOUNT = "amount"
    DAY = "day"
    EQUAL = "equal"
    ALIKE = "alike"
    VALUES = "values"


@dataclass(frozen=True, slots=True)
class FieldMapping:
    """Columns of both sides that go together.

    Attributes:
        left: columns of the left table, most often one.
        role: `values` where they only have values in common, and nothing tells that rows do.
        sql: the condition or expressions, with the tables called `l` and `r`.
        share: of the pairs of rows that belong together, those in which it holds; of `values`, of
            the rows whose value the other side has too. None where that was not counted.
    """

    left: tuple[str, ...]
    right: tuple[str, ...]
    role: Role
    sql: str
    says: str
    share: float | None


def mappings(sides: Sides, best: tuple[Anchor, Traits] | None) -> tuple[FieldMapping, ...]:
    """Return the columns that go together, those that bring rows together first.

    Args:
        best: what brings rows together, and what else they have in common; None where nothing does.
    """
    found = [] if best is None else list(_of_rows(*best))
    taken = {(one.left, one.right) for one in found}
    others = [_values(one) for one in sides.overlaps]
    return (*found, *(one for one in others if (one.left, one.right) not in taken))


def _of_rows(anchor: Anchor, common: Traits) -> Iterator[FieldMapping]:
    for one in anchor.equalities:
        left, right = (tuple(sorted(columns)) for columns in one.columns)
        yield FieldMapping(left, right, Role.KEY, unsealed(equality(one)), one.says, None)
    whats = [one.what for one in anchor.equalities]
    if anchor.amounts is not None and not any(isinstance(one, AmountPair) for one in whats):
        yield _amounts(anchor.amounts)
    if anchor.days is not None and not any(isinstance(one, DayPair) for one in whats):
        yield _days(anchor.days)
    for equal in common.equal:
        names = (equal.overlap.left.texts.column,), (equal.overlap.right.texts.column,)
        sql, says = unsealed(equality(equal.overlap)), equal.overlap.says
        yield FieldMapping(*names, Role.EQUAL, sql, says, equal.share)
    for name in common.names:
        yield FieldMapping(
            (name.left.column,), (name.right.column,), Role.ALIKE, unsealed(likeness(name)),
            f"`{name.left.column}` is like `{name.right.column}`", None,
        )  # fmt: skip


def _amounts(one: AmountPair) -> FieldMapping:
    first, second = difference_sides(one)
    sign = " with the sign reversed" if one.factor < 0 else ""
    says = f"`{one.left.name}` and `{one.right.name}`{sign}"
    return FieldMapping(
        one.left.columns,
        one.right.columns,
        Role.AMOUNT,
        unsealed(f"{first} - {second}"),
        says,
        one.near,
    )


def _days(one: DayPair) -> FieldMapping:
    says = f"`{one.right.name}` is {one.least} to {one.most} days after `{one.left.name}`"
    return FieldMapping(
        (one.left.column,), (one.right.column,), Role.DAY, unsealed(day_lag(one)), says, one.inside
    )


def _values(one: Overlap) -> FieldMapping:
    return FieldMapping(
        (one.left.texts.column,), (one.right.texts.column,), Role.VALUES, unsealed(equality(one)),
        one.says, min(one.left_share, one.right_share),
    )  # fmt: skip
