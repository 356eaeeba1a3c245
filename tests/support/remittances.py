"""Invoices and payments whose rule has to be found out: references in two ways, fees, a lag."""

from __future__ import annotations

import random
from datetime import date, timedelta
from pathlib import Path

from tests.support.command import write_csv

ROWS = 300
_FIRST_DAY = date(2026, 1, 1)


def make_remittances(folder: Path, rows: int = ROWS) -> tuple[Path, Path]:
    """Write `invoices.csv` and `payments.csv`; of ten invoices nine are paid.

    A payment has the reference without its hyphen and in small letters, comes up to three days
    later, and lacks 0.02 or 0.50 in two of five. Payment `5000 + n` is of invoice `n`.
    """
    chance = random.Random(1)
    invoices, payments = [], []
    for number in range(1, rows + 1):
        cents = chance.randint(10_000, 9_999_900)
        day = _FIRST_DAY + timedelta(days=chance.randint(0, 60))
        invoices.append(f"{number},INV-{10000 + number},{_amount(cents)},{day},C{number % 40}")
        if number % 10:
            paid = cents - chance.choice((0, 0, 0, 2, 50))
            later = day + timedelta(days=chance.randint(0, 3))
            payments.append(f"{5000 + number},inv{10000 + number},{_amount(paid)},{later}")
    chance.shuffle(payments)
    left, right = folder / "invoices.csv", folder / "payments.csv"
    write_csv(left, "id,reference,amount,day,customer", invoices)
    write_csv(right, "pid,ref,paid,booked", payments)
    return left, right


def _amount(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"
