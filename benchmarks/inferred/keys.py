"""Cases in which a key brings rows together, however it is written."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pyarrow as pa

from benchmarks.inferred.cases import LATE, OFF, Case, Maker, one_pass, referenced

_INV = "INV-{}"
_NORM = "norm_ref(l.ref) = norm_ref(r.text)"
_NOTES = (
    "Payment {} thanks",
    "inv. {} / March",
    "{}",
    "re {} order 77",
    "Rechnung Nr. {} vom 3.2.",
)


def cases() -> Iterator[Case]:
    """Yield them."""
    yield referenced(1, lambda n, _: n, lambda n, _: n).case(
        "same text", [one_pass("l.ref = r.text", [OFF])])  # fmt: skip
    written = ("inv{}", "INV {}", "Inv-{}")
    yield referenced(2, _INV.format, lambda n, c: c.choice(written).format(n)).case(
        "case and separators", [one_pass(_NORM, [OFF])])  # fmt: skip
    yield referenced(3, lambda n, _: n, lambda n, _: n.lstrip("0")).case(
        "padding zeros", [one_pass("ltrim(l.ref, '0') = ltrim(r.text, '0')", [OFF])])  # fmt: skip
    yield referenced(4, lambda n, _: f"INV-{n}", lambda n, _: n).case(
        "prefix on one side", [one_pass("right(l.ref, 6) = r.text", [OFF])])  # fmt: skip
    yield referenced(5, lambda n, _: f"A{n}/26", lambda n, _: f"A{n}").case(
        "suffix on one side", [one_pass("split_part(l.ref, '/', 1) = r.text", [OFF])])  # fmt: skip
    yield referenced(6, _INV.format, lambda n, c: c.choice(_NOTES).format(f"INV-{n}")).case(
        "inside a free text",
        [one_pass("l.ref = regexp_match(r.text, '(INV-[0-9]+)')[1]", [OFF])])  # fmt: skip
    yield referenced(7, lambda n, _: f"INV-{n}", lambda n, c: c.choice(_NOTES).format(n)).case(
        "number inside a free text",
        [one_pass("right(l.ref, 6) = regexp_match(r.text, '([0-9]{6})')[1]", [OFF])])  # fmt: skip
    yield referenced(8, lambda n, _: f"DE-{n}-X", lambda n, c: f"{c.randrange(10)}|{n}|Z").case(
        "between separators",
        [one_pass("split_part(l.ref, '-', 2) = split_part(r.text, '|', 2)", [OFF])])  # fmt: skip
    parted = "{}{}{}"
    yield referenced(
        9,
        lambda n, _: parted.format(f"  {n[:3]}", "abc", f"{n[3:]} "),
        lambda n, _: parted.format(n[:3], "ABC", n[3:]),
    ).case(
        "blanks and case", [one_pass("upper(trim(l.ref)) = r.text", [OFF])])  # fmt: skip
    yield referenced(10, lambda n, _: n, lambda n, _: n, beside=False).case(
        "a key and nothing else", [one_pass("l.ref = r.text")])  # fmt: skip
    yield _types()
    yield _composite()
    yield _composite_lines()
    yield _nulls()
    yield _two_references()
    yield _one_to_many_key()


def _types() -> Case:
    made = referenced(11, lambda n, _: n, lambda n, _: n)
    for row in made.left:
        row["ref"] = int(row["ref"])
    for row in made.right:
        row["paid_on"] = row["paid_on"].strftime("%d.%m.%Y")
        row["paid"] = float(row["paid"])
    return made.case("unlike types", [one_pass("l.ref = TRY_CAST(r.text AS BIGINT)")])


def _composite() -> Case:
    made = Maker(12)
    for number in range(300):
        account, period = f"AC{number % 30:03d}", f"2026-{number // 30 + 1:02d}"
        amount = made.money()
        one = made.add({"account": account, "period": period, "amount": amount})
        if made.chance.random() < 0.93:
            paid = amount if made.chance.random() < 0.9 else amount + Decimal("0.03")
            made.pay({"acct": account.lower(), "month": period, "paid": paid}, one)
    rule = "upper(r.acct) = l.account AND l.period = r.month"
    return made.case("composite of account and period", [one_pass(rule, [OFF])])


def _composite_lines() -> Case:
    made = Maker(13)
    for number in range(100):
        for line in range(1, made.chance.randrange(2, 6)):
            amount = made.money()
            one = made.add(
                {
                    "order_no": 7000 + number,
                    "line": line,
                    "sku": f"S{made.number(5)}",
                    "amount": amount,
                }
            )
            if made.chance.random() < 0.95:
                made.pay(
                    {
                        "po": f"PO-{7000 + number}",
                        "pos": line * 10,
                        "item": one["sku"],
                        "paid": amount,
                    },
                    one,
                )
    rule = "CAST(l.order_no AS VARCHAR) = right(r.po, 4) AND l.sku = r.item"
    return made.case("order and item", [one_pass(rule, [OFF])])


def _nulls() -> Case:
    made = referenced(14, lambda n, _: f"R{n}", lambda n, _: f"R{n}")
    for place, row in enumerate(made.left):
        if place % 9 == 0:
            row["ref"] = None
    for place, row in enumerate(made.right):
        if place % 11 == 0:
            row["text"] = "N/A"
    by_amount = "l.amount = r.paid AND days_between(l.day, r.paid_on) BETWEEN 0 AND 4"
    passes = [
        one_pass("l.ref = r.text", [OFF], name="ref"),
        one_pass(by_amount, [LATE], name="amount"),
    ]
    return made.case("missing keys and placeholders", passes)


def _two_references() -> Case:
    made = Maker(15)
    for _ in range(300):
        order, invoice, amount, day = (
            made.number(7),
            f"INV{made.number(5)}",
            made.money(),
            made.day(),
        )
        one = made.add({"order_ref": order, "invoice": invoice, "amount": amount, "day": day})
        ref = order if made.chance.random() < 0.5 else None
        made.pay({"customer_order": ref, "doc": None if ref else invoice, "paid": amount,
                  "paid_on": day + timedelta(2)}, one)  # fmt: skip
    passes = [one_pass("l.order_ref = r.customer_order", [OFF], name="order"),
              one_pass("l.invoice = r.doc", [OFF], name="invoice")]  # fmt: skip
    return made.case("one of two references", passes)


def _one_to_many_key() -> Case:
    made = Maker(16)
    for number in range(150):
        one = made.add({"trade": f"T{number:05d}", "desk": f"D{number % 7}", "qty": 100 + number})
        for fill in range(made.chance.randrange(1, 4)):
            made.pay({"trade_ref": f"t{number:05d}", "fill": fill, "venue": f"V{fill}"}, one)
    rule = "l.trade = upper(r.trade_ref)"
    return made.case("fills of a trade", [one_pass(rule, cardinality="1:N")], {"qty": pa.int32()})
