"""Which row, pair or group is named where the match SQL fails on several, whatever the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kalla_core.engine.budget import Budget
from kalla_core.errors import InvalidSql
from kalla_core.recipe.model import Options, Recipe, SourceSpec, SourceType
from tests.support.runs import AMPLE, TIGHT, run_in_process
from tests.support.spread import Layout, spread

ROWS = 400
ODD = (311, 97, 204)
JOINED = "SELECT l.id, r.id AS rid FROM l JOIN r ON l.ref = r.ref"
LARGEST = 2**63 - 1


def _local(share: Budget, parts: int, buckets: int | None) -> Callable[[Recipe, Path], object]:
    def run(recipe: Recipe, folder: Path) -> object:
        options = Options(partitions=parts, buckets=buckets)
        return run_in_process(replace(recipe, options=options), folder / "out", share)

    return run


def _cluster(layout: Layout) -> Callable[[Recipe, Path], object]:
    return lambda recipe, folder: spread(recipe, folder, layout)


WAYS = {
    "whole": _local(AMPLE, 1, None),
    "parts": _local(AMPLE, 5, None),
    "buckets": _local(TIGHT, 3, 4),
    "from disk": _local(replace(TIGHT, join_bytes=1), 2, 1),
    "cluster": _cluster(Layout()),
    "other cluster": _cluster(Layout(parts=2, buckets=3, joins=2)),
}


def given(folder: Path, sql: str, odd: dict[str, object], sides: str = "lr") -> Recipe:
    """Rows that pair up one to one, of which three have odd values; 97 is the smallest of them."""
    sources = []
    for name in "lr":
        lines = ["id,ref,grp,n,t"]
        for row in range(ROWS):
            values: dict[str, object] = {"grp": f"g{row % 40:02d}", "n": 1, "t": "5"}
            if row in ODD and name in sides:
                values |= odd
            lines.append(f"{row},R{row}," + ",".join(str(values[key]) for key in values))
        path = folder / f"{name}.csv"
        path.write_text("\n".join(lines) + "\n")
        types = {"n": "integer", "t": "text"}
        sources.append(SourceSpec(name, SourceType.FILE, str(path), ("id",), types=types))
    return Recipe("odd", "Odd", sql, left=sources[0], right=sources[1])


def failure(recipe: Recipe, folder: Path, way: str = "whole") -> InvalidSql:
    with pytest.raises(InvalidSql) as caught:
        WAYS[way](recipe, folder)
    return caught.value


@pytest.mark.parametrize("way", WAYS)
def test_of_several_rows_that_fail_the_one_of_the_smallest_key_is_named_whatever_the_way(
    tmp_path: Path, way: str
) -> None:
    recipe = given(tmp_path, f"{JOINED} AND CAST(r.t AS INT) > 0", {"t": "x"}, "r")

    error = failure(recipe, tmp_path, way)

    assert "fails in the right row with id = 97 of r, where t is 'x'" in str(error)


@pytest.mark.parametrize("way", WAYS)
def test_of_several_keys_that_fail_the_one_of_the_smallest_row_is_named_whatever_the_way(
    tmp_path: Path, way: str
) -> None:
    sql = "SELECT l.id, r.id AS rid FROM l JOIN r ON CAST(l.t AS INT) = r.n AND l.ref = r.ref"

    error = failure(given(tmp_path, sql, {"t": "x"}, "l"), tmp_path, way)

    assert "fails in the left row with id = 97 of l, where t is 'x'" in str(error)


@pytest.mark.parametrize("way", WAYS)
def test_a_value_that_fails_for_a_pair_names_the_pair_whatever_the_way(
    tmp_path: Path, way: str
) -> None:
    recipe = given(tmp_path, f"{JOINED} AND l.n / r.n > 0", {"n": 0}, "r")

    error = failure(recipe, tmp_path, way)

    assert (
        "l.n / r.n fails for the left row with id = 97 of l and the right row with id = 97 of r, "
        "where l.n is 1 and r.n is 0 (Divide by zero error). Write l.n / nullif(r.n, 0)"
    ) in str(error)
    assert error.details["keys"] == {"left": {"id": "97"}, "right": {"id": "97"}}
    assert error.details["values"] == {"left": {"n": "1"}, "right": {"n": "0"}}


@pytest.mark.parametrize(
    ("sql", "odd", "expression"),
    [
        (f"{JOINED} WHERE CAST(concat(l.t, r.t) AS INT) > 0", {"t": "x"},
         "CAST(concat(l.t, r.t) AS INT)"),
        (f"{JOINED} AND to_date(concat('202', l.t, '-0', r.t, '-01'), '%Y-%m-%d') IS NULL",
         {"t": "x"}, "to_date("),
        ("SELECT l.id, r.id AS rid, l.n / r.n AS q FROM l JOIN r ON l.ref = r.ref", {"n": 0},
         "l.n / r.n"),
        ("SELECT l.id, r.id AS rid, row_number() OVER (PARTITION BY l.grp ORDER BY l.n / r.n, l.id)"
         " AS q FROM l JOIN r ON l.ref = r.ref", {"n": 0}, "l.n / r.n"),
        (f"{JOINED} WHERE l.n * r.n > l.n", {"n": LARGEST}, "l.n * r.n"),
        (f"{JOINED} WHERE CASE WHEN l.id > 3 THEN l.n / r.n > 0 END", {"n": 0}, "l.n / r.n"),
        ("SELECT l.id, r.id AS rid FROM l JOIN r ON l.ref = r.ref UNION ALL "
         "SELECT l.id, r.id AS rid FROM l JOIN r ON l.ref = r.ref WHERE l.n / r.n > 5", {"n": 0},
         "l.n / r.n"),
    ],
)  # fmt: skip
def test_a_pair_is_named_wherever_the_expression_stands(
    tmp_path: Path, sql: str, odd: dict[str, object], expression: str
) -> None:
    error = failure(given(tmp_path, sql, odd), tmp_path)

    assert f"failed on a value: {expression}" in str(error)
    assert "the left row with id = 97 of l and the right row with id = 97 of r" in str(error)


def test_a_pair_is_named_without_any_key_that_says_which_rows_meet(tmp_path: Path) -> None:
    sql = "SELECT l.id, r.id AS rid FROM l JOIN r ON l.n / r.n > 5"

    error = failure(given(tmp_path, sql, {"n": 0}, "r"), tmp_path)

    assert "the left row with id = 0 of l and the right row with id = 97 of r" in str(error)


def test_neither_a_row_nor_a_pair_that_the_match_sql_leaves_out_is_named(tmp_path: Path) -> None:
    row = given(tmp_path, f"{JOINED} AND r.id > 97 AND CAST(r.t AS INT) > 0", {"t": "x"}, "r")
    pair = given(tmp_path, f"{JOINED} AND r.id > 97 AND l.n / r.n > 0", {"t": "x", "n": 0}, "r")

    errors = [failure(recipe, tmp_path) for recipe in (row, pair)]

    assert "right row with id = 204 of r" in str(errors[0])
    assert "right row with id = 204 of r" in str(errors[1])


def test_what_a_case_keeps_from_being_computed_is_not_blamed(tmp_path: Path) -> None:
    careful = "CASE WHEN r.t <> 'x' THEN CAST(r.t AS INT) END > 0"
    sql = f"{JOINED} AND {careful} AND l.n / r.n > 0"

    error = failure(given(tmp_path, sql, {"t": "x", "n": 0}, "r"), tmp_path)

    assert "l.n / r.n fails for the left row with id = 97" in str(error)


GROUPED = {
    "SELECT l.id, s.id AS rid FROM l JOIN (SELECT grp, min(id) AS id, sum(n) AS s FROM r GROUP BY "
    "grp) s ON l.grp = s.grp AND s.s > l.n": ("sum(r.n)", "in the group with r.grp = 'g04'"),
    "SELECT l.id, r.id AS rid, sum(l.n) OVER (PARTITION BY l.grp) AS s FROM l JOIN r ON "
    "l.ref = r.ref": ("sum(l.n) OVER (...)", "in the group with l.grp = 'g04'"),
    f"{JOINED} WHERE l.n < (SELECT sum(n) FROM r)": ("sum(r.n)", "over all rows"),
}


@pytest.mark.parametrize("sql", GROUPED)
def test_a_sum_beyond_all_integers_names_itself_as_written_and_its_group(
    tmp_path: Path, sql: str
) -> None:
    said, group = GROUPED[sql]

    error = failure(given(tmp_path, sql, {"n": LARGEST - 3}), tmp_path)

    assert f"failed on a value: {said} fails {group}" in str(error)
    assert "DECIMAL(38, 0)" in str(error)
    assert "DECIMAL(19" not in str(error)


def test_a_failure_that_nothing_shows_tells_the_expressions_as_they_are_written(
    tmp_path: Path,
) -> None:
    sql = (
        "SELECT l.id, r.id AS rid FROM l JOIN r ON l.ref = r.ref JOIN l AS o ON o.grp = l.grp "
        "WHERE o.n * l.n > r.n"
    )

    error = failure(given(tmp_path, sql, {"n": LARGEST}), tmp_path)

    assert "failed on a value: o.n * l.n fails for some rows" in str(error)
