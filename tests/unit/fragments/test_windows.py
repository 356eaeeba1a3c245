"""Windows of parts are counted alike by all who know how many rows each part has."""

from __future__ import annotations

from kalla_core.fragments.windows import WINDOW_ROWS, window_count, window_starts


def test_a_part_has_a_window_for_every_million_rows_that_it_begins() -> None:
    counts = [window_count(rows) for rows in (0, 1, WINDOW_ROWS, WINDOW_ROWS + 1)]

    assert counts == [0, 1, 1, 2]


def test_windows_are_counted_through_all_parts() -> None:
    *starts, count = window_starts([3, 0, 2 * WINDOW_ROWS, 7])

    assert starts == [0, 1, 1, 3]
    assert count == 4
