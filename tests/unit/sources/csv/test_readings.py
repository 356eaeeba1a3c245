"""What is looked for in columns of text."""

import datetime

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalla_core.sources.csv import readings

DAYS = pa.array([datetime.date(2026, 3, 31), datetime.date(2026, 5, 1), datetime.date(1999, 12, 9)])


@pytest.mark.parametrize("form", [*readings._DATES, *(f"{one} %H:%M" for one in readings._DATES)])
def test_what_is_written_in_a_usual_format_is_tried(form: str) -> None:
    written = pa.array([day.as_py().strftime(form) for day in DAYS])

    assert all(readings._may_be_moments(written.slice(at, 1)) for at in range(len(written)))
    assert any(one.kind != "a number is" for one in readings._readings(written))


@pytest.mark.parametrize("text", ["INV-000001", "I1", "12.50", "1,234.56", "", "R-9"])
def test_keys_and_amounts_are_not_tried_as_dates(text: str) -> None:
    assert not readings._may_be_moments(pa.array([text]))


PARTS = (
    *("-", "\u2212", "+", "(", ")", " ", "\u00a0", ".", ",", "'", "%", "1", "250", "000", ".5"),
    *(
        "USD",
        "EUR ",
        "US$",
        "€",
        "kr",
        "Kr.",
        "zł",
        "Kč",
        "Ft",
        "Fr.",
        "lei",
        "\u0440.",
        "\u0440\u0443\u0431.",
    ),
    *("e5", "E-3", "CR", " dr.", "pcs", "KG.", "R-", "INV", "A"),
)


@given(st.lists(st.lists(st.sampled_from(PARTS), min_size=1, max_size=5).map("".join), min_size=40))
@settings(max_examples=8, deadline=None)
def test_what_a_reading_takes_for_a_number_may_be_one(texts: list[str]) -> None:
    glance = pa.array([*texts, "12.50", "$1", "1,5 EUR", "(3)", "7 CR", "1e5", "4 pcs"])

    read = [one.values for one in readings._readings(glance) if one.kind == readings.A_NUMBER]

    perhaps = pc.match_substring_regex(glance, readings._PERHAPS_A_NUMBER)
    for values in read:
        assert pc.all(pc.or_(perhaps, pc.is_null(values))).as_py()


@pytest.mark.parametrize("texts", [["R-1", "R-2", "R-3"], ["P1", "P22"], ["INV-01"]])
def test_keys_are_not_looked_at_in_every_way(texts: list[str]) -> None:
    assert not readings.may_be_read(pa.array(texts))


@pytest.mark.parametrize("texts", [["R-1", "5"], ["1,5", "n/a"], ["31.12.2026", "open"]])
def test_columns_of_which_half_may_be_read_are(texts: list[str]) -> None:
    assert readings.may_be_read(pa.array(texts))
