import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_core.errors import InvalidType
from kalla_core.recipe.column_types import parse_type, type_word


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
    assert parse_type(text) == data_type


@given(st.integers(1, 76).flatmap(lambda p: st.tuples(st.just(p), st.integers(0, p))))
def test_the_text_of_a_decimal_names_it_again(digits):
    text = "decimal({},{})".format(*digits)

    assert type_word(parse_type(text)) == text


@pytest.mark.parametrize("text", ["text", "integer", "double", "boolean", "date", "timestamptz"])
def test_the_text_of_a_type_names_it_again(text):
    assert type_word(parse_type(text)) == text


def test_a_type_no_recipe_can_name_has_the_name_arrow_gives_it():
    assert type_word(pa.time64("us")) == "time64[us]"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("integr", "Did you mean `integer`"),
        ("blob", "`text`"),
        ("", "not a type"),
        ("decimal", "how many digits"),
        ("decimal(0,0)", "1 to 76"),
        ("decimal(77,2)", "1 to 76"),
        ("decimal(2,3)", "after the point"),
        ("decimal(2,-1)", "not a type"),
    ],
)
def test_a_type_that_is_none_is_refused_with_a_reason(text, reason):
    with pytest.raises(InvalidType, match=re.escape(reason)):
        parse_type(text)
