"""Cases of accounts, people, subscriptions and trades, and of texts that list references."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from benchmarks.inferred.cases import FIRST_DAY, LATE, OFF, Case, Maker, one_pass

_CENT = Decimal("0.01")


def cases() -> Iterator[Case]:
    """Yield them."""
    yield _ibans()
    yield _companies()
    yield _typos()
    yield _lists()
    yield _trades()
    yield _bank_first()
    yield _subscriptions()
    yield _patients()
    yield _gross()
    yield _lots()


def _ibans() -> Case:
    made = Maker(61)
    for _ in range(250):
        account, day, amount = f"DE{made.number(20)}", made.day(60), made.money()
        one = made.add({"iban": account, "amount": amount, "day": day})
        spaced = " ".join(account[at : at + 4] for at in range(0, 22, 4))
        if made.chance.random() < 0.9:
            made.pay({"acct": spaced, "paid": amount, "paid_on": day + timedelta(1)}, one)
    return made.case("IBAN with blanks", [one_pass("l.iban = replace(r.acct, ' ', '')", [OFF])])


def _companies() -> Case:
    made = Maker(62)
    first = ("Acme", "Bolt", "Cyan", "Dune", "Echo", "Foss", "Grit", "Halo")
    then = ("Müller", "Søren", "Kovač", "Peña", "Lind", "Roy", "Abe", "Ng")
    for place, word in enumerate(first):
        for number, other in enumerate(then):
            for last in ("Traders", "Foods", "Labs"):
                name = f"{word} {other} {last}"
                form = made.chance.choice((" GmbH", " Ltd.", "", " AG"))
                one = made.add({"company": name + form, "city": f"T{(place + number) % 5}"})
                if made.chance.random() < 0.85:
                    made.pay({"name": name.upper(), "town": one["city"]}, one)
    return made.case("names of firms", [one_pass("norm_name(l.company) = norm_name(r.name)")])


def _typos() -> Case:
    made = Maker(63)
    for number in range(300):
        amount, day, customer = made.money(), made.day(), f"C{number % 60:03d}"
        ref = f"RF{made.number(7)}"
        one = made.add({"ref": ref, "customer": customer, "amount": amount, "day": day})
        if made.chance.random() < 0.3:
            at = made.chance.randrange(2, 9)
            ref = ref[:at] + made.chance.choice("0123456789") + ref[at + 1 :]
        paid_on = day + timedelta(made.chance.randrange(10))
        made.pay({"text": ref, "payer": customer, "paid": amount, "paid_on": paid_on}, one)
    by_amount = "l.customer = r.payer AND l.amount = r.paid"
    passes = [one_pass("l.ref = r.text", name="ref"), one_pass(by_amount, [LATE], name="amount")]
    return made.case("mistyped references", passes)


def _lists() -> Case:
    made = Maker(64)
    for _ in range(120):
        some = [
            made.add(
                {"invoice": f"INV-{made.number(6)}", "amount": made.money(), "day": made.day()}
            )
            for _ in range(made.chance.choice((1, 1, 2, 3)))
        ]
        text = "payment for " + ", ".join(one["invoice"] for one in some)
        total = sum((one["amount"] for one in some), Decimal(0))
        made.pay({"remit": text, "paid": total, "paid_on": made.day()}, *some)
    rule = "strpos(r.remit, l.invoice) > 0"
    return made.case("several references in a text", [one_pass(rule, cardinality="N:1")])


def _trades() -> Case:
    made = Maker(65)
    for _ in range(300):
        isin, day = f"US{made.chance.randrange(40):09d}0", made.day(30)
        quantity, price = made.chance.randrange(1, 50) * 100, made.money(1000, 90_000)
        side = made.chance.choice(("BUY", "SELL"))
        one = made.add({"isin": isin, "side": side, "qty": quantity, "price": price, "day": day})
        if made.chance.random() < 0.95:
            off = made.chance.choice((0, 0, 0.01))
            made.pay({"security": isin, "bs": side[0], "quantity": quantity,
                      "px": float(price) + off, "paid_on": day}, one)  # fmt: skip
    rule = (
        "l.isin = r.security AND l.qty = r.quantity AND l.day = r.paid_on"
        " AND tolerance_match(l.price, r.px, 0.01)"
    )
    return made.case("trades without a number", [one_pass(rule)])


def _bank_first() -> Case:
    made = Maker(66)
    for _ in range(200):
        amount, day, invoice = made.money(), made.day(), f"2026/{made.number(6)}"
        count, rest, parts = made.chance.choice((1, 1, 2)), amount, []
        for place in range(count):
            part = rest if place == count - 1 else (rest / 2).quantize(_CENT)
            rest -= part
            text = f"RE {invoice.replace('/', '-')}"
            row = {"bankref": text, "amount": part, "day": day + timedelta(5 + place)}
            parts.append(made.add(row))
        made.pay({"invoice": invoice, "paid": amount, "paid_on": day}, *parts)
    rule = "norm_ref(split_part(l.bankref, ' ', 2)) = norm_ref(r.invoice)"
    return made.case("the bank on the left, in parts", [one_pass(rule, cardinality="N:1")])


def _subscriptions() -> Case:
    made = Maker(67)
    for number in range(120):
        fee = made.chance.choice((Decimal("9.99"), Decimal("19.99"), Decimal("49.00")))
        for month in range(3):
            day = FIRST_DAY + timedelta(30 * month + number % 28)
            one = made.add({"subscriber": f"C{number}-A", "amount": fee, "day": day})
            late = day + timedelta(made.chance.randrange(4))
            made.pay({"member": f"c{number}-a", "paid": fee, "paid_on": late}, one)
    rule = "l.subscriber = upper(r.member) AND days_between(l.day, r.paid_on) BETWEEN 0 AND 3"
    return made.case("subscriptions", [one_pass(rule, [LATE])])


def _patients() -> Case:
    made = Maker(68)
    first = ("Anna", "Benno", "Cleo", "Daniel", "Eva", "Finn", "Gustav", "Hal")
    last = ("Smith", "Jones", "Brown", "Lee", "Wong", "Diaz", "Kim", "Roy", "Fox", "Hart")
    for _ in range(250):
        name, day = (made.chance.choice(first), made.chance.choice(last)), made.day()
        one = made.add({"patient": " ".join(name), "day": day})
        if made.chance.random() < 0.9:
            written = day.strftime("%d/%m/%Y")
            made.pay({"full_name": f"{name[1].upper()}, {name[0]}", "born": written}, one)
    like = "token_set_ratio(upper(l.patient), upper(r.full_name))"
    born = "l.day = to_date(r.born, '%d/%m/%Y')"
    rule = one_pass(f"{born} AND {like} > 0.8", [(like, " desc")])
    return made.case("people and days of birth", [rule])


def _gross() -> Case:
    made = Maker(69)
    for _ in range(250):
        net, day = made.money(), made.day()
        one = made.add({"invoice": f"F-{made.number(6)}", "net": net, "day": day})
        gross = (net * Decimal("1.19")).quantize(_CENT)
        late = day + timedelta(made.chance.randrange(30))
        made.pay({"text": f"zu {one['invoice']} danke", "gross": gross, "paid_on": late}, one)
    return made.case("net and gross", [one_pass("l.invoice = split_part(r.text, ' ', 2)")])


def _lots() -> Case:
    made = Maker(70)
    for number in range(80):
        some = [
            made.add({"lot": f"L{number:03d}", "weight": made.chance.randrange(9)})
            for _ in range(made.chance.choice((1, 2, 3)))
        ]
        for _ in range(made.chance.choice((1, 2))):
            made.pay({"lotno": f"l-{number}", "box": made.chance.randrange(9)}, *some)
    rule = "norm_ref(l.lot) = norm_ref(r.lotno)"
    return made.case("lots and boxes", [one_pass(rule, cardinality="N:M")])
