"""Cases about amounts: fees, tolerances, signs, groups and batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal

from benchmarks.inferred.cases import LATE, OFF, Case, Maker, one_pass

_CENT = Decimal("0.01")
_REF = "l.ref = r.text"


def cases() -> Iterator[Case]:
    """Yield them."""
    yield _off("cents off", 21, lambda m, a: a + m.chance.randrange(-2, 3) * _CENT)
    yield _off("a fee taken off", 22, lambda m, a: a - Decimal(m.chance.randrange(0, 300)) / 100)
    yield _off("a share taken off", 23, lambda m, a: (a * Decimal("0.971")).quantize(_CENT))
    yield _wrong_amounts()
    yield _signs("signs reversed", 25)
    yield _debit_credit()
    yield _direction()
    yield _cents()
    yield _parts()
    yield _many_to_one()
    yield _batches(31, "batches by customer")
    yield _batches(32, "batches, other side", swap=True)
    yield _payouts()
    yield _twice()
    yield _written()


def _off(name: str, seed: int, change: Callable[[Maker, Decimal], Decimal]) -> Case:
    made = Maker(seed)
    for _ in range(300):
        amount, day = made.money(5000), made.day()
        one = made.add({"ref": f"R{made.number(7)}", "amount": amount, "day": day})
        if made.chance.random() < 0.94:
            made.pay({"text": one["ref"], "paid": change(made, amount),
                      "paid_on": day + timedelta(made.chance.randrange(6))}, one)  # fmt: skip
    return made.case(name, [one_pass(_REF, [OFF])])


def _wrong_amounts() -> Case:
    """References that were given again: only with the amount is it the same."""
    made = Maker(24)
    for _ in range(300):
        amount, day = made.money(5000), made.day()
        one = made.add({"ref": f"R{made.number(7)}", "amount": amount, "day": day})
        if made.chance.random() < 0.8:
            made.pay({"text": one["ref"], "paid": amount, "paid_on": day + timedelta(1)}, one)
        else:
            made.pay({"text": one["ref"], "paid": made.money(5000), "paid_on": day + timedelta(1)})
    return made.case(
        "wrong amounts are no match", [one_pass(f"{_REF} AND l.amount = r.paid", [OFF])]
    )


def _signs(name: str, seed: int) -> Case:
    made = Maker(seed)
    for _ in range(300):
        amount, day = made.money() * made.chance.choice((1, 1, 1, -1)), made.day()
        one = made.add({"ref": f"R{made.number(7)}", "amount": amount, "day": day})
        text = one["ref"] if made.chance.random() < 0.7 else None
        made.pay(
            {"text": text, "paid": -amount, "paid_on": day + timedelta(made.chance.randrange(3))},
            one,
        )
    by_amount = "l.amount = -r.paid AND days_between(l.day, r.paid_on) BETWEEN 0 AND 2"
    return made.case(name, [one_pass(f"{_REF} AND l.amount = -r.paid", name="ref"),
                            one_pass(by_amount, [LATE], name="amount")])  # fmt: skip


def _debit_credit() -> Case:
    made = Maker(26)
    for _ in range(300):
        amount, day = made.money() * made.chance.choice((1, -1)), made.day()
        one = made.add({"doc": f"D{made.number(6)}", "amount": amount, "day": day})
        sides = (
            {"debit": -amount, "credit": None} if amount < 0 else {"debit": None, "credit": amount}
        )
        made.pay({"booking": made.number(8), **sides, "paid_on": day + timedelta(1)}, one)
    signed = "coalesce(r.credit, 0) - coalesce(r.debit, 0)"
    rule = f"l.amount = {signed} AND days_between(l.day, r.paid_on) = 1"
    return made.case("debit and credit", [one_pass(rule)])


def _direction() -> Case:
    made = Maker(27)
    for _ in range(300):
        amount, day = made.money() * made.chance.choice((1, -1)), made.day()
        one = made.add({"amount": amount, "day": day, "text": made.name()})
        made.pay({"paid": abs(amount), "dc": "D" if amount < 0 else "C", "paid_on": day}, one)
    rule = "l.amount = CASE WHEN r.dc = 'D' THEN -r.paid ELSE r.paid END AND l.day = r.paid_on"
    return made.case("amounts with a direction", [one_pass(rule)])


def _cents() -> Case:
    made = Maker(28)
    for _ in range(300):
        amount, day = made.money(), made.day()
        one = made.add({"amount": amount, "day": day, "branch": f"B{made.chance.randrange(9)}"})
        if made.chance.random() < 0.95:
            made.pay({"minor_units": int(amount * 100), "paid_on": day, "shop": one["branch"]}, one)
    rule = (
        "CAST(l.amount * 100 AS BIGINT) = r.minor_units AND l.day = r.paid_on AND l.branch = r.shop"
    )
    return made.case("whole cents", [one_pass(rule)])


def _parts() -> Case:
    made = Maker(29)
    for _ in range(200):
        amount, day = made.money(10_000), made.day()
        one = made.add({"ref": f"R{made.number(7)}", "amount": amount, "day": day})
        rest = amount
        for left in range(made.chance.choice((1, 1, 2, 3)), 0, -1):
            part = (
                rest if left == 1 else (rest * made.chance.randrange(20, 60) / 100).quantize(_CENT)
            )
            rest -= part
            made.pay({"text": one["ref"], "paid": part, "paid_on": day + timedelta(9 * left)}, one)
    return made.case("paid in parts", [one_pass(_REF, cardinality="1:N")])


def _many_to_one() -> Case:
    made = Maker(30)
    for number in range(90):
        total, some = Decimal(0), []
        for _ in range(made.chance.randrange(1, 5)):
            amount = made.money()
            total += amount
            some.append(made.add({"batch": f"B-{number:05d}", "amount": amount, "day": made.day()}))
        made.pay({"text": f"PAYOUT B{number:05d}", "paid": total, "paid_on": made.day()}, *some)
    rule = "norm_ref(l.batch) = norm_ref(split_part(r.text, ' ', 2))"
    return made.case("several in a payout", [one_pass(rule, cardinality="N:1")])


def _batches(seed: int, name: str, *, swap: bool = False) -> Case:
    made = Maker(seed)
    for number in range(160):
        customer, day = f"C{number % 80:03d}", made.day()
        some = [(made.money(), day) for _ in range(made.chance.choice((1, 1, 2, 3, 4)))]
        total = sum((amount for amount, _ in some), Decimal(0))
        if swap:
            one = made.add({"customer": customer, "amount": total, "day": day})
            for amount, _ in some:
                made.pay({"payer": customer, "paid": amount, "paid_on": day + timedelta(2)}, one)
        else:
            many = [
                made.add({"customer": customer, "amount": amount, "day": day}) for amount, _ in some
            ]
            made.pay({"payer": customer, "paid": total, "paid_on": day + timedelta(2)}, *many)
    rule = "l.customer = r.payer AND l.amount = r.paid AND days_between(l.day, r.paid_on) = 2"
    sums = {
        "name": "sums", "kind": "subset_sum", "one": "left" if swap else "right",
        "block": [["customer", "payer"]], "amount": ["amount", "paid"],
        "days": {"columns": ["day", "paid_on"], "between": [2, 2]}, "max_items": 8,
    }  # fmt: skip
    return made.case(name, [one_pass(rule), sums])


def _payouts() -> Case:
    made = Maker(33)
    for number in range(60):
        total, some = Decimal(0), []
        for _ in range(made.chance.randrange(2, 7)):
            amount = made.money()
            total += amount
            some.append(
                made.add(
                    {
                        "charge": f"ch_{made.number(9)}",
                        "payout": f"po_{number:04d}",
                        "amount": amount,
                    }
                )
            )
        made.pay({"descr": f"STRIPE PO_{number:04d}", "paid": total - Decimal("0.25")}, *some)
    rule = "upper(l.payout) = split_part(r.descr, ' ', 2)"
    return made.case("payouts less a fee", [one_pass(rule, cardinality="N:1")])


def _twice() -> Case:
    made = Maker(34)
    for _ in range(300):
        amount, day = made.money(), made.day()
        one = made.add({"ref": f"R{made.number(7)}", "amount": amount, "day": day})
        made.pay({"text": one["ref"], "paid": amount, "paid_on": day + timedelta(1)}, one)
        if made.chance.random() < 0.1:
            made.pay({"text": one["ref"], "paid": amount, "paid_on": day + timedelta(8)})
    return made.case("paid twice", [one_pass(_REF, [OFF, LATE])])


def _written() -> Case:
    made = Maker(35)
    for _ in range(300):
        amount, day = made.money(), made.day()
        one = made.add({"amount": amount, "day": day, "customer": made.name()})
        text = f"{amount:,.2f}".replace(",", "_").replace(".", ",").replace("_", ".")
        made.pay(
            {
                "betrag": text,
                "datum": (day + timedelta(1)).strftime("%d.%m.%Y"),
                "name": one["customer"].upper(),
            },
            one,
        )
    rule = "l.amount = parse_amount(r.betrag, 'de') AND upper(l.customer) = r.name"
    return made.case("amounts and days in German", [one_pass(rule)])
