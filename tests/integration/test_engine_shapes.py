"""Every shape of match SQL through the whole engine: the same evidence with next to no memory.

Its pairs are those that DuckDB finds in the same files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from kalla_core.engine.budget import Budget
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.planned import Strategy
from tests.support.runs import AMPLE
from tests.support.tables import Reconciliation
from tests.unit.matching.nasty import tables
from tests.unit.matching.shapes import SHAPES, Shape

ROWS = {Side.LEFT: 200, Side.RIGHT: 250}
TIGHT = replace(AMPLE, whole_bytes=1, join_bytes=20_000, run_bytes=2_000)
TIGHTEST = replace(AMPLE, whole_bytes=1, join_bytes=6_000, run_bytes=2_000)
CUTS: dict[str, tuple[Budget, Mapping[str, Any]]] = {
    "seven buckets": (AMPLE, {"buckets": 7}),
    "one bucket that is too large": (TIGHT, {"buckets": 1, "partitions": 3}),
    "next to no memory": (TIGHTEST, {"partitions": 5}),
}
TABLES = {"left_src": "left", "inv": "left", "right_src": "right", "pay": "right", "fx": "fx"}
RUN = [shape for shape in SHAPES if shape.expected in set(Strategy)]
SOME = RUN[::8]


def given(folder: Path, shape: Shape) -> Reconciliation:
    books = Reconciliation(folder, shape.sql, extras=("fx",), aliases=("inv", "pay"))
    made = tables(seed=3, left_rows=ROWS[Side.LEFT], right_rows=ROWS[Side.RIGHT])
    left = made.left if "tags" in shape.sql else made.left.drop(["tags"])
    for side, table in ((Side.LEFT, left), (Side.RIGHT, made.right)):
        unique = pa.array(range(ROWS[side]), pa.int64())
        books.put(side.word, table.set_column(0, "id", unique))
    books.put("fx", made.fx)
    return books


def duckdb_pairs(books: Reconciliation, shape: Shape) -> list[tuple[str, str]]:
    """Return, sorted, the keys that DuckDB pairs, from the files that Kalla reads."""
    with duckdb.connect() as database:
        for name, file in TABLES.items():
            database.read_parquet(str(books.folder / f"{file}.parquet")).create_view(name)
        found = database.execute(shape.oracle).fetchall()
    return sorted((str(a), str(b)) for a, b in found if a is not None and b is not None)


def is_the_same_however_cut(folder: Path, shape: Shape) -> None:
    books = given(folder, shape)
    whole = books.run()

    got = {name: books.run(share, **options) for name, (share, options) in CUTS.items()}

    assert whole.outcome.strategy == shape.expected
    assert not shape.oracle or sorted(whole.pairs) == duckdb_pairs(books, shape)
    assert {name: ran.has_the_rows_of(whole) for name, ran in got.items()} == dict.fromkeys(
        CUTS, True
    )


@pytest.mark.parametrize("shape", SOME, ids=str)
def test_a_shape_gives_the_same_evidence_however_it_is_cut(tmp_path: Path, shape: Shape) -> None:
    is_the_same_however_cut(tmp_path, shape)


@pytest.mark.full
@pytest.mark.parametrize("shape", [shape for shape in RUN if shape not in SOME], ids=str)
def test_every_shape_gives_the_same_evidence_however_it_is_cut(
    tmp_path: Path, shape: Shape
) -> None:
    is_the_same_however_cut(tmp_path, shape)
