import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_core.errors import InvalidSql
from kalla_core.matching.sql.lexer import Kind, tokenize


def kinds_and_values(sql: str) -> list[tuple[Kind, str]]:
    return [(token.kind, token.value) for token in tokenize(sql)]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT Id", [(Kind.WORD, "select"), (Kind.WORD, "id")]),
        ('"Id" `b c`', [(Kind.QUOTED, "Id"), (Kind.QUOTED, "b c")]),
        ('"a""b"', [(Kind.QUOTED, 'a"b')]),
        ("'it''s'", [(Kind.STRING, "it's")]),
        ("E'a\\'b'", [(Kind.STRING, "E'a\\'b'")]),
        ("'a\\'", [(Kind.STRING, "a\\")]),
        ("$$a'b$$ $x$c$$d$x$", [(Kind.STRING, "$$a'b$$"), (Kind.STRING, "$x$c$$d$x$")]),
        (
            "1 1.5 .5 5. 1e3 1.5E-3 0x1F",
            [
                (Kind.NUMBER, "1"),
                (Kind.NUMBER, "1.5"),
                (Kind.NUMBER, ".5"),
                (Kind.NUMBER, "5."),
                (Kind.NUMBER, "1e3"),
                (Kind.NUMBER, "1.5E-3"),
                (Kind.NUMBER, "0x1F"),
            ],
        ),
        ("1a", [(Kind.NUMBER, "1"), (Kind.WORD, "a")]),
        ("1e", [(Kind.NUMBER, "1"), (Kind.WORD, "e")]),
        ("a#b a$1 _x", [(Kind.WORD, "a#b"), (Kind.WORD, "a$1"), (Kind.WORD, "_x")]),
        ("É ß", [(Kind.WORD, "É"), (Kind.WORD, "ß")]),
        ("a -- b\n c", [(Kind.WORD, "a"), (Kind.WORD, "c")]),
        ("a /* x /* y */ ' */ b", [(Kind.WORD, "a"), (Kind.WORD, "b")]),
        ("a\u00a0b", [(Kind.WORD, "a"), (Kind.WORD, "b")]),
        ("$1 ?", [(Kind.PARAMETER, "$1"), (Kind.PARAMETER, "?")]),
        (
            "a.b::c",
            [(Kind.WORD, "a"), (Kind.SYMBOL, "."), (Kind.WORD, "b")]
            + [(Kind.SYMBOL, ":")] * 2
            + [(Kind.WORD, "c")],
        ),
    ],
)
def test_text_is_cut_as_datafusion_cuts_it(sql: str, expected: list[tuple[Kind, str]]) -> None:
    assert kinds_and_values(sql) == expected


@pytest.mark.parametrize(
    ("sql", "column"),
    [
        ("select 'a", 8),
        ('select "a', 8),
        ("select `a", 8),
        ("select /* a /* b */", 8),
        ("select N'a'", 8),
        ("select r'a\\'", 8),
        ("select q'[a]'", 8),
        ("select $ 1", 8),
    ],
)
def test_what_has_no_end_or_belongs_to_another_dialect_is_refused(sql: str, column: int) -> None:
    with pytest.raises(InvalidSql) as caught:
        tokenize(sql)

    assert (caught.value.line, caught.value.column) == (1, column)


@given(
    st.lists(st.sampled_from(["a", "Ab_1", '"q q"', "'s''s'", "1.5e3", "(", ",", "<=", "[", ";"]))
)
def test_tokens_lie_where_they_were_written(pieces: list[str]) -> None:
    sql = " /* ( ' */ ".join(pieces)

    tokens = tokenize(sql)

    ends = [token.end for token in tokens]
    starts = [token.start for token in tokens]
    assert "".join(sql[token.start : token.end] for token in tokens) == "".join(pieces)
    assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))


@given(st.text(alphabet="a1'\"`$.e-/*+ \n\\()?E", max_size=30))
def test_any_text_is_cut_or_refused(sql: str) -> None:
    try:
        tokens = tokenize(sql)
    except InvalidSql:
        tokens = ()

    assert all(sql[token.start : token.end].strip() for token in tokens)
