"""Units, encodings and formats are constant texts, which is told before any row is read."""

from __future__ import annotations

import pytest

from kalla_core.errors import InvalidSql
from kalla_core.matching.sql.constants import check_constants
from kalla_core.matching.sql.lexer import tokenize


def checked(expression: str) -> None:
    sql = f"SELECT {expression} FROM l"
    check_constants(sql, tokenize(sql))


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("date_trunc(NULL, d)", "date_trunc takes a constant text there (line 1, column 8)"),
        ("DATE_TRUNC(l.unit, d)", "as in date_trunc('month', day)"),
        ("datetrunc(CAST(NULL AS text), d)", "datetrunc takes a constant text"),
        ("1 + length(encode(s, NULL))", "encode takes a constant text there (line 1, column 19)"),
        ("decode(s, way)", "as in decode(text, 'hex')"),
        ("digest(s, NULL)", "as in digest(data, 'sha256')"),
        ("to_date(s, NULL)", "A format of to_date is NULL"),
        ("to_timestamp(s, '%Y', null)", "A format of to_timestamp is NULL"),
        ("date_trunc('century', d)", "date_trunc knows no unit 'century' (line 1, column 19)"),
    ],
)
def test_what_is_no_constant_text_is_refused_where_it_stands(expression: str, said: str) -> None:
    with pytest.raises(InvalidSql) as refused:
        checked(expression)

    assert said in refused.value.message


@pytest.mark.parametrize(
    "expression",
    [
        "date_trunc('month', NULL)", "date_trunc('MONTH', d)", "date_trunc(lower('DAY'), d)",
        "encode(s, 'hex')", "to_date(NULL)", "to_date(s)", "to_date(s, '%Y')", "date_trunc",
    ],
)  # fmt: skip
def test_constant_texts_pass(expression: str) -> None:
    checked(expression)
