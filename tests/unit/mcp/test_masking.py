"""What a program sees that may not see values."""

from datetime import date
from decimal import Decimal

import pytest

from kalla_core.errors import DuplicateKeys, UnknownColumn
from kalla_core.mcp.masking import shape, without_values
from kalla_core.mcp.showing import Showing


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("INV-0042", "AAA-9999"),
        (Decimal("12.50"), "99.99"),
        (date(2026, 1, 31), "9999-99-99"),
        ("Zoë Ruß ٣", "Aaa Aaa 9"),
        (None, None),
        (True, True),
        ({"a": ["x1"]}, {"a": ["a9"]}),
        ("x" * 100, "a" * 40 + "…"),
        ("a\u202eb\n", "a?a?"),
    ],
)
def test_a_value_becomes_its_shape(value: object, shown: object) -> None:
    assert shape(value) == shown


def test_a_sentence_keeps_names_of_columns_and_loses_values() -> None:
    told = without_values("`amount_2` is 'Bob 7' in row 12, not \"x\", of 1,234.50.")

    assert told == "`amount_2` is 'Aaa 9' in row 99, not 'a', of 9,999.99."


def test_errors_of_data_are_masked_and_errors_of_requests_are_not() -> None:
    masked = Showing(values=False)

    assert masked.error(DuplicateKeys("The key 4711 is there twice.")) == (
        "The key 9999 is there twice."
    )
    assert masked.error(UnknownColumn("There is no column `x9`.")) == "There is no column `x9`."


def test_no_error_shows_a_password() -> None:
    shown = Showing(values=True)

    told = shown.error(UnknownColumn("postgres://bob:hunter2@db/x has no such table"))

    assert "hunter2" not in told


def test_what_became_of_a_row_is_told_without_its_values() -> None:
    open_row = {
        "rejection_reason": "predicate_failed", "reason_detail": "paid 70.00", "row": {"id": 4711},
        "attempted_rules": ["ref"], "smallest_change": "70.00", "closest_candidate": None,
        "failed_conditions": [
            {"condition": "l.amount = r.paid", "values": "75.00 and 70.00", "differ_by": "5.00",
             "unit": None}
        ],
    }  # fmt: skip
    fate = {
        "side": "left", "source": "books", "key": "4711", "status": "unmatched", "matches": [],
        "told": ["Unmatched: 75.00 and 70.00 differ."], "unmatched": [open_row],
    }  # fmt: skip

    shown = Showing(values=False).fate(fate)

    assert "4711" not in str(shown)
    assert "70.00" not in str(shown)
    assert shown["unmatched"][0]["row"] == {"id": "9999"}
    assert shown["unmatched"][0]["failed_conditions"][0]["condition"] == "l.amount = r.paid"
    assert shown["told"] == [
        "Unmatched: its key is there, but a condition beside the key does not hold."
    ]
