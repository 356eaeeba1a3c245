"""Why rows are unmatched by random UNIONs and ORs, against pairs tried one by one."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pytest

from kalla_core.matching.sql.query import Side
from tests.support.runs import AMPLE
from tests.support.spread import Layout, spread
from tests.support.tables import Reconciliation

TINY = replace(AMPLE, whole_bytes=1, join_bytes=1500, run_bytes=400)
NEARNESS = ("not_chosen", "predicate_failed", "key_not_found", "key_null", "no_match")
Row = Mapping[str, int | None]


@dataclass(frozen=True)
class Branch:
    """A branch of a UNION or an OR: columns that are equal, and conditions, as SQL and Python."""

    keys: tuple[tuple[str, str], ...]
    conditions: tuple[tuple[str, Callable[[Row, Row], bool]], ...]

    @property
    def sql(self) -> str:
        """What it asks of a pair."""
        return " AND ".join(
            [*(f"l.{a} = r.{b}" for a, b in self.keys), *(sql for sql, _ in self.conditions)]
        )

    def code(self, row: Row, others: list[Row], side: Side) -> str:
        """Return what this branch says of a row that is in no pair."""
        if not self.keys:
            return "no_match"
        mine = [row[pair[side is Side.RIGHT]] for pair in self.keys]
        if None in mine:
            return "key_null"
        theirs = [[one[pair[side is Side.LEFT]] for pair in self.keys] for one in others]
        return "predicate_failed" if mine in theirs else "key_not_found"

    def pairs(self, left: Row, right: Row) -> bool:
        """Whether two rows are a pair by this branch."""
        same = all(left[a] is not None and left[a] == right[b] for a, b in self.keys)
        return same and all(holds(left, right) for _, holds in self.conditions)


CONDITIONS: tuple[tuple[str, Callable[[Row, Row], bool]], ...] = (
    ("l.m < r.n", lambda left, right: _known(left, right) and left["m"] < right["n"]),  # type: ignore[operator]
    ("abs(l.m - r.n) <= 1",
     lambda left, right: _known(left, right) and abs(left["m"] - right["n"]) <= 1),  # type: ignore[operator]
    ("l.m > 3", lambda left, _: (left["m"] or 0) > 3),
    ("r.n % 2 = 0", lambda _, right: right["n"] is not None and right["n"] % 2 == 0),
)  # fmt: skip
PAIRS = "SELECT l.id, r.id AS rid FROM l JOIN r ON "
KEYS = ((("a", "a"),), (("b", "b"),), (("a", "b"),), (("a", "a"), ("b", "b")), ())


def _known(left: Row, right: Row) -> bool:
    return left["m"] is not None and right["n"] is not None


def a_union(rng: random.Random) -> tuple[Branch, ...]:
    return tuple(
        Branch(rng.choice(KEYS), tuple(rng.sample(CONDITIONS, rng.randint(1, 3))))
        for _ in range(rng.randint(2, 3))
    )


def rows(rng: random.Random, measure: str, count: int) -> list[Row]:
    def value(most: int) -> int | None:
        return None if rng.random() < 0.1 else rng.randint(0, most)

    return [
        {"id": number, "a": value(12), "b": value(12), measure: value(6)} for number in range(count)
    ]


def is_as_tried_one_by_one(folder: Path, seed: int) -> None:
    rng = random.Random(seed)
    union = a_union(rng)
    sides = {Side.LEFT: rows(rng, "m", 40), Side.RIGHT: rows(rng, "n", 50)}
    between = rng.choice([f" UNION {PAIRS}", f" UNION ALL {PAIRS}", " OR "])
    books = Reconciliation(folder, PAIRS + between.join(branch.sql for branch in union))
    for side, given in sides.items():
        schema = pa.schema([(name, pa.int64()) for name in given[0]])
        books.put(side.word, pa.Table.from_pylist(given, schema=schema))
    expected = {side: _expected(union, sides, side) for side in Side}

    whole, tight = books.run(), books.run(TINY, partitions=2)
    cluster = spread(books.recipe(), folder, Layout(executors=2, buckets=3), TINY)

    got = {side: {int(key): code for key, (code, *_) in whole.reasons(side).items()}
           for side in Side}  # fmt: skip
    assert got == expected, books.sql
    assert tight.has_the_rows_of(whole), books.sql
    for side in Side:
        assert cluster.unmatched[side].equals(whole.unmatched[side]), books.sql


def _expected(
    union: tuple[Branch, ...], sides: Mapping[Side, list[Row]], side: Side
) -> dict[int, str]:
    """Return the nearest that any branch says of each row of a side that is in no pair."""
    others = sides[side.other]
    found = {}
    for row in sides[side]:
        both = [(row, one) if side is Side.LEFT else (one, row) for one in others]
        if not any(branch.pairs(*pair) for branch in union for pair in both):
            codes = (branch.code(row, others, side) for branch in union)
            found[row["id"]] = min(codes, key=NEARNESS.index)
    return found  # type: ignore[return-value]


@pytest.mark.parametrize("seed", range(4))
def test_the_nearest_branch_tells_whatever_the_way(tmp_path: Path, seed: int) -> None:
    is_as_tried_one_by_one(tmp_path, seed)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(4, 100))
def test_the_nearest_branch_tells_of_many_unions(tmp_path: Path, seed: int) -> None:
    is_as_tried_one_by_one(tmp_path, seed)
