"""Cases without a key, with decoys, and in shapes from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow as pa

from benchmarks.inferred.cases import LATE, OFF, Case, Maker, Row, one_pass
from benchmarks.labelled import labelled, recipe

More = Callable[[int, Maker], Row]
_WINDOW = "days_between(l.day, r.paid_on) BETWEEN 0 AND 5"


def cases() -> Iterator[Case]:
    """Yield them."""
    yield _amount_and_day(41, "amount and lag of days")
    yield _names()
    yield _account_amount_day()
    yield _row_numbers()
    yield _status_codes()
    yield _customer_number()
    yield _same_days()
    yield _running_numbers()
    yield _labelled()
    yield _sparse()
    yield _duplicates()
    yield _many_columns()
    yield _reused()


def _amount_and_day(seed: int, name: str) -> Case:
    made = Maker(seed)
    for _ in range(300):
        amount, day = made.money(), made.day()
        one = made.add({"amount": amount, "day": day, "memo": made.number(9)})
        if made.chance.random() < 0.9:
            made.pay(
                {
                    "paid": amount,
                    "paid_on": day + timedelta(made.chance.randrange(4)),
                    "trace": made.number(9),
                },
                one,
            )
        else:
            made.pay({"paid": made.money(), "paid_on": made.day(), "trace": made.number(9)})
    return made.case(name, [one_pass(f"l.amount = r.paid AND {_WINDOW}", [LATE])])


def _names() -> Case:
    """Few amounts, so that only the name tells."""
    made = Maker(42)
    for _ in range(300):
        name, day = made.name(), made.day(60)
        amount = made.chance.choice((1000, 2000, 2500, 5000, 9900)) + made.money(1, 60)
        one = made.add({"customer": name, "amount": amount, "day": day})
        words = name.split()
        shown = made.chance.choice(
            (name.upper(), " ".join(words[::-1]), f"{words[0]} {words[1]} ref {made.number(3)}")
        )
        made.pay(
            {"payer": shown, "paid": amount, "paid_on": day + timedelta(made.chance.randrange(4))},
            one,
        )
    like = "token_set_ratio(upper(l.customer), upper(r.payer))"
    rule = f"l.amount = r.paid AND {_WINDOW} AND {like} >= 0.7"
    return made.case("name, amount and day", [one_pass(rule, [(like, " desc"), LATE])])


def _account_amount_day() -> Case:
    made = Maker(43)
    for number in range(300):
        account, day = f"{40_000 + number % 25}", made.day(90)
        amount = made.money(500, 20_000)
        one = made.add({"account": account, "amount": amount, "day": day})
        if made.chance.random() < 0.93:
            made.pay(
                {
                    "konto": int(account),
                    "paid": amount,
                    "paid_on": day + timedelta(made.chance.randrange(3)),
                },
                one,
            )
    rule = f"l.account = CAST(r.konto AS VARCHAR) AND l.amount = r.paid AND {_WINDOW}"
    return made.case("account, amount and day", [one_pass(rule, [LATE])])


def _decoyed(seed: int, name: str, left: More, right: More, *, ref: bool = True) -> Case:
    made = Maker(seed)
    for place in range(300):
        amount, day = made.money(), made.day()
        number = f"X{made.number(6)}"
        own = {"ref": number} if ref else {}
        one = made.add({**left(place, made), **own, "amount": amount, "day": day})
        other = {"text": number.lower()} if ref else {}
        if made.chance.random() < 0.93:
            made.pay(
                {
                    **right(place, made),
                    **other,
                    "paid": amount,
                    "paid_on": day + timedelta(made.chance.randrange(3)),
                },
                one,
            )
    return made.case(name, [one_pass("l.ref = upper(r.text)", [OFF])])


def _shuffled(seed: int, count: int = 300) -> list[int]:
    made = Maker(seed)
    numbers = list(range(1, count + 1))
    made.chance.shuffle(numbers)
    return numbers


def _row_numbers() -> Case:
    mixed = _shuffled(440)
    return _decoyed(
        44, "row numbers as a decoy", lambda n, _: {"line": n + 1}, lambda n, _: {"seq": mixed[n]}
    )


def _status_codes() -> Case:
    codes = ("OK", "PENDING", "VOID", "HELD")
    return _decoyed(
        45, "status codes as a decoy",
        lambda _, m: {"status": m.chance.choice(codes), "currency": "EUR"},
        lambda _, m: {"state": m.chance.choice(codes), "ccy": "EUR"},
    )  # fmt: skip


def _customer_number() -> Case:
    return _decoyed(
        46, "customer numbers that are references elsewhere",
        lambda n, _: {"customer": f"X{100_000 + n % 40}"},
        lambda n, m: {"batch": f"X{100_000 + m.chance.randrange(40)}"},
    )  # fmt: skip


def _same_days() -> Case:
    return _decoyed(
        47, "booking days that are all alike",
        lambda n, m: {"booked": m.day(5), "user": f"u{n % 4}"},
        lambda n, m: {"exported": m.day(5), "clerk": f"u{m.chance.randrange(4)}"},
    )  # fmt: skip


def _running_numbers() -> Case:
    mixed = _shuffled(480)
    return _decoyed(
        48, "document numbers of two ledgers",
        lambda n, _: {"doc": f"{2_600_000 + n}"},
        lambda n, _: {"voucher": f"{2_600_000 + mixed[n]}"},
    )  # fmt: skip


def _labelled() -> Case:
    made = labelled(600, 9)
    left, right = pa.Table.from_pylist(made.invoices), pa.Table.from_pylist(made.payments)
    money = pa.decimal128(12, 2)
    left = left.set_column(3, "amount", left["amount"].cast(money))
    right = right.set_column(3, "paid", right["paid"].cast(money))
    passes = [
        {
            name: value.replace("invoices", "left_src").replace("payments", "right_src")
            if name == "match_sql"
            else value
            for name, value in one.items()
        }
        for one in recipe(Path())["passes"]
    ]
    return Case("labelled transfers", left, right, frozenset(made.truth), tuple(passes))


def _sparse() -> Case:
    """Most rows have no partner at all."""
    made = Maker(50)
    for _ in range(400):
        amount, day = made.money(), made.day()
        one = made.add({"ref": f"K{made.number(7)}", "amount": amount, "day": day})
        if made.chance.random() < 0.2:
            made.pay({"text": f"k-{one['ref'][1:]}", "paid": amount, "paid_on": day}, one)
        else:
            made.pay({"text": f"k-{made.number(7)}", "paid": made.money(), "paid_on": made.day()})
    return made.case("few partners", [one_pass("norm_ref(l.ref) = norm_ref(r.text)", [OFF])])


def _duplicates() -> Case:
    """Some references are on two rows of each side: the day tells which is which."""
    made = Maker(51)
    for _ in range(220):
        ref = f"S{made.number(6)}"
        amount = made.money()
        day = made.day()
        for again in range(made.chance.choice((1, 1, 2))):
            here = day + timedelta(31 * again)
            one = made.add({"contract": ref, "amount": amount, "day": here})
            made.pay(
                {
                    "text": ref,
                    "paid": amount,
                    "paid_on": here + timedelta(made.chance.randrange(3)),
                },
                one,
            )
    rule = f"l.contract = r.text AND l.amount = r.paid AND {_WINDOW}"
    return made.case("instalments of a contract", [one_pass(rule, [LATE])])


def _many_columns() -> Case:
    def more(n: int, made: Maker) -> dict[str, object]:
        return {f"f{k}": made.chance.choice(("a", "b", "c")) + str(k) for k in range(12)}

    return _decoyed(52, "many columns", more, more)


def _reused() -> Case:
    """Numbers begin anew every year."""
    made = Maker(53)
    for year in range(3):
        for number in range(100):
            amount, day = made.money(), made.day(250) + timedelta(365 * year)
            one = made.add({"no": f"{number:04d}", "amount": amount, "day": day})
            if made.chance.random() < 0.93:
                made.pay(
                    {
                        "text": f"No. {number}",
                        "paid": amount,
                        "paid_on": day + timedelta(made.chance.randrange(9)),
                    },
                    one,
                )
    rule = ("ltrim(l.no, '0') = ltrim(regexp_replace(r.text, '[^0-9]', '', 'g'), '0')"
            " AND days_between(l.day, r.paid_on) BETWEEN 0 AND 9")  # fmt: skip
    return made.case("numbers begin anew every year", [one_pass(rule, [OFF])])
