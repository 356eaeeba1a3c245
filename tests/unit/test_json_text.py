"""A document is JSON that every reader takes, whatever numbers are in it."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_core.json_text import json_text

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def by_hand(value: Any) -> Any:
    if isinstance(value, float) and value - value != 0:
        return "nan" if value != value else "inf" if value > 0 else "-inf"
    if isinstance(value, list):
        return [by_hand(one) for one in value]
    return {key: by_hand(one) for key, one in value.items()} if isinstance(value, dict) else value


@given(VALUES, st.booleans())
def test_what_json_has_no_number_for_is_text_and_all_else_as_it_is(
    value: Any, ascii_only: bool
) -> None:
    text = json_text(value, ascii_only=ascii_only)

    assert json.loads(text, parse_constant=pytest.fail) == by_hand(value)
    assert text.isascii() or not ascii_only


def test_what_json_knows_nothing_of_is_text() -> None:
    assert json_text({"a": Decimal("1.50"), "b": (float("nan"), Decimal(2))}) == (
        '{"a": "1.50", "b": ["nan", "2"]}'
    )
    assert json_text({"a": "ü"}, indent=1, ascii_only=False) == '{\n "a": "ü"\n}'
