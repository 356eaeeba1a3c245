"""Invoices and the bank transfers that pay them, with the truth; and how well a recipe finds it.

    python -m benchmarks.labelled OUT --invoices 50000     # writes both tables, truth and recipe
    kalla run OUT/recipe.json --output OUT/evidence
    python -m benchmarks.labelled OUT --score OUT/evidence

Most invoices are paid by one transfer: of them some with a fee taken off, some with a reference
that is cut off, mistyped or missing. Some are paid in parts, some several at once; some transfers
are booked twice or taken back, and some pay nothing. Twins are two invoices of one customer with
equal amount and day, paid by two equal transfers without a reference: nobody can tell which paid
which, so that whoever matches them guesses.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_FIRST_DAY = date(2026, 1, 1)
_DAYS = 300
_INVOICES_OF_A_CUSTOMER = 12
_MONEY = pa.decimal128(12, 2)
_INVOICE = pa.schema(
    [("id", pa.int64()), ("customer", pa.string()), ("ref", pa.string()), ("amount", _MONEY),
     ("currency", pa.string()), ("day", pa.date32())]
)  # fmt: skip
_PAYMENT = pa.schema(
    [("id", pa.int64()), ("payer", pa.string()), ("ref", pa.string()), ("paid", _MONEY),
     ("currency", pa.string()), ("day", pa.date32())]
)  # fmt: skip

Row = dict[str, Any]


@dataclass
class Labelled:
    """Both tables as rows, which pairs are true, and the ids of the twins of both."""

    invoices: list[Row] = field(default_factory=list)
    payments: list[Row] = field(default_factory=list)
    truth: set[tuple[int, int]] = field(default_factory=set)
    twins: tuple[set[int], set[int]] = field(default_factory=lambda: (set(), set()))


@dataclass(frozen=True)
class Score:
    """How well pairs that were found agree with the truth.

    Attributes:
        used_twice: rows in pairs that are not all of one true group.
        twins_matched: rows of twins that are in a pair.
        twins_held: rows of twins that are told to be ambiguous.
    """

    precision: float
    recall: float
    used_twice: int
    twins: int
    twins_matched: int
    twins_held: int


class _Maker:
    def __init__(self, seed: int) -> None:
        self._chosen = random.Random(seed)
        self.made = Labelled()

    def invoice(self, customer: str, cents: int | None = None, day: int | None = None) -> Row:
        number = len(self.made.invoices)
        row = {
            "id": number,
            "customer": customer,
            "ref": f"RE{number:07d}",
            "amount": Decimal(cents or self._chosen.randrange(1_000, 900_000)) / 100,
            "currency": "EUR" if hash_of(customer) % 5 else "USD",
            "day": _FIRST_DAY + timedelta(self._chosen.randrange(_DAYS) if day is None else day),
        }
        self.made.invoices.append(row)
        return row

    def payment(self, of: Row, paid: Decimal, ref: str | None, lag: int | None = None) -> Row:
        row = {
            "id": len(self.made.payments),
            "payer": of["customer"],
            "ref": ref,
            "paid": paid,
            "currency": of["currency"],
            "day": of["day"] + timedelta(self._chosen.randrange(6) if lag is None else lag),
        }
        self.made.payments.append(row)
        return row

    def pays(self, payment: Row, *invoices: Row) -> None:
        self.made.truth |= {(one["id"], payment["id"]) for one in invoices}

    def damaged(self, ref: str) -> str | None:
        """Return a reference as it arrives: as it is, mistyped, cut off, or not at all."""
        luck = self._chosen.random()
        if luck < 0.80:
            return ref
        if luck < 0.87:
            place = self._chosen.randrange(2, len(ref))
            return ref[:place] + "X" + ref[place + 1 :]
        return ref[: self._chosen.randrange(4, 8)] if luck < 0.93 else None

    def one(self, customer: str) -> None:
        kinds = ("plain", "fee", "parts", "batch", "twins", "twice", "back", "unpaid", "stray")
        weights = (72, 8, 5, 4, 1, 2, 2, 4, 2)
        getattr(self, f"_{self._chosen.choices(kinds, weights)[0]}")(customer)

    def _plain(self, customer: str) -> None:
        one = self.invoice(customer)
        self.pays(self.payment(one, one["amount"], self.damaged(one["ref"])), one)

    def _fee(self, customer: str) -> None:
        one = self.invoice(customer)
        fee = min(Decimal(self._chosen.randrange(50, 400)) / 100, one["amount"] / 50)
        paid = (one["amount"] - fee).quantize(Decimal("0.01"))
        self.pays(self.payment(one, paid, one["ref"]), one)

    def _parts(self, customer: str) -> None:
        one = self.invoice(customer)
        rest = one["amount"]
        for left in range(self._chosen.randrange(2, 4), 0, -1):
            part = rest if left == 1 else (rest * self._chosen.randrange(20, 60) / 100).quantize(
                Decimal("0.01")
            )  # fmt: skip
            rest -= part
            self.pays(self.payment(one, part, one["ref"]), one)

    def _batch(self, customer: str) -> None:
        day = self._chosen.randrange(_DAYS)
        some = [self.invoice(customer, day=day) for _ in range(self._chosen.randrange(2, 7))]
        self.pays(self.payment(some[0], sum(one["amount"] for one in some), None), *some)

    def _twins(self, customer: str) -> None:
        one = self.invoice(customer)
        other = self.invoice(customer)
        other |= {"amount": one["amount"], "day": one["day"]}
        paid = [self.payment(one, one["amount"], None, lag=2) for _ in range(2)]
        self.made.twins[0].update((one["id"], other["id"]))
        self.made.twins[1].update(row["id"] for row in paid)

    def _twice(self, customer: str) -> None:
        one = self.invoice(customer)
        self.pays(self.payment(one, one["amount"], one["ref"], lag=1), one)
        self.payment(one, one["amount"], one["ref"], lag=4)

    def _back(self, customer: str) -> None:
        one = self.invoice(customer)
        self.pays(self.payment(one, one["amount"], one["ref"], lag=1), one)
        self.payment(one, -one["amount"], one["ref"], lag=2)

    def _unpaid(self, customer: str) -> None:
        self.invoice(customer)

    def _stray(self, customer: str) -> None:
        day = _FIRST_DAY + timedelta(self._chosen.randrange(_DAYS))
        currency = "EUR" if hash_of(customer) % 5 else "USD"
        of = {"customer": customer, "currency": currency, "day": day}
        self.payment(of, Decimal(self._chosen.randrange(1_000, 900_000)) / 100, None)


def hash_of(customer: str) -> int:
    """Return a number that a customer always has."""
    return int(customer.removeprefix("C"))


def labelled(invoices: int, seed: int = 1) -> Labelled:
    """Return about so many invoices and their transfers, the same for the same seed."""
    maker = _Maker(seed)
    customers = max(1, invoices // _INVOICES_OF_A_CUSTOMER)
    chosen = random.Random(seed + 1)
    while len(maker.made.invoices) < invoices:
        maker.one(f"C{chosen.randrange(customers)}")
    return maker.made


_NEAR = (
    "l.currency = r.currency AND abs(l.amount - r.paid) <= 0.02 * l.amount"
    " AND days_between(l.day, r.day) BETWEEN 0 AND 21"
)
_RANKED = "abs(l.amount - r.paid) AS diff, days_between(l.day, r.day) AS days"


def recipe(folder: Path) -> dict[str, Any]:
    """Return a recipe for tables written into a folder."""
    block = [["customer", "payer"], ["currency", "currency"]]
    window = {"columns": ["day", "day"], "between": [0, 21]}
    sums = {"kind": "subset_sum", "amount": ["amount", "paid"], "days": window}
    by_ref = f"SELECT {_RANKED} FROM invoices l JOIN payments r ON l.ref = r.ref AND {_NEAR}"
    by_amount = (
        f"SELECT {_RANKED}, coalesce(jaro_winkler(l.ref, r.ref), 0) AS likeness"
        f" FROM invoices l JOIN payments r ON l.customer = r.payer AND {_NEAR}"
    )
    return {
        "recipe_id": "labelled",
        "name": "Labelled transfers",
        "sources": {
            side: {"alias": alias, "type": "file", "uri": str(folder / f"{alias}.parquet"),
                   "primary_key": ["id"]}
            for side, alias in (("left", "invoices"), ("right", "payments"))
        },
        "passes": [
            {"name": "reference", "match_sql": by_ref, "cardinality": "1:1",
             "rank": ["diff", "days"]},
            {"name": "parts", **sums, "one": "left", "block": [["ref", "ref"]], "max_items": 3},
            {"name": "amount", "match_sql": by_amount, "cardinality": "1:1",
             "rank": ["diff", "likeness desc", "days"]},
            {"name": "batches", **sums, "one": "right", "block": block, "max_items": 6},
        ],
        "amounts": {"left": "amount", "right": "paid", "currency": ["currency", "currency"]},
    }  # fmt: skip


def write(made: Labelled, folder: Path) -> Path:
    """Write both tables, the truth and the recipe; return where the recipe lies."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows, schema in (
        ("invoices", made.invoices, _INVOICE),
        ("payments", made.payments, _PAYMENT),
    ):
        pq.write_table(pa.Table.from_pylist(rows, schema), folder / f"{name}.parquet")
    twins = [sorted(ids) for ids in made.twins]
    truth = {"pairs": sorted(map(list, made.truth)), "twins": twins}
    (folder / "truth.json").write_text(json.dumps(truth))
    path = folder / "recipe.json"
    path.write_text(json.dumps(recipe(folder), indent=2))
    return path


