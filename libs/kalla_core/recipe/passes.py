"""The rules of a reconciliation: how often a row may be matched, in which order, by which passes.

A recipe that says nothing of this is a plain join: `Recipe.passes` is empty, every pair that the
match SQL brings out is a match. One that says how often a row may be used has one pass, named
`match_sql`, or those that it lists.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Cardinality(StrEnum):
    """How many partners a row may have, left to right."""

    ONE_TO_ONE = "1:1"
    ONE_TO_MANY = "1:N"
    MANY_TO_ONE = "N:1"
    MANY_TO_MANY = "N:M"

    @property
    def one_left(self) -> bool:
        """Whether a left row has one partner at most."""
        return self in (Cardinality.ONE_TO_ONE, Cardinality.MANY_TO_ONE)

    @property
    def one_right(self) -> bool:
        """Whether a right row has one partner at most."""
        return self in (Cardinality.ONE_TO_ONE, Cardinality.ONE_TO_MANY)


class Choose(StrEnum):
    """Which of a pass's candidates are matches."""

    ALL = "all"
    BEST = "best"
    ASSIGN = "assign"


class OnTie(StrEnum):
    """What becomes of candidates that compete for a row with equal rank."""

    HOLD = "hold"
    FIRST = "first"


class Accept(StrEnum):
    """What becomes of a pass's matches."""

    AUTO = "auto"
    SUGGEST = "suggest"


class PassKind(StrEnum):
    """What a pass finds its candidates by."""

    MATCH_SQL = "match_sql"
    SUBSET_SUM = "subset_sum"


class OneSide(StrEnum):
    """The side of which a group by sum has one row."""

    LEFT = "left"
    RIGHT = "right"


@dataclass(frozen=True, slots=True)
class RankTerm:
    """An output column by which candidates are ordered, best first; nulls come last."""

    column: str
    descending: bool = False

    @property
    def text(self) -> str:
        """The term as a recipe writes it."""
        return f"{self.column} desc" if self.descending else self.column


USUAL_ITEMS = 8
USUAL_CANDIDATES = 25


@dataclass(frozen=True, slots=True)
class Balance:
    """Columns whose sums agree in a group, of either side; `tolerance` is the most they differ."""

    left: str
    right: str
    tolerance: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class SqlPass:
    """A pass whose candidates are the pairs of a match SQL.

    Attributes:
        margin: by how much the first rank column of the best beats the next rival's; None for by
            anything.
        confidence: of a match, where the SQL has no column of that name.
        balance: candidates that hang together are one group, a match if its sums agree.
        rest: what sides of a match differ by beyond this stays open; None where matches settle
            their rows whatever they amount to.
    """

    name: str
    sql: str
    cardinality: Cardinality = Cardinality.MANY_TO_MANY
    rank: tuple[RankTerm, ...] = ()
    choose: Choose = Choose.ALL
    on_tie: OnTie = OnTie.HOLD
    margin: Decimal | None = None
    accept: Accept = Accept.AUTO
    confidence: float = 1.0
    balance: Balance | None = None
    rest: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Days:
    """How many days the right column may lie behind the left one, both ends included."""

    left: str
    right: str
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class SubsetSumPass:
    """A pass that pairs one row of a side with the rows of the other that add up to it.

    Attributes:
        one: the side of the one row.
        block: columns that are equal, left and right.
        amount: the columns that add up, left and right.
        max_items: rows that one group has at most, besides the one.
        max_candidates: rows that are looked through for one row at most.
        rest: as of `SqlPass`.
    """

    name: str
    one: OneSide
    block: tuple[tuple[str, str], ...]
    amount: tuple[str, str]
    tolerance: Decimal = Decimal(0)
    days: Days | None = None
    max_items: int = USUAL_ITEMS
    max_candidates: int = USUAL_CANDIDATES
    accept: Accept = Accept.AUTO
    confidence: float = 1.0
    rest: Decimal | None = None

    @property
    def sql(self) -> str:
        """A match SQL of the rows that lie in one block, with their amounts."""
        equal = " AND ".join(f"l.{_quoted(a)} = r.{_quoted(b)}" for a, b in self.block)
        days = self.days
        within = (
            ""
            if days is None
            else f" AND days_between(l.{_quoted(days.left)}, r.{_quoted(days.right)})"
            f" BETWEEN {days.least} AND {days.most}"
        )
        amounts = ", ".join(_amount(one, name) for one, name in zip("lr", self.amount, strict=True))
        return f"SELECT {amounts} FROM left_src l JOIN right_src r ON {equal}{within}"  # noqa: S608


Pass = SqlPass | SubsetSumPass


@dataclass(frozen=True, slots=True)
class Amounts:
    """The columns that control totals are of; `currency` tells totals of both sides apart."""

    left: str
    right: str
    currency: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """Two columns that should be equal in a match; numbers may differ by `tolerance`."""

    left: str
    right: str
    tolerance: Decimal | None = None


UNNAMED = "match_sql"
"""The name of the one pass of a recipe that lists none."""


def _amount(alias: str, name: str) -> str:
    """Return an amount as an output column, under a name that means nothing else there."""
    ours = f" AS amount_{alias}" if name.lower() in ("rule_name", "confidence") else ""
    return f"{alias}.{_quoted(name)}{ours}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
