"""What a case is, and the rows that most of them are made of."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

MONEY = pa.decimal128(12, 2)
FIRST_DAY = date(2026, 1, 1)
NAMES = (
    "Nordwind Logistik GmbH", "Harbour & Sons Ltd", "Blue Kettle Tea Co", "Tanaka Precision",
    "Fjord Data Inc", "Atelier Lumiere", "Brien Haulage", "Optica Madrid SL", "Alesund Fisk AS",
    "Cedar Valley Foods", "Kappa Instruments", "Granite Works Ltd", "Olive Street Bakery",
    "Sunrise Solar GmbH", "Marble Arch Hotels", "Polar Shipping AB", "Crimson Textiles",
    "Delta Pumps Inc", "Evergreen Timber", "Falcon Couriers", "Gemini Optics", "Helios Glass",
    "Indigo Prints", "Juniper Gardens", "Kestrel Aviation", "Lotus Ceramics", "Meridian Maps",
    "Nimbus Cloud BV", "Orchid Pharma", "Pinewood Studios",
)  # fmt: skip

Row = dict[str, Any]
Made = tuple[list[Row], list[Row], set[tuple[Any, Any]]]


@dataclass(frozen=True)
class Case:
    """Two tables, the pairs that belong together, and the best recipe somebody would write.

    Attributes:
        left: its first column is the primary key.
        truth: values of both primary keys.
        passes: of the hand-written recipe, over `left_src` and `right_src`.
    """

    name: str
    left: pa.Table
    right: pa.Table
    truth: frozenset[tuple[Any, Any]]
    passes: tuple[Mapping[str, Any], ...]


@dataclass
class Maker:
    """Rows of one case, the same for the same seed."""

    seed: int
    left: list[Row] = field(default_factory=list)
    right: list[Row] = field(default_factory=list)
    truth: set[tuple[Any, Any]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    def money(self, least: int = 500, most: int = 900_000) -> Decimal:
        """Return an amount, least and most in cents."""
        return Decimal(self.chance.randrange(least, most)) / 100

    def day(self, span: int = 300) -> date:
        """Return a day of the span."""
        return FIRST_DAY + timedelta(self.chance.randrange(span))

    def name(self) -> str:
        """Return a name of a firm."""
        return self.chance.choice(NAMES)

    def number(self, digits: int = 6) -> str:
        """Return a number as text."""
        return str(self.chance.randrange(10 ** (digits - 1), 10**digits))

    def add(self, row: Row) -> Row:
        """Add a left row."""
        row = {"id": 1000 + len(self.left), **row}
        self.left.append(row)
        return row

    def pay(self, row: Row, *of: Row) -> Row:
        """Add a right row that belongs to some left ones."""
        row = {"rid": 50_000 + 7 * len(self.right), **row}
        self.right.append(row)
        self.truth |= {(one["id"], row["rid"]) for one in of}
        return row

    def case(
        self, name: str, passes: Sequence[Mapping[str, Any]], types: Mapping[str, pa.DataType] = {}
    ) -> Case:
        """Return the case, both tables shuffled."""
        tables = []
        for rows in (self.left, self.right):
            shuffled = list(rows)
            self.chance.shuffle(shuffled)
            names = list(dict.fromkeys(column for row in rows for column in row))
            columns = {
                column: pa.array(
                    [row.get(column) for row in shuffled], types.get(column) or _type(rows, column)
                )
                for column in names
            }
            tables.append(pa.table(columns))
        return Case(name, tables[0], tables[1], frozenset(self.truth), tuple(passes))


def _type(rows: list[Row], column: str) -> pa.DataType | None:
    some = next((row[column] for row in rows if row.get(column) is not None), None)
    return MONEY if isinstance(some, Decimal) else None


def one_pass(
    conditions: str,
    rank: Sequence[tuple[str, str]] = (),
    cardinality: str = "1:1",
    name: str = "rule",
) -> dict[str, Any]:
    """Return a pass by hand: a join, and what orders its pairs."""
    shown = ", ".join(f"{sql} AS {name}{n}" for n, (sql, _) in enumerate(rank)) or "l.id"
    found: dict[str, Any] = {
        "name": name,
        "match_sql": f"SELECT {shown} FROM left_src l JOIN right_src r ON {conditions}",
        "cardinality": cardinality,
    }
    if rank:
        found["rank"] = [f"{name}{n}{way}" for n, (_, way) in enumerate(rank)]
    return found


OFF = ("abs(l.amount - r.paid)", "")
LATE = ("abs(days_between(l.day, r.paid_on))", "")

Write = Callable[[str, random.Random], str | None]


def referenced(
    seed: int, write_left: Write, write_right: Write, *, count: int = 300, digits: int = 6,
    lost: float = 0.08, beside: bool = True,
) -> Maker:  # fmt: skip
    """Return invoices and payments with one reference each, written in two ways.

    Args:
        lost: share of the invoices without payment, and as many payments without invoice.
        beside: whether amounts and days are there as well.
    """
    made = Maker(seed)
    numbers = made.chance.sample(range(10 ** (digits - 1) // 20, 10 ** (digits - 1)), 2 * count)
    for place in range(count):
        number = str(numbers[place]).zfill(digits)
        amount, day = made.money(), made.day()
        both: Row = {"amount": amount, "day": day} if beside else {}
        one = made.add({"ref": write_left(number, made.chance), **both})
        other: Row = {"paid": amount, "paid_on": day + timedelta(made.chance.randrange(5))}
        text = {"text": write_right(number, made.chance), **(other if beside else {})}
        if made.chance.random() >= lost:
            made.pay(text, one)
        else:
            stray = str(numbers[count + place]).zfill(digits)
            loose: Row = {"paid": made.money(), "paid_on": made.day()}
            made.pay({"text": write_right(stray, made.chance), **(loose if beside else {})})
    return made