def score(folder: Path, evidence: Path) -> Score:
    """Compare evidence with the truth that was written into a folder."""
    document = json.loads((folder / "truth.json").read_text())
    truth = {(left, right) for left, right in document["pairs"]}
    twins = [set(ids) for ids in document["twins"]]
    matched = pq.read_table(evidence / "matched.parquet", columns=["left_key", "right_key"])
    found = [(int(row["left_key"]), int(row["right_key"])) for row in matched.to_pylist()]
    right = sum(pair in truth for pair in found)
    held = [_ambiguous(evidence / f"unmatched_{side}.parquet") for side in ("left", "right")]
    in_pairs = [{pair[side] for pair in found} for side in range(2)]
    return Score(
        precision=right / max(len(found), 1),
        recall=right / max(len(truth), 1),
        used_twice=sum(_used_twice(found, truth, side) for side in range(2)),
        twins=sum(map(len, twins)),
        twins_matched=sum(len(mine & used) for mine, used in zip(twins, in_pairs, strict=True)),
        twins_held=sum(len(mine & some) for mine, some in zip(twins, held, strict=True)),
    )


def _used_twice(found: list[tuple[int, int]], truth: set[tuple[int, int]], side: int) -> int:
    uses = Counter(pair[side] for pair in found)
    false = {pair[side] for pair in found if pair not in truth}
    return sum(uses[row] > 1 for row in false)


def _ambiguous(path: Path) -> set[int]:
    rows = pq.read_table(path, columns=["record_key", "rejection_reason"]).to_pylist()
    return {int(r["record_key"]) for r in rows if "ambiguous" in r["rejection_reason"]}


def main() -> None:
    """Write a labelled set, or tell how well evidence agrees with it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--invoices", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--score", type=Path, metavar="EVIDENCE")
    asked = parser.parse_args()
    if asked.score is not None:
        sys.stdout.write(f"{score(asked.folder, asked.score)}\n")
        return
    sys.stdout.write(f"{write(labelled(asked.invoices, asked.seed), asked.folder)}\n")


if __name__ == "__main__":
    main()
