"""Which columns go together, and as what."""

from datetime import date, timedelta
from decimal import Decimal

import pyarrow as pa

from kalla_core.inference import infer
from kalla_core.inference.mappings import Role


def test_columns_are_told_by_what_they_are_to_each_other() -> None:
    rows = range(200)
    amounts = [Decimal(100 + n * 7919 % 90_000) / 100 for n in rows]
    left = pa.table({
        "no": pa.array(rows, pa.int64()),
        "ref": [f"INV-{n * 37:05d}" for n in rows],
        "amount": pa.array(amounts, pa.decimal128(12, 2)),
        "due": pa.array([date(2026, 1, 1) + timedelta(n % 90) for n in rows], pa.date32()),
        "cur": [("EUR", "USD", "GBP")[n * 31 % 7 % 3] for n in rows],
    })  # fmt: skip
    order = [n * 77 % 200 for n in rows if n % 10]
    right = pa.table({
        "pid": [f"P{n}" for n in range(len(order))],
        "text": [f"inv {n * 37}" for n in order],
        "paid": left["amount"].take(pa.array(order)),
        "paid_on": pa.array(
            [left["due"][n].as_py() + timedelta(n % 5) for n in order], pa.date32()
        ),
        "ccy": left["cur"].take(pa.array(order)),
    })  # fmt: skip

    found = {(one.left, one.right): one for one in infer(left, right).mappings}

    roles = {pair: one.role for pair, one in found.items()}
    assert roles[("ref",), ("text",)] in (Role.KEY, Role.EQUAL)
    assert roles[("amount",), ("paid",)] in (Role.KEY, Role.AMOUNT)
    assert found[("due",), ("paid_on",)].says == "`paid_on` is 0 to 4 days after `due`"
    assert all("{}" not in one.sql for one in found.values())
