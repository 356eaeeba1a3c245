"""A key that means nothing is told, whichever way its rows came to be joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from kalla_core.engine.budget import Budget
from kalla_core.engine.joins.totals import Way
from kalla_core.recipe.model import Options
from tests.support.cluster_runs import run_on
from tests.support.runs import AMPLE
from tests.support.small_executor import small_cluster
from tests.support.tables import Reconciliation

BY_KEY = "SELECT l.id, r.id AS other FROM l JOIN r ON l.k = r.k"
IN_ONE_PIECE = (
    "SELECT id, other FROM (SELECT l.id, r.id AS other, row_number() OVER (ORDER BY l.id, r.id) "
    "AS n FROM l JOIN r ON l.k = r.k) t WHERE n > 0"
)
FULL = "SELECT l.id, r.id AS other FROM l FULL JOIN r ON l.k = r.k"
TOLD = "The key k = 'N/A' looks like a placeholder: 120 rows of l and 110 rows of r have it"
PLAIN = Options()
HARDLY = "hardly tells rows apart"
NOTHING, SMALL = replace(AMPLE, whole_bytes=1, join_bytes=0), replace(AMPLE, whole_bytes=9_000)
WAYS: dict[Way, tuple[str, Budget, Options]] = {
    Way.WHOLE: (BY_KEY, AMPLE, PLAIN),
    Way.SIDE_BY_SIDE: (BY_KEY, AMPLE, Options(partitions=3, buckets=7)),
    Way.ALONE: (BY_KEY, replace(SMALL, join_bytes=2_500), Options(partitions=2, buckets=1)),
    Way.AGAINST_WHOLE: (
        BY_KEY,
        replace(SMALL, whole_bytes=1, join_bytes=3_700),
        Options(partitions=2, buckets=2),
    ),
    Way.FROM_DISK: (FULL, replace(NOTHING, join_bytes=1), Options(partitions=2, buckets=1)),
}


def given(
    folder: Path,
    sql: str = BY_KEY,
    options: Options = PLAIN,
    crowd: str | None = "N/A",
    rows: tuple[int, int] = (120, 110),
) -> Reconciliation:
    """Rows of which one in three or so has a key that many have, and each other key is one's."""
    books = Reconciliation(folder, sql, options)
    for name, many in zip(("left", "right"), rows, strict=True):
        keys = [*[crowd] * many, *(f"{n}" for n in range(200, 400))]
        books.put(name, pa.table({"id": list(range(len(keys))), "k": keys}))
    return books


def told(warnings: Sequence[str]) -> list[str]:
    return [line for line in warnings if "placeholder" in line or HARDLY in line]


@pytest.mark.parametrize("way", WAYS)
def test_a_placeholder_is_told_with_its_rows_whatever_the_way(way: Way, tmp_path: Path) -> None:
    sql, share, options = WAYS[way]

    ran = given(tmp_path, sql, options).run(share)

    assert way in ran.joins
    assert [line.partition(" and are")[0] for line in told(ran.outcome.warnings)] == [TOLD]


@pytest.mark.parametrize("sql", [BY_KEY, IN_ONE_PIECE])
async def test_a_placeholder_is_told_by_a_cluster(tmp_path: Path, sql: str) -> None:
    books = given(tmp_path, sql, Options(partitions=3, buckets=4))

    async with small_cluster(tmp_path / "spools") as (dispatcher, _):
        metadata = await run_on(dispatcher, books.recipe(), tmp_path / "out")

    here = books.run().outcome.warnings
    assert told(metadata.warnings) == told(here)
    assert told(here)


def test_a_key_that_is_no_word_is_told_if_it_makes_a_good_part_of_all_matches(
    tmp_path: Path,
) -> None:
    ran = given(tmp_path, crowd="SAMMLER").run()

    assert told(ran.outcome.warnings) == [
        "The key k = 'SAMMLER' hardly tells rows apart: 120 rows of l and 110 rows of r have it "
        "and are in two or more matches, a good part of all matches."
    ]


def test_a_placeholder_that_few_rows_have_is_not_told(tmp_path: Path) -> None:
    few = given(tmp_path, rows=(11, 9)).run()
    more = given(tmp_path, rows=(10, 10)).run()

    assert told(few.outcome.warnings) == []
    assert len(told(more.outcome.warnings)) == 1


def test_a_placeholder_whose_rows_are_told_apart_by_more_of_the_key_is_not_told(
    tmp_path: Path,
) -> None:
    ran = given(tmp_path, f"{BY_KEY} AND l.id = r.id").run()

    assert told(ran.outcome.warnings) == []


def test_a_kind_of_row_whose_rows_other_conditions_tell_apart_is_not_told(tmp_path: Path) -> None:
    near = f"{BY_KEY} AND l.id - r.id BETWEEN -1 AND 1"

    ran = given(tmp_path, near, crowd="EUR").run()

    assert told(ran.outcome.warnings) == []


def test_null_that_is_the_same_as_null_is_a_placeholder(tmp_path: Path) -> None:
    sql = "SELECT l.id, r.id AS other FROM l JOIN r ON same(l.k, r.k)"

    ran = given(tmp_path, sql, crowd=None).run()

    assert told(ran.outcome.warnings)[0].startswith(
        "The key k = null looks like a placeholder: 120 rows"
    )


def test_the_columns_of_a_key_are_all_named(tmp_path: Path) -> None:
    sql = "SELECT l.id, r.id AS other FROM l JOIN r ON l.k = r.k AND l.id / 1000 = r.id / 1000"

    ran = given(tmp_path, sql).run()

    assert told(ran.outcome.warnings)[0].startswith("The key k = 'N/A', id / 1000 = 0 looks like")


def test_group_totals_are_no_crowd(tmp_path: Path) -> None:
    sql = (
        "SELECT x.k, x.n FROM (SELECT k, count(*) / 50 AS n FROM l GROUP BY k) x "
        "JOIN (SELECT k, count(*) / 50 AS n FROM r GROUP BY k) y ON x.k = y.k AND x.n = y.n"
    )

    ran = given(tmp_path, sql, crowd="4711").run()

    assert told(ran.outcome.warnings) == []
