"""Rows are counted by the size of their amounts exactly, and matches by the days between."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_core.answers import spread as module
from kalla_core.answers.spread import (
    MOST_DAYS,
    Size,
    days_between,
    exponent_of,
    sized,
    sizes_of,
    spread_of,
)
from kalla_core.evidence.names import MATCHED, UNMATCHED
from kalla_core.evidence.reader import Evidence
from kalla_core.matching.sql.query import Side
from tests.support.command import write_csv
from tests.support.reports import ledger_of, make_books_of, ran

KINDS = [
    *(pa.decimal128(digits, scale) for digits, scale in ((1, 0), (18, 2), (18, 18), (19, 2))),
    *(pa.decimal128(38, scale) for scale in (0, 10, 38)),
    *(pa.decimal256(76, scale) for scale in (0, 2, 76)),
    *(pa.int8(), pa.int64(), pa.uint64()),
]


def by_hand(value: Decimal | int | None) -> Size:
    """Return the size of one amount, by its first digit."""
    if value is None:
        return None
    if value == 0:
        return 0
    return sized(Decimal(value).adjusted(), negative=value < 0)


@st.composite
def amounts(draw: st.DrawFn) -> pa.Array:
    kind = draw(st.sampled_from(KINDS))
    if pa.types.is_integer(kind):
        bits = kind.bit_width
        least, most = (
            (0, 2**bits - 1) if kind == pa.uint64() else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        )
        edges = [one for one in (least, most, *(10**n for n in range(20))) if least <= one <= most]
        whole = st.integers(least, most) | st.sampled_from(edges)
        return pa.array(draw(st.lists(st.none() | whole, max_size=12)), kind)
    digits = st.integers(0, kind.precision)
    near = st.builds(
        lambda n, by: max(0, min(10**n + by, 10**kind.precision - 1)), digits, st.integers(-1, 1)
    )
    signed = st.builds(lambda units, sign: units * sign, near, st.sampled_from([1, -1]))
    with localcontext(prec=80):
        values = [
            None if units is None else Decimal(units).scaleb(-kind.scale)
            for units in draw(st.lists(st.none() | signed, max_size=12))
        ]
        return pa.array(values, kind)


@given(amounts())
def test_amounts_have_the_size_of_their_first_digit_however_many_there_are(
    values: pa.Array,
) -> None:
    expected = Counter(map(by_hand, values.to_pylist()))

    assert sizes_of(values) == expected
    assert sizes_of(pa.concat_arrays([values, values])[len(values) :]) == expected


def test_an_amount_a_cent_below_a_power_of_ten_is_not_rounded_up_to_it() -> None:
    below = pa.array([Decimal("999999999999999999.99")], pa.decimal128(38, 2))

    (size,) = sizes_of(below)

    assert size is not None
    assert exponent_of(size) == 17


MOMENTS = st.none() | st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29))


@given(st.lists(st.tuples(MOMENTS, MOMENTS), max_size=8), st.sampled_from(["ms", "us", "date"]))
def test_days_between_are_those_of_the_calendar(
    pairs: list[tuple[datetime | None, datetime | None]], unit: str
) -> None:
    kind = pa.date32() if unit == "date" else pa.timestamp(unit)
    columns = [
        [moment and moment.replace(microsecond=0) for moment in one]
        for one in zip(*pairs, strict=True)
    ]
    left, right = (
        pa.array(one, pa.timestamp("us")).cast(kind, safe=False) for one in columns or [[], []]
    )

    days = days_between(left, right)

    whole = [(one.date(), other.date()) for one, other in pairs if one and other]
    assert days.tolist() == [(other - one).days for one, other in whole]


def test_a_moment_of_a_zone_is_on_the_day_that_it_has_there() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    left = pa.array([date(2026, 1, 1)])
    right = [datetime(2026, 1, 1, 23, 30, tzinfo=UTC), datetime(2026, 6, 1, 22, 30, tzinfo=UTC)]

    here = days_between(left, pa.array(right[:1], pa.timestamp("us", "Europe/Berlin")))
    there = days_between(left, pa.array(right[:1], pa.timestamp("us", "UTC")))
    summer = days_between(left, pa.array(right[1:], pa.timestamp("us", "Europe/Berlin")))

    assert (here.tolist(), there.tolist()) == ([1], [0])
    assert summer.tolist() == [(right[1].astimezone(berlin).date() - date(2026, 1, 1)).days]


def test_days_between_dates_that_no_calendar_has_are_exact() -> None:
    far = pa.array([2**31 - 1, -(2**31)], pa.int32()).cast(pa.date32())
    moments = pa.array([-(2**62), 2**62], pa.int64()).cast(pa.timestamp("ms"))

    assert days_between(far, far[::-1]).tolist() == [1 - 2**32, 2**32 - 1]
    assert days_between(moments, far).tolist() == [
        2**31 - 1 - -(2**62) // 86_400_000,
        -(2**31) - 2**62 // 86_400_000,
    ]


def once(evidence: Evidence, side: Side, column: str) -> list[Decimal | None]:
    """Return the amounts of the rows of a side that have a partner."""
    rows = evidence.table(MATCHED).to_pylist()
    return list({row[f"{side.word}_key"]: row[column] for row in rows}.values())


@pytest.mark.parametrize("most_told_apart", [0, 1 << 24])
def test_the_rows_of_a_run_are_each_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_told_apart: int
) -> None:
    monkeypatch.setattr(module, "MOST_TOLD_APART", most_told_apart)
    with ran(ledger_of(tmp_path, 60)) as evidence:  # an invoice of it is paid by two payments
        spread = spread_of(evidence)
        open_ = {side: evidence.table(UNMATCHED[side]).to_pylist() for side in Side}
        pairs = evidence.table(MATCHED).to_pylist()
        matched = {
            Side.LEFT: once(evidence, Side.LEFT, "amount"),
            Side.RIGHT: once(evidence, Side.RIGHT, "paid_amount"),
        }
        summaries = {Side.LEFT: evidence.metadata.left, Side.RIGHT: evidence.metadata.right}

    assert {side: one.column for side, one in spread.sides.items()} == {
        Side.LEFT: "amount",
        Side.RIGHT: "paid_amount",
    }
    assert summaries[Side.LEFT].several
    for side, one in spread.sides.items():
        assert one.unmatched == Counter(by_hand(row[one.column]) for row in open_[side])
        assert one.ambiguous == {}
        if side is Side.LEFT and not most_told_apart:
            assert one.matched is None
            continue
        assert one.matched == Counter(map(by_hand, matched[side]))
        assert sum(one.matched.values()) == summaries[side].matched
    assert spread.days is not None
    assert spread.days.columns == ("invoice_date", "payment_date")
    between = Counter((row["payment_date"] - row["invoice_date"]).days for row in pairs)
    assert (spread.days.pairs, spread.days.unknown) == (between, 0)


LEFT = "invoice_id,reference,amount,invoice_date"
RIGHT = "payment_id,reference,paid_amount,payment_date"


def ran_with(folder: Path, left: list[str], right: list[str], **more: Any) -> Evidence:
    write_csv(folder / "invoices.csv", LEFT, left)
    write_csv(folder / "payments.csv", RIGHT, right)
    books = make_books_of(folder)
    books.recipe |= more
    return ran(books)


def test_ambiguous_rows_and_rows_of_passes_that_select_no_amount_are_told_apart(
    tmp_path: Path,
) -> None:
    pairs = "SELECT {} FROM invoices i JOIN payments p ON {}"
    passes = [
        {
            "name": "by reference",
            "match_sql": pairs.format(
                "i.invoice_id, p.payment_id, i.amount", "i.reference = p.reference"
            ),
        },
        {
            "name": "by amount",
            "cardinality": "1:1",
            "match_sql": pairs.format("i.invoice_id, p.payment_id", "i.amount = p.paid_amount"),
        },
    ]
    left = ["1,R-1,5.00,", "2,X,70.00,", "3,Y,800.00,", "4,Z,-9.50,"]
    right = ["P1,R-1,5.00,", "P2,,70.00,", "P3,,800.00,", "P4,,800.00,"]

    with ran_with(tmp_path, left, right, match_sql=None, passes=passes) as evidence:
        one = spread_of(evidence).sides[Side.LEFT]

    assert one.matched == {sized(0): 1, None: 1}
    assert one.ambiguous == {sized(2): 1}
    assert one.unmatched == {sized(0, negative=True): 1}


def test_days_far_apart_are_counted_together_and_those_that_lack_a_date_apart(
    tmp_path: Path,
) -> None:
    sql = (
        "SELECT i.invoice_id, i.amount, i.invoice_date, p.payment_date FROM invoices i "
        "JOIN payments p ON i.reference = p.reference"
    )
    left = [
        f"{n},R-{n},0.00,{day}"
        for n, day in enumerate(("0001-01-01", "2026-01-05", "9999-12-31", ""))
    ]
    right = [
        f"P{n},R-{n},0.00,{day}"
        for n, day in enumerate(("9999-12-31", "2026-01-02", "0001-01-01", "2026-01-01"))
    ]

    with ran_with(tmp_path, left, right, match_sql=sql) as evidence:
        spread = spread_of(evidence)

    assert spread.days is not None
    assert spread.days.pairs == {MOST_DAYS + 1: 1, -3: 1, -MOST_DAYS - 1: 1}
    assert spread.days.unknown == 1
    assert spread.sides[Side.LEFT].matched == {0: 4}
    assert spread.sides[Side.RIGHT].matched is None  # it selects no amount of theirs


def test_of_neither_amounts_nor_dates_nothing_is_told(tmp_path: Path) -> None:
    write_csv(tmp_path / "invoices.csv", "invoice_id,reference,rate", ["1,R-1,nan", "2,R-2,inf"])
    write_csv(tmp_path / "payments.csv", "payment_id,reference,rate", ["1,R-1,1e300"])
    books = make_books_of(tmp_path)
    books.recipe["match_sql"] = (
        "SELECT i.invoice_id, p.payment_id FROM invoices i "
        "JOIN payments p ON i.reference = p.reference"
    )

    with ran(books) as evidence:
        spread = spread_of(evidence)

    assert (spread.sides, spread.days) == ({}, None)


def test_nothing_of_a_size_is_no_size() -> None:
    assert sizes_of(pa.array([], pa.decimal128(10, 2))) == {}
    assert len(days_between(pa.array([], pa.date32()), pa.array([], pa.date32()))) == 0
    assert np.array_equal(days_between(pa.array([None], pa.date32()), pa.array([date.max])), [])
