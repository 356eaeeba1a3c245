"""Sources without rows, without matches, without keys; extras; rows told apart by primary keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from kalla_core.engine.budget import Budget
from kalla_core.engine.joins.totals import Way
from kalla_core.engine.run.job import run_job
from kalla_core.engine.run.job_spec import JobSpec
from kalla_core.errors import DuplicateKeys, InvalidSql, OutOfMemory
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.parse import load_recipe
from tests.support.books import Books, make_books
from tests.support.runs import AMPLE, run_in_process
from tests.support.tables import Ran, Reconciliation

SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("k", pa.string()),
        ("amount", pa.decimal128(10, 2)),
        ("memo", pa.string()),
    ]
)
TINY = replace(AMPLE, whole_bytes=1, join_bytes=3000, run_bytes=1000)
WAYS: dict[str, tuple[Budget, Mapping[str, Any]]] = {
    "in memory": (AMPLE, {}),
    "by buckets": (AMPLE, {"buckets": 4, "partitions": 3}),
    "with next to no memory": (TINY, {"partitions": 3}),
}
SAME = "tolerance_match(l.amount, r.amount, 0)"
SHAPES = {
    "inner": f"SELECT l.id, r.id rid FROM l JOIN r ON l.k = r.k AND {SAME}",
    "full": f"SELECT l.id, r.id rid FROM l FULL JOIN r ON l.k = r.k AND {SAME}",
    "no key": f"SELECT l.id, r.id rid FROM l JOIN r ON {SAME}",
    "one piece": f"SELECT l.id, r.id rid FROM l JOIN r ON l.k = r.k AND {SAME} "
    "ORDER BY 1, 2 LIMIT 1000000",
}
NULL_SAFE = f"SELECT l.id, r.id rid FROM l JOIN r ON (l.k IS NOT DISTINCT FROM r.k) AND {SAME}"
Row = tuple[int, str | None, int | None]


def table(rows: Sequence[Row]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [()] * 3
    amounts = [None if n is None else Decimal(n) for n in columns[2]]
    memos = [f"memo {n}" for n in columns[0]]
    return pa.Table.from_arrays(
        [
            pa.array(values, kind)
            for values, kind in zip(
                (columns[0], columns[1], amounts, memos), SCHEMA.types, strict=True
            )
        ],
        schema=SCHEMA,
    )


def rows(count: int, key: str | None = "K", amount: int = 0) -> list[Row]:
    return [(n, None if key is None else f"{key}{n}", amount + n) for n in range(count)]


def ran(
    folder: Path, left: Sequence[Row], right: Sequence[Row], shape: str, way: str = "in memory"
) -> Ran:
    books = Reconciliation(folder, SHAPES.get(shape, shape))
    books.put("left", table(left))
    books.put("right", table(right))
    share, options = WAYS[way]
    return books.run(share, **options)


def codes(got: Ran, side: Side) -> Counter[str]:
    return Counter(code for code, _, _ in got.reasons(side).values())


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize(("left", "right"), [(0, 60), (60, 0), (0, 0)])
def test_a_side_may_be_empty(tmp_path: Path, left: int, right: int, shape: str, way: str) -> None:
    got = ran(tmp_path, rows(left), rows(right), shape, way)

    code = "no_match" if shape == "no key" else "key_not_found"
    assert got.pairs == []
    assert codes(got, Side.LEFT) == Counter({code: left} if left else {})
    assert codes(got, Side.RIGHT) == Counter({code: right} if right else {})
    assert got.unmatched[Side.LEFT].column_names[-4:] == ["id", "k", "amount", "memo"]


def test_nothing_may_match(tmp_path: Path, shape: str, way: str) -> None:
    got = ran(tmp_path, rows(80), rows(90, amount=1000), shape, way)

    in_right = Counter({"no_match": 90})
    if shape != "no key":
        in_right = Counter({"predicate_failed": 80, "key_not_found": 10})
    assert got.pairs == []
    assert codes(got, Side.LEFT).total() == 80
    assert codes(got, Side.RIGHT) == in_right


def test_everything_may_match(tmp_path: Path, shape: str, way: str) -> None:
    got = ran(tmp_path, rows(150), rows(150), shape, way)

    assert sorted(got.pairs) == sorted((str(n), str(n)) for n in range(150))
    assert [len(got.unmatched[side]) for side in Side] == [0, 0]


def test_all_keys_may_be_null(tmp_path: Path, way: str) -> None:
    got = ran(tmp_path, rows(100, key=None), rows(120, key=None), "inner", way)

    assert got.pairs == []
    assert codes(got, Side.LEFT) == Counter({"key_null": 100})
    assert codes(got, Side.RIGHT) == Counter({"key_null": 120})


def test_null_keys_that_equal_each_other_match(tmp_path: Path, way: str) -> None:
    got = ran(tmp_path, rows(100, key=None), rows(120, key=None, amount=50), NULL_SAFE, way)

    assert sorted(got.pairs) == sorted((str(n), str(n - 50)) for n in range(50, 100))
    assert codes(got, Side.LEFT) == Counter({"predicate_failed": 50})
    assert codes(got, Side.RIGHT) == Counter({"predicate_failed": 70})


def test_null_keys_that_equal_each_other_are_found_without_a_cut_by_key(
    tmp_path: Path, way: str
) -> None:
    sql = f"{NULL_SAFE} ORDER BY 1, 2 LIMIT 1000"

    got = ran(tmp_path, rows(100, key=None), [(500, None, 1000), *rows(100)], sql, way)

    assert codes(got, Side.LEFT) == Counter({"predicate_failed": 100})
    assert {candidate for _, _, candidate in got.reasons(Side.LEFT).values()} == {"500"}
    assert codes(got, Side.RIGHT) == Counter({"predicate_failed": 1, "key_not_found": 100})


def test_a_header_alone_is_a_source(books_of: Books, tmp_path: Path) -> None:
    header = (books_of.folder / "payments.csv").read_text().splitlines()[0]
    (books_of.folder / "payments.csv").write_text(header + "\n")
    recipe = load_recipe(books_of.write())
    typed = replace(recipe.right, types={"paid_amount": "decimal(12,2)"})

    metadata = run_in_process(replace(recipe, right=typed), tmp_path / "out")

    assert (metadata.left.unmatched, metadata.right.records) == (5, 0)
    assert [file.rows for file in metadata.files] == [0, 5, 0]


@pytest.fixture
def books_of(tmp_path: Path) -> Books:
    return make_books(tmp_path)


def test_an_extra_is_there_in_every_join(tmp_path: Path, way: str) -> None:
    sql = (
        "SELECT l.id, r.id rid, fx.rate FROM l JOIN fx ON l.memo LIKE fx.pattern "
        "JOIN r ON l.k = r.k AND l.amount * fx.rate = r.amount"
    )
    books = Reconciliation(tmp_path, sql, extras=("fx",))
    books.put("left", table(rows(100)))
    books.put("right", table([(n, f"K{n}", 2 * n) for n in range(100)]))
    books.put("fx", pa.table({"pattern": ["memo 7%"], "rate": pa.array([2], pa.int64())}))

    got = books.run(WAYS[way][0], **WAYS[way][1])

    assert sorted(got.pairs) == sorted((str(n), str(n)) for n in (7, *range(70, 80)))
    assert set(got.outcome.extras) == {"fx"}


def test_an_empty_extra_matches_nothing(tmp_path: Path, way: str) -> None:
    books = Reconciliation(
        tmp_path,
        "SELECT l.id, r.id rid FROM l JOIN r ON l.k = r.k JOIN fx ON fx.memo = l.memo",
        extras=("fx",),
    )
    books.put("left", table(rows(60)))
    books.put("right", table(rows(60)))
    books.put("fx", table([]))

    got = books.run(WAYS[way][0], **WAYS[way][1])

    assert got.pairs == []
    assert codes(got, Side.LEFT) == Counter({"predicate_failed": 60})


def test_an_extra_that_is_too_large_is_refused(tmp_path: Path) -> None:
    books = Reconciliation(
        tmp_path, "SELECT l.id, r.id FROM l JOIN r USING (k), fx", extras=("fx",)
    )
    for name in ("left", "right", "fx"):
        books.put(name, table(rows(100)))

    with pytest.raises(OutOfMemory, match="fx") as refused:
        books.run(replace(AMPLE, extras_bytes=1000))

    assert refused.value.details == {"source": "fx"}


KEYED = {
    "distinct on": "SELECT DISTINCT ON (l.id) l.id, r.id rid FROM l JOIN r ON l.k = r.k "
    "ORDER BY l.id, r.id",
    "lateral": "SELECT l.id, x.id xid FROM l, LATERAL (SELECT r.id FROM r WHERE r.k = l.k) x",
    "lateral, preserved": "SELECT l.id, x.id xid FROM l "
    "LEFT JOIN LATERAL (SELECT r.id FROM r WHERE r.k = l.k) x ON true",
}


@pytest.mark.parametrize("sql", KEYED.values(), ids=KEYED)
def test_primary_keys_take_the_place_of_row_numbers(tmp_path: Path, sql: str, way: str) -> None:
    left = [(n, f"K{n}", n) for n in range(120)]
    right = [(1000 + n, f"K{2 * n}", n) for n in range(120)]

    got = ran(tmp_path, left, right, sql, way)

    assert sorted(got.pairs) == sorted((str(2 * n), str(1000 + n)) for n in range(60))
    assert codes(got, Side.LEFT) == Counter({"key_not_found": 60})
    assert codes(got, Side.RIGHT) == Counter({"key_not_found": 60})


@pytest.mark.parametrize("sql", KEYED.values(), ids=KEYED)
@pytest.mark.parametrize("side", Side)
def test_primary_keys_that_take_that_place_must_be_unique(
    tmp_path: Path, sql: str, side: Side, way: str
) -> None:
    good, bad = rows(60), [*rows(60), (7, "again", 1), (7, "and again", 1)]
    left, right = (bad, good) if side is Side.LEFT else (good, bad)

    with pytest.raises(DuplicateKeys, match="2 rows repeat a key, 0 have none") as refused:
        ran(tmp_path, left, right, sql, way)

    assert refused.value.details == {"source": "l" if side is Side.LEFT else "r"}


def test_primary_keys_need_not_be_unique_otherwise(tmp_path: Path, shape: str, way: str) -> None:
    got = ran(tmp_path, [(1, "K", 5)] * 3, [(2, "K", 5)] * 2, shape, way)

    assert got.pairs == [("1", "2")] * 6
    assert [got.outcome.sides[side].keys.duplicates for side in Side] == [2, 1]
    assert sum("is not unique" in warning for warning in got.outcome.warnings) == 2


def test_a_value_that_makes_the_sql_fail_is_the_fault_of_sql_or_data(
    tmp_path: Path, way: str
) -> None:
    sql = "SELECT l.id, r.id rid FROM l JOIN r ON l.k = r.k AND CAST(l.k AS INT) > 0"

    with pytest.raises(InvalidSql, match="failed on a value"):
        ran(tmp_path, rows(60), rows(60), sql, way)


def test_nothing_is_left_in_the_spool(tmp_path: Path) -> None:
    books = Reconciliation(tmp_path, SHAPES["one piece"])
    books.put("left", table(rows(300)))
    books.put("right", table(rows(300)))
    staging, spool = tmp_path / "staging", tmp_path / "spool"
    for folder in (staging, spool):
        folder.mkdir()
    spec = JobSpec(books.recipe(), datetime.now(UTC), staging, spool, TINY)

    outcome = run_job(spec, lambda _: None)

    left = sorted(path.name for path in spool.iterdir())
    assert outcome.joins == {Way.FROM_DISK: 1}
    assert [name for name in left if not name.endswith(".spool")] == []


def test_a_condition_on_lists_and_structs_is_told_with_their_values(tmp_path: Path) -> None:
    books = Reconciliation(
        tmp_path,
        "SELECT l.id, r.id rid FROM l JOIN r ON l.k = r.k AND array_has_all(l.tags, r.tags) "
        "AND r.bank IS NULL",
    )
    tags = [["x", None], ["y"]]
    banks = pa.array(
        [None, {"iban": "DE", "n": 7}], pa.struct({"iban": pa.string(), "n": pa.int8()})
    )
    books.put("left", pa.table({"id": [1, 2], "k": ["A", "B"], "tags": tags}))
    books.put(
        "right", pa.table({"id": [1, 2], "k": ["A", "B"], "tags": [["z"], ["y"]], "bank": banks})
    )

    reasons = books.run().reasons(Side.LEFT)

    said = "array_has_all(l.tags, r.tags) does not hold: l.tags = ['x', null], r.tags = ['z']"
    assert reasons["1"] == ("predicate_failed", f"Closest in r: 1. {said}", "1")
    said = "r.bank IS NULL does not hold: r.bank = {iban: 'DE', n: 7}"
    assert reasons["2"] == ("predicate_failed", f"Closest in r: 2. {said}", "2")


def test_how_much_two_numbers_differ_is_told_whatever_numbers_stand_beside_them(
    tmp_path: Path,
) -> None:
    books = Reconciliation(
        tmp_path, "SELECT l.id, r.id rid FROM l JOIN r ON l.k = r.k AND l.u > r.u"
    )
    for side, numbers in (("left", [5, 1]), ("right", [7, 2**64 - 1])):
        columns = {"id": [1, 2], "k": ["A", "B"], "u": pa.array(numbers, pa.uint64())}
        books.put(side, pa.table(columns))

    reasons = books.run().reasons(Side.LEFT)

    assert reasons["1"][1].endswith("l.u = 5, r.u = 7, which differ by 2")
    assert reasons["2"][1].endswith(f"r.u = {2**64 - 1}, which differ by {2**64 - 2}")


TAGS: list[list[str | None] | None] = [["a", "b"], ["b"], None, [], ["c", None]]


@pytest.mark.parametrize("key", ["l.k = r.k AND ", ""])
@pytest.mark.parametrize("theirs", [TAGS, [None, None]], ids=["some null", "all null"])
@pytest.mark.parametrize("name", ["array_has_all", "NOT array_has_any"])
def test_a_list_that_is_null_is_in_no_list_and_apart_from_none(
    tmp_path: Path, name: str, theirs: list[list[str | None] | None], key: str
) -> None:
    books = Reconciliation(
        tmp_path, f"SELECT l.id, r.id rid FROM l JOIN r ON {key}{name}(l.t, r.t)"
    )
    kind = pa.list_(pa.string())
    for side, tags in (("left", TAGS), ("right", theirs)):
        columns = {"id": range(len(tags)), "k": [1] * len(tags), "t": pa.array(tags, kind)}
        books.put(side, pa.table(columns))

    found = [Counter(books.run(share, **options).pairs) for share, options in WAYS.values()]

    right = Counter(
        (str(one), str(other))
        for one, ours in enumerate(TAGS)
        for other, needle in enumerate(theirs)
        if ours is not None
        and needle is not None
        and (set(needle) <= set(ours) if name == "array_has_all" else not set(needle) & set(ours))
    )
    assert found == [right] * len(WAYS)
