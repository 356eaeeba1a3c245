"""A small ledger to run the command line on."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.command import Outcome, kalla, names_below, write_csv

MATCH_SQL = """\
SELECT i.invoice_id, p.payment_id, i.amount, p.paid_amount
FROM invoices i
JOIN payments p
  ON i.reference = p.reference
 AND tolerance_match(i.amount, p.paid_amount, 0.02)"""


@dataclass
class Books:
    """Five invoices and five payments in a folder, and the recipe that matches them.

    Two pairs match; an invoice without reference, an unpaid one, one whose payment is short by
    3.00, and their like on the other side do not.
    """

    folder: Path
    recipe: dict[str, Any] = field(default_factory=dict)

    def write(self) -> Path:
        """Write the recipe and return its path."""
        path = self.folder / "recipe.json"
        path.write_text(json.dumps(self.recipe, indent=2), encoding="utf-8")
        return path

    def run(self, *flags: str | Path, **more: Any) -> Outcome:
        """Run the recipe, by default into `out`."""
        output = [] if "--output" in flags else ["--output", "out"]
        return kalla("run", self.write(), *output, *flags, cwd=self.folder, **more)

    def names(self) -> set[str]:
        """Return all that lies in the folder."""
        return names_below(self.folder)


def make_books(folder: Path) -> Books:
    """Write the two files and the recipe into a folder."""
    write_csv(
        folder / "invoices.csv",
        "invoice_id,reference,amount,booked",
        [
            "1,R-1,100.00,2026-01-01",
            "2,R-2,50.00,2026-01-02",
            "3,R-3,70.00,2026-01-03",
            "4,,10.00,2026-01-04",
            "5,R-5,20.00,2026-01-05",
        ],
    )
    write_csv(
        folder / "payments.csv",
        "payment_id,reference,paid_amount",
        ["P1,R-1,100.02", "P2,R-2,50.00", "P3,R-3,67.00", "P4,,10.00", "P5,R-9,20.00"],
    )
    recipe = {
        "recipe_id": "books",
        "name": "The books",
        "match_sql": MATCH_SQL,
        "sources": {
            "left": _source("invoices", "invoice_id"),
            "right": _source("payments", "payment_id"),
        },
    }
    made = Books(folder, recipe)
    made.write()
    return made


def _source(alias: str, key: str) -> dict[str, Any]:
    return {"alias": alias, "type": "file", "uri": f"{alias}.csv", "primary_key": [key]}
