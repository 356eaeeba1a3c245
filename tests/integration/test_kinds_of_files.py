"""Each kind of files as one side of a run, in every way of running."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from kalla_core.recipe.model import Recipe
from kalla_core.recipe.parse import parse_recipe
from tests.support.cluster_runs import run_on
from tests.support.connectors import ledger, plain_ledger
from tests.support.ledgers import (
    avro_source,
    duckdb_source,
    fixed_source,
    json_source,
    sqlite_source,
    workbook_source,
)
from tests.support.runs import run_in_process
from tests.support.small_executor import small_cluster

ROWS = 120
KINDS: Mapping[str, Callable[[Path], Mapping[str, Any]]] = {
    "xlsx": lambda folder: workbook_source(folder, ledger(ROWS)),
    "avro": lambda folder: avro_source(folder, ledger(ROWS)),
    "duckdb": lambda folder: duckdb_source(folder, ledger(ROWS)),
    "sqlite": lambda folder: sqlite_source(folder, ledger(ROWS)),
    "json": lambda folder: json_source(folder, ledger(ROWS), lines=False),
    "fixed": lambda folder: fixed_source(folder, plain_ledger(ROWS)),
}
WAYS: Mapping[str, Mapping[str, Any]] = {
    "in one": {},
    "in parts and buckets": {"partitions": 3, "buckets": 2},
}


def recipe_of(folder: Path, kind: str, options: Mapping[str, Any]) -> Recipe:
    lines = [f"{n},{n * 37 % 2000 - 1000}" for n in range(0, ROWS, 2)]
    (folder / "cents.csv").write_text("\n".join(["id,cents", *lines, "999,5\n"]))
    document = {
        "recipe_id": "kinds",
        "name": "Kinds",
        "match_sql": "SELECT l.id FROM l JOIN r ON l.id = r.id AND l.amount * 100 = r.cents",
        "sources": {
            "left": {**KINDS[kind](folder), "alias": "l", "primary_key": ["id"]},
            "right": {"alias": "r", "type": "file", "uri": "cents.csv", "primary_key": ["id"]},
        },
        "options": dict(options),
    }
    return parse_recipe(document, folder)


EXPECTED = [n for n in range(0, ROWS, 2) if n % 7 != 3]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_with_files_of_any_kind_matches_what_the_same_rows_do(
    tmp_path: Path, kind: str, way: str
) -> None:
    run_in_process(recipe_of(tmp_path, kind, WAYS[way]), tmp_path / "out")

    found = pq.read_table(tmp_path / "out" / "matched.parquet").column("id").to_pylist()
    assert sorted(found) == EXPECTED
    unmatched = pq.read_table(tmp_path / "out" / "unmatched_left.parquet").column("id").to_pylist()
    assert sorted(unmatched + found) == list(range(ROWS))


@pytest.mark.parametrize("kind", KINDS)
async def test_executors_read_files_of_any_kind(tmp_path: Path, kind: str) -> None:
    recipe = recipe_of(tmp_path, kind, {"partitions": 2, "buckets": 2})

    async with small_cluster(tmp_path / "spools") as (dispatcher, _):
        await run_on(dispatcher, recipe, tmp_path / "out")

    found = pq.read_table(tmp_path / "out" / "matched.parquet").column("id").to_pylist()
    assert sorted(found) == EXPECTED
