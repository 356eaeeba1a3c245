import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_core.recipe.column_types import column_type_text, parse_column_type


@pytest.mark.parametrize(
    ("text", "data_type"),
    [
        ("text", pa.string()),
        ("INTEGER", pa.int64()),
        ("bigint", pa.int64()),
        ("double  precision", pa.float64()),
        ("bool", pa.bool_()),
        ("date", pa.date32()),
        ("timestamp", pa.timestamp("us")),
        ("Timestamp With Time Zone", pa.timestamp("us", tz="UTC")),
        ("numeric(5)", pa.decimal128(5, 0)),
        ("Decimal( 12 , 2 )", pa.decimal128(12, 2)),
        ("decimal(39,2)", pa.decimal256(39, 2)),
    ],
)
def test_a_type_text_names_an_arrow_type(text, data_type):
    assert parse_column_type(text) == data_type


@given(st.integers(1, 76).flatmap(lambda p: st.tuples(st.just(p), st.integers(0, p))))
def test_the_text_of_a_decimal_names_it_again(digits):
    text = "decimal({},{})".format(*digits)

    assert column_type_text(parse_column_type(text)) == text


@pytest.mark.parametrize("text", ["text", "integer", "double", "boolean", "date", "timestamptz"])
def test_the_text_of_a_type_names_it_again(text):
    assert column_type_text(parse_column_type(text)) == text


def test_a_type_no_recipe_can_name_has_no_text():
    assert column_type_text(pa.list_(pa.int64())) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("integr", 'did you mean "integer"'),
        ("blob", "there are text, integer"),
        ("", "no type"),
        ("decimal", "needs its digits"),
        ("decimal(0,0)", "1 to 76"),
        ("decimal(77,2)", "1 to 76"),
        ("decimal(2,3)", "after the point"),
        ("decimal(2,-1)", "no type"),
    ],
)
def test_a_type_that_is_none_is_refused_with_a_reason(text, reason):
    with pytest.raises(ValueError, match=re.escape(reason)):
        parse_column_type(text)
