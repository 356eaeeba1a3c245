"""What is measured beside DuckDB is the same work."""

from dataclasses import replace

import duckdb

from benchmarks.beside_duckdb import SQL, duckdb_sql
from benchmarks.labelled import labelled, write
from kalla_core.evidence.names import MATCHED
from kalla_core.evidence.reader import read_evidence
from kalla_core.recipe.parse import load_recipe
from tests.support.runs import run_in_process


def test_both_find_the_same_pairs_by_windows(tmp_path):
    recipe = load_recipe(write(labelled(1_500), tmp_path))
    recipe = replace(recipe, match_sql=SQL, passes=(), amounts=None)

    run_in_process(recipe, tmp_path / "evidence")

    with read_evidence(tmp_path / "evidence") as evidence:
        matched = evidence.table(MATCHED)
    keys = (matched.column(name).to_pylist() for name in ("left_key", "right_key"))
    with duckdb.connect() as database:
        for name in ("invoices", "payments"):
            database.read_parquet(str(tmp_path / f"{name}.parquet")).create_view(name)
        found = database.execute(duckdb_sql(SQL)).fetchall()
    assert len(found) > 1_000
    assert sorted(zip(*keys, strict=True)) == sorted((str(a), str(b)) for a, b in found)
