"""What is looked for in columns of text."""

import datetime

import pyarrow as pa
import pytest

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
