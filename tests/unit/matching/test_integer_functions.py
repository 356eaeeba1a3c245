"""Functions and aggregates of integers give what Python's integers give, or an error."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from functools import partial

import pyarrow as pa
import pytest

from kalla_core.errors import KallaError
from tests.support.evaluated import evaluated, value
from tests.unit.matching.test_exact import INT64, INTEGERS, extremes

UINT64 = range(2**64)
CASES = 200


def rounded(number: int, places: int, how: str) -> int:
    with localcontext() as context:
        context.prec = 60
        unit = Decimal(1).scaleb(max(-places, 0))
        return int((Decimal(number) / unit).quantize(Decimal(1), how) * unit)


def remainder(a: int, b: int) -> int | None:
    return abs(a) % abs(b) * (1 if a >= 0 else -1) if b else None


def quotient(a: int, b: int) -> int | None:
    return (abs(a) // abs(b)) * (1 if (a < 0) == (b < 0) else -1) if b else None


def shifted(a: int, b: int) -> int:
    """PostgreSQL's: bits fall out, and of the distance six bits count."""
    bits = (a << (b % 64)) % 2**64
    return bits - 2**64 if bits >= 2**63 else bits


ONE: Mapping[str, Callable[[int], int | None]] = {
    "abs({a})": abs,
    "ceil({a})": int,
    "floor({a})": int,
    "trunc({a})": int,
    "round({a})": int,
    "signum({a})": lambda a: (a > 0) - (a < 0),
    "-{a}": lambda a: -a,
    "factorial({a} % 25)": lambda a: math.factorial(a % 25) if a >= 0 or a % 25 == 0 else None,
    **{
        f"{name}({{a}}, {places})": partial(rounded, places=places, how=how)
        for name, how in (("round", ROUND_HALF_UP), ("trunc", ROUND_DOWN))
        for places in (-3, -1, 0, 2)
    },
}  # fmt: skip
TWO: Mapping[str, Callable[[int, int], int | None]] = {
    "gcd({a}, {b})": math.gcd,
    "lcm({a}, {b})": math.lcm,
    "{a} % {b}": remainder,
    "{a} / {b}": quotient,
    "{a} & {b}": lambda a, b: a & b,
    "{a} | {b}": lambda a, b: a | b,
    "{a} << abs({b} % 64)": lambda a, b: shifted(a, abs(b) % 64),
    "{a} >> abs({b} % 64)": lambda a, b: a >> (abs(b) % 64),
    "greatest({a}, {b})": max,
    "least({a}, {b})": min,
    "nullif({a}, {b})": lambda a, b: None if a == b else a,
}
NONE_IS_RIGHT = "nullif"


def check(seed: int) -> None:
    rng = random.Random(seed)
    form = rng.choice([*ONE, *TWO])
    kind = pa.int64() if ">>" in form or "<<" in form else rng.choice(INTEGERS)
    low, *_, high = extremes(kind)
    small = [n for n in (-1000, -7, -1, 0, 1, 2, 5, 15, 21, 62, 99) if low <= n <= high]
    one, other = rng.choice([*extremes(kind), *small]), rng.choice(small)
    expected = ONE[form](one) if form in ONE else TWO[form](one, other)
    columns = {"a": pa.array([one], kind), "b": pa.array([other], kind)}

    try:
        found = value(form.format(a="a", b="b"), **columns)
    except KallaError:
        narrow = form.startswith("round") and kind not in (pa.int64(), pa.uint64())
        out_of_range = expected is not None and expected not in INT64
        beyond = one not in INT64 and form.startswith(("gcd", "lcm"))
        refused = beyond or (kind == pa.uint64() and form.startswith("factorial"))
        assert narrow or out_of_range or refused or expected is None, (form, kind, one, other)
        return
    assert found == expected, (form, kind, one, other)
    assert found is not None or form.startswith(NONE_IS_RIGHT)
    is_decimal = kind == pa.uint64() and form == "-{a}"
    assert expected is None or expected in INT64 or expected in UINT64 or is_decimal


def test_a_function_of_integers_gives_what_it_should_or_an_error() -> None:
    for seed in range(CASES):
        check(seed)


@pytest.mark.full
@pytest.mark.parametrize("first", range(CASES, 40 * CASES, CASES))
def test_thousands_of_functions_of_integers_give_what_they_should(first: int) -> None:
    for seed in range(first, first + CASES):
        check(seed)


FORMS = {
    "sum({n})": sum,
    "avg({n})": lambda numbers: float(Fraction(sum(numbers), len(numbers))),
    "mean({n})": lambda numbers: float(Fraction(sum(numbers), len(numbers))),
    "avg(distinct {n})": lambda ns: float(Fraction(sum(set(ns)), len(set(ns)))),
    "avg({n}) filter (where id > 1)": lambda ns: float(Fraction(sum(ns[1:]), len(ns) - 1)),
    "max({n}) - min({n})": lambda numbers: max(numbers) - min(numbers),
}  # fmt: skip


def check_aggregate(form: str, kind: pa.DataType, numbers: Sequence[int]) -> None:
    table = pa.table({"id": range(1, len(numbers) + 1), "n": pa.array(numbers, kind)})
    expected = FORMS[form](numbers)
    whole = UINT64 if kind == pa.uint64() and "-" not in form else INT64
    try:
        (row,) = evaluated(f"select {form.format(n='n')} as x from left_src", table)
    except KallaError:
        assert isinstance(expected, int), (form, kind, numbers)
        assert expected not in whole, (form, kind, numbers)
        return
    assert row["x"] == expected, (form, kind, numbers)


@pytest.mark.parametrize("form", FORMS)
def test_an_aggregate_of_integers_does_not_hang_on_their_order(form: str) -> None:
    rng = random.Random(form)
    for kind in INTEGERS:
        ends = extremes(kind)
        for _ in range(2):
            numbers = [rng.choice(ends) for _ in range(rng.randint(2, 6))]
            check_aggregate(form, kind, numbers)
            check_aggregate(form, kind, numbers[::-1])


def test_an_average_of_integers_is_the_same_in_a_window() -> None:
    table = pa.table({"id": [1, 2, 3], "n": pa.array([2**63 - 1, -(2**63) + 1, 9])})

    rows = evaluated("select avg(n) over () as x from left_src", table)

    assert rows == [{"x": 3.0}] * 3
