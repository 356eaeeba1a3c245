"""A run that ends for memory names the windows, and what to do about them."""

import pytest

from kalla_core.errors import OutOfMemory
from kalla_core.matching.sql.held import windows_in, with_windows


@pytest.mark.parametrize(
    ("sql", "windows"),
    [
        ("SELECT 1", ()),
        ("SELECT sum(a) FROM l GROUP BY over", ()),
        ("SELECT row_number() OVER (PARTITION BY l.k\n  ORDER BY l.id) n FROM l",
         ("row_number() OVER (PARTITION BY l.k ORDER BY l.id)",)),
        ("SELECT sum(a) FILTER (WHERE b) OVER w, max(c) OVER () FROM l WINDOW w AS (ORDER BY a)",
         ("sum(a) FILTER (WHERE b) OVER w", "max(c) OVER ()")),
        ("SELECT max(c) OVER (), max(c) OVER () FROM l", ("max(c) OVER ()",)),
        ("SELECT ' unclosed", ()),
    ],
)  # fmt: skip
def test_windows_are_found_as_they_are_written(sql: str, windows: tuple[str, ...]) -> None:
    assert windows_in(sql) == windows


def test_an_error_for_memory_names_them_and_keeps_what_it_knew() -> None:
    error = OutOfMemory("The run took 457 MiB.", operator="x")

    told = with_windows(error, "SELECT sum(a) OVER (PARTITION BY k) FROM l")

    assert told.message.startswith("The run took 457 MiB. sum(a) OVER (PARTITION BY k) holds all")
    assert "compute it in a sub-query over one side" in told.message
    assert told.details == {"operator": "x"}
    assert with_windows(error, "SELECT a FROM l") is error
