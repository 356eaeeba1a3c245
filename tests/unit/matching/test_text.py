from hypothesis import given
from hypothesis import strategies as st

from kalla_core.matching.sql.text import (
    Splice,
    line_column,
    offset_at,
    original_offset,
    spliced,
    where,
)


@given(st.text(alphabet="ab\n"), st.integers(min_value=0, max_value=20))
def test_a_place_is_found_again_by_its_line_and_column(sql: str, offset: int) -> None:
    offset = min(offset, len(sql))

    line, column = line_column(sql, offset)

    assert offset_at(sql, line, column) == offset


def test_lines_and_columns_count_from_one() -> None:
    sql = "select\n  x"

    places = [line_column(sql, 0), line_column(sql, 6), line_column(sql, 9)]

    assert places == [(1, 1), (1, 7), (2, 3)]


def test_a_message_names_the_place_before_the_remedy() -> None:
    told = where("a\nb", 2, "b is wrong", "; write c.")

    assert told == {"message": "b is wrong (line 2, column 1); write c.", "line": 2, "column": 1}


def test_what_is_not_spliced_stays_as_it_is_and_is_found_where_it_was() -> None:
    sql = "select now(), x from t"
    splices = [Splice(7, 12, "TIMESTAMP '2026'"), Splice(21, 22, "tt")]

    text = spliced(sql, splices)

    assert text == "select TIMESTAMP '2026', x from tt"
    assert sql[original_offset(splices, text.index("x"))] == "x"
    assert sql[original_offset(splices, text.index("from"))] == "f"
    assert original_offset(splices, text.index("2026")) == 7
