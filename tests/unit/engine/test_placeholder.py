"""What stands for no value in a key."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from kalla_core.engine.keys.placeholder import placeholders


def held(*columns: list[Any]) -> list[bool]:
    return placeholders([pa.chunked_array([pa.array(column)]) for column in columns]).tolist()


def test_words_and_signs_that_people_write_for_nothing_are_placeholders() -> None:
    words = [" n/a ", "N/A", "NONE", "null", "-", "--", "", "   ", "?", "XXX", "Unknown", "tbd"]

    assert held(words) == [True] * len(words)


@pytest.mark.parametrize(
    "whole",
    [
        ["0", "0000", "99999", "-1"],
        [0, -1, 99999],
        [Decimal("0")],
        [date(1900, 1, 1), date(9999, 12, 31)],
        [datetime(1970, 1, 1)],
    ],
)
def test_digits_and_first_days_are_placeholders_where_they_are_the_whole_key(
    whole: list[Any],
) -> None:
    beside = ["A-1"] * len(whole)

    assert held(whole) == [True] * len(whole)
    assert held(whole, beside) == [False] * len(whole)


def test_null_is_a_placeholder_in_any_column() -> None:
    assert held([1, 2], [None, "A"]) == [True, False]


def test_a_word_in_one_column_makes_the_whole_key_a_placeholder() -> None:
    assert held(["A-1", "A-1"], ["N/A", "B"]) == [True, False]


def test_what_names_something_is_no_placeholder() -> None:
    named = ["INV-0001", "A", "7", "10", "2026-01-01", "Nataly", "N/A-17", "nonesuch", "00010"]

    assert held(named) == [False] * len(named)
    assert held([7, 10, 9]) == [False] * 3
    assert held([True, False]) == [False] * 2
    assert held([date(2026, 1, 1)]) == [False]
