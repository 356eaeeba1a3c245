"""SIMILAR TO takes the whole text, ESCAPE any character, as in PostgreSQL."""

import pyarrow as pa
import pytest

from kalla_core.errors import InvalidSql
from kalla_core.matching.plans.prepare import prepare
from tests.support.evaluated import value
from tests.support.queries import query


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("'abc'", "abc", True),
        ("'abc'", "xabc", False),
        ("'%b%'", "a\nbc", True),
        ("'a_c'", "a\nc", True),
        ("'(a|b)+'", "abab", True),
        ("'a|bc'", "abc", False),
        ("'[0-9]{2}'", "12", True),
        ("'[0-9]{2}'", "123", False),
        ("'a.c'", "abc", False),
        ("'^a$'", "a", False),
        ("'^a$'", "^a$", True),
        (r"'a\%'", "a%", True),
        (r"'a\%'", "ab", False),
        ("'a#_' escape '#'", "a_", True),
        (r"'a\%' escape ''", "a\\b", True),
        ("'[[:alpha:]]+'", "ab", True),
        ("'[a&&b]'", "&", True),
        ("'it''s'", "it's", True),
    ],
)
def test_similar_to(pattern: str, text: str, expected: bool) -> None:
    column = pa.array([text])

    assert value(f"t similar to {pattern}", t=column) is expected
    assert value(f"t not similar to {pattern}", t=column) is not expected


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("'a!_c' escape '!'", "a_c", True),
        ("'a!_c' escape '!'", "abc", False),
        ("'a!!%' escape '!'", "a!b", True),
        (r"'a\%' escape '!'", r"a\b", True),
        (r"'a\_' escape ''", r"a\b", True),
        (r"'a\_' escape '\'", "a_", True),
        ("'it''s!%' escape '!'", "it's%", True),
    ],
)
def test_like_with_escape(pattern: str, text: str, expected: bool) -> None:
    column = pa.array([text])

    assert value(f"t like {pattern}", t=column) is expected
    assert value(f"t not like {pattern} and t is not null", t=column) is not expected
    assert value(f"upper(t) ilike {pattern}", t=column) is expected


def test_operators_around_a_pattern_group_as_before() -> None:
    column = pa.array(["ab"])

    assert value("not t || 'c' similar to 'abc' or false", t=column) is False
    assert value("t similar to 'ab' = true", t=column) is True
    assert value("case when t like 'a!b' escape '!' and id = 1 then 1 end", t=column) == 1


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("ref similar to upper(ref)", "text in quotes"),
        ("ref similar to 'a' || '%'", "text in quotes"),
        ("ref similar to 'a\\'", "ends in its escape"),
        ("ref like 'a!' escape '!'", "ends in its escape"),
        ("ref like 'a' escape 'ab'", "one character"),
        ("ref like 'a' escape ref", "one character"),
    ],
)
def test_a_pattern_that_cannot_be_written_otherwise_is_refused(condition: str, words: str) -> None:
    with pytest.raises(InvalidSql, match=words) as caught:
        prepare(query(f"select id from left_src where {condition}"))

    assert caught.value.line == 1


def test_columns_and_aliases_of_these_names_are_no_operators() -> None:
    inner = 'select id, ref as "like", ref as "not" from left_src'
    sql = f'select l."like", l."not", id as similar from ({inner}) l'

    assert prepare(query(sql)).text == sql
