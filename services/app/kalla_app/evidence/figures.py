"""What a run tells of its passes and amounts, out of its metadata alone. Blocking."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from kalla_core.answers.report.tallies import EXACT
from kalla_core.errors import EvidenceGone
from kalla_core.evidence.names import METADATA
from kalla_core.evidence.reconciled import from_fields
from kalla_core.jobs.passes import PassFigures
from kalla_core.matching.sql.query import Side

MOST_CURRENCIES = 30
"""Of which amounts are told; a page of more is not read by anybody."""

_SUMS = ("matched", "rest", "unmatched", "total")


@dataclass(frozen=True, slots=True)
class Amounts:
    """Amounts in a currency: of both sides, and what the left has more than the right; exact.

    Each has `matched`, `unmatched` and `total`, and `rest`, what is open of rows that are matched
    in part, where passes leave that.

    Attributes:
        currency: None where there is none.
    """

    currency: str | None
    left: Mapping[str, Decimal]
    right: Mapping[str, Decimal]
    apart: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run did, as far as its recipe asked for it.

    Attributes:
        records: rows of each side.
        passes: in their order, without their amounts; empty of a plain join.
        amounts: of the first currencies; empty where the recipe names no amounts.
        more: currencies that are not among them.
    """

    records: Mapping[str, int]
    passes: tuple[PassFigures, ...]
    amounts: tuple[Amounts, ...]
    more: int

    @property
    def leaves_rests(self) -> bool:
        """Whether rows may be matched in part."""
        return any("rest" in one.apart for one in self.amounts)


def figures_of(folder: Path) -> Figures:
    """Return what the metadata of a run tells.

    Raises:
        OSError: there is none.
        EvidenceGone: it is not as it should be.
    """
    document = json.loads((folder / METADATA).read_bytes())
    try:
        records = {side.word: int(document[f"{side.word}_record_count"]) for side in Side}
        found = from_fields(document)
        if found is None:
            return Figures(records, (), (), 0)
        passes = tuple(replace(one, amounts=()) for one in found.passes)
        totals = found.control_totals or {"bridge": ()}
        currencies = [one["currency"] for one in totals["bridge"]]
        amounts = tuple(_amounts(totals, one) for one in currencies[:MOST_CURRENCIES])
    except (KeyError, TypeError, ArithmeticError) as error:
        raise EvidenceGone(f"The figures of the run cannot be read: {error!r}.") from error
    return Figures(records, passes, amounts, max(0, len(currencies) - MOST_CURRENCIES))


def _amounts(totals: Mapping[str, Any], currency: str | None) -> Amounts:
    sides = {side: _side(totals[side.word], currency) for side in Side}
    left, right = sides[Side.LEFT], sides[Side.RIGHT]
    names = [name for name in _SUMS if name in left or name in right]
    none = Decimal(0)  # of a currency that a side has no row of
    apart = {name: EXACT.subtract(left.get(name, none), right.get(name, none)) for name in names}
    return Amounts(currency, left, right, apart)


def _side(told: list[Mapping[str, Any]], currency: str | None) -> dict[str, Decimal]:
    """Return the amounts of a side in a currency; empty where it has no row of it."""
    for one in told:
        if one["currency"] == currency:
            amounts = one["amounts"]
            return {name: EXACT.create_decimal(amounts[name]) for name in _SUMS if name in amounts}
    return {}
