"""A text is found in any column that can hold it, however the column is kept."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_app.evidence.search import holding

ROWS = 4
TABLE = pa.table(
    {
        "name": pa.array(["Müller", "MEYER", None, "o'neil 7"], pa.string()),
        "kind": pa.array(["fee", "fee", "Rent", None], pa.string()).dictionary_encode(),
        "count": pa.array([12, 12, 12, 345], pa.int64()),
        "amount": pa.array([Decimal("1.50"), None, Decimal("-0.25"), Decimal(7)]),
        "day": pa.array([date(2026, 5, 1)] * 3 + [None], pa.date32()),
        "open": pa.array([True, False, None, True]),
        "tags": pa.array([["fee"]] * ROWS, pa.list_(pa.string())),
    }
)


@pytest.mark.parametrize(
    ("q", "rows"),
    [
        ("müLL", [0]),
        ("meyer", [1]),
        ("FEE", [0, 1]),
        ("rent", [2]),
        ("34", [3]),
        ("12", [0, 1, 2]),
        ("-0.2", [2]),
        ("05-01", [0, 1, 2]),
        ("true", [0, 3]),
        ("'", [3]),
        ("nobody", []),
    ],
)
def test_a_text_is_found_whatever_its_case_and_its_column(q: str, rows: list[int]) -> None:
    found = holding(TABLE, q)

    assert [place for place, holds in enumerate(found.to_pylist()) if holds] == rows


WORDS = st.lists(st.none() | st.text("aB7ü-.", max_size=6), min_size=1, max_size=12)


@given(WORDS, st.text("Ab7Ü-.", min_size=1, max_size=3))
def test_texts_and_their_dictionaries_are_found_as_python_finds_them(
    words: list[str | None], q: str
) -> None:
    column = pa.array(words, pa.string())
    expected = [word is not None and q.lower() in word.lower() for word in words]

    for one in (column, column.dictionary_encode()):
        assert holding(pa.table({"word": one}), q).to_pylist() == expected
