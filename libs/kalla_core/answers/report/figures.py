"""All that a report shows, as plain data: counts, exact amounts, and the rows that are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from kalla_core.answers.groups import Group
from kalla_core.evidence.metadata import RunMetadata
from kalla_core.matching.sql.query import Side


def short(text: str, most: int) -> str:
    """Return a text, cut to `most` characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


@dataclass(slots=True)
class Sum:
    """Rows, and the sum of their amounts; exact."""

    rows: int = 0
    amount: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: a count, the share of the whole, and amounts by currency where they are known.

    Attributes:
        whole: all rows of the side with this value, matched or open; None where that is not known.
    """

    label: str
    rows: int
    share: float
    amounts: Mapping[str, Decimal] = field(default_factory=dict)
    whole: int | None = None


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars of one question; `rest` counts rows that none of them shows."""

    title: str
    bars: tuple[Bar, ...]
    rest: int = 0

    @property
    def longest(self) -> int:
        """The rows of the longest bar, at least 1."""
        return max((bar.rows for bar in self.bars), default=0) or 1

    @property
    def rated(self) -> bool:
        """Whether every bar knows how many rows there are in all."""
        return bool(self.bars) and all(bar.whole is not None for bar in self.bars)


@dataclass(frozen=True, slots=True)
class Money:
    """Amounts of one side and currency; None where the evidence does not tell.

    Attributes:
        currency: empty where there is none.
        rest: what is open of rows that are matched in part, where passes leave that.
    """

    currency: str
    unmatched: Decimal
    matched: Decimal | None = None
    total: Decimal | None = None
    rest: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """A value beside that of the other row, and whether they differ."""

    name: str
    value: str | None
    differs: bool = False
    number: bool = False


@dataclass(frozen=True, slots=True)
class OpenRow:
    """An open row that is shown, and its closest candidate beside it.

    Attributes:
        said: why, in a sentence.
        differ_by: how far values are apart, as a number; `apart` the same for people.
        candidate_key: None where nothing came close.
        taken_by: keys of those that the candidate is matched with.
    """

    key: str
    reason: str
    said: str
    amount: str | None
    currency: str | None
    day: str | None
    differ_by: str | None
    apart: str | None
    change: str | None
    cells: tuple[Cell, ...]
    candidate_key: str | None = None
    candidate_cells: tuple[Cell, ...] = ()
    taken_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SideReport:
    """One side.

    Attributes:
        shown: the open rows that are shown, of `unmatched` in all, the largest amounts first.
        by_amount: whether they are in that order; else in that of the file.
        columns: names of the amount, currency and date columns, None where there is none.
    """

    side: Side
    alias: str
    source: str
    records: int
    matched: int
    unmatched: int
    excluded: int | None
    several: int | None
    money: tuple[Money, ...]
    reasons: Bars
    concentrations: tuple[Bars, ...]
    ageing: Bars | None
    misses: Bars | None
    shown: tuple[OpenRow, ...]
    by_amount: bool
    columns: Mapping[str, str | None]
    identity: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PairTable:
    """Rows of `matched`, `suggested` or `ambiguous` that are shown, of `rows` in all."""

    name: str
    rows: int
    columns: tuple[str, ...]
    numbers: frozenset[str]
    shown: tuple[tuple[str | None, ...], ...]
    blocks: tuple[int, ...] = ()
    order: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All of a report.

    Attributes:
        location: of the evidence, as it was named.
        passes: of metadata.json, where the recipe has some; likewise `control_totals`, `compared`.
        groups: matches of several rows that are shown, of `group_count` in all.
        differences: amounts of right minus left inside matches; `lags` the days between.
    """

    metadata: RunMetadata
    location: str
    left: SideReport
    right: SideReport
    matched: PairTable
    groups: tuple[Group, ...]
    group_count: int
    suggested: PairTable | None
    ambiguous: PairTable | None
    rules: Bars | None
    differences: Bars | None
    lags: Bars | None
    passes: tuple[Mapping[str, Any], ...]
    control_totals: Mapping[str, Any] | None
    compared: tuple[Mapping[str, Any], ...]

    @property
    def sides(self) -> tuple[SideReport, SideReport]:
        """Left, then right."""
        return self.left, self.right
