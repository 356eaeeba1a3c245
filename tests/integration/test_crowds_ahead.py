"""A key that means nothing is told before its rows are joined, also if the run is stopped then."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from kalla_core.engine.joins.totals import Way
from kalla_core.engine.progress import Progress, Stage
from kalla_core.errors import TooManyPairs
from kalla_core.recipe.model import Options
from kalla_core.recipe.write import to_document
from tests.integration.test_crowds import BY_KEY, PLAIN, WAYS, given
from tests.support.cluster_runs import Told, run_on
from tests.support.command import kalla
from tests.support.runs import AMPLE
from tests.support.small_executor import small_cluster
from tests.support.tables import Reconciliation

AHEAD = (
    "The key k = 'N/A' looks like a placeholder: at least 120 rows of l and 110 rows of r have it, "
    "which makes 13,200 pairs. Keep it out of the key, for example with nullif or a filter."
)


def ahead(books: Reconciliation) -> tuple[str, ...]:
    """Run, and return what was told before the first rows were joined."""
    told: list[Progress] = []
    books.run(AMPLE, told.append)
    return before_joins(told)


def before_joins(told: list[Progress]) -> tuple[str, ...]:
    first = next(report for report in told if report.stage is Stage.MATCHING)
    assert (first.rows_done, first.matched_rows) == (0, 0)
    return first.warnings


@pytest.mark.parametrize("way", WAYS)
def test_a_placeholder_is_told_before_the_join_whatever_the_way(way: Way, tmp_path: Path) -> None:
    sql, share, options = WAYS[way]
    told: list[Progress] = []

    given(tmp_path, sql, options).run(share, told.append)

    assert before_joins(told) == (AHEAD,)


async def test_a_cluster_tells_a_placeholder_while_its_rows_are_joined(tmp_path: Path) -> None:
    books, told = given(tmp_path, BY_KEY, Options(partitions=3, buckets=4)), Told()

    async with small_cluster(tmp_path / "spools") as (dispatcher, _):
        metadata = await run_on(dispatcher, books.recipe(), tmp_path / "out", told)

    assert next(one.warnings for one in told.progress if one.warnings) == (AHEAD,)
    assert sum("placeholder" in line for line in metadata.warnings) == 1


def test_a_run_that_is_stopped_for_its_pairs_has_told_why_before(tmp_path: Path) -> None:
    told: list[Progress] = []
    books = given(tmp_path, rows=(1_500, 1_400))

    with pytest.raises(TooManyPairs, match="N/A"):
        books.run(AMPLE, told.append, max_pairs_per_row=1)

    assert "1,500 rows of l and 1,400 rows of r have it" in before_joins(told)[0]


def test_a_placeholder_is_found_among_rows_of_which_not_all_are_looked_at(tmp_path: Path) -> None:
    books = Reconciliation(tmp_path, BY_KEY)
    for name in ("left", "right"):
        keys = [f"{name}{n}" if n % 40 else "n/a" for n in range(40_000)]
        books.put(name, pa.table({"id": list(range(len(keys))), "k": keys}))

    told = ahead(books)

    assert len(told) == 1
    assert "k = 'n/a' looks like a placeholder: at least 1,000 rows of l and 1,000" in told[0]


def test_another_key_is_told_ahead_if_its_pairs_are_more_than_all_rows(tmp_path: Path) -> None:
    many = ahead(given(tmp_path, crowd="SAMMLER"))
    few = ahead(given(tmp_path, crowd="SAMMLER", rows=(12, 11)))

    assert many == (
        "The key k = 'SAMMLER' hardly tells rows apart: at least 120 rows of l and 110 rows of r "
        "have it, which makes 13,200 pairs.",
    )
    assert few == ()


NOTHING_AHEAD = {
    "a key of one row": lambda folder: given(folder, rows=(1, 1)),
    "few rows": lambda folder: given(folder, rows=(11, 9)),
    "on one side only": lambda folder: given(folder, rows=(120, 0)),
    "null, which equals nothing": lambda folder: given(folder, crowd=None),
    "told apart by more of the key": lambda folder: given(folder, f"{BY_KEY} AND l.id = r.id"),
    "a kind that other conditions tell apart": lambda folder: given(
        folder, f"{BY_KEY} AND l.id - r.id BETWEEN -1 AND 1", crowd="EUR"
    ),
    "group totals": lambda folder: given(
        folder,
        "SELECT x.k, x.n FROM (SELECT k, count(*) / 50 AS n FROM l GROUP BY k) x "
        "JOIN (SELECT k, count(*) / 50 AS n FROM r GROUP BY k) y ON x.k = y.k AND x.n = y.n",
    ),
    "a key of a type that is not counted": lambda folder: given(
        folder, "SELECT l.id, r.id AS other FROM l JOIN r ON make_array(l.k) = make_array(r.k)"
    ),
}


@pytest.mark.parametrize("case", NOTHING_AHEAD)
def test_keys_that_make_no_crowd_are_not_told_ahead(case: str, tmp_path: Path) -> None:
    books = NOTHING_AHEAD[case](tmp_path)

    told = ahead(books)

    assert told == ()


def test_null_that_is_the_same_as_null_is_told_ahead(tmp_path: Path) -> None:
    sql = "SELECT l.id, r.id AS other FROM l JOIN r ON same(l.k, r.k)"

    told = ahead(given(tmp_path, sql, crowd=None))

    assert told[0].startswith("The key k = null looks like a placeholder: at least 120 rows")


def test_a_value_that_fails_in_a_key_is_told_by_the_join_and_not_by_the_count(
    tmp_path: Path,
) -> None:
    sql = "SELECT l.id, r.id AS other FROM l JOIN r ON 10 / l.k = r.k WHERE l.k > 0"
    books = Reconciliation(tmp_path, sql)
    for name in ("left", "right"):
        books.put(name, pa.table({"id": list(range(9)), "k": list(range(9))}))

    ran = books.run()

    assert ran.matched.num_rows > 0


def test_the_command_line_tells_a_placeholder_while_it_runs(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps(to_document(given(tmp_path, options=PLAIN).recipe())))

    ran = kalla("run", recipe, "--output", tmp_path / "out", cwd=tmp_path)

    at = next(place for place, one in enumerate(ran.lines) if one["event"] == "warning")
    assert ran.lines[at]["message"] == AHEAD
    assert {one.get("stage") for one in ran.lines[:at]} <= {None, "staging"}
    assert ran.out.count("looks like a placeholder") == 1
