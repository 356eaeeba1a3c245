"""Groups that match groups, told by their members: the same rows however they are joined.

What is right is told by DuckDB, which lists the rows that each result row was made of, and by the
definition in plain Python.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from kalla_core.engine.budget import Budget
from kalla_core.engine.joins.totals import Way
from kalla_core.engine.keys import pair_bound
from kalla_core.errors import TooManyPairs
from kalla_core.evidence.names import MATCHED
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.model import GroupForm, Options
from tests.support.cluster_runs import evidence_of, run_on
from tests.support.grouped import groups_of
from tests.support.runs import AMPLE
from tests.support.small_executor import small_cluster
from tests.support.tables import Ran, Reconciliation, run_recipe
from tests.support.ways import budget

DAYS = 30
TOTALS = "(SELECT d, sum(a) AS s{} FROM {} GROUP BY d)"
X, Y = TOTALS.format("", "l"), TOTALS.format("", "r")
IDS = ", list(id) AS ids"
OF_X, OF_Y = TOTALS.format(IDS, "l"), TOTALS.format(IDS, "r")
BOTH = "[[x.ids, y.ids]]"

# Match SQL, and DuckDB's account of it: the first column of each result row, and the sets of left
# and of right rows that went into it, all with all.
SHAPES: Mapping[str, tuple[str, str]] = {
    "totals of both sides": (
        f"SELECT x.d FROM {X} x JOIN {Y} y ON x.d = y.d AND x.s = y.s",
        f"SELECT x.d, {BOTH} FROM {OF_X} x JOIN {OF_Y} y ON x.d = y.d AND x.s = y.s",
    ),
    "totals whose group may be null": (
        f"SELECT x.d FROM {X} x JOIN {Y} y ON x.d IS NOT DISTINCT FROM y.d AND x.s = y.s",
        f"SELECT x.d, {BOTH} FROM {OF_X} x JOIN {OF_Y} y "
        "ON x.d IS NOT DISTINCT FROM y.d AND x.s = y.s",
    ),
    "totals, some of one side only": (
        f"SELECT x.d FROM {X} x LEFT JOIN {Y} y ON x.d = y.d AND x.s = y.s",
        f"SELECT x.d, [[x.ids, coalesce(y.ids, [])]] FROM {OF_X} x "
        f"LEFT JOIN {OF_Y} y ON x.d = y.d AND x.s = y.s",
    ),
    "distinct of totals": (
        f"SELECT DISTINCT x.s FROM {X} x JOIN {Y} y ON x.d = y.d AND x.s = y.s",
        f"SELECT x.s, list([x.ids, y.ids]) FROM {OF_X} x JOIN {OF_Y} y "
        "ON x.d = y.d AND x.s = y.s GROUP BY x.s",
    ),
    "distinct of totals of any day": (
        f"SELECT DISTINCT x.s FROM {X} x JOIN {Y} y ON x.s = y.s",
        f"SELECT x.s, list([x.ids, y.ids]) FROM {OF_X} x JOIN {OF_Y} y ON x.s = y.s GROUP BY x.s",
    ),
    "folded after the join": (
        "SELECT l.d, count(*) AS n FROM l JOIN r ON l.d = r.d AND l.a <= r.a GROUP BY l.d",
        "SELECT l.d, list([[l.id], [r.id]]) FROM l JOIN r ON l.d = r.d AND l.a <= r.a GROUP BY l.d",
    ),
    "folded after a join by key alone": (
        "SELECT l.d FROM l JOIN r ON l.d = r.d GROUP BY l.d",
        "SELECT l.d, list([[l.id], [r.id]]) FROM l JOIN r ON l.d = r.d GROUP BY l.d",
    ),
    "a total beside rows": (
        f"SELECT l.d FROM l JOIN {Y} y ON l.d = y.d AND l.a <= y.s",
        f"SELECT l.d, [[[l.id], y.ids]] FROM l JOIN {OF_Y} y ON l.d = y.d AND l.a <= y.s",
    ),
    "pairs": (
        "SELECT l.d, r.id FROM l JOIN r ON l.d = r.d AND l.a = r.a",
        "SELECT l.d, [[[l.id], [r.id]]] FROM l JOIN r ON l.d = r.d AND l.a = r.a",
    ),
    "a row beside the totals of its own day": (
        f"SELECT l.d FROM l JOIN {X} x ON l.d = x.d JOIN {Y} y ON x.d = y.d AND x.s = y.s",
        f"SELECT l.d, [[[l.id], y.ids]] FROM l JOIN {OF_X} x ON l.d = x.d "
        f"JOIN {OF_Y} y ON x.d = y.d AND x.s = y.s",
    ),
    "two rules, put together": (
        f"SELECT x.d FROM {X} x JOIN {Y} y ON x.d = y.d AND x.s = y.s "
        "UNION SELECT l.d FROM l JOIN r ON l.d = r.d AND l.a = r.a",
        f"SELECT d, flatten(list(p)) FROM (SELECT x.d, {BOTH} AS p FROM {OF_X} x "
        f"JOIN {OF_Y} y ON x.d = y.d AND x.s = y.s UNION ALL "
        "SELECT l.d, [[[l.id], [r.id]]] AS p FROM l JOIN r ON l.d = r.d AND l.a = r.a) GROUP BY d",
    ),
    "rows told apart by their keys": (
        "SELECT DISTINCT ON (l.id) l.d, l.id, r.id FROM l JOIN r ON l.d = r.d ORDER BY l.id, r.id",
        "SELECT DISTINCT ON (l.id) l.d, [[[l.id], [r.id]]] FROM l JOIN r ON l.d = r.d "
        "ORDER BY l.id, r.id",
    ),
    "totals in one piece": (
        f"SELECT x.d FROM {X} x JOIN {Y} y ON x.d = y.d AND x.s = y.s ORDER BY x.d LIMIT 10",
        f"SELECT x.d, {BOTH} FROM {OF_X} x JOIN {OF_Y} y ON x.d = y.d AND x.s = y.s "
        "ORDER BY x.d LIMIT 10",
    ),
}
WAYS: Mapping[str, tuple[Budget, Mapping[str, Any], Way]] = {
    "in memory": (AMPLE, {}, Way.WHOLE),
    "by buckets": (budget(1 << 20, 1 << 20), {"buckets": 7, "partitions": 3}, Way.SIDE_BY_SIDE),
    "narrow rows at first": (budget(14_000, 10_000), {}, Way.LATE),
    "from disk": (budget(1, 1_500), {"buckets": 1, "partitions": 2}, Way.FROM_DISK),
}
ON_EXECUTORS = ("totals of both sides", "totals in one piece")
TOTALS_ONLY = SHAPES["totals of both sides"][0]


def given(folder: Path, sql: str, seed: int = 5) -> Reconciliation:
    """Days with none to five rows a side, of some of which the totals agree; some without a day."""
    rng = random.Random(seed)
    rows: dict[Side, list[tuple[int | None, int]]] = {side: [] for side in Side}
    for day in [None, *range(DAYS)]:
        ours, theirs = ([rng.randint(1, 4) for _ in range(rng.randint(0, 5))] for _ in Side)
        if theirs and rng.random() < 0.7:
            theirs[-1] += sum(ours) - sum(theirs)
        rows[Side.LEFT] += [(day, amount) for amount in ours]
        rows[Side.RIGHT] += [(day, amount) for amount in theirs]
    books = Reconciliation(folder, sql, groups=GroupForm.MEMBERS)
    for side, listed in rows.items():
        rng.shuffle(listed)
        columns = {
            "id": pa.array(range(100, 100 + len(listed)), pa.int64()),
            "d": pa.array([day for day, _ in listed], pa.int64()),
            "a": pa.array([amount for _, amount in listed], pa.int64()),
            "memo": [
                f"{side.word} {number}, wide and of no use {'.' * 50}"
                for number in range(len(listed))
            ],
        }
        books.put(side.word, pa.table(columns))
    return books


def by_definition(books: Reconciliation, account: str) -> Counter[tuple[object, ...]]:
    """Return what matched should hold: keys, group and the first column of the SQL."""
    rows: Counter[tuple[object, ...]] = Counter()
    for value, products in accounted(books, account):
        for group in groups_of(pairs_of(products)):
            rows.update((text(a), text(b), group.id, value) for a, b in group.rows)
    return rows


def counted(books: Reconciliation, account: str) -> int:
    """Return how many groups there are, result row by result row."""
    return sum(len(list(groups_of(pairs_of(row)))) for _, row in accounted(books, account))


def pairs_of(products: Any) -> set[tuple[int, int]]:
    return {(a, b) for lefts, rights in products for a in lefts for b in rights}


def accounted(books: Reconciliation, account: str) -> list[tuple[Any, Any]]:
    database = duckdb.connect()
    for name, side in (("l", Side.LEFT), ("r", Side.RIGHT)):
        database.execute(f"CREATE VIEW {name} AS FROM '{books.folder / side.word}.parquet'")
    return database.execute(account).fetchall()


def text(key: int | None) -> str | None:
    return None if key is None else str(key)


def told(matched: pa.Table) -> Counter[tuple[object, ...]]:
    first = matched.column_names[7]
    columns = matched.select(["left_key", "right_key", "match_group", first])
    return Counter(zip(*columns.to_pydict().values(), strict=True))


def keys_in(matched: pa.Table, side: Side) -> set[str]:
    return set(matched.column(f"{side.word}_key").drop_null().to_pylist())


@pytest.mark.parametrize("name", SHAPES)
def test_matched_says_which_rows_are_one_match(name: str, tmp_path: Path) -> None:
    sql, account = SHAPES[name]
    books = given(tmp_path, sql)

    ran = books.run()

    assert told(ran.matched) == by_definition(books, account) != Counter()
    assert ran.outcome.groups == counted(books, account)


@pytest.mark.parametrize("name", SHAPES)
def test_every_row_of_a_group_is_matched_and_every_other_unmatched(
    name: str, tmp_path: Path
) -> None:
    ran = given(tmp_path, SHAPES[name][0]).run()

    for side, outcome in ran.outcome.sides.items():
        matched = keys_in(ran.matched, side)
        assert matched.isdisjoint(ran.unmatched[side].column("record_key").to_pylist())
        assert outcome.matched == len(matched)
        assert outcome.records == outcome.matched + outcome.unmatched


@pytest.mark.parametrize("name", SHAPES)
def test_groups_are_the_same_whatever_the_way(name: str, tmp_path: Path) -> None:
    books = given(tmp_path, SHAPES[name][0])

    first = books.run()

    for share, options, _ in list(WAYS.values())[1:]:
        assert_same(books.run(share, **options), first)


@pytest.mark.parametrize("way", WAYS)
def test_each_way_is_taken(way: str, tmp_path: Path) -> None:
    share, options, wanted = WAYS[way]

    ran = given(tmp_path, TOTALS_ONLY).run(share, **options)

    assert wanted in ran.joins


@pytest.mark.full
@pytest.mark.parametrize("seed", range(100, 112))
@pytest.mark.parametrize("name", SHAPES)
def test_random_groups_are_what_the_definition_says_whatever_the_way(
    name: str, seed: int, tmp_path: Path
) -> None:
    sql, account = SHAPES[name]
    books = given(tmp_path, sql, seed)
    wanted = by_definition(books, account)

    for share, options, _ in WAYS.values():
        assert told(books.run(share, **options).matched) == wanted


async def test_executors_bring_out_the_groups_of_one_machine(tmp_path: Path) -> None:
    async with small_cluster(tmp_path / "spools") as (dispatcher, _):
        for number, name in enumerate(ON_EXECUTORS):
            books = given(tmp_path, SHAPES[name][0])
            recipe = books.recipe()
            spread = replace(recipe, options=replace(recipe.options, buckets=3, partitions=2))

            metadata = await run_on(dispatcher, spread, tmp_path / f"out-{number}")

            local = books.run()
            assert metadata.matched_groups == local.outcome.groups
            got = evidence_of(tmp_path / f"out-{number}")
            assert got[MATCHED].equals(local.matched)
            for side, summary in ((Side.LEFT, metadata.left), (Side.RIGHT, metadata.right)):
                assert summary.several == local.outcome.sides[side].several.rows


def test_a_row_is_in_several_matches_only_if_it_is_in_several_groups(tmp_path: Path) -> None:
    one_match = given(tmp_path, TOTALS_ONLY).run()
    two_rules = given(tmp_path, f"{TOTALS_ONLY} UNION ALL {TOTALS_ONLY}").run()

    for side in Side:
        outcome = one_match.outcome.sides[side]
        assert outcome.several.rows == 0
        assert two_rules.outcome.sides[side].several.rows == outcome.matched > 0


def test_keys_of_several_columns_are_null_for_the_other_side_of_a_group(tmp_path: Path) -> None:
    books = given(tmp_path, TOTALS_ONLY)
    left = replace(books.recipe().left, primary_key=("id", "a"))

    for share, options, way in (WAYS["in memory"], WAYS["from disk"]):
        recipe = replace(books, options=Options(**options)).recipe()
        ran = run_recipe(replace(recipe, left=left), tmp_path, share)

        keys = zip(*(ran.matched.column(f"{s.word}_key").to_pylist() for s in Side), strict=True)
        alone = [pair for pair in keys if None in pair]
        assert way in ran.joins
        assert any(right is None and left.startswith("[") for left, right in alone)
        assert any(left is None for left, _ in alone)


def test_rows_without_a_key_belong_to_their_group_all_the_same(tmp_path: Path) -> None:
    books = given(tmp_path, TOTALS_ONLY)
    ids = pa.array([None, None, 3, 3, 5, 6], pa.int64())
    for side in Side:
        books.put(side.word, pa.table({"id": ids, "d": [1, 1, 1, 1, 2, 2], "a": [1] * 6}))

    runs = [books.run(), books.run(budget(0, 0), buckets=3)]

    for ran in runs:
        assert {side: one.matched for side, one in ran.outcome.sides.items()} == {
            Side.LEFT: 6,
            Side.RIGHT: 6,
        }
        assert len(ran.matched) == 12
        assert len(set(ran.matched.column("match_group").to_pylist())) == 2
    assert runs[0].matched.equals(runs[1].matched)


@pytest.mark.parametrize("way", ["in memory", "from disk"])
def test_the_members_of_groups_count_against_the_bound_of_pairs(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pair_bound, "ALWAYS_ALLOWED", 0)
    share, options, _ = WAYS[way]
    books = given(tmp_path, TOTALS_ONLY)
    for side in Side:
        books.put(side.word, pa.table({"id": range(50), "d": [1] * 50, "a": [1] * 50}))

    ran = books.run(share, **options, max_pairs_per_row=1)

    assert len(ran.matched) == 100
    with pytest.raises(TooManyPairs):
        replace(books, groups=GroupForm.PAIRS).run(share, **options, max_pairs_per_row=1)


@pytest.mark.parametrize("name", SHAPES)
def test_who_does_not_ask_for_members_has_the_pairs_of_every_group(
    name: str, tmp_path: Path
) -> None:
    sql, account = SHAPES[name]
    books = replace(given(tmp_path, sql), groups=GroupForm.PAIRS)

    ran = books.run()

    assert ran.matched.column_names[:7] == [
        "match_id", "left_key", "right_key", "rule_name", "confidence", "matched_at",
        ran.matched.column_names[6],
    ]  # fmt: skip
    assert "match_group" not in ran.matched.column_names
    assert ran.outcome.groups is None
    pairs = [pair for _, row in accounted(books, account) for pair in pairs_of(row)]
    assert Counter(ran.pairs) == Counter((str(a), str(b)) for a, b in pairs)


def assert_same(got: Ran, whole: Ran) -> None:
    assert got.has_the_rows_of(whole)
    assert got.outcome.groups == whole.outcome.groups
    for side in Side:
        assert got.outcome.sides[side].several == whole.outcome.sides[side].several
