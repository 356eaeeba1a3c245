"""Matches of several rows, each as one: its rows of both sides, their sums, what is between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import Any

from kalla_core.answers.money import SideColumns, in_matched
from kalla_core.answers.rows_json import rows_of
from kalla_core.evidence.names import MATCHED
from kalla_core.evidence.reader import Evidence
from kalla_core.evidence.schema import GROUP_FIELD
from kalla_core.matching.sql.query import Side

_COLUMNS = 4


@dataclass(frozen=True, slots=True)
class Member:
    """A row of a group.

    Attributes:
        amount: None where the evidence has none, or the row has none.
        columns: others of its side that the match SQL selects, a few.
    """

    key: str
    amount: Decimal | None
    currency: str | None
    columns: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that were matched together."""

    id: str
    rule: str
    left: tuple[Member, ...]
    right: tuple[Member, ...]

    @property
    def left_total(self) -> Decimal | None:
        """The sum of the left amounts; None where they do not add up to one."""
        return _total(self.left)

    @property
    def right_total(self) -> Decimal | None:
        """Likewise of the right."""
        return _total(self.right)

    @property
    def difference(self) -> Decimal | None:
        """Left less right, of amounts in one currency."""
        left, right = self.left_total, self.right_total
        currencies = {one.currency for one in (*self.left, *self.right) if one.currency}
        return None if left is None or right is None or len(currencies) > 1 else left - right


def groups_of(
    evidence: Evidence, names: Sequence[str], columns: Mapping[Side, SideColumns], most: int
) -> list[Group]:
    """Return groups by their names, in the order of these.

    Args:
        most: rows of `matched` that are read.
    """
    if not names:
        return []
    table = evidence.where(MATCHED, GROUP_FIELD.name, names, most)
    shown = {side: _shown(evidence, side) for side in Side}
    ordered = rows_of(table.sort_by([(GROUP_FIELD.name, "ascending")]))
    rows = groupby(ordered, key=lambda row: str(row[GROUP_FIELD.name]))
    found = {name: _group(name, list(some), columns, shown) for name, some in rows}
    return [found[name] for name in names if name in found]


def _shown(evidence: Evidence, side: Side) -> list[str]:
    """Return the columns of `matched` that are told of rows of a side: all but its key."""
    source = evidence.metadata.recipe.get("sources", {}).get(side.word, {})
    key = source.get("primary_key", ())
    return [there for name, there in in_matched(evidence, side).items() if name not in key]


def _group(
    name: str,
    rows: list[dict[str, Any]],
    columns: Mapping[Side, SideColumns],
    shown: Mapping[Side, Sequence[str]],
) -> Group:
    left, right = (tuple(_members(side, rows, columns[side], shown[side])) for side in Side)
    return Group(name, str(rows[0]["rule_name"]), left, right)


def _members(
    side: Side, rows: Sequence[Mapping[str, Any]], columns: SideColumns, shown: Sequence[str]
) -> Iterator[Member]:
    seen: set[str] = set()
    told = (columns.matched_amount, columns.matched_currency)
    others = [
        name for name in shown if name not in told and any(row[name] is not None for row in rows)
    ][:_COLUMNS]
    for row in sorted(rows, key=lambda row: str(row[f"{side.word}_key"])):
        key = row[f"{side.word}_key"]
        if key is None or key in seen:
            continue
        seen.add(key)
        amount, currency = (None if one is None else row.get(one) for one in told)
        yield Member(
            str(key),
            None if amount is None else Decimal(str(amount)),
            None if currency is None else str(currency),
            {name: row[name] for name in others},
        )


def _total(members: Sequence[Member]) -> Decimal | None:
    amounts = [one.amount for one in members]
    known = [one for one in amounts if one is not None]
    currencies = {one.currency for one in members if one.currency}
    if not known or len(known) < len(amounts) or len(currencies) > 1:
        return None
    return sum(known, Decimal(0))
